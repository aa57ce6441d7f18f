"""Models that cannot be trained from scratch: functions, and modules that were trained before."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from numpy.typing import NDArray
from torch import Tensor, nn

from uproar.models.randomness import reinitialised
from uproar.models.training.batches import Batches
from uproar.models.training.schedule import prediction_batches
from uproar.models.training.ways import CPU, TorchLearner
from uproar.types import Recipe, Skipped, UproarError

Predict = Callable[[NDArray[Any]], Any]


@dataclass(frozen=True)
class FunctionPredictor:
    """A function of arrays as a function of tensors, which has no gradients.

    ``predict`` maps inputs (rows, *input_shape) to (rows, outputs), an array or a tensor; a
    regression may answer with (rows,).
    """

    predict: Predict
    outputs: int

    def __call__(self, inputs: Shaped[Tensor, "rows *shape"]) -> Float[Tensor, "rows outputs"]:
        """Return the answers in float32, on the inputs' device.

        :raises UproarError: when the function answers with another shape.
        """
        answers = self.predict(inputs.detach().cpu().numpy())
        if isinstance(answers, Tensor):
            answers = answers.detach().cpu()
        values = np.asarray(answers, dtype=np.float32)
        wanted = (len(inputs), self.outputs)
        if self.outputs == 1 and values.shape == wanted[:1]:
            values = values[:, None]
        if values.shape != wanted:
            each = "one per class" if self.outputs > 1 else "the value"
            raise UproarError(
                f"the model must return an array of shape {wanted}, {each}, for inputs of shape "
                f"{tuple(inputs.shape)}, got shape {values.shape}"
            )
        return torch.from_numpy(values).to(inputs.device)


@dataclass(frozen=True)
class FrozenLearner:
    """A model that is asked and never trained.

    :param model: a trained ``torch.nn.Module``, which is copied, or a function of NumPy arrays:
        inputs (rows, *input_shape) to (rows, outputs), with a probability, logit or any other
        score for each class, or the value of a regression.
    :param answers: how many outputs: the number of classes, or 1 for a regression.

    >>> learner = FrozenLearner(lambda inputs: inputs * 2, answers=2)
    >>> learner.predictor(learner.given())(torch.ones(1, 2))
    tensor([[2., 2.]])
    """

    model: nn.Module | Predict
    answers: int

    @property
    def training(self) -> str:
        """How groups of arms are trained."""
        return "frozen"

    @property
    def parallel(self) -> bool:
        """Whether fitting uses all processors by itself."""
        return False

    def given(self) -> list[Any]:
        """Return the model itself, in place of what fitting would have made."""
        if not isinstance(self.model, nn.Module):
            return [FunctionPredictor(self.model, self.answers)]
        return [copy.deepcopy(self.model).eval().requires_grad_(requires_grad=False)]

    def fit(
        self,
        batches: Batches,
        labels: Int[Tensor, "examples"] | Float[Tensor, "examples"],
        *,
        seeds: Sequence[int],
        recipe: Recipe,
    ) -> list[Any]:
        """Refuse.

        :raises Skipped: always.
        """
        del batches, labels, seeds, recipe  # nothing is learned from them
        raise Skipped("the model cannot be trained from scratch")

    @torch.no_grad()
    def outputs(
        self, fitted: list[Any], batches: Batches
    ) -> Float[Tensor, "arms examples outputs"]:
        """Return what the model answers to the inputs of every arm."""
        shape, device = batches.shared.input_shape, batches.shared.inputs.device
        rows = len(batches.shared), batches.shared.inputs.shape[1]
        everything = list(prediction_batches(*rows, device))
        arms = []
        for arm, model in enumerate(fitted):
            if isinstance(model, nn.Module):
                model.to(device)
            parts = [
                model(batches.batch(slice(arm, arm + 1), part[None], ()).view(len(part), *shape))
                for part in everything
            ]
            arms.append(torch.cat(parts))
        return torch.stack(arms)

    def size(self, fitted: list[Any]) -> int:
        """Return the number of models."""
        return len(fitted)

    def repeated(self, fitted: list[Any], times: int) -> list[Any]:
        """Return every model ``times`` times, side by side."""
        return [model for model in fitted for _ in range(times)]

    def predictor(self, fitted: list[Any]) -> nn.Module | FunctionPredictor:
        """Return the model as a module, or as a function of tensors."""
        predictor: nn.Module | FunctionPredictor = fitted[0]
        return predictor

    def untrained(
        self,
        batches: Batches,
        labels: Int[Tensor, "examples"] | Float[Tensor, "examples"],
        *,
        seed: int,
        recipe: Recipe,
    ) -> nn.Module:
        """Return a copy of the module whose parts have drawn new weights.

        :raises Skipped: for functions, and modules without weights.
        """
        del batches, labels, recipe  # nothing is learned from them
        if not isinstance(self.model, nn.Module):
            raise Skipped("a function has no weights that could be random")
        return reinitialised(self.model, seed).eval().requires_grad_(requires_grad=False)

    def to_arrays(self, fitted: list[Any]) -> dict[str, NDArray[Any]]:
        """Return nothing: the model is given anew each time."""
        del fitted
        return {}

    def from_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> list[Any] | None:
        """Return the model itself."""
        del arrays  # there are none
        return self.given()


@dataclass(frozen=True)
class FineTunedLearner:
    """A trained module, copies of which are trained further: every arm begins with its weights.

    Seeds fix the order of the data and what dropout draws, and not the initial weights.

    :param module: left as it is.
    :param training: ``stacked``, all arms at once under ``vmap``, or ``sequential``.

    >>> learner = FineTunedLearner(nn.Linear(2, 2), training="stacked")
    >>> learner.size(learner.given())
    1
    """

    module: nn.Module
    training: Literal["stacked", "sequential"]

    @property
    def parallel(self) -> bool:
        """Whether fitting uses all processors by itself."""
        return self.training == "sequential"

    def given(self) -> dict[str, Tensor]:
        """Return the module as it was given: its state, as that of a single arm."""
        return {n: v.detach().clone()[None] for n, v in self.module.state_dict().items()}

    def fit(
        self,
        batches: Batches,
        labels: Int[Tensor, "examples"] | Float[Tensor, "examples"],
        *,
        seeds: Sequence[int],
        recipe: Recipe,
    ) -> dict[str, Tensor]:
        """Train a copy per arm on from the given weights and return the states, stacked.

        :raises Skipped: when all parameters are frozen, or the recipe has no steps.
        """
        if not any(parameter.requires_grad for parameter in self.module.parameters()):
            raise Skipped("the model cannot be fine-tuned: all of its parameters are frozen")
        if recipe.optimiser == "least-squares":
            raise Skipped("the model cannot be fine-tuned by least squares; use adam or sgd")
        return self._copies.fit(batches, labels, seeds=seeds, recipe=recipe)

    @property
    def _copies(self) -> TorchLearner:
        """What trains from scratch, where new modules are copies of this one."""
        state = self.module.state_dict()
        device = next((value.device for value in state.values()), CPU)
        return TorchLearner(partial(copy.deepcopy, self.module), self.training, device)

    def outputs(
        self, fitted: dict[str, Tensor], batches: Batches
    ) -> Float[Tensor, "arms examples outputs"]:
        """Return what every arm's model answers to its own inputs."""
        return self._copies.outputs(fitted, batches)

    def size(self, fitted: dict[str, Tensor]) -> int:
        """Return the number of models."""
        return self._copies.size(fitted)

    def repeated(self, fitted: dict[str, Tensor], times: int) -> dict[str, Tensor]:
        """Return every model ``times`` times, side by side."""
        return self._copies.repeated(fitted, times)

    def predictor(self, fitted: dict[str, Tensor]) -> nn.Module:
        """Return the first model, with frozen parameters and in evaluation mode."""
        return self._copies.predictor(fitted)

    def untrained(
        self,
        batches: Batches,
        labels: Int[Tensor, "examples"] | Float[Tensor, "examples"],
        *,
        seed: int,
        recipe: Recipe,
    ) -> nn.Module:
        """Return a copy of the module whose parts have drawn new weights.

        :raises Skipped: when it has none.
        """
        del batches, labels, recipe  # nothing is learned from them
        return reinitialised(self.module, seed).eval().requires_grad_(requires_grad=False)

    def to_arrays(self, fitted: dict[str, Tensor]) -> dict[str, NDArray[Any]]:
        """Return parameters and buffers as arrays (models, …)."""
        return self._copies.to_arrays(fitted)

    def from_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
        """Restore parameters and buffers."""
        return self._copies.from_arrays(arrays)
