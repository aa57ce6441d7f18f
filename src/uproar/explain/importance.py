"""What an explainer of the function measures: one importance for each feature, and its error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.special import stdtr
from torch import Tensor

from uproar.models.trained import TrainedModel

Transform = Callable[[NDArray[np.float64]], NDArray[np.float64]]


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

    @classmethod
    def of_differences(cls, differences: Float[np.ndarray, "features examples"]) -> Importance:
        """Return the mean difference of losses of every feature, with its error and its test.

        The test is Student's, one-sided, over examples: each counts once, however often something
        was shuffled or trained for it, since what the mean varies by is which examples there are.

        :param differences: how much the loss of every example rises without the feature, the mean
            over shufflings or refits.
        :raises ValueError: when a difference is no number.

        >>> found = Importance.of_differences(np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]]))
        >>> found.values, found.errors.round(3), found.p_values.round(3)
        (array([2., 0.]), array([0.577, 0.   ]), array([0.037, 1.   ]))
        """
        if not np.isfinite(differences).all():
            raise ValueError(
                "differences of losses must be finite numbers; the model answers with NaN or "
                "infinity, to shuffled inputs or to those as they are"
            )
        examples, values = differences.shape[1], differences.mean(1)
        if examples == 1:
            return cls.of(values)
        errors = differences.std(1, ddof=1) / np.sqrt(examples)
        return cls(values, errors, one_sided(values, errors, examples))

    def aggregated(self, transform: Transform) -> Importance:
        """Return the importance with each value transformed, as absolute value or square.

        Its errors are how far the transform goes within one standard error, to the farther side.
        Values that are never below zero have no test against it.

        >>> found = Importance(np.array([-2.0, 0.0]), np.array([0.5, 0.5]), np.array([1.0, 0.5]))
        >>> found.aggregated(np.square)
        Importance(values=array([4., 0.]), errors=array([2.25, 0.25]), p_values=array([nan, nan]))
        """
        values = transform(self.values)
        ends = [transform(self.values + side * self.errors) for side in (-1, 1)]
        errors = np.abs(np.stack(ends) - values).max(0)
        return Importance(values, errors, np.full(len(values), np.nan))

    def like(self, model: TrainedModel, inputs: Float[Tensor, "examples ..."]) -> Tensor:
        """Return it as an attribution of every input: the same for all."""
        values = torch.from_numpy(self.values).to(inputs.device, torch.float32)
        return model.spread_over_values(values.expand(len(inputs), -1), inputs)


def one_sided(
    values: NDArray[np.float64], errors: NDArray[np.float64], examples: int
) -> NDArray[np.float64]:
    """Return p-values of the hypotheses that means are zero or below, by Student's t.

    >>> one_sided(np.array([2.0, 0.0]), np.array([1.0, 0.0]), 11).round(4)
    array([0.0367, 1.    ])
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = values / errors
    # Where all differences are equal, they speak for themselves.
    ratios = np.where(errors > 0, ratios, np.where(values > 0, np.inf, -np.inf))
    return np.asarray(stdtr(examples - 1, -ratios))


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
