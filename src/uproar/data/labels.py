"""Labels of any kind as classes or standardised values, with what train says about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from uproar.data.columns import column_kind, listed, numbers, spelled
from uproar.types import Task, UproarError

MOST_CLASSES = 20  # distinct whole numbers; more are amounts
Encoded = NDArray[np.int64] | NDArray[np.float32]


@dataclass(frozen=True)
class Labels:
    """Labels of every part, train first, and how to read them.

    Classes are int64, numbered in the order of ``class_names``. Without ``class_names`` they are
    float32 values, (label - ``centre``) / ``scale``.
    """

    values: tuple[Encoded, ...]
    class_names: tuple[str, ...]
    centre: float = 0.0
    scale: float = 1.0
    notes: tuple[str, ...] = ()


def task_of(
    values: ArrayLike, *, task: Literal["auto"] | Task, what: str
) -> tuple[Task, tuple[str, ...]]:
    """Return whether labels are classes or values, and what there is to tell about the choice.

    Text, truth values and categories are classes. Numbers are classes when there are two of them,
    or at most 20 and all whole; other numbers are a regression.

    :param values: labels (examples,), missing ones left out.
    :param task: decides, unless it is ``auto``.
    :param what: what messages call the labels, such as ``label 'price'``.
    :raises UproarError: when there are no labels, or they are nothing that can be a label.

    >>> task_of(["no", "yes"], task="auto", what="label")
    ('classification', ())
    """
    series = _series(values, what)
    kind = column_kind(series)
    if kind in {"empty", "date", "other"} or not len(series):
        holds = {"empty": "no values", "date": "dates or times"}.get(kind, "no labels")
        raise UproarError(f"{what} has {holds}; it needs classes or numbers")
    if task != "auto":
        return task, ()
    if kind != "number":
        return "classification", ()
    given = numbers(series)
    distinct = len(np.unique(given))
    if distinct <= 2:
        return "classification", ()
    if distinct <= MOST_CLASSES and bool((given == np.round(given)).all()):
        told = f"{_begun(what)} has {distinct} distinct whole numbers: classes; "
        return "classification", (f'{told}say task = "regression" if they are amounts.',)
    told = f"{_begun(what)} has {distinct} distinct numbers: regression; "
    return "regression", (f'{told}say task = "classification" if they are classes.',)


def encode_labels(
    train_values: ArrayLike,
    others: Sequence[ArrayLike] = (),
    *,
    task: Literal["auto"] | Task,
    what: str,
    standardise: bool = True,
) -> Labels:
    """Return the labels of train and of other parts as numbers.

    Values of a regression become (label - mean) / standard deviation, both of train.

    :param train_values: labels of train (examples,); no value may be missing.
    :param others: labels of the other parts, with the classes of train or fewer.
    :param task: as for :func:`task_of`.
    :param what: what messages call the labels, such as ``label 'price'``.
    :param standardise: whether the values of a regression are standardised.
    :raises UproarError: when a label is missing or infinite, train has a single class or a single
        value, another part has a class that train does not have, or a regression has text.

    >>> labels = encode_labels(["b", "a", "b"], [["a"]], task="auto", what="label")
    >>> labels.class_names, [values.tolist() for values in labels.values]
    (('a', 'b'), [[1, 0, 1], [0]])
    """
    parts = [_series(values, what) for values in (train_values, *others)]
    missing = sum(int(part.isna().sum()) for part in parts)
    if missing:
        raise UproarError(f"{what} is missing in {missing} examples; leave them out")
    task, notes = task_of(parts[0], task=task, what=what)
    if task == "regression":
        return _values(parts, what, notes, standardise=standardise)
    return _classes(parts, what, notes)


def check_enough(values: ArrayLike, *, needed: int, what: str) -> None:
    """Refuse classes with too few examples to be split.

    :param values: labels (examples,) before the split.
    :param needed: the fewest examples of a class: one more than there are parts to split off.
    :raises UproarError: when a class has fewer; the message names it.
    """
    for name, count in spelled(_series(values, what)).value_counts().items():
        if count < needed:
            raise UproarError(
                f"{what}: class {str(name)!r} has {count} example{'s' * (count > 1)}, and a split "
                f"needs {needed} of every class; leave the class out, or join it with another"
            )


def _begun(what: str) -> str:
    """Return ``what`` as the beginning of a sentence."""
    return what[:1].upper() + what[1:]


def _classes(parts: list[pd.Series], what: str, notes: tuple[str, ...]) -> Labels:
    texts = [spelled(part) for part in parts]
    names = _in_order(parts[0], [str(name) for name in texts[0].categories])
    if len(names) < 2:
        raise UproarError(
            f"{what} is {names[0]!r} in all {len(parts[0])} examples of train: there is nothing to "
            "tell apart"
        )
    for text in texts[1:]:
        unseen = [str(name) for name in text.categories if name not in names]
        if unseen:
            raise UproarError(
                f"{what}: class {listed(unseen)} has no example in train, but "
                f"{int(text.isin(unseen).sum())} in another part; the classes of train are "
                f"{listed(names)}"
            )
    codes = [text.set_categories(names).codes.astype(np.int64) for text in texts]
    return Labels(tuple(codes), tuple(names), notes=notes)


def _in_order(train: pd.Series, names: list[str]) -> list[str]:
    """Return class names in the order of the categories, by number, or else by name."""
    if isinstance(train.dtype, pd.CategoricalDtype):
        known = [str(name) for name in spelled(pd.Series(train.cat.categories)).tolist()]
        return [name for name in known if name in names]
    if column_kind(train) == "number":
        return sorted(names, key=float)
    return sorted(names)


def _values(
    parts: list[pd.Series], what: str, notes: tuple[str, ...], *, standardise: bool
) -> Labels:
    given = []
    for part in parts:
        if column_kind(part) not in {"number", "truth", "empty"}:
            odd = pd.to_numeric(part.astype(object), errors="coerce").isna()
            example = part[odd].iloc[0] if odd.any() else part.iloc[0]
            raise UproarError(f"{what} must hold numbers for a regression, got {str(example)!r}")
        given.append(numbers(part))
    infinite = sum(int(np.isinf(values).sum()) for values in given)
    if infinite:
        raise UproarError(f"{what} is infinite in {infinite} examples; leave them out")
    centre, scale = float(given[0].mean()), float(given[0].std())
    if scale == 0:
        raise UproarError(f"{what} is {centre:g} in all examples of train: nothing to predict")
    if not standardise:
        centre, scale = 0.0, 1.0
    values = tuple(((part - centre) / scale).astype(np.float32) for part in given)
    return Labels(values, (), centre, scale, notes)


def _series(values: ArrayLike, what: str) -> pd.Series:
    if isinstance(values, pd.Series):
        return values
    array = np.asarray(values)
    if array.ndim != 1:
        raise UproarError(f"{what} must be one value for each example, got shape {array.shape}")
    return pd.Series(array)
