"""The leaderboard: one row per explainer, from the tables of conclusions."""

from __future__ import annotations

import pandas as pd

from uproar.results.conclusions import Conclusions

# What orders the leaderboard: the first of these that was measured.
BEST_FIRST = ("retrain_once_gain", "roar_gain", "kar_gain", "no_retrain_gain")
SCORES = ("roar", "kar", "retrain-once", "no-retrain")


def leaderboard(
    explainers: pd.DataFrame, conclusions: Conclusions, *, removal: str, judging: str
) -> pd.DataFrame:
    """Return one row per explainer, best first: by retrain-once, else by ROAR, KAR, no-retrain.

    :param explainers: explainer kind scope explain_seconds passes estimand, a row for each.
    :param judging: the protocol whose verdicts are shown.
    :returns: explainer kind scope, gain and interval of every protocol, mask_only_accuracy (the
        largest over the fractions), verdict, explain_seconds passes estimand.
    """
    gains = conclusions.gains[conclusions.gains["removal"] == removal]
    board = explainers[["explainer", "kind", "scope"]].copy()
    for score in SCORES:
        rows = gains[gains["protocol"] == score].set_index("explainer")
        for column in ("gain", "low", "high"):
            name = f"{score.replace('-', '_')}_{column}"
            board[name] = board["explainer"].map(rows[column]).astype(float)
    worst = conclusions.leaks.groupby("explainer")["accuracy"].max()
    board["mask_only_accuracy"] = board["explainer"].map(worst).astype(float)
    judged = gains[gains["protocol"] == judging]
    verdicts = judged.set_index("explainer")["verdict"]
    board["verdict"] = [verdicts.get(name, "not measured") for name in board["explainer"]]
    board = board.join(explainers[["explain_seconds", "passes", "estimand"]])
    best = next((name for name in BEST_FIRST if board[name].notna().any()), BEST_FIRST[0])
    return board.sort_values(best, ascending=False, kind="stable", ignore_index=True)
