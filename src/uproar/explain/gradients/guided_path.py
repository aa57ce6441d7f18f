"""Integrated gradients on a way that avoids large gradients."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from uproar.explain.checks import check_parameters
from uproar.models.trained import TrainedModel
from uproar.types import Skipped


@dataclass(frozen=True)
class GuidedIntegratedGradients:
    """Gradients gathered on a way on which the values with the smallest gradients go first.

    ``e = sum_{i=1..k} (x_i - x_{i-1}) * df(x_{i-1})/dx``, from the baseline ``x_0`` to the input
    ``x_k``. Each step shortens the absolute distance to the input, summed over values, by a
    ``k``-th of the whole. Values go in groups, a ``fraction`` of all at a time, in the order of
    their absolute gradients: a group goes as far as it may before the next does, and of the last
    one every value goes the same share. None may be further from the straight way than
    ``distance``, a share of that way: step ``i`` begins with those that are behind
    ``i/k - distance``, and stops at ``i/k + distance``. With a distance of 0 this is the left
    Riemann sum of integrated gradients. The sum over values approaches ``f(x) - f(x_0)``.

    The bound in place of the paper's anchors, and the defaults, are those of its authors' code.

    :param steps: number of gradients along the way, at least 1.
    :param fraction: share of the values that make up a group, in [0, 1]; at least one value does.
    :param distance: how far a value may be from the straight way, in [0, 1].
    :param baseline: "black" or "mean" (those of the model), or "zero".
    :raises ValueError: when a parameter is out of its range.
    :raises Skipped: when the data are text, whose vectors have no values that mean something by
        themselves and could go first.

    Kapishnikov et al. 2021, arXiv 2106.09788.

    >>> class Product(torch.nn.Module):  # of x = (1, 2), whose first value has the larger gradient
    ...     def forward(self, inputs):
    ...         return (inputs[:, :1] + 1) * inputs[:, 1:]
    >>> model = TrainedModel(Product(), *[torch.zeros(2)] * 3, 1)
    >>> explainer = GuidedIntegratedGradients(steps=3, distance=1.0)
    >>> explainer(model, torch.tensor([[1.0, 2.0]]), torch.tensor([0]), torch.Generator())
    tensor([[0., 4.]])
    """

    steps: int = 200
    fraction: float = 0.25
    distance: float = 0.02
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
        if model.kind == "text":
            raise Skipped("guided-ig needs values that mean something each, and vectors do not")
        start = model.baseline(inputs, self.baseline).flatten(1)
        way = inputs.flatten(1) - start
        lengths = way.abs()
        gone = torch.zeros_like(way)  # the share of the way that each value has gone
        total = torch.zeros_like(way)
        for step in range(1, self.steps + 1):
            point = torch.addcmul(start, gone, way).view_as(inputs)
            slope = model.gradient(point, targets).flatten(1)
            further = self._further(gone, lengths, slope.abs(), step)
            total += (further - gone) * slope
            gone = further
        return (total * way).view_as(inputs)

    def _further(self, gone: Tensor, lengths: Tensor, steepness: Tensor, step: int) -> Tensor:
        """Return the share of the way that each value has gone after a step.

        :param lengths: of the way of each value. :param steepness: the absolute gradient.
        """
        reached = step / self.steps
        gone = gone.clamp(min=max(reached - self.distance, 0))
        room = min(reached + self.distance, 1) - gone
        reach = room * lengths
        order = steepness.where(reach > 0, torch.inf).argsort(dim=1, stable=True)
        still_to_go = ((reached - gone) * lengths).sum(1, keepdim=True)
        share = self._share_of_groups(reach.gather(1, order), still_to_go)
        return gone + room * torch.empty_like(gone).scatter(1, order, share)

    def _share_of_groups(self, lengths: Tensor, still_to_go: Tensor) -> Tensor:
        """Return for values in order the share of their length that they go, as (rows, values).

        :param lengths: that they may go. :param still_to_go: of a row, (rows, 1).
        """
        values = lengths.shape[1]
        size = int(self.fraction * (values - 1)) + 1
        padded = torch.nn.functional.pad(lengths, (0, -values % size))
        group = padded.view(len(lengths), -1, size).sum(2)
        before = group.cumsum(1) - group
        # Groups that have no length left go nowhere, whatever their share is.
        divisor = group.clamp(min=torch.finfo(group.dtype).tiny)
        share = ((still_to_go - before) / divisor).clamp(0, 1)
        return share.repeat_interleave(size, 1)[:, :values]
