"""Data order and learning rate: what all ways of training must agree on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from uproar.types import Recipe

# Hooker et al. 2019 count 90 epochs: warm-up until 5, then a tenth from each of these on.
STEPS_EPOCHS, STEPS_WARM_UP, STEPS_TENTHS = 90, 5, (30, 60, 80)
# Batches of predictions hold at most this many input values, and examples within these bounds.
PREDICTION_VALUES, PREDICTION_EXAMPLES = 2**20, (16, 1024)


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Return the learning rate of a step, for the schedules that :class:`Recipe` describes.

    The warm-up of ``steps`` is linear from zero, by step and not by epoch.

    >>> [round(learning_rate(Recipe(learning_rate=1.0), step, 4), 3) for step in range(4)]
    [1.0, 0.854, 0.5, 0.146]
    """
    if recipe.schedule == "constant":
        return recipe.learning_rate
    if recipe.schedule == "cosine":
        return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * step / steps))
    epoch = STEPS_EPOCHS * step  # in units of 1 / steps: whole numbers compare exactly
    if epoch < STEPS_WARM_UP * steps:
        return recipe.learning_rate * epoch / (STEPS_WARM_UP * steps)
    tenths = sum(epoch >= begin * steps for begin in STEPS_TENTHS)
    return recipe.learning_rate * (1.0, 0.1, 0.01, 0.001)[tenths]


def smallest_batch(module: nn.Module) -> int:
    """Return the fewest examples that the module can be trained on at once.

    Batch normalisation takes two: the variance of one is zero.
    """
    normalises = (isinstance(m, nn.modules.batchnorm._BatchNorm) for m in module.modules())
    return 2 if any(normalises) else 1


def batch_sizes(recipe: Recipe, examples: int, smallest: int = 1) -> list[int]:
    """Return the sizes of an epoch's batches; the last one may be smaller than the others.

    Where it would be smaller than ``smallest``, its examples join the batch before.

    >>> batch_sizes(Recipe(batch_size=100), 201), batch_sizes(Recipe(batch_size=100), 201, 2)
    ([100, 100, 1], [100, 101])
    """
    whole, rest = divmod(examples, recipe.batch_size)
    sizes = [recipe.batch_size] * whole
    if rest and (rest >= smallest or not sizes):
        return [*sizes, rest]
    return [*sizes[:-1], recipe.batch_size + rest] if rest else sizes


def steps_of(recipe: Recipe, examples: int, smallest: int = 1) -> int:
    """Return the number of updates of a training.

    >>> steps_of(Recipe(epochs=2, batch_size=100), 201)
    6
    """
    return recipe.epochs * len(batch_sizes(recipe, examples, smallest))


def batch_indices(
    recipe: Recipe, examples: int, seeds: Sequence[int], smallest: int = 1
) -> Iterator[Tensor]:
    """Yield the examples of every batch of the whole training, (arms, batch) for ``seeds``.

    Each epoch has a new order, which depends on the arm's seed alone.
    """
    generators = {seed: torch.Generator().manual_seed(seed) for seed in seeds}
    sizes = batch_sizes(recipe, examples, smallest)
    for _ in range(recipe.epochs):
        orders = {s: torch.randperm(examples, generator=g) for s, g in generators.items()}
        yield from torch.stack([orders[seed] for seed in seeds]).split(sizes, dim=1)


def prediction_batches(examples: int, values: int, device: torch.device) -> Iterator[Tensor]:
    """Yield all examples in order, (batch,) at a time: fewer, the more values each has.

    >>> [len(part) for part in prediction_batches(600, 3 * 32 * 32, torch.device("cpu"))]
    [341, 259]
    """
    fewest, most = PREDICTION_EXAMPLES
    size = min(max(PREDICTION_VALUES // values, fewest), most)
    yield from torch.arange(examples, device=device).split(size)
