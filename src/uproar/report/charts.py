"""What charts share: figures as plain Plotly dictionaries, without colours, which the page adds.

Every trace carries in ``meta`` what the page needs: the explainer's number in the cast, the part
that the trace plays, and the slot of its colour in the style sheet (-1: the grey of random).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from uproar.report.plotly_text import label
from uproar.report.wording import shortened

Figure = dict[str, Any]

_LONGEST = 20  # characters of a name beside a matrix
_SLANT = 60  # pixels that the slanted last name reaches over the right side


def layout_of(x_title: str, y_title: str) -> Figure:
    """Return what all charts with two axes share."""
    axis = {"automargin": True, "zeroline": False, "fixedrange": False}
    return {
        "margin": {"l": 56, "r": 14, "t": 10, "b": 46},
        "xaxis": axis | {"title": {"text": x_title, "standoff": 8}},
        "yaxis": axis | {"title": {"text": y_title, "standoff": 8}},
        "hovermode": "closest",
        "hoverlabel": {"namelength": -1, "align": "left"},
        "showlegend": False,
        "dragmode": "zoom",
    }


def matrix(
    names: Sequence[str],
    values: Sequence[Sequence[float | None]],
    *,
    texts: Sequence[Sequence[str]],
    told: Sequence[Sequence[str]],
    part: str,
    cell: int = 22,
) -> Figure:
    """Return explainers against explainers, from -1 to 1.

    :param texts: what stands in the cells; ``told`` what is said of them on hovering.
    :param cell: the side of a cell in pixels.
    """
    trace = {
        "type": "heatmap",
        "z": values,
        "text": texts,
        "texttemplate": "%{text}",
        "customdata": told,
        "hovertemplate": "%{customdata}<extra></extra>",
        "hoverongaps": False,
        "zmin": -1,
        "zmax": 1,
        "xgap": 1,
        "ygap": 1,
        "showscale": False,
        "meta": {"part": part},
    }
    return {"data": [trace], "layout": _matrix_layout(names, cell)}


def _matrix_layout(names: Sequence[str], cell: int) -> Figure:
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
