"""Seeds depend on all labelled parts and on nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uproar.seeding import generator_of, seed_of

PARTS = st.lists(st.text(max_size=5) | st.integers(-9, 9), max_size=4)


def test_seeds_stay_what_they_were_in_stored_results() -> None:
    assert seed_of("repeat", "digits", "mlp", 0, 0) == 8806985124204679989
    assert generator_of("data", "digits", 0).integers(1000, size=4).tolist() == [59, 322, 331, 69]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a", "bc"), ("ab", "c")),
        (("a", "b"), ("b", "a")),
        ((1,), ("1",)),
        ((1, 2), (12,)),
        ((), ("",)),
        (("a",), ("a", "")),
        (("str:1:a;",), ("a",)),
        ((-1,), (1,)),
        ((True,), (1,)),
    ],
)
def test_parts_are_told_apart_by_type_length_and_order(one: tuple, other: tuple) -> None:
    assert seed_of(*one) != seed_of(*other)


@given(PARTS, PARTS)
def test_different_parts_have_different_seeds(one: list, other: list) -> None:
    assert (seed_of(*one) == seed_of(*other)) == (one == other)


@given(PARTS)
def test_a_seed_fits_63_bits(parts: list) -> None:
    assert 0 <= seed_of(*parts) < 2**63


def test_generators_of_different_parts_are_uncorrelated() -> None:
    draws = np.stack([generator_of("repeat", r).standard_normal(4000) for r in range(8)])
    correlation = np.corrcoef(draws) - np.eye(8)
    assert np.abs(correlation).max() < 0.08  # five standard errors


def test_generators_of_equal_parts_draw_equally_and_share_no_state() -> None:
    first, second = generator_of("a", 1), generator_of("a", 1)
    drawn = first.random(3)
    assert (second.random(3) == drawn).all()
