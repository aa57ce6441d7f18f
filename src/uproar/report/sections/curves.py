"""The curves: score against the fraction of features, a chart for each curve of a protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from uproar.report.cast import Cast
from uproar.report.charts import Figure, layout_of
from uproar.report.plotly_text import label, value
from uproar.report.protocols import Curve
from uproar.report.records import Record, Report, matching, removals
from uproar.report.score import Score, score_of
from uproar.report.section import Context
from uproar.report.verdicts import RANDOM
from uproar.report.wording import interval, is_missing
from uproar.stats.leaks import LEAKS

_HOVER = (
    "<b>%{customdata[0]}</b><br>fraction %{x:.2f}<br>SCORE %{y:.3f}"
    "<br>95 % interval %{customdata[1]}<br>%{customdata[2]}<extra></extra>"
)
_LOWEST_SHARED = -1.0  # a chart with an R² below this would press all others flat


def view(context: Context) -> dict[str, Any] | None:
    """Return the charts of every removal; None where there are no curves."""
    if not context.report.curves:
        return None
    return {
        "blocks": [
            {"removal": removal, "charts": _charts(context, number, removal)}
            for number, removal in enumerate(removals(context.report))
        ]
    }


def _charts(context: Context, number: int, removal: str) -> list[dict[str, Any]]:
    """Return a chart for every curve that is compared with random, also where it was not run."""
    report = context.report
    leaks = any(row["mask"] == LEAKS for row in matching(report.leaks, removal=removal))
    return [
        {
            "key": context.draw(
                f"curve-{number}-{curve.name}", curve_figure(report, context.cast, curve, removal)
            ),
            "title": curve.title,
            "reading": curve.reading,
            "leaking": leaks and protocol.reads_removed,
        }
        for protocol in report.protocols.values()
        if protocol.compared
        for curve in protocol.curves
    ]


def curve_figure(report: Report, cast: Cast, curve: Curve, removal: str) -> Figure | None:
    """Return score against fraction, a line and a band per explainer; None when not run."""
    of_removal = matching(report.curves, removal=removal)
    rows = matching(of_removal, protocol=curve.name)
    if not rows:
        return None
    # Random first: its band lies behind all others.
    names = sorted({str(row["explainer"]) for row in rows}, key=lambda name: _depth(cast, name))
    score = score_of(report.content.data)
    traces: list[Figure] = []
    for name in names:
        points = sorted(_of(rows, name), key=lambda row: float(row["fraction"]))
        shared = {
            "type": "scatter",
            "meta": {"explainer": cast.ordered.index(name), "slot": cast.colour(name)},
            "visible": name in cast.shown,
            "name": label(name, 32),
            "legendgroup": str(cast.ordered.index(name)),
        }
        traces += [_band(points, shared), _line(points, shared, cast, name, score)]
    done = "kept" if curve.keeps else "removed"
    layout = layout_of(f"fraction of features {done}", f"test {score.name}")
    layout["xaxis"] |= {"range": [-0.02, 1.02], "tickvals": [0, 0.2, 0.4, 0.6, 0.8, 1]}
    layout["yaxis"] |= {"range": _score_range(rows, of_removal)}
    if not score.regression:
        layout["yaxis"] |= {"tickformat": ".0%"}
    majority = report.content.data.get("majority_rate")
    if not is_missing(majority):
        layout |= _level(float(str(majority)), score.reference, at_right=curve.keeps)
    return {"data": traces, "layout": layout}


def _depth(cast: Cast, name: str) -> tuple[bool, int]:
    return (name != RANDOM, cast.ordered.index(name))


def _of(rows: Sequence[Record], name: str) -> list[Record]:
    return [row for row in rows if row["explainer"] == name]


def _line(points: Sequence[Record], shared: Figure, cast: Cast, name: str, score: Score) -> Figure:
    repeats = [row.get("repeats") for row in points]
    return shared | {
        "meta": shared["meta"] | {"part": "line"},
        "x": [value(row["fraction"]) for row in points],
        "y": [value(row["value"]) for row in points],
        "customdata": [
            [
                label(name),
                interval(row.get("low"), row.get("high")),
                "repeats not given" if is_missing(count) else f"repeats {int(str(count))}",
            ]
            for row, count in zip(points, repeats, strict=True)
        ],
        "mode": "lines+markers",
        "line": {"dash": cast.dash(name), "width": 2},
        "marker": {"symbol": cast.symbol(name), "size": 7 if name != RANDOM else 5},
        "hovertemplate": _HOVER.replace("SCORE", score.name),
        "connectgaps": False,
    }


def _band(points: Sequence[Record], shared: Figure) -> Figure:
    """Return the interval as one closed outline: out along the upper ends, back along the lower."""
    known = [
        row for row in points if not is_missing(row.get("low")) and not is_missing(row.get("high"))
    ]
    back = known[::-1]
    return shared | {
        "meta": shared["meta"] | {"part": "band"},
        "x": [value(row["fraction"]) for row in [*known, *back]],
        "y": [value(row["high"]) for row in known] + [value(row["low"]) for row in back],
        "mode": "lines",
        "fill": "toself",
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _score_range(rows: Sequence[Record], of_removal: Sequence[Record]) -> list[float]:
    """Return one scale for all protocols, so that charts can be compared by eye.

    R² has no lower bound: charts that reach far below zero get a scale of their own.
    """
    charts: dict[str, list[float]] = {}
    for row in of_removal:
        charts.setdefault(str(row["protocol"]), []).extend(_heights(row))
    own = charts[str(rows[0]["protocol"])]
    shared = [
        height
        for heights in charts.values()
        if min(heights, default=0.0) >= _LOWEST_SHARED
        for height in heights
    ]
    values = own if min(own, default=0.0) < _LOWEST_SHARED else shared
    low, high = min(values, default=0.0), max(values, default=1.0)
    margin = max(0.04 * (high - low), 0.01)
    return [round(low - margin, 4), round(high + margin, 4)]


def _heights(row: Record) -> list[float]:
    return [float(row[key]) for key in ("value", "low", "high") if not is_missing(row.get(key))]


def _level(height: float, name: str, *, at_right: bool) -> Figure:
    """Return a line at what the same answer reaches, named where the curves are high."""
    line = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": height, "y1": height}
    note = {
        "xref": "paper",
        "x": 1 if at_right else 0,
        "xanchor": "right" if at_right else "left",
        "y": height,
        "yanchor": "bottom",
        "text": name,
        "showarrow": False,
        "font": {"size": 11},
    }
    return {"shapes": [line | {"line": {"width": 1, "dash": "dot"}}], "annotations": [note]}
