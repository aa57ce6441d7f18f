"""Registries: every entry loads and is described, and every public object is in its tuple."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import get_args

import pytest

from small_data import public
from uproar.data import DATA
from uproar.explain import AGGREGATIONS, ENSEMBLES, EXPLAINERS
from uproar.models import MODELS
from uproar.plan.defaults import MODEL_OF_KIND, defaults, removal_of
from uproar.preconditions import fitting_removals
from uproar.protocols import CURVES, PROTOCOLS
from uproar.registry import Entry, find
from uproar.remove import REMOVALS
from uproar.types import Kind, Source

REGISTRIES = {
    "data": DATA,
    "models": MODELS,
    "explain": (*EXPLAINERS, *ENSEMBLES, *AGGREGATIONS),
    "remove": REMOVALS,
    "protocols": PROTOCOLS,
}
ENTRIES = [(what, entry) for what, registry in REGISTRIES.items() for entry in registry]
# Public functions beside entries, in the modules that entries are in, and why.
HELPERS = {
    "uproar.protocols.retrain_once:train_once": "trains what retrain-once scores with",
}
# Modules without entries, and why.
MACHINERY = {
    "uproar.data": {
        *("array_labels", "array_parts", "arrays", "checks", "class_folders", "columns"),
        *("decoding", "delimited", "disk_backed", "drawing", "encoding", "files", "frame_parts"),
        *("hugging_face", "image_files", "images", "labelled_texts", "labels", "loading", "npz"),
        *("openml", "patches", "split", "tables", "text", "tokens"),
    },
    "uproar.models": {
        *("adapters", "batches", "callables", "choice", "dense", "embedded", "estimator_arms"),
        *(
            "estimator_names",
            "estimators",
            "footprint",
            "hugging_face",
            "imported",
            "kinds",
            "learner",
        ),
        *(
            "least_squares",
            "loss",
            "model_digest",
            "module_digest",
            "optimisers",
            "randomness",
            "schedule",
        ),
        *("randomness", "schedule", "sequential", "stacked", "trained", "training", "vectorised"),
    },
    "uproar.remove": {"harmonic", "removal"},
    "uproar.protocols": {"leave_out", "setting"},
}
every = pytest.mark.parametrize(
    ("what", "entry"), ENTRIES, ids=[f"{what} {entry.name}" for what, entry in ENTRIES]
)


@every
def test_an_entry_loads_and_is_described(what: str, entry: Entry) -> None:
    loaded = entry.load()
    assert callable(loaded)
    assert inspect.getdoc(loaded)
    assert entry.summary
    assert entry.summary == entry.summary.strip()
    assert not entry.summary.endswith(".")
    assert entry.path.startswith(f"uproar.{what}.")
    assert entry.version >= 1


@every
def test_names_can_be_written_on_a_command_line(what: str, entry: Entry) -> None:
    assert entry.name == entry.name.lower()
    assert not set(entry.name) & set(" ,:_=")


@pytest.mark.parametrize("what", REGISTRIES)
def test_names_and_objects_are_unique(what: str) -> None:
    assert len({entry.name for entry in REGISTRIES[what]}) == len(REGISTRIES[what])
    assert len({entry.path for entry in REGISTRIES[what]}) == len(REGISTRIES[what])


@pytest.mark.parametrize("package", MACHINERY)
def test_every_public_function_of_a_module_with_entries_is_registered(package: str) -> None:
    paths = {entry.path for entry in REGISTRIES[package.split(".")[1]]}
    helpers = {path for path in HELPERS if path.startswith(f"{package}.")}
    names = {path.partition(":")[0] for path in paths}
    modules = [importlib.import_module(name) for name in names]
    found = {
        f"{module.__name__}:{one}"
        for module in modules
        for one in public(module)
        if inspect.isfunction(getattr(module, one))
    }
    assert found == paths | helpers


@pytest.mark.parametrize("package", MACHINERY)
def test_every_module_has_entries_or_is_known_to_have_none(package: str) -> None:
    modules = {
        info.name for info in pkgutil.iter_modules(importlib.import_module(package).__path__)
    }
    entries = REGISTRIES[package.split(".")[1]]
    of_entries = {entry.path.partition(":")[0].rpartition(".")[2] for entry in entries}
    assert not of_entries & MACHINERY[package]
    assert modules == of_entries | MACHINERY[package]


@pytest.mark.parametrize("entry", PROTOCOLS, ids=lambda entry: entry.name)
def test_a_protocol_declares_what_tables_print(entry: Entry) -> None:
    documentation = inspect.getdoc(entry.load()) or ""
    assert entry.paper in documentation
    assert ">>>" in documentation
    assert entry.kind in {"information", "reliance", "control"}
    directions = set(CURVES[entry.name].values())
    assert entry.direction == (directions.pop() if len(directions) == 1 else "both")


def test_curves_have_names_of_their_own() -> None:
    names = [name for curves in CURVES.values() for name in curves]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("entry", DATA, ids=lambda entry: entry.name)
def test_a_data_set_has_a_registered_model_and_a_removal_that_fit_it(entry: Entry) -> None:
    chosen = defaults(entry.name, Source())
    model = find(chosen.model, MODELS, "model")
    assert entry.kind in (model.data_kinds or [entry.kind])
    assert set(chosen.removals) <= set(fitting_removals(entry.kind))
    assert entry.paper


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_kind_of_data_has_a_model_a_removal_and_an_entry(kind: Kind) -> None:
    model = find(MODEL_OF_KIND[kind], MODELS, "model")
    assert kind in model.data_kinds
    assert removal_of(kind) in fitting_removals(kind)
    assert kind in {entry.kind for entry in DATA}


@every
def test_kinds_of_data_are_known(what: str, entry: Entry) -> None:
    assert set(entry.data_kinds) <= set(get_args(Kind))
    if what == "data":
        assert entry.kind in get_args(Kind)
