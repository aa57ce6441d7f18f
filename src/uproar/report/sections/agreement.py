"""The matrix of pairs: which explainers the run can tell apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from uproar.report.cast import Cast
from uproar.report.plotly_text import label
from uproar.report.records import Record, Report, matching
from uproar.report.sections.curves import Figure
from uproar.report.wording import is_missing, number, shortened

_LONGEST = 20  # characters of a name beside the matrix
_SLANT = 60  # pixels that the slanted last name reaches over the right side


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
    trace = {
        "type": "heatmap",
        "z": outcome,
        "text": [[symbols[entry] for entry in line] for line in outcome],
        "texttemplate": "%{text}",
        "customdata": told,
        "hovertemplate": "%{customdata}<extra></extra>",
        "hoverongaps": False,
        "zmin": -1,
        "zmax": 1,
        "xgap": 1,
        "ygap": 1,
        "showscale": False,
        "meta": {"part": "pairs"},
    }
    return {"data": [trace], "layout": matrix_layout(names)}


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


def matrix_layout(names: Sequence[str], *, cell: int = 22) -> Figure:
    """Return what matrices of explainers share; ``cell`` is the side of a cell in pixels."""
    ticks = {
        "tickvals": list(range(len(names))),
        "ticktext": [label(name, _LONGEST) for name in names],
        "showgrid": False,
        "zeroline": False,
        "fixedrange": True,
        "ticks": "",
    }
    # A fixed cell size keeps symbols legible; a narrow screen scrolls instead.
    side = cell * len(names)
    longest = max(len(shortened(name, _LONGEST)) for name in names)
    left, top = 24 + 7 * longest, 30 + 6 * longest
    return {
        "width": side + left + _SLANT,
        "height": side + top + 10,
        "margin": {"l": left, "r": _SLANT, "t": top, "b": 10},
        "xaxis": ticks | {"side": "top", "tickangle": -60},
        "yaxis": ticks | {"autorange": "reversed"},
        "hoverlabel": {"namelength": -1, "align": "left"},
        "showlegend": False,
    }
