"""Verdicts: the symbol, short name, phrase and meaning of each; colour is never the only sign."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

RANDOM = "random"


@dataclass(frozen=True)
class Verdict:
    """One of the answers that a protocol can give about an explainer, in words.

    ``key`` is what stands in tables, and names the style; ``short`` fits a cell, ``phrase`` holds
    without a heading.
    """

    key: str
    symbol: str
    short: str
    phrase: str
    meaning: str


BETTER = Verdict(
    "better",
    "▲",
    "better",
    "better than random",
    "The gain is above zero, and would rarely be so large by chance (p < 0.05 after Holm's "
    "correction for the number of explainers).",
)
ALIKE = Verdict(
    "alike",
    "●",
    "indistinguishable",
    "indistinguishable from random",
    "This run cannot tell the explainer from random, once chance is corrected for the number of "
    "explainers. That is not proof of equality: a smaller gain than the run could detect would "
    "look the same.",
)
WORSE = Verdict(
    "worse",
    "▼",
    "worse",
    "worse than random",
    "The gain is below zero, and would rarely be so small by chance (p < 0.05 after Holm's "
    "correction for the number of explainers).",
)
WITHHELD = Verdict(
    "withheld",
    "⚠",
    "withheld: leaks",
    "withheld: mask leaks",
    "The mask alone predicts the label, so that the retrained model may read the label from the "
    "mask. The protocol cannot answer for this explainer.",
)
VERDICTS = (BETTER, ALIKE, WORSE, WITHHELD)
REFERENCE = Verdict(
    "reference", "◇", "reference", "reference", "What the others are compared with."
)
NOT_RUN = Verdict(
    "none", "\N{EN DASH}", "no verdict", "not measured", "The protocol gave no verdict."
)
_BY_KEY = {verdict.key: verdict for verdict in (*VERDICTS, REFERENCE)}


def verdict_called(key: Any) -> Verdict:
    """Return the verdict that a table holds; one that is missing says that there is none.

    >>> verdict_called("withheld").phrase, verdict_called(None).phrase
    ('withheld: mask leaks', 'not measured')
    """
    return _BY_KEY.get(key, NOT_RUN)


def verdict_of(row: Mapping[str, Any] | None) -> Verdict:
    """Return the verdict of one row of the gains.

    >>> verdict_of({"explainer": "ig", "verdict": "withheld"}).symbol
    '⚠'
    """
    if row is None:
        return NOT_RUN
    if row.get("explainer") == RANDOM:
        return REFERENCE
    return verdict_called(row.get("verdict"))


def counted(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return how many explainers got each verdict; random, being the measure, is left out."""
    counts = {verdict.key: 0 for verdict in VERDICTS}
    for row in rows:
        key = verdict_of(row).key
        if key in counts:
            counts[key] += 1
    return counts
