"""Texts and their labels, from files or from Python, as token ids."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from uproar.data.labels import encode_labels, task_of
from uproar.data.split import divided, in_proportion
from uproar.data.table.files import read_table, stem
from uproar.data.text.labelled_texts import Labelled, labelled
from uproar.data.text.tokens import MOST_TOKENS, Tokenizer, Words, filled, fit_words, words_of
from uproar.dataset import PARTS, Data, Split, Vocabulary
from uproar.types import Source, UproarError

UNREAD = Source()

Texts = tuple[Collection[object], ArrayLike]  # each is checked to be a string


def from_path(
    path: str | Path, *, seed: int, source: Source = UNREAD, tokenizer: Tokenizer | None = None
) -> Data:
    """Return the texts in a TSV, CSV or Parquet file as token ids.

    ``source.text`` and ``source.target`` name the columns, by number ("0", "1") in files without
    header; without them, columns that are called like that ("sentence", "label") are taken.
    ``source.test`` and ``source.validation`` are files of the same columns; what is missing is
    split off by ``seed``.

    :param tokenizer: by default the words of the training texts, see
        :func:`uproar.data.text.tokens.fit_words`.
    :raises UproarError: when a file cannot be read, has no such columns, or a text is empty.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "reviews.tsv")
    ...     rows = 10 * ["a fine film\\tgood\\n", "a poor film\\tbad\\n"]
    ...     _ = path.write_text("sentence\\tlabel\\n" + "".join(rows))
    ...     data = from_path(path, seed=0)
    >>> data.name, data.class_names, data.feature_shape, len(data.train)
    ('reviews', ('bad', 'good'), (3,), 14)
    """
    files = {"train": str(path), "validation": source.validation, "test": source.test}
    parts, notes = {}, []
    for part, file in files.items():
        if file:
            frame = _read(Path(file), source)
            notes += [note for note in frame.attrs.get("notes", ()) if note not in notes]
            parts[part] = labelled(frame, where=Path(file).name, source=source)
    return of_parts(
        parts, name=stem(Path(path)), seed=seed, source=source, tokenizer=tokenizer, notes=notes
    )


def _read(file: Path, source: Source) -> pd.DataFrame:
    names = tuple(name for name in (source.text, source.target) if name)
    if not names or not all(name.isdecimal() for name in names):
        return read_table(file, source=source, names=names)
    # By number: the first line is an example, whose label may well be such a number.
    frame = read_table(file, source=source, header=False)
    if frame.iloc[0].astype(str).tolist() == frame.columns.tolist():
        return read_table(file, source=source, header=True)
    return frame


def from_texts(
    train: Texts,
    test: Texts | None = None,
    validation: Texts | None = None,
    *,
    name: str = "texts",
    seed: int = 0,
    source: Source = UNREAD,
    tokenizer: Tokenizer | None = None,
) -> Data:
    """Return texts as token ids; parts that are None are split off by ``seed``.

    :param train: texts and as many labels, classes of any kind or numbers.
    :param tokenizer: as for :func:`from_path`.
    :raises UproarError: when a text is empty or no text, or labels do not match.

    >>> train = 10 * ["a fine film", "a poor film"], 10 * ["good", "bad"]
    >>> data = from_texts(train, seed=0)
    >>> sorted(data.vocabulary.tokens[3:]), data.train.inputs.shape
    (['a', 'film', 'fine', 'poor'], (14, 3))
    """
    parts: dict[str, Labelled] = {}
    for part, given in zip(PARTS, (train, validation, test), strict=True):
        if given is None:
            continue
        texts, labels = given
        if len(texts) != len(np.asarray(labels)):
            raise UproarError(
                f"{part}: every text needs a label, got {len(texts)} texts and "
                f"{len(np.asarray(labels))} labels"
            )
        frame = pd.DataFrame({"text": np.array([*texts, None], dtype=object)[:-1]})
        # By place, whatever the index of a series.
        frame["label"] = labels.array if isinstance(labels, pd.Series) else np.asarray(labels)
        columns = replace(source, text="text", target="label")
        parts[part] = labelled(frame, where=part, source=columns)
    return of_parts(parts, name=name, seed=seed, source=source, tokenizer=tokenizer)


def of_parts(
    parts: Mapping[str, Labelled],
    *,
    name: str,
    seed: int,
    source: Source,
    tokenizer: Tokenizer | None,
    notes: Sequence[str] = (),
) -> Data:
    """Draw what is used, split off the parts that are missing, and encode texts and labels."""
    what = f"label {parts['train'].labels.name!r}"
    kept, left_out = _with_labels(parts, what)
    task, told = task_of(kept["train"].labels, task=source.task, what=what)
    proportions = {part: in_proportion(one.labels, task) for part, one in kept.items()}
    places = divided(proportions, source=source, what=what, name=name, seed=seed)
    whole = [kept[of].at(rows) for of, rows in map(places.__getitem__, PARTS)]
    labels = encode_labels(
        whole[0].labels, [part.labels for part in whole[1:]], task=task, what=what
    )
    tokenizer = tokenizer or fit_words(whole[0].texts)
    inputs, cut = _encoded(whole, tokenizer, source.length)
    splits = [Split(ids, values) for ids, values in zip(inputs, labels.values, strict=True)]
    length = inputs[0].shape[1]
    return Data(
        name=name,
        kind="text",
        train=splits[0],
        validation=splits[1],
        test=splits[2],
        feature_shape=(length,),
        class_names=labels.class_names,
        vocabulary=tokenizer.vocabulary,
        test_texts=_words(whole[2], length) if isinstance(tokenizer, Words) else None,
        label_centre=labels.centre,
        label_scale=labels.scale,
        notes=(*notes, *left_out, *told, *cut),
    )


def _with_labels(parts: Mapping[str, Labelled], what: str) -> tuple[dict[str, Labelled], list[str]]:
    kept, notes = {}, []
    for key, part in parts.items():
        places = np.flatnonzero(part.labels.notna())
        kept[key] = part.at(places)
        if len(places) < len(part):
            missing = len(part) - len(places)
            notes.append(
                f"{missing} of {len(part)} texts of {key} have no {what}; they were left out."
            )
    return kept, notes


def _encoded(
    parts: Sequence[Labelled], tokenizer: Tokenizer, wanted: int
) -> tuple[list[NDArray[np.int64]], list[str]]:
    """Return the ids of every part, (examples, length), and a note for each that was cut."""
    vocabulary = tokenizer.vocabulary
    encoded = [tokenizer(part.texts.tolist()) for part in parts]
    for part, texts in zip(parts, encoded, strict=True):
        _check_filled(part, texts, vocabulary)
    length = wanted or min(MOST_TOKENS, max(map(len, encoded[0])))
    why = "the length that was asked for" if wanted else "say length for more"
    if tokenizer.longest and length >= tokenizer.longest:
        length, why = tokenizer.longest, "the model takes no more"
    notes = []
    for name, texts in zip(PARTS, encoded, strict=True):
        longer = sum(len(text) > length for text in texts)
        if longer:
            notes.append(
                f"{longer} of {len(texts)} texts of {name} are longer than {length} tokens and "
                f"were cut there ({why})."
            )
    return [filled(texts, length=length, vocabulary=vocabulary) for texts in encoded], notes


def _words(part: Labelled, length: int) -> NDArray[Any]:
    """Return the words of every text, those too that the vocabulary lacks, (examples, length)."""
    words = [words_of(text)[:length] for text in part.texts]
    return np.array([[*row, *[""] * (length - len(row))] for row in words], dtype=np.str_)


def _check_filled(part: Labelled, encoded: Sequence[Sequence[int]], vocabulary: Vocabulary) -> None:
    special = set(vocabulary.special)
    empty = [row for row, ids in zip(part.rows, encoded, strict=True) if special.issuperset(ids)]
    if empty:
        more = f", as are {len(empty) - 1} more" if len(empty) > 1 else ""
        raise UproarError(
            f"{part.where}, row {empty[0]}: the text is empty{more}; leave such examples out"
        )
