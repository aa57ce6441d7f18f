"""What a column of a table holds, whatever the type that pandas has for it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

LONGEST_TEXT = 40
MISSING = "missing"

ColumnKind = Literal["number", "truth", "level", "date", "empty", "other"]
INFERRED: dict[str, ColumnKind] = {
    **dict.fromkeys(("integer", "floating", "mixed-integer-float", "decimal"), "number"),
    **dict.fromkeys(("string", "mixed-integer", "mixed"), "level"),
    **dict.fromkeys(("datetime", "datetime64", "date", "time", "period"), "date"),
    **dict.fromkeys(("timedelta", "timedelta64"), "date"),
    "boolean": "truth",
    "empty": "empty",
}


def column_kind(values: pd.Series) -> ColumnKind:
    """Return what a column holds, whatever the type that pandas has for it.

    >>> column_kind(pd.Series([True, None])), column_kind(pd.Series(["a", 1]))
    ('truth', 'level')
    """
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return "level"
    if pd.api.types.is_bool_dtype(dtype):
        return "truth"
    if pd.api.types.is_numeric_dtype(dtype):
        return "other" if pd.api.types.is_complex_dtype(dtype) else "number"
    kind = INFERRED.get(pd.api.types.infer_dtype(values, skipna=True), "other")
    if kind == "level" and not values.map(lambda value: isinstance(value, Hashable)).all():
        return "other"
    return kind


def numbers(values: pd.Series) -> NDArray[np.float64]:
    """Return a column of numbers or truth values as float64, NaN where it has none."""
    return values.to_numpy(dtype=np.float64, na_value=np.nan)


def spelled(values: pd.Series) -> pd.Categorical:
    """Return the values of a column as text, so that 1, 1.0 and "1" are one level.

    >>> spelled(pd.Series([1.0, np.nan, 0.5])).tolist()
    ['1', nan, '0.5']
    """
    places, distinct = pd.factorize(values)
    names = np.array([*map(_spell, distinct), None], dtype=object)
    return pd.Categorical(names[places])  # missing has place -1


def _spell(value: object) -> str:
    if isinstance(value, float | np.floating):
        return str(int(value)) if float(value).is_integer() else f"{value:.15g}"
    return str(value)


def listed(names: Sequence[str], most: int = 8) -> str:
    """Return names for a sentence, the first ``most`` of them.

    >>> listed(["a", "b", "c"], 2)
    "'a', 'b' and 1 more"
    """
    shown = ", ".join(map(repr, names[:most]))
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def shown(values: pd.Series) -> NDArray[Any]:
    """Return the values of a column as people read them, text of at most 40 characters."""
    places, distinct = pd.factorize(values)
    names = [f"{v:.6g}" if isinstance(v, float | np.floating) else str(v) for v in distinct]
    cut = [text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…" for text in names]
    return np.array([*cut, MISSING], dtype=np.str_)[places]
