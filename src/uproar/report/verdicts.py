"""Verdicts: their symbols, short names and meaning; colour is never the only sign."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from uproar.report.records import Record

RANDOM = "random"


@dataclass(frozen=True)
class Verdict:
    """One of the answers that a protocol can give about an explainer.

    ``key`` names the style; ``prefix`` is how the table's verdict begins.
    """

    key: str
    prefix: str
    symbol: str
    short: str
    meaning: str


BETTER = Verdict(
    "better",
    "better",
    "▲",
    "better",
    "The gain is above zero, and would rarely be so large by chance (p < 0.05 after Holm's "
    "correction for the number of explainers).",
)
ALIKE = Verdict(
    "alike",
    "indistinguishable",
    "●",
    "indistinguishable",
    "This run cannot tell the explainer from random, once chance is corrected for the number of "
    "explainers. That is not proof of equality: a smaller gain than the run could detect would "
    "look the same.",
)
WORSE = Verdict(
    "worse",
    "worse",
    "▼",
    "worse",
    "The gain is below zero, and would rarely be so small by chance (p < 0.05 after Holm's "
    "correction for the number of explainers).",
)
WITHHELD = Verdict(
    "withheld",
    "withheld",
    "⚠",
    "withheld: leaks",
    "The mask alone predicts the label, so that the retrained model may read the label from the "
    "mask. The protocol cannot answer for this explainer.",
)
VERDICTS = (BETTER, ALIKE, WORSE, WITHHELD)
REFERENCE = Verdict(
    "reference", "reference", "◇", "reference", "What the others are compared with."
)
NOT_RUN = Verdict("none", "", "\N{EN DASH}", "no verdict", "The protocol gave no verdict.")


def verdict_of(row: Record | None) -> Verdict:
    """Return the verdict of one row of the gains.

    >>> verdict_of({"explainer": "ig", "verdict": "withheld: mask leaks"}).symbol
    '⚠'
    """
    if row is None:
        return NOT_RUN
    if row.get("explainer") == RANDOM:
        return REFERENCE
    text: Any = row.get("verdict")
    if isinstance(text, str):
        for verdict in VERDICTS:
            if text.startswith(verdict.prefix):
                return verdict
    return NOT_RUN


def counted(rows: Iterable[Record]) -> dict[str, int]:
    """Return how many explainers got each verdict; random, being the measure, is left out."""
    counts = {verdict.key: 0 for verdict in VERDICTS}
    for row in rows:
        key = verdict_of(row).key
        if key in counts:
            counts[key] += 1
    return counts
