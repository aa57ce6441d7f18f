"""SHAP values of boosted trees: single splits by hand, all orders of the values, completeness."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from lightgbm import LGBMClassifier, LGBMRegressor
from scipy.special import logit
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from torch import nn
from xgboost import XGBClassifier, XGBRegressor

import oracles
from uproar.explain.trees import tree_shap
from uproar.models.estimators import AnsweringEstimator
from uproar.models.trained import TrainedModel
from uproar.types import Skipped

GENERATOR = np.random.default_rng(0)
INPUTS = GENERATOR.normal(size=(90, 4)).astype(np.float32)
CLASSES = (INPUTS[:, 0] > 0).astype(int) + (INPUTS[:, 1] > 0.5).astype(int)
VALUES = (INPUTS[:, 0] * 2 - np.abs(INPUTS[:, 1])).astype(np.float32)
SMALL: dict[str, Any] = {"n_estimators": 3, "max_depth": 2, "n_jobs": 1}
LIGHT: dict[str, Any] = SMALL | {"min_child_samples": 3, "verbosity": -1}


def explained(
    estimator: Any, targets: Any = 0, *, classes: tuple[int, ...] = (), outputs: int = 0
) -> np.ndarray:
    """Explain with an estimator fitted on ``INPUTS``; the outputs are what it says of classes."""
    answering = AnsweringEstimator(estimator, classes, outputs or len(classes))
    model = TrainedModel(answering, *[torch.zeros(4)] * 3, feature_axes=1)
    wanted = torch.as_tensor(np.broadcast_to(targets, len(INPUTS)).copy())
    return tree_shap(model, torch.from_numpy(INPUTS), wanted, torch.Generator()).numpy()


@pytest.mark.parametrize(
    "estimator",
    [
        XGBRegressor(n_estimators=1, learning_rate=1.0, reg_lambda=0.0, max_depth=1),
        LGBMRegressor(
            n_estimators=1,
            learning_rate=1.0,
            max_depth=1,
            min_child_samples=1,
            min_data_in_bin=1,
            verbosity=-1,
        ),
    ],
)
def test_one_split(estimator: Any) -> None:
    inputs = np.array([[0.0, 5.0], [0.0, 5.0], [1.0, 5.0], [1.0, 5.0], [1.0, 5.0]], np.float32)
    estimator.fit(inputs, np.array([0.0, 0.0, 4.0, 4.0, 4.0]))
    answering = AnsweringEstimator(estimator, (), 0)
    model = TrainedModel(answering, *[torch.zeros(2)] * 3, feature_axes=1)
    both, targets = torch.tensor([[0.0, 5.0], [1.0, 5.0]]), torch.tensor([0, 0])
    found = tree_shap(model, both, targets, torch.Generator())
    # The mean answer is 2.4, and the first value alone makes it 0 or 4.
    torch.testing.assert_close(found, torch.tensor([[-2.4, 0.0], [1.6, 0.0]]))


def test_shapley_values_over_all_orders() -> None:
    estimator = XGBRegressor(**SMALL, learning_rate=0.5).fit(INPUTS, VALUES)
    found = explained(estimator)
    dump = estimator.get_booster().get_dump(with_stats=True, dump_format="json")
    trees = [json.loads(tree) for tree in dump]
    for example in range(0, 90, 9):
        expected = oracles.shapley_values(
            lambda known, x=INPUTS[example]: sum(
                oracles.tree_answer(tree, x, known) for tree in trees
            ),
            4,
        )
        np.testing.assert_allclose(found[example], expected, rtol=1e-4, atol=1e-5)
    assert np.abs(found).max() > 0.1


@pytest.mark.parametrize("kind", [XGBRegressor, LGBMRegressor])
def test_values_of_a_regression_sum_to_the_answer(kind: Any) -> None:
    estimator = kind(**(SMALL if kind is XGBRegressor else LIGHT)).fit(INPUTS, VALUES)
    rest = estimator.predict(INPUTS) - explained(estimator).sum(1)
    np.testing.assert_allclose(rest, rest[0], atol=1e-5)
    assert np.ptp(estimator.predict(INPUTS)) > 0.5


@pytest.mark.parametrize("kind", [XGBClassifier, LGBMClassifier])
def test_values_of_two_classes_sum_to_the_margin_of_the_target(kind: Any) -> None:
    labels = (CLASSES > 0).astype(int)
    estimator = kind(**(SMALL if kind is XGBClassifier else LIGHT)).fit(INPUTS, labels)
    margin = logit(estimator.predict_proba(INPUTS)[:, 1].astype(np.float64))
    second = explained(estimator, 1, classes=(0, 1))
    rest = margin - second.sum(1)
    np.testing.assert_allclose(rest, rest[0], atol=1e-5)
    np.testing.assert_array_equal(explained(estimator, 0, classes=(0, 1)), -second)
    mixed = explained(estimator, labels, classes=(0, 1))
    np.testing.assert_array_equal(mixed, np.where(labels[:, None] == 1, second, -second))


@pytest.mark.parametrize("kind", [XGBClassifier, LGBMClassifier])
@pytest.mark.parametrize("classes", [(0, 1, 2), (0, 2, 3)])
def test_values_of_three_classes_sum_to_the_margin_of_the_target(
    kind: Any, classes: tuple[int, ...]
) -> None:
    estimator = kind(**(SMALL if kind is XGBClassifier else LIGHT)).fit(INPUTS, CLASSES)
    margins = (
        estimator.predict(INPUTS, output_margin=True)
        if kind is XGBClassifier
        else estimator.predict(INPUTS, raw_score=True)
    )
    for column, target in enumerate(classes):
        found = explained(estimator, target, classes=classes, outputs=4)
        rest = margins[:, column] - found.sum(1)
        np.testing.assert_allclose(rest, rest[0], atol=1e-5)
        assert np.abs(found).max() > 0.1
    if 1 not in classes:  # a class that train lacks
        assert not explained(estimator, 1, classes=classes, outputs=4).any()


def test_trees_after_the_best_one_do_not_count() -> None:
    estimator = XGBRegressor(n_estimators=40, learning_rate=1.0, early_stopping_rounds=2)
    estimator.fit(INPUTS[:45], VALUES[:45], eval_set=[(INPUTS[45:], VALUES[45:])], verbose=False)
    assert estimator.best_iteration + 1 < estimator.get_booster().num_boosted_rounds()
    rest = estimator.predict(INPUTS) - explained(estimator).sum(1)
    np.testing.assert_allclose(rest, rest[0], atol=1e-5)


def test_attributions_have_the_shape_of_the_inputs() -> None:
    images = INPUTS.reshape(90, 1, 2, 2)
    estimator = XGBRegressor(**SMALL).fit(INPUTS, VALUES)
    model = TrainedModel(AnsweringEstimator(estimator, (), 0), *[torch.zeros(1, 2, 2)] * 3, 2)
    found = tree_shap(model, torch.from_numpy(images), torch.zeros(90).long(), torch.Generator())
    assert found.shape == images.shape
    assert found.dtype == torch.float32
    np.testing.assert_array_equal(found.flatten(1), explained(estimator))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Flatten(), "this model is torch's Flatten"),
        (
            AnsweringEstimator(RandomForestClassifier(2).fit(INPUTS, CLASSES), (0, 1, 2), 3),
            "this model is sklearn's RandomForestClassifier",
        ),
        (
            AnsweringEstimator(make_pipeline(XGBRegressor(**SMALL)).fit(INPUTS, VALUES), (), 0),
            "not in a pipeline; this model is sklearn's Pipeline",
        ),
        (
            AnsweringEstimator(
                XGBRegressor(booster="gblinear", n_estimators=2).fit(INPUTS, VALUES), (), 0
            ),
            "tree-shap needs the boosted trees of XGBoost or LightGBM",
        ),
    ],
)
def test_other_models_are_skipped(module: Any, message: str) -> None:
    model = TrainedModel(module, *[torch.zeros(4)] * 3, feature_axes=1)
    with pytest.raises(Skipped, match=message):
        tree_shap(model, torch.from_numpy(INPUTS), torch.zeros(90).long(), torch.Generator())
