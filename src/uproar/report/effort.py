"""What would make a run more certain, in words: from the parts of its error."""

from __future__ import annotations

from collections.abc import Sequence

from uproar.report.records import Record
from uproar.report.wording import is_missing, percent
from uproar.stats.effort import FIVE_FOLDS

MORE = {
    "repeats": "more repeats",
    "base models": "more base models",
    "folds": "more folds",
    "examples": "more test examples",
}


def comes_from(rows: Sequence[Record]) -> str:
    """Return which part of the squared error each kind of draw makes, in words.

    >>> from uproar.report.wording import SPACE
    >>> comes_from([{"level": "base models", "units": 5, "share": 0.4},
    ...     {"level": "examples", "units": 90, "share": 0.6}]).replace(SPACE, " ")
    'The error comes from base models (40 %) and examples (60 %).'
    """
    parts = [
        f"{row['level']} ({percent(row['share'], 0)})"
        for row in rows
        if not is_missing(row["share"])
    ]
    if not parts:
        return ""
    listed = " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)
    return f"The error comes from {listed}."


def next_step(rows: Sequence[Record]) -> str:
    """Return how far more of each kind of effort can narrow the intervals, the cheapest first.

    :param rows: level, units, share and narrows of one protocol; see
        :func:`uproar.stats.effort.parts_of_error`.

    >>> from uproar.report.wording import SPACE
    >>> next_step([{"level": "base models", "units": 3, "narrows": 0.5},
    ...     {"level": "repeats", "units": 5, "narrows": 0.02}]).replace(SPACE, " ")
    'More repeats cannot narrow the intervals by more than 2 %, more base models by 50 %.'
    >>> next_step([{"level": "repeats", "units": 5, "narrows": 0.02},
    ...     {"level": "five folds", "units": 1, "narrows": 0.4}]).replace(SPACE, " ")
    'More repeats cannot narrow the intervals by more than 2 %; five folds in place of one split \
would by about 40 %, unless much depends on the training examples.'
    """
    known = {str(row["level"]): row for row in rows}
    tried = [(what, known.get(level)) for level, what in MORE.items()]
    gains = [(what, percent(row["narrows"], 0)) for what, row in tried if row and _known(row)]
    if not gains:
        return ""
    (first, most), *others = gains
    parts = [f"{first.capitalize()} cannot narrow the intervals by more than {most}"]
    parts += [f"{what} by {share}" for what, share in others]
    alone = known.get("base models")
    if alone and alone["units"] == 1:
        parts[-1] += "; they are for this one base model, and say nothing of others"
    folds = known.get(FIVE_FOLDS)
    if folds and _known(folds) and float(folds["narrows"]) > 0:
        most = percent(folds["narrows"], 0)
        parts[-1] += (
            f"; {FIVE_FOLDS} in place of one split would by about {most}, unless much depends on "
            "the training examples"
        )
    return f"{', '.join(parts)}."


def _known(row: Record) -> bool:
    return not is_missing(row["narrows"])
