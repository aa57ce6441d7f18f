"""What the command line prints: leaderboard, status, registries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pandas as pd
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from uproar.data import DATA
from uproar.explain import AGGREGATIONS, ENSEMBLES, EXPLAINERS
from uproar.models import MODELS
from uproar.protocols import PROTOCOLS
from uproar.remove import REMOVALS
from uproar.report.outcomes import grouped
from uproar.result import Result
from uproar.types import Entry

STYLES = {"better": "green", "worse": "red", "withheld": "yellow"}
SYMBOLS = {"better": "▲", "worse": "▼", "withheld": "?", "indistinguishable": "="}

SCORES = {"roar": "ROAR", "kar": "KAR", "retrain_once": "retrain-once", "no_retrain": "no-retrain"}
STATES = ("finished", "failed", "skipped", "missing")
SHOWN_DAMAGE = 5
SHOWN_SKIPS = 4
UNBOUNDED = 1000  # columns; no leaderboard is wider

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
        table = leaderboard_table(result, removal)
        unbounded = console.options.update(width=UNBOUNDED)
        if Measurement.get(console, unbounded, table).maximum > console.width:
            # Better gains without intervals than a verdict that is cut off.
            table = leaderboard_table(result, removal, intervals=False)
        console.print(table)
    for note in result.cautions:
        console.print(Text(note), soft_wrap=True)
    _show_skipped(result, console)
    for what, error, _ in result.failed:
        console.print(Text(f"failed {what}: {error}"), soft_wrap=True)
    console.print(Text(result.quote()))
    console.print(Text(f"report: {result.out / 'report.html'}"), soft_wrap=True)


def _show_skipped(result: Result, console: Console) -> None:
    """Print what cannot run, a line for each reason."""
    for reason, skipped in grouped(result.skipped):
        more = len(skipped) - SHOWN_SKIPS
        rest = f" and {more} more" if more > 0 else ""
        console.print(
            Text(f"skipped {', '.join(skipped[:SHOWN_SKIPS])}{rest}: {reason}"), soft_wrap=True
        )


def leaderboard_table(result: Result, removal: str, *, intervals: bool = True) -> Table:
    """Return the leaderboard as a table for the terminal."""
    board, empty = result.leaderboard(removal), pd.Series(dtype=float)
    columns = [name for name in SCORES if board.get(f"{name}_gain", empty).notna().any()]
    if len(columns) > 1 and "no_retrain" in columns:
        columns.remove("no_retrain")  # another question than that of the others
    leaks = bool(board["mask_only_accuracy"].notna().any())
    table = Table(
        title=_title(result, removal, intervals=intervals),
        title_justify="left",
        caption=_caption(result, leaks=leaks, intervals=intervals),
        caption_justify="left",
    )
    table.add_column("explainer", no_wrap=True)
    for score in columns:
        table.add_column(SCORES[score], justify="right", no_wrap=intervals, overflow="fold")
    if leaks:
        table.add_column("mask-only", justify="right")
    judging = SCORES.get(result.judging.replace("-", "_"), "")
    table.add_column(f"{judging} verdict".strip())
    for _, row in board.iterrows():
        cells = [_gain(row, score, interval=intervals) for score in columns]
        if leaks:
            cells.append(_number(row["mask_only_accuracy"]))
        table.add_row(Text(str(row["explainer"])), *cells, _verdict(str(row["verdict"])))
    return table


def _title(result: Result, removal: str, *, intervals: bool) -> Text:
    spec, shown = result.spec, "gain over random" + " (95 % interval)" * intervals
    # A text, not a string: names of people's own may hold what Rich would take for markup.
    return Text(f"{spec.data_name}, {spec.model}, removal {removal}: {shown}")


def _caption(result: Result, *, leaks: bool, intervals: bool) -> str:
    spec = result.spec
    sentences = [
        f"{_counted(spec.repeats, 'repeat')}, {_counted(len(spec.fractions), 'fraction')}.",
        f"Gains are in {result.score} × fraction.",
    ]
    if leaks:
        sentences.append("Where the mask alone tells the label, ROAR and KAR cannot judge.")
    if not intervals:
        sentences.append("Intervals are in leaderboard.csv, and here on a wider terminal.")
    return " ".join(sentences)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _verdict(verdict: str) -> Text:
    word = verdict.split(maxsplit=1)[0].rstrip(":")
    return Text(f"{SYMBOLS.get(word, ' ')} {verdict}", style=STYLES.get(word, ""))


def _number(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.3f}"


def _gain(row: pd.Series, score: str, *, interval: bool) -> str:
    gain, low, high = (row[f"{score}_{column}"] for column in ("gain", "low", "high"))
    if pd.isna(gain):
        return ""
    return f"{gain:+.3f} ({low:+.3f}, {high:+.3f})" if interval else f"{gain:+.3f}"


def show_status(result: Result, console: Console) -> None:
    """Print finished, failed, skipped and missing cells by kind."""
    console.print(Text(str(result.out)), soft_wrap=True)
    table = Table("kind", *STATES)
    for kind, count in _counts(result).items():
        table.add_row(kind, *(str(count[state] or "") for state in STATES))
    console.print(table)
    console.print(f"store: {result.store.size() / 1e6:.1f} MB")
    for what, error, _ in result.failed:
        console.print(Text(f"failed {what}: {error}"), soft_wrap=True)
    _show_skipped(result, console)
    damaged = result.store.damaged
    for note in damaged[-SHOWN_DAMAGE:]:
        console.print(Text(note), soft_wrap=True)
    if len(damaged) > SHOWN_DAMAGE:
        console.print(f"and {len(damaged) - SHOWN_DAMAGE} more damaged files before these")
    if not result.complete:
        console.print("not finished: `uproar run` with the same flags goes on")


def _counts(result: Result) -> dict[str, Counter[str]]:
    """Return, by kind of cell, how many are in which state."""
    states = dict.fromkeys((cell.key for cell, _ in result.store.skips()), "skipped")
    states |= dict.fromkeys((cell.key for cell, _ in result.store.failures()), "failed")
    states |= dict.fromkeys((job.cell.key for job in result.outcomes), "finished")
    # The curves of an explainer that failed or was skipped share its fate.
    fates = {
        (job.base, member): states[job.cell.key]
        for job in result.plan.explain_jobs()
        for member in job.members
        if states.get(job.cell.key) in {"failed", "skipped"}
    }
    # And those of retrain-once the fate of its models.
    trained = {job.removal: states.get(job.cell.key) for job in result.plan.once_jobs()}
    lost = {
        ("retrain-once", removal): state
        for removal, state in trained.items()
        if state in {"failed", "skipped"}
    }
    known = {
        job.slot.key: states.get(job.cell.key) or lost.get((job.protocol, job.removal), "missing")
        for job in result.jobs
    }
    counts: dict[str, Counter[str]] = {}
    for job in result.plan.prospective_jobs():
        state = known.get(job.slot.key) or fates.get((job.base, job.explainer), "missing")
        counts.setdefault(job.kind, Counter())[state] += 1
    return counts


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
        "data": _data_kinds(entries),
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


def _data_kinds(entries: Sequence[Entry]) -> list[str]:
    """Return which kinds of data each entry works for; nothing where all work for all."""
    kinds = [", ".join(entry.data_kinds) for entry in entries]
    return [kind or "all" for kind in kinds] if any(kinds) else kinds


def _parameters(entry: Entry) -> str:
    return ", ".join(f"{key}={value}" for key, value in entry.parameters)
