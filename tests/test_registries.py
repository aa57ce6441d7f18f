"""Registries: every entry loads and is described, and every public object is in its tuple."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from typing import get_args

import pytest

from tests.support.small_data import public
from uproar.bench.checks import fitting_removals
from uproar.data import DATA
from uproar.explain import AGGREGATIONS, ENSEMBLES, EXPLAINERS
from uproar.models import MODELS
from uproar.plan.defaults import defaults
from uproar.plan.spec import Spec
from uproar.protocols import PROTOCOLS
from uproar.protocols.protocol import Asks, Protocol
from uproar.registry import Entry, find
from uproar.remove import REMOVALS
from uproar.types import KINDS, GivenKind, Kind, Source

REGISTRIES = {
    "data": DATA,
    "models": MODELS,
    "explain": (*EXPLAINERS, *ENSEMBLES, *AGGREGATIONS),
    "remove": REMOVALS,
    "protocols": PROTOCOLS,
}
ENTRIES = [(what, entry) for what, registry in REGISTRIES.items() for entry in registry]
# What has the parameters of registered objects and is none itself, and why.
GIVEN = "makes an explainer of what users hand over"
NO_ENTRIES = {
    "uproar.explain.aggregation:signed": "what stands for no aggregation",
    "uproar.explain.importance:ExplainerOfFunction": "the contract itself",
    "uproar.explain.packages.given:GivenFunction": GIVEN,
    "uproar.explain.packages.given:GivenImportance": GIVEN,
    "uproar.explain.packages.given:OnArrays": GIVEN,
    "uproar.explain.packages.given_captum:CaptumExplainer": GIVEN,
    "uproar.explain.packages.given_shap:GivenShap": GIVEN,
}
METHODS = ("__call__", "measure")
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


def contract(thing: object) -> tuple[tuple[str, ...], ...]:
    """Return the parameters by which an object is called; of a class, those of its methods."""
    called = [thing]
    if inspect.isclass(thing):
        called = [vars(thing)[method] for method in METHODS if method in vars(thing)]
    return tuple(tuple(inspect.signature(one).parameters) for one in called)


def defined_in(package: str) -> Iterator[tuple[str, object]]:
    """Yield the public functions and classes of a package and of all folders in it."""
    folder = importlib.import_module(package)
    for info in pkgutil.walk_packages(folder.__path__, f"{package}."):
        module = importlib.import_module(info.name)
        for name in public(module):
            if callable(thing := getattr(module, name)):
                yield f"{module.__name__}:{name}", thing


@pytest.mark.parametrize("what", REGISTRIES)
def test_what_has_the_parameters_of_registered_objects_is_registered(what: str) -> None:
    paths = {entry.path for entry in REGISTRIES[what]}
    contracts = {contract(entry.load()) for entry in REGISTRIES[what]}
    found = {path for path, thing in defined_in(f"uproar.{what}") if contract(thing) in contracts}
    assert found - paths == {path for path in NO_ENTRIES if path.startswith(f"uproar.{what}.")}
    assert paths <= found


@pytest.mark.parametrize("entry", PROTOCOLS, ids=lambda entry: entry.name)
def test_a_protocol_declares_what_tables_print(entry: Protocol) -> None:
    documentation = inspect.getdoc(entry.load()) or ""
    assert entry.paper in documentation
    assert ">>>" in documentation
    assert entry.curves
    assert isinstance(getattr(Spec(), entry.repeats), int)


CALLED: dict[Asks, str] = {
    "retraining": "experiment ranking fractions seeds",
    "once": "experiment fitted ranking fractions",
    "base model": "experiment fitted ranking fractions",
}


@pytest.mark.parametrize("entry", PROTOCOLS, ids=lambda entry: entry.name)
def test_a_protocol_is_called_as_its_record_says(entry: Protocol) -> None:
    called = inspect.signature(entry.load()).parameters.values()
    asked = [one.name for one in called if one.default is inspect.Parameter.empty]
    assert asked == CALLED[entry.asks].split()


@pytest.mark.parametrize("entry", PROTOCOLS, ids=lambda entry: entry.name)
def test_what_is_compared_depends_on_the_removal_and_has_ends(entry: Protocol) -> None:
    if entry.compared:
        assert entry.removals == "each"
    if entry.ends:
        serving = find(entry.ends, PROTOCOLS, "protocol")
        assert (serving.compared, serving.ends, serving.asks) == (True, "", entry.asks)
        assert len(serving.curves) == len(entry.curves)


def test_curves_have_names_of_their_own() -> None:
    names = [curve.name for protocol in PROTOCOLS for curve in protocol.curves]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("entry", DATA, ids=lambda entry: entry.name)
def test_a_data_set_has_a_registered_model_and_a_removal_that_fit_it(entry: Entry) -> None:
    chosen = defaults(entry.name, Source())
    model = find(chosen.model, MODELS, "model")
    assert entry.kind in (model.data_kinds or [entry.kind])
    assert set(chosen.removals) <= set(fitting_removals(entry.kind))
    assert entry.paper


def test_kinds_are_registered_once() -> None:
    assert sorted(KINDS) == sorted(get_args(Kind))
    assert {"auto", *KINDS} == set(get_args(GivenKind))
    assert len({known.plural for known in KINDS.values()}) == len(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_data_has_a_model_a_removal_and_an_entry(kind: Kind) -> None:
    model = find(KINDS[kind].model, MODELS, "model")
    assert kind in model.data_kinds
    assert {KINDS[kind].removal, KINDS[kind].plain} <= set(fitting_removals(kind))
    assert kind in {entry.kind for entry in DATA}


@every
def test_kinds_of_data_are_known(what: str, entry: Entry) -> None:
    assert set(entry.data_kinds) <= set(KINDS)
    if what == "data":
        assert entry.kind in KINDS
