"""Vocabulary and contracts that every other module speaks; imports neither torch nor pandas.

One polarity for masks in the whole package: ``removed`` is True where the information is gone.
Shares of features are called ``fraction`` and lie in [0, 1].
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["image", "table"]


class UproarError(Exception):
    """What a user can put right; the command line prints it as one line and exits with 2."""


class Skipped(UproarError):  # noqa: N818 - a skip is an outcome, not an error
    """A combination that cannot run, with its reason (guided backpropagation without ReLU)."""


@dataclass(frozen=True)
class Entry:
    """One line of a registry: what an object is, and where to find it when it is needed.

    Registries are tuples of entries, so that tables, help texts and plans need not import torch.
    ``path`` is ``package.module:object``. ``version`` is part of every stored result's key and is
    raised when the meaning of the object's numbers changes.
    """

    name: str
    summary: str
    path: str
    paper: str = ""
    needs: str = "nothing"
    direction: str = ""
    kind: str = ""
    signed: bool = False
    scope: Literal["local", "global", ""] = ""
    parameters: tuple[tuple[str, int | float | str], ...] = ()
    version: int = 1

    def load(self) -> Any:
        """Import and return the object."""
        module, _, attribute = self.path.partition(":")
        return getattr(importlib.import_module(module), attribute)


def find(name: str, registry: Sequence[Entry], what: str) -> Entry:
    """Return the entry called ``name``.

    Raises :class:`UproarError` that lists the close names, when there is none.

    >>> find("men", [Entry("mean", "the mean", "m:mean")], "removal")
    Traceback (most recent call last):
    uproar.types.UproarError: unknown removal 'men': did you mean 'mean'? Known: mean
    """
    for entry in registry:
        if entry.name == name:
            return entry
    raise UproarError(unknown(name, [entry.name for entry in registry], what))


def unknown(name: str, known: Iterable[str], what: str, *, listed: str = "") -> str:
    """Compose the message for an unknown name: the close ones, then all, or what is ``listed``."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f": did you mean {' or '.join(map(repr, close))}?" if close else "."
    return f"unknown {what} {name!r}{hint} Known: {listed or ', '.join(names)}"


@dataclass(frozen=True)
class Split:
    """Examples of one split: ``inputs`` (examples, *input_shape) float32, ``labels`` int64."""

    inputs: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Data:
    """A data set: three splits and what is known of their inputs.

    ``feature_shape`` says what can be removed: (height, width) for images, whose inputs are
    (channels, height, width) and lose all channels of a pixel at once; (columns,) for tables.
    ``value_range`` is the range that the inputs can take, known for images only.
    """

    name: str
    kind: Kind
    train: Split
    validation: Split
    test: Split
    feature_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    feature_names: tuple[str, ...] = ()
    value_range: tuple[float, float] | None = None
    known_rankings: tuple[tuple[str, tuple[int, ...]], ...] = field(default=(), repr=False)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return self.train.inputs.shape[1:]

    @property
    def channels(self) -> int:
        """Number of values that one feature holds; 1 where inputs have no channel axis."""
        return math.prod(self.input_shape) // self.features

    @property
    def features(self) -> int:
        """Number of features of one example."""
        return math.prod(self.feature_shape)

    @property
    def majority_rate(self) -> float:
        """Test accuracy of always answering the class that is most frequent in train."""
        majority = np.bincount(self.train.labels, minlength=len(self.class_names)).argmax()
        return float((self.test.labels == majority).mean())

    def digest(self) -> str:
        """Hash of all values, so that results of other data are never mistaken for these."""
        digest = hashlib.sha256(repr((self.feature_shape, self.class_names)).encode())
        for split in (self.train, self.validation, self.test):
            for array in (split.inputs, split.labels):
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Recipe:
    """How a model is trained, base model and retrainings alike."""

    optimiser: Literal["adam", "sgd", "least-squares"] = "adam"
    learning_rate: float = 5e-3
    schedule: Literal["cosine", "constant"] = "cosine"
    epochs: int = 15
    batch_size: int = 64
    weight_decay: float = 0.0
