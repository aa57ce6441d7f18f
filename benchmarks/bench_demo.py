"""The whole demo in a process of its own: wall time, peak memory, and where the time goes."""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd

UPROAR = [sys.executable, "-c", "from uproar.cli import main; main()"]


def timed(command: list[str]) -> float:
    """Run a command that must succeed and return its wall time."""
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begun


def demo(out: Path) -> list[dict[str, Any]]:
    """Run the demo into ``out`` and return one row per stage, the whole first."""
    wall = timed([*UPROAR, "run", "digits", "--out", str(out), "--quiet"])
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    timings = pd.read_csv(out / "timings.csv").query("stage == 'all'")
    busy = timings.groupby("kind", sort=False)["seconds"].agg(["size", "sum"])
    busy = busy.sort_values("sum", ascending=False)
    rows = [{"stage": "whole demo, wall", "cells": len(timings), "seconds": round(wall, 1)}]
    rows += [
        {"stage": f"{kind}, summed over workers", "cells": int(size), "seconds": round(seconds, 1)}
        for kind, size, seconds in busy.itertuples()
    ]
    return [*rows, {"stage": "peak memory, GB", "cells": 0, "seconds": round(peak / 1e9, 2)}]


def commands(out: Path, repeats: int) -> list[dict[str, Any]]:
    """Time the commands that must feel instant, on a finished run."""
    python = [sys.executable, "-c"]
    measured = {
        "python, nothing imported": [*python, "pass"],
        "import uproar": [*python, "import uproar"],
        "uproar --help": [*UPROAR, "--help"],
        "uproar report": [*UPROAR, "report", str(out)],
        "uproar run, finished": [*UPROAR, "run", "digits", "--out", str(out), "--quiet"],
    }
    return [
        {
            "command": name,
            "median seconds": round(statistics.median(timed(c) for _ in range(repeats)), 2),
        }
        for name, c in measured.items()
    ]


def rows(repeats: int = 5) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the table of stages and the table of commands."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "digits"
        return demo(out), commands(out, repeats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    for table in rows(parser.parse_args().repeats):
        print(pd.DataFrame(table).to_string(index=False), end="\n\n")


if __name__ == "__main__":
    main()
