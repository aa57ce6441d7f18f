"""Labels from Python: integers are classes as they are, other numbers are a regression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from uproar.data.columns import column_kind, listed, numbers
from uproar.data.labels import MOST_CLASSES, encode_labels
from uproar.types import Task, UproarError

Codes = dict[str, NDArray[np.int64]]
Values = dict[str, NDArray[np.float64]]


def task_of_array(labels: pd.Series, task: Literal["auto"] | Task) -> Task:
    """Return whether labels are classes or values.

    Integers, text and truth values are classes, other numbers a regression. Floating labels that
    are few whole numbers could be both, and are refused unless ``task`` decides.

    :raises UproarError: in that case.

    >>> task_of_array(pd.Series([0, 1]), "auto"), task_of_array(pd.Series([0.5, 1.5]), "auto")
    ('classification', 'regression')
    """
    if task != "auto":
        return task
    if column_kind(labels) != "number" or pd.api.types.is_integer_dtype(labels.dtype):
        return "classification"
    given = numbers(labels)
    # NaN is not equal to its rounded self: it is refused later, with where it is.
    if bool((given == np.round(given)).all()) and len(np.unique(given)) <= MOST_CLASSES:
        raise UproarError(
            f"train: labels must be a one-dimensional array of integers, got {labels.dtype} of "
            f"shape {labels.shape}; for values to predict, say task='regression'"
        )
    return "regression"


def classes_of(
    labels: Mapping[str, pd.Series], class_names: Sequence[str]
) -> tuple[Codes, tuple[str, ...]]:
    """Return the class of every example by part, and the names of the classes.

    Integers are taken as they are, text in alphabetical order; in the order of ``class_names``,
    where those are given.

    :raises UproarError: when labels are nothing that can be a class.
    """
    train = labels["train"]
    if column_kind(train) == "number":
        codes = {part: _integers(values, part) for part, values in labels.items()}
        largest = max(int(values.max(initial=0)) for values in codes.values())
        if not class_names and len(train) and largest >= max(len(train), 2):
            raise UproarError(
                f"labels go up to {largest} in {len(train)} training examples: for values to "
                "predict, say task='regression'"
            )
        return codes, tuple(class_names) or tuple(str(label) for label in range(largest + 1))
    if class_names:
        found = sorted(map(str, train.unique()))
        if sorted(class_names) != found:
            raise UproarError(
                f"class_names are {listed(list(class_names))}, but the labels of train are "
                f"{listed(found)}"
            )
        train = pd.Series(pd.Categorical(train.astype(str), categories=list(class_names)))
    others = [part for part in labels if part != "train"]
    encoded = encode_labels(
        train, [labels[part] for part in others], task="classification", what="label"
    )
    codes = {
        part: np.asarray(values, dtype=np.int64)
        for part, values in zip(("train", *others), encoded.values, strict=True)
    }
    return codes, encoded.class_names


def _integers(labels: pd.Series, part: str) -> NDArray[np.int64]:
    given = numbers(labels)
    if column_kind(labels) == "number" and bool((given == np.round(given)).all()):
        # A copy: pandas' own may not be written to, and torch warns of such arrays.
        return labels.to_numpy(dtype=np.int64, copy=True)
    raise UproarError(
        f"{part}: labels must be a one-dimensional array of integers, got {labels.dtype} of shape "
        f"{labels.shape}"
    )


def values_of(labels: Mapping[str, pd.Series], class_names: Sequence[str]) -> Values:
    """Return the values of a regression by part.

    :raises UproarError: when they are no numbers, or some are missing or infinite.
    """
    if class_names:
        raise UproarError("class_names are for classes, but task is 'regression'")
    found = {}
    for part, values in labels.items():
        if column_kind(values) not in {"number", "truth", "empty"}:
            raise UproarError(
                f"{part}: labels must be numbers for a regression, got {str(values.iloc[0])!r}"
            )
        found[part] = numbers(values)
        bad = ~np.isfinite(found[part])
        if bad.any():
            raise UproarError(
                f"{part}: labels have {int(bad.sum())} NaN or infinite values, the first in "
                f"example {int(np.flatnonzero(bad)[0])}; drop those examples first"
            )
    return found
