"""What every protocol is given: data on a device, a fitted removal, and how models are trained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

from uproar.dataset import Data, Split
from uproar.models.learner import Fitted, Learner
from uproar.models.scoring import example_scores
from uproar.models.training.batches import Batches, RemovedByRank, SharedInputs
from uproar.protocols.ranks import Ranks
from uproar.remove.removal import Imputer, Removal
from uproar.types import Recipe

# Of each fraction, repeat and test example: whether it is classified correctly, or its share of R².
Scores = (
    Bool[np.ndarray, "fractions repeats examples"] | Float[np.ndarray, "fractions repeats examples"]
)


@dataclass(frozen=True)
class Experiment:
    """One data set under one removal, and the model that is trained on it again and again."""

    train: SharedInputs
    test: SharedInputs
    train_labels: Int[Tensor, "train_examples"] | Float[Tensor, "train_examples"]
    test_labels: Int[Tensor, "test_examples"] | Float[Tensor, "test_examples"]
    learner: Learner
    recipe: Recipe

    def fit(self, batches: Batches, seeds: Sequence[int], recipe: Recipe | None = None) -> Fitted:
        """Train one model per arm."""
        return self.learner.fit(
            batches, self.train_labels, seeds=seeds, recipe=recipe or self.recipe
        )

    def scores(
        self, fitted: Fitted, batches: Batches
    ) -> Bool[np.ndarray, "arms examples"] | Float[np.ndarray, "arms examples"]:
        """Return every arm's scores on the test examples: right or wrong, or shares of R²."""
        return example_scores(self.learner.outputs(fitted, batches), self.test_labels)


def arms(
    shared: SharedInputs, ranks: Ranks, fractions: Sequence[float], *, keep: bool = False
) -> RemovedByRank:
    """Return one arm per fraction, which removes that share of each example's features.

    The most important are removed; with ``keep`` they are what stays.
    """
    order = ranks.reversed() if keep else ranks
    flat = order.values.reshape(len(order.values), -1)
    if flat.dtype != np.uint8:
        # torch computes with few unsigned types: the next signed one, without a copy if possible.
        fits = flat.shape[1] <= np.iinfo(np.int16).max
        flat = flat.view(np.int16) if fits and flat.dtype == np.uint16 else flat.astype(np.int32)
    if not flat.flags.writeable:
        flat = flat.copy()  # stored ranks are read-only, which torch has no notion of
    gone = ranks.removed(fractions, keep=keep)
    device = shared.inputs.device
    if any(isinstance(number, Tensor) for number in gone):
        number_of = torch.stack([torch.as_tensor(number) for number in gone]).to(device)
        return RemovedByRank(shared, torch.from_numpy(flat).to(device), number_of)
    whole = tuple(int(number) for number in gone)
    return RemovedByRank(shared, torch.from_numpy(flat).to(device), whole)


def prepare(
    data: Data,
    removal: Removal,
    *,
    learner: Learner,
    recipe: Recipe,
    device: torch.device,
    generator: np.random.Generator,
) -> Experiment:
    """Put a data set and what its removal fills in on a device, once for all arms.

    :param removal: fitted on the training inputs.
    :param generator: draws what the removal draws, for train and test, once per example.
    """
    values = math.prod(data.input_shape)

    def shared(split: Split) -> SharedInputs:
        present = data.present(split)
        return SharedInputs(
            inputs=torch.from_numpy(split.inputs.reshape(len(split), values)).to(device),
            fill=torch.zeros(1, values),
            features=data.features,
            input_shape=data.input_shape,
            groups=_tensor(data.feature_of_value, device),
            present=None if present is None else _tensor(present.reshape(len(split), -1), device),
        )

    experiment = Experiment(
        train=shared(data.train),
        test=shared(data.test),
        train_labels=torch.from_numpy(data.train.labels).to(device),
        test_labels=torch.from_numpy(data.test.labels).to(device),
        learner=learner,
        recipe=recipe,
    )
    return refilled(experiment, data, removal, generator=generator)


def refilled(
    experiment: Experiment, data: Data, removal: Removal, *, generator: np.random.Generator
) -> Experiment:
    """Return the experiment under another removal; both share the inputs."""

    def filled(shared: SharedInputs, split: Split) -> SharedInputs:
        fill = removal.values(split.inputs, generator)
        impute = removal.impute if isinstance(removal, Imputer) else None
        flat = torch.from_numpy(fill.reshape(len(fill), -1)).to(shared.inputs.device)
        return replace(shared, fill=flat, impute=impute)

    return replace(
        experiment,
        train=filled(experiment.train, data.train),
        test=filled(experiment.test, data.test),
    )


def _tensor(array: NDArray[np.generic] | None, device: torch.device) -> Tensor | None:
    return None if array is None else torch.from_numpy(array).to(device)
