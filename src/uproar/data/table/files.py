"""Files of tables: what cannot be read without a guess is refused in one line."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from uproar.data.columns import listed
from uproar.data.table.delimited import DELIMITED, read_delimited
from uproar.types import Source, UproarError

ENDINGS = (*DELIMITED, *(f"{ending}.gz" for ending in DELIMITED), ".parquet")


def is_table(path: Path) -> bool:
    """Whether the name of a file is that of a table.

    >>> is_table(Path("a.csv.gz")), is_table(Path("a.zip"))
    (True, False)
    """
    return path.name.lower().endswith(ENDINGS)


def stem(path: Path) -> str:
    """Return the name of a file without its endings.

    >>> stem(Path("data/people.csv.gz"))
    'people'
    """
    name = path.name
    for ending in (".gz", *DELIMITED, ".parquet", ".zip", ".npz"):
        if name.lower().endswith(ending):
            name = name[: -len(ending)]
    return name or path.name


def read_table(
    path: Path,
    *,
    source: Source = Source(),  # noqa: B008 - frozen
    header: bool | None = None,
    names: Sequence[str] = (),
) -> pd.DataFrame:
    """Return the table in a CSV, TSV, TXT (each also ``.gz``) or Parquet file.

    ``.tsv`` and ``.tab`` have tabs; the others have the one of comma, semicolon and tab that the
    first line has most of. Columns without header are called "0", "1", …. A column that is there
    twice with the same values is read once; a first column without name that counts the rows is
    left out. What was left out is told in ``frame.attrs["notes"]``, a line each.

    :param source: ``encoding``, of all but Parquet.
    :param header: whether the first line has the names of the columns. By default it has when one
        of ``names`` is no number, and has not when it lacks one of them. Without ``names``, or
        with numbers that are all there, it has unless a value of the first line comes again below,
        in its own column, as names do not.
    :param names: columns that the caller will ask for.
    :raises UproarError: when there is no such file or it is empty, has another encoding, rows of
        unequal length or two different columns of one name, or is no table.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "people.csv")
    ...     _ = path.write_text("name;age\\nAda;36\\n")
    ...     read_table(path).to_dict("list")
    {'name': ['Ada'], 'age': [36]}
    """
    check_exists(path)
    if not is_table(path):
        raise UproarError(f"{path}: a table ends in one of {', '.join(ENDINGS)}")
    if path.suffix.lower() == ".parquet":
        return _read_parquet(path)
    frame, titles = read_delimited(path, source=source, header=header, names=names)
    if frame.empty:
        raise UproarError(f"{path} has a header but no rows")
    return _named(frame, titles, path)


def check_exists(path: Path) -> None:
    """Refuse a path that is no file, with the close names in its folder.

    :raises UproarError: when it is a folder, or not there.
    """
    if path.is_dir():
        raise UproarError(f"{path} is a folder; a table is one file")
    if path.exists():
        return
    if not path.parent.is_dir():
        raise UproarError(f"there is no folder {str(path.parent)!r} for {path.name!r}")
    others = sorted(other.name for other in path.parent.iterdir())
    close = difflib.get_close_matches(path.name, others, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
    raise UproarError(f"there is no file {str(path)!r}{hint}")


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
        raise UproarError(f"{path} is no Parquet file: {str(error).splitlines()[0]}") from error
    if frame.empty:
        raise UproarError(f"{path} has no rows")
    return _named(frame, [str(name) for name in frame.columns], path)


def _named(frame: pd.DataFrame, titles: list[str], path: Path) -> pd.DataFrame:
    """Name the columns as the file does: pandas would call a second ``age`` ``age.1``."""
    notes, kept = [], list(range(len(titles)))
    if not titles[0] and len(titles) > 1 and _counts_rows(frame.iloc[:, 0]):
        notes.append(f"The first column of {path.name} only counts the rows; it was left out.")
        kept.remove(0)
    twice = sorted({title for title in titles if titles.count(title) > 1})
    for title in twice:
        places = [place for place in kept if titles[place] == title]
        for place in places[1:]:
            if not frame.iloc[:, place].equals(frame.iloc[:, places[0]]):
                raise UproarError(
                    f"{path} has {len(places)} columns called {title!r} (columns "
                    f"{places[0] + 1} and {place + 1}) with different values; rename one"
                )
            kept.remove(place)
    if twice:
        notes.append(
            f"{path.name} has columns twice, with the same values; they were read once: "
            f"{listed(twice)}."
        )
    named = frame.iloc[:, kept]
    named.columns = pd.Index([titles[place] or f"column {place + 1}" for place in kept])
    named.attrs["notes"] = tuple(notes)
    return named


def _counts_rows(values: pd.Series) -> bool:
    return pd.api.types.is_integer_dtype(values.dtype) and bool((values.diff()[1:] == 1).all())
