"""From gains to verdicts: every explainer against random, each difference with its uncertainty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from uproar.stats.resampling import gain_draws, holm, smallest_detectable, stack_gains

# What tables hold; pages and terminals say it in words (:mod:`uproar.report.verdicts`).
Verdict = Literal["better", "alike", "worse", "withheld", "reference"]
BETTER: Verdict = "better"
ALIKE: Verdict = "alike"  # as far as the run can tell
WORSE: Verdict = "worse"
WITHHELD: Verdict = "withheld"  # the mask leaks
REFERENCE: Verdict = "reference"  # random itself


@dataclass(frozen=True)
class Comparison:
    """Explainers against random, under one protocol.

    ``table``: explainer gain low high normalised p_value p_holm verdict rank rank_low rank_high,
    best first. ``draws``: the bootstrap behind it, one row a draw, one column an explainer.
    ``smallest_detectable``: see :func:`uproar.stats.resampling.smallest_detectable`.
    """

    table: pd.DataFrame
    draws: pd.DataFrame
    smallest_detectable: float


def compare_with_random(
    gains: Mapping[str, NDArray[np.float64]],
    *,
    attainable: float,
    generator: np.random.Generator,
    leaking: frozenset[str] = frozenset(),
    reference: str = "random",
    draws: int = 4000,
    level: float = 0.05,
) -> Comparison:
    """Compare every explainer with the reference, each difference with its uncertainty.

    Intervals are percentiles of :func:`uproar.stats.resampling.gain_draws`, at ``1 - level`` each;
    the p-value is two-sided, ``2 (1 + draws on the other side of zero) / (1 + draws)``, at most 1,
    and Holm's adjustment is over all explainers but the reference, those that leak included. Ranks
    count the explainers that are strictly better; their intervals come from ranking in every draw.
    Give equal generators to comparisons of two protocols whose agreement is asked for later.

    :param gains: explainer -> (base_models, repeats, examples), the reference (zero) among them.
    :param attainable: from :func:`uproar.stats.gains.attainable_gain`; normalised gains are NaN
        when not positive.
    :param leaking: explainers whose verdict is withheld; leave empty without retraining.
    :raises ValueError: when shapes differ, the reference is missing or not zero, or there are too
        few draws for any explainer to be found different.

    >>> better = np.full((1, 2, 8), 0.25) + np.linspace(-0.1, 0.1, 8)
    >>> found = compare_with_random({"random": 0 * better, "ours": better}, attainable=0.5,
    ...     generator=np.random.default_rng(0))
    >>> found.table[["explainer", "gain", "normalised", "verdict"]].round(3).values.tolist()
    [['ours', 0.25, 0.5, 'better'], ['random', 0.0, 0.0, 'reference']]
    """
    names, stacked = stack_gains(gains, reference=reference)
    if 2 * (len(names) - 1) / (draws + 1) > level:
        raise ValueError(
            f"{draws} draws cannot show a difference at level {level} among {len(names)} "
            f"explainers; use at least {int(2 * (len(names) - 1) / level)}"
        )
    again = gain_draws(stacked, generator=generator, draws=draws)
    low, high = np.quantile(again, [level / 2, 1 - level / 2], axis=0)
    gain = np.round(stacked.mean(axis=(1, 2, 3)), 12)
    table = pd.DataFrame({"explainer": names, "gain": gain, "low": low, "high": high})
    table["normalised"] = gain / attainable if attainable > 0 else np.nan
    sides = np.minimum((again <= 0).sum(axis=0), (again >= 0).sum(axis=0))
    table["p_value"] = np.minimum(2 * (1 + sides) / (draws + 1), 1.0)
    tested = np.array([name != reference for name in names])
    table["p_holm"] = 1.0
    table.loc[tested, "p_holm"] = holm(table.loc[tested, "p_value"].to_numpy())
    table["verdict"] = verdicts(table, leaking, reference=reference, level=level)
    table = table.join(_ranks(gain, again, level))
    return Comparison(
        table=table.sort_values(["rank", "explainer"], ignore_index=True),
        draws=pd.DataFrame(again, columns=names),
        smallest_detectable=smallest_detectable(stacked[tested], level=level),
    )


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
    table: pd.DataFrame, leaking: frozenset[str], *, reference: str = "random", level: float = 0.05
) -> list[Verdict]:
    """Return one verdict per row of a table with columns explainer, gain and p_holm.

    >>> verdicts(pd.DataFrame({"explainer": ["a", "b"], "gain": [0.1, -0.1],
    ...     "p_holm": [0.01, 0.2]}), frozenset())
    ['better', 'alike']
    """

    def verdict(explainer: str, gain: float, p_holm: float) -> Verdict:
        if explainer == reference:
            return REFERENCE
        if explainer in leaking:
            return WITHHELD
        if p_holm > level:
            return ALIKE
        return BETTER if gain > 0 else WORSE

    rows = zip(table["explainer"], table["gain"], table["p_holm"], strict=True)
    return [verdict(*row) for row in rows]
