"""Reliability of rankings: against loops, definitions and literal answers."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from tests.support import oracles
from uproar.stats.reliability import krippendorff_alpha, split_half


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_split_half_averages_what_the_loop_averages() -> None:
    scores = generator(1).normal(size=(6, 21)) + 0.3 * np.arange(6)[:, None]
    found = split_half(scores, generator=generator(2), splits=2000)
    assert found == pytest.approx(oracles.split_half(scores, generator(3), 1000), abs=0.03)
    assert found == split_half(scores, generator=generator(2), splits=2000)
    assert found != split_half(scores, generator=generator(2), splits=100)


def test_split_half_is_high_for_a_clear_ranking_and_near_zero_for_none() -> None:
    noise = generator(4).normal(size=(8, 400))
    assert split_half(noise + np.arange(8)[:, None], generator=generator()) == pytest.approx(1)
    chance = [
        split_half(generator(seed).normal(size=(8, 50)), generator=generator(), splits=20)
        for seed in range(40)
    ]
    assert np.median(chance) < 0.5


def test_alpha_follows_the_definition() -> None:
    scores = generator(5).normal(size=(4, 7)) + 0.5 * np.arange(4)[:, None]
    scores[:, 2] = 1.0  # an example that ties all explainers
    ranks = scipy.stats.rankdata(scores, axis=0)
    assert krippendorff_alpha(scores) == pytest.approx(oracles.krippendorff_alpha(ranks))


def test_alpha_literal_answers() -> None:
    agreed = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
    opposed = np.array([[1.0, 30.0], [2.0, 20.0], [3.0, 10.0]])
    assert krippendorff_alpha(agreed) == pytest.approx(1)
    # Observed: (2 + 0 + 2) / 3 per explainer; expected: 4 / 5, the variance of 1 1 2 2 3 3.
    assert krippendorff_alpha(opposed) == pytest.approx(1 - (4 / 3) / 0.8)
    assert np.isnan(krippendorff_alpha(np.zeros((3, 4))))
    assert abs(krippendorff_alpha(generator(6).normal(size=(10, 2000)))) < 0.01


@pytest.mark.parametrize("shape", [(2, 9), (3, 1), (9,)])
def test_reliability_errors_show_what_arrived(shape) -> None:
    with pytest.raises(ValueError, match="three explainers and two examples or more, got"):
        krippendorff_alpha(np.zeros(shape))
