"""Parts from Python that are DataFrames, with their labels in them or beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from uproar.data.checks import check_lengths
from uproar.data.python.array_parts import labels_of
from uproar.data.table.tables import from_frame
from uproar.dataset import Data
from uproar.registry import unknown
from uproar.types import Source, UproarError


def is_frame(part: Any) -> bool:
    """Whether the inputs of a part are a DataFrame."""
    inputs = part[0] if isinstance(part, tuple | list) and len(part) == 2 else part
    return isinstance(inputs, pd.DataFrame)


def from_frames(
    parts: Mapping[str, Any], source: Source, name: str, seed: int, standardise_labels: bool
) -> Data:
    """Return the table of parts that are DataFrames with labels in them, or beside them.

    :raises UproarError: when some part is no DataFrame, or does not fit.
    """
    if source.kind not in {"auto", "table"}:
        raise UproarError(f"a DataFrame is a table, and cannot be of kind {source.kind!r}")
    frames = {}
    for part, value in parts.items():
        if not is_frame(value):
            raise UproarError(
                f"{part}: train is a DataFrame, so {part} must be one; got {type(value).__name__}"
            )
        frames[part], target = (
            (value, source.target)
            if isinstance(value, pd.DataFrame)
            else _joined(value[0], value[1], part, source)
        )
    return from_frame(
        frames["train"],
        frames.get("test"),
        frames.get("validation"),
        name=name,
        seed=seed,
        source=replace(source, target=target),
        standardise_labels=standardise_labels,
    )


def texts_of(part: Any, source: Source) -> Any:
    """Return the texts and labels in a table; what is no table stays as it is.

    :raises UproarError: when it has no columns of these names.
    """
    columns = list(getattr(part, "columns", ()))
    if not columns:
        return part
    for name, what in ((source.text, "text"), (source.target, "target")):
        if name not in columns:
            raise UproarError(unknown(name, map(str, columns), what))
    return part[source.text].tolist(), part[source.target]


def _joined(
    inputs: pd.DataFrame, labels: Any, part: str, source: Source
) -> tuple[pd.DataFrame, str]:
    """Return columns and labels in one frame, row by row, and the name that labels have there."""
    if source.target:
        raise UproarError(
            f"{part}: labels come beside the DataFrame, so target={source.target!r} is one too many"
        )
    column = labels_of(labels, part)
    check_lengths(inputs, column, part)
    target = "label"
    while target in inputs.columns:
        target += "_"
    return inputs.reset_index(drop=True).assign(**{target: column}), target
