"""Registries: every entry loads and is described, and every public object is in its tuple."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest

import uproar.data
import uproar.protocols
import uproar.remove
from small_data import public
from uproar.data import DATA
from uproar.explain import AGGREGATIONS, ENSEMBLES, EXPLAINERS
from uproar.models import MODELS
from uproar.protocols import CURVES, PROTOCOLS
from uproar.remove import REMOVALS
from uproar.types import Entry

REGISTRIES = {
    "data": DATA,
    "models": MODELS,
    "explain": (*EXPLAINERS, *ENSEMBLES, *AGGREGATIONS),
    "remove": REMOVALS,
    "protocols": PROTOCOLS,
}
ENTRIES = [(what, entry) for what, registry in REGISTRIES.items() for entry in registry]
# Public objects that are no entries, and why.
HELPERS = {
    "uproar.data:load": "finds and loads an entry",
    "uproar.data.checks:check": "refuses bad data",
    "uproar.data.split:split": "splits for the data sets",
    "uproar.remove.fill:Fill": "what the removals return",
    "uproar.protocols.retrain_once:train_once": "trains what retrain-once scores with",
    "uproar.protocols.setting:Removal": "what a protocol asks of a removal",
    "uproar.protocols.setting:Ranking": "what a protocol is given",
    "uproar.protocols.setting:Setting": "what a protocol is given",
    "uproar.protocols.setting:arms": "serves all protocols",
    "uproar.protocols.setting:counts_of": "serves all protocols",
    "uproar.protocols.setting:prepare": "makes a setting",
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


@pytest.mark.parametrize("package", [uproar.data, uproar.remove, uproar.protocols])
def test_every_public_object_is_registered(package) -> None:
    names = [package.__name__]
    names += [f"{package.__name__}.{info.name}" for info in pkgutil.iter_modules(package.__path__)]
    found = {f"{name}:{one}" for name in names for one in public(importlib.import_module(name))}
    registered = {entry.path for entry in REGISTRIES[package.__name__.split(".")[1]]}
    helpers = {path for path in HELPERS if path.startswith(f"{package.__name__}")}
    assert found == registered | helpers


def test_every_architecture_is_registered() -> None:
    module = importlib.import_module("uproar.models.architectures")
    assert {f"{module.__name__}:{name}" for name in public(module)} == {e.path for e in MODELS}


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
def test_a_data_set_names_a_registered_model(entry: Entry) -> None:
    assert dict(entry.parameters)["model"] in {model.name for model in MODELS}
    assert entry.paper
