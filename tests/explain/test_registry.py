"""The registry of explainers: what entries say of themselves, and the public check of all of them.

That explainers explain what they claim is tested in ``test_explain_conformance.py``, and what else
they must do in ``test_explain_properties.py``.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator

import numpy as np
import pytest

from tests.support.conformance import claims, explained, small
from tests.support.zoo import LAYOUTS, Case, made
from uproar import testing
from uproar.explain import AGGREGATIONS, DEFAULT_EXPLAINERS, ENSEMBLES, EXPLAINERS
from uproar.explain.cost import passes_of
from uproar.explain.explainer import Explainer, Prefix
from uproar.explain.names import parse
from uproar.explain.parameters import Parameter, defaults_of, text_of
from uproar.types import Skipped

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


def checked() -> Iterator[tuple[Explainer, str]]:
    """Yield explainers with the layouts that they refuse, and one that they claim.

    That one has channels, unless it is the function that is measured, to which channels are but
    more values. Whatever the public check asks, the tests of properties ask of all kinds of data.
    """
    for entry in EXPLAINERS:
        known = [layout for layout in testing.LAYOUTS if claims(entry, Case(layout, "dense"))]
        wanted = "colour" if entry.scope == "local" and "colour" in known else None
        for layout in testing.LAYOUTS:
            if layout not in known or layout == (wanted or known[0]):
                yield entry, layout


CHECKED = list(checked())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("entry", "layout"), CHECKED, ids=[f"{entry.name}-{layout}" for entry, layout in CHECKED]
)
def test_explainer_passes_the_public_check(entry: Explainer, layout: str) -> None:
    try:
        testing.check_explainer(parse(small(entry)).load(), layout, draws=entry.draws)
    except Skipped as skipped:
        reason = str(skipped)
        assert not claims(entry, Case(layout, "dense")), reason


@pytest.mark.parametrize("entry", ALL, ids=lambda entry: entry.name)
def test_entry_is_complete(entry: Explainer | Prefix) -> None:
    loaded = entry.load()
    documentation = inspect.getdoc(loaded) or ""
    assert ">>>" in documentation
    if entry.paper:
        assert entry.paper in documentation
    assert entry.summary
    assert entry.summary[0].islower()
    if isinstance(entry, Explainer):
        if entry.kind == "estimator":
            assert entry.paper
            assert entry.needs != "nothing"
        fields = getattr(loaded, "__dataclass_fields__", {})
        defaults = defaults_of(entry.parameters)
        assert {key: field.default for key, field in fields.items()} == defaults
        # Names have no place for two parameters of one key.
        assert not defaults.keys() & defaults_of(ENSEMBLES[0].parameters).keys()
        assert parse(entry.name).name == entry.name


PARAMETERS = [(entry, parameter) for entry in EXPLAINERS for parameter in entry.parameters]


@pytest.mark.parametrize(
    ("entry", "parameter"),
    PARAMETERS,
    ids=[f"{entry.name} {parameter.name}" for entry, parameter in PARAMETERS],
)
def test_objects_are_held_to_the_bounds_of_their_entries(
    entry: Explainer, parameter: Parameter
) -> None:
    bounds = [bound for bound in (parameter.least, parameter.most) if bound is not None]
    whole = isinstance(parameter.default, int)
    for value in parameter.choices or (int(bound) if whole else float(bound) for bound in bounds):
        name = f"{entry.name}:{parameter.name}={text_of(value)}"
        assert getattr(parse(name).load(), parameter.name) == value
    beyond = ["white"] if parameter.choices else []
    beyond += [] if parameter.least is None else [parameter.least - 1]
    beyond += [] if parameter.most is None else [parameter.most + 1]
    for value in beyond:
        with pytest.raises(ValueError, match=f"{parameter.name} must be .*{value}"):
            entry.load()(**{parameter.name: value})


@pytest.mark.parametrize("entry", EXPLAINERS, ids=lambda entry: entry.name)
def test_small_parameters_and_those_of_promises_are_valid(entry: Explainer) -> None:
    for values in (entry.test, entry.promised_at):
        options = [f"{key}={text_of(value)}" for key, value in values]
        parsed = parse(":".join([entry.name, *options]))
        assert dict(values).items() <= dict(parsed.base_parameters).items()
        assert [key for key, _ in parsed.parameters if key in dict(values)] == list(dict(values))
    assert entry.promises or not entry.promised_at


@pytest.mark.parametrize("entry", EXPLAINERS, ids=lambda entry: entry.name)
def test_passes_can_be_predicted(entry: Explainer) -> None:
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
def test_defaults_can_be_written_out(entry: Explainer) -> None:
    defaults = defaults_of(entry.parameters)
    written = [f"{key}={text_of(value)}" for key, value in defaults.items()]
    for options in (*([option] for option in written), written):
        assert dict(parse(":".join([entry.name, *options])).base_parameters) == defaults
