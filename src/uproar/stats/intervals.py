"""Mean scores with intervals, for accuracies and for R², of many points of curves at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uproar.stats.gains import Scores
from uproar.stats.levels import CROSSED, Design, errors_of, half_width, level_means

Interval = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def score_interval(scores: Scores, *, design: Design = CROSSED, level: float = 0.05) -> Interval:
    """Return mean scores and the ends of their intervals: about new examples and new trainings.

    Their ``width`` comes from the spread of base models (or folds), repeats and examples, each with
    a scale of its own: :func:`uproar.stats.levels.half_width`.

    Right or wrong: Wilson's interval, ``(p + r/2 ± sqrt(r p (1 - p) + r²/4)) / (1 + r)`` with
    ``r = width² / (p (1 - p))``, which is ``q² / n`` for the quantile q and as many independent
    answers n as would be as sure. Unlike a bootstrap it has a width where all answers agree (n is
    the number of examples there), and stays in [0, 1].

    Real scores: ``mean ± width``, since R² is no proportion and may be negative; the upper end is
    cut at 1, which no score exceeds. Squared errors are skewed, so that intervals meant to cover
    95 % cover 94 % where errors are Gaussian, 89 % where they are Student's t with 5 degrees of
    freedom, and 70 % with 3 (200 examples, 5 repeats). Verdicts do not rest on them, but on paired
    differences, from which the heavy tails of the labels cancel.

    :param scores: (points, base models, repeats, examples), bool or real; or without the axis of
        base models, for one.
    :param design: whether repeats are shared by base models, and which folds there are.
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
    whole = scores[:, None] if scores.ndim == 3 else scores
    check(whole.reshape(len(whole), -1, whole.shape[-1]))
    # Counted once, it would leave too little where hardly any answer is wrong.
    levels = list(level_means(whole, design, interaction="twice").values())
    return _interval(whole.mean(axis=(1, 2, 3), dtype=np.float64), levels, scores, level)


def example_interval(scores: Scores, *, level: float = 0.05) -> Interval:
    """Return the interval of :func:`score_interval` for these very models, on new examples.

    Only the spread of the examples counts. (With two repeats, quantiles of one degree of freedom
    would hide the plainest difference.)

    >>> scores = np.array([[[True, True, False, False], [False, False, False, False]]])
    >>> [end.round(3).tolist() for end in example_interval(scores)]
    [[0.25], [0.037], [0.742]]
    """
    check(scores)
    levels = [scores.mean(axis=1, dtype=np.float64)]
    return _interval(levels[0].mean(axis=1), levels, scores, level)


def student_interval(levels: list[NDArray[np.float64]], *, level: float = 0.05) -> Interval:
    """Return ``mean ± width`` of any numbers, from the means (points, units) of each level.

    >>> [end.round(3).tolist() for end in student_interval([np.array([[-1.0, 0.0, 1.0]])])]
    [[0.0], [-2.484], [2.484]]
    """
    mean, half = levels[-1].mean(axis=1), _half_width(levels, level)
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


def _interval(
    mean: NDArray[np.float64], levels: list[NDArray[np.float64]], scores: Scores, level: float
) -> Interval:
    half = _half_width(levels, level)
    if scores.dtype == np.bool_:
        answers = scores.size // max(len(scores), 1)
        return _proportion(mean, half, (answers, scores.shape[-1]), level)
    return mean, mean - half, np.minimum(mean + half, 1.0)


def _half_width(levels: list[NDArray[np.float64]], level: float) -> NDArray[np.float64]:
    return half_width(*errors_of(levels), level=level)


def _proportion(
    mean: NDArray[np.float64], half: NDArray[np.float64], counts: tuple[int, int], level: float
) -> Interval:
    """Return Wilson's interval for as many independent answers as are as sure.

    :param counts: of answers, and of examples.
    """
    from scipy.special import stdtrit

    answers, examples = counts
    spread = mean * (1 - mean)
    unanimous = spread == 0
    # At least the width of answers that are all independent of each other.
    least = stdtrit(examples - 1, 1 - level / 2) ** 2
    floor = least / answers
    ratio = np.maximum(half**2 / np.where(unanimous, 1.0, spread), floor)
    return mean, *_wilson(mean, np.where(unanimous, least / examples, ratio))


def _wilson(
    mean: NDArray[np.float64], ratio: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    centre = (mean + ratio / 2) / (1 + ratio)
    half = np.sqrt(ratio * mean * (1 - mean) + ratio**2 / 4) / (1 + ratio)
    # Rounding must not push an end past the mean that it encloses.
    return (
        np.minimum(np.maximum(centre - half, 0.0), mean),
        np.maximum(np.minimum(centre + half, 1.0), mean),
    )
