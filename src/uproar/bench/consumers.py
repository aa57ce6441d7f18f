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
from uproar.ranking import rank

Part = Literal["train", "test"]
EXPLAINED: tuple[Part, ...] = ("train", "test")


class Consumer(Protocol):
    """Takes what one explainer says of a block of examples; every example comes once."""

    def take(self, part: Part, block: slice, explanation: Explanation) -> None:
        """Use the importance of a block; it is gone when this returns."""


@dataclass(frozen=True)
class RankedExplanation:
    """What one explainer says of all examples: ranks, what is kept of its importance, its cost.

    ``kept`` is the importance of the examples that were asked for. ``passes`` is how many times an
    example went through the model: a training or test example, or of an explanation of the
    function a held-out one, whose ``function`` is what was measured.
    """

    train: NDArray[np.unsignedinteger]
    test: NDArray[np.unsignedinteger]
    kept: NDArray[np.float32]
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

    def __init__(self, data: Data) -> None:
        self._data = data
        smallest = np.min_scalar_type(max(data.features - 1, 0))
        self.ranks: dict[Part, NDArray[np.unsignedinteger]] = {
            part: np.empty((len(getattr(data, part)), *data.feature_shape), smallest)
            for part in EXPLAINED
        }

    def take(self, part: Part, block: slice, explanation: Explanation) -> None:
        """Rank a block."""
        split: Split = getattr(self._data, part)
        self.ranks[part][block] = ranked(explanation.importance, self._data, split, block)


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
    importance: NDArray[np.float32], data: Data, split: Split, block: slice = slice(None)
) -> NDArray[np.unsignedinteger]:
    """Rank the features of a block; those that an example lacks come behind all others."""
    present = data.present(Split(split.inputs[block], split.labels[block]))
    return rank(importance if present is None else np.where(present, importance, -np.inf))
