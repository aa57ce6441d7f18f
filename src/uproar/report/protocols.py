"""Protocols as the page knows them: what the content's table of protocols says, and no more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Curve:
    """One curve of a protocol: the name in the content's curves, and what its chart says."""

    name: str
    title: str
    reading: str
    direction: str  # that is better: "lower" where what is called important goes, else "higher"
    keeps: bool  # the fraction is what stays, else what goes


@dataclass(frozen=True)
class Protocol:
    """One protocol; the fields are those of ``ReportContent.protocols``."""

    name: str
    short: str
    meaning: str
    gain: str
    question: str
    compared: bool
    reads_own_masks: bool
    ordering: int
    curves: tuple[Curve, ...]

    @property
    def title(self) -> str:
        """Return what it is called at the beginning of a sentence or a heading."""
        return self.short[:1].upper() + self.short[1:]

    @property
    def retrains(self) -> bool:
        """Whether models are trained on what is left of the inputs; reliance asks the model."""
        return self.question != "reliance"

    @property
    def reads_removed(self) -> bool:
        """Whether its models are trained without what explainers call important, and read the mask.

        One that keeps just that is its mirror: where both can leak, the mirror does not speak.
        """
        return self.reads_own_masks and all(curve.direction == "lower" for curve in self.curves)


def protocols_of(rows: Iterable[Mapping[str, Any]], score: str) -> dict[str, Protocol]:
    """Return the protocols of a table with a row for each curve, by name, in the table's order.

    :param score: what models are judged by, in place of ``{score}`` in the table's texts.

    >>> row = {"protocol": "ours", "short": "Ours", "meaning": "See {score} fall.", "gain": "",
    ...     "question": "information", "compared": True, "reads_own_masks": True, "ordering": 1,
    ...     "curve": "ours", "direction": "lower", "keeps": False, "title": "Ours", "reading": ""}
    >>> protocols_of([row], "R²")["ours"].meaning
    'See R² fall.'
    """
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_name.setdefault(str(row["protocol"]), []).append(row)
    return {name: _protocol(name, own, score) for name, own in by_name.items()}


def _protocol(name: str, rows: list[Mapping[str, Any]], score: str) -> Protocol:
    def text(row: Mapping[str, Any], column: str) -> str:
        return str(row[column]).replace("{score}", score)

    first = rows[0]
    return Protocol(
        name=name,
        short=str(first["short"]),
        meaning=text(first, "meaning"),
        gain=text(first, "gain"),
        question=str(first["question"]),
        compared=bool(first["compared"]),
        reads_own_masks=bool(first["reads_own_masks"]),
        ordering=int(first["ordering"]),
        curves=tuple(
            Curve(
                name=str(row["curve"]),
                title=text(row, "title"),
                reading=text(row, "reading"),
                direction=str(row["direction"]),
                keeps=bool(row["keeps"]),
            )
            for row in rows
        ),
    )
