"""Gradient explainers: answers typed by hand, and slow references on small random networks."""

from __future__ import annotations

import copy
import threading
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.support import oracles
from uproar.explain.gradients.gradients import (
    deconvnet,
    gradient,
    guided_backpropagation,
    input_x_gradient,
)
from uproar.explain.gradients.paths import IntegratedGradients
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
        (deconvnet, [3.0, -3.0], [3.0, -3.0], [2.0, 2.0]),
    ],
)
def test_two_unit_network(
    explainer: object, both_on: list[float], first_off: list[float], other_class: list[float]
) -> None:
    inputs = torch.tensor([[2.0, 1.0], [1.0, 2.0], [2.0, 1.0]])
    attribution = explain(explainer, two_units(), inputs, [0, 0, 1])
    assert attribution.tolist() == [both_on, first_off, other_class]


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
                deconvnet,
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
            oracles.deconvolved_perceptron(layers, target),
        ]
        for got, wanted in zip(attributions, expected, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-7)


def layers_with(*relus: nn.Module) -> TrainedModel:
    parts: list[nn.Module] = []
    for seed, relu in enumerate(relus):
        torch.manual_seed(seed)
        parts += [nn.Linear(4, 4).double(), relu]
    torch.manual_seed(99)
    return trained(nn.Sequential(*parts, nn.Linear(4, 2).double()))


both = pytest.mark.parametrize("explainer", [guided_backpropagation, deconvnet])


@both
@pytest.mark.parametrize("inplace", [False, True])
def test_a_relu_used_often_or_in_place(explainer: object, inplace: bool) -> None:
    inputs = torch.tensor(np.random.default_rng(0).normal(size=(20, 4)))
    shared = nn.ReLU(inplace=inplace)
    expected = explain(explainer, layers_with(nn.ReLU(), nn.ReLU()), inputs, [0] * 20)
    got = explain(explainer, layers_with(shared, shared), inputs, [0] * 20)
    torch.testing.assert_close(got, expected, rtol=0, atol=0)
    plain = explain(gradient, layers_with(shared, shared), inputs, [0] * 20)
    assert not torch.equal(got, plain)


class ReadsWhatWasChanged(nn.Module):
    """A ReLU whose answer is not looked at: in place, what it was given is another number after.

    ``view`` makes it work on a part of another tensor, and ``named`` calls it by keyword.
    """

    def __init__(self, *, inplace: bool, view: bool, named: bool) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 6).double(), nn.Linear(6, 2).double()
        self.relu, self.view, self.named = nn.ReLU(inplace), view, named

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.first(inputs)
        part = hidden.view(-1, 3, 2)[:, :2] if self.view else hidden
        answer = self.relu(input=part) if self.named else self.relu(part)
        if not self.relu.inplace:
            rest = hidden.view(-1, 3, 2)[:, 2:] if self.view else hidden[:, :0]
            hidden = torch.cat([answer.flatten(1), rest.flatten(1)], 1)
        return self.last(hidden)


@both
@pytest.mark.parametrize("view", [False, True])
@pytest.mark.parametrize("named", [False, True])
def test_in_place_what_was_changed_may_be_read(explainer: object, view: bool, named: bool) -> None:
    inputs = torch.tensor(np.random.default_rng(0).normal(size=(20, 4)))
    results = []
    for inplace in (False, True):
        torch.manual_seed(0)
        model = trained(ReadsWhatWasChanged(inplace=inplace, view=view, named=named))
        results.append([explain(one, model, inputs, [0] * 20) for one in (explainer, gradient)])
    torch.testing.assert_close(results[1], results[0])
    assert not torch.allclose(*results[1])


@both
def test_other_threads_have_the_gradient_of_the_module_itself(explainer: object) -> None:
    model, inputs = two_units(), torch.tensor([[2.0, 1.0], [1.0, 2.0]])
    relu, seen = model.network[1], []  # type: ignore[index]

    def meanwhile(module: nn.Module, _: object) -> None:
        if threading.current_thread() is main:
            other = threading.Thread(
                target=lambda: seen.append(explain(gradient, model, inputs, [0, 0]))
            )
            other.start()
            other.join(10)

    main = threading.current_thread()
    expected = explain(explainer, model, inputs, [0, 0])
    plain = explain(gradient, model, inputs, [0, 0])
    handle = relu.register_forward_pre_hook(meanwhile)
    got = explain(explainer, model, inputs, [0, 0])
    handle.remove()
    assert torch.equal(seen[0], plain)
    assert torch.equal(got, expected)
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
    attribution = explain(deconvnet, trained(Residual()), inputs, [0, 0])
    assert attribution.tolist() == [[2.0], [2.0]]


@both
def test_the_model_is_left_as_it_was(explainer: object) -> None:
    model = two_units()
    before = copy.deepcopy(model.module.state_dict())
    inputs, targets = torch.tensor([[2.0, 1.0]]), [0]
    slope = explain(gradient, model, inputs, targets)
    explain(explainer, model, inputs, targets)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        explain(explainer, model, torch.zeros(1, 3), targets)
    assert all(not child._forward_hooks for child in model.module.modules())
    assert all(not child._forward_pre_hooks for child in model.module.modules())
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
    for explainer, what in ((guided_backpropagation, "guided"), (deconvnet, "a deconvnet")):
        with pytest.raises(
            Skipped,
            match=rf"{what}.* needs a model whose forward pass uses nn\.ReLU modules; .* uses none",
        ):
            explain(explainer, trained(module), torch.zeros(1, 2), [0])


def test_a_deconvnet_goes_back_through_convolutions_and_the_places_of_maxima() -> None:
    # The larger of two places, doubled by the convolution and tripled by the sum after the ReLU.
    convolution = nn.Conv1d(1, 1, 1, bias=False)
    convolution.weight.data = torch.tensor([[[2.0]]])
    last = nn.Linear(2, 1, bias=False)
    last.weight.data = torch.tensor([[3.0, 3.0]])
    module = nn.Sequential(convolution, nn.MaxPool1d(2), nn.ReLU(), nn.Flatten(), last)
    inputs = torch.tensor([[[-1.0, -2.0, 4.0, 5.0]]])
    attribution = explain(deconvnet, trained(module), inputs, [0])
    assert attribution.tolist() == [[[6.0, 0.0, 0.0, 6.0]]]
    assert explain(gradient, trained(module), inputs, [0]).tolist() == [[[0.0, 0.0, 0.0, 6.0]]]


def test_without_relus_that_are_off_all_rules_are_the_gradient() -> None:
    model = layers_with(nn.ReLU())
    model.network[0].bias += 100  # type: ignore[index, operator]
    model.network[2].weight.abs_()  # type: ignore[index, operator]
    inputs = torch.tensor(np.random.default_rng(0).normal(size=(5, 4)))
    plain = explain(gradient, model, inputs, [0] * 5)
    for explainer in (guided_backpropagation, deconvnet):
        torch.testing.assert_close(explain(explainer, model, inputs, [0] * 5), plain)
