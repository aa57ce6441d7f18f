"""What a section of the page is, and what it is given to look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from uproar.report.cast import Cast
from uproar.report.charts import Figure
from uproar.report.records import Report
from uproar.report.score import Score


@dataclass(frozen=True)
class Context:
    """What all sections are given: the content's tables, and how explainers are drawn."""

    report: Report
    cast: Cast
    score: Score
    figures: dict[str, Figure]  # those that the sections have drawn so far

    def draw(self, key: str, figure: Figure | None) -> str | None:
        """Add a figure to those of the page and return its key; None for one that there is not."""
        if figure is None:
            return None
        self.figures[key] = figure
        return key


@dataclass(frozen=True)
class Section:
    """A section of the page: ``view`` makes what the template of the same name draws.

    Where there is nothing to say, ``view`` returns None, and the section is left out.
    The template also knows ``cast`` and ``score``.
    """

    name: str  # of its module, its template and its element
    title: str  # of the link to it; without one, it stands above the main part
    view: Callable[[Context], Mapping[str, Any] | None]
