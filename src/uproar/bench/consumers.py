"""What is made of explanations while they come in, block by block: ranks, and what is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from uproar.dataset import Data, Split
from uproar.explain.family import Explanation
from uproar.explain.importance import Importance
from uproar.ranking import drawn_lots, rank, ties
from uproar.seeding import seed_of

Part = Literal["train", "test"]
EXPLAINED: tuple[Part, ...] = ("train", "test")


class Consumer(Protocol):
    """Takes what one explainer says of a block of examples; every example comes once."""

    def take(self, part: Part, block: slice, explanation: Explanation) -> None:
        """Use the importance of a block; it is gone when this returns."""


@dataclass(frozen=True)
class RankedExplanation:
    """What one explainer says of all examples: ranks, what is kept of its importance, its cost.

    ``kept`` is the importance of the examples that were asked for, ``ties`` where test examples
    could only be cut between equal features (see :func:`uproar.ranking.ties`). ``passes`` is how
    many times an example went through the model: a training or test example, or of an explanation
    of the function a held-out one, whose ``function`` is what was measured.
    """

    train: NDArray[np.unsignedinteger]
    test: NDArray[np.unsignedinteger]
    kept: NDArray[np.float32]
    ties: NDArray[np.bool_]
    seconds: float = 0.0
    passes: float = 0.0
    function: Importance | None = None

    def digest(self) -> str:
        """Hash of the ranks: equal rankings share everything that depends on them alone."""
        whole = hashlib.sha256(np.ascontiguousarray(self.train).tobytes())
        whole.update(np.ascontiguousarray(self.test).tobytes())
        return whole.hexdigest()[:32]


class Ranker:
    """Ranks the features of every example: all that retraining needs of an explanation."""

    def __init__(self, data: Data, lots: int) -> None:
        self._data, self._lots = data, lots
        smallest = np.min_scalar_type(max(data.features - 1, 0))
        self.ranks: dict[Part, NDArray[np.unsignedinteger]] = {
            part: np.empty((len(getattr(data, part)), *data.feature_shape), smallest)
            for part in EXPLAINED
        }
        self.ties = np.zeros((len(data.test), max(data.features - 1, 0)), bool)

    def take(self, part: Part, block: slice, explanation: Explanation) -> None:
        """Rank a block."""
        ranks = ranked(explanation.importance, self._data, part, self._lots, block)
        self.ranks[part][block] = ranks
        if part == "test":
            self.ties[block] = ties(explanation.importance, ranks)


class Keeper:
    """Keeps the importance of some test examples: of all, it takes far more than the data do."""

    def __init__(self, data: Data, examples: Sequence[int]) -> None:
        self._examples = np.asarray(examples, dtype=np.int64)
        self.kept = np.zeros((len(examples), *data.feature_shape), np.float32)

    def take(self, part: Part, block: slice, explanation: Explanation) -> None:
        """Copy what the block has of the examples to keep."""
        if part != "test":
            return
        here = (self._examples >= block.start) & (self._examples < block.stop)
        self.kept[here] = explanation.importance[self._examples[here] - block.start]


class Meter:
    """Sums what explaining costs: seconds, and passes through the model for each example."""

    def __init__(self, data: Data) -> None:
        self._examples = len(data.train) + len(data.test)
        self.seconds = self.passes = 0.0

    def take(self, part: Part, block: slice, explanation: Explanation) -> None:  # noqa: ARG002
        """Add the cost of a block."""
        self.seconds += explanation.seconds
        self.passes += explanation.passes * len(explanation.importance) / self._examples


def ranked(
    importance: NDArray[np.float32],
    data: Data,
    part: Part,
    lots: int,
    block: slice | None = None,
) -> NDArray[np.unsignedinteger]:
    """Rank the features of a block; those that an example lacks come behind all others.

    :param lots: the seed by which ties are broken, alike for all explainers.
    """
    split: Split = getattr(data, part)
    block = slice(0, len(split)) if block is None else block
    present = data.present(Split(split.inputs[block], split.labels[block]))
    own = importance if present is None else np.where(present, importance, -np.inf)
    return rank(own, drawn_lots(seed_of(lots, part), block, data.feature_shape))
