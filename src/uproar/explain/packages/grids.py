"""From maps of a layer, which are often coarser, to attributions of the inputs."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from uproar.models.trained import TrainedModel
from uproar.types import Skipped

MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


def grid_of(model: TrainedModel, inputs: Float[Tensor, "examples *shape"]) -> tuple[int, ...]:
    """Return the sides of an input: (height, width) of images, the length of series and text.

    :raises Skipped: for tables, whose columns have no order.

    >>> model = TrainedModel(torch.nn.Flatten(), *[torch.zeros(3, 6, 5)] * 3, 2, "image")
    >>> grid_of(model, torch.zeros(1, 3, 6, 5))
    (6, 5)
    """
    first = 1 if model.kind == "image" and inputs.ndim == 3 else 2
    sides = tuple(inputs.shape[first:])
    if not sides:
        raise Skipped("a layer's map has no place in a table, whose columns have no order")
    return sides


def stretched(
    maps: Float[Tensor, "examples *sides"], model: TrainedModel, inputs: Float[Tensor, "..."]
) -> Float[Tensor, "examples *shape"]:
    """Return maps at the size of the inputs, interpolated linearly, and broadcasting to them.

    >>> model = TrainedModel(torch.nn.Flatten(), *[torch.zeros(1, 4)] * 3, 1, "series")
    >>> stretched(torch.tensor([[0.0, 4.0]]), model, torch.zeros(1, 1, 4))
    tensor([[[0., 1., 3., 4.]]])
    """
    sides = grid_of(model, inputs)
    mode = MODES[len(sides)]
    large = torch.nn.functional.interpolate(
        maps[:, None], size=sides, mode=mode, align_corners=False
    )
    return large if inputs.ndim == large.ndim else large[:, 0]


def upsampled(
    maps: Float[Tensor, "examples *sides"], model: TrainedModel, inputs: Float[Tensor, "..."]
) -> Float[Tensor, "examples *shape"]:
    """Return an attribution of the inputs' shape whose sums over channels are the maps, upsampled.

    >>> model = TrainedModel(torch.nn.Flatten(), *[torch.zeros(2, 4)] * 3, 1, "series")
    >>> upsampled(torch.tensor([[0.0, 4.0]]), model, torch.zeros(1, 2, 4)).sum(1)
    tensor([[0., 1., 3., 4.]])
    """
    large = stretched(maps, model, inputs)
    channels = inputs[0].numel() // large[0].numel()
    return large.expand_as(inputs) / channels
