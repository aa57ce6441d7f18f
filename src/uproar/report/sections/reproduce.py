"""How to reproduce the run: command, spec, provenance, times, and how verdicts are to be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from uproar.report.records import Report
from uproar.report.section import Context
from uproar.report.verdicts import VERDICTS
from uproar.report.wording import is_missing


def view(context: Context) -> dict[str, Any]:
    """Return what repeats the run, and what it was made with."""
    content = context.report.content
    return {
        "command": content.command,
        "spec": content.spec_toml,
        "provenance": content.provenance,
        "times": stage_times(context.report),
        "verdicts": VERDICTS,
    }


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
