"""How reliably a ranking of explainers repeats on other examples, and how far they agree."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from uproar.stats.agreement import rank_correlation


def split_half(
    scores: Float[np.ndarray, "explainers examples"],
    *,
    generator: np.random.Generator,
    splits: int = 200,
) -> float:
    """Return how reliably a ranking of explainers repeats on other examples.

    Examples are split in half at random, explainers ranked by their mean on either half, and
    Spearman's rho averaged over the splits; Spearman and Brown's ``2 rho / (1 + rho)`` then carries
    it from half the examples to all. 1 is perfect, 0 is chance; below 0 the formula overstates.

    :param scores: (explainers, examples), such as gains averaged over base models and repeats.
    :returns: reliability; NaN when a half ranks all explainers alike.
    :raises ValueError: with fewer than three explainers or two examples.

    Paper: Tomsett et al. 2020, "Sanity checks for saliency metrics"; Brown 1910.

    >>> split_half(np.arange(3.0)[:, None] + np.zeros(8), generator=np.random.default_rng(0))
    1.0
    """
    _check_scores(scores)
    half = scores.shape[1] // 2
    sides = np.repeat([1, 2, 0], [half, half, scores.shape[1] - 2 * half])  # 0: the odd one out
    sides = generator.permuted(np.tile(sides, (splits, 1)), axis=1)
    # Rounded, so that explainers with equal scores tie whatever the order of summation.
    first, second = (np.round((sides == side) @ scores.T / half, 12) for side in (1, 2))
    rho = rank_correlation(first, second).mean()
    return float(2 * rho / (1 + rho)) if rho > -1 else float("-inf")


def krippendorff_alpha(scores: Float[np.ndarray, "explainers examples"]) -> float:
    """Return how far single examples agree on the ranking of explainers.

    ``alpha = 1 - observed / expected`` disagreement, where examples are the raters, explainers the
    units, and the rating is the explainer's rank within the example (ties at their mean), compared
    on an *interval* scale: squared differences of ranks, over pairs of ratings of one explainer
    (observed) and over all pairs of ratings (expected). 1 is full agreement, 0 is chance.

    :param scores: (explainers, examples), such as gains averaged over base models and repeats.
    :returns: alpha; NaN when every example ties all explainers.
    :raises ValueError: with fewer than three explainers or two examples.

    Paper: Krippendorff 2004, "Content analysis"; Tomsett et al. 2020 for its use here.

    >>> krippendorff_alpha(np.arange(3.0)[:, None] + np.zeros(8))
    1.0
    """
    from scipy.stats import rankdata

    _check_scores(scores)
    ranks = rankdata(scores, axis=0)
    # Means of squared differences over pairs are twice these variances; the twos cancel.
    observed, expected = ranks.var(axis=1, ddof=1).mean(), ranks.var(ddof=1)
    return float(1 - observed / expected) if expected > 0 else float("nan")


def _check_scores(scores: NDArray[np.float64]) -> None:
    if scores.ndim != 2 or scores.shape[0] < 3 or scores.shape[1] < 2:
        raise ValueError(
            "scores must be (explainers, examples) with three explainers and two examples or more, "
            f"got {scores.shape}"
        )
