"""Ranking: properties on any importance, against a loop over one feature at a time."""

from __future__ import annotations

import sys
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jaxtyping import TypeCheckError
from scipy.stats import chisquare

from tests.support import oracles
from uproar.ranking import count, drawn_lots, rank, removed_mask, ties

SHAPES = hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=7)
# Few different values, so that there are many ties.
ELEMENTS = {
    np.float32: st.sampled_from([-2.5, -1.0, -0.0, 0.0, 0.5, 3.0, float("inf"), float("-inf")]),
    np.float64: st.floats(-3, 3, width=16),
    np.int64: st.integers(-3, 3),
    np.uint8: st.integers(0, 255),
    np.int8: st.integers(-128, 127),
}
IMPORTANCE = st.sampled_from(sorted(ELEMENTS, key=str)).flatmap(
    lambda dtype: hnp.arrays(dtype, SHAPES, elements=ELEMENTS[dtype])
)
FRACTIONS = st.integers(0, 1000).map(lambda thousandths: thousandths / 1000)


@pytest.mark.slow
@given(IMPORTANCE)
def test_ranks_are_those_of_the_loop(importance: np.ndarray) -> None:
    ranks = rank(importance)
    assert ranks.shape == importance.shape
    for one, expected in zip(ranks, importance, strict=True):
        assert one.ravel().tolist() == oracles.ranks(expected.ravel().tolist())


@given(IMPORTANCE, st.integers(0, 2**64 - 1))
def test_ranks_by_lot_are_those_of_the_loop(importance: np.ndarray, seed: int) -> None:
    lots = drawn_lots(seed, slice(0, len(importance)), importance.shape[1:])
    ranks = rank(importance, lots)
    assert ranks.dtype == rank(importance).dtype
    for one, values, drawn in zip(ranks, importance, lots, strict=True):
        expected = oracles.ranks(values.ravel().tolist(), drawn.ravel().tolist())
        assert one.ravel().tolist() == expected


@given(IMPORTANCE)
def test_cuts_between_equal_features_are_those_of_the_loop(importance: np.ndarray) -> None:
    lots = drawn_lots(3, slice(0, len(importance)), importance.shape[1:])
    expected = [oracles.ties(values.ravel().tolist()) for values in importance]
    for ranks in (rank(importance), rank(importance, lots)):
        found = ties(importance, ranks)
        assert found.dtype == bool
        assert found.tolist() == expected


def test_an_example_has_its_lots_in_whatever_block_it_is() -> None:
    whole = drawn_lots(7, slice(0, 90), (2, 3))
    assert whole.shape == (90, 2, 3)
    assert len(np.unique(whole)) == whole.size
    blocks = [drawn_lots(7, slice(start, start + 9), (2, 3)) for start in range(0, 90, 9)]
    assert np.array_equal(np.concatenate(blocks), whole)
    assert not (drawn_lots(8, slice(0, 90), (2, 3)) == whole).any()


def test_lots_decide_between_equal_features_alone_and_alike_for_all_explainers() -> None:
    random = np.random.default_rng(0)
    lots = drawn_lots(1, slice(0, 200), (6,))
    one, other = random.normal(size=(2, 200, 6))
    one[:, :3] = other[:, :3] = 9.0
    found = [rank(values, lots) for values in (one, other)]
    assert np.array_equal(found[0][:, :3], found[1][:, :3])
    assert np.array_equal(found[0][:, 3:], rank(one)[:, 3:])
    different = random.normal(size=(200, 6))
    assert np.array_equal(rank(different, lots), rank(different))


@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1])
def test_equal_features_come_first_equally_often(seed: int) -> None:
    examples, features = 6000, 5
    lots = drawn_lots(seed, slice(0, examples), (features,))
    ranks = rank(np.zeros((examples, features)), lots)
    for place in range(features):
        counts = np.bincount(ranks[:, place], minlength=features)
        assert chisquare(counts).pvalue > 1e-4
    # Also in pairs of features, and in an example and the one that follows.
    pairs = ranks[:, 0] * features + ranks[:, 1]
    assert chisquare(np.bincount(pairs)[np.bincount(pairs) > 0]).pvalue > 1e-4
    following = np.bincount(ranks[:-1, 0] * features + ranks[1:, 0])
    assert chisquare(following).pvalue > 1e-4


@given(IMPORTANCE)
def test_ranks_are_a_permutation_that_descends_and_keeps_the_order_of_ties(
    importance: np.ndarray,
) -> None:
    flat = importance.reshape(len(importance), -1)
    for values, ranks in zip(flat, rank(importance).reshape(flat.shape), strict=True):
        order = np.argsort(ranks)
        assert sorted(ranks.tolist()) == list(range(len(values)))
        for first, second in pairwise(order):
            assert values[first] > values[second] or (
                values[first] == values[second] and first < second
            )


@pytest.mark.slow
@given(IMPORTANCE, FRACTIONS)
def test_every_example_loses_exactly_as_many_features(
    importance: np.ndarray, fraction: float
) -> None:
    features = importance[0].size
    ranks = rank(importance)
    removed = removed_mask(ranks, fraction).reshape(len(importance), -1)
    kept = removed_mask(ranks, fraction, keep=True).reshape(len(importance), -1)
    assert removed.dtype == bool
    assert (removed.sum(axis=1) == count(fraction, features)).all()
    assert (kept.sum(axis=1) == features - count(fraction, features)).all()
    for values, row in zip(importance, removed, strict=True):
        assert set(np.flatnonzero(row)) == oracles.top(values.ravel().tolist(), fraction)


@pytest.mark.slow
@given(IMPORTANCE, FRACTIONS)
def test_keeping_is_the_complement_of_removing(importance: np.ndarray, fraction: float) -> None:
    ranks = rank(importance)
    removed = removed_mask(ranks, fraction)
    assert (removed_mask(ranks, fraction, keep=True) == ~removed).all()


@pytest.mark.slow
@given(IMPORTANCE, FRACTIONS)
def test_keeping_the_top_is_removing_the_rest_from_the_other_end(
    importance: np.ndarray, fraction: float
) -> None:
    features = importance[0].size
    ranks = rank(importance)
    reversed_ranks = (features - 1 - ranks.astype(np.int64)).astype(ranks.dtype)
    rest = (features - count(fraction, features)) / features
    kept = removed_mask(ranks, fraction, keep=True)
    assert (kept == removed_mask(reversed_ranks, rest)).all()


@pytest.mark.slow
@given(IMPORTANCE, FRACTIONS, FRACTIONS)
def test_masks_grow_with_the_fraction(importance: np.ndarray, one: float, other: float) -> None:
    low, high = sorted([one, other])
    ranks = rank(importance)
    assert (removed_mask(ranks, low) <= removed_mask(ranks, high)).all()


@given(IMPORTANCE)
def test_inputs_are_not_changed(importance: np.ndarray) -> None:
    before = importance.copy()
    lots = drawn_lots(0, slice(0, len(importance)), importance.shape[1:])
    drawn = lots.copy()
    ties(importance, rank(importance, lots))
    assert (importance == before).all()
    assert (lots == drawn).all()


@pytest.mark.parametrize(
    ("features", "dtype"),
    [(1, "uint8"), (256, "uint8"), (257, "uint16"), (65536, "uint16"), (65537, "uint32")],
)
def test_ranks_take_the_smallest_integers_that_hold_them(features: int, dtype: str) -> None:
    importance = np.arange(features, dtype=np.float32)[None]
    ranks = rank(importance)
    assert ranks.dtype == dtype
    assert ranks[0].tolist() == list(range(features))[::-1]
    assert removed_mask(ranks, 1.0).all()
    assert not removed_mask(ranks, 0.0).any()


def test_unsigned_importance_does_not_wrap_around() -> None:
    assert rank(np.array([[0, 200, 100]], dtype=np.uint8)).tolist() == [[2, 0, 1]]


@pytest.mark.parametrize(
    ("fraction", "features", "expected"),
    [
        (0.0, 64, 0),
        (1.0, 64, 64),
        (0.1, 5, 1),
        (0.5, 5, 3),  # half up, where Python's round gives 2
        (0.5, 1, 1),
        (0.49, 1, 0),
        (0.7, 10, 7),  # 0.7 * 10 is 7.000000000000001 in places, 6.999999999999999 in others
        (0.29, 100, 29),
        (0.145, 100, 15),  # 14.499999999999998 in floating point
        (0.1, 64, 6),
        (0.9, 64, 58),
        (3 / 16, 16, 3),
        (1 / 3, 3, 1),
        (0.5, 150528, 75264),
    ],
)
def test_count_rounds_half_up(fraction: float, features: int, expected: int) -> None:
    assert count(fraction, features) == expected


@given(st.integers(0, 10000), st.integers(1, 5000))
def test_count_is_exact_decimal_arithmetic(ten_thousandths: int, features: int) -> None:
    exact = Fraction(ten_thousandths, 10000) * features
    assert count(ten_thousandths / 10000, features) == (exact + Fraction(1, 2)) // 1


@pytest.mark.parametrize("fraction", [-0.01, 1.01, 10, float("nan"), float("inf")])
def test_a_fraction_outside_0_to_1_is_refused(fraction: float) -> None:
    text = rf"^fraction must lie in \[0, 1\], got {fraction!r}$"
    with pytest.raises(ValueError, match=text):
        count(fraction, 5)
    with pytest.raises(ValueError, match=text):
        removed_mask(np.array([[0, 1]], dtype=np.uint8), fraction)


def test_nan_has_no_rank() -> None:
    importance = np.zeros((3, 2, 2))
    importance[0, 1, 1] = importance[2, 0, 0] = importance[2, 1, 0] = np.nan
    with pytest.raises(ValueError, match="NaN") as error:
        rank(importance)
    assert str(error.value) == (
        "importance has NaN in 2 of 3 examples (shape (3, 2, 2)); return a number for every feature"
    )


@pytest.mark.skipif(
    "tests.support.typechecked" not in sys.modules, reason="conftest.py was left out"
)
def test_shapes_are_checked_in_tests() -> None:
    with pytest.raises(TypeCheckError):
        removed_mask(np.array([[0.5, 1.0]]), 0.5)  # ranks are unsigned integers
