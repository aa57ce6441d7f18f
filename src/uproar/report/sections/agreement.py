"""Agreement and resolution: what protocols say of each other, and how small a gain is seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from uproar.report.cast import Cast, ranking_protocol
from uproar.report.charts import Figure, matrix
from uproar.report.effort import next_step
from uproar.report.plotly_text import label
from uproar.report.records import Record, Report, matching
from uproar.report.section import Context
from uproar.report.wording import interval, is_missing, number, percent
from uproar.stats.effort import FIVE_FOLDS


def view(context: Context) -> dict[str, Any] | None:
    """Return what protocols agree on, and what the run can tell apart; None where nothing is."""
    found = {
        "agreements": agreements(context.report),
        "detectable": _detectable_gains(context.report),
        "errors": _errors(context.report),
        "matrices": _matrices(context),
    }
    return found if any(found.values()) else None


def agreements(report: Report) -> list[dict[str, str]]:
    """Return what the protocols say of each other, the disagreements said aloud."""
    return [_agreement(report, row) for row in report.agreement]


def _agreement(report: Report, row: Record) -> dict[str, str]:
    first, second = (report.protocols[str(row[side])].short for side in ("first", "second"))
    return {
        "pair": f"{first} and {second}",
        "spearman": number(row["spearman"], 2, signed=True),
        "interval": interval(row.get("low"), row.get("high"), 2, signed=True),
        "explainers": str(row.get("explainers", "")),
    } | _said(row, first, second)


def _said(row: Record, first: str, second: str) -> dict[str, str]:
    if is_missing(row["spearman"]):
        return {"state": "unknown", "said": "The agreement could not be computed."}
    low, high = row.get("low"), row.get("high")
    if not is_missing(high) and float(str(high)) < 0:
        return {
            "state": "opposed",
            "said": f"{first} and {second} disagree: what one ranks high, the other ranks low.",
        }
    if is_missing(low) or float(str(low)) <= 0:
        return {
            "state": "unclear",
            "said": f"{first} and {second} do not agree measurably: the interval includes zero.",
        }
    strength = "agree" if float(row["spearman"]) >= 0.7 else "agree only in part"
    return {"state": "agreed", "said": f"{first} and {second} {strength}."}


def _detectable_gains(report: Report) -> list[tuple[str, str]]:
    """Return, per protocol, the smallest gain that the run could have detected."""
    return [
        (report.protocols[name].short, number(gain))
        for name, gain in report.content.detectable.items()
    ]


def _errors(report: Report) -> list[dict[str, Any]]:
    """Return, per protocol, the part of its error that each level makes, and what would help."""
    tested = dict.fromkeys(str(row["protocol"]) for row in report.error)
    found = []
    for name in tested:
        rows = matching(report.error, protocol=name)
        shares = {
            str(row["level"]): percent(row["share"], 0)
            for row in rows
            if row["level"] != FIVE_FOLDS
        }
        protocol = report.protocols[name].short
        found.append({"protocol": protocol, "shares": shares, "step": next_step(rows)})
    return found


def _matrices(context: Context) -> list[dict[str, str | None]]:
    """Return a matrix of pairs for every protocol, that which orders the page first."""
    report, first = context.report, ranking_protocol(context.report)
    tested = dict.fromkeys(report.protocols[str(row["protocol"])] for row in report.pairs)
    return [
        {
            "title": protocol.short,
            "key": context.draw(f"pairs-{place}", pair_figure(report, context.cast, protocol.name)),
        }
        for place, protocol in enumerate(sorted(tested, key=lambda one: one != first))
    ]


def pair_figure(report: Report, cast: Cast, protocol: str) -> Figure | None:
    """Return the matrix of pairs: which explainers the run can tell apart; None when not tested."""
    pairs = matching(report.pairs, protocol=protocol)
    present = {str(row[side]) for row in pairs for side in ("first", "second")}
    names = [name for name in cast.ordered if name in present]
    if not names:
        return None
    place = {name: index for index, name in enumerate(names)}
    outcome: list[list[int | None]] = [[None] * len(names) for _ in names]
    told: list[list[str]] = [[""] * len(names) for _ in names]
    for row in pairs:
        _enter(row, place, outcome, told)
    symbols = {None: "", 0: "·", 1: "▲", -1: "▼"}
    texts = [[symbols[entry] for entry in line] for line in outcome]
    return matrix(names, outcome, texts=texts, told=told, part="pairs")


def _enter(
    row: Record,
    place: Mapping[str, int],
    outcome: list[list[int | None]],
    told: list[list[str]],
) -> None:
    """Write one tested pair into the matrix, once from each side."""
    first, second = str(row["first"]), str(row["second"])
    difference = row["difference"]
    apart = bool(row["distinguishable"]) and not is_missing(difference)
    sign = (1 if float(difference) > 0 else -1) if apart else 0
    p_value = f"p {number(row.get('p_holm'))}"
    for one, other, factor in ((first, second, 1), (second, first, -1)):
        gap = None if is_missing(difference) else factor * float(difference)
        answer = {0: "cannot be told apart", 1: "is better", -1: "is worse"}[factor * sign]
        outcome[place[one]][place[other]] = factor * sign
        told[place[one]][place[other]] = (
            f"<b>{label(one)}</b> against {label(other)}<br>{answer}"
            f"<br>difference of gains {number(gap, signed=True)}, {p_value}"
        )
