"""Removal by filling: removed features take a value that was fitted on the training data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Num
from numpy.typing import NDArray

from uproar.dataset import Data
from uproar.types import UproarError

BLOCK = 4096  # training examples that are raised to float64 at a time


@dataclass(frozen=True)
class Fill:
    """A fitted removal: features that are removed become N(``centre``, ``deviation``²).

    ``centre`` and ``deviation`` broadcast to one input; a deviation of zero fills with a constant.
    """

    centre: NDArray[np.float32] | NDArray[np.int64]
    deviation: NDArray[np.float32]

    def values(
        self, inputs: Num[np.ndarray, "examples *shape"], generator: np.random.Generator
    ) -> Num[np.ndarray, "#examples *shape"]:
        """Return what stands in for every value: one array for all examples, or one for each.

        >>> fill = Fill(np.array([1.0, 2.0], np.float32), np.zeros(1, np.float32))
        >>> fill.values(np.zeros((5, 2), np.float32), np.random.default_rng(0))
        array([[1., 2.]], dtype=float32)
        """
        if not self.deviation.any():
            constant = np.broadcast_to(self.centre, inputs.shape[1:])[None]
            return constant.astype(inputs.dtype)
        # In place: the noise of a large image data set is as large as the data.
        noise = generator.standard_normal(inputs.shape, dtype=np.float32)
        noise *= self.deviation
        noise += self.centre
        return noise


def mean(data: Data) -> Fill:
    """Fit a fill with the training mean: per channel of images and series, per column of tables.

    :param data: images (channels, height, width), tables (columns,) or series (channels, time).

    Hooker et al. 2019, arXiv 1806.10758.

    >>> from uproar.dataset import Split
    >>> images = np.stack([np.zeros((2, 2)), np.ones((2, 2))]).astype(np.float32)[None]
    >>> split = Split(images, np.array([0]))
    >>> data = Data("two channels", "image", split, split, split, (2, 2), ("one class",))
    >>> mean(data).centre.ravel()
    array([0., 1.], dtype=float32)
    """
    return Fill(_mean(data).astype(np.float32), np.zeros(1, dtype=np.float32))


def zero(data: Data) -> Fill:
    """Return a fill with zero, whatever the training data.

    >>> from uproar.data import load
    >>> float(zero(load("digits", seed=0)).centre[0])
    0.0
    """
    return Fill(np.zeros(1, dtype=np.float32), np.zeros(1, dtype=np.float32))


def noise(data: Data) -> Fill:
    """Fit a fill with Gaussian noise of the training mean and standard deviation.

    Both per channel of images and series and per column of tables. An example keeps its noise in
    every epoch, for every explainer and fraction.

    :param data: images (channels, height, width), tables (columns,) or series (channels, time).

    Samek et al. 2017, arXiv 1509.06321.

    >>> from uproar.dataset import Split
    >>> split = Split(np.array([[0.0], [2.0]], dtype=np.float32), np.array([0, 1]))
    >>> fill = noise(Data("column", "table", split, split, split, (1,), ("a", "b")))
    >>> fill.centre, fill.deviation
    (array([1.], dtype=float32), array([1.], dtype=float32))
    """
    centre, pooled = _mean(data), _pooled(data)
    squares = np.zeros_like(centre)
    for block in _blocks(data):
        squares += np.square(block - centre).mean(pooled, keepdims=True)[0] * len(block)
    deviation = np.sqrt(squares / len(data.train))
    return Fill(centre.astype(np.float32), deviation.astype(np.float32))


def mask_token(data: Data) -> Fill:
    """Return a fill with the mask token of the vocabulary.

    :param data: text, as token ids (length,).
    :raises UproarError: when the data have no vocabulary.

    Madsen et al. 2022, arXiv 2110.08412.

    >>> from uproar.data import load
    >>> mask_token(load("planted-words", seed=0)).centre
    array([2])
    """
    if data.vocabulary is None:
        raise UproarError(
            f"removal 'mask-token' needs a vocabulary, and data {data.name!r} ({data.kind}) have "
            "none; use 'mean'"
        )
    return Fill(np.array([data.vocabulary.mask], dtype=np.int64), np.zeros(1, dtype=np.float32))


def _pooled(data: Data) -> tuple[int, ...]:
    """Return the axes to average over: all but channels, or all but columns."""
    axes = {"image": 2, "series": 1}.get(data.kind, 0)
    dimensions = data.train.inputs.ndim
    return (0, *range(dimensions - axes, dimensions))


def _blocks(data: Data) -> Iterator[NDArray[np.float64]]:
    for start in range(0, len(data.train), BLOCK):
        yield data.train.inputs[start : start + BLOCK].astype(np.float64)


def _mean(data: Data) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = data.train.inputs.mean(
        _pooled(data), keepdims=True, dtype=np.float64
    )[0]
    return mean
