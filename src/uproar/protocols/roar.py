"""ROAR and KAR: START HERE.

Remove And Retrain (Hooker et al. 2019) asks whether the features that an explainer calls important
carry what there is to know about the label. Remove the top fraction of every train and test
example, train the same architecture again from scratch, and see how far test accuracy falls,
compared with removing as many features at random. Keep And Retrain is its mirror.

The steps, and where each is done:

1. train a base model and explain what it predicts, on train and on test     benchmark.py, explain/
2. rank the features of every example                                        ranking.py
3. remove exactly ``count(fraction)`` of them, on the fly                    models/batches.py
4. train one model per fraction and repeat, all in one group                 models/learner.py
5. compare accuracy with the random ranking, from paired repeats             stats.py
6. withhold the verdict where the mask alone tells the label                 protocols/leakage.py
"""

from __future__ import annotations

from collections.abc import Sequence

from uproar.protocols.experiment import Experiment, Scores, arms
from uproar.protocols.ranks import Ranking


def roar(
    experiment: Experiment, ranking: Ranking, *, fractions: Sequence[float], seeds: Sequence[int]
) -> Scores:
    """Remove the most important features, retrain, and return what is still answered well.

    For each fraction t and repeat r a model with the initial weights and data order of ``seeds[r]``
    is trained on inputs without their round(t · features) most important features, and tested on
    test inputs degraded in the same way.

    :param ranking: ranks of train and test features, 0 for the most important.
    :param fractions: shares of the features to remove, in [0, 1].
    :param seeds: one per repeat, shared by all explainers, fractions and protocols.
    :returns: (fractions, repeats, examples): whether each test example is classified correctly; for
        regression its share of R², see :func:`uproar.models.scoring.example_scores`.
    :raises ValueError: when a fraction is outside [0, 1].
    :raises Skipped: when the model cannot be trained again.

    Hooker et al. 2019, arXiv 1806.10758.

    >>> from uproar.testing import toy_experiment, known_ranking
    >>> experiment, data = toy_experiment("hooker-toy")
    >>> correct = roar(experiment, known_ranking(data, "true-ranking"),
    ...                fractions=[3 / 16, 4 / 16], seeds=[0])
    >>> [bool(accuracy > 0.9) for accuracy in correct.mean((1, 2))]  # a cliff at the fourth column
    [True, False]
    """
    return _retrain(experiment, ranking, fractions, seeds, keep=False)


def kar(
    experiment: Experiment, ranking: Ranking, *, fractions: Sequence[float], seeds: Sequence[int]
) -> Scores:
    """Keep only the most important features, retrain, and return what is answered well.

    The mirror of :func:`roar`: for each fraction t all but the round(t · features) most important
    features are removed. Arguments, result and errors are those of :func:`roar`.

    Hooker et al. 2019, arXiv 1806.10758.

    >>> from uproar.testing import toy_experiment, known_ranking
    >>> experiment, data = toy_experiment("hooker-toy")
    >>> correct = kar(experiment, known_ranking(data, "true-ranking"),
    ...               fractions=[4 / 16, 5 / 16], seeds=[0])
    >>> bool(correct.mean() > 0.8)  # four informative columns, and one that cancels the nuisance
    True
    """
    return _retrain(experiment, ranking, fractions, seeds, keep=True)


def _retrain(
    experiment: Experiment,
    ranking: Ranking,
    fractions: Sequence[float],
    seeds: Sequence[int],
    *,
    keep: bool,
) -> Scores:
    """Train one model per fraction and repeat, in one group, and test it."""
    # Repeats outermost: the arms of a repeat sit side by side and share their batches' order.
    fractions_of_arms = [fraction for _ in seeds for fraction in fractions]
    seeds_of_arms = [seed for seed in seeds for _ in fractions]
    train = arms(experiment.train, ranking.train, fractions_of_arms, keep=keep)
    test = arms(experiment.test, ranking.test, fractions_of_arms, keep=keep)
    scores = experiment.scores(experiment.fit(train, seeds_of_arms), test)
    return scores.reshape(len(seeds), len(fractions), -1).swapaxes(0, 1)
