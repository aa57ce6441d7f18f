"""No retraining: the trained model itself on degraded inputs."""

from __future__ import annotations

from collections.abc import Sequence

from uproar.models.learner import Fitted
from uproar.protocols.experiment import Experiment, Scores, arms
from uproar.protocols.ranks import Ranking


def no_retrain(
    experiment: Experiment,
    fitted: Fitted,
    ranking: Ranking,
    *,
    fractions: Sequence[float],
    keep: bool = False,
) -> Scores:
    """Degrade the test inputs and return what given models still answer well.

    For each fraction t the round(t · features) most important features are removed; with ``keep``
    all others are. Nothing is trained. For the base model this asks what *it* relies on, and part
    of any fall is that degraded inputs are unlike anything that it was trained on.

    :param fitted: models that the experiment's learner has fitted.
    :param ranking: ranks of the test features, 0 for the most important.
    :param fractions: shares of the features, in [0, 1].
    :returns: scores of the test examples, (fractions, models, examples), as those of
        :func:`uproar.protocols.roar.roar`.
    :raises ValueError: when a fraction is outside [0, 1].

    Samek et al. 2017, arXiv 1509.06321; the comparison in Hooker et al. 2019, arXiv 1806.10758.

    >>> from uproar.testing import toy_experiment, known_ranking
    >>> experiment, data = toy_experiment("hooker-toy")
    >>> from uproar.protocols.experiment import arms
    >>> ranking = known_ranking(data, "inverted-ranking")
    >>> state = experiment.fit(arms(experiment.train, ranking.train, [0.0]), [0])
    >>> falls = no_retrain(experiment, state, ranking, fractions=[0.0, 0.5]).mean((1, 2))
    >>> bool(falls[1] < falls[0] - 0.1)  # it relies on columns that carry no information
    True
    """
    models = experiment.learner.size(fitted)
    repeated = experiment.learner.repeated(fitted, len(fractions))
    degraded = arms(experiment.test, ranking.test, [*fractions] * models, keep=keep)
    scores = experiment.scores(repeated, degraded)
    return scores.reshape(models, len(fractions), -1).swapaxes(0, 1)
