"""SHAP values of boosted trees, as the libraries that grow them compute them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from uproar.models.trained import TrainedModel
from uproar.types import Skipped


def tree_shap(
    model: TrainedModel,
    inputs: Float[Tensor, "examples *shape"],
    targets: Int[Tensor, "examples"],
    generator: torch.Generator,  # noqa: ARG001 - part of the contract of explainers
) -> Float[Tensor, "examples *shape"]:
    """Return the Shapley value of each input value for the explained class.

    ``e_i = sum_S |S|! (d - |S| - 1)! / d! (v(S + i) - v(S))``, where ``v(S)`` is what the trees
    answer when they know the values in ``S``: at a split on another value, the mean of both sides
    in proportion to the training examples that went there (the path-dependent way). The values of
    an example and the mean answer sum to the margin, the answer before the softmax or logistic
    function; for two classes, the margin of the first is minus that of the second.

    :param inputs: (examples, *input_shape).
    :param targets: (examples,), the class explained; zeros for a regression.
    :returns: attribution of the shape of ``inputs``, signed.
    :raises Skipped: when the model is not grown by XGBoost or LightGBM.

    Lundberg et al. 2020, arXiv 1905.04610.

    >>> from uproar.models.estimators import AnsweringEstimator
    >>> from xgboost import XGBRegressor
    >>> column = np.array([[0.0], [0.0], [1.0], [1.0]])
    >>> grown = XGBRegressor(n_estimators=1, learning_rate=1.0, reg_lambda=0.0, max_depth=1)
    >>> grown = grown.fit(column, np.array([0.0, 0.0, 4.0, 4.0]))
    >>> answering = AnsweringEstimator(grown, classes=(), outputs=0)
    >>> model = TrainedModel(answering, *[torch.zeros(1)] * 3, feature_axes=1)
    >>> tree_shap(model, torch.tensor([[0.0], [1.0]]), torch.tensor([0, 0]), torch.Generator())
    tensor([[-2.],
            [ 2.]])
    """
    estimator: Any = getattr(model.module, "estimator", None)
    package = type(estimator).__module__.split(".")[0]
    values = inputs.flatten(1).cpu().numpy()
    if package == "xgboost" and estimator.get_params().get("booster") != "gblinear":
        contributions = _of_xgboost(estimator, values)
    elif package == "lightgbm":
        contributions = _of_lightgbm(estimator, values)
    else:
        raise Skipped(
            "tree-shap needs the boosted trees of XGBoost or LightGBM, not in a pipeline; "
            f"this model is {_called(model, estimator)}"
        )
    classes = tuple(getattr(model.module, "classes", ()))
    chosen = _of_target(contributions, classes, targets.cpu().numpy())
    return torch.from_numpy(chosen).to(inputs).view(inputs.shape)


def _called(model: TrainedModel, estimator: Any) -> str:
    kind = type(model.module if estimator is None else estimator)
    return f"{kind.__module__.split('.')[0]}'s {kind.__name__}"


def _of_xgboost(estimator: Any, values: NDArray[Any]) -> NDArray[Any]:
    """Return (examples, margins, values): one margin for a regression and for two classes."""
    from xgboost import DMatrix

    rows = DMatrix(values, missing=estimator.missing, nthread=1)
    # After early stopping the estimator answers with the trees up to the best one.
    best = getattr(estimator, "best_iteration", None)
    contributions = estimator.get_booster().predict(
        rows, pred_contribs=True, iteration_range=(0, 0 if best is None else best + 1)
    )
    return np.asarray(contributions).reshape(len(values), -1, values.shape[1] + 1)[..., :-1]


def _of_lightgbm(estimator: Any, values: NDArray[Any]) -> NDArray[Any]:
    """Return (examples, margins, values), as for XGBoost."""
    contributions = estimator.booster_.predict(values, pred_contrib=True, num_threads=1)
    return np.asarray(contributions).reshape(len(values), -1, values.shape[1] + 1)[..., :-1]


def _of_target(
    contributions: NDArray[Any], classes: tuple[int, ...], targets: NDArray[Any]
) -> NDArray[Any]:
    """Return the contributions to the margin of each example's target, (examples, values)."""
    if not classes:
        return contributions[:, 0]
    if contributions.shape[1] == 1:
        contributions = np.concatenate([-contributions, contributions], axis=1)
    chosen = np.zeros((len(contributions), contributions.shape[2]), contributions.dtype)
    # A class that train lacks has no trees, and nothing contributes to it.
    for margin, label in enumerate(classes):
        chosen[targets == label] = contributions[targets == label, margin]
    return chosen
