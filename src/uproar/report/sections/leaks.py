"""Leaks, agreement of protocols and detectable differences, as rows for the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from uproar.report.cast import Cast
from uproar.report.records import Record, Report, matching
from uproar.report.score import Score, score_of
from uproar.report.wording import count, interval, is_missing, number

PROTOCOL_NAMES: Mapping[str, str] = {
    "roar": "ROAR",
    "kar": "KAR",
    "retrain-once": "retrain-once",
    "retrain-once-removed": "Retrain-once, removing",
    "retrain-once-kept": "Retrain-once, keeping",
    "no-retrain": "No retraining",
}


def protocol_name(protocol: str) -> str:
    """Return a protocol as the page writes it.

    >>> protocol_name("kar"), protocol_name("road")
    ('KAR', 'road')
    """
    return PROTOCOL_NAMES.get(protocol, protocol)


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


def agreements(report: Report) -> list[dict[str, str]]:
    """Return what the protocols say of each other, the disagreements said aloud."""
    return [
        {
            "pair": f"{protocol_name(str(row['first']))} and {protocol_name(str(row['second']))}",
            "spearman": number(row["spearman"], 2, signed=True),
            "interval": interval(row.get("low"), row.get("high"), 2, signed=True),
            "explainers": str(row.get("explainers", "")),
        }
        | _said(row)
        for row in report.agreement
    ]


def _said(row: Record) -> dict[str, str]:
    first, second = protocol_name(str(row["first"])), protocol_name(str(row["second"]))
    if is_missing(row["spearman"]):
        return {"state": "unknown", "said": "The agreement could not be computed."}
    low, high = row.get("low"), row.get("high")
    if not is_missing(high) and float(str(high)) < 0:
        return {
            "state": "opposed",
            "said": f"{first} and {second} disagree: what one ranks high, the other ranks low.",
        }
    if is_missing(low) or float(str(low)) <= 0:
        return {
            "state": "unclear",
            "said": f"{first} and {second} do not agree measurably: the interval includes zero.",
        }
    strength = "agree" if float(row["spearman"]) >= 0.7 else "agree only in part"
    return {"state": "agreed", "said": f"{first} and {second} {strength}."}


def detectable_gains(report: Report) -> list[tuple[str, str]]:
    """Return, per protocol, the smallest gain that the run could have detected."""
    return [(protocol_name(name), number(gain)) for name, gain in report.content.detectable.items()]


def stage_times(report: Report) -> list[dict[str, Any]]:
    """Return the seconds spent per kind of cell and stage, the longest first."""
    totals: dict[tuple[str, str], list[float]] = {}
    for row in report.timings:
        if not is_missing(row["seconds"]):
            key = (str(row["kind"]), str(row["stage"]))
            totals.setdefault(key, []).append(float(row["seconds"]))
    ordered: Sequence[tuple[tuple[str, str], list[float]]] = sorted(
        totals.items(), key=lambda item: -sum(item[1])
    )
    return [
        {"kind": kind, "stage": stage, "cells": len(spent), "seconds": sum(spent)}
        for (kind, stage), spent in ordered
    ]
