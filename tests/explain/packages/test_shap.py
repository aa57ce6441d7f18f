"""The shap package through the one contract: the same as a direct call, and known answers."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import torch
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.base import clone
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.svm import SVC
from torch import Tensor, nn
from torch.nn import functional
from xgboost import XGBClassifier, XGBRegressor

from tests.support import oracles
from uproar.explain.packages.calls import quietly_imported, seed_from, seeded_and_quiet
from uproar.explain.packages.given import explainer_of
from uproar.explain.packages.shap_methods import ShapKernel, ShapPermutation
from uproar.explain.packages.shap_models import ShapLinear, ShapTree
from uproar.explain.packages.shap_networks import ShapDeep, ShapGradient
from uproar.explain.trees.shapley import tree_shap
from uproar.models.estimators.learner import EstimatorPredictor
from uproar.models.trained import TrainedModel
from uproar.types import Skipped, UproarError

shap = quietly_imported("shap", "shap")

DRAWS = np.random.default_rng(0)
COLUMNS = DRAWS.normal(size=(90, 12)).astype(np.float32)
LABELS = (COLUMNS[:, 0] > 0).astype(int) + (COLUMNS[:, 1] > 0.5).astype(int)
VALUES = (COLUMNS[:, 0] * 2 - np.abs(COLUMNS[:, 1])).astype(np.float32)
BACKGROUND = 7
CPU = torch.device("cpu")


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


SEED = seed_from(seeded())  # what an explainer draws from that generator


def trained(module: Any, background: Any = COLUMNS, **options: Any) -> TrainedModel:
    rows = torch.as_tensor(background)
    ones = torch.ones(rows.shape[1:])
    return TrainedModel(module, 0 * ones, 0 * ones, ones, 1, background=rows, **options)


def estimated(estimator: Any, classes: tuple[int, ...] = (), outputs: int = 0) -> TrainedModel:
    return trained(EstimatorPredictor(estimator, classes, outputs or len(classes)))


def frozen(*layers: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for layer in layers:
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    return nn.Sequential(*layers).requires_grad_(False).eval()


def dense(values: int = 12) -> nn.Module:
    return frozen(nn.Linear(values, 16), nn.ReLU(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 3))


def explained(
    explainer: Any, model: TrainedModel, inputs: Any = COLUMNS[:3], targets: Any = (0, 2, 1)
) -> np.ndarray:
    wanted = torch.as_tensor(np.broadcast_to(targets, len(inputs)).copy())
    return explainer(model, torch.as_tensor(inputs), wanted, seeded()).numpy()


def answers(module: nn.Module, target: int) -> Any:
    return lambda rows: module(torch.as_tensor(rows, dtype=torch.float32))[:, target].numpy()


def close(found: Any, expected: Any, tolerance: float = 1e-5) -> None:
    np.testing.assert_allclose(found, expected, atol=tolerance)


# --- coalitions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [10, 0])
def test_kernel_is_a_direct_call(kept: int) -> None:
    module = dense()
    found = explained(ShapKernel(200, BACKGROUND, kept), trained(module))
    for example, target in enumerate((0, 2, 1)):
        with seeded_and_quiet(SEED, CPU):
            theirs = shap.KernelExplainer(answers(module, target), COLUMNS[:BACKGROUND])
            expected = theirs.shap_values(
                COLUMNS[example : example + 1],
                nsamples=200,
                l1_reg=f"num_features({kept})" if kept else False,
                silent=True,
            )
        close(found[example], expected[0])
    assert (np.count_nonzero(found, axis=1) == (kept or 12)).all()


@pytest.mark.slow
def test_permutation_is_a_direct_call() -> None:
    module = dense()
    found = explained(ShapPermutation(3, BACKGROUND), trained(module))
    for example, target in enumerate((0, 2, 1)):
        with seeded_and_quiet(0, CPU):
            theirs = shap.PermutationExplainer(
                answers(module, target), COLUMNS[:BACKGROUND], seed=SEED
            )
            expected = theirs(COLUMNS[example : example + 1], max_evals=3 * 25, silent=True)
        close(found[example], expected.values[0])


def mean_answers(
    module: Any, x: np.ndarray, background: np.ndarray, groups: np.ndarray, target: int
) -> Any:
    """Return the mean answer over the background to those who take part."""

    @cache
    def answer(known: frozenset[int]) -> float:
        rows = np.where(np.isin(groups, list(known)), x, background)
        return float(module(torch.as_tensor(rows))[:, target].double().mean())

    return lambda known: answer(frozenset(known))


@pytest.mark.slow
@pytest.mark.parametrize(
    "explainer",
    [ShapKernel(62, BACKGROUND, 0), ShapKernel(62, BACKGROUND), ShapPermutation(150, 7)],
)
def test_values_are_shapley_values_of_features(explainer: Any) -> None:
    """Three of nine columns are one feature, another two are another: six players."""
    module, groups = dense(9), np.array([0, 1, 1, 2, 3, 4, 4, 4, 5])
    model = trained(module, COLUMNS[:, :9], groups=torch.from_numpy(groups), feature_shape=(6,))
    inputs = COLUMNS[:2, :9]
    found = explained(explainer, model, inputs, (0, 2))
    exact = isinstance(explainer, ShapKernel)
    for example, target in enumerate((0, 2)):
        answer = mean_answers(module, inputs[example], COLUMNS[:7, :9], groups, target)
        values = np.bincount(groups, found[example])
        close(values, oracles.shapley_values(answer, 6), 1e-5 if exact else 1e-2)
        close(values.sum(), answer({*range(6)}) - answer(set()))
        alike = (values / np.bincount(groups))[groups]
        close(found[example], alike)  # values of a feature share its importance


@pytest.mark.parametrize("explainer", [ShapKernel(30, 5), ShapPermutation(1, 5)])
def test_features_as_in_all_of_the_background_take_no_part(explainer: Any) -> None:
    rows = COLUMNS[:5, :5].copy()
    rows[:, [1, 3]] = 4.0
    inputs = COLUMNS[5:8, :5].copy()
    inputs[:, [1, 3]] = 4.0
    inputs[2] = rows[0] = rows[1] = rows[2] = rows[3] = rows[4]
    model = trained(dense(5), rows)
    found = explained(explainer, model, inputs)
    assert not found[:, [1, 3]].any()
    assert found[:2, [0, 2, 4]].all()
    assert not found[2].any()
    with model.counting() as passes:
        explained(explainer, model, inputs[2:], 0)
    assert passes.examples == 0


@pytest.mark.parametrize("explainer", [ShapKernel(), ShapPermutation()])
def test_tokens_give_way_to_the_mask_and_keep_their_ids(explainer: Any) -> None:
    seen = []

    def embedded(inputs: Tensor) -> Tensor:  # (rows, id and two dimensions, length)
        seen.append(inputs[:, 0])
        return inputs[:, 1:].sum((1, 2))[:, None]

    inputs = torch.tensor([[[7.0, 8.0, 9.0], [1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]])
    black = torch.tensor([0.0, 0.5, 5.0])[:, None]
    model = TrainedModel(embedded, black, black, black, 1, "text", background=10 * inputs)
    found = explained(explainer, model, inputs, 0)
    close(found.sum(1), [[5.5, 16.5, 27.5]])
    assert all((ids == torch.tensor([7.0, 8.0, 9.0])).all() for ids in seen)


def test_ids_of_tokens_give_way_to_the_mask() -> None:
    ids = torch.tensor([[7.0, 8.0, 9.0]])
    mask = torch.full((3,), 2.0)
    model = TrainedModel(lambda rows: (rows == 8).float().sum(1)[:, None], mask, mask, 0 * mask, 1)
    close(explained(ShapPermutation(), model, ids, 0), [[0, 1, 0]])


@pytest.mark.parametrize("explainer", [ShapKernel(300, 5), ShapPermutation(2, 5), ShapGradient(5)])
def test_threads_do_not_draw_from_each_other(explainer: Any) -> None:
    model = trained(dense())
    alone = explained(explainer, model)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda _: explained(explainer, model), range(4)))
    for found in together:
        np.testing.assert_array_equal(found, alone)


# --- trees and linear models ----------------------------------------------------------------------

TREES: list[Any] = [
    XGBClassifier(n_estimators=4, n_jobs=1),
    LGBMClassifier(n_estimators=4, n_jobs=1, min_child_samples=5, verbosity=-1),
    RandomForestClassifier(4, random_state=0),
    HistGradientBoostingClassifier(max_iter=4, min_samples_leaf=5),
]
TREES_OF_VALUES: list[Any] = [
    XGBRegressor(n_estimators=4, n_jobs=1),
    LGBMRegressor(n_estimators=4, n_jobs=1, min_child_samples=5, verbosity=-1),
    RandomForestRegressor(4, random_state=0),
    GradientBoostingRegressor(n_estimators=4),
]


def named(estimator: Any) -> str:
    return type(estimator).__name__


@pytest.mark.parametrize("estimator", TREES, ids=named)
@pytest.mark.parametrize("classes", [(0, 1, 2), (0, 1), (1, 2, 3)])
def test_tree_shap_is_that_of_the_package(estimator: Any, classes: tuple[int, ...]) -> None:
    estimator = clone(estimator).fit(COLUMNS, np.minimum(LABELS, len(classes) - 1))
    model, targets = estimated(estimator, classes, 4), np.arange(90) % 4
    theirs = explained(ShapTree(), model, COLUMNS, targets)
    close(theirs, explained(tree_shap, model, COLUMNS, targets), 2e-6)
    assert np.abs(theirs).max() > 0.1


@pytest.mark.parametrize("estimator", TREES_OF_VALUES, ids=named)
def test_tree_shap_of_values_is_that_of_the_package(estimator: Any) -> None:
    model = estimated(estimator.fit(COLUMNS, VALUES))
    theirs = explained(ShapTree(), model, COLUMNS, 0)
    close(theirs, explained(tree_shap, model, COLUMNS, 0), 2e-6)


def test_trees_after_the_best_one_do_not_count() -> None:
    estimator = XGBRegressor(n_estimators=40, learning_rate=1.0, early_stopping_rounds=2)
    estimator.fit(COLUMNS[:45], VALUES[:45], eval_set=[(COLUMNS[45:], VALUES[45:])], verbose=False)
    assert estimator.best_iteration + 1 < estimator.get_booster().num_boosted_rounds()
    rest = estimator.predict(COLUMNS) - explained(ShapTree(), estimated(estimator), COLUMNS, 0).sum(
        1
    )
    close(rest, rest[0])


def test_interventional_values_are_shapley_values_over_the_background() -> None:
    estimator = RandomForestRegressor(3, max_depth=4, random_state=0).fit(COLUMNS[:, :4], VALUES)
    predictor = EstimatorPredictor(estimator, (), 0)
    model = trained(predictor, COLUMNS[:, :4])
    found = explained(ShapTree("interventional", BACKGROUND), model, COLUMNS[:2, :4], 0)
    for example in range(2):
        answer = mean_answers(predictor, COLUMNS[example, :4], COLUMNS[:7, :4], np.arange(4), 0)
        close(found[example], oracles.shapley_values(answer, 4))


def test_trees_that_the_package_does_not_know_are_skipped() -> None:
    several = GradientBoostingClassifier(n_estimators=2).fit(COLUMNS, LABELS)
    for model in (estimated(several, (0, 1, 2)), trained(dense())):
        with pytest.raises(
            Skipped, match=r"^shap.TreeExplainer does not know such a model: .*[^.]$"
        ):
            explained(ShapTree(), model)


def test_values_of_linear_models_are_coefficients_times_distances() -> None:
    distance = (COLUMNS - COLUMNS[:20].mean(0)).astype(np.float64)
    layer = nn.Linear(12, 3)
    weight = layer.weight.detach().numpy()
    for module in (layer, nn.Sequential(nn.Flatten(), layer)):
        found = explained(ShapLinear(20), trained(module), COLUMNS, LABELS)
        close(found, weight[LABELS] * distance)
    ridge = Ridge().fit(COLUMNS, VALUES)
    close(explained(ShapLinear(20), estimated(ridge), COLUMNS, 0), ridge.coef_ * distance)
    logistic = LogisticRegression().fit(COLUMNS, LABELS)
    found = explained(ShapLinear(20), estimated(logistic, (0, 2, 3), 4), COLUMNS, LABELS)
    expected = logistic.coef_[np.array([0, 0, 1])[LABELS]] * distance
    close(found, np.where(LABELS[:, None] == 1, 0, expected))  # a class that train lacks
    logistic.fit(COLUMNS, LABELS > 0)
    second = explained(ShapLinear(20), estimated(logistic, (0, 1)), COLUMNS, 1)
    close(second, logistic.coef_ * distance)
    np.testing.assert_array_equal(
        explained(ShapLinear(20), estimated(logistic, (0, 1)), COLUMNS, 0), -second
    )


def test_what_is_not_linear_is_skipped() -> None:
    for model in (
        trained(dense()),
        estimated(SVC(kernel="linear").fit(COLUMNS, LABELS), (0, 1, 2)),
    ):
        with pytest.raises(Skipped, match="it needs a linear model"):
            explained(ShapLinear(), model)


# --- networks -------------------------------------------------------------------------------------


def convolved() -> tuple[nn.Module, np.ndarray]:
    module = frozen(
        *(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(16, 6), nn.ReLU(inplace=True), nn.Linear(6, 3)),
    )
    return module, DRAWS.normal(size=(20, 2, 6, 6)).astype(np.float32)


@pytest.mark.parametrize("network", ["dense", "convolutions"])
def test_networks_are_explained_as_by_direct_calls(network: str) -> None:
    module, rows = (dense(), COLUMNS) if network == "dense" else convolved()
    model, inputs, others = trained(module, rows), torch.tensor(rows[:3]), torch.tensor(rows[:7])
    plain = nn.Sequential(*(nn.ReLU() if isinstance(m, nn.ReLU) else m for m in module))
    with seeded_and_quiet(0, CPU):
        deep = shap.DeepExplainer(plain, others).shap_values(inputs)
        gradient = [
            shap.GradientExplainer(plain, others).shap_values(one[None], nsamples=9, rseed=SEED)
            for one in inputs
        ]
    targets = [0, 2, 1]
    found = explained(ShapDeep(7), model, rows[:3])
    close(found, deep[range(3), ..., targets])
    close(
        explained(ShapGradient(9, 7), model, rows[:3]),
        np.concatenate(gradient)[range(3), ..., targets],
    )
    difference = module(inputs)[range(3), targets] - module(others).mean(0)[targets]
    close(found.reshape(3, -1).sum(1), difference, 1e-4)


class Functional(nn.Module):
    """A network whose nonlinearity is a function, which no hook sees."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(12, 8), nn.Linear(8, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.last(functional.relu(self.first(3 * inputs)))


def test_networks_that_the_package_does_not_see_through_are_skipped() -> None:
    torch.manual_seed(0)
    model = trained(Functional().requires_grad_(False).eval())
    with pytest.raises(Skipped, match=r"cannot follow this model: its values should sum to .*\d;"):
        explained(ShapDeep(), model)
    explained(ShapGradient(3), model)


@pytest.mark.parametrize("explainer", [ShapDeep(), ShapGradient()])
def test_texts_and_models_without_gradients_are_skipped(explainer: Any) -> None:
    text = trained(dense(), kind="text")
    with pytest.raises(Skipped, match="it has no background of texts"):
        explained(explainer, text)
    with pytest.raises(Skipped, match="it needs gradients"):
        explained(explainer, estimated(Ridge().fit(COLUMNS, VALUES)), targets=0)


# --- what users hand over -------------------------------------------------------------------------


def total(rows: Any) -> Any:
    return np.asarray(rows).sum(1)


def on_paths(estimator: Any, background: Any) -> Any:
    assert background.shape == (90, 12)
    return shap.TreeExplainer(estimator)


OTHER = COLUMNS[40:45]
LIKE_PERMUTATION: dict[str, tuple[Any, int]] = {
    "class": (shap.PermutationExplainer, 90),
    "partial": (partial(shap.PermutationExplainer, max_evals=25 * 4), 90),
    "function": (lambda predict, background: shap.PermutationExplainer(predict, background[:5]), 5),
}


@pytest.mark.parametrize("how", LIKE_PERMUTATION)
def test_a_class_or_what_makes_an_explainer(how: str) -> None:
    thing, background = LIKE_PERMUTATION[how]
    module = dense()
    found = explained(explainer_of(thing, "mine"), trained(module))
    rest = module(torch.tensor(COLUMNS[:background])).mean(0)[[0, 2, 1]].numpy()
    close(found.sum(1), module(torch.tensor(COLUMNS[:3]))[range(3), [0, 2, 1]].numpy() - rest, 1e-4)
    alone = explained(explainer_of(thing, "mine"), trained(module), COLUMNS[1:2], 2)
    np.testing.assert_array_equal(alone[0], found[1])


OBJECTS: dict[str, Any] = {
    "kernel": shap.KernelExplainer(total, OTHER),
    "sampling": shap.SamplingExplainer(total, OTHER),
    "permutation": shap.PermutationExplainer(total, OTHER, max_evals=100),
    "deep": shap.DeepExplainer(dense(), torch.tensor(OTHER)),
    "gradient": shap.GradientExplainer(dense(), torch.tensor(OTHER)),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_explains_the_model_at_hand_against_what_it_compares_with(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(5)
    module = (
        nn.Sequential(nn.Linear(12, 4), nn.ReLU(), nn.Linear(4, 3)).requires_grad_(False).eval()
    )
    found = explained(explainer_of(OBJECTS[name], "mine"), trained(module))
    rest = module(torch.tensor(OTHER)).mean(0)[[0, 2, 1]].numpy()
    expected = module(torch.tensor(COLUMNS[:3]))[range(3), [0, 2, 1]].numpy() - rest
    close(found.sum(1), expected, 0.1 if name == "gradient" else 1e-4)
    assert capfd.readouterr() == ("", "")


def test_objects_for_trees_and_linear_models() -> None:
    first, second = (
        RandomForestClassifier(3, random_state=seed).fit(COLUMNS, LABELS) for seed in (0, 1)
    )
    model = estimated(second, (0, 1, 2))
    ours = explained(tree_shap, model)
    for thing in (shap.TreeExplainer(first), shap.TreeExplainer, on_paths):
        close(explained(explainer_of(thing, "mine"), model), ours)
    found = explained(explainer_of(shap.TreeExplainer(first, OTHER), "mine"), model)
    close(found, explained(ShapTree("interventional", 5), trained(model.module, OTHER)))
    linear = shap.LinearExplainer(Ridge().fit(COLUMNS, VALUES + 1), OTHER)
    ridge = estimated(Ridge(3.0).fit(COLUMNS, VALUES))
    expected = explained(ShapLinear(5), trained(ridge.module, OTHER), targets=0)
    close(explained(explainer_of(linear, "mine"), ridge, targets=0), expected)
    with pytest.raises(Skipped, match="explainer 'mine' does not know such a model"):
        explained(explainer_of(shap.TreeExplainer, "mine"), ridge, targets=0)


def test_what_makes_something_else_is_refused() -> None:
    def five(predict: Any, background: Any) -> int:
        return 5

    mine = explainer_of(five, "mine")
    with pytest.raises(
        UproarError, match="'mine' must return an explainer of the shap package, got"
    ):
        explained(mine, trained(dense()))
    with pytest.raises(Skipped, match="take numbers here, and these are words"):
        explained(mine, trained(dense(), kind="text"))


# --- the contract ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "explainer", [ShapKernel(), ShapPermutation(), ShapLinear(), ShapDeep(), ShapGradient()]
)
def test_without_training_examples_there_is_nothing_to_compare_with(explainer: Any) -> None:
    for background in (None, torch.zeros(0, 12)):
        ones = torch.ones(12)
        model = TrainedModel(nn.Linear(12, 3), ones, ones, ones, 1, background=background)
        with pytest.raises(Skipped, match="compares with training examples, and there are none"):
            explained(explainer, model)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (partial(ShapKernel, coalitions=1), "coalitions must be at least 2, got 1"),
        (partial(ShapKernel, background=0), "background must be at least 1, got 0"),
        (partial(ShapKernel, kept=-1), "kept must be at least 0, got -1"),
        (partial(ShapPermutation, permutations=0), "permutations must be at least 1, got 0"),
        (partial(ShapTree, perturbation="tree"), r"perturbation must be one of .* got 'tree'"),
        (partial(ShapTree, background=0), "background must be at least 1, got 0"),
        (partial(ShapLinear, background=0), "background must be at least 1, got 0"),
        (partial(ShapDeep, background=0), "background must be at least 1, got 0"),
        (partial(ShapGradient, references=0), "references must be at least 1, got 0"),
    ],
)
def test_parameters_out_of_range(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def numpy_state() -> np.ndarray:
    return np.random.get_state()[1]  # noqa: NPY002 - that it stays is the point


def test_packages_leave_everything_as_it_was_when_they_fail() -> None:
    before, filters = numpy_state().copy(), list(warnings.filters)

    def failing() -> None:
        with seeded_and_quiet(3, CPU):
            np.random.uniform()  # noqa: NPY002 - what the packages draw from
            warnings.warn("nobody hears this", stacklevel=1)
            raise RuntimeError("failed")

    with pytest.raises(RuntimeError, match="failed"):
        failing()
    np.testing.assert_array_equal(numpy_state(), before)
    assert warnings.filters == filters
