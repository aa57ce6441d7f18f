"""Bad input is refused in one line before anything is trained."""

from __future__ import annotations

import math
from collections.abc import Sized
from typing import Any

import numpy as np

from uproar.dataset import Data, Split
from uproar.types import UproarError


def check(data: Data) -> Data:
    """Return the data unchanged, or say what is wrong with them.

    :raises UproarError: when inputs have NaN or infinity or are all the same, labels do not match
        the inputs in length or are no classes, a class is missing from train, shapes differ
        between the splits, ``feature_shape`` is not the end of the input shape or
        ``feature_of_value`` does not cover it; when text has tokens that are not in its
        vocabulary, or an example without any; when values of a regression are missing, infinite
        or all the same.
    """
    for part in ("train", "validation", "test"):
        split = getattr(data, part)
        check_lengths(split.inputs, split.labels, part)
        if part != "validation" and not len(split.labels):
            raise UproarError(
                f"{part}: there are no examples; at least one of every class is needed"
            )
        _check_shapes(split, part, data)
        _check_values(split, part, data)
        _check_labels(split, part, data)
        if math.prod(data.feature_shape) < 2:
            raise UproarError(
                f"feature_shape {data.feature_shape} has fewer than 2 features to rank"
            )
    _check_groups(data)
    trained = np.unique(data.train.labels)
    for label, name in enumerate(data.class_names):
        if label not in trained:
            raise UproarError(
                f"class {name!r} (label {label}) has no example in train; every class needs some"
            )
    low, high = float(data.train.inputs.min()), float(data.train.inputs.max())
    if low == high:
        raise UproarError(f"all training inputs are {low:g}: nothing can be learned from constants")
    return data


def check_lengths(inputs: Any, labels: Sized, part: str) -> None:
    """Refuse a part with more labels than inputs, or fewer.

    :raises UproarError: when the lengths differ.
    """
    if len(inputs) != len(labels):
        raise UproarError(
            f"{part}: labels must match inputs in length, got {len(inputs)} inputs (shape "
            f"{inputs.shape}) and {len(labels)} labels"
        )


def _check_shapes(split: Split, part: str, data: Data) -> None:
    inputs = split.inputs
    if inputs.shape[1:] != data.input_shape:
        raise UproarError(
            f"{part}: one input has shape {inputs.shape[1:]}, in train it has {data.input_shape}"
        )
    ends = inputs.shape[1:][-len(data.feature_shape) :] == data.feature_shape
    if data.feature_of_value is None and not ends:
        raise UproarError(
            f"the shape of one input, {data.input_shape}, must end in feature_shape "
            f"{data.feature_shape}"
        )


def _check_groups(data: Data) -> None:
    """Refuse a ``feature_of_value`` that leaves a value or a feature out."""
    groups = data.feature_of_value
    if groups is None:
        return
    values = math.prod(data.input_shape)
    if groups.shape != (values,):
        raise UproarError(
            f"feature_of_value must have one feature for each of the {values} values of an input, "
            f"got shape {groups.shape}"
        )
    if not np.array_equal(np.unique(groups), np.arange(data.features)):
        raise UproarError(
            f"feature_of_value must have every feature from 0 to {data.features - 1}, got "
            f"{len(np.unique(groups))} from {int(groups.min())} to {int(groups.max())}"
        )


def _check_values(split: Split, part: str, data: Data) -> None:
    inputs = split.inputs
    if not inputs.size:
        return
    if data.vocabulary is not None:
        _check_tokens(split, part, data, len(data.vocabulary.tokens))
        return
    if inputs.dtype != np.float32:
        raise UproarError(f"{part}: inputs must be float32, got {inputs.dtype}")
    # NaN and infinity pass through the extremes; a mask of all values is made for bad data only.
    if np.isfinite([inputs.min(), inputs.max()]).all():
        return
    bad = ~np.isfinite(inputs)
    example = int(np.argwhere(bad)[0][0])
    raise UproarError(
        f"{part}: inputs have {int(bad.sum())} NaN or infinite values, the first in example "
        f"{example}; fill or drop them first"
    )


def _check_tokens(split: Split, part: str, data: Data, tokens: int) -> None:
    inputs = split.inputs
    if inputs.dtype != np.int64:
        raise UproarError(f"{part}: inputs of text must be int64 token ids, got {inputs.dtype}")
    if inputs.min() < 0 or inputs.max() >= tokens:
        raise UproarError(
            f"{part}: token ids must be from 0 to {tokens - 1}, one per token of the vocabulary, "
            f"got {int(inputs.min())} to {int(inputs.max())}"
        )
    present = data.present(split)
    assert present is not None  # text has a vocabulary
    empty = np.flatnonzero(~present.reshape(len(inputs), -1).any(axis=1))
    if len(empty):
        raise UproarError(
            f"{part}: {len(empty)} examples have no tokens, the first is example {int(empty[0])}; "
            "leave empty texts out"
        )


def _check_labels(split: Split, part: str, data: Data) -> None:
    labels = split.labels
    if not len(labels):
        return
    if data.task == "regression":
        _check_amounts(split, part)
        return
    classes = len(data.class_names)
    if not np.issubdtype(labels.dtype, np.integer) or not (
        labels.min() >= 0 and labels.max() < classes
    ):
        raise UproarError(
            f"{part}: labels must be integers from 0 to {classes - 1} (one per class name), got "
            f"{labels.min():g} to {labels.max():g}"
        )


def _check_amounts(split: Split, part: str) -> None:
    labels = split.labels
    if not np.issubdtype(labels.dtype, np.floating):
        raise UproarError(
            f"{part}: labels must be float32 values where there are no class names, got "
            f"{labels.dtype}"
        )
    bad = ~np.isfinite(labels)
    if bad.any():
        raise UproarError(
            f"{part}: labels have {int(bad.sum())} NaN or infinite values, the first in example "
            f"{int(np.flatnonzero(bad)[0])}; drop those examples first"
        )
    if part != "validation" and labels.min() == labels.max():
        raise UproarError(
            f"{part}: all labels are {float(labels[0]):g}; without differences R² means nothing"
        )
