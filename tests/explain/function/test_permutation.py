"""Permutation importance and its loss: slow references, scikit-learn, closed forms, true nulls."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import stdtrit
from scipy.stats import ttest_1samp
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression, LogisticRegression
from torch import Tensor, nn

from tests.explain.perturbation.test_occlusion import SHAPES, every, make, seeded
from tests.support import gaussians, oracles
from uproar.data import load
from uproar.explain import coalitions
from uproar.explain.function.conditional import ConditionalPermutation
from uproar.explain.function.losses import Loss, loss_for
from uproar.explain.function.permutation import Permutation
from uproar.explain.function.shuffles import (
    Rises,
    Stand,
    increases_of_loss,
    values_of_features,
)
from uproar.models.architectures.transformer import transformer
from uproar.models.trained import TrainedModel
from uproar.models.view import view_of
from uproar.types import Skipped


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"repeats": 0}, "repeats must be at least 1"),
        ({"loss": "hinge"}, r"loss must be one of \('auto', 'zero-one'\), got 'hinge'"),
    ],
)
def test_wrong_parameters_are_refused(values: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Permutation(**values)


def held_out(layout: str, *, regression: bool) -> tuple[TrainedModel, Tensor]:
    model, _, _ = make(layout)
    shape, axes, groups = SHAPES[layout]
    inputs = torch.tensor(np.random.default_rng(1).normal(size=(40, *shape)))
    outputs = model(inputs)
    noise = torch.tensor(np.random.default_rng(2).normal(size=40)) / 4
    labels = outputs[:, 0] + noise if regression else (outputs + noise[:, None]).argmax(1)
    module = (lambda x: model(x)[:, :1]) if regression else model.module
    background = torch.tensor(np.random.default_rng(3).normal(size=(50, *shape)))
    return TrainedModel(
        *(module, *[model.black] * 3, axes),
        groups=groups,
        held_out=(inputs, labels),
        background=background,
    ), inputs


# --- the loss -------------------------------------------------------------------------------------


def test_losses_by_hand() -> None:
    values = Loss("value")(torch.tensor([[3.0], [1.0]]), torch.tensor([1.0, 1.0]))
    assert values.tolist() == [4.0, 0.0]
    outputs, labels = torch.tensor([[0.0, np.log(3)], [5.0, 5.0]]), torch.tensor([1, 0])
    logits = Loss("logits")(outputs, labels)
    torch.testing.assert_close(logits, -torch.tensor([0.75, 0.5]).double().log())
    assert Loss("logits", zero_one=True)(outputs, labels).tolist() == [0.0, 0.0]
    assert Loss("logits", zero_one=True)(outputs, 1 - labels).tolist() == [1.0, 1.0]
    certain = Loss("probabilities")(torch.tensor([[1.0, 0.0]]), torch.tensor([1]))
    assert float(certain) == pytest.approx(7 * np.log(10))


@pytest.mark.parametrize("classes", [2, 3, 40])
def test_a_network_and_its_probabilities_have_the_same_loss(classes: int) -> None:
    logits = 9 * torch.randn(50, classes, generator=seeded())
    labels = torch.arange(50) % classes
    whole, probabilities = loss_for(logits, labels), loss_for(logits.softmax(1), labels)
    assert (whole.form, probabilities.form) == ("logits", "probabilities")
    torch.testing.assert_close(whole(logits, labels), probabilities(logits.softmax(1), labels))
    expected = [
        oracles.example_loss(row, label)
        for row, label in zip(logits.double().numpy(), labels.tolist(), strict=True)
    ]
    np.testing.assert_allclose(whole(logits, labels), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("outputs", "form"),
    [
        ([[0.5, 0.5], [1.0, 0.0]], "probabilities"),
        ([[0.5, 0.50005], [1.0, 0.0]], "probabilities"),
        ([[0.5, 0.6], [1.0, 0.0]], "logits"),
        ([[1.5, -0.5], [1.0, 0.0]], "logits"),
    ],
)
def test_the_form_of_outputs(outputs: list, form: str) -> None:
    assert loss_for(torch.tensor(outputs), torch.tensor([0, 1])).form == form


def test_values_of_features_of_any_size() -> None:
    members = values_of_features(torch.tensor([2, 0, 1, 2, 2]))
    assert members.tolist() == [[1, 1, 1], [2, 2, 2], [0, 3, 4]]


# --- the estimate ---------------------------------------------------------------------------------


@every
@pytest.mark.parametrize("loss", ["auto", "zero-one", "value"])
def test_permutation_is_the_loop_over_features(
    layout: str, loss: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, inputs = held_out(layout, regression=loss == "value")
    labels = model.held_out[1].numpy()
    drawing = seeded()
    orders = [torch.randperm(len(inputs), generator=drawing).tolist() for _ in range(3)]

    def score(values: np.ndarray) -> float:
        answers = model(torch.tensor(values)).numpy()
        if loss == "zero-one":
            return float((answers.argmax(1) == labels).mean())
        pairs = zip(answers, labels, strict=True)
        return -float(np.mean([oracles.example_loss(one, label) for one, label in pairs]))

    groups = model.feature_of_value(inputs).numpy()
    expected = oracles.permutation_importance(score, inputs.numpy(), groups, orders)
    explainer = Permutation(repeats=3, loss="zero-one" if loss == "zero-one" else "auto")
    for rows in (7, 100, 2048):  # passes that end within an example, and one that takes all
        for limit in ("ROWS", "CONVOLUTION_ROWS", "FUNCTION_ROWS"):
            monkeypatch.setattr(coalitions, limit, rows)
        found = explainer.measure(model, seeded()).values
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("scoring", ["neg_mean_squared_error", "accuracy", "neg_log_loss"])
def test_scikit_learn_finds_the_same_on_average(scoring: str) -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(size=(400, 3)).astype(np.float32)
    signal = values @ np.array([2.0, -1.0, 0.0])
    regression = scoring == "neg_mean_squared_error"
    labels = signal.astype(np.float32) if regression else (signal > 0).astype(np.int64)
    estimator = (LinearRegression() if regression else LogisticRegression()).fit(values, labels)

    def module(inputs: Tensor) -> Tensor:
        if regression:
            return torch.tensor(estimator.predict(inputs.numpy()))[:, None]
        return torch.tensor(estimator.predict_proba(inputs.numpy()))

    model = TrainedModel(
        module, *[torch.zeros(3)] * 3, 1, held_out=(torch.tensor(values), torch.tensor(labels))
    )
    explainer = Permutation(repeats=40, loss="zero-one" if scoring == "accuracy" else "auto")
    found = explainer.measure(model, seeded()).values
    theirs = permutation_importance(
        *(estimator, values, labels), scoring=scoring, n_repeats=40, random_state=0
    )
    errors = theirs.importances_std / np.sqrt(40) + 1e-3
    assert (np.abs(found - theirs.importances_mean) < 5 * errors).all()
    if regression:
        np.testing.assert_allclose(found, [8.0, 2.0, 0.0], atol=0.8)


def test_the_closed_form() -> None:
    generator = np.random.default_rng(0)
    inputs = gaussians.inputs_of(20_000, gaussians.COVARIANCE, generator)
    labels = inputs @ gaussians.SLOPES + generator.standard_normal(len(inputs)) / 2
    model = gaussians.model_of(gaussians.SLOPES, 0.0, (inputs, labels), inputs[:10])
    found = Permutation().measure(model, seeded())
    expected = 2 * gaussians.SLOPES**2 * np.diag(gaussians.COVARIANCE)
    np.testing.assert_allclose(found.values, expected, rtol=0.05)
    assert (np.abs(found.values - expected) < 4 * found.errors).all()
    assert (found.p_values < 1e-6).all()


# --- how sure it is -------------------------------------------------------------------------------

NULLS = np.array([1.0, -0.5, 0.0, 0.0])


@pytest.mark.slow
def test_true_nulls_are_rejected_as_often_as_they_should_be() -> None:
    rate = gaussians.null_rejections(Permutation(), np.eye(4), NULLS, runs=300)
    assert 0.02 <= rate <= 0.09


@pytest.mark.slow
def test_a_test_over_repeats_rejects_a_third_of_true_nulls() -> None:
    """The same data as above: repeats say how sure the shuffling is, not the examples."""
    rises = []
    for run in range(300):
        generator = np.random.default_rng(run)
        model = gaussians.fitted(NULLS, np.eye(4), generator, train=600, held_out=150)
        orders = torch.stack([torch.tensor(generator.permutation(150)) for _ in range(15)])
        rises += [repeated_rises(model, feature, orders).numpy() for feature in (2, 3)]
    p_values = ttest_1samp(rises, 0.0, axis=1, alternative="greater").pvalue
    assert 0.25 <= float((p_values < 0.05).mean()) <= 0.4


def repeated_rises(model: TrainedModel, feature: int, orders: Tensor) -> Tensor:
    """Return the rise of the mean loss in each of some shufflings."""
    inputs, labels = model.held_out
    points = inputs.repeat(len(orders), 1, 1)
    points[:, :, feature] = inputs[orders, feature]
    answers = model(points.flatten(0, 1)).view(orders.shape)
    return ((answers - labels) ** 2).mean(1) - ((model(inputs)[:, 0] - labels) ** 2).mean()


def test_errors_are_those_of_examples_that_lose_and_give_and_p_values_of_those_that_lose() -> None:
    model, inputs = held_out("table", regression=True)
    labels, order = model.held_out[1], torch.randperm(40, generator=seeded())
    found = Permutation(repeats=1).measure(model, seeded())
    for feature in range(5):
        shuffled = inputs.clone()
        shuffled[:, feature] = inputs[order, feature]
        before, after = ((model(part)[:, 0] - labels) ** 2 for part in (inputs, shuffled))
        test = ttest_1samp((after - before).numpy(), 0.0, alternative="greater")
        assert found.p_values[feature] == pytest.approx(float(test.pvalue))
        rises = (after - before).numpy()
        both = (
            rises + rises[order.argsort()]
        )  # what an example loses, and what it makes others lose
        squared = (both.var(ddof=1) - rises.var()) / 40
        assert found.errors[feature] == pytest.approx(np.sqrt(squared))


@pytest.mark.parametrize("rows", [7, 2048])
def test_rises_are_those_of_the_loop(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(4)
    inputs, labels = generator.normal(size=(12, 3)), generator.normal(size=12)
    slopes = np.array([2.0, 1.0, 0.0])
    model = gaussians.model_of(slopes, 0.5, (inputs, labels), inputs)
    expected = generator.normal(size=inputs.shape)
    orders = np.stack([generator.permutation(12) for _ in range(3)])

    def loss(values: np.ndarray, example: int) -> float:
        return float((values @ slopes + 0.5 - labels[example]) ** 2)

    def stand_in(feature: int, i: int, j: int) -> np.ndarray:
        values = inputs[i].copy()
        values[feature] = expected[i, feature] + inputs[j, feature]
        return values

    monkeypatch.setattr(coalitions, "FUNCTION_ROWS", rows)
    found = increases_of_loss(
        *(model, torch.tensor(inputs), torch.tensor(labels)),
        order=torch.tensor(orders),
        stand=Stand(torch.tensor(inputs), torch.tensor(expected)),
        which="auto",
    )
    receiving, giving, variance = oracles.rises(loss, inputs, stand_in, orders.tolist())
    np.testing.assert_allclose(found.receiving, receiving)
    np.testing.assert_allclose(found.giving, giving)
    np.testing.assert_allclose(found.variance, variance)
    # error² = (Var(receiving + giving) - Var(h) / R) / n
    squared = ((receiving + giving).var(1, ddof=1) - variance / 3) / 12
    np.testing.assert_allclose(found.importance().errors[:2] ** 2, squared[:2])
    np.testing.assert_allclose(found.importance().values, receiving.mean(1))


def test_where_few_examples_make_the_variance_negative_the_error_is_that_of_those_that_lose() -> (
    None
):
    received = torch.tensor([[1.0, 3.0, 2.0]], dtype=torch.float64)
    found = Rises(received, 4 - received, torch.tensor([1.0], dtype=torch.float64), 1).importance()
    assert found.errors.tolist() == pytest.approx([1 / np.sqrt(3)])


LINEAR, TRUTH = np.array([2.0, 1.0]), np.array([8.0, 2.0])  # slopes, and 2 slope² each


@pytest.mark.slow
@pytest.mark.parametrize("explainer", [Permutation(repeats=5), ConditionalPermutation(repeats=5)])
def test_errors_cover_the_truth(explainer: Permutation | ConditionalPermutation) -> None:
    runs, covered, once_covered = 800, [], []
    for run in range(runs):
        generator = np.random.default_rng(run)
        inputs = generator.standard_normal((250, 2))
        labels = inputs @ LINEAR + generator.standard_normal(250)
        model = gaussians.model_of(LINEAR, 0.0, (inputs, labels), inputs)
        found = explainer.measure(model, torch.Generator().manual_seed(run))
        off = np.abs(found.values - TRUTH)
        covered.append(off < 1.96 * found.errors)
        # What counts examples as those that lose alone, from its one-sided test.
        losing = found.values / -stdtrit(249, found.p_values)
        once_covered.append(off < 1.96 * losing)
    sure = 3 * np.sqrt(0.05 * 0.95 / runs)
    assert (np.mean(covered, axis=0) > 0.93 - sure).all()
    assert (np.mean(covered, axis=0) < 0.97 + sure).all()
    assert np.mean(once_covered, axis=0)[0] < 0.9


# --- where it does not apply, and what it depends on ----------------------------------------------


def test_without_held_out_examples_it_is_skipped() -> None:
    model, inputs, _ = make("table")
    with pytest.raises(Skipped, match="needs held-out examples, and there are none"):
        Permutation().measure(model, seeded())
    empty = TrainedModel(
        model.module, *[model.black] * 3, 1, held_out=(inputs[:0], torch.zeros(0).long())
    )
    with pytest.raises(Skipped, match="needs held-out examples"):
        Permutation().measure(empty, seeded())


def test_the_zero_one_loss_is_for_classes() -> None:
    model, _ = held_out("table", regression=True)
    with pytest.raises(Skipped, match="zero-one loss is for classes, and the labels are values"):
        Permutation(loss="zero-one").measure(model, seeded())


def test_a_model_that_answers_with_nan_is_refused() -> None:
    inputs = torch.randn(20, 2, generator=seeded())
    model = TrainedModel(
        lambda x: x[:, :1].log(), *[torch.zeros(2)] * 3, 1, held_out=(inputs, inputs[:, 0])
    )
    with pytest.raises(ValueError, match="the model answers with NaN or infinity"):
        Permutation().measure(model, seeded())


def test_a_single_example_has_no_error() -> None:
    inputs = torch.ones(1, 2)
    model = TrainedModel(
        lambda x: x[:, :1], *[torch.zeros(2)] * 3, 1, held_out=(inputs, inputs[:, 0])
    )
    found = Permutation().measure(model, seeded())
    assert not found.values.any()
    assert np.isnan(found.errors).all()
    assert np.isnan(found.p_values).all()


def test_more_shufflings_and_other_seeds_change_the_estimate() -> None:
    model, _ = held_out("table", regression=True)
    once, again, other, more = (
        Permutation(repeats).measure(model, torch.Generator().manual_seed(seed)).values
        for repeats, seed in ((1, 0), (1, 0), (1, 1), (2, 0))
    )
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)
    assert not np.array_equal(once, more)


def test_positions_of_text_are_shuffled_with_their_tokens() -> None:
    data = load("planted-words", seed=0)
    torch.manual_seed(0)
    module = transformer(data).eval().requires_grad_(requires_grad=False)
    model = view_of(data, module, torch.device("cpu"))
    few = model.held_out[0][:20], model.held_out[1][:20]
    small = TrainedModel(
        *(model.module, model.black, model.mean, model.spread, 1),
        kind="text",
        feature_shape=model.feature_shape,
        held_out=few,
    )
    found = Permutation(repeats=1).measure(small, seeded()).values
    assert found.shape == data.feature_shape
    assert np.isfinite(found).all()


def test_inputs_of_a_module_that_writes_to_them_are_kept() -> None:
    module = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(3, 2)).requires_grad_(False)
    inputs = torch.randn(10, 3, generator=seeded())
    before = inputs.clone()
    model = TrainedModel(module, *[torch.zeros(3)] * 3, 1, held_out=(inputs, torch.arange(10) % 2))
    Permutation().measure(model, seeded())
    assert torch.equal(inputs, before)
