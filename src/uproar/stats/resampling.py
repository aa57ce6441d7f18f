"""Drawing gains again, what a run could have found, and the correction for many tests."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from uproar.stats.levels import CROSSED, LEVELS, Design, errors_of, half_width, level_means

CHUNK = 4_000_000  # normal numbers held at once, which bounds the memory


def stack_gains(
    gains: Mapping[str, NDArray[np.float64]], *, reference: str
) -> tuple[list[str], NDArray[np.float64]]:
    """Return names and gains (explainers, base_models, repeats, examples), in alphabetic order.

    :raises ValueError: when shapes differ, or the reference is missing or not zero.

    >>> stack_gains({"random": np.zeros((1, 1, 2))}, reference="random")[1].shape
    (1, 1, 1, 2)
    """
    shapes = {name: values.shape for name, values in gains.items()}
    if len(set(shapes.values())) > 1 or any(len(s) != 3 or s[2] < 2 for s in shapes.values()):
        raise ValueError(
            "gains must all have one shape (base_models, repeats, examples) with two examples or "
            f"more, got {shapes}"
        )
    if reference not in gains:
        raise ValueError(f"the reference {reference!r} is not among the gains: {', '.join(gains)}")
    if gains[reference].any():
        raise ValueError(
            f"the gain of the reference {reference!r} must be zero everywhere, got up to "
            f"{np.abs(gains[reference]).max():.3g}; compute all gains against the reference"
        )
    names = sorted(gains)
    return names, np.stack([gains[name] for name in names])


def gain_draws(
    gains: Float[np.ndarray, "explainers base repeats examples"],
    *,
    generator: np.random.Generator,
    draws: int,
    design: Design = CROSSED,
) -> Float[np.ndarray, "draws explainers"]:
    """Draw the gains of all explainers again, paired over explainers, at all levels.

    A draw is ``gain + Σ_levels scale Σ_u z_u (mean_u - mean) / sqrt(n (n - 1))``, with one
    ``scale = sqrt((n - 1) / χ²(n - 1))`` for each level and one normal z for each of its n units,
    the same for all explainers. One explainer's draws have the law of
    :mod:`uproar.stats.levels`, which tests and intervals have in closed form; drawn together they
    say how ranks and agreement vary.

    Each level has random streams of its own: two calls with equal generators draw the same for
    the examples, whatever the number of repeats, so draws of two protocols are paired.

    :param gains: (explainers, base_models, repeats, examples) in score x fraction.
    :param draws: number of draws.
    :param design: which levels there are.
    :returns: (draws, explainers).

    Paper: Mammen 1993, "Bootstrap and wild bootstrap for high dimensional linear models"; Owen
    2007, "The pigeonhole bootstrap", for drawing crossed levels independently.

    >>> again = gain_draws(np.zeros((2, 1, 5, 9)), generator=np.random.default_rng(0), draws=3)
    >>> again.tolist()
    [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
    """
    streams = dict(zip(LEVELS, generator.spawn(len(LEVELS)), strict=True))
    again = np.repeat(gains.mean(axis=(1, 2, 3))[None], draws, axis=0)
    for level, means in level_means(gains, design).items():
        units, scale = streams[level].spawn(2)
        freedom = means.shape[1] - 1
        scales = np.sqrt(freedom / scale.chisquare(freedom, size=(draws, 1)))
        again += scales * deviations(means, generator=units, draws=draws)
    # Rounded, so that explainers with equal gains tie whatever the order of summation.
    return np.asarray(np.round(again, 12))


def deviations(
    means: Float[np.ndarray, "explainers units"], *, generator: np.random.Generator, draws: int
) -> Float[np.ndarray, "draws explainers"]:
    """Return ``Σ z (mean of a unit - mean) / sqrt(n (n - 1))`` for normal z, one for each unit.

    >>> deviations(np.ones((1, 4)), generator=np.random.default_rng(0), draws=2).tolist()
    [[0.0], [0.0]]
    """
    explainers, units = means.shape
    centred = (means - means.mean(axis=1, keepdims=True)).T / math.sqrt(units * (units - 1))
    found = np.empty((draws, explainers))
    rows = max(1, CHUNK // units)
    for start in range(0, draws, rows):
        size = min(rows, draws - start)
        found[start : start + size] = generator.standard_normal((size, units)) @ centred
    return found


def smallest_detectable(
    gains: Float[np.ndarray, "explainers base repeats examples"],
    *,
    level: float = 0.05,
    power: float = 0.8,
    design: Design = CROSSED,
) -> float:
    """Return the smallest gain that such a run finds with the given power.

    The half width of the interval at ``level / m``, which is the bar of Holm's first step over m
    explainers, and that at ``2 (1 - power)``; the median over the explainers.

    :param gains: (explainers, base_models, repeats, examples), without the reference.
    :returns: score x fraction; NaN without explainers.

    >>> round(smallest_detectable(np.array([[[[-1.0, 0.0, 1.0]]]])), 3)  # 0.577 * (4.303 + 1.061)
    3.097
    """
    if not len(gains):
        return float("nan")
    errors, units = errors_of(level_means(gains, design).values())
    bar = half_width(errors, units, level=level / len(gains))
    return float(np.median(bar + half_width(errors, units, level=2 * (1 - power))))


def holm(p_values: Float[np.ndarray, "tests"]) -> Float[np.ndarray, "tests"]:
    """Return p-values adjusted for the number of tests, so that any error at all has its level.

    The k-th smallest of m is multiplied by m - k + 1, made no smaller than the one before, and cut
    at 1.

    :raises ValueError: when a p-value is outside [0, 1] or NaN.

    Paper: Holm 1979, "A simple sequentially rejective multiple test procedure".

    >>> holm(np.array([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    outside = ~((p_values >= 0) & (p_values <= 1))
    if outside.any():
        raise ValueError(f"p-values must lie in [0, 1], got {p_values[outside].tolist()}")
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return adjusted
