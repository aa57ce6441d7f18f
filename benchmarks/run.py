"""Run all benchmarks, print their tables, and write them to RESULTS.md."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import torch

import bench_demo
import bench_explain
import bench_families
import bench_grid

RESULTS = Path(__file__).with_name("RESULTS.md")


def markdown(table: list[dict[str, Any]]) -> str:
    """Return a table in Markdown."""
    columns = list(table[0])
    lines = [columns, ["---"] * len(columns), *([row[c] for c in columns] for row in table)]
    return "\n".join(f"| {' | '.join(map(_shown, line))} |" for line in lines)


def _shown(value: object) -> str:
    """Three digits say all that a noisy machine can."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def main() -> None:
    stages, commands = bench_demo.rows()
    sections = {
        "The demo (`bench_demo.py`)": stages,
        "Commands (`bench_demo.py`)": commands,
        "Training the MLP on digits (`bench_grid.py`)": bench_grid.dense_rows(),
        "Training the CNN (`bench_grid.py`)": bench_grid.convolution_rows(),
        "Families that share passes (`bench_families.py`)": bench_families.rows(),
    }
    for problem in bench_explain.PROBLEMS:
        sections[f"Explaining: {problem} (`bench_explain.py`)"] = list(bench_explain.table(problem))
    machine = (
        f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, "
        f"torch {torch.__version__}, no GPU. Medians; machines are noisy, so compare ratios."
    )
    text = f"# Results\n\nWritten by `make bench`. {machine}\n"
    for title, table in sections.items():
        text += f"\n## {title}\n\n{markdown(table)}\n"
    RESULTS.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
