"""Tables of one's own: files and data frames, whose columns are features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from uproar.data.columns import column_kind, listed
from uproar.data.labels import MOST_CLASSES, encode_labels, task_of
from uproar.data.split import divided, in_proportion
from uproar.data.table.encoding import TableEncoder
from uproar.data.table.files import read_table, stem
from uproar.dataset import PARTS, Data, Split
from uproar.registry import unknown
from uproar.types import Source, Task, UproarError

USUAL = ("target", "label", "labels", "class", "y", "outcome")
MOST_CELLS = 1_000_000  # of test, to be kept as text for people


@dataclass(frozen=True)
class _Part:
    """Columns of one part, and the labels of its rows."""

    columns: pd.DataFrame
    labels: pd.Series

    def rows(self, places: NDArray[np.int64]) -> _Part:
        return _Part(self.columns.iloc[places], self.labels.iloc[places])


Parts = dict[str, _Part]


def from_path(path: Path, *, seed: int, source: Source) -> Data:
    """Read the table in a file, and those of ``source.test`` and ``source.validation``.

    As :func:`from_frame`; files are those of :func:`uproar.data.table.files.read_table`.

    :raises UproarError: when a file cannot be read, or does not fit.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "ages.csv")
    ...     rows = "".join(f"{age},{age % 7},{'yes' if age > 50 else 'no'}\\n" for age in range(99))
    ...     _ = path.write_text(f"age,day,retired\\n{rows}")
    ...     data = from_path(path, seed=0, source=Source(target="retired"))
    >>> data.name, data.feature_names, data.class_names
    ('ages', ('age', 'day'), ('no', 'yes'))
    """
    names = (source.target, *source.drop)

    def read(file: str | Path) -> pd.DataFrame | None:
        return read_table(Path(file), source=source, names=names) if file else None

    train = read_table(path, source=source, names=names)
    others = read(source.test), read(source.validation)
    return from_frame(train, *others, name=stem(path.absolute()), seed=seed, source=source)


def from_frame(
    train: pd.DataFrame,
    test: pd.DataFrame | None = None,
    validation: pd.DataFrame | None = None,
    *,
    name: str,
    seed: int,
    source: Source,
    standardise_labels: bool = True,
) -> Data:
    """Return a table whose columns are features, encoded by what train says.

    Numbers are standardised; a column of text is one value for every level, and one feature. Parts
    that are missing are split off train by ``seed``, with the classes in proportion. Rows without
    label are left out.

    :param train: rows are examples, one column has the labels.
    :param test: as ``train``, which it is split off when None; as is ``validation``.
    :param source: ``target``, ``drop``, ``task`` and ``examples``, the most of all parts.
    :param standardise_labels: whether the labels of a regression are standardised.
    :raises UproarError: when target or drop are no columns, labels are of one class, or columns
        cannot be features.

    >>> frame = pd.DataFrame({"x": range(60), "z": ["a", "b"] * 30, "y": [0.5, 1.7, 3.1] * 20})
    >>> data = from_frame(frame, name="mine", seed=0, source=Source(target="y"))
    >>> data.task, data.train.inputs.shape, data.feature_shape
    ('regression', (42, 3), (2,))
    """
    given = {"train": train, "validation": validation, "test": test}
    frames = {part: _plain(frame, part) for part, frame in given.items() if frame is not None}
    target = _target(frames["train"], source)
    what = f"label {target!r}"
    parts, notes = _labelled(frames, target, source.drop)
    task, told = task_of(parts["train"].labels, task=source.task, what=what)
    labels = {part: in_proportion(one.labels, task) for part, one in parts.items()}
    places = divided(labels, source=source, what=what, name=name, seed=seed)
    return _encoded(
        {part: parts[of].rows(rows) for part, (of, rows) in places.items()},
        task,
        what,
        name=name,
        standardise_labels=standardise_labels,
        notes=(*notes, *told),
    )


def candidates(frame: pd.DataFrame) -> tuple[str, ...]:
    """Return the columns that could be the target, likeliest first.

    Those with a usual name, then the last column, then all with 2 to 20 distinct values.

    >>> candidates(pd.DataFrame({"id": range(50), "sex": ["f", "m"] * 25, "score": range(50)}))
    ('score', 'sex')
    """
    few = [
        str(name)
        for name, values in frame.items()
        if column_kind(values) in {"number", "truth", "level"}
        and 2 <= values.nunique() <= MOST_CLASSES
    ]
    usual = [str(name) for name in frame.columns if str(name).lower() in USUAL]
    return tuple(dict.fromkeys([*usual, str(frame.columns[-1]), *few]))


def _plain(frame: pd.DataFrame, part: str) -> pd.DataFrame:
    """Name the columns by text, each by its own."""
    named = frame.set_axis([str(name) for name in frame.columns], axis=1)
    twice = named.columns[named.columns.duplicated()].unique().tolist()
    if twice:
        raise UproarError(f"{part} has more than one column called {listed(twice)}; rename them")
    return named


def _target(train: pd.DataFrame, source: Source) -> str:
    columns = list(train.columns)
    if not source.target:
        raise UproarError(
            "say which column has the labels with --target (target under [source] in a spec, "
            f"target= in Python); it could be {listed(candidates(train))}"
        )
    if source.target not in columns:
        raise UproarError(unknown(source.target, columns, "target", listed=listed(columns, 20)))
    for name in source.drop:
        if name not in columns:
            raise UproarError(unknown(name, columns, "column in drop", listed=listed(columns, 20)))
    if source.target in source.drop:
        raise UproarError(f"{source.target!r} is the target, and cannot be in drop as well")
    return source.target


def _labelled(
    frames: Mapping[str, pd.DataFrame], target: str, drop: Sequence[str]
) -> tuple[Parts, tuple[str, ...]]:
    """Take the labels apart, and leave out what is to be dropped and the rows without label."""
    parts, notes = {}, []
    for part, frame in frames.items():
        notes += list(frame.attrs.get("notes", ()))
        if target not in frame.columns:
            raise UproarError(
                f"{part}: there is no column {target!r} with the labels; it has "
                f"{listed(list(frame.columns))}"
            )
        kept = frame[frame[target].notna()]
        if len(kept) < len(frame):
            notes.append(
                f"{len(frame) - len(kept)} of {len(frame)} rows of {part} have no label "
                f"{target!r}; they were left out."
            )
        parts[part] = _Part(kept.drop(columns=[target, *drop], errors="ignore"), kept[target])
    return parts, tuple(notes)


def _encoded(
    parts: Parts,
    task: Task,
    what: str,
    *,
    name: str,
    standardise_labels: bool,
    notes: tuple[str, ...],
) -> Data:
    encoder = TableEncoder.fit(parts["train"].columns)
    labels = encode_labels(
        parts["train"].labels,
        [parts["validation"].labels, parts["test"].labels],
        task=task,
        what=what,
        standardise=standardise_labels,
    )
    inputs = {part: encoder.encode(parts[part].columns, part=part) for part in PARTS}
    splits = {p: Split(inputs[p][0], y) for p, y in zip(PARTS, labels.values, strict=True)}
    test = parts["test"].columns
    readable = len(test) * len(encoder.columns) <= MOST_CELLS
    return Data(
        name=name,
        kind="table",
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
        feature_shape=(len(encoder.columns),),
        class_names=labels.class_names,
        feature_names=encoder.feature_names,
        feature_of_value=encoder.feature_of_value,
        label_centre=labels.centre,
        label_scale=labels.scale,
        test_texts=encoder.texts(test) if readable else None,
        notes=(*notes, *encoder.notes, *(note for part in PARTS for note in inputs[part][1])),
    )
