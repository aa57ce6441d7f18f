"""What explainers of the ``shap`` package take for a model, and what becomes of their answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from uproar.explain.packages.captum_support import private_copy
from uproar.explain.trees.readers import column_of_target, estimator_of
from uproar.models.trained import TrainedModel
from uproar.types import Skipped


@contextmanager
def known_to(shap: ModuleType, explainer: str) -> Iterator[None]:
    """Skip, with the package's reason, where an explainer does not know the model.

    :raises Skipped: where the package raises ``InvalidModelError`` within.
    """
    try:
        yield
    except shap.utils._exceptions.InvalidModelError as error:
        reason = " ".join(str(error).split()).rstrip(".!")
        raise Skipped(f"{explainer} does not know such a model: {reason}") from error


class OneOutput(nn.Module):
    """A module's answer for one target alone, and the last one that it gave.

    Until it is ``awake`` it answers with zeros: the package asks for all of the background to see
    the answer's shape, which would be one more pass for each target.

    >>> module = OneOutput(nn.Flatten(), 1)
    >>> module(torch.ones(1, 2)), module.woken()(torch.tensor([[3.0, 5.0]]))
    (tensor([[0.]]), tensor([[5.]]))
    """

    def __init__(self, module: nn.Module, target: int) -> None:
        super().__init__()
        self.module = module
        self.target = target
        self.awake = False
        self.last: Tensor | None = None

    def woken(self) -> OneOutput:
        """Return itself, which from now on asks the module."""
        self.awake = True
        return self

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (examples, 1)."""
        if not self.awake:
            return inputs.new_zeros(len(inputs), 1)
        chosen: Tensor = self.module(inputs)[:, self.target, None]
        self.last = chosen.detach()
        return chosen


def hookable(module: nn.Module) -> nn.Module:
    """Return a copy that the package may hook into, where nothing happens in place.

    >>> hookable(nn.ReLU(inplace=True)).inplace
    False
    """
    copied = private_copy(module)
    for part in copied.modules():
        if getattr(part, "inplace", False):
            vars(part)["inplace"] = False
    return copied


def linear_model_of(model: TrainedModel) -> Any:
    """Return what ``shap.LinearExplainer`` takes: an estimator, or coefficients and intercepts.

    :raises Skipped: when the model is no linear layer and no linear model of scikit-learn.
    """
    from sklearn.linear_model._base import LinearClassifierMixin, LinearModel

    module = model.module
    if isinstance(module, nn.Module):
        layers = list(module) if isinstance(module, nn.Sequential) else [module]
        layers = [layer for layer in layers if not isinstance(layer, nn.Flatten | nn.Identity)]
        if len(layers) == 1 and isinstance(layers[0], nn.Linear):
            weight, bias = layers[0].weight.double(), layers[0].bias
            rest = torch.zeros(len(weight)) if bias is None else bias
            return weight.detach().cpu().numpy(), rest.detach().double().cpu().numpy()
    else:
        estimator = estimator_of(model)
        if isinstance(estimator, LinearClassifierMixin | LinearModel):
            return estimator
    raise Skipped("it needs a linear model: one linear layer, or one of scikit-learn's")


def of_targets(model: TrainedModel, found: NDArray[Any], inputs: Tensor, targets: Tensor) -> Tensor:
    """Return the attributions of each example's target.

    :param found: (examples, values) or (examples, values, outputs), as the package returns them.
    """
    found = found.reshape(len(inputs), inputs[0].numel(), -1)
    columns = found.shape[2]
    classes = tuple(getattr(model.module, "classes", range(columns) if columns > 1 else ()))
    column, sign = column_of_target(targets.cpu().numpy(), classes, columns)
    chosen = sign[:, None] * found[np.arange(len(found)), :, column]
    return torch.from_numpy(chosen).to(inputs).view(inputs.shape)


def flat(inputs: Float[Tensor, "examples *shape"]) -> NDArray[Any]:
    """Return inputs as the rows of an array."""
    return inputs.flatten(1).cpu().numpy()
