"""How sure a mean is when a few retrainings are crossed with many examples.

The unit of everything here is a stack of *gains* (explainers, base_models, repeats, examples).
Its mean is uncertain at three levels: base models, repeats and examples. A level with one unit
says nothing about its own spread and is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

CHUNK = 4_000_000  # resampling counts held at once, which bounds the memory
LEVELS = ("base models", "repeats", "examples")


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


def level_means(
    gains: Float[np.ndarray, "explainers base repeats examples"],
) -> dict[str, NDArray[np.float64]]:
    """Return the means (explainers, units) of every level that has more than one unit.

    >>> level_means(np.zeros((2, 1, 5, 9)))["repeats"].shape
    (2, 5)
    >>> list(level_means(np.zeros((2, 1, 1, 9))))
    ['examples']
    """
    axes = {"base models": (2, 3), "repeats": (1, 3), "examples": (1, 2)}
    means = {level: gains.mean(axis=axes[level]) for level in LEVELS}
    return {level: values for level, values in means.items() if values.shape[1] > 1}


def standard_error(
    variances: Float[np.ndarray, "levels *things"], units: list[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return standard error and degrees of freedom of means, from the variances of their levels.

    ``error² = Σ variances`` and, after Welch and Satterthwaite,
    ``degrees = (Σ variances)² / Σ (variances² / (units - 1))``: few where the repeats, of which
    there are few, make most of the error, and many where the examples do. An interaction of two
    levels is counted in both, so the error is too large rather than too small.

    :param variances: (levels, ...), each the squared standard error from that level's means.
    :param units: number of units of each level.
    :returns: error and degrees of freedom (1 where the error is zero), of shape (...).

    Paper: Satterthwaite 1946, "An approximate distribution of estimates of variance components".

    >>> error, degrees = standard_error(np.array([[9.0, 0.0], [0.0, 16.0]]), [5, 101])
    >>> error.tolist(), degrees.tolist()
    ([3.0, 4.0], [4.0, 100.0])
    """
    total = variances.sum(axis=0)
    freedom = (np.array(units) - 1).reshape(-1, *[1] * total.ndim)
    # Shares instead of variances: squares of tiny variances would underflow.
    shares = variances / np.where(total > 0, total, 1.0)
    spread = (shares**2 / freedom).sum(axis=0)
    return np.sqrt(total), 1 / np.where(total > 0, spread, 1.0)


def error_of_gains(
    gains: Float[np.ndarray, "explainers base repeats examples"],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return :func:`standard_error` of every explainer's gain, both of shape (explainers,).

    >>> error, degrees = error_of_gains(np.array([[[[0.0, 2.0, 4.0]]]]))
    >>> error.round(4).tolist(), degrees.tolist()
    ([1.1547], [2.0])
    """
    levels = level_means(gains).values()
    variances = [means.var(axis=1, ddof=1) / means.shape[1] for means in levels]
    return standard_error(np.stack(variances), [means.shape[1] for means in levels])


def error_of_differences(
    gains: Float[np.ndarray, "explainers base repeats examples"],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return :func:`standard_error` of all differences of gains, (explainers, explainers) each.

    >>> error_of_differences(np.array([[[[0.0, 2.0, 4.0]]], [[[0.0, 2.0, 4.0]]]]))[0].tolist()
    [[0.0, 0.0], [0.0, 0.0]]
    """
    variances, units = [], []
    for means in level_means(gains).values():
        count = means.shape[1]
        centred = means - means.mean(axis=1, keepdims=True)
        covariance = centred @ centred.T / (count * (count - 1))
        own = np.diag(covariance)
        # var(a - b) = var(a) + var(b) - 2 cov(a, b); rounding may leave it just below zero.
        variances.append(np.maximum(own[:, None] + own[None] - 2 * covariance, 0.0))
        units.append(count)
    return standard_error(np.stack(variances), units)


def gain_draws(
    gains: Float[np.ndarray, "explainers base repeats examples"],
    *,
    generator: np.random.Generator,
    draws: int,
) -> Float[np.ndarray, "draws explainers"]:
    """Draw the gains of all explainers again, by a paired bootstrap over all levels.

    A draw is ``gain + scale * Σ_levels sqrt(n / (n - 1)) * (resampled mean - mean)``, where a
    level's n units are drawn with replacement, the same for all explainers. Resampling few units
    understates the error twice. The resampled variance is too small by (n - 1) / n, which the
    square root puts right; and it is itself a guess, so that a normal approximation errs 12 %
    instead of 5 % of the time with five repeats. As Student's t does, ``scale`` repairs this at
    every confidence level: ``sqrt(degrees / chi²(degrees))``, one chi² quantile per draw, with the
    degrees of freedom of :func:`standard_error`.

    Each level has a random stream of its own: two calls with equal generators resample the same
    examples, whatever the number of repeats, so draws of two protocols are paired.

    :param gains: (explainers, base_models, repeats, examples) in score x fraction.
    :param draws: number of draws.
    :returns: (draws, explainers).

    Paper: Owen 2007, "The pigeonhole bootstrap", for resampling crossed levels independently.

    >>> again = gain_draws(np.zeros((2, 1, 5, 9)), generator=np.random.default_rng(0), draws=3)
    >>> again.tolist()
    [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
    """
    from scipy.special import gammaincinv

    streams = dict(zip((*LEVELS, "scale"), generator.spawn(len(LEVELS) + 1), strict=True))
    deviations = np.zeros((draws, len(gains)))
    for level, means in level_means(gains).items():
        deviations += resampled_deviations(means, generator=streams[level], draws=draws)
    _, degrees = error_of_gains(gains)
    uniform = 1 - streams["scale"].random((draws, 1))  # in (0, 1], since chi² must not be zero
    deviations *= np.sqrt(degrees / (2 * gammaincinv(degrees / 2, uniform)))
    # Rounded, so that explainers with equal gains tie whatever the order of summation.
    return np.asarray(np.round(gains.mean(axis=(1, 2, 3)) + deviations, 12))


def resampled_deviations(
    means: Float[np.ndarray, "explainers units"], *, generator: np.random.Generator, draws: int
) -> Float[np.ndarray, "draws explainers"]:
    """Return ``sqrt(n / (n - 1)) * (mean of n units drawn with replacement - mean)``.

    >>> resampled_deviations(np.ones((1, 4)), generator=np.random.default_rng(0), draws=2).tolist()
    [[0.0], [0.0]]
    """
    explainers, units = means.shape
    centred = (means - means.mean(axis=1, keepdims=True)).T / math.sqrt(units * (units - 1))
    deviations = np.empty((draws, explainers))
    rows = max(1, CHUNK // units)
    for start in range(0, draws, rows):
        size = min(rows, draws - start)
        picks = generator.integers(units, size=(size, units)) + units * np.arange(size)[:, None]
        counts = np.bincount(picks.ravel(), minlength=size * units).reshape(size, units)
        deviations[start : start + size] = counts.astype(np.float64) @ centred
    return deviations


def smallest_detectable(
    gains: Float[np.ndarray, "explainers base repeats examples"],
    *,
    level: float = 0.05,
    power: float = 0.8,
) -> float:
    """Return the smallest gain that such a run finds with the given power.

    ``(t(1 - level / 2m) + t(power)) * error``, the median over the m explainers, with quantiles of
    Student's t at each explainer's degrees of freedom: the bar is that of Holm's first step.

    :param gains: (explainers, base_models, repeats, examples), without the reference.
    :returns: score x fraction; NaN without explainers.

    >>> round(smallest_detectable(np.array([[[[-1.0, 0.0, 1.0]]]])), 3)  # 0.577 * (4.303 + 1.061)
    3.097
    """
    from scipy.special import stdtrit

    if not len(gains):
        return float("nan")
    error, degrees = error_of_gains(gains)
    bar = stdtrit(degrees, 1 - level / (2 * len(gains))) + stdtrit(degrees, power)
    return float(np.median(bar * error))


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
