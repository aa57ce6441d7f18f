"""Leaks: what a model reads from the shape of a mask alone, as a table of heat."""

from __future__ import annotations

from typing import Any

from uproar.report.cast import Cast, shown_protocols
from uproar.report.records import Record, Report, matching, removals
from uproar.report.score import Score, score_of
from uproar.report.section import Context
from uproar.report.wording import count, interval, is_missing, number


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
    """Return fractions and rows of mask-only scores; ``heat`` runs from the same answer to 1."""
    leaks = matching(report.leaks, removal=removal)
    if not leaks:
        return None
    fractions = sorted({float(row["fraction"]) for row in leaks})
    cells = {(str(row["explainer"]), float(row["fraction"])): row for row in leaks}
    present = {name for name, _ in cells}
    majority = report.content.data.get("majority_rate")
    floor = 0.0 if is_missing(majority) else float(str(majority))
    score = score_of(report.content.data)
    rows = [
        {
            "name": name,
            "cells": [_heat(cells.get((name, share)), floor, score) for share in fractions],
        }
        for name in cast.ordered
        if name in present
    ]
    leaking = {str(row["explainer"]) for row in leaks if bool(row["leaks"])}
    summary = f"{len(leaking)} of {count(len(present), 'explainer', 'explainers')}"
    return {"fractions": fractions, "rows": rows, "summary": summary, "leaking": len(leaking)}


def _heat(row: Record | None, floor: float, score: Score) -> dict[str, Any]:
    if row is None or is_missing(row["accuracy"]):
        return {"text": "\N{EN DASH}", "title": "not measured", "heat": 0, "leaks": False}
    accuracy = float(row["accuracy"])
    heat = (accuracy - floor) / max(1 - floor, 1e-9)
    return {
        "text": number(accuracy, 2),
        "title": f"mask alone: {score.text(accuracy)}, 95 % interval "
        f"{interval(row.get('low'), row.get('high'))}",
        "heat": round(min(max(heat, 0.0), 1.0), 3),
        "leaks": bool(row["leaks"]),
    }
