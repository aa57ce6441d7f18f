"""Importance of the function as tables, against literal answers and SciPy."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, spearmanr

from uproar.bench import explaining
from uproar.models import view
from uproar.plan.effort import MOST_HELD_OUT
from uproar.plan.job import Job
from uproar.results.function import (
    ARRAYS,
    COLUMNS,
    feature_names,
    function_table,
    measured,
    over_bases,
    rank_agreement,
)
from uproar.run.cell import Cell, Outcome

NAN = math.nan


def job(base: int, *members: str) -> Job:
    return Job(Cell("explain", {"base": base, "members": members}), 1.0, base=base, members=members)


def outcome(**arrays: list[list[float]]) -> Outcome:
    values = {f"function/{name}": np.array(array) for name, array in arrays.items()}
    return Outcome({}, values, dict.fromkeys(arrays, 2.0))


def test_names_and_limits_are_those_of_where_they_are_made() -> None:
    assert ARRAYS == explaining.FUNCTION
    assert MOST_HELD_OUT == view.HELD_OUT


def test_what_was_measured_is_found_by_explainer_and_base_model() -> None:
    found = measured(
        {
            job(1, "pfi", "grad"): outcome(pfi=[[3.0], [0.0], [1.0]]),
            job(0, "pfi"): outcome(pfi=[[1.0], [0.0], [1.0]]),
            job(0, "grad"): outcome(),
        }
    )
    assert list(found) == ["pfi"]
    assert {base: array[0, 0] for base, array in found["pfi"].items()} == {1: 3.0, 0: 1.0}


def test_numbers_that_explanations_tell_are_averaged_over_base_models() -> None:
    told = {job(0, "a", "b"): outcome(a=[[1.0]], b=[[5.0]]), job(1, "a"): outcome(a=[[4.0]])}
    means = over_bases(
        told, lambda _, found, member: float(found.arrays[f"function/{member}"][0, 0])
    )
    assert means == {"a": 2.5, "b": 5.0}


def test_one_row_per_explainer_base_model_and_feature() -> None:
    first = np.array([[0.2, -0.1, 0.0], [0.05, 0.05, 0.05], [0.0001, 0.9, 0.04]])
    raised = np.array([[1.0], [0.0], [0.0]])
    table = function_table(
        {"pfi": {1: first + raised, 0: first}, "gain": {0: np.where(first > 1, 0.0, NAN)}},
        ["age", "sex", "day"],
    )
    assert tuple(table.columns) == COLUMNS
    assert table[["explainer", "base_model", "feature"]].values.tolist() == [
        [explainer, base, feature]
        for explainer, base in (("pfi", 0), ("pfi", 1), ("gain", 0))
        for feature in ("age", "sex", "day")
    ]
    one = table.iloc[:3]
    reach = norm.ppf(0.975) * 0.05
    assert one["low"].tolist() == pytest.approx([0.2 - reach, -0.1 - reach, -reach])
    assert one["high"].tolist() == pytest.approx([0.2 + reach, -0.1 + reach, reach])
    # Holm's factors 3, 2, 1 for the smallest, middle and largest of the three.
    assert one["p_holm"].tolist() == pytest.approx([0.0003, 0.9, 0.08])
    assert one["verdict"].tolist() == ["above zero", *["not shown above zero"] * 2]


def test_what_has_no_error_and_no_test_is_not_tested() -> None:
    untested = np.array([[2.0, 1.0], [NAN, NAN], [NAN, NAN]])
    table = function_table({"gain": {0: untested}}, ["a", "b"])
    assert table[["low", "high", "p_value", "p_holm"]].isna().all(axis=None)
    assert set(table["verdict"]) == {"not tested"}
    half = np.array([[2.0, 1.0], [0.1, NAN], [0.03, NAN]])
    table = function_table({"gain": {0: half}}, ["a", "b"])
    # Only those that are tested count as tests.
    assert table["p_holm"].tolist()[0] == pytest.approx(0.03)
    assert table["verdict"].tolist() == ["above zero", "not tested"]


def test_without_explainers_of_the_function_there_are_no_rows_but_the_columns() -> None:
    table = function_table({}, ["a"])
    assert table.empty
    assert tuple(table.columns) == COLUMNS
    assert list(rank_agreement({}).columns) == ["first", "second", "spearman"]


def test_rank_agreement_is_spearmans_rho_averaged_over_base_models() -> None:
    generator = np.random.default_rng(0)
    found = {
        name: {base: generator.integers(4, size=(3, 9)).astype(float) for base in (0, 1)}
        for name in ("a", "b", "c")
    }
    del found["c"][1]
    table = rank_agreement(found).set_index(["first", "second"])["spearman"]
    assert list(table.index) == [("a", "b"), ("a", "c"), ("b", "c")]

    def rho(first: str, second: str, base: int) -> float:
        return float(spearmanr(found[first][base][0], found[second][base][0]).statistic)

    assert table["a", "b"] == pytest.approx((rho("a", "b", 0) + rho("a", "b", 1)) / 2)
    assert table["b", "c"] == pytest.approx(rho("b", "c", 0))


def test_rank_agreement_with_what_does_not_order_is_unknown() -> None:
    flat = {"a": {0: np.ones((3, 4))}, "b": {0: np.arange(12.0).reshape(3, 4)}}
    assert math.isnan(rank_agreement(flat)["spearman"][0])
    apart = {"a": {0: np.ones((3, 4))}, "b": {1: np.ones((3, 4))}}
    assert math.isnan(rank_agreement(apart)["spearman"][0])


@pytest.mark.parametrize(
    ("kind", "shape", "given", "patch", "names"),
    [
        ("table", [2], ["age", "sex"], 1, ["age", "sex"]),
        ("table", [2], [], 1, ["feature 0", "feature 1"]),
        ("image", [1, 2], [], 1, ["row 1, column 1", "row 1, column 2"]),
        ("image", [2, 1], [], 4, ["patch in row 1, column 1", "patch in row 2, column 1"]),
        ("series", [2], ["x"], 1, ["step 1", "step 2"]),
        ("series", [2, 1], ["x", "y"], 1, ["x, step 1", "y, step 1"]),
        ("series", [2, 1], [], 1, ["channel 1, step 1", "channel 2, step 1"]),
        ("text", [2], [], 1, ["position 1", "position 2"]),
    ],
)
def test_features_have_names_or_places(
    kind: str, shape: list[int], given: list[str], patch: int, names: list[str]
) -> None:
    facts = {"kind": kind, "feature_shape": shape, "feature_names": given}
    assert feature_names(facts, patch) == names


def test_the_table_survives_csv(tmp_path: Path) -> None:
    table = function_table(
        {"pfi": {0: np.array([[0.5, 0.0], [0.1, 0.1], [0.01, NAN]])}}, ["a", "b"]
    )
    path = tmp_path / "function.csv"
    table.to_csv(path, index=False)
    pd.testing.assert_frame_equal(pd.read_csv(path), table)
