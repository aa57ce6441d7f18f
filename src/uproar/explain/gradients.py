"""Gradient, input times gradient, integrated gradients and guided backpropagation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from uproar.explain.parameters import BASELINES
from uproar.explain.passes import rows_per_pass
from uproar.models.trained import TrainedModel
from uproar.types import Skipped


def gradient(
    model: TrainedModel,
    inputs: Float[Tensor, "examples *shape"],
    targets: Int[Tensor, "examples"],
    generator: torch.Generator,  # noqa: ARG001 - part of the contract of explainers
) -> Float[Tensor, "examples *shape"]:
    """Return the gradient of the explained logit.

    ``e = df/dx``, where ``f`` is the logit of the target class, before the softmax.

    :param inputs: (examples, *input_shape).
    :param targets: (examples,), the class explained.
    :returns: attribution of the shape of ``inputs``, signed.

    Simonyan et al. 2014, arXiv 1312.6034.

    >>> module = nn.Linear(2, 1, bias=False).requires_grad_(False)
    >>> _ = module.weight.copy_(torch.tensor([[2.0, -3.0]]))
    >>> model = TrainedModel(module, torch.zeros(2), torch.zeros(2), torch.ones(2), 1)
    >>> gradient(model, torch.tensor([[4.0, 5.0]]), torch.tensor([0]), torch.Generator())
    tensor([[ 2., -3.]])
    """
    return model.gradient(inputs, targets)


def input_x_gradient(
    model: TrainedModel,
    inputs: Float[Tensor, "examples *shape"],
    targets: Int[Tensor, "examples"],
    generator: torch.Generator,  # noqa: ARG001 - part of the contract of explainers
) -> Float[Tensor, "examples *shape"]:
    """Return the input times the gradient of the explained logit.

    ``e = x * df/dx``.

    :param inputs: (examples, *input_shape).
    :param targets: (examples,), the class explained.
    :returns: attribution of the shape of ``inputs``, signed.

    Shrikumar et al. 2016, arXiv 1605.01713.

    >>> module = nn.Linear(2, 1, bias=False).requires_grad_(False)
    >>> _ = module.weight.copy_(torch.tensor([[2.0, -3.0]]))
    >>> model = TrainedModel(module, torch.zeros(2), torch.zeros(2), torch.ones(2), 1)
    >>> input_x_gradient(model, torch.tensor([[4.0, 5.0]]), torch.tensor([0]), torch.Generator())
    tensor([[  8., -15.]])
    """
    return inputs * model.gradient(inputs, targets)


@dataclass(frozen=True)
class IntegratedGradients:
    """Mean gradient on the way from a baseline to the input, times that way.

    ``e = (x - x0) * (1/k) sum_{i=1..k} df(x0 + (i/k)(x - x0))/dx``: the right Riemann sum of the
    path integral, with ``k`` steps from the baseline ``x0``.

    :param steps: number of gradients along the way, at least 1.
    :param baseline: "black" or "mean" (those of the model), or "zero".
    :raises ValueError: when a parameter is out of its range.

    Sundararajan et al. 2017, arXiv 1703.01365.

    >>> module = nn.Linear(2, 1, bias=False).requires_grad_(False)
    >>> _ = module.weight.copy_(torch.tensor([[2.0, -3.0]]))
    >>> model = TrainedModel(module, torch.ones(2), torch.zeros(2), torch.ones(2), 1)
    >>> explainer = IntegratedGradients(steps=4, baseline="black")
    >>> explainer(model, torch.tensor([[4.0, 5.0]]), torch.tensor([0]), torch.Generator())
    tensor([[  6., -12.]])
    """

    steps: int = 25
    baseline: str = "black"

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, got {self.steps!r}")
        if self.baseline not in BASELINES:
            raise ValueError(f"baseline must be one of {BASELINES}, got {self.baseline!r}")

    def __call__(
        self,
        model: TrainedModel,
        inputs: Float[Tensor, "examples *shape"],
        targets: Int[Tensor, "examples"],
        generator: torch.Generator,  # noqa: ARG002 - part of the contract of explainers
    ) -> Float[Tensor, "examples *shape"]:
        """Return the attribution, of the shape of ``inputs``, signed."""
        start = model.baseline(inputs, self.baseline)
        way = inputs - start
        total = torch.zeros_like(inputs)
        # Steps are pooled only as far as they fit in one pass, so memory does not grow with them.
        together = max(1, rows_per_pass(inputs) // max(1, len(inputs)))
        for first in range(1, self.steps + 1, together):
            steps = range(first, min(first + together, self.steps + 1))
            points = torch.cat([start + step / self.steps * way for step in steps])
            slopes = model.gradient(points, targets.repeat(len(steps)))
            total += slopes.view(len(steps), *inputs.shape).sum(0)
        return way * total / self.steps


def guided_backpropagation(
    model: TrainedModel,
    inputs: Float[Tensor, "examples *shape"],
    targets: Int[Tensor, "examples"],
    generator: torch.Generator,  # noqa: ARG001 - part of the contract of explainers
) -> Float[Tensor, "examples *shape"]:
    """Return the gradient, where every ReLU lets only positive gradients through.

    At each ReLU ``y = max(z, 0)`` the backward pass takes ``dz = dy * [z > 0] * [dy > 0]``.

    :param inputs: (examples, *input_shape).
    :param targets: (examples,), the class explained.
    :returns: attribution of the shape of ``inputs``, signed (the first layer is linear).
    :raises Skipped: when no ``nn.ReLU`` module takes part; ``torch.relu`` and
        ``nn.functional.relu`` cannot be seen from outside.

    Springenberg et al. 2015, arXiv 1412.6806.

    >>> first, last = nn.Linear(1, 2, bias=False), nn.Linear(2, 1, bias=False)
    >>> module = nn.Sequential(first, nn.ReLU(), last).requires_grad_(False)
    >>> _ = first.weight.copy_(torch.tensor([[1.0], [2.0]]))
    >>> _ = last.weight.copy_(torch.tensor([[5.0, -3.0]]))  # gradient 5 * 1 - 3 * 2
    >>> model = TrainedModel(module, torch.zeros(1), torch.zeros(1), torch.ones(1), 1)
    >>> guided_backpropagation(model, torch.ones(1, 1), torch.tensor([0]), torch.Generator())
    tensor([[5.]])
    """
    with _guided(model.network) as used:
        attribution = model.gradient(inputs, targets)
    if not used:
        raise Skipped(
            "guided backpropagation needs a model whose forward pass uses nn.ReLU modules; "
            f"{type(model.network).__name__} uses none (functional ReLUs do not count)"
        )
    return attribution


def _positive(slope: Tensor) -> Tensor:
    return slope.clamp(min=0)


@contextmanager
def _guided(module: nn.Module) -> Iterator[list[nn.Module]]:
    """Clamp gradients at every use of a ReLU module; yields the list of uses, filled on the way.

    The gradient is clamped where it reaches the ReLU's output. That equals clamping behind the
    ReLU, since ``max(dy, 0) * [z > 0] = max(dy * [z > 0], 0)``, and unlike a hook on the module's
    backward pass it also works in place and once for each use of a module that is used often.
    """
    used: list[nn.Module] = []

    def clamp(relu: nn.Module, _: object, output: Tensor) -> None:
        if output.requires_grad:
            used.append(relu)
            output.register_hook(_positive)

    handles = [
        child.register_forward_hook(clamp)
        for child in module.modules()
        if isinstance(child, nn.ReLU)
    ]
    try:
        yield used
    finally:
        for handle in handles:
            handle.remove()
