"""The unit of work that is stored, resumed and distributed, and what can come of it."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

# None, bool, int, float, str, and lists and dicts of them. The constructors below check it; a
# recursive type would only make every reader of a stored number cast it.
JSON: TypeAlias = Any

# bool, signed and unsigned integers, floats; nothing wider than 8 bytes.
_DTYPE_KINDS, _DTYPE_BYTES = "biuf", 8


@dataclass(frozen=True, eq=False)
class Cell:
    """One unit of work: what is computed, described so completely that it can be looked up.

    ``key`` is the first 32 hexadecimal digits of the SHA-256 hash of the canonical JSON of
    ``{"kind": kind, "fields": fields}``. Two cells are equal when their keys are.

    :param kind: what sort of work it is, of small letters and hyphens; a folder of the store.
    :param fields: everything that can change the result, as JSON; tuples become lists.
    :param label: what people read in progress displays and messages; not part of the key.
    :raises TypeError: when a field is not JSON; the message names it.
    :raises ValueError: when a field holds NaN, an infinity or text that is not Unicode, or the
        kind has other characters.

    >>> cell = Cell("retrain", {"explainer": "grad", "fraction": 0.5}, "grad at 0.5")
    >>> cell.key
    '65def6747c9e67ee17ec43ac1b45cdab'
    """

    kind: str
    fields: Mapping[str, JSON]
    label: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z-]{1,64}", self.kind):
            raise ValueError(
                f"the kind of a cell names a folder: expected 1 to 64 characters of a-z and "
                f"'-', got {self.kind!r}"
            )
        object.__setattr__(self, "fields", _object(self.fields, "fields"))

    @cached_property
    def key(self) -> str:
        """Name of the cell in the store."""
        return hashlib.sha256(self._canonical.encode()).hexdigest()[:32]

    @cached_property
    def _canonical(self) -> str:
        return canonical({"kind": self.kind, "fields": self.fields})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cell) and self._canonical == other._canonical

    def __hash__(self) -> int:
        return hash(self.key)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a cell has measured.

    The arrays are held as read-only views in C order and little-endian, exactly as they are
    stored, so that a fresh outcome and one read from the store are the same; copy an array to
    change it.

    :param values: measured numbers, as JSON; a number that does not exist is None, never NaN.
    :param arrays: per-example values and the like; boolean, integer or real, of any shape.
    :param seconds: wall time of each stage.
    :param provenance: versions, device, host: what may differ without changing the result.
    :raises TypeError: when a value is not JSON or an array is not a numeric array.
    :raises ValueError: when a value holds NaN, an infinity or text that is not Unicode.

    >>> outcome = Outcome({"accuracy": 0.75}, {"correct": np.array([True, False, True, True])})
    >>> outcome.arrays["correct"].flags.writeable
    False
    """

    values: Mapping[str, JSON]
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("values", "seconds", "provenance"):
            object.__setattr__(self, name, _object(getattr(self, name), name))
        arrays = {name: _stored(array, name) for name, array in self.arrays.items()}
        object.__setattr__(self, "arrays", arrays)


@dataclass(frozen=True)
class Failure:
    """A cell that raised: the error in one line, and the whole traceback.

    >>> Failure("ValueError: no classes", "Traceback ...").error
    'ValueError: no classes'
    """

    error: str
    traceback: str


@dataclass(frozen=True)
class Skip:
    """A cell that cannot run, with the reason.

    >>> Skip("guided backpropagation needs ReLU").reason
    'guided backpropagation needs ReLU'
    """

    reason: str


def canonical(value: JSON) -> str:
    """Return the one text that stands for a JSON value: sorted keys, no spaces, ASCII.

    >>> canonical({"b": 1.0, "a": (True, None)})
    '{"a":[true,null],"b":1.0}'
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )


def plain(value: JSON, name: str) -> JSON:
    """Return a copy of a JSON value in Python's own types, tuples as lists.

    :param value: what to copy.
    :param name: what to call it in an error.
    :raises TypeError: when a part of it is not JSON.
    :raises ValueError: when a part of it is NaN, infinite or not Unicode text.

    >>> plain({"shape": (2, 3)}, "fields")
    {'shape': [2, 3]}
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, name)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{name} must be finite, got {float(value)}; use None for no number")
        return float(value)
    if isinstance(value, list | tuple):
        return [plain(part, f"{name}[{index}]") for index, part in enumerate(value)]
    if isinstance(value, Mapping):
        return _object(value, name)
    raise TypeError(
        f"{name} must be JSON (None, bool, int, float, str, list or dict), got "
        f"{type(value).__name__}: {value!r:.80}; convert it first"
    )


def _object(value: object, name: str) -> dict[str, JSON]:
    """Return a plain copy of a mapping."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must map names to JSON, got {type(value).__name__}: {value!r:.80}")
    # A key that is not text would be turned into text by the encoder, and 1 be taken for "1".
    return {
        _text(key, f"a key of {name}"): plain(part, f"{name}[{key!r}]")
        for key, part in value.items()
    }


def _text(value: object, name: str) -> str:
    """Return text as it is, unless it cannot be stored without loss."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be text, got {type(value).__name__}: {value!r:.80}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name} must be Unicode text, got {value!r:.80}") from error
    # Not str(value), which of an enumeration's member is its name.
    return str.__str__(value)


def _stored(array: object, name: str) -> NDArray[Any]:
    """Return a read-only view (a copy, where the layout has to change) of an array."""
    if not isinstance(name, str) or not name.isprintable() or name == "__metadata__":
        raise ValueError(f"the name of an array must be printable text, got {name!r}")
    if (
        not isinstance(array, np.ndarray)
        or array.dtype.kind not in _DTYPE_KINDS
        or array.dtype.itemsize > _DTYPE_BYTES
    ):
        raise TypeError(
            f"arrays[{name!r}] must be a NumPy array of booleans, integers or floats of up to 64 "
            f"bits, got {getattr(array, 'dtype', type(array).__name__)}; convert it first"
        )
    view = np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C").view()
    view.flags.writeable = False
    return view
