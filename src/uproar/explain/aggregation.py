"""Attribution to importance: one number for each feature, from the channels that it holds.

All sums are made in float64. Squares of float32 values are exact there, so that with one channel
the squared and the absolute importance rank the features identically.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int
from numpy.typing import NDArray

from uproar.explain import AGGREGATIONS
from uproar.registry import find


def signed(attribution: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Return the attribution as it is, sign included.

    >>> signed(np.array([-2.0, 1.0]))
    array([-2.,  1.])
    """
    return attribution


def absolute(attribution: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Return the absolute value of every attribution.

    >>> absolute(np.array([-2.0, 1.0]))
    array([2., 1.])
    """
    magnitudes: Float[np.ndarray, "..."] = np.abs(attribution)
    return magnitudes


def squared(attribution: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Return the square of every attribution.

    >>> squared(np.array([-2.0, 1.0]))
    array([4., 1.])
    """
    squares: Float[np.ndarray, "..."] = np.square(attribution)
    return squares


def transform_of(aggregation: str) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Return what an aggregation does to every attribution; the plain one has an empty name.

    >>> transform_of("abs")(np.array([-2.0])), transform_of("")(np.array([-2.0]))
    (array([2.]), array([-2.]))
    """
    if not aggregation:
        return signed
    found: Callable[[NDArray[Any]], NDArray[Any]]
    found = find(aggregation, AGGREGATIONS, "aggregation").load()
    return found


def aggregate(
    attribution: Float[np.ndarray, "examples *shape"],
    aggregation: str,
    *,
    feature_axes: int,
    groups: Int[np.ndarray, "values"] | None = None,
    feature_shape: tuple[int, ...] = (),
) -> Float32[np.ndarray, "examples *features"]:
    """Return the importance: the values of an attribution, summed over channels.

    ``sum_c a_c`` for the plain aggregation (the empty name), ``sum_c |a_c|`` for ``abs`` and
    ``sum_c a_c**2`` for ``sq``; inputs without a channel axis have one channel. Where ``groups``
    says which values make up a feature, the sum is over those.

    :param attribution: (examples, *feature_shape) or (examples, channels, *feature_shape).
    :param aggregation: empty, or a name in ``AGGREGATIONS``.
    :param feature_axes: number of trailing axes of an attribution that are features.
    :param groups: the feature of every value of a flattened example; by default the channel layout.
    :param feature_shape: of the features that ``groups`` names.
    :returns: (examples, *feature_shape) float32.
    :raises ValueError: when the attribution has neither of the two numbers of axes, or when a sum
        is too large for float32.
    :raises UproarError: when there is no such aggregation.

    >>> maps = np.array([[[1.0, -3.0], [1.0, 2.0]]])  # one example, two channels, two features
    >>> aggregate(maps, "", feature_axes=1), aggregate(maps, "sq", feature_axes=1)
    (array([[ 2., -1.]], dtype=float32), array([[ 2., 13.]], dtype=float32))
    """
    channel_axes = attribution.ndim - 1 - feature_axes
    if groups is None and channel_axes not in {0, 1}:
        raise ValueError(
            f"attribution must have {feature_axes} feature axes after the examples, and at most "
            f"one channel axis before them, got shape {attribution.shape}"
        )
    values = transform_of(aggregation)(attribution.astype(np.float64))
    if groups is not None:
        importance = _summed(values.reshape(len(values), -1), groups, feature_shape)
    else:
        importance = values.sum(axis=1) if channel_axes else values
    if len(importance) and np.abs(importance).max() > np.finfo(np.float32).max:
        raise ValueError(
            f"importance (aggregation {aggregation!r}) is too large for float32: "
            f"{np.abs(importance).max():.3g}; scale the attribution down"
        )
    return np.asarray(importance, dtype=np.float32)


def _summed(
    values: Float[np.ndarray, "examples values"],
    groups: Int[np.ndarray, "values"],
    feature_shape: tuple[int, ...],
) -> Float[np.ndarray, "examples *features"]:
    """Return the sum of the values of every feature."""
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(math.prod(feature_shape)))
    sums = np.add.reduceat(values[:, order], starts, axis=1)
    return np.asarray(sums.reshape(len(values), *feature_shape))
