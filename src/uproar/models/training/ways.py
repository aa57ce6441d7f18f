"""Train and apply whole groups of torch modules: the one door to the ways of doing it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float, Int, Shaped
from numpy.typing import NDArray
from torch import Tensor, nn

from uproar.models.randomness import seeded
from uproar.models.training.batches import Batches
from uproar.models.training.dense import dense_layers, fit_dense, score_dense
from uproar.models.training.footprint import footprint
from uproar.models.training.least_squares import fit_least_squares
from uproar.models.training.sequential import fit_sequential, score_sequential
from uproar.models.training.stacked import fit_stacked, refusal, score_stacked
from uproar.types import Recipe, UproarError

Training = Literal["dense", "stacked", "sequential"]
Factory = Callable[[], nn.Module]
Labels = Int[Tensor, "examples"] | Float[Tensor, "examples"]

CPU = torch.device("cpu")
PLAIN = Recipe()
CACHE_BYTES = 4 * 2**20


def initialise(factory: Factory, seed: int) -> nn.Module:
    """Return a new module whose initial weights depend on ``seed`` alone.

    Modules draw their weights from torch's global generator, so that one is seeded for the
    moment, under a lock, and put back.
    """
    with seeded(seed, CPU):
        module = factory()
    if not isinstance(module, nn.Module):
        raise UproarError(
            f"the model factory must return a torch.nn.Module, got {type(module).__name__}"
        )
    return module


def choose_training(
    factory: Factory,
    sample: Shaped[Tensor, "examples *shape"],
    labels: Labels,
    recipe: Recipe = PLAIN,
) -> tuple[Training, str]:
    """Return how groups of this model are trained fastest on the sample's device, and why.

    On a CPU stacking pays where all that one arm computes in a batch stays in the cache.
    """
    module = initialise(factory, 0).to(sample.device)
    if _is_dense(module, sample):
        return "dense", "a stack of dense layers: one parameter buffer, backward written out"
    convolutions = [m for m in module.modules() if isinstance(m, nn.modules.conv._ConvNd)]
    if convolutions and sample.device.type == "cpu":
        return "sequential", "convolutions do not gain from stacking on a CPU"
    reason = refusal(module, sample[:2], labels[:2])
    if reason is not None:
        return "sequential", f"cannot be stacked: {reason}"
    size = footprint(module, sample[:2], recipe.batch_size)
    if sample.device.type == "cpu" and size > CACHE_BYTES:
        return "sequential", f"{size / 2**20:.0f} MB a batch and arm gain nothing from stacking"
    return "stacked", "parameters stacked and trained under vmap"


def check_training(
    training: str, factory: Factory, sample: Shaped[Tensor, "examples *shape"], labels: Labels
) -> None:
    """Refuse a way of training that was asked for and that the model cannot be trained in.

    :raises UproarError: with the reason.
    """
    module = initialise(factory, 0).to(sample.device)
    if training not in get_args(Training):
        raise UproarError(f"training {training!r} is no way to train a torch module; use 'auto'")
    if training == "dense" and not _is_dense(module, sample):
        raise UproarError(
            "training 'dense' needs a torch.nn.Sequential of Flatten, Linear and ReLU layers "
            "alone; use 'auto'"
        )
    reason = refusal(module, sample[:2], labels[:2]) if training == "stacked" else None
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
    labels: Labels,
    *,
    recipe: Recipe,
    seeds: Sequence[int],
    training: Training,
) -> dict[str, Tensor]:
    """Train one model per arm, from scratch, and return their states stacked.

    Arm e minimises the cross-entropy (or the squared error) on ``batches.batch(e, ·)``;
    ``seeds[e]`` fixes its initial weights and the order of the data, so that arms of equal seed
    differ in their inputs alone.

    :param batches: degraded inputs, (examples, values) for each arm, made batch by batch.
    :param labels: class of every example, int64; or its value, float32.
    :returns: for every parameter and buffer a tensor (arms, …).
    :raises UproarError: when the factory does not return a module, or the recipe does not fit it.
    """
    by_seed = {seed: initialise(factory, seed).to(labels.device) for seed in sorted(set(seeds))}
    module = by_seed[seeds[0]]
    if recipe.optimiser == "least-squares":
        return fit_least_squares(module, batches, labels, seeds=seeds)
    states = [{n: v.clone() for n, v in by_seed[seed].state_dict().items()} for seed in seeds]
    fit = {"dense": fit_dense, "stacked": fit_stacked, "sequential": fit_sequential}[training]
    return fit(module, states, batches, labels, recipe=recipe, seeds=seeds)


def score_many(
    factory: Factory, state: Mapping[str, Tensor], batches: Batches, *, training: Training
) -> Float[Tensor, "arms examples outputs"]:
    """Return what every arm's model answers to every example of its own inputs.

    :param state: what :func:`fit_many` returned.
    """
    score = {"dense": score_dense, "stacked": score_stacked, "sequential": score_sequential}[
        training
    ]
    module = initialise(factory, 0).to(batches.shared.inputs.device)
    return score(module, state, batches)


@dataclass(frozen=True)
class TorchLearner:
    """A torch module that is trained from scratch for every arm.

    :param factory: makes a new module with outputs (examples, outputs).
    """

    factory: Factory
    training: Training
    device: torch.device = CPU

    @property
    def parallel(self) -> bool:
        """Whether cells should run one after another."""
        return self.training == "sequential" or self.device.type != "cpu"

    def fit(
        self, batches: Batches, labels: Labels, *, seeds: Sequence[int], recipe: Recipe
    ) -> dict[str, Tensor]:
        """Train one module per arm; see :func:`fit_many`."""
        return fit_many(
            self.factory, batches, labels, recipe=recipe, seeds=seeds, training=self.training
        )

    def outputs(
        self, fitted: Mapping[str, Tensor], batches: Batches
    ) -> Float[Tensor, "arms examples outputs"]:
        """Return the outputs; see :func:`score_many`."""
        return score_many(self.factory, fitted, batches, training=self.training)

    def size(self, fitted: Mapping[str, Tensor]) -> int:
        """Return the number of arms in a stacked state."""
        return len(next(iter(fitted.values())))

    def repeated(self, fitted: Mapping[str, Tensor], times: int) -> dict[str, Tensor]:
        """Repeat every state ``times`` times."""
        return {name: value.repeat_interleave(times, 0) for name, value in fitted.items()}

    def predictor(self, fitted: Mapping[str, Tensor]) -> nn.Module:
        """Return the first module, its parameters frozen, in evaluation mode."""
        module = initialise(self.factory, 0).to(self.device)
        module.load_state_dict({name: value[0] for name, value in fitted.items()})
        return module.eval().requires_grad_(False)

    def untrained(
        self, batches: Batches, labels: Labels, *, seed: int, recipe: Recipe
    ) -> nn.Module:
        """Return a new module, its parameters frozen, in evaluation mode."""
        del batches, labels, recipe  # nothing is learned from them
        return initialise(self.factory, seed).to(self.device).eval().requires_grad_(False)

    def to_arrays(self, fitted: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
        """Return the stacked states as arrays."""
        return {name: value.cpu().numpy() for name, value in fitted.items()}

    def from_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
        """Restore stacked states; a copy, since stored arrays are read-only."""
        return {n: torch.from_numpy(a.copy()).to(self.device) for n, a in arrays.items()}
