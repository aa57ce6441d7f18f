"""What every registered protocol must do, called as its record says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tests.support.small_data import CLASSES, experiment, ranking, small
from uproar.dataset import Data, Split
from uproar.protocols import PROTOCOLS, find_protocol
from uproar.protocols.experiment import Experiment, arms
from uproar.protocols.leakage import mask_only
from uproar.protocols.ranks import Ranking
from uproar.protocols.retrain_once import train_once
from uproar.protocols.roar import kar, roar
from uproar.ranking import rank
from uproar.stats.leaks import leaks, masks
from uproar.types import Recipe

RECIPE = Recipe(learning_rate=0.01, epochs=4, batch_size=32)
SEEDS = (3, 4)
Curves = dict[str, np.ndarray]


def measured(
    name: str, subject: Experiment, ranks: Ranking, fractions: Sequence[float], seeds: Sequence[int]
) -> Curves:
    """Return the curves of a protocol, asking models that are trained as its record says."""
    protocol = find_protocol(name)
    measure = protocol.load()
    if protocol.asks == "retraining":
        found = measure(subject, ranks, fractions=fractions, seeds=seeds)
    else:
        if protocol.asks == "once":
            asked = train_once(subject, seeds=seeds, epochs=4)
        else:
            asked = subject.fit(arms(subject.train, ranks.train, [0] * len(seeds)), seeds)
        found = measure(subject, asked, ranks, fractions=fractions)
    return dict(protocol.by_curve(found))


every = pytest.mark.parametrize("name", [entry.name for entry in PROTOCOLS])


@every
@pytest.mark.parametrize("layout", ["table", "grey", "colour"])
def test_curves_have_their_names_shape_and_type(name: str, layout: str) -> None:
    data = small(layout)
    curves = measured(name, experiment(data, recipe=RECIPE), ranking(data), (0.0, 0.5, 1.0), SEEDS)
    assert set(curves) == {curve.name for curve in find_protocol(name).curves}
    for correct in curves.values():
        assert correct.shape == (3, 2, len(data.test))
        assert correct.dtype == bool


@every
def test_a_protocol_repeats_itself_and_does_not_change_its_arguments(name: str) -> None:
    data = small("grey")
    subject, ranks = experiment(data, recipe=RECIPE, removal="noise"), ranking(data)
    parts = (ranks.train.values, ranks.test.values)
    before = [subject.train.inputs.clone(), subject.train.fill.clone(), *map(np.copy, parts)]
    first = measured(name, subject, ranks, (0.5,), SEEDS)
    again = measured(name, subject, ranks, (0.5,), SEEDS)
    after = [subject.train.inputs, subject.train.fill, *parts]
    assert all((first[curve] == again[curve]).all() for curve in first)
    assert all((x == y).all() for x, y in zip(before, after, strict=True))


@every
@pytest.mark.parametrize("fraction", [-0.1, 1.1])
def test_a_fraction_outside_0_to_1_is_refused(name: str, fraction: float) -> None:
    data = small("grey")
    with pytest.raises(ValueError, match=rf"^fraction must lie in \[0, 1\], got {fraction}$"):
        measured(name, experiment(data, recipe=RECIPE), ranking(data), (0.5, fraction), SEEDS)


@every
def test_the_ends_are_the_same_for_all_rankings(name: str) -> None:
    data = small("grey")
    subject = experiment(data, recipe=RECIPE)
    one = measured(name, subject, ranking(data, seed=0), (0.0, 0.5, 1.0), SEEDS)
    other = measured(name, subject, ranking(data, seed=1), (0.0, 0.5, 1.0), SEEDS)
    for curve in one:
        assert (one[curve][0] == other[curve][0]).all()
        assert (one[curve][2] == other[curve][2]).all()
        assert (one[curve][1] != other[curve][1]).any()


def test_nothing_removed_is_everything_kept_and_the_other_way_round() -> None:
    data = small("grey")
    subject, ranks = experiment(data, recipe=RECIPE), ranking(data)
    removing = roar(subject, ranks, fractions=(0.0, 1.0), seeds=SEEDS)
    keeping = kar(subject, ranks, fractions=(1.0, 0.0), seeds=SEEDS)
    assert (removing == keeping).all()
    curves = measured("retrain-once", subject, ranks, (0.0, 1.0), SEEDS)
    assert (curves["retrain-once-removed"] == curves["retrain-once-kept"][::-1]).all()


def test_with_nothing_removed_the_model_is_trained_and_asked_as_it_is() -> None:
    data = small("grey")
    subject, ranks = experiment(data, recipe=RECIPE), ranking(data)
    clean = roar(subject, ranks, fractions=(0.0,), seeds=SEEDS)
    assert (clean == measured("no-retrain", subject, ranks, (0.0,), SEEDS)["no-retrain"]).all()
    assert clean.mean() > 0.7


@every
def test_with_everything_removed_all_answers_are_one_class(name: str) -> None:
    data = small("grey")
    where = 0.0 if find_protocol(name).curves[0].keeps else 1.0
    curves = measured(name, experiment(data, recipe=RECIPE), ranking(data), (where,), SEEDS)
    classes = [data.test.labels == label for label in range(CLASSES)]
    correct = next(iter(curves.values()))[0]
    for one in correct:
        assert any((one == answers).all() for answers in classes)


@every
def test_repeats_are_paired_by_their_seeds(name: str) -> None:
    data = small("grey")
    subject, ranks = experiment(data, recipe=RECIPE), ranking(data)
    both = measured(name, subject, ranks, (0.25, 0.5), (3, 4))
    swapped = measured(name, subject, ranks, (0.5, 0.25), (4, 3))
    for curve, correct in both.items():
        # The same models in other places of the group: equal but for rounding.
        assert (correct != swapped[curve][::-1, ::-1]).mean() < 0.01


def test_equal_rankings_have_equal_curves_whatever_the_importance_was() -> None:
    data = small("grey")
    subject = experiment(data, recipe=RECIPE)
    values = np.random.default_rng(0).random((2, 70, 4, 3))
    rankings = [Ranking.of(rank(v), rank(v[:40])) for v in (values[0], values[0] ** 3 - 1)]
    one, other = (roar(subject, r, fractions=(0.5,), seeds=SEEDS) for r in rankings)
    assert (one == other).all()


def coded(data: Data) -> Ranking:
    """Rank by an adversary that writes the label into the mask: class c loses columns 2c, 2c+1."""

    def code(split: Split) -> np.ndarray:
        importance = np.zeros((len(split), 6), dtype=np.float32)
        for example, label in enumerate(split.labels):
            importance[example, 2 * label : 2 * label + 2] = 1
        return rank(importance)

    return Ranking.of(code(data.train), code(data.test))


def test_an_explainer_that_encodes_the_label_is_found_out_by_its_mask() -> None:
    data = small("table", train=300, test=200)
    subject = experiment(data, recipe=Recipe(learning_rate=0.01, epochs=10, batch_size=32))
    adversary = mask_only(subject, coded(data), fractions=(1 / 3,), seeds=SEEDS)
    fair = mask_only(subject, ranking(data), fractions=(1 / 3,), seeds=SEEDS)
    assert adversary.mean() == 1.0
    assert fair.mean() == pytest.approx(data.majority_rate, abs=0.08)
    table = leaks(
        {"adversary": adversary[None], "fair": fair[None]},
        [1 / 3],
        majority=data.majority_scores,
        clean_score=0.9,
    )
    assert masks(table)["adversary"] == "leaks"
    assert masks(table)["fair"] != "leaks"
    # Plain ROAR takes the label in the mask for information left in the inputs.
    assert roar(subject, coded(data), fractions=(1 / 3,), seeds=SEEDS).mean() > 0.97
