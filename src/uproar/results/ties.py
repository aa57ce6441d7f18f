"""In how many examples an explainer leaves open which features are removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Int
from numpy.typing import NDArray

from uproar.plan.job import TIES, Job
from uproar.ranking import counts
from uproar.results.function import over_bases
from uproar.run.cell import Outcome

MANY = 0.05  # share of the examples above which people are warned


def tied_shares(
    explained: Mapping[Job, Outcome], fractions: Sequence[float], facts: Sequence[Outcome]
) -> dict[str, float]:
    """Return the share of test examples that some fraction cuts between equal features.

    There which of them is removed is drawn by lot, alike for all explainers. The mean over base
    models, by explainer.

    :param fractions: of the run, but 0 and 1.
    :param facts: of the data: number of features, and of every test example where these differ;
        one for all base models, or of the fold of each.
    """

    features = int(facts[0].values["features"])

    def share(job: Job, outcome: Outcome, member: str) -> float:
        packed = outcome.arrays[f"{TIES}{member}"]
        ties = np.unpackbits(packed, axis=1, count=max(features - 1, 0)).astype(bool)
        own = facts[job.base if len(facts) > 1 else 0].arrays.get("lengths")
        own = np.full(len(ties), features) if own is None else own
        return float(tied(ties, fractions, own).mean())

    return over_bases(explained, share)


def tied(
    ties: Bool[np.ndarray, "examples cuts"],
    fractions: Sequence[float],
    lengths: Int[np.ndarray, "examples"],
) -> NDArray[np.bool_]:
    """Return which examples some fraction cuts between equal features.

    :param ties: see :func:`uproar.ranking.ties`.

    >>> tied(np.array([[True, False], [False, True]]), [0.4], np.array([3, 3])).tolist()
    [True, False]
    """
    found = np.zeros(len(ties), dtype=bool)
    for fraction in fractions:
        cut = counts(fraction, lengths)
        inside = (cut > 0) & (cut < lengths)
        found[inside] |= ties[inside, cut[inside] - 1]
    return found
