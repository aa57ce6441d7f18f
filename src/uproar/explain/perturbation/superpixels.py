"""Features put together: squares of pixels and stretches of time that are kept or leave as one."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from uproar.models.trained import TrainedModel


def segment_of_feature(
    model: TrainedModel, inputs: Float[Tensor, "examples *shape"], most: int
) -> Int[Tensor, "features"]:
    """Return the segment of every feature: at most ``most`` of them, of neighbours.

    Images are cut into squares and series into stretches of time, channel by channel, that are as
    small as ``most`` allows (a series with more channels than that has a segment for each); what
    is left at the border makes smaller segments. Features of tables and tokens of text are segments
    of their own. Unlike segments that follow the colours of an image they are the same for all
    examples, which lets these share everything that depends on segments alone.

    :param inputs: (examples, *input_shape); only the shape is looked at.
    :param most: of segments, at least 1.
    :returns: (features,), numbered from 0 without gaps.

    >>> model = TrainedModel(torch.nn.Flatten(), *[torch.zeros(1, 3, 5)] * 3, 2, kind="image")
    >>> segment_of_feature(model, torch.zeros(1, 1, 3, 5), 6).view(3, 5).tolist()
    [[0, 0, 1, 1, 2], [0, 0, 1, 1, 2], [3, 3, 4, 4, 5]]
    """
    shape = model.shape_of_features(inputs)
    if model.kind not in {"image", "series"}:
        return torch.arange(math.prod(shape), device=inputs.device)
    axes = 2 if model.kind == "image" else 1
    size = _smallest_size(shape, axes, most)
    numbers = torch.zeros(shape, dtype=torch.int64)
    for axis, side in enumerate(shape):
        step = size if axis >= len(shape) - axes else 1
        place = (torch.arange(side) // step).view(-1, *[1] * (len(shape) - axis - 1))
        numbers = numbers * math.ceil(side / step) + place
    return numbers.flatten().to(inputs.device)


def _smallest_size(shape: tuple[int, ...], axes: int, most: int) -> int:
    """Return the least side of segments along the last ``axes`` axes that makes few enough."""
    whole, cut = shape[: len(shape) - axes], shape[len(shape) - axes :]
    for size in range(1, max(cut)):
        if math.prod(whole) * math.prod(math.ceil(side / size) for side in cut) <= most:
            return size
    return max(cut)
