"""What an explainer of the function measures: one importance for each feature, and its error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from uproar.models.trained import TrainedModel


@dataclass(frozen=True)
class Importance:
    """The importance of every feature, its standard error, and the test of its being zero.

    ``values``, ``errors`` and ``p_values`` are (features,), float64. ``p_values`` are those of the
    hypothesis that the importance is zero or below, from the losses of single held-out examples;
    NaN, as errors may be, where an estimate has none.
    """

    values: NDArray[np.float64]
    errors: NDArray[np.float64]
    p_values: NDArray[np.float64]

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Importance:
        """Return an importance of unknown error."""
        unknown = np.full(len(values), np.nan)
        return cls(values, unknown, unknown)

    def like(self, model: TrainedModel, inputs: Float[Tensor, "examples ..."]) -> Tensor:
        """Return it as an attribution of every input: the same for all."""
        values = torch.from_numpy(self.values).to(inputs.device, torch.float32)
        return model.spread_over_values(values.expand(len(inputs), -1), inputs)


@runtime_checkable
class ExplainerOfFunction(Protocol):
    """Explains the function as a whole, from the examples that the model holds out."""

    def measure(self, model: TrainedModel, generator: torch.Generator) -> Importance:
        """Return the importance of every feature.

        :raises Skipped: when the model or the held-out examples do not allow it.
        """
        ...


def mean_absolute(importance: Float[np.ndarray, "examples *features"]) -> Importance:
    """Return the mean absolute importance of every feature over examples, with its standard error.

    ``e_f = (1/n) sum_i |e_if|``. It has no test against zero: it is never below.

    Lundberg et al. 2020, arXiv 1905.04610.

    >>> mean_absolute(np.array([[1.0, -2.0], [3.0, 2.0]])).values
    array([2., 2.])
    """
    sizes = np.abs(importance.reshape(len(importance), -1).astype(np.float64))
    if len(sizes) == 1:
        return Importance.of(sizes[0])
    errors = sizes.std(axis=0, ddof=1) / np.sqrt(len(sizes))
    return Importance(sizes.mean(axis=0), errors, np.full(sizes.shape[1], np.nan))
