"""Which levels the error has: repeats that base models share, their own, and folds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student

from uproar.stats.agreement import distinguishable_pairs
from uproar.stats.gains import Scores
from uproar.stats.intervals import score_interval
from uproar.stats.levels import Design, half_width, level_means, stretch, two_sided, variances
from uproar.stats.resampling import gain_draws, holm
from uproar.stats.verdicts import compare_with_random

OWN = Design(own_repeats=True)


def seeded(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def error_of(gains, design: Design) -> np.ndarray:
    return np.sqrt(variances(list(level_means(gains, design).values())).sum(axis=0))


def test_repeats_of_their_own_are_part_of_what_base_models_differ_by() -> None:
    gains = seeded().normal(size=(2, 3, 4, 20))
    found = level_means(gains, OWN)
    assert list(found) == ["base models", "examples"]
    assert found["base models"] == pytest.approx(gains.mean(axis=(2, 3)))


def test_the_repeats_of_one_base_model_are_the_level() -> None:
    assert list(level_means(np.zeros((2, 1, 4, 20)), OWN)) == ["repeats", "examples"]


def test_folds_are_the_only_level_and_stretched() -> None:
    # Folds (0, 0), (6), (3, 3): means 0, 6, 3 about 12 / 5; their variance 9 times 1 + 3 / 4.
    gains = np.array([0.0, 0.0, 6.0, 3.0, 3.0]).reshape(1, 1, 1, 5)
    means = level_means(gains, Design(folds=(2, 1, 2)))
    assert list(means) == ["folds"]
    assert variances(list(means.values())).tolist() == [[pytest.approx(1.75 * 9 / 3)]]
    assert stretch(3) == 1.75


@pytest.mark.parametrize(
    ("shape", "folds"), [((1, 1, 2, 6), (3, 2)), ((1, 2, 2, 5), (3, 2)), ((1, 1, 2, 5), (5,))]
)
def test_folds_that_do_not_fit_the_gains_are_refused(shape, folds) -> None:
    with pytest.raises(ValueError, match=r"two folds or more of \d examples in all need gains"):
        level_means(np.zeros(shape), Design(folds=folds))


def noise(random, worlds: int, explainers: int, *, ratio: float, bases: int, repeats: int):
    """Return gains of equals: base models, repeats of their own, examples, and one random arm."""

    def arms(count: int) -> np.ndarray:
        draw = random.standard_normal
        return (
            draw((worlds, count, bases, 1, 1))
            + draw((worlds, count, bases, repeats, 1))
            + ratio * np.sqrt(40) * draw((worlds, count, 1, 1, 40))
        )

    return arms(1) - arms(explainers)


@pytest.mark.parametrize("ratio", [0.1, 0.5, 2.0])
@pytest.mark.parametrize("bases", [2, 3, 5])
def test_intervals_over_the_recipe_hold_the_truth(bases: int, ratio: float) -> None:
    gains = noise(seeded(bases), 500, 4, ratio=ratio, bases=bases, repeats=2)
    flat = gains.reshape(-1, *gains.shape[2:])
    means = list(level_means(flat, OWN).values())
    half = half_width(variances(means), [values.shape[1] for values in means])
    covered = (np.abs(flat.mean(axis=(1, 2, 3))) <= half).mean()
    # Of two units hardly anything is known: their intervals are wider than they had to be.
    assert 0.93 <= covered <= (1 if bases == 2 else 0.98)


@pytest.mark.slow
@pytest.mark.parametrize("explainers", [5, 22])
@pytest.mark.parametrize("ratio", [0.1, 0.5, 2.0])
def test_families_of_equals_are_rarely_in_error(explainers: int, ratio: float) -> None:
    gains = noise(seeded(explainers), 600, explainers, ratio=ratio, bases=5, repeats=2)
    flat = gains.reshape(-1, *gains.shape[2:])
    means = list(level_means(flat, OWN).values())
    units = [values.shape[1] for values in means]
    p_values = two_sided(flat.mean(axis=(1, 2, 3)), variances(means), units)
    wrong = np.mean([holm(row).min() <= 0.05 for row in p_values.reshape(600, explainers)])
    assert wrong <= 0.065 + 3 * np.sqrt(0.065 * 0.935 / 600)


def test_folds_of_independent_examples_cover_and_a_little_more() -> None:
    random, design = seeded(3), Design(folds=(10,) * 5)
    gains = random.standard_normal((4000, 1, 1, 50))
    (means,) = level_means(gains, design).values()
    half = half_width(variances([means]), [5])
    # Student's t of 4 degrees of freedom, sqrt(1.625) times as wide.
    expected = 1 - 2 * student.sf(student.ppf(0.975, 4) * np.sqrt(1.625), 4)
    covered = (np.abs(gains.mean(axis=(1, 2, 3))) <= half).mean()
    assert covered == pytest.approx(expected, abs=0.01)


def test_draws_have_the_error_of_the_design() -> None:
    gains = seeded(5).normal(size=(2, 1, 3, 40))
    design = Design(folds=(10,) * 4)
    again = gain_draws(gains, generator=seeded(), draws=40_000, design=design)
    # A scale of χ²(3) has heavy tails: the middle half is what is compared.
    middle = np.quantile(again, [0.25, 0.75], axis=0)
    expected = error_of(gains, design) * student.ppf(0.75, 3)
    assert (middle[1] - middle[0]) / 2 == pytest.approx(expected, rel=0.03)


def test_verdicts_pairs_and_curves_heed_the_design() -> None:
    """Of crossed levels, two repeats alone make what five base models have found uncertain."""
    random = seeded(6)
    ours = 0.2 + 0.02 * random.standard_normal((5, 2, 1)) + 0.1 * random.standard_normal((1, 1, 90))
    gains = {"random": 0 * ours, "ours": ours, "other": -ours}
    tables = {}
    for design in (Design(), OWN, Design(folds=(18,) * 5)):
        seen = {
            name: values.mean(axis=0, keepdims=True) if design.folds else values
            for name, values in gains.items()
        }
        found = compare_with_random(seen, attainable=1.0, generator=seeded(), design=design)
        row = found.table.set_index("explainer").loc["ours"]
        pair = distinguishable_pairs(seen, design=design).iloc[0]
        tables[design] = (row["high"] - row["low"], row["p_value"], pair["p_holm"])
        assert row["verdict"] == ("alike" if design == Design() else "better")
    assert tables[OWN][0] < tables[Design()][0]
    assert tables[OWN][2] < tables[Design()][2]


@pytest.mark.parametrize("kind", ["bool", "real"])
def test_scores_of_base_models_are_no_further_repeats(kind: str) -> None:
    """Base models that differ make wider intervals than as many repeats of one."""
    right: Scores = seeded(7).random((1, 3, 4, 200)) < np.array([0.4, 0.6, 0.8])[:, None, None]
    scores = right if kind == "bool" else right.astype(np.float64)
    (mean,), (low,), (high,) = score_interval(scores, design=OWN)
    assert mean == pytest.approx(scores.mean())
    _, (near,), (far,) = score_interval(scores.reshape(1, 1, 12, 200), design=OWN)
    assert low < near < mean < far < high


def test_the_mean_of_unequal_folds_is_that_of_the_examples() -> None:
    scores = np.array([1.0, 1.0, 1.0, 0.0, 0.5]).reshape(1, 1, 1, 5)
    mean, low, high = score_interval(scores, design=Design(folds=(3, 2)))
    assert mean.tolist() == [pytest.approx(0.7)]
    assert low[0] < 0.7 < high[0] <= 1
