"""Many arms in one vectorised computation: parameters and buffers stacked, trained under vmap."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor, nn

from uproar.models.randomness import draws_random_numbers, seeded
from uproar.models.training.batches import Batches
from uproar.models.training.footprint import footprint
from uproar.models.training.optimisers import module_optimiser, set_rate
from uproar.models.training.schedule import (
    batch_indices,
    learning_rate,
    prediction_batches,
    smallest_batch,
    steps_of,
)
from uproar.models.training.vectorised import Names, Stacked, State, gradients, outputs
from uproar.types import Recipe

# What the arms that are trained at once may take: a property of the machine would make results
# depend on it, because the size of a group changes how sums are rounded.
CPU_BYTES = 512 * 2**20
GPU_BYTES = 4 * 2**30


def refusal(module: nn.Module, inputs: Tensor, labels: Tensor) -> str | None:
    """Return why ``vmap`` cannot train the module, or None when it can.

    ``inputs`` and ``labels`` are a sample of at least two examples, which two copies of the module
    are trained on for a step and answer.
    """
    if any(isinstance(part, nn.RNNBase) for part in module.modules()):
        return "vmap has no vectorised form of recurrent layers"
    momenta = (getattr(part, "momentum", 0.1) for part in module.modules() if _counts(part))
    if any(momentum is None for momentum in momenta):
        return "batch normalisation with momentum=None counts its batches in Python"
    probe = copy.deepcopy(module).train()
    names = Names.of(probe)
    states = Stacked.of([probe.state_dict()] * 2, names)
    pair = inputs.expand(2, *inputs.shape), labels.expand(2, *labels.shape)
    try:
        with warnings.catch_warnings(), seeded(0, inputs.device):
            # torch runs what it cannot vectorise one arm at a time, and only warns of it.
            warnings.filterwarnings("error", "There is a performance drop", UserWarning)
            gradients(probe, names, states, *pair, Recipe())
            outputs(probe.eval(), names, states.whole, pair[0])
    except UserWarning as warning:
        operation = str(warning).partition("batching rule for ")[2].partition(". ")[0]
        return f"vmap has no vectorised form of {operation}"
    except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
        first_line = str(error).partition("\n")[0]
        return f"vmap raises {type(error).__name__}: {first_line}"
    return None


def _counts(part: nn.Module) -> bool:
    return isinstance(part, nn.modules.batchnorm._BatchNorm) and part.track_running_stats


def fit_stacked(
    module: nn.Module,
    states: Sequence[Mapping[str, Tensor]],
    batches: Batches,
    labels: Tensor,
    *,
    recipe: Recipe,
    seeds: Sequence[int],
) -> State:
    """Train one copy of the module per arm, groups of arms in one vectorised computation.

    ``states`` holds the initial weights and ``seeds`` the data order of each arm. Returns the
    stacked states, (arms, …) for each parameter and buffer.

    A module that draws random numbers is trained by the arms of one seed at a time, which share
    their draws; repeats have draws of their own. On a CPU, dropout of contiguous activations then
    draws what it draws in :func:`uproar.models.training.sequential.fit_sequential`, and results
    agree but for rounding; elsewhere (on a GPU, or where activations lie otherwise in memory) the
    draws are others, and depend on the seed alone as well.
    """
    module = copy.deepcopy(module).to(labels.device).train()
    sample = _sample(batches)
    draws = draws_random_numbers(module, sample)
    size = arms_at_once(module, sample, recipe.batch_size)
    arms, parts = list[int](), list[State]()
    for group in groups(seeds, size, by_seed=draws):
        context = seeded(seeds[group[0]], labels.device) if draws else nullcontext()
        with context:
            parts.append(_fit_group(module, states, batches, labels, group, recipe, seeds))
        arms += group
    stacked = {name: torch.cat([part.pop(name) for part in parts]) for name in list(parts[0])}
    if arms != sorted(arms):
        place = torch.tensor(arms, device=labels.device).argsort()
        stacked = {name: value[place] for name, value in stacked.items()}
    return {name: stacked[first] for name, first in Names.of(module).aliases.items()}


def _fit_group(
    module: nn.Module,
    states: Sequence[Mapping[str, Tensor]],
    batches: Batches,
    labels: Tensor,
    group: Sequence[int],
    recipe: Recipe,
    seeds: Sequence[int],
) -> State:
    names, smallest = Names.of(module), smallest_batch(module)
    own = [{n: v.to(labels.device) for n, v in states[arm].items()} for arm in group]
    stacked = Stacked.of(own, names)
    update = module_optimiser(module, stacked.trained, recipe)
    seeds_of_group = [seeds[arm] for arm in group]
    generators = [torch.Generator().manual_seed(seed) for seed in seeds_of_group]
    steps = steps_of(recipe, len(labels), smallest)
    orders = batch_indices(recipe, len(labels), seeds_of_group, smallest)
    for step, order in enumerate(orders):
        index = order.to(labels.device)
        inputs = _inputs(batches, group, index, generators)
        slopes, buffers = gradients(module, names, stacked, inputs, labels[index], recipe)
        for name, slope in slopes.items():
            stacked.trained[name].grad = slope
        stacked = replace(stacked, buffers=buffers)
        set_rate(update, learning_rate(recipe, step, steps))
        update.step()
    return {name: value.detach() for name, value in stacked.whole.items()}


def arms_at_once(module: nn.Module, inputs: Tensor, batch_size: int) -> int:
    """Return how many arms are trained at once, from the bytes that each takes."""
    budget = GPU_BYTES if inputs.device.type == "cuda" else CPU_BYTES
    return max(1, budget // footprint(module, inputs, batch_size))


def groups(seeds: Sequence[int], size: int, *, by_seed: bool) -> Iterator[list[int]]:
    """Cut the arms into groups of about equal sizes, at most ``size``; on request of one seed.

    >>> list(groups([7, 7, 7, 8], 2, by_seed=True))
    [[0], [1, 2], [3]]
    """
    together = [
        [arm for arm, own in enumerate(seeds) if not by_seed or own == seed]
        for seed in (dict.fromkeys(seeds) if by_seed else [None])
    ]
    for arms in together:
        count = -(-len(arms) // size)
        cuts = [len(arms) * part // count for part in range(count + 1)]
        yield from (arms[start:stop] for start, stop in pairwise(cuts))


def _inputs(
    batches: Batches, arms: Sequence[int], index: Tensor, generators: Sequence[torch.Generator]
) -> Tensor:
    """Return the inputs of these arms, (arms, batch, *input_shape)."""
    cuts = [0, *(i for i in range(1, len(arms)) if arms[i] != arms[i - 1] + 1), len(arms)]
    runs = [
        batches.batch(slice(arms[a], arms[b - 1] + 1), index[a:b], generators[a:b])
        for a, b in pairwise(cuts)
    ]
    whole = runs[0] if len(runs) == 1 else torch.cat(runs)
    return whole.view(*index.shape, *batches.shared.input_shape)


def _sample(batches: Batches) -> Tensor:
    """Return the first two inputs of the first arm, for a look and not for training."""
    shared = batches.shared
    index = torch.arange(min(2, len(shared)), device=shared.inputs.device)[None]
    return _inputs(batches, [0], index, [torch.Generator().manual_seed(0)])[0]


def score_stacked(module: nn.Module, state: Mapping[str, Tensor], batches: Batches) -> Tensor:
    """Return outputs (arms, examples, outputs) of the stacked states on their own inputs."""
    module = copy.deepcopy(module).eval()
    device = batches.shared.inputs.device
    parts = list(prediction_batches(len(batches.shared), batches.shared.inputs.shape[1], device))
    names = Names.of(module)
    wanted = (*names.trained, *names.frozen, *names.buffers)
    size = arms_at_once(module, _sample(batches), len(parts[0]))
    answers = []
    for group in groups([0] * batches.arms, size, by_seed=False):
        own = {name: state[name][group[0] : group[-1] + 1] for name in wanted}
        chunks = [
            outputs(module, names, own, _inputs(batches, group, part.expand(len(group), -1), ()))
            for part in parts
        ]
        answers.append(torch.cat(chunks, 1))
    return torch.cat(answers)
