"""Explainers of the ``shap`` package for kinds of models that it knows: trees and linear ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor, nn

from uproar.explain.packages import (
    background_of,
    check_least,
    quietly_imported,
    seeded_and_quiet,
)
from uproar.explain.parameters import PERTURBATIONS
from uproar.explain.tree_readers import column_of_target, estimator_of
from uproar.models.trained import TrainedModel
from uproar.types import Skipped


@dataclass(frozen=True)
class ShapTree:
    """SHAP values of trees by ``shap.TreeExplainer``.

    As ``tree-shap``, with its path-dependent values; or interventional ones, where ``v(S)`` is the
    mean of what the trees answer over the background, from which the values outside ``S`` are
    taken. Values of an example sum to the margin of boosted trees, or the probability of forests,
    less the mean answer.

    :param perturbation: "path" or "interventional". The package takes the first where it is given
        no background, as most of its users do.
    :param background: how many training examples, for interventional values.
    :raises ValueError: when a parameter is out of its range.

    Lundberg et al. 2020, arXiv 1905.04610.

    >>> from sklearn.tree import DecisionTreeRegressor
    >>> from uproar.models.estimators import AnsweringEstimator
    >>> tree = DecisionTreeRegressor().fit([[0.0], [1.0]], [0.0, 4.0])
    >>> model = TrainedModel(AnsweringEstimator(tree, (), 0), *[torch.zeros(1)] * 3, 1)
    >>> ShapTree()(model, torch.tensor([[0.0], [1.0]]), torch.tensor([0, 0]), torch.Generator())
    tensor([[-2.],
            [ 2.]])
    """

    perturbation: str = "path"
    background: int = 100

    def __post_init__(self) -> None:
        check_least(self, background=1)
        if self.perturbation not in PERTURBATIONS:
            raise ValueError(
                f"perturbation must be one of {PERTURBATIONS}, got {self.perturbation!r}"
            )

    def __call__(
        self,
        model: TrainedModel,
        inputs: Float[Tensor, "examples *shape"],
        targets: Int[Tensor, "examples"],
        generator: torch.Generator,  # noqa: ARG002 - part of the contract of explainers
    ) -> Float[Tensor, "examples *shape"]:
        """Return the attribution of the shape of ``inputs``, signed.

        :raises Skipped: when the package does not know such trees, or there are no training
            examples to compare with.
        """
        shap = quietly_imported("shap", "shap")
        estimator, data, name = estimator_of(model), None, "tree_path_dependent"
        if self.perturbation == "interventional":
            data, name = _flat(background_of(model, self.background)), "interventional"
        with seeded_and_quiet(0, inputs.device):
            try:
                trees = shap.TreeExplainer(_up_to_the_best(estimator), data, "raw", name)
            except shap.utils._exceptions.InvalidModelError as error:
                reason = " ".join(str(error).split())
                raise Skipped(f"shap.TreeExplainer does not know such a model: {reason}") from error
            found = trees.shap_values(_flat(inputs), check_additivity=False)
        return _of_targets(model, np.asarray(found), inputs, targets)


def _up_to_the_best(estimator: Any) -> Any:
    """Return what answers after early stopping, of which the package knows nothing."""
    best = getattr(estimator, "best_iteration", None)
    return estimator.get_booster()[: best + 1] if best is not None else estimator


@dataclass(frozen=True)
class ShapLinear:
    """SHAP values of linear models by ``shap.LinearExplainer``, with independent values.

    ``e_i = b_i (x_i - mean of x_i over the background)``, where ``b`` are the coefficients of the
    explained output, before a softmax or logistic function; for two classes, those of the first
    are minus those of the second.

    :param background: how many training examples.
    :raises ValueError: when there are fewer than one.

    Lundberg and Lee 2017, arXiv 1705.07874.

    >>> module = nn.Linear(2, 1).requires_grad_(False)
    >>> _ = module.weight.copy_(torch.tensor([[2.0, -3.0]]))
    >>> background = torch.tensor([[0.0, 1.0], [2.0, 1.0]])
    >>> model = TrainedModel(module, *[torch.zeros(2)] * 3, 1, background=background)
    >>> ShapLinear()(model, torch.tensor([[5.0, 5.0]]), torch.tensor([0]), torch.Generator())
    tensor([[  8., -12.]])
    """

    background: int = 100

    def __post_init__(self) -> None:
        check_least(self, background=1)

    def __call__(
        self,
        model: TrainedModel,
        inputs: Float[Tensor, "examples *shape"],
        targets: Int[Tensor, "examples"],
        generator: torch.Generator,  # noqa: ARG002 - part of the contract of explainers
    ) -> Float[Tensor, "examples *shape"]:
        """Return the attribution of the shape of ``inputs``, signed.

        :raises Skipped: when the model is not linear, or there are no training examples to compare
            with.
        """
        shap = quietly_imported("shap", "shap")
        linear, others = linear_model_of(model), _flat(background_of(model, self.background))
        with seeded_and_quiet(0, inputs.device):
            masker = shap.maskers.Independent(others, max_samples=len(others))
            found = shap.LinearExplainer(linear, masker).shap_values(_flat(inputs))
        return _of_targets(model, np.asarray(found), inputs, targets)


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


def _of_targets(
    model: TrainedModel, found: NDArray[Any], inputs: Tensor, targets: Tensor
) -> Tensor:
    """Return the attributions of each example's target, of (examples, values[, outputs])."""
    found = found.reshape(len(inputs), inputs[0].numel(), -1)
    columns = found.shape[2]
    classes = tuple(getattr(model.module, "classes", range(columns) if columns > 1 else ()))
    column, sign = column_of_target(targets.cpu().numpy(), classes, columns)
    chosen = sign[:, None] * found[np.arange(len(found)), :, column]
    return torch.from_numpy(chosen).to(inputs).view(inputs.shape)


def _flat(inputs: Tensor) -> NDArray[Any]:
    return inputs.flatten(1).cpu().numpy()
