"""Inputs and labels from Python, whatever holds them, as arrays of one kind of data."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from uproar.types import Kind, Source, UproarError, options

AXES: dict[Kind, int] = {"table": 2, "series": 3, "image": 4}
LAYOUTS = "(examples, columns) or (examples, channels, height, width)"


def check_heeded(source: Source, heeded: Collection[str], what: str) -> None:
    """Refuse what is said of data in memory and would change nothing.

    :param heeded: what has a meaning for them, beside task, examples and folds.
    :param what: what messages call the data.
    :raises UproarError: with the option and its value.

    >>> check_heeded(Source(size=32), ("patch",), "arrays")
    Traceback (most recent call last):
    uproar.types.UproarError: size=32 has no meaning for arrays
    """
    for field in options(Source):
        value = getattr(source, field.name)
        if value != field.default and field.name not in {"task", "examples", "folds", *heeded}:
            raise UproarError(f"{field.name}={value!r} has no meaning for {what}")


def pair(part: Any, what: str) -> tuple[Any, Any]:
    """Return the inputs and the labels of a part.

    :raises UproarError: when it is no pair.
    """
    if isinstance(part, tuple | list) and len(part) == 2:
        return part[0], part[1]
    got = f"{len(part)} things" if isinstance(part, tuple | list) else type(part).__name__
    raise UproarError(f"{what} must be (inputs, labels), or a DataFrame with a target; got {got}")


def is_texts(inputs: Any) -> bool:
    """Whether inputs are texts, one for each example.

    >>> is_texts(["a good film"]), is_texts(np.zeros((3, 2)))
    (True, False)
    """
    if not isinstance(inputs, list | tuple | pd.Series | np.ndarray) or not len(inputs):
        return False
    return all(isinstance(text, str) for text in inputs)


def inputs_of(inputs: Any, what: str) -> NDArray[np.float32]:
    """Return inputs as float32, without a copy where they are that and can be written to.

    :raises UproarError: when they are no numbers, or of unequal shapes.

    >>> inputs_of([[1, 2], [3]], "train")
    Traceback (most recent call last):
    uproar.types.UproarError: train: inputs have unequal shapes, such as (2,) and (1,) (example \
1); cut or pad them to one length
    """
    inputs = _detached(inputs)
    if isinstance(inputs, list | tuple) or getattr(inputs, "dtype", None) == np.dtype(object):
        inputs = [_detached(example) for example in inputs]
        _check_shapes(inputs, what)
    try:
        with np.errstate(over="ignore"):  # what float32 cannot hold is refused as infinite
            values = np.asarray(inputs, dtype=np.float32)
    except (TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UproarError(f"{what}: inputs must be an array of numbers: {reason}") from error
    # pandas' own may not be written to, and torch warns of such arrays.
    return values if values.flags.writeable else values.copy()


def _detached(value: Any) -> Any:
    """Return a tensor as an array; by its methods, because torch takes long to import."""
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        return value.detach().cpu().numpy()
    return value


def _check_shapes(examples: Sequence[Any], what: str) -> None:
    shapes = [_shape(example) for example in examples]
    for number, shape in enumerate(shapes):
        if shape is None:
            raise UproarError(
                f"{what}: the rows of example {number} are of unequal length; cut or pad them to "
                "one length"
            )
        if shape != shapes[0]:
            raise UproarError(
                f"{what}: inputs have unequal shapes, such as {shapes[0]} and {shape} (example "
                f"{number}); cut or pad them to one length"
            )


def _shape(example: Any) -> tuple[int, ...] | None:
    try:
        return tuple(np.shape(example))
    except ValueError:  # ragged within
        return None


def kind_of_axes(inputs: NDArray[np.float32], kind: Literal["auto"] | Kind, what: str) -> Kind:
    """Return the kind of data that inputs are, by their axes unless ``kind`` says it.

    :raises UproarError: when they have other axes than the kind asks for.
    """
    found = {axes: name for name, axes in AXES.items()}.get(inputs.ndim)
    if kind == "text":
        raise UproarError(f"{what}: text must be a list of strings, got shape {inputs.shape}")
    if kind == "auto":
        if found is None:
            raise UproarError(
                f"{what}: inputs must be {LAYOUTS}, or (examples, channels, time) of series, got "
                f"shape {inputs.shape}"
            )
        return found
    if found != kind and inputs.ndim != AXES[kind] - (kind != "table"):
        raise UproarError(
            f"{what}: inputs of kind {kind!r} must have {AXES[kind]} axes, got shape {inputs.shape}"
        )
    return kind


def with_channels(inputs: NDArray[np.float32], kind: Kind) -> NDArray[np.float32]:
    """Return grey images and series of one channel with an axis for it."""
    return inputs[:, None] if inputs.ndim == AXES[kind] - 1 and kind != "table" else inputs


def labels_of(labels: Any, what: str) -> pd.Series:
    """Return labels as a column.

    :raises UproarError: when they are not one for each example.
    """
    labels = _detached(labels)
    if not isinstance(labels, pd.Series):
        if isinstance(labels, list | tuple):
            labels = [_detached(label) for label in labels]
        if np.ndim(labels) != 1:
            array = np.asarray(labels)
            raise UproarError(
                f"{what}: labels must be a one-dimensional array of integers, got {array.dtype} "
                f"of shape {array.shape}"
            )
        return pd.Series(labels)
    return labels.reset_index(drop=True)
