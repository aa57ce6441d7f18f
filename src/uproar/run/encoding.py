"""Outcomes to bytes and back, with a checksum over everything; nothing is ever unpickled.

An outcome is one safetensors file. Its metadata has a single entry (several would be written in
an arbitrary order, and equal outcomes have equal bytes): the sealed record, which is the canonical
JSON of the cell, the values, the times and the provenance together with their checksum.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from uproar.run.cell import JSON, Cell, Outcome, canonical

FORMAT = 1
_ENTRY = "uproar"
_UNREADABLE = (SafetensorError, ValueError, KeyError, TypeError, OverflowError, RecursionError)


class Damaged(Exception):  # noqa: N818 - a state of a file that the store repairs, not an error
    """A file that is not what was once written, with the reason in a few words."""


class OtherFormat(Exception):  # noqa: N818 - as above
    """A whole file in a format that this version does not read; the message is its number."""


def encode(cell: Cell, outcome: Outcome) -> bytes:
    """Return the file of an outcome; equal outcomes of equal cells give equal bytes.

    >>> cell = Cell("metric", {"seed": 0})
    >>> decode(encode(cell, Outcome({"value": 0.5})), cell).values
    {'value': 0.5}
    """
    # Eight answers to a byte: most of what is stored says which example was classified correctly.
    booleans = {name: array for name, array in outcome.arrays.items() if array.dtype == np.bool_}
    record = {
        **_heading(cell),
        "values": outcome.values,
        "seconds": outcome.seconds,
        "provenance": outcome.provenance,
        "packed": {name: list(array.shape) for name, array in booleans.items()},
    }
    arrays = dict(outcome.arrays) | {name: np.packbits(array) for name, array in booleans.items()}
    return bytes(safetensors.numpy.save(arrays, {_ENTRY: _seal(record, arrays)}))


def decode(raw: bytes, cell: Cell) -> Outcome:
    """Return the outcome that a file holds, after checking every byte that matters.

    :raises Damaged: when the bytes are not those of a whole outcome of this cell.
    :raises OtherFormat: when they are whole, and in another format.
    """
    try:
        arrays = safetensors.numpy.load(raw)
        # The library does not return the metadata of bytes; the format puts the length of the
        # JSON header into the first eight bytes, and the library has just checked it.
        header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
        record = _unseal(header["__metadata__"][_ENTRY], arrays)
        _check_cell(record, cell.key)
        for name, shape in record["packed"].items():
            answers = np.unpackbits(arrays[name], count=math.prod(shape))
            arrays[name] = answers.view(np.bool_).reshape(shape)
        return Outcome(record["values"], arrays, record["seconds"], record["provenance"])
    except _UNREADABLE as error:
        raise Damaged(f"not a readable outcome ({type(error).__name__})") from error


def encode_note(cell: Cell, note: Mapping[str, str]) -> bytes:
    """Return the file of a failure or a skip, which people may want to read: sealed JSON."""
    # Error texts may quote undecodable file names, which JSON could not give back.
    texts = {name: text.encode(errors="backslashreplace").decode() for name, text in note.items()}
    return _seal({**_heading(cell), "label": cell.label, "note": texts}, {}).encode()


def decode_note(raw: bytes, key: str) -> tuple[Cell, dict[str, str]]:
    """Return the cell with this key, and the note about it.

    :raises Damaged: when the bytes are not those of a whole note of that cell.
    :raises OtherFormat: when they are whole, and in another format.
    """
    try:
        record = _unseal(raw.decode(), {})
        _check_cell(record, key)
        return Cell(record["kind"], record["fields"], record["label"]), record["note"]
    except _UNREADABLE as error:
        raise Damaged(f"not a readable record ({type(error).__name__})") from error


def _heading(cell: Cell) -> dict[str, JSON]:
    return {"format": FORMAT, "kind": cell.kind, "fields": cell.fields}


def _check_cell(record: dict[str, JSON], key: str) -> None:
    """Refuse a whole record that is of another format or of another cell."""
    if record["format"] != FORMAT:
        raise OtherFormat(str(record["format"]))
    if Cell(record["kind"], record["fields"]).key != key:
        raise Damaged("it holds another cell")


def _seal(record: dict[str, JSON], arrays: Mapping[str, NDArray[Any]]) -> str:
    return canonical({"checksum": _checksum(record, arrays), "record": record})


def _unseal(text: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, JSON]:
    """Return a sealed record; ``Damaged`` when it or the arrays are not what was sealed."""
    envelope = json.loads(text)
    record: dict[str, JSON] = envelope["record"]
    if envelope["checksum"] != _checksum(record, arrays):
        raise Damaged("its checksum does not match")
    return record


def _checksum(record: JSON, arrays: Mapping[str, NDArray[Any]]) -> str:
    """Hash the record and name, type, shape and bytes of every array."""
    described = [
        (name, array.dtype.str, array.shape, array.nbytes) for name, array in sorted(arrays.items())
    ]
    # One text that holds all lengths, so that no byte can move from one array to the next.
    digest = hashlib.sha256(canonical([record, described]).encode())
    for _, array in sorted(arrays.items()):
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
