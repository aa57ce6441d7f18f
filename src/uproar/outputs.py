"""The files of a run beside its store: tables that other programs read, and the report."""

from __future__ import annotations

import io

import pandas as pd

from uproar.result import Result
from uproar.run.files import write_whole


def write_files(result: Result) -> None:
    """Write results, timings, gains, leaderboard and report, each in one step.

    ``results.parquet`` and ``results.csv`` hold one row per measurement, ``gains.csv`` one per
    explainer, protocol and removal, ``leaderboard.csv`` one per explainer under the first removal;
    further removals have a ``leaderboard-REMOVAL.csv`` each.
    """
    buffer = io.BytesIO()
    result.table.to_parquet(buffer, index=False)
    write_whole(result.out / "results.parquet", buffer.getvalue())
    _write_csv(result, "results", result.table)
    _write_csv(result, "timings", result.timings)
    _write_csv(result, "gains", result.conclusions.gains)
    first, *others = result.spec.removals
    _write_csv(result, "leaderboard", result.leaderboard(first))
    for removal in others:
        _write_csv(result, f"leaderboard-{removal}", result.leaderboard(removal))
    result.to_html()


def _write_csv(result: Result, name: str, table: pd.DataFrame) -> None:
    write_whole(result.out / f"{name}.csv", table.to_csv(index=False).encode())
