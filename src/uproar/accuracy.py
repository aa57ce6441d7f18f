"""Accuracies with intervals: of points of a curve, and of the mask alone, which must not leak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool
from numpy.typing import NDArray

from uproar.resampling import standard_error


def accuracy_interval(
    correct: Bool[np.ndarray, "points repeats examples"], *, level: float = 0.05
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return mean accuracy and the ends of its interval, for many points at once.

    Wilson's interval, ``(p + q²/2n ± q sqrt(p (1 - p)/n + q²/4n²)) / (1 + q²/n)``, for as many
    independent answers ``n = p (1 - p) / error²`` as would have the same standard error. ``error``
    and the degrees of freedom of Student's quantile q come from the spread of repeats and of
    examples, see :func:`uproar.resampling.standard_error`. Unlike a bootstrap it has a width where
    all answers agree (n is the number of examples there), stays in [0, 1], and costs microseconds.

    :param correct: (points, repeats, examples); base models count as further repeats.
    :param level: error probability of both ends together.
    :returns: mean, low and high, (points,) each.
    :raises ValueError: when there are fewer than two examples or no repeat.

    Paper: Wilson 1927, "Probable inference, the law of succession, and statistical inference";
    Korn and Graubard 1998 for the number of independent answers.

    >>> mean, low, high = accuracy_interval(np.ones((1, 5, 100), dtype=bool))
    >>> mean.tolist(), low.round(4).tolist(), high.tolist()
    ([1.0], [0.9621], [1.0])
    """
    _check(correct)
    means = [correct.mean(axis=axis) for axis in (2, 1)]
    return _interval([values for values in means if values.shape[1] > 1], correct.size, level)


def _check(correct: NDArray[np.bool_]) -> None:
    if correct.ndim != 3 or correct.shape[1] < 1 or correct.shape[2] < 2:
        raise ValueError(
            "correct must be (points, repeats, examples) with a repeat and two examples or more, "
            f"got {correct.shape}"
        )


def _interval(
    levels: list[NDArray[np.float64]], size: int, level: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the interval from the means (points, units) of each level, examples last."""
    from scipy.special import stdtrit

    points, examples = levels[-1].shape
    variances = np.stack([means.var(axis=1, ddof=1) / means.shape[1] for means in levels])
    error, degrees = standard_error(variances, [means.shape[1] for means in levels])
    mean = levels[-1].mean(axis=1)
    unanimous = (mean == 0) | (mean == 1)
    # At least the variance of answers that are all independent of each other.
    floor = mean * (1 - mean) * points / max(size, 1)
    answers = mean * (1 - mean) / np.where(unanimous, 1.0, np.maximum(error**2, floor))
    answers = np.where(unanimous, examples, np.maximum(answers, 1.0))
    degrees = np.where(unanimous, examples - 1, degrees)
    quantile = np.asarray(stdtrit(degrees, 1 - level / 2), dtype=np.float64)
    return mean, *_wilson(mean, answers, quantile)


def _wilson(
    mean: NDArray[np.float64], answers: NDArray[np.float64], quantile: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    ratio = quantile**2 / answers
    centre = (mean + ratio / 2) / (1 + ratio)
    half = np.sqrt(ratio * mean * (1 - mean) + ratio**2 / 4) / (1 + ratio)
    # Rounding must not push an end past the mean that it encloses.
    return (
        np.minimum(np.maximum(centre - half, 0.0), mean),
        np.maximum(np.minimum(centre + half, 1.0), mean),
    )


def leaks(
    mask_only: Mapping[str, NDArray[np.bool_]],
    fractions: Sequence[float],
    *,
    majority_rate: float,
    clean_accuracy: float,
    margin: float = 0.05,
    level: float = 0.05,
) -> pd.DataFrame:
    """Say for every explainer and fraction whether the removed mask alone gives the label away.

    It does when the whole interval of the mask's accuracy lies above
    ``majority_rate + margin * (clean_accuracy - majority_rate)``. The intervals hold all together,
    at ``level / (explainers * fractions)`` each (Bonferroni). They are about new examples, not new
    retrainings: a mask from which these models read the label leaks, whatever others would read.
    (With two repeats, quantiles of one degree of freedom would hide the plainest leak.)

    :param mask_only: explainer -> (base_models, fractions, repeats, examples), correctness of
        models that see the mask and nothing else.
    :param majority_rate: accuracy of always giving the most frequent class.
    :param clean_accuracy: accuracy with nothing removed.
    :returns: explainer fraction accuracy low high leaks, in the order of the arguments.
    :raises ValueError: when an array is not as described.

    >>> told = np.ones((1, 1, 2, 50), dtype=bool)
    >>> leaks({"ours": told}, [0.5], majority_rate=0.1, clean_accuracy=0.9).round(2).values.tolist()
    [['ours', 0.5, 1.0, 0.93, 1.0, True]]
    """
    bar = majority_rate + margin * (clean_accuracy - majority_rate)
    each = level / max(len(mask_only) * len(fractions), 1)
    tables = []
    for explainer, correct in mask_only.items():
        if correct.ndim != 4 or correct.shape[1] != len(fractions):
            raise ValueError(
                f"mask_only[{explainer!r}] must be (base_models, {len(fractions)} fractions, "
                f"repeats, examples), got {correct.shape}"
            )
        points = correct.swapaxes(0, 1).reshape(len(fractions), -1, correct.shape[3])
        _check(points)
        mean, low, high = _interval([points.mean(axis=1)], points.size, each)
        columns = {"fraction": list(fractions), "accuracy": mean, "low": low, "high": high}
        tables.append(pd.DataFrame({"explainer": explainer, **columns, "leaks": low > bar}))
    if not tables:
        return pd.DataFrame(columns=["explainer", "fraction", "accuracy", "low", "high", "leaks"])
    return pd.concat(tables, ignore_index=True)


def leaking(table: pd.DataFrame) -> frozenset[str]:
    """Return the explainers that leak at any fraction, from the table of :func:`leaks`.

    >>> leaking(pd.DataFrame({"explainer": ["a", "a", "b"], "leaks": [False, True, False]}))
    frozenset({'a'})
    """
    return frozenset(table.loc[table["leaks"].astype(bool), "explainer"])
