"""From gains to verdicts: every explainer against random, each difference with its uncertainty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from uproar.stats.levels import CROSSED, Design, errors_of, half_width, level_means, two_sided
from uproar.stats.resampling import gain_draws, holm, smallest_detectable, stack_gains

# What tables hold; pages and terminals say it in words (:mod:`uproar.report.verdicts`).
Verdict = Literal["better", "alike", "worse", "withheld", "untested", "reference"]
BETTER: Verdict = "better"
ALIKE: Verdict = "alike"  # as far as the run can tell
WORSE: Verdict = "worse"
WITHHELD: Verdict = "withheld"  # the mask leaks, or is not proven clear
UNTESTED: Verdict = "untested"  # what a verdict needs is missing
REFERENCE: Verdict = "reference"  # random itself

# Why there is no verdict; empty where there is one.
Reason = Literal[
    "", "leaks", "unclear", "no leak control", "one repeat", "learned nothing", "tied reference"
]
VERDICT: Reason = ""
LEAKS: Reason = "leaks"
UNCLEAR: Reason = "unclear"
NO_LEAK_CONTROL: Reason = "no leak control"
ONE_REPEAT: Reason = "one repeat"
LEARNED_NOTHING: Reason = "learned nothing"
TIED_REFERENCE: Reason = "tied reference"
WITHHOLDING = (LEAKS, UNCLEAR)


@dataclass(frozen=True)
class Comparison:
    """Explainers against random, under one protocol.

    ``table``: explainer gain low high normalised p_value p_holm verdict reason rank rank_low
    rank_high, best first. ``draws``: the gains drawn again, one row a draw, one column an
    explainer. ``smallest_detectable``: see :func:`uproar.stats.resampling.smallest_detectable`.
    """

    table: pd.DataFrame
    draws: pd.DataFrame
    smallest_detectable: float


def compare_with_random(
    gains: Mapping[str, NDArray[np.float64]],
    *,
    attainable: float,
    generator: np.random.Generator,
    design: Design = CROSSED,
    reasons: Mapping[str, Reason] | None = None,
    retrained: bool = True,
    reference: str = "random",
    draws: int = 4000,
    level: float = 0.05,
) -> Comparison:
    """Compare every explainer with the reference, each difference with its uncertainty.

    Intervals are ``gain ± width`` at ``1 - level`` each, p-values two-sided, both of
    :mod:`uproar.stats.levels`; Holm's adjustment is over all explainers but the reference, those
    without a verdict included. Ranks count the explainers that are strictly better; their
    intervals come from ranking in every draw of :func:`uproar.stats.resampling.gain_draws`. Give
    equal generators to comparisons of two protocols whose agreement is asked for later.

    One training says nothing of how another would have ended: there is no verdict. As many as
    needed are repeats, or base models (or folds) with repeats of their own.

    :param gains: explainer -> (base_models, repeats, examples), the reference (zero) among them.
    :param attainable: from :func:`uproar.stats.gains.attainable_gain`; normalised gains are NaN
        when not positive.
    :param design: whether repeats are shared by base models, and which folds there are.
    :param reasons: why explainers have no verdict; those that are missing have one.
    :param retrained: whether repeats are trainings, of which one is too few.
    :raises ValueError: when shapes differ, or the reference is missing or not zero.

    >>> better = np.full((1, 2, 8), 0.25) + np.linspace(-0.1, 0.1, 8)
    >>> found = compare_with_random({"random": 0 * better, "ours": better}, attainable=0.5,
    ...     generator=np.random.default_rng(0))
    >>> found.table[["explainer", "gain", "normalised", "verdict"]].round(3).values.tolist()
    [['ours', 0.25, 0.5, 'better'], ['random', 0.0, 0.0, 'reference']]
    """
    names, stacked = stack_gains(gains, reference=reference)
    gain, half, p_value = _tested(stacked, design, level)
    table = pd.DataFrame(
        {"explainer": names, "gain": gain, "low": gain - half, "high": gain + half}
    )
    table["normalised"] = gain / attainable if attainable > 0 else np.nan
    table["p_value"] = p_value
    tested = np.array([name != reference for name in names])
    table["p_holm"] = 1.0
    table.loc[tested, "p_holm"] = holm(p_value[tested])
    alone: Reason = ONE_REPEAT if retrained and _trainings(stacked, design) < 2 else VERDICT
    table["reason"] = [(reasons or {}).get(name, VERDICT) or alone for name in names]
    table.loc[~tested, "reason"] = VERDICT
    table["verdict"] = verdicts(table, reference=reference, level=level)
    again = gain_draws(stacked, generator=generator, draws=draws, design=design)
    table = table.join(_ranks(gain, again, level))
    return Comparison(
        table=table.sort_values(["rank", "explainer"], ignore_index=True),
        draws=pd.DataFrame(again, columns=names),
        smallest_detectable=smallest_detectable(stacked[tested], level=level, design=design),
    )


def _trainings(stacked: NDArray[np.float64], design: Design) -> int:
    """Return how many trainings no two of which share their seed are known of every arm."""
    _, bases, repeats, _ = stacked.shape
    return int(repeats * (len(design.folds) or (bases if design.own_repeats else 1)))


def _tested(
    stacked: NDArray[np.float64], design: Design, level: float
) -> tuple[NDArray[np.float64], ...]:
    """Return gains, half the widths of their intervals, and p-values."""
    errors, units = errors_of(level_means(stacked, design).values())
    # Rounded, so that explainers with equal gains tie whatever the order of summation.
    gain = np.round(stacked.mean(axis=(1, 2, 3)), 12)
    return gain, half_width(errors, units, level=level), two_sided(gain, errors, units)


def _ranks(gain: NDArray[np.float64], again: NDArray[np.float64], level: float) -> pd.DataFrame:
    """Rank 1 is the best gain; equal gains share the better rank."""
    from scipy.stats import rankdata

    ranks = rankdata(-again, method="min", axis=1)
    # The nearest rank below or above, for half a rank is none.
    low = np.quantile(ranks, level / 2, axis=0, method="lower")
    high = np.quantile(ranks, 1 - level / 2, axis=0, method="higher")
    columns = {"rank": rankdata(-gain, method="min"), "rank_low": low, "rank_high": high}
    return pd.DataFrame({name: values.astype(np.int64) for name, values in columns.items()})


def verdicts(
    table: pd.DataFrame, *, reference: str = "random", level: float = 0.05
) -> list[Verdict]:
    """Return one verdict per row of a table with columns explainer, gain, p_holm and reason.

    >>> verdicts(pd.DataFrame({"explainer": ["a", "b", "c"], "gain": [0.1, -0.1, 0.1],
    ...     "p_holm": [0.01, 0.2, 0.01], "reason": ["", "", "leaks"]}))
    ['better', 'alike', 'withheld']
    """

    def verdict(explainer: str, gain: float, p_holm: float, reason: Reason) -> Verdict:
        if explainer == reference:
            return REFERENCE
        if reason:
            return WITHHELD if reason in WITHHOLDING else UNTESTED
        if p_holm > level:
            return ALIKE
        return BETTER if gain > 0 else WORSE

    columns = (table[name] for name in ("explainer", "gain", "p_holm", "reason"))
    return [verdict(*row) for row in zip(*columns, strict=True)]
