"""The leaderboard: one row per explainer, from the tables of conclusions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from uproar.protocols import best_first, compared
from uproar.results.conclusions import Conclusions
from uproar.results.function import over_bases

if TYPE_CHECKING:
    from uproar.results.result import Result


def leaderboard(
    explainers: pd.DataFrame, conclusions: Conclusions, *, removal: str, judging: str
) -> pd.DataFrame:
    """Return one row per explainer, best first by the protocol run that is believed most.

    :param explainers: explainer kind scope explain_seconds passes tied estimand, a row for each.
    :param judging: the protocol whose verdicts are shown.
    :returns: explainer kind scope, gain and interval of every protocol, mask_only_accuracy (the
        largest over the fractions), mask_share (the largest share of what there is to know that
        the mask tells), verdict and the reason why there is none (missing where nothing was
        judged), explain_seconds passes tied estimand.
    """
    gains = conclusions.gains[conclusions.gains["removal"] == removal]
    board = explainers[["explainer", "kind", "scope"]].copy()
    for protocol in compared():
        rows = gains[gains["protocol"] == protocol.name].set_index("explainer")
        for column in ("gain", "low", "high"):
            name = f"{protocol.column}_{column}"
            board[name] = board["explainer"].map(rows[column]).astype(float)
    worst = conclusions.leaks.groupby("explainer")[["accuracy", "share"]].max()
    for column, found in (("mask_only_accuracy", "accuracy"), ("mask_share", "share")):
        board[column] = board["explainer"].map(worst[found]).astype(float)
    judged = gains[gains["protocol"] == judging]
    judged = judged.set_index("explainer")
    for column in ("verdict", "reason"):
        board[column] = [judged[column].get(name) for name in board["explainer"]]
    board = board.join(explainers[["explain_seconds", "passes", "tied", "estimand"]])
    columns = [f"{protocol.column}_gain" for protocol in best_first()]
    best = next((name for name in columns if board[name].notna().any()), columns[0])
    return board.sort_values(best, ascending=False, kind="stable", ignore_index=True)


def explainers_of(result: Result, names: Sequence[str]) -> pd.DataFrame:
    """Return what is known of explainers beside their scores, as :func:`leaderboard` takes it."""
    entries = result.plan.entries
    seconds = over_bases(result.explained, lambda _, outcome, member: outcome.seconds[member])
    table = pd.DataFrame({"explainer": names})
    table["kind"] = [entries[name].kind for name in names]
    table["scope"] = [result.scopes[name] for name in names]
    table["explain_seconds"] = table["explainer"].map(seconds)
    table["passes"] = table["explainer"].map(result.passes)
    table["tied"] = table["explainer"].map(result.tied)
    table["estimand"] = [entries[name].estimand for name in names]
    return table
