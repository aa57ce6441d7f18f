"""Data order, learning rate and optimiser: what all ways of training must agree on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from uproar.types import Recipe

MOMENTUM = 0.9
ADAM_BETAS, ADAM_EPSILON = (0.9, 0.999), 1e-8


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


def batch_indices(recipe: Recipe, examples: int, seeds: Sequence[int]) -> Iterator[Tensor]:
    """Yield the examples of every batch of the whole training, (arms, batch) for ``seeds``.

    Each epoch has a new order, which depends on the arm's seed alone.
    """
    generators = {seed: torch.Generator().manual_seed(seed) for seed in seeds}
    for _ in range(recipe.epochs):
        orders = {s: torch.randperm(examples, generator=g) for s, g in generators.items()}
        yield from torch.stack([orders[seed] for seed in seeds]).split(recipe.batch_size, dim=1)


def flat_update(parameters: Tensor, gradient: Tensor, recipe: Recipe) -> Callable[[float], None]:
    """Return a function that updates one flat parameter in place, given the learning rate.

    The functional Adam does what the optimiser does, without the 0.1 ms that its object takes for
    each step, which is a twentieth of a step of a dozen small arms.
    """
    if recipe.optimiser != "adam":
        parameter = nn.Parameter(parameters)
        parameter.grad = gradient
        made = optimiser([parameter], recipe)

        def step(rate: float) -> None:
            made.param_groups[0]["lr"] = rate
            made.step()

        return step
    first, second = torch.zeros_like(parameters), torch.zeros_like(parameters)
    return partial(
        _adam, [parameters], [gradient], [first], [second], parameters.new_zeros(()), recipe
    )


def _adam(
    parameters: list[Tensor],
    gradients: list[Tensor],
    first: list[Tensor],
    second: list[Tensor],
    step: Tensor,
    recipe: Recipe,
    rate: float,
) -> None:
    adam(
        parameters,
        gradients,
        first,
        second,
        [],
        [step],
        foreach=False,
        fused=True,
        amsgrad=False,
        beta1=ADAM_BETAS[0],
        beta2=ADAM_BETAS[1],
        lr=rate,
        weight_decay=recipe.weight_decay,
        eps=ADAM_EPSILON,
        maximize=False,
    )


def optimiser(parameters: Sequence[Tensor], recipe: Recipe) -> torch.optim.Optimizer:
    """Return the optimiser of a recipe, in its fused form: one call updates everything."""
    rate, decay = recipe.learning_rate, recipe.weight_decay
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(
            parameters, rate, momentum=MOMENTUM, nesterov=True, weight_decay=decay, fused=True
        )
    return torch.optim.Adam(
        parameters, rate, ADAM_BETAS, ADAM_EPSILON, weight_decay=decay, fused=True
    )
