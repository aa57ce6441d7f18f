"""From per-example scores to gains over random.

START HERE: :func:`example_gains`, then :func:`uproar.stats.verdicts.compare_with_random`. A score
is whether the answer was right, or one example's part of R²
(:func:`uproar.models.scoring.example_scores`). Mean scores along a curve have
:func:`uproar.stats.intervals.score_interval`, those of the mask alone
:func:`uproar.stats.leaks.leaks`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from uproar.types import Direction

# Right or wrong, or shares of R². Whoever takes some says which axes come before the examples.
Scores = Bool[np.ndarray, "... examples"] | Float[np.ndarray, "... examples"]


def trapezoid_weights(fractions: Sequence[float]) -> NDArray[np.float64]:
    """Return the weight of every fraction in the area under a curve.

    ``area = Σ weights * values`` by the trapezoid rule, from the point at 0, whose value is zero
    when the curve is a difference to the reference, to the largest fraction and not beyond. The
    weights add up to the largest fraction less half the smallest.

    :param fractions: ascending, in [0, 1]; 0 itself may be among them.
    :raises ValueError: when fractions are none, unsorted, repeated or outside [0, 1].

    >>> trapezoid_weights([0.1, 0.3, 0.5, 0.7, 0.9]).round(3).tolist()
    [0.15, 0.2, 0.2, 0.2, 0.1]
    """
    points = np.asarray(fractions, dtype=np.float64)
    if points.ndim != 1 or not points.size or points[0] < 0 or points[-1] > 1:
        raise ValueError(f"expected fractions in [0, 1], at least one, got {list(fractions)}")
    if not (np.diff(points) > 0).all():
        raise ValueError(
            f"fractions must be ascending without repeats, got {list(fractions)}; sort them and "
            "the curves with them"
        )
    edges = np.concatenate([[0.0], points, points[-1:]])
    return np.asarray((edges[2:] - edges[:-2]) / 2)


def _sign(direction: Direction) -> int:
    if direction not in ("lower", "higher"):
        raise ValueError(f"direction must be 'lower' or 'higher', got {direction!r}")
    return 1 if direction == "higher" else -1


def example_gains(
    scores: Scores,
    reference: Scores,
    fractions: Sequence[float],
    *,
    direction: Direction,
) -> Float[np.ndarray, "base repeats examples"]:
    """Return each example's area between an explainer's curve and the reference's curve.

    Positive is good: reference less explainer where a ``lower`` curve is better (ROAR, all
    curves of removing), explainer less reference where a ``higher`` one is (KAR, all curves of
    keeping). The mean over everything is the *gain*, in score x fraction: accuracy x fraction
    for classes, R² x fraction for values. Where removing and keeping make one gain (retrain-once),
    average their two arrays.

    :param scores: (base_models, fractions, repeats, examples), bool or real.
    :param reference: the same for the reference, with the same repeats and examples.
    :param fractions: of the second axis; see :func:`trapezoid_weights`.
    :raises ValueError: when shapes differ or the fractions are not those of the second axis.

    >>> right, wrong = np.ones((1, 2, 1, 3), bool), np.zeros((1, 2, 1, 3), bool)
    >>> example_gains(wrong, right, [0.5, 1.0], direction="lower").round(3).tolist()
    [[[0.75, 0.75, 0.75]]]
    """
    if scores.ndim != 4 or scores.shape != reference.shape:
        raise ValueError(
            "scores and reference must both be (base_models, fractions, repeats, examples), got "
            f"{scores.shape} and {reference.shape}"
        )
    if scores.shape[1] != len(fractions):
        raise ValueError(f"got {len(fractions)} fractions for {scores.shape[1]} points of a curve")
    right_or_wrong = scores.dtype == reference.dtype == np.bool_
    number = np.int8 if right_or_wrong else np.float64  # exact either way, and answers stay small
    difference = scores.astype(number) - reference.astype(number)
    areas = np.tensordot(trapezoid_weights(fractions), difference, axes=(0, 1))
    return np.asarray(_sign(direction) * areas + 0.0)  # no negative zeros in tables


def attainable_gain(
    reference: Scores,
    best: float,
    fractions: Sequence[float],
    *,
    direction: Direction,
) -> float:
    """Return the gain of a perfect explainer, by which gains are normalised.

    Its curve has the value ``best`` from the smallest fraction on: for ``lower`` the floor, the
    mean score with everything removed; for ``higher`` the ceiling, the mean score with everything
    kept. A normalised gain is not clipped: it may pass 1 by chance, or fall far below -1.

    :param reference: (base_models, fractions, repeats, examples), scores of the reference.
    :param best: mean score at the end point, at fraction 1.
    :returns: score x fraction; not positive when the reference is already at the end point.

    Paper: Madsen et al. 2022, relative area between curves (RACU), there up to fraction 1 and
    clipped in code.

    >>> attainable_gain(np.ones((1, 2, 1, 3), bool), 0.1, [0.5, 1.0], direction="lower")
    0.675
    """
    curve = reference.mean(axis=(0, 2, 3), dtype=np.float64)
    return float(trapezoid_weights(fractions) @ (_sign(direction) * (best - curve)))
