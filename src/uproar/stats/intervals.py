"""Mean scores with intervals, for accuracies and for R², of many points of curves at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uproar.stats.gains import Scores
from uproar.stats.resampling import standard_error

Interval = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def score_interval(scores: Scores, *, level: float = 0.05) -> Interval:
    """Return mean scores and the ends of their intervals: about new examples and new retrainings.

    The standard ``error`` and the degrees of freedom of Student's quantile q come from the spread
    of repeats and of examples, see :func:`uproar.stats.resampling.standard_error`.

    Right or wrong: Wilson's interval, ``(p + q²/2n ± q sqrt(p (1 - p)/n + q²/4n²)) / (1 + q²/n)``,
    for as many independent answers ``n = p (1 - p) / error²`` as would have the same error. Unlike
    a bootstrap it has a width where all answers agree (n is the number of examples there), stays in
    [0, 1], and costs microseconds.

    Real scores: ``mean ± q · error``, since R² is no proportion and may be negative; the upper end
    is cut at 1, which no score exceeds. Squared errors are skewed, so that intervals meant to cover
    95 % cover 94 % where errors are Gaussian, 89 % where they are Student's t with 5 degrees of
    freedom, and 70 % with 3 (200 examples, 5 repeats). Verdicts do not rest on them, but on paired
    differences, from which the heavy tails of the labels cancel.

    :param scores: (points, repeats, examples), bool or real; base models count as further repeats.
    :param level: error probability of both ends together.
    :returns: mean, low and high, (points,) each.
    :raises ValueError: when there are fewer than two examples or no repeat.

    Paper: Wilson 1927, "Probable inference, the law of succession, and statistical inference";
    Korn and Graubard 1998 for the number of independent answers.

    >>> mean, low, high = score_interval(np.ones((1, 5, 100), dtype=bool))
    >>> mean.tolist(), low.round(4).tolist(), high.tolist()
    ([1.0], [0.9621], [1.0])
    >>> _, low, high = score_interval(np.array([[[0.5, -0.5, 0.0]]]))  # 4.303 * 0.5 / sqrt(3)
    >>> low.round(3).tolist(), high.tolist()
    ([-1.242], [1.0])
    """
    check(scores)
    means = [scores.mean(axis=axis, dtype=np.float64) for axis in (2, 1)]
    return _interval([values for values in means if values.shape[1] > 1], scores, level)


def example_interval(scores: Scores, *, level: float = 0.05) -> Interval:
    """Return the interval of :func:`score_interval` for these very models, on new examples.

    Only the spread of the examples counts. (With two repeats, quantiles of one degree of freedom
    would hide the plainest difference.)

    >>> scores = np.array([[[True, True, False, False], [False, False, False, False]]])
    >>> [end.round(3).tolist() for end in example_interval(scores)]
    [[0.25], [0.037], [0.742]]
    """
    check(scores)
    return _interval([scores.mean(axis=1, dtype=np.float64)], scores, level)


def student_interval(levels: list[NDArray[np.float64]], *, level: float = 0.05) -> Interval:
    """Return ``mean ± q · error`` of any numbers, from the means (points, units) of each level.

    :param levels: the last one has the examples.

    >>> [end.round(3).tolist() for end in student_interval([np.array([[-1.0, 0.0, 1.0]])])]
    [[0.0], [-2.484], [2.484]]
    """
    mean, error, degrees = _moments(levels)
    half = _quantile(degrees, level) * error
    return mean, mean - half, mean + half


def check(scores: NDArray[np.generic]) -> None:
    """Raise ``ValueError`` unless scores are (points, repeats, examples), enough for an interval.

    >>> check(np.zeros((1, 2, 3)))
    """
    if scores.ndim != 3 or scores.shape[1] < 1 or scores.shape[2] < 2:
        raise ValueError(
            "scores must be (points, repeats, examples) with a repeat and two examples or more, "
            f"got {scores.shape}"
        )


def _interval(levels: list[NDArray[np.float64]], scores: Scores, level: float) -> Interval:
    if scores.dtype == np.bool_:
        return _proportion(levels, scores.size, level)
    mean, low, high = student_interval(levels, level=level)
    return mean, low, np.minimum(high, 1.0)


def _moments(levels: list[NDArray[np.float64]]) -> Interval:
    """Return mean, standard error and degrees of freedom, (points,) each."""
    variances = np.stack([means.var(axis=1, ddof=1) / means.shape[1] for means in levels])
    error, degrees = standard_error(variances, [means.shape[1] for means in levels])
    return levels[-1].mean(axis=1), error, degrees


def _quantile(degrees: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    from scipy.special import stdtrit

    return np.asarray(stdtrit(degrees, 1 - level / 2), dtype=np.float64)


def _proportion(levels: list[NDArray[np.float64]], size: int, level: float) -> Interval:
    """Return Wilson's interval for as many independent answers as have the same error."""
    points, examples = levels[-1].shape
    mean, error, degrees = _moments(levels)
    unanimous = (mean == 0) | (mean == 1)
    # At least the variance of answers that are all independent of each other.
    floor = mean * (1 - mean) * points / max(size, 1)
    answers = mean * (1 - mean) / np.where(unanimous, 1.0, np.maximum(error**2, floor))
    answers = np.where(unanimous, examples, np.maximum(answers, 1.0))
    degrees = np.where(unanimous, examples - 1, degrees)
    return mean, *_wilson(mean, answers, _quantile(degrees, level))


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
