"""What models say of themselves: impurity and gain of trees, coefficients of linear models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import nn

from uproar.explain.importance import Importance
from uproar.models.trained import TrainedModel
from uproar.types import Skipped

# Steps of a pipeline that leave every value in its place, and change its scale alone.
SCALERS = ("StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler")


@dataclass(frozen=True)
class Impurity:
    """How much the splits on a feature reduce the impurity of the training labels.

    ``e_f = sum over splits on f of n_split / n · (i(split) - w_left i(left) - w_right i(right))``,
    with the impurity ``i`` that the trees were grown by; averaged over the trees of a forest and
    normalised to sum 1, as scikit-learn's ``feature_importances_``. That of a feature is the sum
    over its values. Features with many levels are favoured, since training labels alone are
    looked at.

    Breiman 2001, doi 10.1023/A:1010933404324.

    >>> from uproar.models.estimators.learner import EstimatorPredictor
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> tree = DecisionTreeClassifier().fit([[0, 5], [1, 5]], [0, 1])
    >>> model = TrainedModel(EstimatorPredictor(tree, (0, 1), 2), *[torch.zeros(2)] * 3, 1)
    >>> Impurity().measure(model, torch.Generator()).values
    array([1., 0.])
    """

    def measure(
        self,
        model: TrainedModel,
        generator: torch.Generator,
    ) -> Importance:
        """Return the importance of every feature.

        :raises Skipped: when the model is no tree, forest or boosted trees of scikit-learn.
        """
        estimator, _ = _parts(model)
        found = getattr(estimator, "feature_importances_", None)
        if _package(estimator) != "sklearn" or found is None:
            raise Skipped(
                "impurity needs trees of scikit-learn that have feature_importances_; "
                f"this model is {_called(model)}"
            )
        return Importance.of(_summed(np.asarray(found, dtype=np.float64), model))


@dataclass(frozen=True)
class Gain:
    """How much the splits on a feature reduce the loss of boosted trees on the training examples.

    ``e_f = sum over splits on f of the gain``, the reduction of the regularised loss by its second
    order expansion: the total gain of XGBoost and LightGBM, over the trees that the model answers
    with. That of a feature is the sum over its values.

    Friedman 2001, doi 10.1214/aos/1013203451; Chen and Guestrin 2016, arXiv 1603.02754.

    >>> from uproar.models.estimators.learner import EstimatorPredictor
    >>> from xgboost import XGBRegressor
    >>> grown = XGBRegressor(n_estimators=1, max_depth=1, reg_lambda=0.0, base_score=2.0)
    >>> grown = grown.fit(np.array([[0, 5], [0, 5], [1, 5], [1, 5]]), np.array([0, 0, 4, 4]))
    >>> model = TrainedModel(EstimatorPredictor(grown, (), 0), *[torch.zeros(2)] * 3, 1)
    >>> Gain().measure(model, torch.Generator()).values  # 2 · 2² on either side
    array([16.,  0.])
    """

    def measure(
        self,
        model: TrainedModel,
        generator: torch.Generator,
    ) -> Importance:
        """Return the importance of every feature.

        :raises Skipped: when the model is no boosted trees of XGBoost or LightGBM.
        """
        estimator, _ = _parts(model)
        if _package(estimator) == "xgboost" and estimator.booster != "gblinear":
            gains = _of_xgboost(estimator)
        elif _package(estimator) == "lightgbm":
            gains = estimator.booster_.feature_importance("gain")
        else:
            raise Skipped(
                "gain needs the boosted trees of XGBoost or LightGBM; "
                f"this model is {_called(model)}"
            )
        return Importance.of(_summed(np.asarray(gains, dtype=np.float64), model))


def _of_xgboost(estimator: Any) -> NDArray[np.float64]:
    booster = estimator.get_booster()
    # After early stopping the estimator answers with the trees up to the best one.
    best = getattr(estimator, "best_iteration", None)
    if best is not None:
        booster = booster[: best + 1]
    gains = np.zeros(booster.num_features())
    for name, gain in booster.get_score(importance_type="total_gain").items():
        gains[int(name.removeprefix("f"))] = gain
    return gains


@dataclass(frozen=True)
class Coefficients:
    """How much the values of a feature move the answer of a linear model: coefficient × deviation.

    ``e_f = sum over the values v of f of |w_v| sd(x_v)``, with the standard deviation over training
    examples as the coefficients see them. Of several classes, ``|w_v|`` is the mean over all pairs
    of classes of ``|w_cv - w_kv|``: adding the same to all classes changes no answer, and of two
    classes it is the coefficient of their log-odds.

    Bring 1994, The American Statistician 48.

    >>> module = nn.Linear(2, 1).requires_grad_(False)
    >>> _ = module.weight.copy_(torch.tensor([[2.0, -1.0]]))
    >>> background = torch.tensor([[-1.0, 5.0], [1.0, 5.0]])
    >>> model = TrainedModel(module, *[torch.zeros(2)] * 3, 1, background=background)
    >>> Coefficients().measure(model, torch.Generator()).values
    array([2., 0.])
    """

    def measure(
        self,
        model: TrainedModel,
        generator: torch.Generator,
    ) -> Importance:
        """Return the importance of every feature.

        :raises Skipped: when the model is not linear, or there are no training examples.
        """
        if model.background is None or len(model.background) == 0:
            raise Skipped("coefficients need training examples, whose deviations they are times")
        values = model.background.flatten(1).double().cpu().numpy()
        if isinstance(model.module, nn.Module):
            weights = _weights_of_module(model.module, values.shape[1])
        else:
            estimator, scalers = _parts(model)
            weights = _weights_of_estimator(estimator)
            for scaler in scalers:
                values = np.asarray(scaler.transform(values))
        if weights is None:
            raise Skipped(
                "coefficients need a linear model: a linear layer of torch, or an estimator of "
                f"scikit-learn with coef_; this model is {_called(model)}"
            )
        return Importance.of(_summed(_between_classes(weights) * values.std(axis=0), model))


def _weights_of_module(module: nn.Module, values: int) -> NDArray[np.float64] | None:
    """Return the weights (outputs, values) of a linear layer on flattened inputs."""
    layers = list(module) if isinstance(module, nn.Sequential) else [module]
    if layers and isinstance(layers[0], nn.Flatten):
        layers = layers[1:]
    if len(layers) != 1 or not isinstance(layers[0], nn.Linear):
        return None
    weights: NDArray[np.float64] = layers[0].weight.detach().double().cpu().numpy()
    return weights if weights.shape[1] == values else None


def _weights_of_estimator(estimator: Any) -> NDArray[np.float64] | None:
    """Return the coefficients (outputs, values); one row for two classes, as scikit-learn does."""
    found = getattr(estimator, "coef_", None) if _package(estimator) == "sklearn" else None
    if found is None:
        return None
    weights = found.toarray() if hasattr(found, "toarray") else found  # of sparsify()
    weights = np.atleast_2d(np.asarray(weights, dtype=np.float64))
    # Machines with kernels have coefficients of examples, and with "ovo" those of pairs.
    return weights if weights.shape[1] == getattr(estimator, "n_features_in_", -1) else None


def _between_classes(
    weights: Float[np.ndarray, "outputs values"],
) -> Float[np.ndarray, "values"]:
    """Return the mean absolute difference of all pairs of rows; of one row its absolute value."""
    outputs = len(weights)
    if outputs == 1:
        return np.asarray(np.abs(weights[0]))
    # Of sorted numbers, the i-th is above i of the others and below the rest.
    times = 2 * np.arange(outputs) - (outputs - 1)
    return np.asarray(times @ np.sort(weights, axis=0) * 2 / (outputs * (outputs - 1)))


def _parts(model: TrainedModel) -> tuple[Any, tuple[Any, ...]]:
    """Return the estimator of a model, and the scalers that come before it in a pipeline."""
    estimator: Any = getattr(model.module, "estimator", None)
    if type(estimator).__name__ == "Pipeline":
        steps = [one for _, one in estimator.steps if one is not None and one != "passthrough"]
        if all(type(step).__name__ in SCALERS for step in steps[:-1]):
            return steps[-1], tuple(steps[:-1])
    return estimator, ()


def _package(estimator: Any) -> str:
    return type(estimator).__module__.split(".")[0]


def _called(model: TrainedModel) -> str:
    estimator, _ = _parts(model)
    thing = model.module if estimator is None else estimator
    return f"{_package(thing)}'s {type(thing).__name__}"


def _summed(values: Float[np.ndarray, "values"], model: TrainedModel) -> NDArray[np.float64]:
    """Return the sum over the values of every feature."""
    inputs = model.black[None] if model.background is None else model.background[:1]
    feature = model.feature_of_value(inputs).cpu().numpy()
    return np.bincount(feature, weights=values.ravel()).astype(np.float64)
