"""SAGE: slow references, the sage-importance package on the same orders, closed forms, nulls."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression
from torch import Tensor, nn

from tests.explain.function.test_permutation import held_out
from tests.explain.perturbation.test_occlusion import every, seeded
from tests.support import gaussians, oracles
from uproar.explain import chunks
from uproar.explain.function import sage
from uproar.explain.function.sage import Sage, _draws
from uproar.models.trained import TrainedModel
from uproar.types import Skipped

Draw = tuple[Tensor, Tensor]  # examples, and an order of the features for each


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"permutations": 0}, "permutations must be at least 1, got 0"),
        ({"background": 0}, "background must be at least 1, got 0"),
        ({"threshold": -0.1}, "threshold must be at least 0, got -0.1"),
        ({"loss": "hinge"}, "loss must be one of"),
    ],
)
def test_wrong_parameters_are_refused(values: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sage(**values)


# --- the estimate ---------------------------------------------------------------------------------


@every
@pytest.mark.parametrize("loss", ["auto", "zero-one", "value"])
def test_it_is_the_loop_over_orders(
    layout: str, loss: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, inputs = held_out(layout, regression=loss == "value")
    few = inputs[:5], model.held_out[1][:5]
    model = replace(model, held_out=few, background=model.background[:6])
    groups = model.feature_of_value(inputs).numpy()
    features = int(groups.max()) + 1
    background = model.background.numpy()

    def answers(values: np.ndarray) -> np.ndarray:
        outputs = model(torch.tensor(values))
        return (outputs if loss == "value" else outputs.softmax(1)).numpy()

    def loss_of(answer: np.ndarray, label: float) -> float:
        if loss == "zero-one":
            return float(answer.argmax() != label)
        return oracles.example_loss(answer, label, probabilities=True)

    gains: list[list[np.ndarray]] = [[] for _ in range(5)]
    for rows, orders in _draws(5, features, 2, seeded()):
        for row, order in zip(rows.tolist(), orders.tolist(), strict=True):
            x, label = few[0][row].numpy(), float(few[1][row])
            one = oracles.sage_gains(answers, loss_of, x, label, background, groups, order)
            gains[row].append(one)
    by_example = np.mean(gains, axis=1)
    explainer = Sage(2, 6, 0.0, "zero-one" if loss == "zero-one" else "auto")
    monkeypatch.setattr("uproar.explain.function.losses.CALLABLE_PASSES", 1)
    for rows in (4, 20, 2048):  # parts of the background, three draws at once, and all of them
        monkeypatch.setattr(chunks, "MOST_ROWS", rows)
        found = explainer.measure(model, seeded())
        np.testing.assert_allclose(found.values, by_example.mean(0), rtol=1e-9, atol=1e-12)
        errors = by_example.std(0, ddof=1) / 5**0.5
        np.testing.assert_allclose(found.errors, errors, rtol=1e-7, atol=1e-12)


@pytest.mark.slow
@every
def test_inputs_that_are_equal_are_asked_about_once(
    layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, inputs = held_out(layout, regression=False)
    background = model.background.sign()  # two levels
    few = inputs[:10].sign(), model.held_out[1][:10]
    model = replace(model, held_out=few, background=background)
    monkeypatch.setattr("uproar.explain.function.losses.CALLABLE_PASSES", 1)

    def measured() -> tuple[np.ndarray, int]:
        before = model.passes.examples
        found = Sage(1, 20, 0.0).measure(model, seeded())
        return found.values, model.passes.examples - before

    several = model.feature_of_value(inputs).bincount().max() > 2
    for rows in (7, 60, 2048):
        monkeypatch.setattr(chunks, "MOST_ROWS", rows)
        found, asked = measured()
        with monkeypatch.context() as patched:
            patched.setattr(sage, "ALL_DIFFER", 0.0)
            expected, every_one = measured()
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
        assert asked <= every_one if several else asked < 0.8 * every_one


def test_importances_add_up_to_what_the_model_knows() -> None:
    model, inputs = held_out("table", regression=False)
    found = Sage(permutations=1, threshold=0).measure(model, seeded())
    labels = model.held_out[1]
    full = model(inputs).softmax(1).gather(1, labels[:, None]).log().mean()
    empty = model(model.background).softmax(1).mean(0)[labels].log().mean()
    assert found.values.sum() == pytest.approx(float(full - empty))


def test_the_closed_form() -> None:
    generator = np.random.default_rng(0)
    inputs = gaussians.inputs_of(4_000, gaussians.COVARIANCE, generator)
    labels = inputs @ gaussians.SLOPES + generator.standard_normal(len(inputs)) / 2
    background = gaussians.inputs_of(400, gaussians.COVARIANCE, generator)
    model = gaussians.model_of(gaussians.SLOPES, 0.0, (inputs, labels), background)
    found = Sage(permutations=1, background=400, threshold=0).measure(model, seeded())
    expected = gaussians.SLOPES * (gaussians.COVARIANCE @ gaussians.SLOPES)
    assert (np.abs(found.values - expected) < 3 * found.errors).all()
    assert (found.errors < 0.1 * expected).all()


@pytest.mark.slow
def test_true_nulls_are_rejected_as_often_as_they_should_be() -> None:
    """Of independent columns: a column that is correlated with others has no null of its own."""
    nulls, explainer = np.array([1.0, -0.5, 0.0, 0.0]), Sage(1, 100, 0.0)
    rate = gaussians.null_rejections(explainer, np.eye(4), nulls, runs=150)
    assert 0.02 <= rate <= 0.09


def test_it_stops_when_it_has_converged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sage, "ORDERS", 16)
    generator = np.random.default_rng(0)
    inputs = generator.standard_normal((200, 3))
    held, background = (inputs, inputs @ np.array([3.0, 1.0, 0.0])), inputs[:10]
    model = gaussians.model_of(np.array([3.0, 1.0, 0.0]), 0.0, held, background)

    def asked(threshold: float) -> tuple[float, float]:
        with model.counting() as counted:
            before = counted.examples
            found = Sage(4, 10, threshold).measure(model, seeded())
        return counted.examples - before, float(found.errors.max())

    costs = [asked(threshold) for threshold in (0.0, 0.1, 0.2, 1.0)]
    every_order = 200 * 4 * 2 * 10 + 200 + 10
    assert costs[0][0] == every_order
    assert costs[3][0] == 16 * 2 * 10 + 200 + 10  # the first look is enough
    assert every_order > costs[1][0] > costs[2][0] > costs[3][0]
    assert costs[0][1] < costs[3][1]


def test_one_feature_has_all_the_worth() -> None:
    inputs = np.random.default_rng(0).standard_normal((50, 1))
    model = gaussians.model_of(np.ones(1), 0.0, (inputs, inputs[:, 0]), inputs)
    found = Sage().measure(model, seeded()).values
    assert found == pytest.approx(inputs.var())


def test_without_examples_it_is_skipped() -> None:
    model, _ = held_out("table", regression=True)
    with pytest.raises(Skipped, match="sage draws what is not known from training examples"):
        Sage().measure(replace(model, background=None), seeded())
    with pytest.raises(Skipped, match="sage needs held-out examples"):
        Sage().measure(replace(model, held_out=None), seeded())


def test_a_model_that_answers_with_nan_is_refused() -> None:
    inputs = torch.randn(20, 2, generator=seeded())
    held = inputs.abs(), inputs[:, 0]
    model = TrainedModel(
        lambda x: x[:, :1].log(), *[torch.zeros(2)] * 3, 1, held_out=held, background=inputs
    )
    with pytest.raises(ValueError, match="the model answers with NaN or infinity"):
        Sage().measure(model, seeded())


def test_a_single_example_has_no_error() -> None:
    model, inputs = held_out("table", regression=True)
    one = replace(model, held_out=(inputs[:1], model.held_out[1][:1]))
    found = Sage().measure(one, seeded())
    assert np.isfinite(found.values).all()
    assert np.isnan(found.errors).all()


# --- the package ----------------------------------------------------------------------------------


class Replay:
    """A generator of NumPy that gives the package the draws of ours."""

    def __init__(self, draws: list[Draw]) -> None:
        self.draws = iter(draws)
        self.orders: Iterator[Tensor] = iter(())

    def choice(self, _: int, size: int) -> np.ndarray:
        rows, orders = next(self.draws)
        assert len(rows) == size
        self.orders = iter(orders)
        return rows.numpy()

    def shuffle(self, order: np.ndarray) -> None:
        order[:] = next(self.orders).numpy()


def by_package(
    model: Any,
    loss: str,
    held: tuple[np.ndarray, np.ndarray],
    background: np.ndarray,
    draws: list[Draw],
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[np.ndarray, np.ndarray]:
    """Return values and standard errors by the package, given examples and orders."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # of tqdm, about notebooks
        import sage as package

        imputer = package.MarginalImputer(model, background)
    estimator = package.PermutationEstimator(imputer, loss)
    size = len(draws[0][0])
    with monkeypatch.context() as patched:
        patched.setattr(np.random, "default_rng", lambda **_: Replay(draws))
        found = estimator(
            *held,
            batch_size=size,
            detect_convergence=False,
            n_permutations=size * len(draws),
            bar=False,
        )
    return found.values, found.std


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = (nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))
    return nn.Sequential(*layers).requires_grad_(False).eval()


def logistic(inputs: np.ndarray, labels: np.ndarray) -> tuple[Any, Callable[[Tensor], Tensor]]:
    fitted = LogisticRegression().fit(inputs, labels)
    return fitted, lambda rows: torch.tensor(fitted.predict_proba(rows.numpy()))


def line(inputs: np.ndarray, labels: np.ndarray) -> tuple[Any, Callable[[Tensor], Tensor]]:
    fitted = LinearRegression().fit(inputs, labels)
    return fitted, lambda rows: torch.tensor(fitted.predict(rows.numpy())[:, None])


@pytest.mark.parametrize("kind", ["network", "logistic", "line"])
def test_the_package_finds_the_same_on_the_same_orders(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(0)
    inputs = generator.standard_normal((60, 5)).astype(np.float32)
    background = generator.standard_normal((20, 5)).astype(np.float32)
    labels = (inputs @ np.array([1.0, -2.0, 0.5, 0.0, 0.0])).astype(np.float32)
    if kind != "line":
        labels = np.digitize(labels, [-1.0, 1.0])
    if kind == "network":
        ours: Any = network()
        theirs: Any = nn.Sequential(ours, nn.Softmax(1))
    else:
        theirs, ours = (logistic if kind == "logistic" else line)(inputs, labels)
    draws = list(_draws(60, 5, 3, seeded()))
    loss = "mse" if kind == "line" else "cross entropy"
    values, errors = by_package(theirs, loss, (inputs, labels), background, draws, monkeypatch)
    model = TrainedModel(
        *(ours, *[torch.zeros(5)] * 3, 1),
        held_out=(torch.tensor(inputs), torch.tensor(labels)),
        background=torch.tensor(background),
    )
    found = Sage(3, 20, 0.0).measure(model, seeded())
    np.testing.assert_allclose(found.values, values, rtol=1e-4, atol=1e-6)
    once = Sage(1, 20, 0.0).measure(model, seeded())
    _, errors = by_package(
        theirs, loss, (inputs, labels), background, draws[:1], monkeypatch
    )  # each example once: errors by draw are errors by example
    np.testing.assert_allclose(once.errors, errors * np.sqrt(60 / 59), rtol=1e-3, atol=1e-6)
