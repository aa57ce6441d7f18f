"""Path methods: gradients gathered on the way from what shows nothing to the input."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from uproar.explain.checks import check_parameters
from uproar.explain.chunks import sum_along
from uproar.models.trained import TrainedModel
from uproar.types import Skipped


@dataclass(frozen=True)
class IntegratedGradients:
    """Mean gradient on the way from a baseline to the input, times that way.

    ``e = (x - x0) * (1/k) sum_{i=1..k} df(x0 + (i/k)(x - x0))/dx``: the right Riemann sum of the
    path integral, with ``k`` steps from the baseline ``x0``. Its sum over values approaches
    ``f(x) - f(x0)``.

    :param steps: number of gradients along the way, at least 1.
    :param baseline: "black" or "mean" (those of the model), or "zero".
    :raises ValueError: when a parameter is out of its range.

    Sundararajan et al. 2017, arXiv 1703.01365.

    >>> module = torch.nn.Linear(2, 1, bias=False).requires_grad_(False)
    >>> _ = module.weight.copy_(torch.tensor([[2.0, -3.0]]))
    >>> model = TrainedModel(module, torch.ones(2), torch.zeros(2), torch.ones(2), 1)
    >>> explainer = IntegratedGradients(steps=4, baseline="black")
    >>> explainer(model, torch.tensor([[4.0, 5.0]]), torch.tensor([0]), torch.Generator())
    tensor([[  6., -12.]])
    """

    steps: int = 25
    baseline: str = "black"

    def __post_init__(self) -> None:
        check_parameters(self)

    def __call__(
        self,
        model: TrainedModel,
        inputs: Float[Tensor, "examples *shape"],
        targets: Int[Tensor, "examples"],
        generator: torch.Generator,
    ) -> Float[Tensor, "examples *shape"]:
        """Return the attribution, of the shape of ``inputs``, signed."""
        start = model.baseline(inputs, self.baseline)
        way = inputs - start
        shares = torch.arange(1, self.steps + 1).to(inputs) / self.steps

        def path(part: slice) -> tuple[Tensor, Tensor]:
            share = shares[part].view(-1, *[1] * inputs.ndim)
            return torch.addcmul(start, share, way), torch.ones_like(share)

        return way * sum_along(path, self.steps, model, inputs, targets) / self.steps


@dataclass(frozen=True)
class ExpectedGradients:
    """Integrated gradients from training inputs, of which a sample stands for all.

    ``e = (1/k) sum_{j=1..k} (x - x_j) * df(x_j + a_j (x - x_j))/dx``, with ``x_j`` drawn from the
    model's background and ``a_j`` uniformly from 0 to 1, the same draws for all examples. Its
    expected sum over values is ``f(x)`` less the mean of ``f`` over the background. Of text, what
    is drawn are vectors for each position, and the ids, which say what is padding, stay those of
    the example.

    :param references: how many pairs ``x_j`` and ``a_j`` are drawn, at least 1.
    :raises ValueError: when ``references`` is below 1.
    :raises Skipped: when the model has no background, or no gradients.

    Erion et al. 2021, arXiv 1906.10670.

    >>> module = torch.nn.Linear(2, 1, bias=False).requires_grad_(False)
    >>> _ = module.weight.copy_(torch.tensor([[2.0, -3.0]]))
    >>> background = torch.tensor([[3.0, 3.0]])
    >>> model = TrainedModel(
    ...     module, torch.zeros(2), torch.zeros(2), torch.ones(2), 1, background=background)
    >>> ExpectedGradients()(model, torch.tensor([[4.0, 5.0]]), torch.tensor([0]), torch.Generator())
    tensor([[ 2., -6.]])
    """

    references: int = 50

    def __post_init__(self) -> None:
        check_parameters(self)

    def __call__(
        self,
        model: TrainedModel,
        inputs: Float[Tensor, "examples *shape"],
        targets: Int[Tensor, "examples"],
        generator: torch.Generator,
    ) -> Float[Tensor, "examples *shape"]:
        """Return the attribution, of the shape of ``inputs``, signed."""
        if model.background is None:
            raise Skipped("it needs training examples to compare with; there are none")
        on, count = generator.device, (self.references,)
        drawn = torch.randint(len(model.background), count, generator=generator, device=on)
        shares = torch.rand(count, generator=generator, device=on, dtype=inputs.dtype)
        starts = model.background[drawn.to(model.background.device)].to(inputs)[:, None]
        shares = shares.to(inputs.device).view(-1, *[1] * inputs.ndim)

        def path(part: slice) -> tuple[Tensor, Tensor]:
            start = starts[part]
            if model.kind == "text":
                ids = inputs[None, :, :1].expand(len(start), *[-1] * inputs.ndim)
                vectors = start[:, :, 1:].expand(-1, len(inputs), *[-1] * (inputs.ndim - 1))
                start = torch.cat([ids, vectors], 2)
            way = inputs - start
            return torch.addcmul(start, shares[part], way), way

        return sum_along(path, self.references, model, inputs, targets) / self.references
