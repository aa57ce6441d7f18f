"""Texts with their labels, taken from the columns of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from uproar.data.columns import column_kind, listed
from uproar.registry import unknown
from uproar.types import Source, UproarError

TEXT_COLUMNS = ("text", "sentence", "review", "comment", "message", "content", "document")
TARGET_COLUMNS = ("label", "labels", "target", "class", "sentiment", "category", "score", "rating")


@dataclass(frozen=True)
class Labelled:
    """Texts with labels; ``where`` they are from, and their ``rows`` there, serve messages."""

    texts: NDArray[np.object_]
    labels: pd.Series
    where: str
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.texts)

    def at(self, index: NDArray[np.int64]) -> Labelled:
        """Return the examples at ``index``."""
        labels = self.labels.iloc[index]
        return replace(self, texts=self.texts[index], labels=labels, rows=self.rows[index])


def labelled(frame: pd.DataFrame, *, where: str, source: Source) -> Labelled:
    """Return the texts and labels in a table; missing texts are empty for the moment.

    :param where: what messages call the table.
    :raises UproarError: when there are no such columns, or that of the texts holds none.
    """
    text, target = columns_of([str(name) for name in frame.columns], where=where, source=source)
    kind = column_kind(frame[text])
    if kind not in {"level", "empty"}:
        raise UproarError(f"{where}: column {text!r} holds no text but values of kind {kind!r}")
    texts = frame[text].astype(object).where(frame[text].notna(), "")
    odd = [row for row, one in enumerate(texts, 1) if not isinstance(one, str)]
    if odd:
        value = texts.iloc[odd[0] - 1]
        raise UproarError(
            f"{where}, row {odd[0]}: a text must be a string, got {value!r} "
            f"({type(value).__name__})"
        )
    rows = np.arange(1, len(frame) + 1)
    return Labelled(texts.to_numpy(dtype=object), frame[target], where, rows)


def columns_of(names: Sequence[str], *, where: str, source: Source) -> tuple[str, str]:
    """Return the columns of texts and of labels: those of ``source``, or the obvious ones.

    >>> columns_of(["idx", "sentence", "label"], where="reviews.tsv", source=Source())
    ('sentence', 'label')
    """
    for wanted, flag in ((source.text, "text"), (source.target, "target")):
        if wanted and wanted not in names:
            raise UproarError(f"{where}: {unknown(wanted, names, f'{flag} column')}")
    text = source.text or _usual(names, TEXT_COLUMNS, source.target)
    target = source.target or _usual(names, TARGET_COLUMNS, text)
    text, target = text or _only_left(names, target), target or _only_left(names, text)
    for found, flag in ((text, "text"), (target, "target")):
        if not found:
            raise UproarError(
                f"{where}: which column is the {flag}? Say --{flag} (under [source] in a spec: "
                f"{flag} = …), one of {listed(names)}"
            )
    if text == target:
        raise UproarError(f"{where}: column {text!r} cannot be both text and target")
    return text, target


def _usual(names: Sequence[str], usual: Sequence[str], other: str) -> str:
    """Return the column with the first of the usual names, or ""."""
    found = [name for like in usual for name in names if name.lower() == like and name != other]
    return found[0] if found else ""


def _only_left(names: Sequence[str], other: str) -> str:
    """Return the only column beside the other one, or ""."""
    left = [name for name in names if name != other]
    return left[0] if other and len(left) == 1 else ""
