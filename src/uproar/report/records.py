"""Tables to records: the page reads plain dictionaries, and an empty table has no columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from uproar.report.content import ReportContent
from uproar.report.protocols import Protocol, protocols_of
from uproar.report.score import score_of
from uproar.report.wording import is_missing

Record = dict[str, Any]


@dataclass(frozen=True)
class Report:
    """The content, and its tables as records: reading a table row by row is slow, so only once."""

    content: ReportContent
    protocols: Mapping[str, Protocol]  # by name
    leaderboard: Sequence[Record]
    gains: Sequence[Record]
    curves: Sequence[Record]
    leaks: Sequence[Record]
    pairs: Sequence[Record]
    agreement: Sequence[Record]
    error: Sequence[Record]
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

    @cached_property
    def seconds(self) -> dict[str, float]:
        """How long each explainer took, from the leaderboard's column of seconds."""
        return self._told("seconds")

    @cached_property
    def passes(self) -> dict[str, float]:
        """How many times an example went through the model, from the leaderboard's column."""
        return self._told("passes")

    @cached_property
    def repeats(self) -> int:
        """The most retrainings that a point of a curve has; 0 where it is not known."""
        retrained = {c.name for p in self.protocols.values() if p.retrains for c in p.curves}
        counts = [row.get("repeats") for row in self.curves if row["protocol"] in retrained]
        return max((int(str(value)) for value in counts if not is_missing(value)), default=0)

    def _told(self, what: str) -> dict[str, float]:
        first = next(iter(self.leaderboard), {})
        column = next((key for key in first if what in key), None)
        if column is None:
            return {}
        return {
            str(row["explainer"]): float(row[column])
            for row in self.leaderboard
            if not is_missing(row[column])
        }

    def is_control(self, name: str) -> bool:
        """Say whether an explainer does not look at what the model has learned."""
        return bool(self.described.get(name, {}).get("kind") == "control")

    def estimand(self, name: str) -> str:
        """Return what an explainer of the function estimates; empty where it does not say."""
        told = self.described.get(name, {}).get("estimand")
        return told if isinstance(told, str) else ""


def report_of(content: ReportContent) -> Report:
    """Return the content with its tables read.

    :raises ValueError: when tables name a protocol that the table of protocols does not have.
    """
    protocols = protocols_of(_records(content.protocols), score_of(content.data).name)
    _check_named(content, protocols)
    return Report(
        content=content,
        protocols=protocols,
        leaderboard=_records(content.leaderboard),
        gains=_records(content.gains),
        curves=_records(content.curves),
        leaks=_records(content.leaks),
        pairs=_records(content.pairs),
        agreement=_records(content.agreement),
        error=_records(content.error),
        explainers=_records(content.explainers),
        timings=_records(content.timings),
        function=_records(content.function),
        function_agreement=_records(content.function_agreement),
    )


def _check_named(content: ReportContent, protocols: Mapping[str, Protocol]) -> None:
    curves = {curve.name for protocol in protocols.values() for curve in protocol.curves}
    named = {
        "gains": (_column(content.gains, "protocol"), protocols),
        "curves": (_column(content.curves, "protocol"), curves),
        "pairs": (_column(content.pairs, "protocol"), protocols),
        "agreement": (
            _column(content.agreement, "first") | _column(content.agreement, "second"),
            protocols,
        ),
        "error": (_column(content.error, "protocol"), protocols),
        "detectable": (set(content.detectable), protocols),
    }
    for table, (used, known) in named.items():
        if unknown := sorted(used - set(known)):
            raise ValueError(f"{table}: {unknown[0]!r} is not in the table of protocols")


def _column(frame: pd.DataFrame, column: str) -> set[str]:
    return set(frame[column]) if column in frame else set()


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

    >>> matching([{"protocol": "ours"}, {"protocol": "theirs"}], protocol="ours")
    [{'protocol': 'ours'}]
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
