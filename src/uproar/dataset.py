"""A data set as everything else sees it: arrays, and what is known of them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uproar.types import Kind, Task

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """Examples of one split.

    ``inputs`` (examples, *input_shape) are float32, or int64 token ids for text; ``labels``
    (examples,) are int64 classes, or float32 values for regression.
    """

    inputs: NDArray[np.float32] | NDArray[np.int64]
    labels: NDArray[np.int64] | NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of a text data set, by id. Those in ``special`` are never features.

    ``pad`` fills short examples up, ``unknown`` stands for words that train lacks, and ``mask``
    for tokens that were removed.
    """

    tokens: tuple[str, ...]
    pad: int = 0
    unknown: int = 1
    mask: int = 2
    special: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Data:
    """A data set: three splits and what is known of their inputs.

    ``feature_shape`` says what can be removed: (height, width) for images, whose inputs are
    (channels, height, width) and lose all channels of a pixel at once; (columns,) for tables;
    (time,) or (channels, time) for series, whose inputs are (channels, time); (length,) for text.
    Where a feature holds other values than those (a patch of pixels, a one-hot group of columns),
    ``feature_of_value`` has the feature of every value of a flattened input.

    Without ``class_names`` the task is regression: labels are then (label - ``label_centre``) /
    ``label_scale``, with centre and scale from train. ``value_range`` is the range that the inputs
    can take, known for images only. ``known_importance`` holds known answers by name: the
    importance of every feature of train and of test, (examples, *feature_shape). ``test_texts``
    is what people read of the test examples, before encoding: the values of a table, (examples,
    columns), or the words of texts, (examples, length).
    ``notes`` is what reading the data has to tell, a line each.
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
    known_importance: Mapping[str, tuple[NDArray[np.float32], NDArray[np.float32]]] = field(
        default_factory=dict, repr=False
    )
    feature_of_value: NDArray[np.int64] | None = field(default=None, repr=False)
    vocabulary: Vocabulary | None = field(default=None, repr=False)
    label_centre: float = 0.0
    label_scale: float = 1.0
    test_texts: NDArray[np.str_] | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()

    @property
    def task(self) -> Task:
        """Whether labels are classes or values."""
        return "classification" if self.class_names else "regression"

    @property
    def outputs(self) -> int:
        """Number of values that a model answers with: one for each class, or the value itself."""
        return len(self.class_names) or 1

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return self.train.inputs.shape[1:]

    @property
    def features(self) -> int:
        """Number of features of one example."""
        return math.prod(self.feature_shape)

    @property
    def channels(self) -> int:
        """Number of values that one feature holds; 1 where inputs have no channel axis."""
        return math.prod(self.input_shape) // self.features

    def present(self, split: Split) -> NDArray[np.bool_] | None:
        """Return which features examples have, (examples, *feature_shape); None for all of them.

        Examples of text end where their tokens do: what fills them up can neither be ranked nor
        removed, and a fraction is one of the example's own tokens.
        """
        if self.vocabulary is None:
            return None
        return ~np.isin(split.inputs, self.vocabulary.special)

    @property
    def majority_rate(self) -> float:
        """Test score of always giving the best answer of train: what a model has to surpass.

        The accuracy of the most frequent class, or the R² of the mean.
        """
        return float(self.majority_scores.mean(dtype=np.float64))

    @property
    def majority_scores(self) -> NDArray[np.bool_] | NDArray[np.float64]:
        """Every test example's part of :attr:`majority_rate`."""
        test = self.test.labels
        if self.task == "classification":
            majority = np.bincount(self.train.labels, minlength=len(self.class_names)).argmax()
            return np.asarray(test == majority)
        errors = np.square(test.astype(np.float64) - self.train.labels.mean(dtype=np.float64))
        return np.asarray(1 - errors / test.var(dtype=np.float64))

    def digest(self) -> str:
        """Hash of all values, so that results of other data are never mistaken for these."""
        about = (self.feature_shape, self.class_names, self.label_centre, self.label_scale)
        digest = hashlib.sha256(repr((*about, self.vocabulary)).encode())
        arrays = [a for s in (self.train, self.validation, self.test) for a in (s.inputs, s.labels)]
        arrays += [values for pair in self.known_importance.values() for values in pair]
        if self.feature_of_value is not None:
            arrays.append(self.feature_of_value)
        for array in arrays:
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            # Viewed, not copied: images take gigabytes.
            digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        return digest.hexdigest()[:16]


def label_text(label: Any, class_names: Sequence[str], centre: float, scale: float) -> str:
    """Return what people read of a label: the class name, or the value in original units.

    >>> label_text(1, ("no", "yes"), 0.0, 1.0), label_text(1.5, (), 10.0, 2.0)
    ('yes', '13')
    """
    return class_names[int(label)] if class_names else f"{float(label) * scale + centre:.4g}"
