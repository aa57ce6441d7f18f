"""Explainers of the ``shap`` package for kinds of models that it knows: trees and linear ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from uproar.explain.checks import check_parameters
from uproar.explain.packages.calls import (
    background_of,
    quietly_imported,
    seeded_and_quiet,
)
from uproar.explain.packages.shap_support import flat, known_to, linear_model_of, of_targets
from uproar.explain.trees.readers import estimator_of
from uproar.models.trained import TrainedModel


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
    >>> from uproar.models.estimators.learner import EstimatorPredictor
    >>> tree = DecisionTreeRegressor().fit([[0.0], [1.0]], [0.0, 4.0])
    >>> model = TrainedModel(EstimatorPredictor(tree, (), 0), *[torch.zeros(1)] * 3, 1)
    >>> ShapTree()(model, torch.tensor([[0.0], [1.0]]), torch.tensor([0, 0]), torch.Generator())
    tensor([[-2.],
            [ 2.]])
    """

    perturbation: str = "path"
    background: int = 100

    def __post_init__(self) -> None:
        check_parameters(self)

    def __call__(
        self,
        model: TrainedModel,
        inputs: Float[Tensor, "examples *shape"],
        targets: Int[Tensor, "examples"],
        generator: torch.Generator,
    ) -> Float[Tensor, "examples *shape"]:
        """Return the attribution of the shape of ``inputs``, signed.

        :raises Skipped: when the package does not know such trees, or there are no training
            examples to compare with.
        """
        shap = quietly_imported("shap", "shap")
        estimator, data, name = estimator_of(model), None, "tree_path_dependent"
        if self.perturbation == "interventional":
            data, name = flat(background_of(model, self.background)), "interventional"
        with seeded_and_quiet(0, inputs.device), known_to(shap, "shap.TreeExplainer"):
            trees = shap.TreeExplainer(_up_to_the_best(estimator), data, "raw", name)
            found = trees.shap_values(flat(inputs), check_additivity=False)
        return of_targets(model, np.asarray(found), inputs, targets)


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

    >>> module = torch.nn.Linear(2, 1).requires_grad_(False)
    >>> _ = module.weight.copy_(torch.tensor([[2.0, -3.0]]))
    >>> background = torch.tensor([[0.0, 1.0], [2.0, 1.0]])
    >>> model = TrainedModel(module, *[torch.zeros(2)] * 3, 1, background=background)
    >>> ShapLinear()(model, torch.tensor([[5.0, 5.0]]), torch.tensor([0]), torch.Generator())
    tensor([[  8., -12.]])
    """

    background: int = 100

    def __post_init__(self) -> None:
        check_parameters(self)

    def __call__(
        self,
        model: TrainedModel,
        inputs: Float[Tensor, "examples *shape"],
        targets: Int[Tensor, "examples"],
        generator: torch.Generator,
    ) -> Float[Tensor, "examples *shape"]:
        """Return the attribution of the shape of ``inputs``, signed.

        :raises Skipped: when the model is not linear, or there are no training examples to compare
            with.
        """
        shap = quietly_imported("shap", "shap")
        linear, others = linear_model_of(model), flat(background_of(model, self.background))
        with seeded_and_quiet(0, inputs.device):
            masker = shap.maskers.Independent(others, max_samples=len(others))
            found = shap.LinearExplainer(linear, masker).shap_values(flat(inputs))
        return of_targets(model, np.asarray(found), inputs, targets)
