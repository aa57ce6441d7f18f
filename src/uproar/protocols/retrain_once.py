"""Retrain-once: one model that has seen every kind of removal scores all explainers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from uproar.models.learner import Fitted
from uproar.models.training.batches import RandomlyRemoved
from uproar.protocols.experiment import Experiment, Scores
from uproar.protocols.no_retrain import no_retrain
from uproar.protocols.ranks import Ranking


def train_once(experiment: Experiment, *, seeds: Sequence[int], epochs: int) -> Fitted:
    """Train one explanation-agnostic model per repeat and return their stacked states.

    In every batch each example loses each feature with probability u, where u ~ U(0, 1) is drawn
    for each example and batch anew, so that masks of every size are in distribution and none of
    them says anything about the label.

    :param seeds: one per repeat.
    :param epochs: passes over the training data; more than a plain training needs, because the
        model learns to cope with every fraction at once.
    :returns: the fitted models.

    Jethani et al. 2021, arXiv 2103.01890 (EVAL-X); Madsen et al. 2024, arXiv 2310.07819.

    >>> from uproar.testing import toy_experiment
    >>> experiment, _ = toy_experiment("hooker-toy", optimiser="adam")
    >>> experiment.learner.size(train_once(experiment, seeds=[0, 1], epochs=1))
    2
    """
    recipe = replace(experiment.recipe, epochs=epochs)
    return experiment.fit(RandomlyRemoved(experiment.train, len(seeds)), seeds, recipe)


def retrain_once(
    experiment: Experiment,
    fitted: Fitted,
    ranking: Ranking,
    *,
    fractions: Sequence[float],
) -> tuple[Scores, Scores]:
    """Score a ranking with the models of :func:`train_once`, by removing and by keeping its top.

    :param fitted: what :func:`train_once` returned.
    :param ranking: ranks of the test features, 0 for the most important.
    :param fractions: shares of the features to remove, and to keep, in [0, 1].
    :returns: scores of the test examples when the top fraction is removed, and when nothing but
        the top fraction is kept; both (fractions, repeats, examples).
    :raises ValueError: when a fraction is outside [0, 1].

    Jethani et al. 2021, arXiv 2103.01890. An explanation that encodes the label in the shape of
    its mask is punished less than it should be (Puli et al. 2024, arXiv 2411.02664).

    >>> from uproar.testing import toy_experiment, known_ranking
    >>> experiment, data = toy_experiment("hooker-toy", optimiser="adam")
    >>> states = train_once(experiment, seeds=[0], epochs=1)
    >>> ranking = known_ranking(data, "true-ranking")
    >>> removed, kept = retrain_once(experiment, states, ranking, fractions=[0.0, 1.0])
    >>> bool((removed[0] == kept[1]).all())  # to remove nothing is to keep everything
    True
    """
    removed = no_retrain(experiment, fitted, ranking, fractions=fractions)
    kept = no_retrain(experiment, fitted, ranking, fractions=fractions, keep=True)
    return removed, kept
