"""Tables to records: the page reads plain dictionaries, and an empty table has no columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from uproar.report.content import ReportContent

Record = dict[str, Any]


@dataclass(frozen=True)
class Report:
    """The content, and its tables as records: reading a table row by row is slow, so only once."""

    content: ReportContent
    leaderboard: Sequence[Record]
    gains: Sequence[Record]
    curves: Sequence[Record]
    leaks: Sequence[Record]
    pairs: Sequence[Record]
    agreement: Sequence[Record]
    explainers: Sequence[Record]
    timings: Sequence[Record]
    function: Sequence[Record]
    function_agreement: Sequence[Record]

    @cached_property
    def described(self) -> dict[str, Record]:
        """What each explainer is, by name."""
        return {str(row["name"]): row for row in self.explainers}

    @cached_property
    def of_function(self) -> frozenset[str]:
        """The explainers of the function, which say the same of every example."""
        return frozenset(n for n, row in self.described.items() if row["scope"] == "global")

    def is_control(self, name: str) -> bool:
        """Say whether an explainer does not look at what the model has learned."""
        return bool(self.described.get(name, {}).get("kind") == "control")

    def estimand(self, name: str) -> str:
        """Return what an explainer of the function estimates; empty where it does not say."""
        told = self.described.get(name, {}).get("estimand")
        return told if isinstance(told, str) else ""


def report_of(content: ReportContent) -> Report:
    """Return the content with its tables read."""
    return Report(
        content=content,
        leaderboard=_records(content.leaderboard),
        gains=_records(content.gains),
        curves=_records(content.curves),
        leaks=_records(content.leaks),
        pairs=_records(content.pairs),
        agreement=_records(content.agreement),
        explainers=_records(content.explainers),
        timings=_records(content.timings),
        function=_records(content.function),
        function_agreement=_records(content.function_agreement),
    )


def _records(frame: pd.DataFrame) -> list[Record]:
    """Return the rows of a table as dictionaries."""
    columns = {str(name): frame[name].tolist() for name in frame.columns}
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def matching(
    rows: Iterable[Record], *, protocol: str | None = None, removal: str | None = None
) -> list[Record]:
    """Return the rows of one protocol, of one removal, or of both.

    >>> matching([{"protocol": "roar"}, {"protocol": "kar"}], protocol="kar")
    [{'protocol': 'kar'}]
    """
    wanted = {"protocol": protocol, "removal": removal}
    return [
        row
        for row in rows
        if all(value is None or row.get(key) == value for key, value in wanted.items())
    ]


def by_explainer(rows: Iterable[Record]) -> dict[str, Record]:
    """Return the rows keyed by their explainer."""
    return {str(row["explainer"]): row for row in rows}


def removals(report: Report) -> list[str]:
    """Return the removal operators of the run, in the order of the tables."""
    tables = (report.gains, report.curves, report.leaks)
    return list(dict.fromkeys(str(row["removal"]) for table in tables for row in table))
