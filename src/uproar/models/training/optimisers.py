"""Updates of the weights, and which of them decay: the same in all ways of training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from uproar.types import Recipe

MOMENTUM = 0.9
ADAM_BETAS, ADAM_EPSILON = (0.9, 0.999), 1e-8
NORMALISATIONS = (
    nn.modules.batchnorm._NormBase,  # batch and instance normalisation of all dimensions
    nn.GroupNorm,
    nn.LayerNorm,
    nn.RMSNorm,
)


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


def optimiser(
    parameters: Sequence[Tensor], recipe: Recipe, *, spared: Sequence[Tensor] = ()
) -> torch.optim.Optimizer:
    """Return the optimiser of a recipe, in its fused form: one call updates everything.

    :param spared: parameters without weight decay.
    """
    rate, decay = recipe.learning_rate, recipe.weight_decay
    groups = [
        {"params": list(members), "weight_decay": share}
        for members, share in ((parameters, decay), (spared, 0.0))
        if members
    ]
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(groups, rate, momentum=MOMENTUM, nesterov=True, fused=True)
    return torch.optim.Adam(groups, rate, ADAM_BETAS, ADAM_EPSILON, fused=True)


def module_optimiser(
    module: nn.Module, parameters: Mapping[str, Tensor], recipe: Recipe
) -> torch.optim.Optimizer:
    """Return the optimiser of a module's parameters, by name; see :func:`without_decay`."""
    spared = without_decay(module) if recipe.weight_decay else frozenset()
    return optimiser(
        [value for name, value in parameters.items() if name not in spared],
        recipe,
        spared=[value for name, value in parameters.items() if name in spared],
    )


def set_rate(update: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all parameters."""
    for group in update.param_groups:
        group["lr"] = rate


def without_decay(module: nn.Module) -> frozenset[str]:
    """Return the names of the parameters of normalisation layers, which do not decay.

    Hooker et al. 2019 leave batch normalisation out of weight decay; layer, group, instance and
    root-mean-square normalisation scale activations in the same way.

    >>> sorted(without_decay(nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))))
    ['1.bias', '1.weight']
    """
    layers = [part for part in module.modules() if isinstance(part, NORMALISATIONS)]
    spared = {id(value) for layer in layers for value in layer.parameters(recurse=False)}
    return frozenset(name for name, value in module.named_parameters() if id(value) in spared)
