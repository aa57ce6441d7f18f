"""Decisions and function: which of the two explains better here, or that nobody can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from uproar.report.cast import ranking_gains, ranking_protocol
from uproar.report.records import Record, Report, matching, removals
from uproar.report.verdicts import BETTER, RANDOM, has_verdict, verdict_of
from uproar.report.wording import is_missing, number, p_value
from uproar.stats.leaks import CLEAR


@dataclass(frozen=True)
class Found:
    """What the best explanation of decisions is against the best of the function, in words.

    ``state`` is local, global, alike, or unknown.
    """

    state: str
    said: str
    detail: str = ""


def local_against_global(report: Report, removal: str) -> Found:
    """Compare the explainer of decisions with the largest gain with that of the function.

    By the protocol that orders the page, and the test of pairs: paired, and corrected for all
    pairs, so that choosing the best of each by the same numbers is allowed for. Controls stay out.
    """
    protocol = ranking_protocol(report, removal)
    judged = _judged(report, removal)
    decisions = _best([row for row in judged if row["explainer"] not in report.of_function])
    function = _best([row for row in judged if row["explainer"] in report.of_function])
    if protocol is None or decisions is None or function is None:
        lacking = "decisions" if decisions is None else "the function"
        return Found("unknown", f"There is no gain of an explainer of {lacking} to compare with.")
    local, globally = str(decisions["explainer"]), str(function["explainer"])
    first = next(iter(removals(report)))
    pair = _pair(report, protocol.name, local, globally)
    if removal != first:
        return Found("unknown", f"Pairs of explainers are compared under removal by {first} only.")
    if pair is None:
        return Found("unknown", f"{local} and {globally}, the best of each, were not compared.")
    gap = float(decisions["gain"]) - float(function["gain"])
    apart = bool(pair["distinguishable"])
    state = ("local" if gap > 0 else "global") if apart else "alike"
    detail = (
        f"By {protocol.short} gain, the best of each compared: {local} less {globally} "
        f"is {number(gap, signed=True)} ({p_value(pair['p_holm'])} after Holm's correction for "
        "all pairs)."
    )
    best = decisions if gap > 0 else function
    if verdict_of(best) is not BETTER:
        detail += f" But {best['explainer']} is not shown better than random."
    if state == "local" and _leaks(report, removal, local):
        detail += (
            f" The mask of {local} tells the label by its shape, which that of a ranking for all "
            "examples cannot: part of the lead may be due to this."
        )
    return Found(state, _said(state, local, globally), detail)


def _said(state: str, local: str, globally: str) -> str:
    if state == "local":
        return (
            f"Decisions are explained better than the function: {local} beats {globally}. A "
            "ranking for each example finds what one ranking for all misses."
        )
    if state == "global":
        return (
            f"The function is explained better than decisions: {globally} beats {local}. One "
            "ranking for all examples says more than a ranking for each."
        )
    return (
        f"{local} and {globally} cannot be told apart: as far as this run can see, one ranking "
        "for all examples does as well as a ranking for each."
    )


def _judged(report: Report, removal: str) -> list[Record]:
    return [
        row
        for row in ranking_gains(report, removal).values()
        if row["explainer"] != RANDOM
        and not is_missing(row["gain"])
        and not report.is_control(str(row["explainer"]))
        and has_verdict(row)
    ]


def _best(rows: Sequence[Record]) -> Record | None:
    return max(rows, key=lambda row: float(row["gain"]), default=None)


def _pair(report: Report, protocol: str, one: str, other: str) -> dict[str, Any] | None:
    pairs = matching(report.pairs, protocol=protocol)
    return next((row for row in pairs if {row["first"], row["second"]} == {one, other}), None)


def _leaks(report: Report, removal: str, name: str) -> bool:
    rows = matching(report.leaks, removal=removal)
    return any(row["mask"] != CLEAR for row in rows if row["explainer"] == name)
