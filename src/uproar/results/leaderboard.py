"""The leaderboard: one row per explainer, from the tables of conclusions."""

from __future__ import annotations

import pandas as pd

from uproar.protocols import best_first, compared
from uproar.results.conclusions import Conclusions


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
