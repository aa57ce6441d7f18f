"""Any module that ``vmap`` can take, trained many at a time with stacked parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from uproar.models.batches import Batches
from uproar.models.schedule import batch_indices, learning_rate, optimiser, steps_of
from uproar.types import Recipe

PREDICTION_BATCH = 1024


def refusal(module: nn.Module, inputs: Tensor) -> str | None:
    """Return why ``vmap`` cannot train the module, or None when it can; ``inputs`` is a sample."""
    if next(module.buffers(), None) is not None:
        return "it has buffers (batch normalisation keeps running statistics)"
    if not all(parameter.requires_grad for parameter in module.parameters()):
        return "some of its parameters are frozen"
    if any(isinstance(part, nn.RNNBase) for part in module.modules()):
        return "vmap has no vectorised form of recurrent layers"
    stacked = _stack([module.state_dict(), module.state_dict()])
    labels = torch.zeros(2, len(inputs), dtype=torch.long, device=inputs.device)
    try:
        _gradients(module, stacked, inputs.expand(2, *inputs.shape), labels)
    except (RuntimeError, ValueError, NotImplementedError) as error:
        return f"vmap raises {type(error).__name__}: {str(error).splitlines()[0]}"
    return None


def _stack(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([state[name] for state in states]) for name in states[0]}


def _gradients(
    module: nn.Module, parameters: Mapping[str, Tensor], inputs: Tensor, labels: Tensor
) -> dict[str, Tensor]:
    """Return the gradient of every arm's own mean cross-entropy."""

    def loss(one: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return nn.functional.cross_entropy(functional_call(module, one, (x,)), y)

    # vmap raises where a module draws random numbers: arms of equal seed would draw differently.
    gradients: dict[str, Tensor] = vmap(grad(loss))(dict(parameters), inputs, labels)
    return gradients


def fit_stacked(
    module: nn.Module,
    states: Sequence[Mapping[str, Tensor]],
    batches: Batches,
    labels: Tensor,
    *,
    recipe: Recipe,
    seeds: Sequence[int],
) -> dict[str, Tensor]:
    """Train one copy of the module per arm in one vectorised computation.

    ``states`` holds the initial weights and ``seeds`` the data order of each arm. Returns the
    stacked states, (arms, …) for each parameter.
    """
    device = labels.device
    parameters = {n: nn.Parameter(v.to(device)) for n, v in _stack(states).items()}
    update = optimiser(list(parameters.values()), recipe)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    steps, shape = steps_of(recipe, len(labels)), batches.shared.input_shape
    for step, order in enumerate(batch_indices(recipe, len(labels), seeds)):
        index = order.to(device)
        inputs = batches.batch(slice(0, batches.arms), index, generators)
        inputs = inputs.view(*index.shape, *shape)
        detached = {name: value.detach() for name, value in parameters.items()}
        for name, gradient in _gradients(module, detached, inputs, labels[index]).items():
            parameters[name].grad = gradient
        update.param_groups[0]["lr"] = learning_rate(recipe, step, steps)
        update.step()
    return {name: value.detach() for name, value in parameters.items()}


@torch.no_grad()
def score_stacked(module: nn.Module, state: Mapping[str, Tensor], batches: Batches) -> Tensor:
    """Return logits (arms, examples, classes) of the stacked states on their own inputs."""
    module.eval()
    shape = batches.shared.input_shape
    everything = torch.arange(len(batches.shared), device=batches.shared.inputs.device)

    def forward(one: dict[str, Tensor], x: Tensor) -> Tensor:
        logits: Tensor = functional_call(module, one, (x,))
        return logits

    logits = []
    for part in everything.split(PREDICTION_BATCH):
        inputs = batches.batch(slice(0, batches.arms), part.expand(batches.arms, -1), ())
        inputs = inputs.view(batches.arms, len(part), *shape)
        logits.append(vmap(forward)(dict(state), inputs))
    return torch.cat(logits, 1)
