"""Read the trees of fitted estimators: scikit-learn's, XGBoost's and LightGBM's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uproar.explain.trees.arrays import Nodes, Trees
from uproar.models.trained import TrainedModel
from uproar.types import Skipped

Margins = Sequence[Sequence[Nodes]]


def estimator_of(model: TrainedModel) -> Any:
    """Return the estimator of a model, out of a pipeline whose other steps do nothing.

    :raises Skipped: when there is none, or steps before it change the inputs.
    """
    from sklearn.pipeline import Pipeline

    estimator: Any = getattr(model.module, "estimator", model.module)
    while isinstance(estimator, Pipeline):
        if any(step not in {"passthrough", None} for _, step in estimator.steps[:-1]):
            raise Skipped("it needs the model's own inputs, and steps of a pipeline change them")
        estimator = estimator.steps[-1][1]
    return estimator


def column_of_target(
    labels: NDArray[np.int64], classes: tuple[int, ...], columns: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the column of each example's target, and what to multiply it with.

    Two classes have one margin between them. A class that train lacks has no trees, and nothing
    contributes to it.
    """
    column, sign = np.zeros(len(labels), np.int64), np.ones(len(labels))
    if not classes:
        return column, sign
    for position, label in enumerate(classes):
        column[labels == label] = position
    sign[~np.isin(labels, classes)] = 0
    if columns == 1:
        return np.zeros_like(column), np.where(column == 0, -sign, sign)
    return column, sign


def trees_of(estimator: Any) -> list[Trees] | None:
    """Return the trees of an estimator, for each margin of boosted trees its own.

    A forest is a single item with a column for each class, or for the value. None stands for what
    these arrays have no place for: splits by category, several values in a leaf, dropped trees.

    :raises Skipped: when the estimator is no ensemble of trees.

    >>> from sklearn.tree import DecisionTreeRegressor
    >>> tree = DecisionTreeRegressor().fit([[0.0], [1.0]], [3.0, 5.0])
    >>> (trees,) = trees_of(tree)
    >>> trees.means()[:, 0], trees.threshold[0], trees.cover
    (array([4., 3., 5.]), np.float64(0.5), array([2., 1., 1.]))
    """
    package = type(estimator).__module__.split(".")[0]
    margins: Margins | None
    if package == "xgboost" and hasattr(estimator, "get_booster"):
        margins = _of_xgboost(estimator)
    elif package == "lightgbm" and hasattr(estimator, "booster_"):
        margins = _of_lightgbm(estimator)
    else:
        margins = _of_scikit_learn(estimator)
    return None if margins is None else [Trees.of(parts) for parts in margins]


def boosts_trees(estimator: Any) -> bool:
    """Say whether an estimator is of XGBoost, and no linear model.

    >>> from xgboost import XGBRegressor
    >>> boosts_trees(XGBRegressor(n_estimators=1).fit([[0.0], [1.0]], [0.0, 1.0]))
    True
    """
    if type(estimator).__module__.split(".")[0] != "xgboost" or not hasattr(
        estimator, "get_booster"
    ):
        return False
    config = json.loads(estimator.get_booster().save_config())
    return bool(config["learner"]["gradient_booster"]["name"] != "gblinear")


def _of_scikit_learn(estimator: Any) -> Margins | None:
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
    from sklearn.tree import BaseDecisionTree

    forests = (
        *(RandomForestClassifier, RandomForestRegressor),
        *(ExtraTreesClassifier, ExtraTreesRegressor),
    )
    if isinstance(estimator, BaseDecisionTree):
        return [[_grown(estimator, 1.0)]]
    if isinstance(estimator, forests):
        trees = estimator.estimators_
        return [[_grown(tree, 1 / len(trees)) for tree in trees]]
    if isinstance(estimator, GradientBoostingClassifier | GradientBoostingRegressor):
        return _of_gradient_boosting(estimator)
    if isinstance(estimator, HistGradientBoostingClassifier | HistGradientBoostingRegressor):
        return _of_histograms(estimator)
    kind = type(estimator)
    raise Skipped(
        "it needs trees that scikit-learn, XGBoost or LightGBM has grown, and this model is "
        f"{kind.__module__.split('.')[0]}'s {kind.__name__}"
    )


def _grown(estimator: Any, scale: float) -> Nodes:
    """Return a tree of scikit-learn; of a classifier, leaves answer with shares of the classes."""
    tree, classes = estimator.tree_, hasattr(estimator, "classes_")
    if tree.n_outputs > 1:
        raise Skipped("it needs trees that answer one question, and these have several outputs")
    value = tree.value[:, 0, :]
    if classes:
        value = value / value.sum(1, keepdims=True)
    return Nodes(
        left=tree.children_left,
        right=tree.children_right,
        feature=np.maximum(tree.feature, 0),
        threshold=tree.threshold,
        missing_left=tree.missing_go_to_left,
        value=value * scale,
        cover=tree.weighted_n_node_samples,
    )


def _of_gradient_boosting(estimator: Any) -> Margins:
    from sklearn.dummy import DummyClassifier, DummyRegressor

    start = estimator.init_
    if not isinstance(start, str | DummyClassifier | DummyRegressor):
        raise Skipped(
            f"it needs all of the answer to come from trees, and these begin from what a "
            f"{type(start).__name__} answers"
        )
    return [
        [_grown(tree, estimator.learning_rate) for tree in trees]
        for trees in estimator.estimators_.T
    ]


def _of_histograms(estimator: Any) -> Margins | None:
    margins = []
    for trees in zip(*estimator._predictors, strict=True):
        parts = [tree.nodes for tree in trees]
        if any(nodes["is_categorical"].any() for nodes in parts):
            return None
        margins.append([_of_nodes(nodes) for nodes in parts])
    return margins


def _of_nodes(nodes: NDArray[Any]) -> Nodes:
    leaf = nodes["is_leaf"].astype(bool)
    return Nodes(
        left=np.where(leaf, -1, nodes["left"].astype(np.int64)),
        right=nodes["right"].astype(np.int64),
        feature=np.where(leaf, 0, nodes["feature_idx"]),
        threshold=nodes["num_threshold"],
        missing_left=nodes["missing_go_to_left"].astype(bool),
        value=nodes["value"][:, None],
        cover=nodes["count"].astype(np.float64),
    )


def _of_xgboost(estimator: Any) -> Margins | None:
    booster = json.loads(estimator.get_booster().save_raw("json"))["learner"]["gradient_booster"]
    if booster["name"] == "gblinear":
        raise Skipped("it needs trees, and this XGBoost model is linear (booster gblinear)")
    if booster["name"] != "gbtree":
        return None
    model = booster["model"]
    # After early stopping the estimator answers with the trees up to the best one.
    best = getattr(estimator, "best_iteration", None)
    last = len(model["trees"]) if best is None else model["iteration_indptr"][best + 1]
    trees, margins = model["trees"][:last], model["tree_info"][:last]
    if any(any(tree["split_type"]) for tree in trees):
        return None
    if any(int(tree["tree_param"]["size_leaf_vector"]) > 1 for tree in trees):
        return None
    return [
        [_of_json(tree) for tree, own in zip(trees, margins, strict=True) if own == margin]
        for margin in range(max(margins) + 1)
    ]


def _of_json(tree: Mapping[str, Any]) -> Nodes:
    conditions = np.asarray(tree["split_conditions"], np.float32)
    return Nodes(
        left=tree["left_children"],
        right=tree["right_children"],
        feature=tree["split_indices"],
        # To the left goes what is smaller: at most the next smaller number.
        threshold=np.nextafter(conditions, np.float32(-np.inf)),
        missing_left=tree["default_left"],
        value=conditions[:, None],  # of leaves
        cover=tree["sum_hessian"],
    )


def _of_lightgbm(estimator: Any) -> Margins | None:
    model = estimator.booster_.dump_model()  # up to the best iteration
    if model["average_output"] or any(tree["num_cat"] for tree in model["tree_info"]):
        return None
    parts = [_of_structure(tree["tree_structure"]) for tree in model["tree_info"]]
    if any(part is None for part in parts):
        return None
    every = model["num_tree_per_iteration"]
    return [[part for part in parts[margin::every] if part] for margin in range(every)]


def _of_structure(root: Mapping[str, Any]) -> Nodes | None:
    """Return a tree of nested mappings; None where zeros count as missing, or leaves are linear."""
    nodes = list(_nested(root))
    place = {id(node): position for position, node in enumerate(nodes)}
    if any(node.get("missing_type") == "Zero" or "leaf_coeff" in node for node in nodes):
        return None

    def all_of(key: str, otherwise: Any) -> list[Any]:
        return [node.get(key, otherwise) for node in nodes]

    def children(side: str) -> list[int]:
        return [place[id(node[side])] if side in node else -1 for node in nodes]

    threshold = np.asarray(all_of("threshold", 0.0), np.float64)
    # Where train lacks no values, one that is missing counts as zero.
    zero = [kind == "None" for kind in all_of("missing_type", "None")]
    covers = [node.get("internal_count", node.get("leaf_count", 1)) for node in nodes]
    return Nodes(
        left=children("left_child"),
        right=children("right_child"),
        feature=all_of("split_feature", 0),
        threshold=threshold,
        missing_left=np.where(zero, threshold >= 0, all_of("default_left", False)),
        value=np.asarray(all_of("leaf_value", 0.0))[:, None],
        cover=covers,
    )


def _nested(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for side in ("left_child", "right_child"):
        if side in node:
            yield from _nested(node[side])
