"""What every kind of model must be able to do: be fitted many times over, and be asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor, nn

from uproar.models.training.batches import Batches
from uproar.types import Recipe

Fitted = Any  # stacked states of modules, a list of estimators: only their learner looks inside
Predictor = nn.Module | Callable[[Tensor], Tensor]


@runtime_checkable
class Learner(Protocol):
    """A model that can be trained again, many arms at a time.

    ``way`` says how groups are trained, and is part of the spec of a run. ``parallel`` says
    whether :meth:`fit` uses all processors by itself, so that cells should not run side by side.
    """

    @property
    def training(self) -> str:
        """How groups of arms are trained."""
        ...

    @property
    def parallel(self) -> bool:
        """Whether fitting uses all processors by itself."""
        ...

    def fit(
        self,
        batches: Batches,
        labels: Int[Tensor, "examples"] | Float[Tensor, "examples"],
        *,
        seeds: Sequence[int],
        recipe: Recipe,
    ) -> Fitted:
        """Train one model per arm from scratch; ``seeds[arm]`` is all that its randomness is from.

        :param labels: int64 classes, or float32 values for regression.
        :raises Skipped: when the model cannot be trained at all.
        """
        ...

    def outputs(self, fitted: Fitted, batches: Batches) -> Float[Tensor, "arms examples outputs"]:
        """Return what every arm's model answers to its own inputs: the largest output wins."""
        ...

    def size(self, fitted: Fitted) -> int:
        """Return the number of fitted models."""
        ...

    def repeated(self, fitted: Fitted, times: int) -> Fitted:
        """Return every fitted model ``times`` times, copies side by side."""
        ...

    def predictor(self, fitted: Fitted) -> Predictor:
        """Return the first fitted model: inputs (rows, *input_shape) to (rows, outputs)."""
        ...

    def untrained(
        self,
        batches: Batches,
        labels: Int[Tensor, "examples"] | Float[Tensor, "examples"],
        *,
        seed: int,
        recipe: Recipe,
    ) -> Predictor:
        """Return a model that has learned nothing of the labels: a control for explainers.

        A module with new initial weights; an estimator, which has none, is fitted to the labels in
        random order.

        :raises Skipped: when the model can be neither.
        """
        ...

    def to_arrays(self, fitted: Fitted) -> dict[str, NDArray[Any]]:
        """Return what the store keeps; empty for models that only code could bring back."""
        ...

    def from_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> Fitted | None:
        """Restore what :meth:`to_arrays` made; None when it has to be fitted again."""
        ...
