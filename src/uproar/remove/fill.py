"""Removal by filling: removed features take a value that was fitted on the training data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray


@dataclass(frozen=True)
class Fill:
    """A fitted removal: features that are removed become N(``centre``, ``deviation``²).

    ``centre`` and ``deviation`` broadcast to one input; a deviation of zero fills with a constant.
    """

    centre: NDArray[np.float32]
    deviation: NDArray[np.float32]

    def values(
        self, inputs: Float[np.ndarray, "examples *shape"], generator: np.random.Generator
    ) -> Float[np.ndarray, "#examples *shape"]:
        """Return what stands in for every value: one array for all examples, or one for each."""
        if not self.deviation.any():
            return np.broadcast_to(self.centre, inputs.shape[1:])[None].copy()
        noise = generator.standard_normal(inputs.shape, dtype=np.float32)
        return self.centre + self.deviation * noise

    def __call__(
        self,
        inputs: Float[np.ndarray, "examples *shape"],
        removed: Bool[np.ndarray, "examples *features"],
        generator: np.random.Generator,
    ) -> Float[np.ndarray, "examples *shape"]:
        """Return the inputs without the information of the removed features.

        :param inputs: (examples, *input_shape); not changed.
        :param removed: (examples, *feature_shape), True where the information goes; a feature
            loses all its channels.
        :returns: an array like ``inputs``.
        :raises ValueError: when ``removed`` does not fit the inputs.

        >>> fill = mean(np.array([[1.0, 4.0], [3.0, 8.0]], dtype=np.float32), feature_axes=1)
        >>> fill(np.ones((1, 2), dtype=np.float32), np.array([[True, False]]),
        ...      np.random.default_rng(0))
        array([[2., 1.]], dtype=float32)
        """
        channels = inputs.ndim - removed.ndim
        if channels not in {0, 1} or inputs.shape[1 + channels :] != removed.shape[1:]:
            raise ValueError(
                f"removed must be (examples, *feature_shape) for inputs of shape {inputs.shape}, "
                f"got {removed.shape}"
            )
        mask = removed[:, None] if channels else removed
        return np.where(mask, self.values(inputs, generator), inputs)


def mean(train: Float[np.ndarray, "examples *shape"], *, feature_axes: int) -> Fill:
    """Fit a fill with the training mean: per channel for images, per column for tables.

    :param train: training inputs, (examples, *input_shape).
    :param feature_axes: number of trailing axes that are features; an axis before them is channels.

    Hooker et al. 2019, arXiv 1806.10758.

    >>> images = np.stack([np.zeros((2, 2)), np.ones((2, 2))]).astype(np.float32)[None]
    >>> mean(images, feature_axes=2).centre.ravel()
    array([0., 1.], dtype=float32)
    """
    centre = train.mean(_pooled_axes(train, feature_axes), keepdims=True, dtype=np.float64)[0]
    return Fill(centre.astype(np.float32), np.zeros(1, dtype=np.float32))


def zero(
    train: Float[np.ndarray, "examples *shape"],  # noqa: ARG001 - all removals are fitted alike
    *,
    feature_axes: int,  # noqa: ARG001
) -> Fill:
    """Return a fill with zero, whatever the training data.

    >>> float(zero(np.ones((1, 2), dtype=np.float32), feature_axes=1).centre[0])
    0.0
    """
    return Fill(np.zeros(1, dtype=np.float32), np.zeros(1, dtype=np.float32))


def noise(train: Float[np.ndarray, "examples *shape"], *, feature_axes: int) -> Fill:
    """Fit a fill with Gaussian noise of the training mean and standard deviation.

    Both per channel for images and per column for tables. An example keeps its noise in every
    epoch, for every explainer and fraction.

    >>> fill = noise(np.array([[0.0], [2.0]], dtype=np.float32), feature_axes=1)
    >>> fill.centre, fill.deviation
    (array([1.], dtype=float32), array([1.], dtype=float32))
    """
    deviation = train.std(_pooled_axes(train, feature_axes), keepdims=True, dtype=np.float64)[0]
    return Fill(mean(train, feature_axes=feature_axes).centre, deviation.astype(np.float32))


def _pooled_axes(train: NDArray[np.float32], feature_axes: int) -> tuple[int, ...]:
    """Return the axes to average over: all but channels for images, all but columns for tables."""
    return (0, *range(train.ndim - feature_axes, train.ndim)) if feature_axes > 1 else (0,)
