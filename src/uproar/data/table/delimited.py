"""Text files of tables: their encoding, separator, quotes and header."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pandas as pd

from uproar.types import Source, UproarError

Quoting = Literal[0, 3]  # csv.QUOTE_MINIMAL, csv.QUOTE_NONE

TABS = (".tsv", ".tab")
DELIMITED = (".csv", ".txt", *TABS)
LOOKED_AT = 1000  # lines in which a first line without names is recognised
MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}  # what such files begin with


def read_delimited(
    path: Path, *, source: Source, header: bool | None, names: Sequence[str]
) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows of a file, and the names that its columns have there.

    Parameters are those of :func:`uproar.data.table.files.read_table`.

    :raises UproarError: when the file has another encoding, is empty or has ragged rows.
    """
    text = _text(path, source.encoding)
    separator = _separator(path, text)
    quoting = _quoting(text, separator)
    first, below = _check_rows(path, text, separator, quoting)
    if header is None:
        header = _has_header(first, below, names)
    frame = _parse(path, text, separator, quoting, header=header)
    return frame, [name.strip() if header else str(i) for i, name in enumerate(first)]


def _parse(
    path: Path, text: str, separator: str, quoting: Quoting, *, header: bool
) -> pd.DataFrame:
    comma = separator == ";" and _has_decimal_commas(text)
    try:
        return pd.read_csv(
            io.StringIO(text),
            sep=separator,
            quoting=quoting,
            skipinitialspace=True,
            header=0 if header else None,
            index_col=False,
            low_memory=False,
            decimal="," if comma else ".",
        )
    except ValueError as error:  # pandas' errors of parsing are ValueErrors
        raise UproarError(f"{path} is no table: {' '.join(str(error).split())}") from error


def _text(path: Path, encoding: str) -> str:
    raw = path.read_bytes()
    if path.suffix.lower() == ".gz":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise UproarError(f"{path} is no complete gzip file: {error}") from error
    if not raw.strip():
        raise UproarError(f"{path} is empty")
    if encoding.lower().replace("_", "-") in {"utf-8", "utf8"}:
        encoding = "utf-8-sig"  # the same, less the mark that Excel writes at the start
    try:
        return raw.decode(encoding)
    except LookupError as error:
        raise UproarError(f"unknown encoding {encoding!r}; try utf-8 or latin-1") from error
    except UnicodeDecodeError as error:
        other = MARKS.get(raw[:2], "latin-1")
        line = raw.count(b"\n", 0, error.start) + 1
        raise UproarError(
            f"{path} is not {encoding.removesuffix('-sig')}: byte 0x{raw[error.start]:02x} at "
            f"position {error.start}, line {line}; pass --encoding {other} "
            f'(encoding = "{other}" under [source] in a spec)'
        ) from error


def _separator(path: Path, text: str) -> str:
    if path.name.lower().removesuffix(".gz").endswith(TABS):
        return "\t"
    first = re.sub(r'"[^"]*"', "", text.lstrip().partition("\n")[0])
    return max(",;\t", key=first.count)  # the comma, of a column alone


def _quoting(text: str, separator: str) -> Quoting:
    """Take quotes in files with tabs for part of the text, unless they come in pairs around it."""
    if separator != "\t":
        return csv.QUOTE_MINIMAL
    cells = re.findall(r'(?:^|\t)("[^\t\r\n]*)', text, flags=re.MULTILINE)
    paired = all(len(cell) > 1 and cell.endswith('"') for cell in cells)
    return csv.QUOTE_MINIMAL if paired else csv.QUOTE_NONE


def _check_rows(
    path: Path, text: str, separator: str, quoting: Quoting
) -> tuple[list[str], list[list[str]]]:
    """Return the first line and some of those below; pandas would fill short rows silently."""
    rows = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=separator,
        quoting=quoting,
        skipinitialspace=True,
    )
    first: list[str] = []
    head: list[list[str]] = []
    try:
        for row in rows:
            if len(row) < 2 and not "".join(row).strip():
                continue  # a blank line
            first = first or row
            if len(row) != len(first):
                raise UproarError(
                    f"{path}, line {rows.line_num}: {len(row)} cells, but the first line has "
                    f"{len(first)}"
                )
            if len(head) <= LOOKED_AT:
                head.append(row)
    except csv.Error as error:
        raise UproarError(
            f"{path}, line {rows.line_num}: {error}; is a quote not closed?"
        ) from error
    return first, head[1:]


def _has_header(first: list[str], below: list[list[str]], names: Sequence[str]) -> bool:
    asked = {name for name in names if name}
    if not all(name.isdecimal() for name in asked):
        return True  # if it lacks them, the message for an unknown name lists what it has
    if not asked <= {title.strip() for title in first}:
        return False
    columns = zip(*below, strict=True)
    return not any(value in column for value, column in zip(first, columns, strict=False))


def _has_decimal_commas(text: str) -> bool:
    return bool(re.search(r"(?:^|;)-?\d+,\d+(?:;|$)", text, flags=re.MULTILINE)) and not re.search(
        r"(?:^|;)-?\d+\.\d+(?:;|$)", text, flags=re.MULTILINE
    )
