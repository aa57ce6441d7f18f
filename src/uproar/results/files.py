"""The files of a run beside its store: tables that other programs read, and the report."""

from __future__ import annotations

import io

from uproar.results.result import Result
from uproar.run.files import write_whole


def write_files(result: Result) -> None:
    """Write results, timings, gains, leaderboard, importances and report, each in one step.

    ``results.parquet`` and ``results.csv`` hold one row per measurement, ``gains.csv`` one per
    explainer, protocol and removal, ``leaderboard.csv`` one per explainer under the first removal;
    further removals have a ``leaderboard-REMOVAL.csv`` each. ``function.csv`` has one row per
    explainer of the function, base model and feature, and none where there are no such explainers.
    """
    buffer = io.BytesIO()
    result.table.to_parquet(buffer, index=False)
    first, *others = result.spec.removals
    boards = {"leaderboard": result.leaderboard(first)}
    boards |= {f"leaderboard-{removal}": result.leaderboard(removal) for removal in others}
    tables = {
        "results": result.table,
        "timings": result.timings,
        "gains": result.conclusions.gains,
        "function": result.function(),
        **boards,
    }
    # Everything is at hand before anything is replaced.
    write_whole(result.out / "results.parquet", buffer.getvalue())
    for name, table in tables.items():
        write_whole(result.out / f"{name}.csv", table.to_csv(index=False).encode())
    result.to_html()
