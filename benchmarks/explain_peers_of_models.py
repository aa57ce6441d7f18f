"""Peers for explanations of the function and of trees: packages as their users call them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from explain_peers import Task, Work


class Classifier(ClassifierMixin, BaseEstimator):
    """A network as scikit-learn takes it."""

    def __init__(self, task: Task | None = None) -> None:
        self.task = task
        self.classes_ = np.arange(task.problem.model(task.inputs[:1]).shape[1]) if task else None

    def fit(self, inputs: np.ndarray, labels: np.ndarray) -> Classifier:  # noqa: ARG002
        return self

    def predict_proba(self, inputs: np.ndarray) -> np.ndarray:
        assert self.task is not None
        return self.task.probabilities(inputs)


def held_out(task: Task) -> tuple[np.ndarray, np.ndarray]:
    inputs, labels = task.problem.model.held_out
    return inputs.flatten(1).numpy(), labels.numpy()


def permutation_importance(task: Task) -> Work:
    from sklearn import inspection

    if len(task.feature().unique()) < task.inputs[0].numel():
        return None  # scikit-learn shuffles single columns
    inputs, labels = held_out(task)
    estimator = task.problem.estimator or Classifier(task)
    return lambda: inspection.permutation_importance(
        estimator,
        inputs,
        labels,
        scoring="neg_log_loss",
        n_repeats=task.options["repeats"],
        random_state=0,
    )


def sage(task: Task) -> Work:
    import sage as package

    (inputs, labels), feature = held_out(task), task.feature().numpy()
    orders = task.options["permutations"] * len(inputs)
    # Orders of the features that go side by side, each with all of the background.
    together = np.gcd(orders, max(1, task.rows // task.options["background"]))
    others = task.background.flatten(1).numpy()

    def work() -> None:
        if len(np.unique(feature)) < len(feature):
            groups = [np.flatnonzero(feature == one) for one in np.unique(feature)]
            imputer: Any = package.GroupedMarginalImputer(task.probabilities, others, groups)
        else:
            imputer = package.MarginalImputer(task.probabilities, others)
        package.PermutationEstimator(imputer, "cross entropy", random_state=0)(
            inputs,
            labels,
            batch_size=int(together),
            detect_convergence=False,
            n_permutations=orders,
            bar=False,
        )

    return work


def shap_of_trees(task: Task) -> Work:
    import shap

    values = task.inputs.numpy()
    return lambda: shap.TreeExplainer(task.problem.estimator).shap_values(
        values, check_additivity=False
    )


def of_library(*, approximate: bool) -> Any:
    """Return a peer: what XGBoost and LightGBM say of their own trees."""

    def prepared(task: Task) -> Work | None:
        estimator, values = task.problem.estimator, task.inputs.numpy()
        library = type(estimator).__module__.split(".")[0]
        if library == "xgboost":
            from xgboost import DMatrix

            return lambda: estimator.get_booster().predict(
                DMatrix(values, nthread=1), pred_contribs=True, approx_contribs=approximate
            )
        if library == "lightgbm" and not approximate:
            return lambda: estimator.booster_.predict(values, pred_contrib=True, num_threads=1)
        return None

    return prepared


def saabas(task: Task) -> Work | None:
    import shap

    if not type(task.problem.estimator).__module__.startswith("sklearn"):
        return None  # of XGBoost shap calls the library, and of LightGBM it knows none
    values = task.inputs.numpy()
    return lambda: shap.TreeExplainer(task.problem.estimator).shap_values(
        values, approximate=True, check_additivity=False
    )


def importances(kind: str) -> Any:
    """Return a peer: the importance that libraries say of their trees."""

    def prepared(task: Task) -> Work | None:
        estimator = task.problem.estimator
        library = type(estimator).__module__.split(".")[0]
        if kind == "gain" and library == "xgboost":
            return lambda: estimator.get_booster().get_score(importance_type="total_gain")
        if kind == "gain" and library == "lightgbm":
            return lambda: estimator.booster_.feature_importance("gain")
        if kind == "impurity" and library == "sklearn":
            return lambda: estimator.feature_importances_
        return None

    return prepared
