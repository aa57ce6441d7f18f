"""Bad input is refused in one line before anything is trained."""

from __future__ import annotations

import math

import numpy as np

from uproar.types import Data, Split, UproarError


def check(data: Data) -> Data:
    """Return the data unchanged, or say what is wrong with them.

    :raises UproarError: when inputs have NaN or infinity or are all the same, labels do not match
        the inputs in length or are no classes, a class is missing from train, shapes differ
        between the splits, or ``feature_shape`` is not the end of the input shape.
    """
    for part in ("train", "validation", "test"):
        _check_split(getattr(data, part), part, data)
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


def _check_split(split: Split, part: str, data: Data) -> None:
    inputs, labels = split.inputs, split.labels
    if len(inputs) != len(labels):
        raise UproarError(
            f"{part}: labels must match inputs in length, got {len(inputs)} inputs (shape "
            f"{inputs.shape}) and {len(labels)} labels"
        )
    if part != "validation" and not len(labels):
        raise UproarError(f"{part}: there are no examples; at least one of every class is needed")
    if inputs.shape[1:] != data.input_shape:
        raise UproarError(
            f"{part}: one input has shape {inputs.shape[1:]}, in train it has {data.input_shape}"
        )
    if inputs.shape[1:][-len(data.feature_shape) :] != data.feature_shape:
        raise UproarError(
            f"the shape of one input, {data.input_shape}, must end in feature_shape "
            f"{data.feature_shape}"
        )
    bad = ~np.isfinite(inputs)
    if bad.any():
        example = int(np.argwhere(bad)[0][0])
        raise UproarError(
            f"{part}: inputs have {int(bad.sum())} NaN or infinite values, the first in example "
            f"{example}; fill or drop them first"
        )
    classes = len(data.class_names)
    if len(labels) and not (labels.min() >= 0 and labels.max() < classes):
        raise UproarError(
            f"{part}: labels must be integers from 0 to {classes - 1} (one per class name), got "
            f"{int(labels.min())} to {int(labels.max())}"
        )
    if math.prod(data.feature_shape) < 2:
        raise UproarError(f"feature_shape {data.feature_shape} has fewer than 2 features to rank")
