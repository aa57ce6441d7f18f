"""Leaks: what a model reads from the shape of a mask alone, as a table of heat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from uproar.report.cast import Cast, shown_protocols
from uproar.report.records import Record, Report, matching, removals
from uproar.report.score import Score, score_of
from uproar.report.section import Context
from uproar.report.wording import count, interval, is_missing, number
from uproar.stats.leaks import CLEAR, LEAKS, UNCLEAR, WORST_FIRST, Mask, masks


def view(context: Context) -> dict[str, Any] | None:
    """Return the mask-only scores of every removal; None where no mask was looked at."""
    report = context.report
    if not report.leaks:
        return None
    rate = report.content.data.get("majority_rate")
    readers = [one for one in shown_protocols(report) if one.reads_own_masks]
    named = [one for one in readers if one.reads_removed] or readers
    return {
        "majority": "" if is_missing(rate) else context.score.text(rate),
        "readers": [one.short for one in named],
        "blocks": [
            {"removal": removal, "leaks": leak_table(report, context.cast, removal)}
            for removal in removals(report)
        ],
    }


def leak_table(report: Report, cast: Cast, removal: str) -> dict[str, Any] | None:
    """Return fractions and rows of mask-only scores; ``heat`` is the share of what can be known."""
    leaks = matching(report.leaks, removal=removal)
    if not leaks:
        return None
    fractions = sorted({float(row["fraction"]) for row in leaks})
    cells = {(str(row["explainer"]), float(row["fraction"])): row for row in leaks}
    present = {name for name, _ in cells}
    score = score_of(report.content.data)
    rows = [
        {
            "name": name,
            "cells": [_heat(cells.get((name, share)), score) for share in fractions],
        }
        for name in cast.ordered
        if name in present
    ]
    proven = masks(pd.DataFrame(leaks))
    found = {mask: sum(one == mask for one in proven.values()) for mask in WORST_FIRST}
    summary = f"Of {count(len(present), 'mask', 'masks')} {_summed(found)}"
    return {
        "fractions": fractions,
        "rows": rows,
        "summary": summary,
        "doubtful": bool(found[LEAKS] or found[UNCLEAR]),
    }


def _summed(found: Mapping[Mask, int]) -> str:
    """Return how many masks are what, in words.

    >>> _summed({"leaks": 1, "unclear": 0, "clear": 3})
    '1 leaks, 0 are unclear, 3 are clear'
    """
    leaking, unclear, clear = (found[mask] for mask in (LEAKS, UNCLEAR, CLEAR))
    verb = "leaks" if leaking == 1 else "leak"
    said = [
        f"{number} {'is' if number == 1 else 'are'} {what}"
        for number, what in ((unclear, "unclear"), (clear, "clear"))
    ]
    return ", ".join([f"{leaking} {verb}", *said])


def _heat(row: Record | None, score: Score) -> dict[str, Any]:
    if row is None or is_missing(row["accuracy"]):
        return {"text": "\N{EN DASH}", "title": "not measured", "heat": 0, "mask": ""}
    accuracy = float(row["accuracy"])
    share = 0.0 if is_missing(row["share"]) else float(row["share"])
    return {
        "text": number(accuracy, 2),
        "title": f"mask alone: {score.text(accuracy)}, 95 % interval "
        f"{interval(row.get('low'), row.get('high'))}; share of what there is to know "
        f"{number(row['share'], 2)} {interval(row['share_low'], row['share_high'], 2)}",
        "heat": round(min(max(share, 0.0), 1.0), 3),
        "mask": str(row["mask"]),
    }
