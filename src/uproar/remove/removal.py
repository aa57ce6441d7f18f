"""What removals have in common: features to values, and any fitted removal to an array."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Num
from torch import Tensor

from uproar.dataset import Data

BLOCK = 1024  # examples that are imputed at a time


@runtime_checkable
class Removal(Protocol):
    """A removal that was fitted on the training split of a data set."""

    def values(
        self, inputs: Num[np.ndarray, "examples *shape"], generator: np.random.Generator
    ) -> Num[np.ndarray, "#examples *shape"]:
        """Return what stands in for every value: one array for all examples, or one for each.

        It is drawn once for each example, and is the same for all explainers, fractions, epochs.
        """
        ...


@runtime_checkable
class Imputer(Removal, Protocol):
    """A removal that makes what stands in from what is kept; ``values`` are its material."""

    def impute(
        self,
        inputs: Float[Tensor, "rows *shape"],
        kept: Float[Tensor, "rows *shape"],
        values: Float[Tensor, "#rows *shape"],
    ) -> Float[Tensor, "rows *shape"]:
        """Return the inputs, changed only where ``kept`` is 0 instead of 1."""
        ...


class Undrawn:
    """What removals have in common whose values follow from what is kept alone."""

    def values(
        self,
        inputs: Float[np.ndarray, "examples *shape"],
        generator: np.random.Generator,
    ) -> Float[np.ndarray, "1 *shape"]:
        """Return zeros: there is no material."""
        return np.zeros((1, *inputs.shape[1:]), dtype=np.float32)


def removed_values(
    data: Data, removed: Bool[np.ndarray, "examples *features"]
) -> Bool[np.ndarray, "examples *shape"]:
    """Return which values of the inputs go with the removed features.

    :param data: says which values a feature holds: its channels, or those of its group.
    :param removed: (examples, *feature_shape), True where the information goes.
    :returns: (examples, *input_shape).
    :raises ValueError: when ``removed`` has another shape.

    >>> from uproar.data import load
    >>> data = load("planted-window", seed=0)  # features are steps in time, of two channels
    >>> first = np.arange(50)[None] == 0
    >>> removed_values(data, first).sum((0, 2))
    array([1, 1])
    """
    if removed.shape[1:] != data.feature_shape:
        raise ValueError(
            f"removed must be (examples, *feature_shape) with feature_shape {data.feature_shape}, "
            f"got {removed.shape}"
        )
    flat = removed.reshape(len(removed), -1)
    if data.feature_of_value is not None:
        spread = flat[:, data.feature_of_value]
    else:
        spread = np.tile(flat, data.channels)
    return spread.reshape(len(removed), *data.input_shape)


def apply(
    fitted: Removal,
    data: Data,
    inputs: Num[np.ndarray, "examples *shape"],
    removed: Bool[np.ndarray, "examples *features"],
    *,
    generator: np.random.Generator,
) -> Num[np.ndarray, "examples *shape"]:
    """Return the inputs without the information of the removed features.

    :param fitted: what a registered removal returns for ``data``.
    :param data: says which values a feature holds.
    :param inputs: (examples, *input_shape); not changed.
    :param removed: (examples, *feature_shape), True where the information goes; a feature
        loses all its values.
    :returns: an array like ``inputs``, in which all that is kept is as it was.
    :raises ValueError: when ``removed`` does not fit the features.

    >>> from uproar.data import load
    >>> from uproar.remove.fill import zero
    >>> data = load("planted-table", seed=0)
    >>> removed = np.ones((1, 20), dtype=bool)
    >>> float(np.abs(apply(zero(data), data, data.test.inputs[:1], removed,
    ...                    generator=np.random.default_rng(0))).max())
    0.0
    """
    gone = removed_values(data, removed)
    values = fitted.values(inputs, generator)
    if not isinstance(fitted, Imputer):
        return np.where(gone, values, inputs)
    result = np.empty_like(inputs)
    for start in range(0, len(inputs), BLOCK):
        block = slice(start, start + BLOCK)
        kept = torch.from_numpy(~gone[block]).to(torch.float32)
        material = torch.from_numpy(values if len(values) == 1 else values[block])
        rows = torch.from_numpy(np.ascontiguousarray(inputs[block]))
        result[block] = fitted.impute(rows, kept, material).numpy()
    return result
