"""A first spec for data of one's own, from looking at them: what `uproar init` writes."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomlkit

from uproar.bench.checks import fitting_removals
from uproar.cli.flags import DESCRIPTIONS
from uproar.data import DATA, kind_of
from uproar.models import MODELS
from uproar.plan.defaults import defaults
from uproar.plan.spec import Spec
from uproar.types import KINDS, Kind, Recipe, Source

if TYPE_CHECKING:
    import pandas as pd

WORDS = 3  # mean number of words from which a column is text
SHOWN_COLUMNS = 60
ESTIMATOR = "sklearn:HistGradientBoostingClassifier"
HINTED = ("fractions", "repeats", "target", "text", "drop", "patch")
ADVICE = {
    "repeats": "; `uproar plan` says what they cost",
    "target": ": please check",
    "drop": ": identifiers, and what gives the label away",
}


def draft(name: str, *, encoding: str = Source.encoding) -> str:
    """Return a commented spec for the data, as TOML: kind, candidates for the target, sizes.

    :param name: as `uproar run` takes it.
    :param encoding: of CSV and TSV files.
    :raises UproarError: when there are no such data, or they cannot be read.

    >>> print(draft("digits").splitlines()[0])
    # digits: 1,797 hand-written digits, 8 × 8 grey, 10 classes
    """
    kind = kind_of(name)
    registered = [entry.summary for entry in DATA if entry.name == name]
    source: dict[str, Any] = {}
    if registered or ":" in name:
        facts = registered or ["say which column has the labels"]
    elif Path(name).suffix.lower() == ".npz":
        facts, source = _archive(name)
    elif kind == "image":
        facts, source = _images(name)
    else:
        facts, source = _table(name, encoding)
    if "text" in source:
        kind = "text"
    return _written(name, kind, facts, source)


def _table(name: str, encoding: str) -> tuple[list[str], dict[str, Any]]:
    """Look at a table: the sizes, every column, and which could be what."""
    from uproar.data.table.files import read_table
    from uproar.data.table.tables import candidates

    frame = read_table(Path(name), source=Source(encoding=encoding))
    facts = [f"{len(frame):,} rows, {frame.shape[1]} columns", *frame.attrs.get("notes", ())]
    facts += [_column(frame[column]) for column in frame.columns[:SHOWN_COLUMNS]]
    if frame.shape[1] > SHOWN_COLUMNS:
        facts.append(f"and {frame.shape[1] - SHOWN_COLUMNS} columns more")
    text = _text_column(frame)
    targets = [column for column in candidates(frame) if column != text]
    source: dict[str, Any] = {"text": text} if text and frame.shape[1] <= 4 else {}
    source["target"] = targets[0] if targets else ""
    if len(targets) > 1:
        facts.append(f"other candidates for the target: {', '.join(targets[1:6])}")
    if encoding != Source.encoding:
        source["encoding"] = encoding
    if not source.get("text"):
        source["drop"] = [
            c for c in map(str, frame.columns) if c != source["target"] and _names_rows(frame[c])
        ]
    return facts, source


def _column(values: pd.Series) -> str:
    missing = int(values.isna().sum())
    lacking = f", {missing:,} missing" if missing else ""
    first = ", ".join(str(value)[:20] for value in values.dropna().unique()[:3])
    return f"  {values.name}: {values.dtype}, {values.nunique():,} distinct{lacking} ({first}, …)"


def _text_column(frame: pd.DataFrame) -> str:
    """Return the column with the longest texts, if they are sentences."""
    import numpy as np

    lengths = {
        str(name): float(np.mean([len(str(value).split()) for value in values.dropna()]))
        for name, values in frame.items()
        if values.dtype.kind not in "ifub" and values.nunique() > len(values) // 2
    }
    longest = max(lengths, key=lengths.__getitem__, default="")
    return longest if longest and lengths[longest] >= WORDS else ""


def _names_rows(values: pd.Series) -> bool:
    """Say whether a column looks like an identifier: another text or whole number in every row."""
    return bool(values.dtype.kind not in "fb" and values.nunique() == len(values))


def _images(name: str) -> tuple[list[str], dict[str, Any]]:
    from uproar.data.image.class_folders import layout
    from uproar.data.image.decoding import Header, headers
    from uproar.data.image.image_files import tree

    with tree(Path(name)) as found:
        arranged = layout(found)
        facts = []
        for part, images in arranged.parts.items():
            classes = Counter(image.class_name for image in images)
            facts.append(f"{part}: {len(images):,} images in {len(classes)} classes")
        first = next(iter(arranged.parts.values()))[:100]
        read = [header for header in headers(first, _silent) if isinstance(header, Header)]
        sizes = Counter(f"{header.size[0]} × {header.size[1]}" for header in read)
        facts.append("sizes (width × height): " + _listed(size for size, _ in sizes.most_common()))
    return [*facts, *arranged.notes], {"patch": 1}


def _silent(done: int) -> None:
    del done


def _archive(name: str) -> tuple[list[str], dict[str, Any]]:
    from uproar.data.python.npz import headers

    found = headers(Path(name))
    facts = [f"  {key}: {kind} {shape}" for key, (shape, kind) in found.items()]
    return [f"{len(found)} arrays", *facts], {}


def _listed(names: Iterable[str], most: int = 5) -> str:
    shown = list(names)
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    return ", ".join(shown[:most]) + more


def _written(name: str, kind: Kind, facts: list[str], source: dict[str, Any]) -> str:
    chosen = defaults(name, Source(kind=kind))
    fits = [entry.name for entry in MODELS if entry.fits(kind)]
    other = [model for model in fits if model != chosen.model]
    other += [*([ESTIMATOR] if kind == "table" else []), "package.module:factory"]
    removals = ", ".join(fitting_removals(kind))
    lines = [
        _comment(f"{name}: {facts[0]}"),
        *map(_comment, facts[1:]),
        "",
        f"data = {_quoted(name)}",
        f"model = {_quoted(chosen.model)}  # or {_listed(other, 9)}",
        *_wrapped("explainers", [*chosen.explainers, *chosen.known_answers]),
        _line("protocols", list(Spec.model_fields["protocols"].default)),
        f"removals = {_quoted(list(chosen.removals))}  # of {removals}",
        *(_line(key, Spec.model_fields[key].default) for key in ("fractions", "repeats", "seed")),
    ]
    if source:
        lines += ["", "[source]", f"kind = {_quoted(kind)}"]
        lines += [_line(key, value) for key, value in source.items()]
    if chosen.model in {kind.model for kind in KINDS.values()}:
        recipe = asdict(Recipe(**chosen.recipe))
        shown = ("epochs", "learning_rate", "batch_size")
        lines += ["", "[recipe]", *(f"# {key} = {recipe[key]}" for key in shown)]
    return "\n".join(lines) + "\n"


def _comment(fact: str) -> str:
    """Return a comment of one line: names and values of people's own may hold line breaks."""
    return "# " + "".join(c if c.isprintable() else " " for c in fact)


def _wrapped(key: str, names: list[str]) -> list[str]:
    """Return an array of names in lines of readable length."""
    lines = textwrap.wrap(
        ", ".join(map(_quoted, names)), 90, break_on_hyphens=False, break_long_words=False
    )
    return [f"{key} = [", *(f"    {line}" for line in lines), "]"]


def _quoted(value: Any) -> str:
    return str(tomlkit.item(value).as_string())


def _line(key: str, value: Any) -> str:
    """Return an option with what it says of itself, up to the first stop, and our advice."""
    if key not in HINTED:
        return f"{key} = {_quoted(value)}"
    what = re.split("[,.]", DESCRIPTIONS[key])[0]
    return f"{key} = {_quoted(value)}  # {what[0].lower()}{what[1:]}{ADVICE.get(key, '')}"
