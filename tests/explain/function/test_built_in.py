"""What models say of themselves, and what data say by themselves: by hand, slow references."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.feature_selection import f_classif, mutual_info_classif, mutual_info_regression
from sklearn.linear_model import Lasso, LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from torch import Tensor, nn
from xgboost import XGBClassifier, XGBRegressor

from tests.explain.perturbation.test_occlusion import make
from tests.support import oracles
from uproar.explain.controls.dependence import Correlation, MutualInformation
from uproar.explain.function.built_in import Coefficients, Gain, Impurity
from uproar.models.estimators.learner import EstimatorPredictor
from uproar.models.trained import TrainedModel
from uproar.types import Skipped

GENERATOR = np.random.default_rng(0)
INPUTS = (GENERATOR.normal(size=(120, 4)) * [1.0, 5.0, 1.0, 0.2] + 3).astype(np.float32)
CLASSES = (INPUTS[:, 0] > 3).astype(int) + (INPUTS[:, 1] > 5).astype(int)
VALUES = (INPUTS[:, 0] * 2 - np.abs(INPUTS[:, 1])).astype(np.float32)
SMALL: dict[str, Any] = {"n_estimators": 3, "max_depth": 2, "n_jobs": 1}
LIGHT: dict[str, Any] = SMALL | {"min_child_samples": 3, "verbosity": -1}
PAIRS = torch.tensor([0, 1, 1, 0])


def model_of(module: Any, *, groups: Tensor | None = None, labels: Any = VALUES) -> TrainedModel:
    """Return a model; estimators need no knowledge of classes to be asked for what they are."""
    predictor = module if isinstance(module, nn.Module) else EstimatorPredictor(module, (), 0)
    inputs = torch.from_numpy(INPUTS)
    return TrainedModel(
        *(predictor, *[torch.zeros(4)] * 3, 1),
        groups=groups,
        held_out=(inputs, torch.as_tensor(labels)),
        background=inputs,
    )


def measured(explainer: Any, model: TrainedModel) -> np.ndarray:
    found = explainer.measure(model, torch.Generator())
    assert np.isnan(found.errors).all()
    assert np.isnan(found.p_values).all()
    assert found.values.dtype == np.float64
    return found.values


# --- impurity -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("estimator", "labels"),
    [
        (DecisionTreeClassifier(max_depth=3), CLASSES),
        (DecisionTreeRegressor(max_depth=4), VALUES),
        (RandomForestClassifier(3, max_depth=3, random_state=0), CLASSES),
        (ExtraTreesRegressor(3, max_depth=3, random_state=0), VALUES),
    ],
    ids=lambda value: type(value).__name__,
)
def test_impurity_is_summed_over_splits(estimator: Any, labels: np.ndarray) -> None:
    estimator.fit(INPUTS, labels)
    trees = getattr(estimator, "estimators_", [estimator])
    expected = np.mean([oracles.impurity_importance(one.tree_, 4) for one in trees], axis=0)
    found = measured(Impurity(), model_of(estimator))
    np.testing.assert_allclose(found, expected, atol=1e-12)
    groups = measured(Impurity(), model_of(estimator, groups=PAIRS))
    np.testing.assert_allclose(groups, [expected[[0, 3]].sum(), expected[[1, 2]].sum()])


def test_impurity_in_a_pipeline_of_scalers() -> None:
    tree = DecisionTreeRegressor(max_depth=3, random_state=0)
    alone = measured(Impurity(), model_of(tree.fit(INPUTS, VALUES)))
    scaled = make_pipeline(StandardScaler(), "passthrough", tree).fit(INPUTS, VALUES)
    np.testing.assert_allclose(measured(Impurity(), model_of(scaled)), alone, rtol=1e-6)


@pytest.mark.parametrize(
    ("module", "called"),
    [
        (HistGradientBoostingClassifier(max_iter=2), "sklearn's HistGradientBoostingClassifier"),
        (XGBRegressor(**SMALL), "xgboost's XGBRegressor"),
        (LinearRegression(), "sklearn's LinearRegression"),
        (make_pipeline(Normalizer(), DecisionTreeRegressor()), "sklearn's Pipeline"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_impurity_of_other_models_is_skipped(module: Any, called: str) -> None:
    labels = CLASSES if "Classifier" in called else VALUES
    with pytest.raises(Skipped, match=f"impurity needs trees of scikit-learn .* model is {called}"):
        measured(Impurity(), model_of(module.fit(INPUTS, labels)))
    with pytest.raises(Skipped, match="this model is torch's Linear"):
        measured(Impurity(), model_of(nn.Linear(4, 1)))


def test_impurity_of_boosted_trees_of_scikit_learn() -> None:
    boosted = GradientBoostingClassifier(n_estimators=2, max_depth=2).fit(INPUTS, CLASSES)
    expected = boosted.feature_importances_
    np.testing.assert_array_equal(measured(Impurity(), model_of(boosted)), expected)


# --- gain -----------------------------------------------------------------------------------------


def gains_of(node: dict, gains: np.ndarray) -> None:
    """Add the gains of a dumped tree, split by split."""
    if "split" in node:
        gains[int(node["split"].removeprefix("f"))] += node["gain"]
        for child in node["children"]:
            gains_of(child, gains)


@pytest.mark.parametrize("kind", [XGBRegressor, XGBClassifier])
def test_gain_is_summed_over_the_splits_of_xgboost(kind: Any) -> None:
    estimator = kind(**SMALL).fit(INPUTS, VALUES if kind is XGBRegressor else CLASSES)
    expected = np.zeros(4)
    for tree in estimator.get_booster().get_dump(with_stats=True, dump_format="json"):
        gains_of(json.loads(tree), expected)
    found = measured(Gain(), model_of(estimator))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert found[3] == 0 or found.min() >= 0
    groups = measured(Gain(), model_of(estimator, groups=PAIRS))
    np.testing.assert_allclose(groups, [found[[0, 3]].sum(), found[[1, 2]].sum()])


def test_gain_of_the_trees_up_to_the_best_one() -> None:
    estimator = XGBRegressor(n_estimators=40, learning_rate=1.0, early_stopping_rounds=2, n_jobs=1)
    estimator.fit(INPUTS[:60], VALUES[:60], eval_set=[(INPUTS[60:], VALUES[60:])], verbose=False)
    assert estimator.best_iteration + 1 < estimator.get_booster().num_boosted_rounds()
    expected = np.zeros(4)
    trees = estimator.get_booster().get_dump(with_stats=True, dump_format="json")
    for tree in trees[: estimator.best_iteration + 1]:
        gains_of(json.loads(tree), expected)
    np.testing.assert_allclose(measured(Gain(), model_of(estimator)), expected, rtol=1e-4)


@pytest.mark.parametrize("kind", [LGBMRegressor, LGBMClassifier])
def test_gain_is_summed_over_the_splits_of_lightgbm(kind: Any) -> None:
    estimator = kind(**LIGHT).fit(INPUTS, VALUES if kind is LGBMRegressor else CLASSES)
    frame = estimator.booster_.trees_to_dataframe()
    splits = frame[frame["split_feature"].notna()]
    expected = np.zeros(4)
    for name, gain in zip(splits["split_feature"], splits["split_gain"], strict=True):
        expected[int(name.removeprefix("Column_"))] += gain
    np.testing.assert_allclose(measured(Gain(), model_of(estimator)), expected, rtol=1e-4)


@pytest.mark.parametrize(
    "module",
    [
        RandomForestClassifier(2).fit(INPUTS, CLASSES),
        HistGradientBoostingClassifier(max_iter=2).fit(INPUTS, CLASSES),
        XGBRegressor(booster="gblinear", n_estimators=2).fit(INPUTS, VALUES),
        nn.Linear(4, 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_gain_of_other_models_is_skipped(module: Any) -> None:
    with pytest.raises(Skipped, match="gain needs the boosted trees of XGBoost or LightGBM"):
        measured(Gain(), model_of(module))


# --- coefficients ---------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", [LinearRegression(), Ridge(), Lasso(alpha=0.1)])
def test_coefficients_of_values(estimator: Any) -> None:
    estimator.fit(INPUTS, VALUES)
    expected = np.abs(estimator.coef_) * INPUTS.astype(np.float64).std(0)
    found = measured(Coefficients(), model_of(estimator))
    np.testing.assert_allclose(found, expected)
    groups = measured(Coefficients(), model_of(estimator, groups=PAIRS))
    np.testing.assert_allclose(groups, [expected[[0, 3]].sum(), expected[[1, 2]].sum()])


def test_coefficients_of_two_classes_are_those_of_log_odds() -> None:
    estimator = LogisticRegression().fit(INPUTS, CLASSES > 0)
    expected = np.abs(estimator.coef_[0]) * INPUTS.astype(np.float64).std(0)
    np.testing.assert_allclose(measured(Coefficients(), model_of(estimator)), expected)
    layer = nn.Linear(4, 2).requires_grad_(False)
    layer.weight[0] = torch.randn(4)
    layer.weight[1] = layer.weight[0] + torch.tensor(estimator.coef_[0])
    for module in (layer, nn.Sequential(layer), nn.Sequential(nn.Flatten(), layer)):
        found = measured(Coefficients(), model_of(module))
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_coefficients_of_more_classes_are_compared_in_pairs() -> None:
    estimator = LogisticRegression().fit(INPUTS, CLASSES)
    expected = oracles.coefficient_importance(estimator.coef_, INPUTS.astype(np.float64))
    np.testing.assert_allclose(measured(Coefficients(), model_of(estimator)), expected)
    estimator.coef_ = (
        estimator.coef_.astype(np.float64) + 7.0
    )  # the same to all classes: no answer changes
    np.testing.assert_allclose(measured(Coefficients(), model_of(estimator)), expected)


def test_coefficients_see_values_as_scaled() -> None:
    estimator = make_pipeline(StandardScaler(), LinearRegression()).fit(INPUTS, VALUES)
    found = measured(Coefficients(), model_of(estimator))
    alone = measured(Coefficients(), model_of(LinearRegression().fit(INPUTS, VALUES)))
    np.testing.assert_allclose(found, alone, rtol=1e-4)
    np.testing.assert_allclose(found, np.abs(estimator[-1].coef_), rtol=1e-4)


@pytest.mark.parametrize(
    "module",
    [
        DecisionTreeRegressor().fit(INPUTS, VALUES),
        SVC(kernel="rbf").fit(INPUTS, CLASSES),
        make_pipeline(Normalizer(), LinearRegression()).fit(INPUTS, VALUES),
        nn.Sequential(nn.Linear(4, 2), nn.ReLU()),
        nn.Sequential(nn.Linear(4, 2), nn.ReLU(), nn.Linear(2, 2)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_coefficients_of_other_models_are_skipped(module: Any) -> None:
    with pytest.raises(Skipped, match="coefficients need a linear model"):
        measured(Coefficients(), model_of(module))


def test_coefficients_without_training_examples_are_skipped() -> None:
    model = replace(model_of(nn.Linear(4, 1)), background=None)
    with pytest.raises(Skipped, match="coefficients need training examples"):
        measured(Coefficients(), model)


# --- what data say by themselves ------------------------------------------------------------------


def test_correlation_of_values_is_pearsons() -> None:
    expected = [abs(np.corrcoef(column, VALUES)[0, 1]) for column in INPUTS.T.astype(np.float64)]
    model = model_of(nn.Linear(4, 1))
    np.testing.assert_allclose(measured(Correlation(), model), expected)
    groups = measured(Correlation(), replace(model, groups=PAIRS))
    np.testing.assert_allclose(groups, [max(expected[0], expected[3]), max(expected[1:3])])


@pytest.mark.parametrize("classes", [2, 3])
def test_correlation_of_classes_is_the_correlation_ratio(classes: int) -> None:
    labels = CLASSES if classes == 3 else (CLASSES > 0).astype(int)
    found = measured(Correlation(), model_of(nn.Linear(4, 1), labels=labels))
    columns = INPUTS.T.astype(np.float64)
    expected = [oracles.correlation_ratio(column.tolist(), labels.tolist()) for column in columns]
    np.testing.assert_allclose(found, expected)
    f = f_classif(INPUTS.astype(np.float64), labels)[0]
    explained = found**2
    ratio = explained / (1 - explained) * (len(labels) - classes) / (classes - 1)
    np.testing.assert_allclose(ratio, f)
    if classes == 2:
        pearson = [abs(np.corrcoef(column, labels)[0, 1]) for column in columns]
        np.testing.assert_allclose(found, pearson)


@pytest.mark.parametrize("regression", [False, True])
def test_mutual_information_is_scikit_learns(regression: bool) -> None:
    labels = VALUES if regression else CLASSES
    estimate = mutual_info_regression if regression else mutual_info_classif
    model = model_of(nn.Linear(4, 1), labels=labels)
    found = measured(MutualInformation(neighbours=5), model)
    expected = estimate(INPUTS.astype(np.float64), labels, n_neighbors=5, random_state=0)
    np.testing.assert_allclose(found, expected)
    assert found[:2].min() > found[2:].max()
    groups = measured(MutualInformation(neighbours=5), replace(model, groups=PAIRS))
    np.testing.assert_allclose(groups, [max(expected[0], expected[3]), max(expected[1:3])])


def test_mutual_information_of_two_levels_is_counted() -> None:
    inputs = torch.tensor([[0.0, 1.0], [0.0, 0.0], [1.0, 1.0], [1.0, 0.0]]).repeat(10, 1)
    labels = inputs[:, 0].long()
    model = TrainedModel(nn.Linear(2, 2), *[torch.zeros(2)] * 3, 1, held_out=(inputs, labels))
    np.testing.assert_allclose(measured(MutualInformation(), model), [np.log(2), 0], atol=1e-9)


def test_what_never_varies_has_no_correlation() -> None:
    inputs = torch.stack([torch.full((30,), 0.1), torch.arange(30.0)], 1)
    model = TrainedModel(nn.Linear(2, 1), *[torch.zeros(2)] * 3, 1, held_out=(inputs, inputs[:, 1]))
    np.testing.assert_allclose(measured(Correlation(), model), [0.0, 1.0])
    alike = replace(model, held_out=(inputs, torch.ones(30)))
    np.testing.assert_allclose(measured(Correlation(), alike), [0.0, 0.0])


@pytest.mark.parametrize("explainer", [Correlation(), MutualInformation()])
def test_data_alone_are_skipped_where_they_say_nothing(explainer: Any) -> None:
    with pytest.raises(Skipped, match="needs held-out examples, and there are none"):
        measured(explainer, make("table")[0])
    words = replace(model_of(nn.Linear(4, 1)), kind="text")
    with pytest.raises(Skipped, match="compares numbers with labels, and words are none"):
        measured(explainer, words)


def test_mutual_information_of_few_examples_is_skipped() -> None:
    few = torch.zeros(4, 4), torch.zeros(4)
    model = replace(model_of(nn.Linear(4, 1)), held_out=few)
    with pytest.raises(Skipped, match="needs more than the 4 examples that are held out"):
        measured(MutualInformation(), model)
    with pytest.raises(ValueError, match="neighbours must be at least 1, got 0"):
        MutualInformation(0)
