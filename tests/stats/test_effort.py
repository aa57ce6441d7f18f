"""Parts of the error: what is known of worlds that are made of known parts."""

from __future__ import annotations

import numpy as np
import pytest

from uproar.stats.effort import FIVE_FOLDS, narrowed_by_folds, parts_of_error
from uproar.stats.levels import Design

OWN = Design(own_repeats=True)


def waves(count: int) -> np.ndarray:
    """Return numbers of mean 0 whose variance of the mean (ddof 1) is 1."""
    if count == 1:
        return np.zeros(1)
    values = np.linspace(-1, 1, count)
    return values / np.sqrt(values.var(ddof=1) / count)


def made(bases: float, repeats: float, examples: float, shape=(4, 3, 50)) -> dict:
    """Return gains whose squared errors are these, of base models, repeats in each, examples."""
    b, r, n = shape
    within = np.sqrt(repeats * b) * waves(r)[None, :, None]
    gains = (
        np.sqrt(bases) * waves(b)[:, None, None]
        + within
        + np.sqrt(examples) * waves(n)[None, None, :]
    )
    return {"ours": gains, "random": np.zeros(shape)}


def test_parts_of_crossed_levels() -> None:
    found = parts_of_error(made(4.0, 1.0 / 4, 1.0)).set_index("level")
    assert found["units"].to_dict() == {"base models": 4, "repeats": 3, "examples": 50}
    assert found["share"].tolist() == pytest.approx([4 / 6, 1 / 6, 1 / 6])


def test_repeats_are_a_part_of_base_models_that_have_their_own() -> None:
    # The repeats' noise is the same for all base models here, which does not spread their means:
    # it is counted within them, and taken from what they owe.
    found = parts_of_error(made(4.0, 1.0, 1.0), design=OWN).set_index("level")
    assert found["share"].tolist() == pytest.approx([3 / 5, 1 / 5, 1 / 5])
    assert found["narrows"]["base models"] > found["narrows"]["repeats"] > 0
    # Without base models, t of 49 degrees of freedom and an error of 1 are left.
    narrow = 1 - 2.0096 / (2.0096 / (1 - found["narrows"]["base models"]))
    assert found["narrows"]["base models"] == pytest.approx(narrow)


def test_of_one_base_model_nothing_is_known_of_others() -> None:
    found = parts_of_error(made(0.0, 1.0, 3.0, (1, 3, 50)), design=OWN).set_index("level")
    assert np.isnan(found["share"]["base models"])
    assert found["share"][["repeats", "examples"]].tolist() == pytest.approx([0.25, 0.75])


def test_folds_owe_to_their_examples_repeats_and_models() -> None:
    random, folds, design = np.random.default_rng(0), 400, Design(folds=(10,) * 400)
    of_folds = np.repeat(random.standard_normal(folds), 10)
    gains = (
        of_folds
        + np.sqrt(10) * random.standard_normal((1, 1, 4000))
        + np.repeat(np.sqrt(2) * random.standard_normal((2, folds)), 10, axis=1)
    )
    found = parts_of_error({"ours": gains, "random": 0 * gains}, design=design)
    # Of each fold: its model 1, the mean of ten examples 1, and of two repeats 1.
    assert found["level"].tolist() == ["folds", "repeats", "examples"]
    assert found["units"].tolist() == [400, 2, 4000]
    shares = found.set_index("level")["share"]
    assert shares["repeats"] == pytest.approx(1 / 3, abs=0.06)
    assert shares.sum() == pytest.approx(1)
    assert shares["examples"] == pytest.approx(1 / 3, abs=0.06)


def test_one_repeat_in_each_leaves_the_rest_to_the_base_models() -> None:
    found = parts_of_error(made(4.0, 0.0, 1.0, (4, 1, 50)), design=OWN).set_index("level")
    assert found["share"]["base models"] == pytest.approx(0.8)
    assert np.isnan(found["share"]["repeats"])


def test_five_folds_are_guessed_from_the_parts() -> None:
    gains = made(0.0, 0.0, 1.0, (5, 2, 50))
    # All is of the examples: 2.0096 now, and t(4) sqrt(1.625 * 0.2) = 2.7764 * 0.5701 then.
    assert narrowed_by_folds(gains, tested=0.2) == pytest.approx(1 - 1.5828 / 2.0096, abs=1e-3)
    found = parts_of_error(gains, design=OWN, tested=0.2)
    assert found["level"].tolist()[-1] == FIVE_FOLDS
    assert np.isnan(narrowed_by_folds(made(0.0, 1.0, 1.0, (1, 2, 50)), tested=0.2))


def test_folded_data_are_not_told_to_fold() -> None:
    gains = {"ours": np.arange(6.0).reshape(1, 1, 6), "random": np.zeros((1, 1, 6))}
    found = parts_of_error(gains, design=Design(folds=(3, 3)), tested=0.2)
    assert found["level"].tolist() == ["folds", "repeats", "examples"]
