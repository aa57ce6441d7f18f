"""What every protocol is given: data on a device, a fitted removal, and how models are trained."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Int, UInt
from numpy.typing import NDArray
from torch import Tensor

from uproar.models.batches import Batches, Ranked, SharedInputs
from uproar.models.training import Factory, Way, fit_many, predict_many
from uproar.ranking import count
from uproar.types import Data, Recipe, Split


@runtime_checkable
class Removal(Protocol):
    """A removal, fitted on training data, that replaces values by others."""

    def values(
        self, inputs: NDArray[np.float32], generator: np.random.Generator
    ) -> NDArray[np.float32]:
        """Return what stands in for every value, (1 or examples, *input_shape)."""
        ...


@dataclass(frozen=True)
class Ranking:
    """Ranks of the features of every train and test example, 0 for the most important."""

    train: UInt[np.ndarray, "train_examples *features"]
    test: UInt[np.ndarray, "test_examples *features"]

    def reversed(self) -> Ranking:
        """Return the ranking with the least important feature first."""
        return Ranking(*(ranks.dtype.type(ranks[0].size - 1) - ranks for ranks in self.parts))

    @property
    def parts(self) -> tuple[NDArray[np.unsignedinteger], NDArray[np.unsignedinteger]]:
        """The ranks of train and of test."""
        return self.train, self.test


@dataclass(frozen=True)
class Setting:
    """One data set under one removal, and the model that is trained on it again and again."""

    train: SharedInputs
    test: SharedInputs
    train_labels: Int[Tensor, "train_examples"]
    test_labels: Int[Tensor, "test_examples"]
    factory: Factory
    recipe: Recipe
    way: Way

    def fit(
        self, batches: Batches, seeds: Sequence[int], recipe: Recipe | None = None
    ) -> dict[str, Tensor]:
        """Train one model per arm and return their stacked states."""
        return fit_many(
            self.factory,
            batches,
            self.train_labels,
            recipe=recipe or self.recipe,
            seeds=seeds,
            way=self.way,
        )

    def correct(
        self, state: Mapping[str, Tensor], batches: Batches
    ) -> Bool[np.ndarray, "arms examples"]:
        """Return which test examples every arm's model classifies correctly."""
        predicted = predict_many(self.factory, state, batches, way=self.way)
        correct: NDArray[np.bool_] = (predicted == self.test_labels).cpu().numpy()
        return correct


def arms(shared: SharedInputs, ranks: NDArray[np.unsignedinteger], counts: Sequence[int]) -> Ranked:
    """Return one arm per count, which removes that many features of the smallest ranks."""
    flat = ranks.reshape(len(ranks), -1)
    # torch computes with few unsigned types; ranks beyond 8 bits move to the next signed one.
    narrow = flat if flat.dtype == np.uint8 else flat.astype(np.int32)
    # A copy, because stored ranks are read-only, which torch has no notion of.
    tensor = torch.tensor(narrow, device=shared.inputs.device)
    return Ranked(shared, tensor, tuple(counts))


def counts_of(fractions: Sequence[float], features: int) -> list[int]:
    """Return the exact number of features that each fraction means."""
    return [count(fraction, features) for fraction in fractions]


def prepare(
    data: Data,
    removal: Removal,
    *,
    factory: Factory,
    recipe: Recipe,
    way: Way,
    device: torch.device,
    generator: np.random.Generator,
) -> Setting:
    """Put a data set and what its removal fills in on a device, once for all arms.

    :param removal: fitted on the training inputs.
    :param generator: draws what the removal draws, for train and test, once per example.
    """

    def shared(split: Split) -> SharedInputs:
        values = len(split), math.prod(data.input_shape)
        fill = removal.values(split.inputs, generator)
        return SharedInputs(
            torch.from_numpy(split.inputs.reshape(values)).to(device),
            torch.from_numpy(fill.reshape(len(fill), -1)).to(device),
            data.features,
            data.input_shape,
        )

    return Setting(
        train=shared(data.train),
        test=shared(data.test),
        train_labels=torch.from_numpy(data.train.labels).to(device),
        test_labels=torch.from_numpy(data.test.labels).to(device),
        factory=factory,
        recipe=recipe,
        way=way,
    )
