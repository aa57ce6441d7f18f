"""Verdicts in words: symbol, short name, phrase, meaning; colour is never the only sign."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from uproar.report.records import Record
from uproar.stats import verdicts as keys

RANDOM = "random"


@dataclass(frozen=True)
class Verdict:
    """One of the answers that a protocol can give about an explainer.

    ``key`` is what tables hold, and names the style.
    """

    key: str
    symbol: str
    short: str
    phrase: str
    meaning: str


BETTER = Verdict(
    keys.BETTER,
    "▲",
    "better",
    "better than random",
    "The gain is above zero, and would rarely be so large by chance (p < 0.05 after Holm's "
    "correction for the number of explainers).",
)
ALIKE = Verdict(
    keys.ALIKE,
    "●",
    "indistinguishable",
    "indistinguishable from random",
    "This run cannot tell the explainer from random, once chance is corrected for the number of "
    "explainers. That is not proof of equality: a smaller gain than the run could detect would "
    "look the same.",
)
WORSE = Verdict(
    keys.WORSE,
    "▼",
    "worse",
    "worse than random",
    "The gain is below zero, and would rarely be so small by chance (p < 0.05 after Holm's "
    "correction for the number of explainers).",
)
WITHHELD = Verdict(
    keys.WITHHELD,
    "⚠",
    "withheld",
    "withheld",
    "The mask alone predicts the label, or is not proven not to, so that the retrained model may "
    "read the label from the mask. The protocol cannot answer for this explainer.",
)
UNTESTED = Verdict(
    keys.UNTESTED,
    "○",
    "not tested",
    "not tested",
    "What a verdict needs is missing: a second repeat, a control, or a model that has learned.",
)
VERDICTS = (BETTER, ALIKE, WORSE, WITHHELD, UNTESTED)
# Why there is none, in a few words.
REASONS: dict[keys.Reason, str] = {
    keys.LEAKS: "mask leaks",
    keys.UNCLEAR: "mask unclear",
    keys.NO_LEAK_CONTROL: "no leak control",
    keys.ONE_REPEAT: "one repeat",
    keys.LEARNED_NOTHING: "the model has learned nothing",
    keys.TIED_REFERENCE: "random is tied",
}
REFERENCE = Verdict(
    keys.REFERENCE, "◇", "reference", "reference", "What the others are compared with."
)
NOT_RUN = Verdict(
    "none", "\N{EN DASH}", "no verdict", "not measured", "The protocol gave no verdict."
)
_BY_KEY = {verdict.key: verdict for verdict in (*VERDICTS, REFERENCE)}


def verdict_called(key: Any, reason: Any = "") -> Verdict:
    """Return the verdict that a table holds; one that is missing says that there is none.

    >>> verdict_called("withheld", "leaks").phrase, verdict_called(None).phrase
    ('withheld: mask leaks', 'not measured')
    """
    verdict = _BY_KEY.get(key, NOT_RUN)
    why = REASONS.get(reason)
    return verdict if why is None else replace(verdict, phrase=f"{verdict.phrase}: {why}")


def verdict_of(row: Record | None) -> Verdict:
    """Return the verdict of one row of the gains.

    >>> verdict_of({"explainer": "ig", "verdict": "untested", "reason": "one repeat"}).phrase
    'not tested: one repeat'
    """
    if row is None:
        return NOT_RUN
    if row.get("explainer") == RANDOM:
        return REFERENCE
    return verdict_called(row.get("verdict"), row.get("reason"))


def has_verdict(row: Record) -> bool:
    """Whether a row of the gains has an answer, be it better, alike or worse.

    >>> has_verdict({"explainer": "ig", "verdict": "withheld"})
    False
    """
    return verdict_of(row).key in {verdict.key for verdict in (BETTER, ALIKE, WORSE)}


def counted(rows: Iterable[Record]) -> dict[str, int]:
    """Return how many explainers got each verdict; random, being the measure, is left out."""
    counts = {verdict.key: 0 for verdict in VERDICTS}
    for row in rows:
        key = verdict_of(row).key
        if key in counts:
            counts[key] += 1
    return counts
