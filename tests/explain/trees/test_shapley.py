"""Explanations of trees: splits by hand, all orders of the values, completeness, the libraries."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
import torch
from lightgbm import LGBMClassifier, LGBMRegressor
from scipy.special import logit
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeRegressor
from torch import nn
from xgboost import DMatrix, XGBClassifier, XGBRegressor

from tests.support import oracles
from uproar.explain.trees import paths
from uproar.explain.trees.arrays import Nodes, Trees
from uproar.explain.trees.shapley import saabas, tree_shap
from uproar.models.estimators.learner import EstimatorPredictor
from uproar.models.trained import TrainedModel
from uproar.types import Skipped

GENERATOR = np.random.default_rng(0)
INPUTS = GENERATOR.normal(size=(90, 4)).astype(np.float32)
CLASSES = (INPUTS[:, 0] > 0).astype(int) + (INPUTS[:, 1] > 0.5).astype(int)
VALUES = (INPUTS[:, 0] * 2 - np.abs(INPUTS[:, 1])).astype(np.float32)
SMALL: dict[str, Any] = {"n_estimators": 3, "max_depth": 2, "n_jobs": 1}
LIGHT: dict[str, Any] = SMALL | {"min_child_samples": 3, "verbosity": -1}
WITH_GAPS = np.where(GENERATOR.uniform(size=INPUTS.shape) < 0.2, np.nan, INPUTS)

both = pytest.mark.parametrize("explainer", [tree_shap, saabas])


def explained(
    estimator: Any,
    targets: Any = 0,
    *,
    classes: tuple[int, ...] = (),
    outputs: int = 0,
    explainer: Any = tree_shap,
    inputs: np.ndarray = INPUTS,
) -> np.ndarray:
    """Explain ``inputs``; the outputs are what an estimator says of classes."""
    predictor = EstimatorPredictor(estimator, classes, outputs or len(classes))
    model = TrainedModel(predictor, *[torch.zeros(4)] * 3, feature_axes=1)
    wanted = torch.as_tensor(np.broadcast_to(targets, len(inputs)).copy())
    return explainer(model, torch.from_numpy(inputs), wanted, torch.Generator()).numpy()


def constant(rest: np.ndarray, tolerance: float = 1e-5) -> None:
    """What contributions leave of the answer is the mean answer, the same for all examples."""
    np.testing.assert_allclose(rest, rest[0], atol=tolerance)


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
    predictor = EstimatorPredictor(estimator, (), 0)
    model = TrainedModel(predictor, *[torch.zeros(2)] * 3, feature_axes=1)
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
    model = TrainedModel(EstimatorPredictor(estimator, (), 0), *[torch.zeros(1, 2, 2)] * 3, 2)
    found = tree_shap(model, torch.from_numpy(images), torch.zeros(90).long(), torch.Generator())
    assert found.shape == images.shape
    assert found.dtype == torch.float32
    np.testing.assert_array_equal(found.flatten(1), explained(estimator))


# --- arrays of nodes, against loops --------------------------------------------------------------


def drawn_tree(generator: np.random.Generator, depth: int) -> dict:
    """Draw a tree on four features, one branch of which may never have been taken."""
    if depth == 0 or generator.uniform() < 0.2:
        cover = float(generator.integers(0, 5))
        return {"leaf": float(generator.normal()), "cover": cover}
    children = [drawn_tree(generator, depth - 1) for _ in range(2)]
    return {
        "feature": int(generator.integers(4)),
        "threshold": float(generator.normal()),
        "missing_left": bool(generator.integers(2)),
        "children": children,
        "cover": sum(child["cover"] for child in children),
    }


def as_nodes(root: dict) -> Nodes:
    nodes, left, right = [root], [], []
    for node in nodes:  # which grows meanwhile
        left.append(len(nodes) if "children" in node else -1)
        right.append(len(nodes) + 1 if "children" in node else -1)
        nodes += node.get("children", [])
    return Nodes(
        left,
        right,
        [node.get("feature", 0) for node in nodes],
        [node.get("threshold", 0.0) for node in nodes],
        [node.get("missing_left", False) for node in nodes],
        [[node.get("leaf", 0.0), 10.0 * node.get("leaf", 0.0)] for node in nodes],
        [node["cover"] for node in nodes],
    )


@pytest.mark.parametrize("seed", range(6))
def test_any_trees_against_loops(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(seed)
    drawn = [drawn_tree(generator, 5) for _ in range(3)]
    arrays = Trees.of([as_nodes(tree) for tree in drawn])
    inputs = np.where(generator.uniform(size=(5, 4)) < 0.2, np.nan, generator.normal(size=(5, 4)))
    column = np.array([0, 0, 0, 1, 1])
    monkeypatch.setattr(paths, "MOST_NUMBERS", 16)
    monkeypatch.setattr(paths, "MOST_EXAMPLES", 3)
    monkeypatch.setattr(paths, "MOST_PLACES", 7)
    shares = paths.shapley_values(arrays, inputs, column)
    changes = paths.path_changes(arrays, inputs, column)
    for x, scale, by_order, by_path in zip(inputs, [1, 1, 1, 10, 10], shares, changes, strict=True):
        expected = oracles.shapley_values(
            lambda known, x=x: sum(oracles.split_answer(tree, x, known) for tree in drawn), 4
        )
        np.testing.assert_allclose(by_order, scale * expected, atol=1e-12)
        expected = sum(oracles.saabas(tree, x) for tree in drawn)
        np.testing.assert_allclose(by_path, scale * expected, atol=1e-12)


def test_a_tree_by_hand() -> None:
    # 8 examples: x0 <= 0 -> 2 of them answer 0; else x1 <= 5 -> 4 answer 2; else 2 answer 8.
    tree = Trees.of(
        [
            Nodes(
                [1, -1, 3, -1, -1],
                [2, -1, 4, -1, -1],
                [0, 0, 1, 0, 0],
                [0.0, 0.0, 5.0, 0.0, 0.0],
                [True, False, False, False, False],
                [[0.0], [0.0], [0.0], [2.0], [8.0]],
                [8, 2, 6, 4, 2],
            )
        ]
    )
    inputs = np.array([[1.0, 6.0], [1.0, 5.0], [0.0, 6.0], [np.nan, 6.0], [1.0, np.nan]])
    # The mean is 3, that of the right side 4.
    changes = paths.path_changes(tree, inputs, np.zeros(5, int))
    assert changes.tolist() == [[1, 4], [1, -2], [-3, 0], [-3, 0], [1, 4]]
    # Of the first: x0 alone makes 4 of 3, x1 alone 6, both 8: (1 + 2) / 2 and (3 + 4) / 2.
    shares = paths.shapley_values(tree, inputs, np.zeros(5, int))
    expected = [[1.5, 3.5], [0.75, -1.75], [-4.5, 1.5], [-4.5, 1.5], [1.5, 3.5]]
    np.testing.assert_allclose(shares, expected, atol=1e-12)


# --- scikit-learn --------------------------------------------------------------------------------

CLASSIFIERS = [
    DecisionTreeClassifier(max_depth=4, class_weight="balanced"),
    RandomForestClassifier(3, random_state=0),
    ExtraTreesClassifier(3, random_state=0),
]
BOOSTED = [
    GradientBoostingClassifier(n_estimators=3, subsample=0.5, random_state=0),
    HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=5),
]
REGRESSORS = [
    DecisionTreeRegressor(max_depth=4),
    DecisionTreeRegressor(max_depth=3, criterion="absolute_error"),
    ExtraTreeRegressor(max_depth=4, random_state=0),
    RandomForestRegressor(3, random_state=0),
    ExtraTreesRegressor(3, bootstrap=True, random_state=0),
    GradientBoostingRegressor(n_estimators=3, loss="huber"),
    HistGradientBoostingRegressor(max_iter=3, min_samples_leaf=5),
]


def named(estimator: Any) -> str:
    return type(estimator).__name__


@both
@pytest.mark.parametrize("estimator", REGRESSORS, ids=named)
def test_values_sum_to_the_answer(estimator: Any, explainer: Any) -> None:
    estimator.fit(INPUTS, VALUES)
    found = explained(estimator, explainer=explainer)
    constant(estimator.predict(INPUTS) - found.sum(1))
    assert np.abs(found).max() > 0.1


@both
@pytest.mark.parametrize("estimator", CLASSIFIERS, ids=named)
@pytest.mark.parametrize("classes", [(0, 1, 2), (0, 2, 3)])
def test_values_of_forests_sum_to_the_probability(
    estimator: Any, classes: tuple[int, ...], explainer: Any
) -> None:
    estimator.fit(INPUTS, CLASSES)
    options = {"classes": classes, "outputs": 4, "explainer": explainer}
    for column, target in enumerate(classes):
        found = explained(estimator, target, **options)
        constant(estimator.predict_proba(INPUTS)[:, column] - found.sum(1))
        assert np.abs(found).max() > 0.1
    if 1 not in classes:  # a class that train lacks
        assert not explained(estimator, 1, **options).any()
    mixed = explained(estimator, np.array(classes)[CLASSES], **options)
    alike = [explained(estimator, target, **options) for target in classes]
    np.testing.assert_array_equal(mixed, np.stack(alike, 1)[np.arange(90), CLASSES])


@both
@pytest.mark.parametrize("estimator", BOOSTED, ids=named)
def test_values_of_boosting_sum_to_the_margin(estimator: Any, explainer: Any) -> None:
    estimator.fit(INPUTS, CLASSES)
    margins = estimator.decision_function(INPUTS)
    classes = (0, 1, 3)
    for column, target in enumerate(classes):
        found = explained(estimator, target, classes=classes, outputs=4, explainer=explainer)
        constant(margins[:, column] - found.sum(1))
        assert np.abs(found).max() > 0.1
    estimator.fit(INPUTS, CLASSES > 0)
    second = explained(estimator, 1, classes=(0, 1), explainer=explainer)
    constant(estimator.decision_function(INPUTS) - second.sum(1))
    first = explained(estimator, 0, classes=(0, 1), explainer=explainer)
    np.testing.assert_array_equal(first, -second)


@both
@pytest.mark.parametrize(
    "estimator",
    [
        DecisionTreeRegressor(max_depth=5),
        RandomForestRegressor(3, random_state=0),
        HistGradientBoostingRegressor(max_iter=3, min_samples_leaf=5),
        XGBRegressor(**SMALL),
        LGBMRegressor(**LIGHT),
    ],
    ids=named,
)
@pytest.mark.parametrize("train", [WITH_GAPS, INPUTS], ids=["gaps", "whole"])
def test_missing_values_go_where_the_library_sends_them(
    estimator: Any, train: np.ndarray, explainer: Any
) -> None:
    estimator.fit(train, VALUES)
    if train is INPUTS and type(estimator).__module__.startswith(
        ("sklearn.tree", "sklearn.ensemble._f")
    ):
        return  # which refuse missing values that train had none of
    found = explained(estimator, explainer=explainer, inputs=WITH_GAPS)
    constant(estimator.predict(WITH_GAPS) - found.sum(1))


@both
def test_a_number_may_stand_for_what_is_missing(explainer: Any) -> None:
    gaps = np.where(np.isnan(WITH_GAPS), -7, WITH_GAPS).astype(np.float32)
    estimator = XGBRegressor(**SMALL, missing=-7).fit(gaps, VALUES)
    found = explained(estimator, explainer=explainer, inputs=gaps)
    constant(estimator.predict(gaps) - found.sum(1))


def test_saabas_is_the_change_of_the_values_of_the_nodes() -> None:
    """As the tree interpreters of scikit-learn's trees define it, from its own decision paths."""
    tree = DecisionTreeClassifier(max_depth=5).fit(INPUTS, CLASSES)
    values, features = tree.tree_.value[:, 0], tree.tree_.feature
    expected = np.zeros((90, 4))
    for example, row in enumerate(tree.decision_path(INPUTS).toarray()):
        path = np.flatnonzero(row)  # nodes are counted from the root downwards
        for node, child in itertools.pairwise(path):
            expected[example, features[node]] += values[child, 2] - values[node, 2]
    found = explained(tree, 2, classes=(0, 1, 2), explainer=saabas)
    np.testing.assert_allclose(found, expected, atol=1e-7)


# --- XGBoost and LightGBM ------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    "options", [{}, {"num_parallel_tree": 2, "subsample": 0.5}, {"booster": "dart", "rate_drop": 1}]
)
def test_contributions_are_those_of_xgboost(options: Any, explainer: Any) -> None:
    estimator = XGBClassifier(**SMALL | options | {"max_depth": 4}).fit(WITH_GAPS, CLASSES)
    theirs = estimator.get_booster().predict(
        DMatrix(WITH_GAPS), pred_contribs=True, approx_contribs=explainer is saabas
    )
    found = explained(estimator, CLASSES, classes=(0, 1, 2), explainer=explainer, inputs=WITH_GAPS)
    np.testing.assert_allclose(found, theirs[np.arange(90), CLASSES, :-1], atol=2e-6)


@pytest.mark.parametrize("inputs", [INPUTS, WITH_GAPS], ids=["whole", "gaps"])
def test_contributions_are_those_of_lightgbm(inputs: np.ndarray) -> None:
    estimator = LGBMClassifier(**LIGHT | {"max_depth": 4}).fit(inputs, CLASSES)
    theirs = estimator.predict(WITH_GAPS, pred_contrib=True).reshape(90, 3, 5)
    found = explained(estimator, CLASSES, classes=(0, 1, 2), inputs=WITH_GAPS)
    np.testing.assert_allclose(found, theirs[np.arange(90), CLASSES, :-1], atol=1e-6)


def test_saabas_of_lightgbm_is_the_change_of_the_means_below() -> None:
    estimator = LGBMRegressor(**LIGHT).fit(INPUTS, VALUES)

    def converted(node: dict) -> dict:
        if "leaf_value" in node:
            return {"leaf": node["leaf_value"], "cover": node["leaf_count"]}
        children = [converted(node[f"{side}_child"]) for side in ("left", "right")]
        split = {"feature": node["split_feature"], "threshold": node["threshold"]}
        return split | {"children": children, "cover": node["internal_count"]}

    grown = [
        converted(tree["tree_structure"]) for tree in estimator.booster_.dump_model()["tree_info"]
    ]
    expected = [sum(oracles.saabas(tree, x) for tree in grown) for x in INPUTS]
    np.testing.assert_allclose(explained(estimator, explainer=saabas), expected, atol=1e-6)


def levels() -> np.ndarray:
    return np.concatenate([np.arange(90)[:, None] % 6, INPUTS[:, 1:]], 1).astype(np.float32)


def test_splits_by_category_are_left_to_the_library() -> None:
    inputs = levels()
    labels = np.isin(inputs[:, 0], [0, 3, 4]).astype(int)
    options = {"enable_categorical": True, "feature_types": ["c", "q", "q", "q"]}
    boosted = XGBClassifier(**SMALL | options, max_cat_to_onehot=1).fit(inputs, labels)
    light = LGBMClassifier(**LIGHT, cat_smooth=0, min_data_per_group=1, max_cat_to_onehot=1)
    light.fit(inputs, labels, categorical_feature=[0])
    for explainer in (tree_shap, saabas):
        found = explained(boosted, 1, classes=(0, 1), explainer=explainer, inputs=inputs)
        constant(logit(boosted.predict_proba(inputs)[:, 1].astype(float)) - found.sum(1))
    found = explained(light, 1, classes=(0, 1), inputs=inputs)
    constant(light.predict(inputs, raw_score=True) - found.sum(1))
    with pytest.raises(Skipped, match="cannot follow the splits of this LGBMClassifier"):
        explained(light, 1, classes=(0, 1), explainer=saabas, inputs=inputs)


@both
def test_splits_by_category_of_scikit_learn_are_skipped(explainer: Any) -> None:
    inputs = levels()
    estimator = HistGradientBoostingRegressor(
        max_iter=2, categorical_features=[0], min_samples_leaf=5
    ).fit(inputs, inputs[:, 0] % 2)
    with pytest.raises(Skipped, match="cannot follow the splits of this HistGradient"):
        explained(estimator, explainer=explainer, inputs=inputs)


# --- the contract --------------------------------------------------------------------------------


@both
def test_one_example_at_a_time_is_explained_alike(explainer: Any) -> None:
    estimator = RandomForestRegressor(5, random_state=0).fit(INPUTS, VALUES)
    whole = explained(estimator, explainer=explainer)
    alone = [explained(estimator, explainer=explainer, inputs=x[None]) for x in INPUTS[:9]]
    np.testing.assert_allclose(np.concatenate(alone), whole[:9], atol=1e-6)


@both
def test_steps_of_a_pipeline_that_do_nothing_are_passed_over(explainer: Any) -> None:
    tree = DecisionTreeRegressor(max_depth=3)
    pipeline = make_pipeline("passthrough", tree).fit(INPUTS, VALUES)
    found = explained(pipeline, explainer=explainer)
    np.testing.assert_array_equal(found, explained(tree.fit(INPUTS, VALUES), explainer=explainer))


@both
def test_a_tree_without_a_split_says_nothing(explainer: Any) -> None:
    for estimator in (DecisionTreeRegressor(), LGBMRegressor(**LIGHT), XGBRegressor(**SMALL)):
        assert not explained(estimator.fit(INPUTS, np.ones(90)), explainer=explainer).any()


@both
@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (LinearRegression(), "has grown, and this model is sklearn's LinearRegression"),
        (make_pipeline(StandardScaler(), XGBRegressor(**SMALL)), "steps of a pipeline change them"),
        (XGBRegressor(booster="gblinear", n_estimators=2), "is linear .booster gblinear."),
        (
            GradientBoostingRegressor(init=LinearRegression(), n_estimators=2),
            "these begin from what a LinearRegression answers",
        ),
    ],
)
def test_other_models_are_skipped(estimator: Any, message: str, explainer: Any) -> None:
    with pytest.raises(Skipped, match=message):
        explained(estimator.fit(INPUTS, VALUES), explainer=explainer)


@both
def test_what_is_no_estimator_or_answers_several_questions_is_skipped(explainer: Any) -> None:
    model = TrainedModel(nn.Flatten(), *[torch.zeros(4)] * 3, feature_axes=1)
    with pytest.raises(Skipped, match="this model is torch's Flatten"):
        explainer(model, torch.from_numpy(INPUTS), torch.zeros(90).long(), torch.Generator())
    several = DecisionTreeRegressor(max_depth=2).fit(INPUTS, np.stack([VALUES, VALUES], 1))
    with pytest.raises(Skipped, match="these have several outputs"):
        explained(several, explainer=explainer)
