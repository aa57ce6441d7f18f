"""The leaderboard: one row per explainer, as texts, values to sort by, and interval bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uproar.report.cast import (
    ranking_gains,
    ranking_protocol,
    shown_protocols,
    sorted_by_gain,
)
from uproar.report.protocols import Protocol
from uproar.report.records import Record, Report, by_explainer, matching, removals
from uproar.report.score import Score, score_of
from uproar.report.section import Context
from uproar.report.verdicts import RANDOM, Verdict, verdict_of
from uproar.report.wording import MISSING, amount, duration, interval, is_missing, number
from uproar.stats.leaks import CLEAR, WORST_FIRST

Row = dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """A number of the table: its text, a smaller note below it, and the value to sort by."""

    text: str
    note: str
    value: str


@dataclass(frozen=True)
class Bar:
    """An interval in a drawing 100 units wide: positions of zero, the ends, and the estimate."""

    zero: float
    low: float
    high: float
    gain: float


@dataclass(frozen=True)
class Column:
    """What the table has of one protocol: its gain, and mostly its verdict.

    The interval is drawn where the verdict is of the gain alone, and no mask can withhold it.
    """

    protocol: Protocol
    has_verdict: bool
    sort: str  # "descending" for the column that orders the rows, else "none"


@dataclass(frozen=True)
class Board:
    """The leaderboard of one removal operator, of explainers of decisions or of the function."""

    removal: str
    columns: tuple[Column, ...]
    ranking: str  # what the protocol that orders the rows is called; empty where there is none
    masks: bool  # whether masks were looked at alone
    rows: list[Row]


def view(context: Context) -> dict[str, Any] | None:
    """Return the leaderboards of explainers of decisions; None where nothing was run."""
    report = context.report
    if not removals(report):
        return None
    run = {one for removal in removals(report) for one in shown_protocols(report, removal)}
    return {
        "blocks": boards(report, of_function=False),
        "protocols": [one for one in report.protocols.values() if one in run],
        "masks": bool(report.leaks),
        "of_function": bool(report.of_function),
    }


def boards(report: Report, *, of_function: bool) -> list[Board]:
    """Return the leaderboard of every removal operator, for the explainers of one scope."""
    return [_board(report, removal, of_function) for removal in removals(report)]


def _board(report: Report, removal: str, of_function: bool) -> Board:
    ranking, shown = ranking_protocol(report, removal), shown_protocols(report, removal)
    columns = tuple(
        Column(
            protocol=one,
            # A mirror of what removes would say the same again: it is heard where it is alone.
            has_verdict=one.reads_removed or not one.reads_own_masks or len(shown) == 1,
            sort="descending" if one == ranking else "none",
        )
        for one in shown
    )
    return Board(
        removal=removal,
        columns=columns,
        ranking=ranking.short if ranking else "",
        masks=bool(matching(report.leaks, removal=removal)),
        rows=[row for row in leaderboard(report, removal) if row["of_function"] == of_function],
    )


def leaderboard(report: Report, removal: str) -> list[Row]:
    """Return the rows of one removal operator, best first; ``of_function`` says in which table."""
    gains = matching(report.gains, removal=removal)
    shown = [protocol.name for protocol in shown_protocols(report, removal)]
    found = {name: by_explainer(matching(gains, protocol=name)) for name in shown}
    scales = {name: _scale(list(rows.values())) for name, rows in found.items()}
    leaks = matching(report.leaks, removal=removal)
    kinds = {str(row["name"]): str(row["kind"]) for row in report.explainers}
    ranks = ranking_gains(report, removal)
    score, seconds, passes = score_of(report.content.data), report.seconds, report.passes
    return [
        {
            "name": name,
            "kind": kinds.get(name, ""),
            "verdicts": {key: _verdict(rows, name) for key, rows in found.items()},
            "gains": {key: _gain(rows.get(name), name) for key, rows in found.items()},
            "bars": {key: _bar(rows.get(name), scales[key]) for key, rows in found.items()},
            "mask": _mask_only([row for row in leaks if row["explainer"] == name], score),
            "rank": _rank(ranks.get(name)),
            "cost": Cell(*_cost(seconds.get(name), passes.get(name)), _sortable(seconds.get(name))),
            "seconds": Cell(duration(seconds.get(name)), "", _sortable(seconds.get(name))),
            "passes": Cell(amount(passes.get(name)), "", _sortable(passes.get(name))),
            "of_function": name in report.of_function,
            "estimand": report.estimand(name),
        }
        for name in sorted_by_gain(report, removal)
    ]


def _cost(seconds: float | None, passes: float | None) -> tuple[str, str]:
    """Return the time, and below it the passes."""
    note = "" if is_missing(passes) else f"{amount(passes)} pass{'' if passes == 1 else 'es'}"
    return duration(seconds), note


def _verdict(rows: Mapping[str, Record], name: str) -> Verdict:
    # Random is what the others are measured by, whether or not the table has a row for it.
    return verdict_of({"explainer": RANDOM} if rows and name == RANDOM else rows.get(name))


def _sortable(value: Any) -> str:
    return "" if is_missing(value) else repr(float(value))


def _gain(row: Record | None, name: str) -> Cell:
    if name == RANDOM and (row is None or is_missing(row["gain"])):
        return Cell("0", "", "0")
    if row is None:
        return Cell(MISSING, "", "")
    note = "" if is_missing(row["low"]) else interval(row["low"], row["high"])
    return Cell(number(row["gain"], signed=True), note, _sortable(row["gain"]))


def _scale(rows: Sequence[Record]) -> tuple[float, float]:
    """Return the range that all interval bars share, zero within it."""
    ends = [
        float(row[key])
        for row in rows
        for key in ("gain", "low", "high")
        if not is_missing(row[key])
    ]
    return min([0.0, *ends]), max([0.0, *ends])


def _bar(row: Record | None, scale: tuple[float, float]) -> Bar | None:
    if row is None or any(is_missing(row[key]) for key in ("gain", "low", "high")):
        return None
    width = scale[1] - scale[0] or 1.0
    places = [
        round(3 + 94 * (float(end) - scale[0]) / width, 2)
        for end in (0.0, row["low"], row["high"], row["gain"])
    ]
    return Bar(*places)


def _mask_only(rows: Sequence[Record], score: Score) -> Cell:
    """Return the highest score that the mask alone gives over the fractions."""
    known = [row for row in rows if not is_missing(row["accuracy"])]
    if not known:
        return Cell(MISSING, "", "")
    worst = max(known, key=lambda row: float(row["accuracy"]))
    worst_mask = min((row["mask"] for row in known), key=WORST_FIRST.index)
    note = "" if worst_mask == CLEAR else f"⚠ {worst_mask}"
    return Cell(score.text(worst["accuracy"]), note, _sortable(worst["accuracy"]))


def _rank(row: Record | None) -> Cell:
    if row is None or is_missing(row.get("rank")):
        return Cell(MISSING, "", "")
    if is_missing(row.get("rank_low")) or is_missing(row.get("rank_high")):
        return Cell(f"{float(row['rank']):g}", "", _sortable(row["rank"]))
    note = f"{float(row['rank_low']):g} to {float(row['rank_high']):g}"
    return Cell(f"{float(row['rank']):g}", note, _sortable(row["rank"]))
