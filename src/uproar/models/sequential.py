"""One arm after another: for what does not vectorise, or loses by it (convolutions on a CPU)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import joblib
import torch
from torch import Tensor, nn

from uproar.models.batches import Batches
from uproar.models.schedule import batch_indices, learning_rate, optimiser, steps_of
from uproar.types import Recipe

PREDICTION_BATCH = 1024


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
    interpreter lock and its own random state, which dropout draws from.
    """
    processes = min(os.cpu_count() or 1, batches.arms) if labels.device.type == "cpu" else 1
    jobs = (
        joblib.delayed(fit_one)(module, states[arm], batches, labels, arm, recipe, seeds[arm])
        for arm in range(batches.arms)
    )
    trained = joblib.Parallel(n_jobs=processes)(jobs)
    return {name: torch.stack([state[name] for state in trained]) for name in trained[0]}


def fit_one(
    module: nn.Module,
    state: Mapping[str, Tensor],
    batches: Batches,
    labels: Tensor,
    arm: int,
    recipe: Recipe,
    seed: int,
) -> dict[str, Tensor]:
    """Train the module from ``state`` on the inputs of one arm and return its state."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        try:
            return _fit_one(module, state, batches, labels, arm, recipe, seed)
        finally:
            torch.set_num_threads(threads)


def _fit_one(
    module: nn.Module,
    state: Mapping[str, Tensor],
    batches: Batches,
    labels: Tensor,
    arm: int,
    recipe: Recipe,
    seed: int,
) -> dict[str, Tensor]:
    module.load_state_dict(dict(state))
    module.to(labels.device).train()
    update = optimiser(list(module.parameters()), recipe)
    generators = [torch.Generator().manual_seed(seed)]
    steps, shape = steps_of(recipe, len(labels)), batches.shared.input_shape
    for step, order in enumerate(batch_indices(recipe, len(labels), [seed])):
        index = order.to(labels.device)
        inputs = batches.batch(slice(arm, arm + 1), index, generators)
        loss = nn.functional.cross_entropy(module(inputs.view(-1, *shape)), labels[index[0]])
        update.zero_grad()
        loss.backward()
        update.param_groups[0]["lr"] = learning_rate(recipe, step, steps)
        update.step()
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


@torch.no_grad()
def score_sequential(module: nn.Module, state: Mapping[str, Tensor], batches: Batches) -> Tensor:
    """Return logits (arms, examples, classes) of the stacked states on their own inputs."""
    module.eval()
    shape = batches.shared.input_shape
    everything = torch.arange(len(batches.shared), device=batches.shared.inputs.device)
    arms = []
    for arm in range(batches.arms):
        # Not functional_call, which refuses parameters that go by two names.
        module.load_state_dict({name: value[arm] for name, value in state.items()})
        parts = [
            module(batches.batch(slice(arm, arm + 1), part[None], ()).view(len(part), *shape))
            for part in everything.split(PREDICTION_BATCH)
        ]
        arms.append(torch.cat(parts))
    return torch.stack(arms)
