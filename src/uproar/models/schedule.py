"""Data order, learning rate and optimiser: what all ways of training must agree on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from uproar.types import Recipe

MOMENTUM = 0.9


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Return the learning rate of a step: constant, or a half cosine from full to zero.

    >>> [round(learning_rate(Recipe(learning_rate=1.0), step, 4), 3) for step in range(4)]
    [1.0, 0.854, 0.5, 0.146]
    """
    if recipe.schedule == "constant":
        return recipe.learning_rate
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * step / steps))


def steps_of(recipe: Recipe, examples: int) -> int:
    """Return the number of updates of a training; an epoch's last batch may be smaller.

    >>> steps_of(Recipe(epochs=2, batch_size=100), 201)
    6
    """
    return recipe.epochs * math.ceil(examples / recipe.batch_size)


def batch_indices(recipe: Recipe, examples: int, seed: int) -> Iterator[Tensor]:
    """Yield the examples of every batch of the whole training, in a new order each epoch."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(recipe.epochs):
        yield from torch.randperm(examples, generator=generator).split(recipe.batch_size)


def optimiser(parameters: Sequence[Tensor], recipe: Recipe) -> torch.optim.Optimizer:
    """Return the optimiser of a recipe, in its fused form: one call updates everything."""
    rate, decay = recipe.learning_rate, recipe.weight_decay
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(
            parameters, rate, momentum=MOMENTUM, nesterov=True, weight_decay=decay, fused=True
        )
    return torch.optim.Adam(parameters, rate, weight_decay=decay, fused=True)
