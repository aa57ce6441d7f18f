"""No retraining: the trained model itself on degraded inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool
from torch import Tensor

from uproar.protocols.setting import Ranking, Setting, arms, counts_of


def no_retrain(
    setting: Setting,
    states: Mapping[str, Tensor],
    ranking: Ranking,
    *,
    fractions: Sequence[float],
    keep: bool = False,
) -> Bool[np.ndarray, "fractions models examples"]:
    """Degrade the test inputs and return what given models still classify correctly.

    For each fraction t the round(t · features) most important features are removed; with ``keep``
    all others are. Nothing is trained. For the base model this asks what *it* relies on, and part
    of any fall is that degraded inputs are unlike anything that it was trained on.

    :param states: stacked states of the models, (models, …) for each parameter.
    :param ranking: ranks of the test features, 0 for the most important.
    :param fractions: shares of the features, in [0, 1].
    :returns: whether each test example is classified correctly, (fractions, models, examples).
    :raises ValueError: when a fraction is outside [0, 1].

    Samek et al. 2017, arXiv 1509.06321; the comparison in Hooker et al. 2019, arXiv 1806.10758.

    >>> from uproar.testing import toy_setting, known_ranking
    >>> setting, data = toy_setting("hooker-toy")
    >>> from uproar.protocols.setting import arms
    >>> ranking = known_ranking(data, "inverted-ranking")
    >>> state = setting.fit(arms(setting.train, ranking.train, [0]), [0])
    >>> falls = no_retrain(setting, state, ranking, fractions=[0.0, 0.5]).mean((1, 2))
    >>> bool(falls[1] < falls[0] - 0.1)  # it relies on columns that carry no information
    True
    """
    counts = counts_of(fractions, setting.test.features)
    ranks = ranking.test
    if keep:
        ranks = ranking.reversed().test
        counts = [setting.test.features - kept for kept in counts]
    models = len(next(iter(states.values())))
    repeated = {name: value.repeat_interleave(len(counts), 0) for name, value in states.items()}
    correct = setting.correct(repeated, arms(setting.test, ranks, counts * models))
    return correct.reshape(models, len(counts), -1).swapaxes(0, 1)
