"""The registry of explainers: what entries say of themselves, and the public check of all of them.

That explainers explain what they claim is tested in ``test_explain_conformance.py``, and what else
they must do in ``test_explain_properties.py``.
"""

from __future__ import annotations

import importlib
import inspect

import numpy as np
import pytest

from conformance import claims, explained, small
from uproar import testing
from uproar.explain import AGGREGATIONS, DEFAULT_EXPLAINERS, ENSEMBLES, EXPLAINERS
from uproar.explain.cost import passes_of
from uproar.explain.names import parse
from uproar.explain.parameters import text_of
from uproar.registry import Entry
from uproar.types import Skipped
from zoo import LAYOUTS, Case, made

# Public objects of the modules that are not registered, and why.
UNREGISTERED = {
    "Moments": "what ensembles reduce",
    "noisy_moments": "makes what ensembles reduce",
    "signed": "the plain aggregation, whose name is empty",
    "aggregate": "applies aggregations",
    "transform_of": "finds aggregations",
    "smoothness": "what blurred noise has in common with maps",
}
OF_DENSE_MODULES = ("table", "grey", "colour", "no channels")
ALL = (*EXPLAINERS, *ENSEMBLES, *AGGREGATIONS)


@pytest.mark.parametrize("layout", OF_DENSE_MODULES)
@pytest.mark.parametrize("name", DEFAULT_EXPLAINERS)
def test_importance_is_finite_repeatable_and_of_the_features_shape(name: str, layout: str) -> None:
    entry, case = parse(name).entry(), Case(layout, "dense")
    if not claims(entry, case):
        with pytest.raises(Skipped, match="needs images"):
            explained(name, made(case))
        return
    first = explained(name, made(case)).importance
    assert first.shape == (4, *LAYOUTS[layout].feature_shape)
    assert np.isfinite(first).all()
    assert np.array_equal(first, explained(name, made(case)).importance)
    # What is declared signed shows both signs here, and nothing else has a negative value.
    assert (first < 0).any() == entry.signed
    stochastic = bool(entry.draws or parse(name).ensemble)
    assert np.array_equal(first, explained(name, made(case), seed=1).importance) != stochastic


@pytest.mark.slow
@pytest.mark.parametrize("layout", testing.LAYOUTS)
@pytest.mark.parametrize("entry", EXPLAINERS, ids=lambda entry: entry.name)
def test_explainer_passes_the_public_check(entry: Entry, layout: str) -> None:
    try:
        testing.check_explainer(parse(small(entry)).load(), layout, draws=entry.draws)
    except Skipped as skipped:
        reason = str(skipped)
        assert not claims(entry, Case(layout, "dense")), reason


@pytest.mark.parametrize("entry", ALL, ids=lambda entry: entry.name)
def test_entry_is_complete(entry: Entry) -> None:
    loaded = entry.load()
    documentation = inspect.getdoc(loaded) or ""
    assert ">>>" in documentation
    if entry.paper:
        assert entry.paper in documentation
    assert entry.summary
    assert entry.summary[0].islower()
    if entry.kind == "estimator":
        assert entry.paper
        assert entry.needs != "nothing"
    if entry in EXPLAINERS:
        assert entry.kind in {"estimator", "control"}
        assert entry.scope in {"local", "global"}
        fields = getattr(loaded, "__dataclass_fields__", {})
        assert {key: field.default for key, field in fields.items()} == dict(entry.parameters)
        # Names have no place for two parameters of one key.
        assert not dict(entry.parameters).keys() & dict(ENSEMBLES[0].parameters).keys()
        assert parse(entry.name).name == entry.name


@pytest.mark.parametrize("entry", EXPLAINERS, ids=lambda entry: entry.name)
def test_passes_can_be_predicted(entry: Entry) -> None:
    for features, outputs in ((2, 1), (64, 2), (150_000, 1000)):
        assert 0 <= passes_of(parse(entry.name), features=features, outputs=outputs) < 1e12


def test_every_public_object_is_registered() -> None:
    registered = {entry.path for entry in ALL}
    modules = {path.partition(":")[0] for path in registered}
    public = {
        f"{module}:{name}"
        for module in modules
        for name, value in vars(importlib.import_module(module)).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == module
    }
    unregistered = {path for path in public if path.partition(":")[2] in UNREGISTERED}
    assert public - unregistered == registered
    assert len(unregistered) == len(UNREGISTERED)


def test_names_are_unique() -> None:
    assert len({entry.name for entry in ALL}) == len(ALL)
    assert len({entry.path for entry in ALL}) == len(ALL)


def test_ensembles_share_their_parameters() -> None:
    assert len({entry.parameters for entry in ENSEMBLES}) == 1


@pytest.mark.parametrize("entry", EXPLAINERS, ids=lambda entry: entry.name)
def test_defaults_can_be_written_out(entry: Entry) -> None:
    written = [f"{key}={text_of(value)}" for key, value in entry.parameters]
    for options in (*([option] for option in written), written):
        name = parse(":".join([entry.name, *options]))
        assert dict(name.base_parameters) == dict(entry.parameters)
