"""Passes through the model: formulas of entries, worked out by hand, and what is no formula.

That they are what is counted is tested for every explainer in ``test_explain_properties.py``.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

import uproar.explain.names
from uproar.explain import EXPLAINERS
from uproar.explain.cost import passes_of
from uproar.explain.explainer import Explainer
from uproar.explain.names import parse


def with_formula(formula: str, monkeypatch: pytest.MonkeyPatch) -> float:
    """Return what a formula gives for ``ig`` with 25 steps, 10 features and 3 outputs."""
    entries = [replace(entry, passes=formula) for entry in EXPLAINERS if entry.name == "ig"]
    monkeypatch.setattr(uproar.explain.names, "EXPLAINERS", tuple(entries))
    return passes_of(parse("ig"), features=10, outputs=3)


@pytest.mark.parametrize(
    ("name", "passes"),
    [
        ("grad", 1),
        ("ig:steps=7", 7),
        ("abs-sg-grad", 15),
        ("var-ig:steps=7:samples=3", 21),
        ("global-ig:steps=7", 7),
        ("untrained-sq-ig:steps=7", 7),
        ("occlusion", 101),
        ("pfi:repeats=2", 201),
        ("random", 0),
        ("encoder", 1),
    ],
)
def test_passes_of_names(name: str, passes: int) -> None:
    assert passes_of(parse(name), features=100, outputs=10) == passes


def test_rows_of_a_table_share_what_lime_asks() -> None:
    name = parse("lime:perturbations=101")
    assert passes_of(name, features=9) == 101
    assert passes_of(name, features=9, table_rows=50) == 3


def test_explainers_of_ones_own_are_not_known() -> None:
    assert passes_of(parse("mine", ["mine"]), features=100) == 0


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("2 * steps + 1", 51),
        ("steps + features * outputs", 55),
        ("(steps + features) * outputs", 105),
        ("steps - 2 ** 3", 17),
        ("steps / 2", 12.5),
        ("steps // 2", 12),
        ("ceil(steps / 2)", 13),
        ("min(steps, features, 4)", 4),
        ("max(1, features)", 10),
    ],
)
def test_arithmetic(formula: str, value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    assert math.isclose(with_formula(formula, monkeypatch), value)


@pytest.mark.parametrize(
    "formula",
    ["stps", "baseline", "open('x')", "features.real", "steps if features else 0", "'7'", "-steps"],
)
def test_what_is_no_formula(formula: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="no formula of passes"):
        with_formula(formula, monkeypatch)


def test_the_default_is_that_the_model_is_not_asked() -> None:
    assert Explainer(name="mine", summary="", path="").passes == "0"
