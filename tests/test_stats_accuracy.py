"""Intervals of accuracies and the leak control: against a quadratic, and in simulations."""

from __future__ import annotations

import numpy as np
import pytest

import oracles
from uproar.accuracy import accuracy_interval, leaking, leaks


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("repeats", [1, 2, 5])
@pytest.mark.parametrize("level", [0.05, 0.001])
def test_interval_is_the_root_of_wilson_s_equation(repeats, level) -> None:
    accuracies = np.array([0.0, 0.03, 0.2, 0.5, 0.9, 1.0])[:, None, None]
    correct = generator(repeats).random((6, repeats, 40)) < accuracies
    found = np.stack(accuracy_interval(correct, level=level), axis=1)
    expected = np.array([oracles.accuracy_interval(point, level) for point in correct])
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("answer", [False, True])
def test_unanimous_answers_have_an_interval_of_some_width(answer) -> None:
    mean, low, high = accuracy_interval(np.full((1, 5, 360), answer))
    assert mean.tolist() == [float(answer)]
    assert 0.009 < (high - low)[0] < 0.012  # 3.87 / (360 + 3.87)


def test_interval_encloses_the_mean_within_zero_and_one() -> None:
    correct = generator(1).random((300, 3, 8)) < generator(2).random((300, 1, 1))
    mean, low, high = accuracy_interval(correct)
    assert (low >= 0).all()
    assert (low <= mean).all()
    assert (mean <= high).all()
    assert (high <= 1).all()
    assert (low < high).all()


def test_points_do_not_depend_on_their_neighbours() -> None:
    correct = generator(3).random((5, 3, 30)) < 0.7
    together = np.stack(accuracy_interval(correct))
    alone = np.concatenate([np.stack(accuracy_interval(point[None])) for point in correct], axis=1)
    assert together == pytest.approx(alone)


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
    _, low, high = accuracy_interval(correct)
    assert ((low <= accuracy) & (accuracy <= high)).mean() >= least


def test_interval_errors_show_what_arrived() -> None:
    with pytest.raises(ValueError, match=r"two examples or more, got \(2, 3, 1\)"):
        accuracy_interval(np.zeros((2, 3, 1), dtype=bool))


# Leaks

FRACTIONS = (0.1, 0.3, 0.5, 0.7, 0.9)


def test_random_masks_at_chance_are_rarely_flagged() -> None:
    random, flagged = generator(5), 0
    for _ in range(40):
        told = {f"e{i}": random.random((1, 5, 2, 200)) < 0.1 for i in range(20)}
        table = leaks(told, FRACTIONS, majority_rate=0.1, clean_accuracy=0.1)  # no margin
        flagged += bool(table["leaks"].any())
    assert flagged <= 3  # 2.5 % of 40 tables, one-sided


def test_margin_lies_between_majority_rate_and_clean_accuracy() -> None:
    told = {"slight": generator(6).random((1, 1, 1, 5000)) < 0.2}
    sure = leaks(told, [0.5], majority_rate=0.1, clean_accuracy=0.9)
    lenient = leaks(told, [0.5], majority_rate=0.1, clean_accuracy=0.9, margin=0.2)
    assert sure["leaks"].tolist() == [True]
    assert lenient["leaks"].tolist() == [False]


@pytest.mark.parametrize(("base_models", "repeats"), [(1, 1), (1, 2), (2, 5)])
def test_masks_that_tell_the_label_are_flagged(base_models, repeats) -> None:
    shape = (base_models, 5, repeats, 100)
    told = {
        "signed": generator(7).random(shape) < 0.9,
        "random": generator(8).random(shape) < 0.1,
    }
    table = leaks(told, FRACTIONS, majority_rate=0.1, clean_accuracy=0.97)
    assert table.columns.tolist() == ["explainer", "fraction", "accuracy", "low", "high", "leaks"]
    assert table["leaks"].tolist() == [True] * 5 + [False] * 5
    assert table["fraction"].tolist() == [*FRACTIONS, *FRACTIONS]
    assert table["accuracy"][3] == pytest.approx(told["signed"][:, 3].mean())
    assert leaking(table) == {"signed"}


def test_more_cells_need_wider_intervals() -> None:
    told = generator(9).random((1, 1, 1, 100)) < 0.5
    settings = {"majority_rate": 0.1, "clean_accuracy": 0.9}
    one = leaks({"a": told}, [0.5], **settings)
    many = leaks(dict.fromkeys("abcdefgh", told), [0.5], **settings)
    assert many["low"][0] < one["low"][0]
    assert leaks({"a": told}, [0.5], **settings, level=0.01)["low"][0] < one["low"][0]


def test_no_explainers_no_leaks() -> None:
    table = leaks({}, FRACTIONS, majority_rate=0.1, clean_accuracy=0.9)
    assert len(table) == 0
    assert leaking(table) == frozenset()


def test_leak_errors_show_what_arrived() -> None:
    with pytest.raises(ValueError, match=r"mask_only\['a'\] must be .*5 fractions.*\(1, 4, 1, 9\)"):
        leaks({"a": np.zeros((1, 4, 1, 9), bool)}, FRACTIONS, majority_rate=0.1, clean_accuracy=0.9)
