"""One arm after another: for what does not vectorise, or loses by it (convolutions on a CPU)."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext

import joblib
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uproar.models.randomness import draws_random_numbers, seeded
from uproar.models.training.batches import Batches
from uproar.models.training.loss import mean_loss
from uproar.models.training.optimisers import module_optimiser, set_rate
from uproar.models.training.schedule import (
    batch_indices,
    learning_rate,
    prediction_batches,
    smallest_batch,
    steps_of,
)
from uproar.types import Recipe


def fit_sequential(
    module: nn.Module,
    states: Sequence[Mapping[str, Tensor]],
    batches: Batches,
    labels: Tensor,
    *,
    recipe: Recipe,
    seeds: Sequence[int],
) -> dict[str, Tensor]:
    """Train one copy of the module per arm: in single-thread processes on a CPU, in turn on a GPU.

    ``states`` holds the initial weights and ``seeds`` the data order of each arm. Returns the
    stacked states, (arms, …) for each parameter and buffer. Processes, because each has its own
    interpreter lock and its own random state, which dropout draws from. They share the data:
    joblib maps arrays into their memory, copied only where written to, which nothing does.
    """
    on_cpu = labels.device.type == "cpu"
    processes = min(os.cpu_count() or 1, batches.arms) if on_cpu else 1
    shared = labels.numpy() if on_cpu else labels
    jobs = (
        joblib.delayed(fit_one)(module, states[arm], batches, shared, arm, recipe, seeds[arm])
        for arm in range(batches.arms)
    )
    trained = joblib.Parallel(n_jobs=processes, mmap_mode="c")(jobs)
    return {name: torch.stack([state[name] for state in trained]) for name in trained[0]}


def fit_one(
    module: nn.Module,
    state: Mapping[str, Tensor],
    batches: Batches,
    labels: Tensor | NDArray[np.generic],
    arm: int,
    recipe: Recipe,
    seed: int,
) -> dict[str, Tensor]:
    """Train a copy of the module from ``state`` on the inputs of one arm and return its state."""
    wanted = torch.as_tensor(labels)
    # A copy for each arm, because a state may not hold all that a module changes.
    own = copy.deepcopy(module)
    own.load_state_dict(dict(state))
    own.to(wanted.device).train()
    few = torch.arange(min(2, len(wanted)), device=wanted.device)
    sample = _inputs(batches, arm, few, [torch.Generator().manual_seed(0)])
    draws = draws_random_numbers(own, sample)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with seeded(seed, wanted.device) if draws else nullcontext():
            _train(own, batches, wanted, arm, recipe, seed)
    finally:
        torch.set_num_threads(threads)
    return {name: value.detach().clone() for name, value in own.state_dict().items()}


def _train(
    module: nn.Module, batches: Batches, labels: Tensor, arm: int, recipe: Recipe, seed: int
) -> None:
    parameters = {n: v for n, v in module.named_parameters() if v.requires_grad}
    update = module_optimiser(module, parameters, recipe)
    generators = [torch.Generator().manual_seed(seed)]
    smallest = smallest_batch(module)
    steps = steps_of(recipe, len(labels), smallest)
    for step, order in enumerate(batch_indices(recipe, len(labels), [seed], smallest)):
        index = order[0].to(labels.device)
        inputs = _inputs(batches, arm, index, generators)
        loss = mean_loss(module(inputs), labels[index], recipe)
        update.zero_grad()
        loss.backward()
        set_rate(update, learning_rate(recipe, step, steps))
        update.step()


def _inputs(
    batches: Batches, arm: int, examples: Tensor, generators: Sequence[torch.Generator]
) -> Tensor:
    """Return inputs of one arm, (batch, *input_shape)."""
    flat = batches.batch(slice(arm, arm + 1), examples[None], generators)
    return flat.view(len(examples), *batches.shared.input_shape)


@torch.no_grad()
def score_sequential(module: nn.Module, state: Mapping[str, Tensor], batches: Batches) -> Tensor:
    """Return outputs (arms, examples, outputs) of the stacked states on their own inputs."""
    module = copy.deepcopy(module).eval()
    inputs = batches.shared.inputs
    parts = list(prediction_batches(len(inputs), inputs.shape[1], inputs.device))
    arms = []
    for arm in range(batches.arms):
        # Not functional_call, which refuses parameters that go by two names.
        module.load_state_dict({name: value[arm] for name, value in state.items()})
        arms.append(torch.cat([module(_inputs(batches, arm, part, ())) for part in parts]))
    return torch.stack(arms)
