"""Explanations of trees: SHAP values, and what the splits on the way to the leaf change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from uproar.explain.trees.arrays import Trees
from uproar.explain.trees.paths import path_changes, shapley_values
from uproar.explain.trees.readers import boosts_trees, column_of_target, estimator_of, trees_of
from uproar.models.trained import TrainedModel
from uproar.types import Skipped

Attribute = Callable[[Trees, NDArray[Any], NDArray[Any]], NDArray[Any]]


def tree_shap(
    model: TrainedModel,
    inputs: Float[Tensor, "examples *shape"],
    targets: Int[Tensor, "examples"],
    generator: torch.Generator,
) -> Float[Tensor, "examples *shape"]:
    """Return the Shapley value of each input value for the explained class.

    ``e_i = sum_S |S|! (d - |S| - 1)! / d! (v(S + i) - v(S))``, where ``v(S)`` is what the trees
    answer when they know the values in ``S``: at a split on another value, the mean of both sides
    in proportion to the training examples that went there (the path-dependent way). The values of
    an example and the mean answer sum to the answer. Of boosted trees that is the margin, before
    the softmax or logistic function, and for two classes the margin of the first is minus that of
    the second; of single trees and forests it is the probability of the class.

    :param inputs: (examples, *input_shape).
    :param targets: (examples,), the class explained; zeros for a regression.
    :returns: attribution of the shape of ``inputs``, signed.
    :raises Skipped: when the model is no tree, forest or gradient boosting of scikit-learn,
        XGBoost or LightGBM.

    Lundberg et al. 2020, arXiv 1905.04610.

    >>> from uproar.models.estimators.learner import EstimatorPredictor
    >>> from xgboost import XGBRegressor
    >>> column = np.array([[0.0], [0.0], [1.0], [1.0]])
    >>> grown = XGBRegressor(n_estimators=1, learning_rate=1.0, reg_lambda=0.0, max_depth=1)
    >>> grown = grown.fit(column, np.array([0.0, 0.0, 4.0, 4.0]))
    >>> predictor = EstimatorPredictor(grown, classes=(), outputs=0)
    >>> model = TrainedModel(predictor, *[torch.zeros(1)] * 3, feature_axes=1)
    >>> tree_shap(model, torch.tensor([[0.0], [1.0]]), torch.tensor([0, 0]), torch.Generator())
    tensor([[-2.],
            [ 2.]])
    """
    return _explained(model, inputs, targets, shapley_values)


def saabas(
    model: TrainedModel,
    inputs: Float[Tensor, "examples *shape"],
    targets: Int[Tensor, "examples"],
    generator: torch.Generator,
) -> Float[Tensor, "examples *shape"]:
    """Return how much the splits on each value change what the trees answer, on the way down.

    ``e_i = sum_n (m(child of n) - m(n))`` over the nodes ``n`` that split on value ``i`` on the
    example's way from the root to its leaf, in all trees, where ``m`` is the mean of the leaves
    below a node in proportion to the training examples that went there. As with ``tree-shap``,
    which is its mean over all orders of the splits, the values of an example and the mean answer
    sum to the margin of boosted trees and to the probability of forests.

    :param inputs: (examples, *input_shape).
    :param targets: (examples,), the class explained; zeros for a regression.
    :returns: attribution of the shape of ``inputs``, signed.
    :raises Skipped: when the model is no tree, forest or gradient boosting of scikit-learn,
        XGBoost or LightGBM, or splits in ways that only its library knows.

    Saabas 2014, blog.datadive.net/interpreting-random-forests.

    >>> from sklearn.tree import DecisionTreeRegressor
    >>> from uproar.models.estimators.learner import EstimatorPredictor
    >>> inputs = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> tree = DecisionTreeRegressor().fit(inputs.numpy(), [0.0, 0.0, 4.0, 8.0])
    >>> model = TrainedModel(EstimatorPredictor(tree, (), 0), *[torch.zeros(2)] * 3, 1)
    >>> saabas(model, inputs[3:], torch.tensor([0]), torch.Generator())  # 3 to 6 to 8
    tensor([[3., 2.]])
    """
    return _explained(model, inputs, targets, path_changes)


def _explained(
    model: TrainedModel, inputs: Tensor, targets: Tensor, attribute: Attribute
) -> Tensor:
    estimator = estimator_of(model)
    values = inputs.flatten(1).cpu().numpy().astype(np.float64)
    missing = getattr(estimator, "missing", np.nan)  # XGBoost's number for what is missing
    values[values == missing] = np.nan
    classes = tuple(getattr(model.module, "classes", ()))
    labels = targets.cpu().numpy()
    approximately = attribute is path_changes
    # XGBoost follows the splits faster than its trees are read.
    trees = None if approximately and boosts_trees(estimator) else trees_of(estimator)
    if trees is None:
        contributions = _by_library(estimator, values, approximately=approximately)
        margin, sign = column_of_target(labels, classes, contributions.shape[1])
        chosen = contributions[np.arange(len(values)), margin]
    else:
        columns = len(trees) if len(trees) > 1 else trees[0].value.shape[1]
        margin, sign = column_of_target(labels, classes, columns)
        chosen = _by_margin(trees, values, margin, attribute)
    return torch.from_numpy(sign[:, None] * chosen).to(inputs).view(inputs.shape)


def _by_margin(
    trees: list[Trees], values: NDArray[Any], margin: NDArray[np.int64], attribute: Attribute
) -> NDArray[Any]:
    """Return the contributions to one margin of each example, which may have trees of its own."""
    if len(trees) == 1:
        return attribute(trees[0], values, margin)
    chosen = np.empty(values.shape)
    for own in np.unique(margin):
        rows = margin == own
        chosen[rows] = attribute(trees[own], values[rows], np.zeros(rows.sum(), np.int64))
    return chosen


def _by_library(estimator: Any, values: NDArray[Any], *, approximately: bool) -> NDArray[Any]:
    """Return (examples, margins, values) of trees that have no form as arrays."""
    package = type(estimator).__module__.split(".")[0]
    if package == "xgboost":
        from xgboost import DMatrix

        best = getattr(estimator, "best_iteration", None)
        contributions = estimator.get_booster().predict(
            DMatrix(values, nthread=1),
            pred_contribs=True,
            approx_contribs=approximately,
            iteration_range=(0, 0 if best is None else best + 1),
        )
    elif package == "lightgbm" and not approximately:
        contributions = estimator.booster_.predict(values, pred_contrib=True, num_threads=1)
    else:
        raise Skipped(
            f"it cannot follow the splits of this {type(estimator).__name__} (by category, on "
            "zeros that count as missing, or with leaves that are no single number)"
        )
    return np.asarray(contributions).reshape(len(values), -1, values.shape[1] + 1)[..., :-1]
