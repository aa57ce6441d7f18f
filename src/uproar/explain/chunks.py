"""Long arrays go through the model in passes of bounded memory."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from uproar.models.trained import TrainedModel

CHUNK_BYTES = 2**20
MOST_ROWS = 2048


def rows_per_pass(inputs: Tensor, *, chunk_bytes: int = CHUNK_BYTES) -> int:
    """Return how many inputs one forward and backward pass takes.

    ``chunk_bytes`` of inputs, at least one and at most ``MOST_ROWS`` of them: with more rows the
    activations of a small network leave the processor's cache, with fewer its matrix products are
    too small to be fast. The activations of a pass are a multiple of ``chunk_bytes`` that depends
    on the model.

    :param inputs: (examples, *input_shape); only the shape and the type are looked at.
    :param chunk_bytes: bytes of the inputs of one pass.
    :returns: the number of rows, 1 to ``MOST_ROWS``.

    >>> rows_per_pass(torch.zeros(5, 64)), rows_per_pass(torch.zeros(5, 3, 32, 32))
    (2048, 85)
    """
    example_bytes = max(1, math.prod(inputs.shape[1:]) * inputs.element_size())
    return min(MOST_ROWS, max(1, chunk_bytes // example_bytes))


def in_chunks(
    attribute: Callable[[Tensor, Tensor], Tensor], inputs: Tensor, targets: Tensor, *, rows: int
) -> Tensor:
    """Return the attribution of all inputs, at most ``rows`` of them at once.

    >>> in_chunks(lambda part, targets: part + len(part), torch.zeros(5), torch.zeros(5), rows=3)
    tensor([3., 3., 3., 2., 2.])
    """
    starts = range(0, len(inputs), rows)
    return torch.cat([attribute(inputs[at : at + rows], targets[at : at + rows]) for at in starts])


# The points of a part of the steps, (steps, examples, *input_shape), and for each the way that is
# gone with the gradient found there, of that shape or one that broadcasts to it.
Path = Callable[[slice], tuple[Tensor, Tensor]]


def sum_along(
    path: Path,
    steps: int,
    model: TrainedModel,
    inputs: Float[Tensor, "examples *shape"],
    targets: Int[Tensor, "examples"],
) -> Float[Tensor, "examples *shape"]:
    """Return the sum over the steps of the gradient at a point times the way gone with it.

    Steps are pooled only as far as they fit in one pass, so memory does not grow with them.

    :param path: what is made of some of the steps.
    :param steps: how many there are.
    """
    total = torch.zeros_like(inputs)
    together = max(1, rows_per_pass(inputs) // max(1, len(inputs)))
    for first in range(0, steps, together):
        points, ways = path(slice(first, min(first + together, steps)))
        slopes = model.gradient(points.flatten(0, 1), targets.repeat(len(points)))
        total += (ways * slopes.view_as(points)).sum(0)
    return total
