"""What the command line prints: leaderboard, status, registries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from uproar.data import DATA
from uproar.explain import AGGREGATIONS, ENSEMBLES, EXPLAINERS
from uproar.models import MODELS
from uproar.protocols import PROTOCOLS
from uproar.remove import REMOVALS
from uproar.result import Result
from uproar.types import Entry

STYLES = {"better": "green", "worse": "red", "withheld": "yellow"}
SYMBOLS = {"better": "▲", "worse": "▼", "withheld": "?", "indistinguishable": "="}

REGISTRIES: dict[str, Sequence[Entry]] = {
    "explainers": EXPLAINERS,
    "removals": REMOVALS,
    "protocols": PROTOCOLS,
    "data": DATA,
    "models": MODELS,
}


def show(result: Result, console: Console) -> None:
    """Print the leaderboard of every removal, and where the files are."""
    for removal in result.spec.removals:
        console.print(leaderboard_table(result, removal))
    for what, reason in result.skipped:
        console.print(Text(f"skipped {what}: {reason}"), soft_wrap=True)
    for what, error, _ in result.failed:
        console.print(Text(f"failed {what}: {error}"), soft_wrap=True)
    console.print(Text(f"report: {result.out / 'report.html'}"), soft_wrap=True)


def leaderboard_table(result: Result, removal: str) -> Table:
    """Return the leaderboard as a table for the terminal."""
    spec = result.spec
    table = Table(
        title=f"{spec.data}, {spec.model}, removal {removal}: gain over random (95 % interval)",
        title_justify="left",
        caption=f"{spec.repeats} repeats, {len(spec.fractions)} fractions. Gains are in accuracy × "
        "fraction. Where the mask alone tells the label (mask-only), ROAR cannot judge.",
        caption_justify="left",
    )
    board = result.leaderboard(removal)
    scores = [s for s in ("roar", "kar", "retrain_once") if board[f"{s}_gain"].notna().any()]
    titles = {"roar": "ROAR", "kar": "KAR", "retrain_once": "retrain-once"}
    table.add_column("explainer", no_wrap=True)
    for score in scores:
        table.add_column(titles[score], justify="right", no_wrap=True)
    table.add_column("mask-only", justify="right")
    table.add_column("verdict")
    for _, row in board.iterrows():
        verdict = str(row["verdict"])
        word = verdict.split(maxsplit=1)[0].rstrip(":")
        shown = Text(f"{SYMBOLS.get(word, ' ')} {verdict}", style=STYLES.get(word, ""))
        gains = [_interval(row, score) for score in scores]
        mask_only = "" if pd.isna(row["mask_only_accuracy"]) else f"{row['mask_only_accuracy']:.3f}"
        table.add_row(Text(str(row["explainer"])), *gains, mask_only, shown)
    return table


def _interval(row: pd.Series, score: str) -> str:
    if pd.isna(row[f"{score}_gain"]):
        return ""
    low, high = row[f"{score}_low"], row[f"{score}_high"]
    return f"{row[f'{score}_gain']:+.3f} ({low:+.3f}, {high:+.3f})"


def show_status(result: Result, console: Console) -> None:
    """Print finished, failed, skipped and missing cells by kind."""
    failed = {cell.key for cell, _ in result.store.failures()}
    skipped = {cell.key for cell, _ in result.store.skips()}
    finished = {job.cell.key for job in result.outcomes}
    counts: dict[str, Counter[str]] = {}
    known = {job.slot.key: job for job in result.jobs}
    for prospective in result.plan.prospective_jobs():
        job = known.get(prospective.slot.key)
        key = job.cell.key if job else ""
        state = (
            "finished"
            if key in finished
            else "failed"
            if key in failed
            else "skipped"
            if key in skipped
            else "missing"
        )
        counts.setdefault(prospective.kind, Counter())[state] += 1
    states = ("finished", "failed", "skipped", "missing")
    table = Table("kind", *states, title=f"{result.out}", title_justify="left")
    for kind, count in counts.items():
        table.add_row(kind, *(str(count[state] or "") for state in states))
    console.print(table)
    console.print(f"store: {result.store.size() / 1e6:.1f} MB")
    for note in result.store.damaged:
        console.print(Text(note), soft_wrap=True)
    if not result.complete:
        console.print("not finished: `uproar run` with the same flags goes on")


def show_registry(what: str, console: Console) -> None:
    """Print one registry as a table."""
    console.print(_registry_table(what, REGISTRIES[what]))
    if what == "explainers":
        console.print(_registry_table("prefixes", [*ENSEMBLES, *AGGREGATIONS]))


def _registry_table(title: str, entries: Sequence[Entry]) -> Table:
    columns = {
        "name": [entry.name for entry in entries],
        "kind": [entry.kind for entry in entries],
        "what it is": [entry.summary for entry in entries],
        "parameters": [_parameters(entry) for entry in entries],
        "needs": [entry.needs if entry.needs != "nothing" else "" for entry in entries],
        "better is": [entry.direction for entry in entries],
        "paper": [entry.paper for entry in entries],
    }
    shown = {name: values for name, values in columns.items() if any(values)}
    table = Table(title=title, title_justify="left")
    for name in shown:
        table.add_column(name, no_wrap=name == "name", overflow="fold")
    for row in zip(*shown.values(), strict=True):
        table.add_row(*(Text(value) for value in row))
    return table


def _parameters(entry: Entry) -> str:
    return ", ".join(f"{key}={value}" for key, value in entry.parameters)
