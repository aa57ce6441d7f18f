"""Columns of a table as numbers: fitted on train alone, and one feature for every column."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from uproar.data.columns import MISSING, ColumnKind, column_kind, listed, numbers, shown, spelled
from uproar.types import UproarError

MOST_LEVELS = 100  # more are names or numbers of rows, or dates


@dataclass(frozen=True)
class Number:
    """A column of numbers: standardised, with the median of train where one is missing.

    Where train lacks some, a second value says which. Truth values stay 0 and 1.
    """

    name: str
    median: float
    centre: float
    scale: float
    missing: bool

    @property
    def width(self) -> int:
        """How many values stand for the column."""
        return (self.scale > 0) + self.missing

    @classmethod
    def fit(cls, values: pd.Series, *, name: str, truth: bool) -> Number | None:
        """Return the encoding of a column of train; None when it is constant."""
        given = numbers(values)
        absent = np.isnan(given)
        if absent.all() or (not absent.any() and given.min() == given.max()):
            return None
        median = float(np.median(given[~absent]))
        filled = np.where(absent, median, given)
        if truth:
            return cls(name, round(median), 0.0, float(filled.std() > 0), bool(absent.any()))
        return cls(name, median, float(filled.mean()), float(filled.std()), bool(absent.any()))

    def encode(self, values: pd.Series, part: str) -> tuple[NDArray[np.float32], tuple[str, ...]]:
        """Return the values (examples, width) and what there is to tell."""
        given = self._numbers(values, part)
        absent = np.isnan(given)
        encoded = np.empty((len(given), self.width), dtype=np.float32)
        if self.scale > 0:
            encoded[:, 0] = (np.where(absent, self.median, given) - self.centre) / self.scale
        if self.missing:
            encoded[:, -1] = absent
        if self.missing or not absent.any():
            return encoded, ()
        return encoded, (
            f"Column {self.name!r} lacks {absent.sum()} values in {part} and none in train; they "
            f"were filled with the median of train, {self.median:g}.",
        )

    def _numbers(self, values: pd.Series, part: str) -> NDArray[np.float64]:
        if column_kind(values) in {"number", "truth", "empty"}:
            given = numbers(values)
        else:
            given = numbers(pd.to_numeric(values.astype(object), errors="coerce"))
            odd = np.isnan(given) & values.notna().to_numpy()
            if odd.any():
                raise UproarError(
                    f"{part}: column {self.name!r} holds numbers in train, but here also "
                    f"{str(values[odd].iloc[0])!r}"
                )
        if np.isinf(given).any():
            raise UproarError(
                f"{part}: column {self.name!r} has {np.isinf(given).sum()} infinite values; "
                f"replace or drop them first"
            )
        return given


@dataclass(frozen=True)
class Level:
    """A column of names: one value for every level of train, 1 where it is the level, else 0.

    Missing is a level of its own when train lacks some values. A level that train does not have
    is encoded as no level: all zeros.
    """

    name: str
    levels: tuple[str, ...]
    missing: bool

    @property
    def width(self) -> int:
        """How many values stand for the column."""
        return len(self.levels) + self.missing

    @classmethod
    def fit(cls, values: pd.Series, *, name: str) -> Level | None:
        """Return the encoding of a column of train; None when it is constant."""
        text = spelled(values)
        encoding = cls(name, tuple(map(str, text.categories)), bool((text.codes < 0).any()))
        return encoding if encoding.width > 1 else None

    def encode(self, values: pd.Series, part: str) -> tuple[NDArray[np.float32], tuple[str, ...]]:
        """Return the values (examples, width) and what there is to tell."""
        text = spelled(values)
        codes = text.set_categories(list(self.levels)).codes.astype(np.int64)
        if self.missing:
            codes[text.codes < 0] = len(self.levels)
        encoded = np.zeros((len(values), self.width), dtype=np.float32)
        rows = np.flatnonzero(codes >= 0)
        encoded[rows, codes[rows]] = 1
        unseen = Counter(MISSING if pd.isna(value) else str(value) for value in text[codes < 0])
        if not unseen:
            return encoded, ()
        return encoded, (
            f"Column {self.name!r}: {unseen.total()} values of {part} are levels that train does "
            f"not have ({listed([level for level, _ in unseen.most_common()], 3)}); they are "
            "encoded as no level.",
        )


@dataclass(frozen=True)
class TableEncoder:
    """What the columns of train say about how a table becomes numbers.

    >>> train = pd.DataFrame({"age": [20.0, None, 40.0], "city": ["Bonn", "Ulm", "Ulm"]})
    >>> encoder = TableEncoder.fit(train)
    >>> encoder.feature_names, encoder.feature_of_value.tolist()
    (('age', 'city'), [0, 0, 1, 1])
    >>> encoder.encode(pd.DataFrame({"age": [30.0], "city": ["Rom"]}), part="test")[0].tolist()
    [[0.0, 0.0, 0.0, 0.0]]
    """

    columns: tuple[Number | Level, ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def fit(cls, train: pd.DataFrame) -> TableEncoder:
        """Return the encoder for the columns of train; constant ones are left out, with a note.

        :raises UproarError: when columns hold dates, lists, or more levels than can be encoded, or
            when none is left.
        """
        kinds = {str(name): column_kind(values) for name, values in train.items()}
        _refuse(train, kinds)
        fitted = {name: _fit(train[name], name, kind) for name, kind in kinds.items()}
        columns = tuple(column for column in fitted.values() if column is not None)
        if not columns:
            raise UproarError(
                f"there is no column left to rank: {listed(list(kinds))} are constant in train"
                if kinds
                else "there is no column left to rank"
            )
        constant = [name for name, column in fitted.items() if column is None]
        notes = [f"Constant in train, and left out: {listed(constant)}."] if constant else []
        lacking = [column.name for column in columns if column.missing]
        if lacking:
            notes.append(f"Missing values have a value of their own in {listed(lacking)}.")
        counting = [name for name, kind in kinds.items() if _counts(train[name], kind)]
        if counting:
            notes.append(f"If these only number the rows, drop them: {listed(counting)}.")
        return cls(columns, tuple(notes))

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns that are encoded, one for every feature."""
        return tuple(column.name for column in self.columns)

    @property
    def feature_of_value(self) -> NDArray[np.int64] | None:
        """The column of every value; None when every column is one value."""
        widths = [column.width for column in self.columns]
        return None if set(widths) == {1} else np.repeat(np.arange(len(widths)), widths)

    def encode(
        self, frame: pd.DataFrame, *, part: str
    ) -> tuple[NDArray[np.float32], tuple[str, ...]]:
        """Return the encoded table (examples, values), and what there is to tell, a line each.

        :raises UproarError: when a column is missing, or is of another kind than in train.
        """
        lacking = [name for name in self.feature_names if name not in frame.columns]
        if lacking:
            raise UproarError(
                f"{part}: there is no column {listed(lacking)}, which train has; it has "
                f"{listed(list(map(str, frame.columns)))}"
            )
        ends = np.cumsum([column.width for column in self.columns])
        encoded = np.empty((len(frame), ends[-1]), dtype=np.float32)
        notes: list[str] = []
        for column, end in zip(self.columns, ends, strict=True):
            values, told = column.encode(frame[column.name], part)
            encoded[:, end - column.width : end] = values
            notes += told
        return encoded, tuple(notes)

    def texts(self, frame: pd.DataFrame) -> NDArray[Any]:
        """Return what people read of a table, (examples, columns), before encoding."""
        return np.stack([shown(frame[name]) for name in self.feature_names], axis=1)


def _fit(values: pd.Series, name: str, kind: ColumnKind) -> Number | Level | None:
    if kind in {"number", "truth"}:
        if np.isinf(numbers(values)).any():
            raise UproarError(
                f"train: column {name!r} has {np.isinf(numbers(values)).sum()} infinite values; "
                "replace or drop them first"
            )
        return Number.fit(values, name=name, truth=kind == "truth")
    return Level.fit(values, name=name) if kind == "level" else None


def _refuse(train: pd.DataFrame, kinds: dict[str, ColumnKind]) -> None:
    """Name all columns that cannot be features at once, in a form to paste into ``drop``."""
    reasons: dict[str, list[str]] = {}
    for name, kind in kinds.items():
        if kind == "date":
            reasons.setdefault("dates or times", []).append(name)
        elif kind == "other":
            reasons.setdefault("neither numbers nor text", []).append(name)
        elif kind == "level" and train[name].nunique() > MOST_LEVELS:
            reasons.setdefault(f"more than {MOST_LEVELS} levels", []).append(name)
    if reasons:
        told = "; ".join(f"{why} in {', '.join(map(repr, bad))}" for why, bad in reasons.items())
        refused = ", ".join(f'"{name}"' for bad in reasons.values() for name in bad)
        raise UproarError(
            f"some columns cannot be features ({told}): turn them into numbers or a few levels, or "
            f"leave them out with drop = [{refused}]"
        )


def _counts(values: pd.Series, kind: ColumnKind) -> bool:
    """Whether a column of whole numbers has another one in every row of many."""
    if kind != "number" or not pd.api.types.is_integer_dtype(values.dtype) or len(values) < 100:
        return False
    apart = values.max() - values.min() >= len(values) - 1  # a cheap test first
    return bool(apart and values.is_unique)
