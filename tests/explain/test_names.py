"""Names of explainers: the grammar, what tables say of a composed name, and every refusal."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import uproar.explain.names
from uproar.explain import DEFAULT_EXPLAINERS, ENSEMBLES, EXPLAINERS
from uproar.explain.names import ExplainerName, parse
from uproar.explain.parameters import Parameter, defaults_of, options_of
from uproar.types import UproarError

ESTIMATORS = {entry.name: entry for entry in EXPLAINERS if entry.kind == "estimator"}


@st.composite
def names(draw: st.DrawFn) -> str:
    """Any valid name, with parameters in any order."""
    base = draw(st.sampled_from([*ESTIMATORS, "mine"]))
    of_function = base in ESTIMATORS and ESTIMATORS[base].scope == "global"
    ensemble = "" if of_function else draw(st.sampled_from(["", "sg", "sgsq", "var"]))
    aggregation = draw(st.sampled_from(["", "abs", "sq"]))
    options = []
    if base == "ig":
        options.append(f"steps={draw(st.integers(1, 10**6))}")
    if base in {"ig", "occlusion"}:
        options.append(f"baseline={draw(st.sampled_from(['black', 'mean', 'zero']))}")
    if base == "pfi":
        options.append(f"repeats={draw(st.integers(1, 10**6))}")
    if ensemble:
        options += [
            f"samples={draw(st.integers(1, 10**6))}",
            f"noise={draw(st.floats(0, 1e6))!r}",
        ]
    chosen = draw(st.permutations(options))[: draw(st.integers(0, 4))]
    return ":".join(["-".join(filter(None, [aggregation, ensemble, base])), *chosen])


@given(names())
def test_canonical_name_reads_back_as_the_same_explainer(name: str) -> None:
    parsed = parse(name, ["mine"])
    assert parse(parsed.name, ["mine"]) == parsed
    assert parse(parsed.name, ["mine"]).name == parsed.name


@pytest.mark.slow
@given(names(), names())
def test_names_differ_exactly_where_explainers_do(first: str, second: str) -> None:
    a, b = parse(first, ["mine"]), parse(second, ["mine"])
    assert (a == b) == (a.name == b.name)


def test_parts_of_a_full_name() -> None:
    assert parse("abs-sg-ig:steps=50:samples=30") == ExplainerName(
        base="ig",
        base_parameters=(("steps", 50), ("baseline", "black")),
        ensemble="sg",
        ensemble_parameters=(("samples", 30), ("noise", 0.15)),
        aggregation="abs",
    )


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("ig:steps=25:baseline=black", "ig"),
        ("sg-ig:noise=0.50:baseline=mean:samples=7", "sg-ig:baseline=mean:samples=7:noise=0.5"),
        ("var-grad:noise=1", "var-grad:noise=1"),
        ("sgsq-gb:noise=1e-05", "sgsq-gb:noise=1e-05"),
        ("sg-grad:noise=-0.0", "sg-grad:noise=0"),
        ("random:draw=3", "random:draw=3"),
        ("sq-var-input-x-grad", "sq-var-input-x-grad"),
        ("abs-sg-occlusion:baseline=mean", "abs-sg-occlusion:baseline=mean"),
        ("occlusion:baseline=black", "occlusion"),
        ("abs-pfi:repeats=9", "abs-pfi:repeats=9"),
        ("sq-tree-shap", "sq-tree-shap"),
        ("occlusion:baseline=mean:stride=2:patch=3", "occlusion:patch=3:stride=2:baseline=mean"),
        ("abs-rise:cells=7:masks=50", "abs-rise:masks=50"),
        ("lime:width=0.50:perturbations=1000", "lime:width=0.5"),
        ("sg-kernel-shap:samples=3:coalitions=64", "sg-kernel-shap:coalitions=64:samples=3"),
    ],
)
def test_canonical_form(name: str, canonical: str) -> None:
    assert parse(name).name == canonical


def test_members_of_one_family_share_base_and_ensemble_parameters() -> None:
    members = ["ig", "abs-ig", "sq-ig", "sg-ig", "sgsq-ig", "abs-var-ig"]
    assert {parse(name).family for name in members} == {"ig"}
    assert parse("sg-ig:steps=50").family == "ig:steps=50"
    assert parse("sg-ig:samples=3").family == "ig:samples=3"
    assert parse("random:draw=1").family != parse("random").family


def test_default_explainers_are_the_papers_and_ours() -> None:
    assert len(DEFAULT_EXPLAINERS) == len(set(DEFAULT_EXPLAINERS)) == 22
    assert [parse(name).name for name in DEFAULT_EXPLAINERS] == list(DEFAULT_EXPLAINERS)


def test_table_entry_of_a_composed_name() -> None:
    entry = parse("abs-sg-ig:steps=50").entry()
    assert entry.name == "abs-sg-ig:steps=50"
    assert entry.summary == (
        "absolute value of mean over noisy inputs (samples 15, noise 0.15) "
        "of integrated gradients (steps 50, baseline black)"
    )
    assert "1703.01365" in entry.paper
    assert "1706.03825" in entry.paper
    assert (entry.needs, entry.kind, entry.scope, entry.version) == (
        "gradients",
        "estimator",
        "local",
        1,
    )


@pytest.mark.parametrize("name", ["grad", "ig", "gb", "input-x-grad", "sg-grad"])
def test_signed(name: str) -> None:
    assert parse(name).entry().signed


@pytest.mark.parametrize(
    "name", ["abs-grad", "sq-ig", "sgsq-gb", "var-ig", "abs-sg-ig", "random", "sobel"]
)
def test_unsigned(name: str) -> None:
    assert not parse(name).entry().signed


@pytest.mark.parametrize("registry", ["EXPLAINERS", "ENSEMBLES", "AGGREGATIONS"])
def test_version_rises_with_each_part(registry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raised = tuple(replace(entry, version=3) for entry in getattr(uproar.explain.names, registry))
    monkeypatch.setattr(uproar.explain.names, registry, raised)
    assert parse("abs-sg-grad").entry().version == 3


def test_explainers_of_ones_own_can_be_wrapped() -> None:
    parsed = parse("abs-sg-mine:samples=2", extra_bases=["mine"])
    assert parsed.name == "abs-sg-mine:samples=2"
    assert parsed.entry().kind == "estimator"
    with pytest.raises(UproarError, match="unknown explainer 'mine'"):
        parsed.load()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("grd", "unknown explainer 'grd': did you mean 'grad'"),
        ("sgg-grad", "did you mean .*'sg-grad'"),
        ("sg-abs-grad", "unknown explainer 'sg-abs-grad': did you mean 'abs-grad'"),
        ("", "unknown explainer ''"),
        ("ig:stps=5", "'ig:stps=5': unknown parameter 'stps': did you mean 'steps'"),
        ("grad:samples=5", "unknown parameter 'samples'"),
        ("ig:steps", "expected key=value after ':' in explainer 'ig:steps', got 'steps'"),
        ("ig:", "expected key=value .* got ''"),
        ("ig:steps=1:steps=2", "sets 'steps' twice"),
        ("ig:steps=0", "steps must be a whole number of at least 1, got '0'"),
        ("ig:steps=2.5", "steps must be a whole number of at least 1, got '2.5'"),
        ("ig:steps=1_0", "steps must be a whole number"),
        ("ig:baseline=white", "baseline must be one of black, mean, zero, got 'white'"),
        ("sg-ig:samples=0", "samples must be a whole number of at least 1, got '0'"),
        ("sg-ig:noise=-0.1", "noise must be a number of at least 0, got '-0.1'"),
        ("sg-ig:noise=nan", "noise must be a number of at least 0, got 'nan'"),
        ("sg-ig:noise=1e999", "noise must be a number of at least 0, got '1e999'"),
        ("random:draw=-1", "draw must be a whole number of at least 0, got '-1'"),
        ("abs-random", "'abs-random' means nothing: 'random' is a control"),
        ("abs-sobel", "'abs-sobel' means nothing: 'sobel' is a control"),
        ("sg-sobel", "use 'sobel'"),
        ("var-input-magnitude", "means nothing"),
        ("sg-pfi", "'pfi' explains the whole function, .*; use 'pfi'"),
        ("abs-sg-pfi", "'abs-sg-pfi' means nothing: .*; use 'abs-pfi'"),
        ("pfi:repeats=0", "repeats must be a whole number of at least 1, got '0'"),
        ("occlusion:patch=0", "patch must be a whole number of at least 1, got '0'"),
        ("rise:cells=1", "cells must be a whole number of at least 2, got '1'"),
        ("lime:width=-1", "width must be a number of at least 0, got '-1'"),
        ("kernel-shap:coalitions=1", "coalitions must be a whole number of at least 2, got '1'"),
        ("occlusion:baseline=grey", "baseline must be one of black, mean, zero, got 'grey'"),
        ("pfii", "unknown explainer 'pfii': did you mean 'pfi'"),
    ],
)
def test_refusals(name: str, message: str) -> None:
    with pytest.raises(UproarError, match=message):
        parse(name)


@pytest.mark.parametrize("base", ["grad", "sg-mine", "abs-mine", "a:b", ""])
def test_refused_names_of_ones_own(base: str) -> None:
    with pytest.raises(UproarError, match="explainer cannot be called"):
        parse("ig", extra_bases=[base])


ALPHA = Parameter("alpha", 1)
SHARE = Parameter("share", 0.5, most=1)


@pytest.mark.parametrize(
    ("parameter", "text", "value"),
    [
        (ALPHA, "-2", -2),
        (SHARE, "-1e9", -1e9),
        (Parameter("layer", "auto"), "head.0", "head.0"),
        (Parameter("alpha", 1, least=-5), "-5", -5),
    ],
)
def test_a_parameter_needs_no_bounds(parameter: Parameter, text: str, value: object) -> None:
    assert options_of("x", [f"{parameter.name}={text}"], [parameter]) == {parameter.name: value}


@pytest.mark.parametrize(
    ("parameter", "text", "message"),
    [
        (ALPHA, "2.5", "explainer 'x': alpha must be a whole number, got '2.5'"),
        (SHARE, "inf", "share must be a number of at most 1, got 'inf'"),
        (SHARE, "-1e999", "share must be a number of at most 1, got '-1e999'"),
        (Parameter("share", 0.5, least=0, most=1), "2", "of at least 0 and at most 1, got '2'"),
    ],
)
def test_bounds_of_parameters(parameter: Parameter, text: str, message: str) -> None:
    with pytest.raises(UproarError, match=f"{message}$"):
        options_of("x", [f"{parameter.name}={text}"], [parameter])


def test_what_is_no_number_is_within_no_bounds() -> None:
    with pytest.raises(ValueError, match=r"^share must be at most 1, got nan$"):
        SHARE.check(float("nan"))
    with pytest.raises(ValueError, match=r"^alpha must be a number, got nan$"):
        ALPHA.check(float("nan"))


@pytest.mark.parametrize(
    ("name", "promises"),
    [
        ("ig", ("ignores idle features", "adds up")),
        ("untrained-ig", ("ignores idle features", "adds up")),
        ("abs-sg-ig", ("ignores idle features",)),
        ("global-lime", ("nearly ignores idle features",)),
        ("random", ()),
    ],
)
def test_promises_are_those_that_every_prefix_keeps(name: str, promises: object) -> None:
    assert parse(name).entry().promises == promises


def test_names_are_read_without_torch() -> None:
    check = "import sys, uproar.explain.names; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)


def test_parameters_of_explainers_are_not_called_as_those_of_ensembles() -> None:
    taken = set(defaults_of(ENSEMBLES[0].parameters))
    assert not [entry.name for entry in EXPLAINERS if taken & set(defaults_of(entry.parameters))]


@pytest.mark.parametrize(
    ("name", "canonical", "family"),
    [
        ("untrained-ig", "untrained-ig", "untrained-ig"),
        (
            "global-abs-sg-ig:steps=25:samples=3",
            "global-abs-sg-ig:samples=3",
            "global-ig:samples=3",
        ),
        ("untrained-global-sq-grad", "untrained-global-sq-grad", "untrained-global-grad"),
        ("global-random", "global-random", "global-random"),
        ("global-mine", "global-mine", "global-mine"),
    ],
)
def test_variants(name: str, canonical: str, family: str) -> None:
    parsed = parse(name, ["mine"])
    assert (parsed.name, parsed.family) == (canonical, family)
    assert parse(parsed.name, ["mine"]) == parsed
    assert parsed.untrained == name.startswith("untrained")
    assert parsed.of_function == ("global" in name)
    assert parsed.entry().scope == ("global" if "global" in name else "local")
    assert parsed.entry().kind == (
        "control" if parsed.untrained or name == "global-random" else "estimator"
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("untrained-random", "'random' does not look at what the model has learned; use 'random'"),
        ("global-untrained-ig", "unknown explainer 'global-untrained-ig'"),
        ("untrained-untrained-ig", "unknown explainer"),
    ],
)
def test_variants_that_mean_nothing(name: str, message: str) -> None:
    with pytest.raises(UproarError, match=message):
        parse(name)


def test_table_entry_of_variants() -> None:
    entry = parse("untrained-global-ig").entry()
    assert entry.summary.startswith("mean absolute importance over held-out examples of integrated")
    assert entry.summary.endswith(", with random weights")
    assert "1810.03292" in entry.paper
    assert not entry.signed
    assert entry.estimand
    assert entry.passes == "steps"
    assert parse("sg-ig").entry().passes == "samples * (steps)"
