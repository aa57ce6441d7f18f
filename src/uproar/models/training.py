"""Train and apply whole groups of models: the one door to the ways of doing it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from uproar.models.batches import Batches
from uproar.models.dense import dense_layers, fit_dense, score_dense
from uproar.models.least_squares import fit_least_squares
from uproar.models.sequential import fit_sequential, score_sequential
from uproar.models.stacked import fit_stacked, refusal, score_stacked
from uproar.types import Recipe, UproarError

Way = Literal["dense", "stacked", "sequential"]
Factory = Callable[[], nn.Module]

_GLOBAL_RANDOM_STATE = threading.Lock()


def initialise(factory: Factory, seed: int) -> nn.Module:
    """Return a new module whose initial weights depend on ``seed`` alone.

    Modules draw their weights from torch's global generator, so that one is seeded for the
    moment, under a lock, and put back.
    """
    with _GLOBAL_RANDOM_STATE, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = factory()
    if not isinstance(module, nn.Module):
        raise UproarError(
            f"the model factory must return a torch.nn.Module, got {type(module).__name__}"
        )
    return module


def choose_way(factory: Factory, sample: Float[Tensor, "examples *shape"]) -> tuple[Way, str]:
    """Return how groups of this model are trained fastest on the sample's device, and why."""
    module = initialise(factory, 0).to(sample.device)
    if _is_dense(module, sample):
        return "dense", "a stack of dense layers: one parameter buffer, backward written out"
    convolutions = [m for m in module.modules() if isinstance(m, nn.modules.conv._ConvNd)]
    if convolutions and sample.device.type == "cpu":
        return "sequential", "convolutions do not gain from stacking on a CPU"
    reason = refusal(module, sample[:2])
    if reason is not None:
        return "sequential", f"cannot be stacked: {reason}"
    return "stacked", "parameters stacked and trained under vmap"


def check_fits(factory: Factory, sample: Float[Tensor, "examples *shape"], classes: int) -> None:
    """Refuse a model that cannot take the inputs, or does not answer with logits.

    :raises UproarError: with what it did instead.
    """
    module = initialise(factory, 0).to(sample.device).eval()
    try:
        with torch.no_grad():
            logits = module(sample)
    # Whatever a module of somebody else raises, it does so because it was given these inputs.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise UproarError(
            f"the model does not accept inputs of shape {tuple(sample.shape)}: "
            f"{type(error).__name__}: {reason}"
        ) from error
    wanted = (len(sample), classes)
    if not isinstance(logits, Tensor) or tuple(logits.shape) != wanted:
        got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise UproarError(
            f"the model must return logits of shape {wanted}, one per class, for inputs of shape "
            f"{tuple(sample.shape)}, got {got}"
        )


def check_way(way: Way, factory: Factory, sample: Float[Tensor, "examples *shape"]) -> None:
    """Refuse a way of training that was asked for and that the model cannot be trained in.

    :raises UproarError: with the reason.
    """
    module = initialise(factory, 0).to(sample.device)
    if way == "dense" and not _is_dense(module, sample):
        raise UproarError(
            "training 'dense' needs a torch.nn.Sequential of Flatten, Linear and ReLU layers "
            "alone; use 'auto'"
        )
    reason = refusal(module, sample) if way == "stacked" else None
    if reason is not None:
        raise UproarError(f"training 'stacked' is not possible: {reason}; use 'auto'")


def _is_dense(module: nn.Module, sample: Tensor) -> bool:
    """Say whether the module is a dense stack on flattened inputs."""
    named = dense_layers(module)
    if named is None or named[0][1].in_features != sample[0].numel():
        return False
    first = next(iter(module.children()))
    flattens = isinstance(first, nn.Flatten) and (first.start_dim, first.end_dim) == (1, -1)
    return flattens or sample.ndim == 2


def fit_many(
    factory: Factory,
    batches: Batches,
    labels: Int[Tensor, "examples"],
    *,
    recipe: Recipe,
    seeds: Sequence[int],
    way: Way,
) -> dict[str, Tensor]:
    """Train one model per arm, from scratch, and return their states stacked.

    Arm e minimises the cross-entropy on ``batches.batch(e, ·)``; ``seeds[e]`` fixes its initial
    weights and the order of the data, so that arms of equal seed differ in their inputs alone.

    :param batches: degraded inputs, (examples, values) for each arm, made batch by batch.
    :param labels: class of every example, int64.
    :returns: for every parameter and buffer a tensor (arms, …).
    :raises UproarError: when the factory does not return a module, or the recipe does not fit it.
    """
    by_seed = {seed: initialise(factory, seed).to(labels.device) for seed in sorted(set(seeds))}
    module = by_seed[seeds[0]]
    if recipe.optimiser == "least-squares":
        return fit_least_squares(module, batches, labels, seeds=seeds)
    states = [{n: v.clone() for n, v in by_seed[seed].state_dict().items()} for seed in seeds]
    fit = {"dense": fit_dense, "stacked": fit_stacked, "sequential": fit_sequential}[way]
    return fit(module, states, batches, labels, recipe=recipe, seeds=seeds)


def predict_many(
    factory: Factory, state: Mapping[str, Tensor], batches: Batches, *, way: Way
) -> Int[Tensor, "arms examples"]:
    """Return the class that every arm's model predicts for every example of its own inputs.

    :param state: what :func:`fit_many` returned.
    """
    score = {"dense": score_dense, "stacked": score_stacked, "sequential": score_sequential}[way]
    module = initialise(factory, 0).to(batches.shared.inputs.device)
    return score(module, state, batches).argmax(2)
