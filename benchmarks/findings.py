"""Run the specs of the findings page, and write its tables and pictures.

    python benchmarks/findings.py docs/findings/digits.toml --out runs/findings

Each spec gets its picture, NAME.png, beside it, and its table in `docs/findings.md`, between the
comments that begin and end it. Runs resume: given the same folder again, a finished run is free.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd

from uproar.bench.benchmark import Benchmark
from uproar.plan.spec import Spec
from uproar.report.verdicts import verdict_called
from uproar.results.result import Result
from uproar.stats.verdicts import ALIKE, BETTER, WORSE

mpl.use("Agg")
from matplotlib import pyplot as plt

PAGE = Path(__file__).parents[1] / "docs" / "findings.md"
COLOURS = {BETTER: "#1b7f4d", ALIKE: "#8a8f98", WORSE: "#b3372f"}
PROTOCOLS = ("retrain-once", "roar", "kar")


def board_of(result: Result) -> pd.DataFrame:
    """Return one row per explainer: gains and verdicts by protocol, leak, scope, cost."""
    board = result.leaderboard().set_index("explainer")
    gains = result.conclusions.gains
    for protocol in PROTOCOLS:
        rows = gains[gains["protocol"] == protocol].set_index("explainer")
        board[f"{protocol} verdict"] = rows["verdict"].reindex(board.index).fillna("")
    entries = result.plan.entries
    board["scope"] = [entries[name].scope for name in board.index]
    return board


def table_of(result: Result) -> str:
    """Return the leaderboard in Markdown."""
    columns = ["explainer", "of", "retrain-once gain", "verdict", "ROAR verdict", "mask-only"]
    columns += ["passes", "seconds"]
    lines = [columns, ["---"] * len(columns)]
    for name, row in board_of(result).iterrows():
        gain, low, high = (row[f"retrain_once_{part}"] for part in ("gain", "low", "high"))
        shown = f"{gain:+.3f} ({low:+.3f} to {high:+.3f})"
        lines.append(
            [
                f"`{name}`",
                {"local": "decisions", "global": "function"}[row["scope"]],
                "0" if name == "random" else shown,
                _phrase(row["retrain-once verdict"]),
                _phrase(row["roar verdict"]),
                f"{row['mask_only_accuracy']:.2f}",
                f"{row['passes']:,.0f}",
                f"{row['explain_seconds']:,.{0 if row['explain_seconds'] >= 10 else 2}f}",
            ]
        )
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _phrase(verdict: str) -> str:
    return verdict_called(verdict).phrase if verdict else "the reference"


def put_into_page(name: str, table: str) -> None:
    """Replace the table of a spec in the page."""
    page = PAGE.read_text(encoding="utf-8")
    before, begin, rest = page.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition("<!-- end -->")
    if not begin or not end:
        raise SystemExit(f"{PAGE} has no place for {name!r}: <!-- {name} --> … <!-- end -->")
    PAGE.write_text(f"{before}{begin}\n{table}\n\n{end}{after}", encoding="utf-8")


def picture_of(result: Result, path: Path) -> None:
    """Draw the gains by retrain-once with their intervals, best at the top."""
    board = board_of(result).drop(index="random")
    board = board[board["retrain_once_gain"].notna()].iloc[::-1]
    figure, axes = plt.subplots(figsize=(7.5, 1 + 0.24 * len(board)), layout="constrained")
    places = np.arange(len(board))
    for verdict, colour in COLOURS.items():
        chosen = (board["retrain-once verdict"] == verdict).to_numpy()
        if not chosen.any():
            continue
        rows = board[chosen]
        reach = [
            rows["retrain_once_gain"] - rows["retrain_once_low"],
            rows["retrain_once_high"] - rows["retrain_once_gain"],
        ]
        axes.errorbar(
            rows["retrain_once_gain"], places[chosen], xerr=reach, fmt="o", ms=4, lw=1.2,
            color=colour, label=verdict_called(verdict).phrase,
        )  # fmt: skip
    axes.axvline(0, color="black", lw=0.8)
    of_function = [" (function)" if scope == "global" else "" for scope in board["scope"]]
    axes.set_yticks(places, [f"{n}{s}" for n, s in zip(board.index, of_function, strict=True)])
    axes.tick_params(axis="y", labelsize=8)
    axes.set_ylim(-0.7, len(board) - 0.3)
    axes.set_xlabel(f"gain over random by retrain-once ({result.score} × fraction)")
    axes.grid(axis="x", lw=0.4)
    axes.legend(loc="lower right", fontsize=8)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("specs", nargs="+", type=Path, help="TOML files")
    parser.add_argument("--out", type=Path, default=Path("runs/findings"), help="folder of runs")
    arguments = parser.parse_args()
    for path in arguments.specs:
        result = Benchmark(Spec.from_toml(path), arguments.out / path.stem).run()
        put_into_page(path.stem, table_of(result))
        picture_of(result, path.with_suffix(".png"))
        print(result.quote())


if __name__ == "__main__":
    main()
