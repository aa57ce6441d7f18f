"""Intervals of mean scores: against a quadratic and an integral, and in simulations."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support import oracles
from uproar.stats.intervals import example_interval, score_interval, student_interval


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("repeats", [1, 2, 5])
@pytest.mark.parametrize("level", [0.05, 0.001])
def test_interval_is_the_root_of_wilson_s_equation(repeats, level) -> None:
    accuracies = np.array([0.0, 0.03, 0.2, 0.5, 0.9, 1.0])[:, None, None]
    correct = generator(repeats).random((6, repeats, 40)) < accuracies
    found = np.stack(score_interval(correct, level=level), axis=1)
    expected = np.array([oracles.accuracy_interval(point, level) for point in correct])
    assert found == pytest.approx(expected, abs=3e-4)


@pytest.mark.parametrize("answer", [False, True])
def test_unanimous_answers_have_an_interval_of_some_width(answer) -> None:
    mean, low, high = score_interval(np.full((1, 5, 360), answer))
    assert mean.tolist() == [float(answer)]
    assert 0.009 < (high - low)[0] < 0.012  # 3.87 / (360 + 3.87)


def test_interval_encloses_the_mean_within_zero_and_one() -> None:
    correct = generator(1).random((300, 3, 8)) < generator(2).random((300, 1, 1))
    mean, low, high = score_interval(correct)
    assert (low >= 0).all()
    assert (low <= mean).all()
    assert (mean <= high).all()
    assert (high <= 1).all()
    assert (low < high).all()


def test_points_do_not_depend_on_their_neighbours() -> None:
    correct = generator(3).random((5, 3, 30)) < 0.7
    together = np.stack(score_interval(correct))
    alone = np.concatenate([np.stack(score_interval(point[None])) for point in correct], axis=1)
    assert together == pytest.approx(alone)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("accuracy", "least"),
    # With three wrong answers expected among 150, their spread is known too badly for more.
    [(0.1, 0.93), (0.5, 0.93), (0.9, 0.93), (0.98, 0.92)],
)
@pytest.mark.parametrize(
    ("repeats", "drift", "own"), [(1, 0.0, 1.0), (5, 0.0, 0.3), (5, 0.05, 0.3)]
)
def test_interval_covers_the_truth(accuracy, least, repeats, drift, own) -> None:
    """``own``: the share of examples drawn anew per repeat; ``drift`` moves whole repeats."""
    random, worlds = generator(4), 1200
    shift = drift * min(accuracy, 1 - accuracy) * 2 * random.normal(size=(worlds, repeats, 1))
    chance = np.clip(accuracy + shift, 0, 1)
    shared = random.random((worlds, 1, 150)) + np.zeros((worlds, repeats, 150))
    fresh = random.random((worlds, repeats, 150))
    correct = np.where(random.random((worlds, 1, 150)) < own, fresh, shared) < chance
    _, low, high = score_interval(correct)
    assert ((low <= accuracy) & (accuracy <= high)).mean() >= least


def test_interval_errors_show_what_arrived() -> None:
    with pytest.raises(ValueError, match=r"two examples or more, got \(2, 3, 1\)"):
        score_interval(np.zeros((2, 3, 1), dtype=bool))


# Real scores


@pytest.mark.parametrize("repeats", [1, 2, 5])
@pytest.mark.parametrize("level", [0.05, 0.001])
def test_interval_of_real_scores_is_the_mean_and_half_its_width(repeats, level) -> None:
    scores = (1 - generator(repeats).standard_t(3, size=(4, repeats, 40)) ** 2).astype(np.float32)
    found = np.stack(score_interval(scores, level=level), axis=1)
    expected = np.array([oracles.real_interval(point, level) for point in scores])
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-3)
    one = np.stack(example_interval(scores, level=level), axis=1)
    averaged = scores.mean(axis=1, keepdims=True, dtype=np.float64)
    expected = np.array([oracles.real_interval(point, level) for point in averaged])
    assert one == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_interval_of_real_scores_by_hand() -> None:
    # The mean of -1, 0 and 1 has standard error 1 / sqrt(3); t(0.975, 2) is 4.3027.
    scores = np.array([[[-3.0, -2.0, -1.0]]], dtype=np.float32)
    mean, low, high = score_interval(scores)
    assert (mean[0], low[0], high[0]) == pytest.approx((-2, -2 - 2.48414, -2 + 2.48414), abs=1e-5)


def test_no_interval_of_real_scores_reaches_beyond_one() -> None:
    scores = np.array([[[1.0, 1.0, 0.0]], [[1.0, 1.0, 1.0]]])
    mean, low, high = score_interval(scores)
    assert high.tolist() == [1, 1]
    assert low[0] < 0
    assert (mean[1], low[1]) == (1, 1)
    assert student_interval([scores[:, 0]])[2][0] > 1  # of numbers that may be anything


@pytest.mark.parametrize("interval", [score_interval, example_interval])
def test_zeros_and_ones_as_numbers_have_no_wilson_interval(interval) -> None:
    right = generator(10).random((1, 10, 200)) < 0.5
    mean, low, high = interval(right)
    real = interval(right.astype(np.float32))
    assert real[0] == pytest.approx(mean)
    # Far from 0 and 1 and with many examples, the two all but agree.
    assert (real[1][0], real[2][0]) == pytest.approx((low[0], high[0]), abs=0.002)
    assert real[1][0] != low[0]


@pytest.mark.slow
@pytest.mark.parametrize(("degrees", "least"), [(1000, 0.93), (5, 0.88)])
def test_interval_of_r2_covers_the_truth(degrees, least) -> None:
    """Squared errors of Gaussian and of heavy-tailed labels; 0.2 of the variance is unexplained."""
    random, worlds = generator(11), 1500
    # Repeats answer alike, but for a tenth of the error.
    shared = random.standard_t(degrees, size=(worlds, 1, 300)) / np.sqrt(degrees / (degrees - 2))
    errors = shared + 0.1 * random.normal(size=(worlds, 5, 300))
    _, low, high = score_interval(1 - 0.2 * errors**2)
    truth = 1 - 0.2 * 1.01
    assert ((low <= truth) & (truth <= high)).mean() >= least
