"""Draws, and what is said without them: against each other, and in simulations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import oracles
from uproar.stats import resampling
from uproar.stats.levels import half_width, level_means, two_sided, variances
from uproar.stats.resampling import deviations, gain_draws, holm, smallest_detectable

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


def p_values(gains: np.ndarray) -> np.ndarray:
    means = list(level_means(gains).values())
    units = [values.shape[1] for values in means]
    return two_sided(gains.mean(axis=(1, 2, 3)), variances(means), units)


# Draws


@pytest.mark.parametrize("shape", SHAPES)
def test_draws_have_the_law_of_the_interval(shape) -> None:
    gains = generator(4).normal(size=(1, *shape)) + 0.5
    again = gain_draws(gains, generator=generator(5), draws=20_000)[:, 0] - gains.mean()
    means = list(level_means(gains).values())
    units = [values.shape[1] for values in means]
    for level in (0.5, 0.2, 0.05, 0.01):
        half = half_width(variances(means), units, level=level)
        for beyond in (again > half, again < -half):
            sure = 4 * np.sqrt(level / 2 / 20_000)
            assert beyond.mean() == pytest.approx(level / 2, abs=sure)


def test_draws_of_two_explainers_vary_together_as_their_means_do() -> None:
    means = generator(6).normal(size=(2, 40)) + generator(7).normal(size=40)
    again = deviations(means, generator=generator(8), draws=40_000)
    assert np.cov(again.T) == pytest.approx(np.cov(means) / 40, rel=0.05)


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


def test_protocols_with_and_without_repeats_draw_the_same_of_examples() -> None:
    example = generator(11).normal(size=(1, 1, 1, 40))
    once = gain_draws(example, generator=generator(4), draws=300)
    often = gain_draws(np.repeat(example, 5, axis=2), generator=generator(4), draws=300)
    assert often == pytest.approx(once)


# Error rates: noise of repeats, of examples, of both; and what a plain bootstrap would do


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
    found = p_values(simulated(1200, (1, repeats, 50), **noise))
    assert (found <= 0.05).mean() <= 0.07
    assert (found <= 0.01).mean() <= 0.02


@pytest.mark.slow
def test_false_positives_with_base_models() -> None:
    random = generator(12)
    gains = simulated(1200, (3, 3, 40), repeat=0.2, example=1.0, both=0.5)
    gains += 0.3 * random.normal(size=(1200, 3, 1, 1))
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
    gains = simulated(1200, (1, 5, 60), **noise)
    size = float(np.median([smallest_detectable(gains[i : i + 1]) for i in range(50)]))
    assert (p_values(gains + size) <= 0.05).mean() == pytest.approx(0.8, abs=0.05)


def test_smallest_detectable_gain_grows_with_tests_power_and_certainty() -> None:
    gains = generator(14).normal(size=(1, 1, 5, 60))
    least = smallest_detectable(gains)
    assert smallest_detectable(np.repeat(gains, 9, axis=0)) > least
    assert smallest_detectable(gains, power=0.95) > least
    assert smallest_detectable(gains, level=0.01) > least
    assert np.isnan(smallest_detectable(gains[:0]))


def test_smallest_detectable_gain_is_the_bar_of_holm_and_what_power_asks() -> None:
    gains = generator(16).normal(size=(3, 1, 5, 60))
    found = []
    for each in gains:
        levels = oracles.level_errors(each)
        found.append(oracles.half_width(levels, 0.05 / 3) + oracles.half_width(levels, 0.4))
    assert smallest_detectable(gains) == pytest.approx(np.median(found), rel=1e-3)


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
