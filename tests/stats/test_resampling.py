"""The bootstrap and the closed form: against loops, against each other, and in simulations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import oracles
from uproar.stats import resampling
from uproar.stats.resampling import (
    error_of_differences,
    error_of_gains,
    gain_draws,
    holm,
    level_means,
    smallest_detectable,
    standard_error,
)

SHAPES = [(1, 1, 12), (1, 5, 12), (3, 1, 12), (2, 5, 12)]


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def simulated(
    worlds: int,
    shape: tuple[int, int, int],
    *,
    repeat: float,
    example: float,
    both: float,
    seed: int = 0,
) -> np.ndarray:
    """Gains with mean zero in many worlds at once, one world in the place of each explainer."""
    random = generator(seed)
    base, repeats, examples = shape
    return (
        repeat * random.normal(size=(worlds, base, repeats, 1))
        + example * random.normal(size=(worlds, 1, 1, examples))
        + both * random.normal(size=(worlds, *shape))
    )


def p_values(gains: np.ndarray, draws: int = 200, groups: int = 12) -> np.ndarray:
    """Two-sided p-values, with fresh draws for each group of worlds.

    Of true nulls, p-values are below 0.05 and 0.01 as often with 200 draws as with many: ten and
    two of the 201 places that the observed gain can take among them.
    """
    found = []
    for seed, group in enumerate(np.array_split(gains, groups)):
        again = gain_draws(group, generator=generator(seed), draws=draws)
        sides = np.minimum((again <= 0).sum(axis=0), (again >= 0).sum(axis=0))
        found.append(np.minimum(2 * (1 + sides) / (draws + 1), 1.0))
    return np.concatenate(found)


# Standard errors


@pytest.mark.parametrize("shape", SHAPES)
def test_error_and_degrees_follow_the_definition(shape) -> None:
    gains = generator(1).normal(size=(3, *shape))
    error, degrees = error_of_gains(gains)
    for index in range(3):
        expected = oracles.error_and_degrees(gains[index])
        assert (error[index], degrees[index]) == pytest.approx(expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_errors_of_differences_are_errors_of_the_subtracted_gains(shape) -> None:
    gains = generator(2).normal(size=(3, *shape))
    error, degrees = error_of_differences(gains)
    for first, second in [(0, 1), (0, 2), (1, 2)]:
        expected = oracles.error_and_degrees(gains[first] - gains[second])
        assert (error[first, second], degrees[first, second]) == pytest.approx(expected)
        assert error[second, first] == pytest.approx(error[first, second])
    assert np.diag(error) == pytest.approx(0, abs=1e-7)


def test_degrees_lie_between_the_fewest_and_all() -> None:
    _, degrees = error_of_gains(generator(3).normal(size=(50, 2, 5, 30)))
    assert (degrees >= 1).all()
    assert (degrees <= 1 + 4 + 29).all()


def test_no_spread_has_no_error() -> None:
    error, degrees = standard_error(np.zeros((2, 3)), [5, 9])
    assert error.tolist() == [0, 0, 0]
    assert degrees.tolist() == [1, 1, 1]


def test_levels_of_one_unit_are_left_out() -> None:
    assert list(level_means(np.zeros((1, 1, 5, 9)))) == ["repeats", "examples"]
    assert list(level_means(np.zeros((1, 2, 1, 9)))) == ["base models", "examples"]


# Draws


@pytest.mark.parametrize("shape", SHAPES)
def test_draws_are_spread_as_those_of_the_loop(shape) -> None:
    gains = generator(4).normal(size=shape) + 0.5
    ours = gain_draws(gains[None], generator=generator(5), draws=10_000)[:, 0]
    theirs = oracles.student_bootstrap(gains, generator(6), 1500)
    size = theirs.std() if theirs.std() < 10 else 1.0
    # Quartiles and the 10th and 90th percentile: each within four standard errors of the loop.
    at = [0.1, 0.25, 0.5, 0.75, 0.9]
    assert np.quantile(ours, at) == pytest.approx(np.quantile(theirs, at), abs=0.2 * size)


def test_one_repeat_draws_examples_only() -> None:
    gains = generator(7).normal(size=(1, 1, 1, 30))
    again = gain_draws(gains, generator=generator(8), draws=20_000)
    expected = gains.std(ddof=1) / np.sqrt(30) * np.sqrt(29 / 27)  # Student's t is a little wider
    assert again.std() == pytest.approx(expected, rel=0.03)
    assert again.mean() == pytest.approx(gains.mean(), abs=0.01)


def test_draws_do_not_depend_on_the_chunk(monkeypatch) -> None:
    gains = generator(9).normal(size=(3, 2, 5, 30))
    whole = gain_draws(gains, generator=generator(1), draws=200)
    monkeypatch.setattr(resampling, "CHUNK", 100)
    assert np.array_equal(whole, gain_draws(gains, generator=generator(1), draws=200))


def test_equal_explainers_tie_in_every_draw_and_equal_seeds_give_equal_draws() -> None:
    gains = generator(10).normal(size=(3, 1, 5, 30))
    gains[2] = gains[0]
    again = gain_draws(gains, generator=generator(2), draws=300)
    assert np.array_equal(again[:, 0], again[:, 2])
    assert np.array_equal(again, gain_draws(gains, generator=generator(2), draws=300))
    assert not np.array_equal(again, gain_draws(gains, generator=generator(3), draws=300))


def test_protocols_with_and_without_repeats_resample_the_same_examples() -> None:
    example = generator(11).normal(size=(1, 1, 1, 40))
    once = gain_draws(example, generator=generator(4), draws=300)
    often = gain_draws(np.repeat(example, 5, axis=2), generator=generator(4), draws=300)
    assert often == pytest.approx(once)


# Error rates: noise of repeats, of examples, of both; and what the plain bootstrap would do


@pytest.mark.slow
@pytest.mark.parametrize(
    ("repeats", "noise"),
    [
        (5, {"repeat": 1.0, "example": 0.0, "both": 0.0}),
        (5, {"repeat": 0.2, "example": 1.0, "both": 1.0}),
        (5, {"repeat": 0.0, "example": 0.0, "both": 1.0}),
        (2, {"repeat": 1.0, "example": 0.0, "both": 0.0}),
        (1, {"repeat": 0.0, "example": 1.0, "both": 0.0}),
    ],
)
def test_false_positives_stay_near_the_level(repeats, noise) -> None:
    found = p_values(simulated(800, (1, repeats, 50), **noise))
    assert (found <= 0.05).mean() <= 0.07
    assert (found <= 0.01).mean() <= 0.02


@pytest.mark.slow
def test_false_positives_with_base_models() -> None:
    random = generator(12)
    gains = simulated(800, (3, 3, 40), repeat=0.2, example=1.0, both=0.5)
    gains += 0.3 * random.normal(size=(800, 3, 1, 1))
    assert (p_values(gains) <= 0.05).mean() <= 0.07


@pytest.mark.slow
@pytest.mark.parametrize("degrees", [1000, 3])
@pytest.mark.parametrize("repeats", [1, 5])
def test_false_positives_with_squared_errors(degrees, repeats) -> None:
    """Two rankings whose models err alike, about Gaussian and about heavy-tailed labels (t3)."""
    random, worlds, examples = generator(15), 600, 200
    noise = random.standard_t(degrees, size=(worlds, 1, 1, 1, examples))
    # What a ranking does to the answer to an example is the same in all repeats, but for a part.
    shape = (worlds, 2, 1, repeats, examples)
    off = 0.4 * random.normal(size=(worlds, 2, 1, 1, examples)) + 0.2 * random.normal(size=shape)
    scores = (1 - 0.5 * (noise - off) ** 2).astype(np.float32).astype(np.float64)
    found = p_values(scores[:, 0] - scores[:, 1])
    assert (found <= 0.05).mean() <= 0.07
    assert (found <= 0.01).mean() <= 0.025


def test_plain_bootstrap_errs_more_often() -> None:
    gains = simulated(1200, (1, 5, 50), repeat=1.0, example=0.0, both=0.0)
    means = gains.mean(axis=(1, 3))
    again = means[:, generator(13).integers(5, size=(400, 5))].mean(axis=2)
    low, high = np.quantile(again, [0.025, 0.975], axis=1)
    assert ((low > 0) | (high < 0)).mean() > 0.1


@pytest.mark.slow
def test_smallest_detectable_gain_is_found_in_four_of_five_runs() -> None:
    noise = {"repeat": 0.1, "example": 1.0, "both": 0.1}
    gains = simulated(800, (1, 5, 60), **noise)
    size = float(np.median([smallest_detectable(gains[i : i + 1]) for i in range(200)]))
    assert (p_values(gains + size) <= 0.05).mean() == pytest.approx(0.8, abs=0.05)


def test_smallest_detectable_gain_grows_with_tests_power_and_certainty() -> None:
    gains = generator(14).normal(size=(1, 1, 5, 60))
    least = smallest_detectable(gains)
    assert smallest_detectable(np.repeat(gains, 9, axis=0)) > least
    assert smallest_detectable(gains, power=0.95) > least
    assert smallest_detectable(gains, level=0.01) > least
    assert np.isnan(smallest_detectable(gains[:0]))


# Holm


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_follows_the_definition_and_keeps_the_order(raw) -> None:
    adjusted = holm(np.array(raw))
    assert adjusted == pytest.approx(oracles.holm(raw))
    assert (adjusted >= np.array(raw)).all()
    assert (adjusted <= 1).all()
    order = np.argsort(raw)
    assert (np.diff(adjusted[order]) >= 0).all()


def test_holm_literal_and_error() -> None:
    assert holm(np.array([0.02, 0.001, 0.9, 0.02])) == pytest.approx([0.06, 0.004, 0.9, 0.06])
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\], got \[1\.5, nan\]"):
        holm(np.array([0.1, 1.5, np.nan]))
