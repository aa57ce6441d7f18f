"""One scale per level: against integrals and sums of t's, and how often equal things differ."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import stdtr

from tests.support import oracles
from uproar.stats import levels
from uproar.stats.levels import (
    half_width,
    level_means,
    two_sided,
    variances,
)
from uproar.stats.resampling import holm

SHAPES = [(1, 1, 12), (1, 5, 12), (3, 1, 12), (2, 5, 12)]
Array = NDArray[np.float64]


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# Errors


@pytest.mark.parametrize("shape", SHAPES)
def test_errors_follow_the_definition(shape) -> None:
    gains = generator(1).normal(size=(3, *shape))
    found = np.sqrt(variances(list(level_means(gains).values())))
    for index in range(3):
        expected = [error for error, _ in oracles.level_errors(gains[index])]
        assert found[:, index] == pytest.approx(expected)


@pytest.mark.parametrize("shape", [(1, 5, 12), (3, 1, 12)])
def test_what_is_all_interaction_leaves_examples_nothing(shape) -> None:
    """Then the means of the units have all of it, and the examples would count it once more."""
    random, rates = generator(2), []
    for _ in range(300):
        gains = random.normal(size=(1, *shape))
        outer, examples = variances(list(level_means(gains).values()))[:, 0]
        rates.append((outer, examples))
    outer, examples = np.mean(rates, axis=0)
    truth = 1 / np.prod(shape)
    assert outer == pytest.approx(truth, rel=0.1)
    # What is left of the examples is what is above zero by chance.
    assert examples < 0.25 * truth


def test_levels_of_one_unit_are_left_out() -> None:
    assert list(level_means(np.zeros((1, 1, 5, 9)))) == ["repeats", "examples"]
    assert list(level_means(np.zeros((1, 2, 1, 9)))) == ["base models", "examples"]


# The probability


@pytest.mark.parametrize("units", [2, 3, 5, 30, 31, 1000])
def test_one_level_is_student_s_t(units) -> None:
    p_values = np.geomspace(1e-3, 1, 20)
    far = -levels_quantile(units - 1, p_values)
    found = two_sided(far, np.ones((1, 20)), [units])
    assert found == pytest.approx(p_values, rel=1e-3)
    expected = [oracles.behrens_fisher(each, [(1.0, units)]) for each in far]
    assert found == pytest.approx(expected, rel=1e-3)


def levels_quantile(freedom: int, p_values: Array) -> Array:
    from scipy.special import stdtrit

    return np.asarray(stdtrit(freedom, p_values / 2))


@pytest.mark.parametrize("units", [(2, 2), (2, 12), (3, 40), (5, 360), (2, 1000)])
@pytest.mark.parametrize("ratio", [0.1, 0.5, 2.0])
def test_two_levels_are_the_convolution_of_two_t_s(units, ratio) -> None:
    wide = float(half_width(np.array([[1.0], [ratio**2]]), units, level=1e-3)[0])
    for far in (0.0, *np.geomspace(0.1 * ratio, wide, 6)):
        (found,) = two_sided(np.array([far]), np.array([[1.0], [ratio**2]]), units)
        expected = oracles.behrens_fisher(far, [(1.0, units[0]), (ratio, units[1])])
        assert found == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("units", "errors"),
    [((3, 2, 40), (0.5, 1.0, 0.3)), ((3, 5, 12), (1.0, 0.2, 1.0)), ((2, 2, 2), (1.0, 1.0, 1.0))],
)
def test_three_levels_are_as_likely_as_sums_of_t_s(units, errors) -> None:
    random, draws = generator(3), 400_000
    sums = sum(
        error * random.standard_t(count - 1, size=draws)
        for count, error in zip(units, errors, strict=True)
    )
    far = np.quantile(np.abs(sums), [0.2, 0.5, 0.8, 0.95, 0.99])
    squares = np.repeat(np.square(errors)[:, None], len(far), axis=1)
    found = two_sided(far, squares, units)
    expected = (np.abs(sums) > far[:, None]).mean(1)
    assert found == pytest.approx(expected, abs=1e-4, rel=0.03)


@pytest.mark.slow
def test_three_levels_are_a_convolution_of_a_convolution() -> None:
    units, errors = (3, 5, 40), (0.5, 1.0, 0.3)
    for far in (0.5, 3.0):
        (found,) = two_sided(np.array([far]), np.square(errors)[:, None], units)
        expected = oracles.behrens_fisher(far, list(zip(errors, units, strict=True)))
        assert found == pytest.approx(expected, rel=1e-3)


def test_a_level_without_error_says_nothing() -> None:
    far, errors = np.array([0.5, 2.0, 9.0]), np.ones((1, 3))
    alone = two_sided(far, errors, [5])
    assert two_sided(far, np.concatenate([errors, 0 * errors]), [5, 2]) == pytest.approx(alone)


def test_signs_and_units_of_measurement_do_not_matter() -> None:
    far, errors = np.array([0.5, 2.0, 9.0]), generator(4).random((2, 3))
    once = two_sided(far, errors, [3, 20])
    assert np.array_equal(two_sided(-far, errors, [3, 20]), once)
    assert two_sided(0.01 * far, 1e-4 * errors, [3, 20]) == pytest.approx(once, rel=1e-9)


def test_without_any_error_only_zero_is_likely() -> None:
    errors = np.zeros((2, 3))
    assert two_sided(np.array([0.0, 0.1, -0.1]), errors, [2, 9]).tolist() == [1, 0, 0]
    assert half_width(errors, [2, 9]).tolist() == [0, 0, 0]


@pytest.mark.parametrize("units", [(2,), (2, 12), (5, 360), (3, 2, 40)])
@pytest.mark.parametrize("level", [0.9, 0.5, 0.05, 0.05 / 22, 0.001])
def test_half_the_interval_is_the_difference_of_that_probability(units, level) -> None:
    errors = generator(5).exponential(size=(len(units), 6))
    half = half_width(errors, units, level=level)
    assert two_sided(half, errors, units) == pytest.approx(level, rel=1e-6)
    assert half_width(4 * errors, units, level=level) == pytest.approx(2 * half)


def test_chunks_change_nothing(monkeypatch) -> None:
    far, errors = generator(6).normal(size=(5, 4)), generator(7).random((2, 5, 4))
    whole = two_sided(far, errors, [3, 20])
    monkeypatch.setattr(levels, "CHUNK", 1)
    assert whole.shape == (5, 4)
    assert two_sided(far, errors, [3, 20]) == pytest.approx(whole, rel=1e-12)


# How often explainers that equal random are found to differ, where Holm looks: at the smallest of
# the p-values of a family

FAMILIES, MOST, WORLDS = (5, 22), 22, 1000
Test = Callable[[Array, Array, list[int]], Array]


def units_of(worlds: int, shape: tuple[int, ...], random: np.random.Generator, *, shared: bool):
    """Noise of 22 explainers less that of random, which all of a world share or none does."""
    noise = random.normal(size=(worlds, MOST, *shape))
    if shared:
        noise = (random.normal(size=(worlds, 1, *shape)) - noise) / np.sqrt(2)
    return noise


def noise_of(repeats: int, base_models: int, *, shared: bool) -> tuple[list[Array], Array]:
    """Means of base models (where there are several) and repeats, and of examples."""
    random = generator(100 * repeats + 10 * base_models + shared)
    cells = units_of(WORLDS, (1, repeats), random, shared=shared)
    if base_models > 1:
        cells = cells + 0.5 * units_of(WORLDS, (base_models, 1), random, shared=shared)
        cells = cells + 0.5 * units_of(WORLDS, (base_models, repeats), random, shared=shared)
    examples = units_of(WORLDS, (31,), random, shared=shared) * np.sqrt(31 / repeats)
    trained = [cells.mean(3), cells.mean(2)] if base_models > 1 else [cells.mean(2)]
    return [values.reshape(WORLDS * MOST, -1) for values in trained], examples.reshape(-1, 31)


def p_values_of(means: list[Array], test: Test) -> Array:
    """Return p-values (worlds, explainers) of gains that are the sum of two kinds of noise."""
    gain = means[-2].mean(1) + means[-1].mean(1)
    return test(gain, variances(means), [values.shape[1] for values in means]).reshape(WORLDS, MOST)


def exact_where_small(gain: Array, errors: Array, units: list[int]) -> Array:
    """Return our p-values where they may be below 0.01, and what bounds them elsewhere.

    They are at least those of every level alone: more noise makes larger sums.
    """
    alone = [
        2 * stdtr(count - 1, -np.abs(gain) / np.sqrt(error))
        for count, error in zip(units, errors, strict=True)
    ]
    found = np.max(alone, axis=0)
    small = found < 0.05 / min(FAMILIES)
    found[small] = two_sided(gain[small], errors[:, small], units)
    return np.asarray(found)


def one_t_for_the_sum(gain: Array, errors: Array, units: list[int]) -> Array:
    """Return the p-values of Welch and Satterthwaite, which we once used."""
    freedom = np.array(units)[:, None] - 1
    degrees = errors.sum(0) ** 2 / (errors**2 / freedom).sum(0)
    return np.asarray(2 * stdtr(degrees, -np.abs(gain) / np.sqrt(errors.sum(0))))


def families_in_error(p_values: Array, explainers: int) -> float:
    """Return the share of the worlds in which one of the first explainers is found to differ."""
    return float(np.mean([holm(row).min() <= 0.05 for row in p_values[:, :explainers]]))


@pytest.mark.slow
@pytest.mark.parametrize("repeats", [2, 3, 5])
@pytest.mark.parametrize("base_models", [1, 3])
@pytest.mark.parametrize("shared", [True, False])
def test_families_of_equals_are_rarely_in_error(repeats, base_models, shared) -> None:
    trained, examples = noise_of(repeats, base_models, shared=shared)
    most = 0.065 + 3 * np.sqrt(0.065 * 0.935 / WORLDS)
    for ratio in (0.1, 0.5, 2.0):
        p_values = p_values_of([*trained, ratio * examples], exact_where_small)
        for explainers in FAMILIES:
            assert families_in_error(p_values, explainers) <= most, (ratio, explainers)


def test_one_t_for_the_sum_fails_that_test() -> None:
    trained, examples = noise_of(2, 1, shared=False)
    p_values = p_values_of([*trained, 0.5 * examples], one_t_for_the_sum)
    assert families_in_error(p_values, 22) > 0.15


def test_p_values_are_at_least_those_of_one_level_alone() -> None:
    trained, examples = noise_of(3, 3, shared=False)
    means = [*trained, 0.5 * examples]
    some = [values[:200] for values in means]
    gain, units = some[-2].mean(1) + some[-1].mean(1), [values.shape[1] for values in some]
    errors = variances(some)
    bounded, exact = exact_where_small(gain, errors, units), two_sided(gain, errors, units)
    assert (bounded <= exact * 1.001).all()
