"""Cost against quality: seconds to explain and gain, a point per explainer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from uproar.report.cast import Cast, ranking_protocol
from uproar.report.charts import Figure, layout_of
from uproar.report.plotly_text import label, value
from uproar.report.protocols import Protocol
from uproar.report.records import Record, Report, by_explainer, matching, removals
from uproar.report.section import Context
from uproar.report.wording import amount, interval, is_missing, number


def view(context: Context) -> dict[str, Any] | None:
    """Return a chart for every removal; None where there are no times beside gains."""
    blocks = [_block(context, *numbered) for numbered in enumerate(removals(context.report))]
    return {"blocks": blocks} if any(block["key"] for block in blocks) else None


def _block(context: Context, number: int, removal: str) -> dict[str, str | None]:
    protocol = ranking_protocol(context.report, removal)
    if protocol is None:
        return {"key": None}
    figure = cost_figure(context.report, context.cast, protocol, removal)
    return {"key": context.draw(f"cost-{number}", figure), "protocol": protocol.short}


def cost_figure(report: Report, cast: Cast, protocol: Protocol, removal: str) -> Figure | None:
    """Return seconds to explain against gain, one labelled point per explainer."""
    rows = by_explainer(matching(report.gains, protocol=protocol.name, removal=removal))
    seconds = report.seconds
    names = [
        name
        for name in cast.ordered
        if name in rows and not is_missing(rows[name]["gain"]) and seconds.get(name, 0) > 0
    ]
    if not names:
        return None
    layout = layout_of("seconds to explain (logarithmic)", f"{protocol.short} gain")
    layout["xaxis"] |= {"type": "log", "dtick": 1, "ticksuffix": "\N{NO-BREAK SPACE}s"}
    layout["yaxis"] |= {"zeroline": True}
    layout["showlegend"] = False
    points = _cost_points(names, [rows[name] for name in names], seconds, cast)
    points["customdata"] = [
        [*told, _passes(report.passes.get(name), name in report.of_function)]
        for told, name in zip(points["customdata"], names, strict=True)
    ]
    return {"data": [_frontier(names, rows, seconds), points], "layout": layout}


def _cost_points(
    names: Sequence[str], rows: Sequence[Record], seconds: Mapping[str, float], cast: Cast
) -> Figure:
    gains = [float(row["gain"]) for row in rows]
    return {
        "type": "scatter",
        "mode": "markers+text",
        "x": [value(seconds[name], 6) for name in names],
        "y": [value(gain) for gain in gains],
        "text": [label(name, 26) for name in names],
        "textposition": ["middle right"] * len(names),
        "customdata": [
            [label(name), number(row["gain"], signed=True), interval(row["low"], row["high"])]
            for name, row in zip(names, rows, strict=True)
        ],
        "hovertemplate": (
            "<b>%{customdata[0]}</b><br>gain %{customdata[1]}"
            "<br>95 % interval %{customdata[2]}<br>%{x:.3g} seconds"
            "<br>%{customdata[3]}<extra></extra>"
        ),
        "marker": {"size": 10, "symbol": [cast.symbol(name) for name in names]},
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [_reach(row["high"], row["gain"]) for row in rows],
            "arrayminus": [_reach(row["gain"], row["low"]) for row in rows],
            "thickness": 1,
            "width": 3,
        },
        "meta": {"part": "cost", "slots": [cast.colour(name) for name in names]},
        "cliponaxis": False,
    }


def _passes(passes: float | None, of_function: bool) -> str:
    if is_missing(passes):
        return "passes not counted"
    noun = "pass" if passes == 1 else "passes"
    return f"{amount(passes)} {noun} per {'held-out example' if of_function else 'example'}"


def _reach(upper: Any, lower: Any) -> float:
    """Return the length of an error bar; none where an end is not known."""
    if is_missing(upper) or is_missing(lower):
        return 0.0
    return round(max(float(upper) - float(lower), 0.0), 5)


def _frontier(
    names: Sequence[str], rows: Mapping[str, Record], seconds: Mapping[str, float]
) -> Figure:
    """Return the step line through explainers that no cheaper one equals."""
    reached: list[str] = []
    for name in sorted(names, key=lambda name: (seconds[name], -float(rows[name]["gain"]))):
        if not reached or rows[name]["gain"] > rows[reached[-1]]["gain"]:
            reached.append(name)
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [value(seconds[name], 6) for name in reached],
        "y": [value(rows[name]["gain"]) for name in reached],
        "line": {"shape": "hv", "dash": "dot", "width": 1.5},
        "hoverinfo": "skip",
        "meta": {"part": "frontier", "slot": -1},
    }
