"""What the command line prints of a run: leaderboards and status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from uproar.protocols import can_leak, compared, leak_control
from uproar.protocols.protocol import Protocol
from uproar.report.sections.outcomes import grouped
from uproar.report.verdicts import verdict_called
from uproar.report.wording import trained
from uproar.results.result import Result
from uproar.stats.verdicts import ALIKE, BETTER, UNTESTED, WITHHELD, WORSE

STYLES = {BETTER: "green", WORSE: "red", WITHHELD: "yellow", UNTESTED: "yellow"}
# That every terminal has.
SYMBOLS = {BETTER: "▲", WORSE: "▼", WITHHELD: "?", ALIKE: "=", UNTESTED: "-"}

STATES = ("finished", "failed", "skipped", "missing")
SHOWN_DAMAGE = 5
SHOWN_SKIPS = 4
UNBOUNDED = 1000  # columns; no leaderboard is wider
FUNCTION_TITLE = Text("explainers of the function: one ranking for all examples")

Detail = Literal["full", "short", "least"]
DETAILS: tuple[Detail, ...] = ("full", "short", "least")


def show(result: Result, console: Console) -> None:
    """Print the leaderboards of every removal, and where the files are."""
    for removal in result.spec.removals:
        for table in _fitting(result, removal, console):
            console.print(table)
    for note in result.cautions:
        console.print(Text(note), soft_wrap=True)
    _show_skipped(result, console)
    for what, error, _ in result.failed:
        console.print(Text(f"failed {what}: {error}"), soft_wrap=True)
    console.print(Text(result.quote()))
    if result.next_step:
        console.print(Text(result.next_step))
    console.print(Text(f"report: {result.out / 'report.html'}"), soft_wrap=True)


def _fitting(result: Result, removal: str, console: Console) -> list[Table]:
    """Return the leaderboards with as much as fits: better less of a row than a row cut off."""
    unbounded = console.options.update(width=UNBOUNDED)
    for detail in DETAILS:
        tables = leaderboard_tables(result, removal, detail)
        widths = [Measurement.get(console, unbounded, table).maximum for table in tables]
        if max(widths) <= console.width:
            break
    return tables


def _show_skipped(result: Result, console: Console) -> None:
    """Print what cannot run, a line for each reason."""
    for reason, skipped in grouped(result.skipped):
        more = len(skipped) - SHOWN_SKIPS
        rest = f" and {more} more" if more > 0 else ""
        console.print(
            Text(f"skipped {', '.join(skipped[:SHOWN_SKIPS])}{rest}: {reason}"), soft_wrap=True
        )


def leaderboard_tables(result: Result, removal: str, detail: Detail = "full") -> list[Table]:
    """Return the leaderboard as tables: explainers of decisions and controls, and of the function.

    :param detail: ``short`` is without intervals, ``least`` also without what the mask tells.
    """
    board = result.leaderboard(removal)
    columns = [p for p in compared() if board[f"{p.column}_gain"].notna().any()]
    # What the model relies on is another question; it has a say where nothing else was asked.
    columns = [p for p in columns if p.question == "information"] or columns
    leaks = bool(board["mask_only_accuracy"].notna().any())
    titles = {"local": _title(result, removal, detail), "global": FUNCTION_TITLE}
    parts = {scope: board[board["scope"] == scope] for scope in titles}
    tables = [
        _table(result, part, titles[scope], columns, detail, masks=leaks and scope == "local")
        for scope, part in parts.items()
        if len(part)
    ]
    if tables:
        tables[-1].caption = _caption(result, detail, leaks=leaks)
    return tables


def _table(
    result: Result,
    board: pd.DataFrame,
    title: Text,
    columns: Sequence[Protocol],
    detail: Detail,
    *,
    masks: bool,
) -> Table:
    """Return one of the leaderboards; ``masks`` says whether to show what the mask alone tells."""
    masks = masks and detail != "least"
    table = Table(title=title, title_justify="left", caption_justify="left")
    table.add_column("explainer", no_wrap=detail != "least", overflow="fold")
    for protocol in columns:
        heading = protocol.narrow if detail == "least" else protocol.short
        table.add_column(heading, justify="right", no_wrap=True)
    if masks:
        table.add_column(leak_control().short, justify="right")
    judging = [protocol.short for protocol in compared() if protocol.name == result.judging]
    table.add_column(" ".join([*judging, "verdict"]), overflow="fold")
    for _, row in board.iterrows():
        cells = [_gain(row, protocol.column, interval=detail == "full") for protocol in columns]
        if masks:
            cells.append(_number(row["mask_only_accuracy"]))
        verdict = _verdict(row["verdict"], row["reason"], whole=detail == "full")
        table.add_row(Text(str(row["explainer"])), *cells, verdict)
    return table


def _title(result: Result, removal: str, detail: Detail) -> Text:
    spec, shown = result.spec, "gain over random" + " (95 % interval)" * (detail == "full")
    # A text, not a string: names of people's own may hold what Rich would take for markup.
    return Text(f"{spec.data_name}, {spec.model}, removal {removal}: {shown}")


def _caption(result: Result, detail: Detail, *, leaks: bool) -> str:
    spec = result.spec
    sentences = [
        f"{trained(spec.base_models, spec.source.folds)}, {_counted(spec.repeats, 'repeat')}, "
        f"{_counted(len(spec.fractions), 'fraction')}.",
        f"Gains are in {result.score} × fraction.",
    ]
    if detail == "least":
        shortened = [p for p in result.plan.protocols if p.narrow != p.short]
        sentences += [f"{protocol.narrow} is {protocol.short}." for protocol in shortened]
    if leaks:
        sentences.append(f"{can_leak()} judge where the mask is proven to tell nothing.")
    if detail != "full":
        sentences.append("Intervals are in leaderboard.csv, and here on a wider terminal.")
    return " ".join(sentences)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _verdict(key: Any, reason: Any, *, whole: bool) -> Text:
    phrase = verdict_called(key, reason).phrase
    text = phrase if whole else phrase.removesuffix(" than random").removesuffix(" from random")
    return Text(f"{SYMBOLS.get(key, ' ')} {text}", style=STYLES.get(key, ""))


def _number(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.3f}"


def _gain(row: pd.Series, column: str, *, interval: bool) -> str:
    gain, low, high = (row[f"{column}_{part}"] for part in ("gain", "low", "high"))
    if pd.isna(gain):
        return ""
    return f"{gain:+.3f} ({low:+.3f}, {high:+.3f})" if interval else f"{gain:+.3f}"


def show_errors(out: Path, console: Console) -> None:
    """Print what the errors of the run in a folder are made of, if there is a finished one."""
    if not (out / "report.html").is_file():
        return
    told = Result.read(out).next_step
    if told:
        console.print(Text(f"{out}, as it was run: {told}"), soft_wrap=True)


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
    # And those that ask models which are trained once the fate of these.
    lost = {key: state for key, state in states.items() if state in {"failed", "skipped"}}
    known = {
        job.slot.key: states.get(job.cell.key) or lost.get(job.asked, "missing")
        for job in result.jobs
    }
    counts: dict[str, Counter[str]] = {}
    for job in result.plan.prospective_jobs():
        state = known.get(job.slot.key) or fates.get((job.base, job.explainer), "missing")
        counts.setdefault(job.kind, Counter())[state] += 1
    return counts
