"""Explainers of the function: their leaderboard, and importances in the form of the data's kind."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uproar import ranking
from uproar.report.cast import Cast
from uproar.report.charts import Figure, layout_of
from uproar.report.plotly_text import label, significant
from uproar.report.records import Record, Report, removals
from uproar.report.section import Context
from uproar.report.sections import estimands
from uproar.report.sections.gallery_pictures import Frame, frame, heat
from uproar.report.sections.leaderboard import boards
from uproar.report.sections.scopes import local_against_global
from uproar.report.wording import compact, count, interval_of, is_missing, p_value

SHOWN = 12  # features of tables, and of what has too many channels to be drawn as lines
MOST_LINES = 6  # channels of series that get a line
OUTLINED = 0.1  # share of features, the most important ones, that is marked in maps
ABOVE = "above zero"


@dataclass(frozen=True)
class Panel:
    """One explainer: a figure by its key, or for images a map with the outline of the top tenth."""

    explainer: str
    estimand: str
    note: str
    key: str = ""
    picture: str = ""
    path: str = ""
    alt: str = ""


@dataclass(frozen=True)
class Importances:
    """All explainers of the function, and what the page says above them."""

    panels: tuple[Panel, ...]
    bases: int
    features: int
    listed: int  # features that are drawn, where not all are
    lines: bool
    frame: Frame | None
    figures: Mapping[str, Figure]


def view(context: Context) -> dict[str, Any] | None:
    """Return what there is of explainers of the function; None where there are none."""
    report, cast = context.report, context.cast
    if not report.of_function:
        return None
    found = importances(report, cast)
    context.figures.update(found.figures if found else {})
    matrix = estimands.agreement_figure(report, cast)
    return {
        "kind": report.content.data.get("kind"),
        "blocks": boards(report, of_function=True),
        "scopes": [local_against_global(report, removal) for removal in removals(report)],
        "importances": found,
        "estimands": estimands.estimands(report, cast),
        "disagreements": estimands.disagreements(report, cast),
        "matrix": context.draw("function-agreement", matrix),
        "low": estimands.LOW,
    }


def importances(report: Report, cast: Cast) -> Importances | None:
    """Return the panels in the order of the cast; None where there is nothing to show."""
    rows: dict[str, list[Record]] = {}
    for row in report.function:
        rows.setdefault(str(row["explainer"]), []).append(row)
    names = [name for name in cast.ordered if name in rows]
    if not names:
        return None
    kind, shape = report.content.data.get("kind"), _shape(report, rows[names[0]])
    values = {name: _values(rows[name]) for name in names}
    bases, features = values[names[0]].shape
    maps = _frame(report, shape) if kind == "image" and len(shape) == 2 else None
    lines = kind in {"series", "text"} and (len(shape) == 1 or shape[0] <= MOST_LINES)
    top = _top(report, values)
    panels, figures = [], {}
    for place, name in enumerate(names):
        picture, key = ("", "", ""), ""
        if maps is not None:
            average = values[name].mean(0).reshape(shape).astype(np.float32)
            if np.isfinite(average).all():
                signed = bool(report.described[name]["signed"]) or bool((average < 0).any())
                picture = heat(average, maps, OUTLINED, signed=signed)
        else:
            key = f"function-{place}"
            figures[key] = (
                _lines(rows[name], shape, str(kind), cast.colour(name), bases)
                if lines
                else _dots(rows[name], top, cast.colour(name), bases)
            )
        panels.append(Panel(name, report.estimand(name), _note(rows[name]), key, *picture))
    listed = len(top) if maps is None and not lines else features
    return Importances(tuple(panels), bases, features, listed, lines, maps, figures)


def _shape(report: Report, rows: Sequence[Record]) -> tuple[int, ...]:
    """Return the shape of the features; a list of them where the content does not tell."""
    features = len({str(row["feature"]) for row in rows})
    shape = tuple(report.content.data.get("feature_shape") or ())
    return shape if math.prod(shape) == features else (features,)


def _values(rows: Sequence[Record]) -> NDArray[np.float64]:
    """Return the importance of every feature, (base models, features)."""
    bases = len({row["base_model"] for row in rows})
    return np.array([row["importance"] for row in rows], dtype=np.float64).reshape(bases, -1)


def _frame(report: Report, shape: tuple[int, ...]) -> Frame:
    data = report.content.data
    patch = int(data.get("patch") or 1)
    sides = tuple(data.get("input_shape") or ())[-2:] or tuple(patch * side for side in shape)
    return frame(sides[0], sides[1], shape[0], shape[1], patch)


def _top(report: Report, values: Mapping[str, NDArray[np.float64]]) -> list[int]:
    """Return the features that are drawn: those that any explainer ranks high, best on average.

    The same for all explainers, so that charts can be compared line by line; controls have no say
    unless there is nothing else.
    """
    heard = [v for name, v in values.items() if not report.is_control(name)] or [*values.values()]
    ranks = np.stack([ranking.rank(importance.mean(0)[None])[0] for importance in heard])
    order = np.lexsort((ranks.mean(0), ranks.min(0)))[:SHOWN]
    return sorted(order.tolist(), key=lambda feature: float(ranks[:, feature].mean()))


def _note(rows: Sequence[Record]) -> str:
    """Return how many features are shown above zero; of several base models, in all of them."""
    tested = [row for row in rows if not is_missing(row["p_holm"])]
    if not tested:
        return "no test against zero"
    below = {row["feature"] for row in tested if row["verdict"] != ABOVE}
    features = {row["feature"] for row in tested}
    return f"{len(features - below)} of {count(len(features), 'feature', 'features')} above zero"


def _dots(rows: Sequence[Record], top: Sequence[int], slot: int, bases: int) -> Figure:
    """Return a line per feature, with a dot and an interval for every base model."""
    features = len(rows) // bases
    points = [
        (place + (base - (bases - 1) / 2) * 0.6 / bases, rows[base * features + feature])
        for place, feature in enumerate(top)
        for base in range(bases)
    ]
    names = [str(rows[feature]["feature"]) for feature in top]
    layout = layout_of("importance", "")
    layout["margin"] = layout["margin"] | {"l": 8}
    layout["xaxis"] |= {"zeroline": True, "nticks": 5, "rangemode": "tozero"}
    layout["yaxis"] |= {
        "tickvals": list(range(len(names))),
        "ticktext": [label(name, 22) for name in names],
        "range": [len(names) - 0.4, -0.6],
        "fixedrange": True,
        "ticks": "",
    }
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": [significant(row["importance"]) for _, row in points],
        "y": [round(place, 3) for place, _ in points],
        "customdata": [_told(row, bases) for _, row in points],
        "hovertemplate": _HOVER,
        "marker": {"size": 8 if bases < 3 else 6, "symbol": [_symbol(row) for _, row in points]},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [_reach(row["high"], row["importance"]) for _, row in points],
            "arrayminus": [_reach(row["importance"], row["low"]) for _, row in points],
            "thickness": 1.2,
            "width": 0,
        },
        "meta": {"part": "importance", "slot": slot},
    }
    return {"data": [trace], "layout": layout}


_HOVER = (
    "<b>%{customdata[0]}</b><br>importance %{customdata[1]}<br>95 % interval %{customdata[2]}"
    "<br>%{customdata[3]}<extra></extra>"
)


def _told(row: Record, bases: int) -> list[str]:
    test = "not tested against zero"
    if not is_missing(row["p_holm"]):
        test = f"{row['verdict']} ({p_value(row['p_holm'])} after Holm)"
    if bases > 1:
        test += f"<br>base model {row['base_model']}"
    reach = interval_of(row["low"], row["high"])
    return [label(str(row["feature"])), compact(row["importance"]), reach, test]


def _symbol(row: Record) -> str:
    """Return an open dot for what is not shown above zero."""
    return "circle" if is_missing(row["p_holm"]) or row["verdict"] == ABOVE else "circle-open"


def _reach(upper: object, lower: object) -> float:
    if is_missing(upper) or is_missing(lower):
        return 0.0
    return significant(float(str(upper)) - float(str(lower))) or 0.0


def _lines(
    rows: Sequence[Record], shape: tuple[int, ...], kind: str, slot: int, bases: int
) -> Figure:
    """Return importance along the steps, a line for each channel, the mean over base models."""
    steps = shape[-1]
    places = list(range(1, steps + 1))
    means = _values(rows).mean(0).reshape(-1, steps)
    layout = layout_of("position" if kind == "text" else "step", "importance")
    layout["yaxis"] |= {"zeroline": True, "nticks": 5, "rangemode": "tozero"}
    traces: list[Figure] = []
    if bases == 1 and len(means) == 1 and not any(is_missing(row["low"]) for row in rows):
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "fill": "toself",
                "x": places + places[::-1],
                "y": [significant(row["high"]) for row in rows]
                + [significant(row["low"]) for row in reversed(rows)],
                "line": {"width": 0},
                "hoverinfo": "skip",
                "meta": {"part": "band", "slot": slot},
            }
        )
    for channel, heights in enumerate(means):
        names = [str(row["feature"]) for row in rows[channel * steps : (channel + 1) * steps]]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": places,
                "y": [significant(height) for height in heights],
                "text": [label(name) for name in names],
                "hovertemplate": "<b>%{text}</b><br>importance %{y:.3g}<extra></extra>",
                "line": {"width": 2},
                "marker": {},
                "meta": {"part": "line", "slot": slot if len(means) == 1 else channel},
            }
        )
    return {"data": traces, "layout": layout}
