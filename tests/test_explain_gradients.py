"""Gradient explainers: answers typed by hand, and slow references on small random networks."""

from __future__ import annotations

import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import oracles
from uproar.explain.gradients import (
    deconvnet,
    gradient,
    guided_backpropagation,
    input_x_gradient,
)
from uproar.explain.paths import IntegratedGradients
from uproar.models.trained import TrainedModel
from uproar.types import Skipped


def trained(module: nn.Module, *, black: float = 0.0, mean: float = 0.5) -> TrainedModel:
    return TrainedModel(
        module.requires_grad_(False).eval(),
        torch.tensor(black),
        torch.tensor(mean),
        torch.tensor(1.0),
        1,
    )


def two_units() -> TrainedModel:
    """``f = 3 max(x1 - x2, 0) - 2 max(x1 + x2, 0)``; the second output is ``-f``."""
    first, last = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
    first.weight.data = torch.tensor([[1.0, -1.0], [1.0, 1.0]])
    last.weight.data = torch.tensor([[3.0, -2.0], [-3.0, 2.0]])
    return trained(nn.Sequential(first, nn.ReLU(), last))


def explain(explainer: object, model: TrainedModel, inputs: Tensor, targets: list[int]) -> Tensor:
    assert callable(explainer)
    attribution = explainer(model, inputs, torch.tensor(targets), torch.Generator())
    assert isinstance(attribution, Tensor)
    return attribution


@pytest.mark.parametrize(
    ("explainer", "both_on", "first_off", "other_class"),
    [
        # x = (2, 1): both units on; x = (1, 2): only the second; then the second output at (2, 1).
        (gradient, [1.0, -5.0], [-2.0, -2.0], [-1.0, 5.0]),
        (input_x_gradient, [2.0, -5.0], [-2.0, -4.0], [-2.0, 5.0]),
        (IntegratedGradients(steps=4), [2.0, -5.0], [-2.0, -4.0], [-2.0, 5.0]),
        (guided_backpropagation, [3.0, -3.0], [0.0, 0.0], [2.0, 2.0]),
    ],
)
def test_two_unit_network(
    explainer: object, both_on: list[float], first_off: list[float], other_class: list[float]
) -> None:
    inputs = torch.tensor([[2.0, 1.0], [1.0, 2.0], [2.0, 1.0]])
    attribution = explain(explainer, two_units(), inputs, [0, 0, 1])
    assert attribution.tolist() == [both_on, first_off, other_class]


def square() -> TrainedModel:
    """``f = sum of x**2``, whose right Riemann sum over k steps is ``x**2 (1 + 1/k)``."""

    class Square(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            return inputs.square().sum(1, keepdim=True)

    return trained(Square(), black=0.0, mean=1.0)


@pytest.mark.parametrize(
    ("steps", "baseline", "expected"),
    [
        (1, "zero", 18.0),
        (2, "zero", 13.5),
        (10, "zero", 9.9),
        (2, "black", 13.5),
        (1, "mean", 12.0),  # (3 - 1) * 2 * 3
        (2, "mean", 10.0),  # (3 - 1) * (4 + 6) / 2
    ],
)
def test_right_riemann_sum(steps: int, baseline: str, expected: float) -> None:
    attribution = explain(
        IntegratedGradients(steps, baseline), square(), torch.tensor([[3.0]]), [0]
    )
    assert attribution.item() == pytest.approx(expected, abs=1e-6)


def test_black_baseline_is_the_models() -> None:
    model = trained(nn.Linear(3, 1), black=2.0)
    attribution = explain(IntegratedGradients(3, "black"), model, torch.full((1, 3), 2.0), [0])
    assert attribution.tolist() == [[0.0, 0.0, 0.0]]


def random_perceptron(seed: int) -> tuple[TrainedModel, oracles.Layers]:
    generator = np.random.default_rng(seed)
    sizes = [5, 7, 6, 3]
    layers = [
        (generator.normal(size=(out, into)), generator.normal(size=out))
        for into, out in pairwise(sizes)
    ]
    parts: list[nn.Module] = []
    for weight, bias in layers:
        linear = nn.Linear(*reversed(weight.shape)).double()
        linear.weight.data, linear.bias.data = torch.tensor(weight), torch.tensor(bias)
        parts += [linear, nn.ReLU()]
    return trained(nn.Sequential(*parts[:-1])), layers


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("examples", [1, 4])
def test_against_slow_references(seed: int, examples: int) -> None:
    model, layers = random_perceptron(seed)
    inputs = np.random.default_rng(seed + 100).normal(size=(examples, 5))
    targets = [example % 3 for example in range(examples)]
    for x, target, *attributions in zip(
        inputs,
        targets,
        *(
            explain(explainer, model, torch.tensor(inputs), targets).numpy()
            for explainer in (
                gradient,
                input_x_gradient,
                IntegratedGradients(7),
                guided_backpropagation,
            )
        ),
        strict=True,
    ):

        def slope(point: np.ndarray, target: int = target) -> np.ndarray:
            return oracles.finite_differences(
                lambda at: oracles.perceptron(layers, at)[target], point
            )

        expected = [
            slope(x),
            x * slope(x),
            oracles.integrated_gradients(slope, x, np.zeros(5), 7),
            oracles.guided_perceptron(layers, x, target),
        ]
        for got, wanted in zip(attributions, expected, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-7)


def test_integrated_gradients_sum_to_the_change_of_the_logit() -> None:
    model, _ = random_perceptron(0)
    inputs = torch.tensor(np.random.default_rng(1).normal(size=(6, 5)))
    change = (model(inputs) - model(torch.zeros_like(inputs)))[:, 1]
    gaps = [
        (explain(IntegratedGradients(steps, "zero"), model, inputs, [1] * 6).sum(1) - change)
        .abs()
        .max()
        for steps in (10, 100, 1000)
    ]
    assert gaps[2] < gaps[1] < gaps[0]
    assert gaps[2] < 0.02


def test_steps_that_need_several_passes_equal_steps_in_one() -> None:
    model, _ = random_perceptron(3)
    inputs = torch.tensor(np.random.default_rng(2).normal(size=(900, 5)))  # two steps a pass
    together = explain(IntegratedGradients(5), model, inputs, [0] * 900)
    apart = torch.cat([explain(IntegratedGradients(5), model, one[None], [0]) for one in inputs])
    torch.testing.assert_close(together, apart)


def test_integrated_gradients_of_a_linear_model_are_input_times_gradient() -> None:
    model = trained(nn.Linear(4, 2).double())
    inputs = torch.tensor(np.random.default_rng(0).normal(size=(3, 4)))
    integrated = explain(IntegratedGradients(), model, inputs, [0, 1, 0])
    torch.testing.assert_close(integrated, explain(input_x_gradient, model, inputs, [0, 1, 0]))


@pytest.mark.parametrize(
    ("steps", "baseline", "message"), [(0, "zero", "steps"), (1, "white", "baseline")]
)
def test_integrated_gradients_refuse(steps: int, baseline: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"{message} must be"):
        IntegratedGradients(steps, baseline)


def layers_with(*relus: nn.Module) -> TrainedModel:
    parts: list[nn.Module] = []
    for seed, relu in enumerate(relus):
        torch.manual_seed(seed)
        parts += [nn.Linear(4, 4).double(), relu]
    torch.manual_seed(99)
    return trained(nn.Sequential(*parts, nn.Linear(4, 2).double()))


@pytest.mark.parametrize("inplace", [False, True])
def test_guided_backpropagation_of_a_relu_used_often_or_in_place(inplace: bool) -> None:
    inputs = torch.tensor(np.random.default_rng(0).normal(size=(20, 4)))
    shared = nn.ReLU(inplace=inplace)
    expected = explain(guided_backpropagation, layers_with(nn.ReLU(), nn.ReLU()), inputs, [0] * 20)
    got = explain(guided_backpropagation, layers_with(shared, shared), inputs, [0] * 20)
    torch.testing.assert_close(got, expected, rtol=0, atol=0)
    plain = explain(gradient, layers_with(shared, shared), inputs, [0] * 20)
    assert not torch.equal(got, plain)


class Residual(nn.Module):
    """``f = 4 y - (x + y)``, with ``y = max(x, 0)``."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU()

    def forward(self, inputs: Tensor) -> Tensor:
        y = self.relu(inputs)
        return 4 * y - (inputs + y)


def test_guided_backpropagation_clamps_the_sum_of_all_that_reaches_a_relu() -> None:
    # 4 - 1 = 3 reaches the ReLU and passes; -1 comes past it. Clamping each path apart gives 3.
    inputs = torch.tensor([[2.0], [-2.0]])
    attribution = explain(guided_backpropagation, trained(Residual()), inputs, [0, 0])
    assert attribution.tolist() == [[2.0], [-1.0]]


def test_guided_backpropagation_leaves_the_model_as_it_was() -> None:
    model = two_units()
    before = copy.deepcopy(model.module.state_dict())
    inputs, targets = torch.tensor([[2.0, 1.0]]), [0]
    slope = explain(gradient, model, inputs, targets)
    explain(guided_backpropagation, model, inputs, targets)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        explain(guided_backpropagation, model, torch.zeros(1, 3), targets)
    assert all(not child._forward_hooks for child in model.module.modules())
    assert torch.equal(explain(gradient, model, inputs, targets), slope)
    assert all(torch.equal(before[key], value) for key, value in model.module.state_dict().items())


class UnusedReLU(nn.Module):
    """Has a ReLU module, and uses the function."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU()

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.relu(inputs)


@pytest.mark.parametrize(
    "module", [nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2), nn.Tanh()), UnusedReLU()]
)
def test_guided_backpropagation_without_relu_modules_is_skipped(module: nn.Module) -> None:
    with pytest.raises(
        Skipped, match=r"needs a model whose forward pass uses nn\.ReLU modules; .* uses none"
    ):
        explain(guided_backpropagation, trained(module), torch.zeros(1, 2), [0])
