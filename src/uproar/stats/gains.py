"""From per-example scores to gains, intervals and verdicts.

START HERE: :func:`example_gains`, then :func:`compare_with_random`. A score is whether the answer
was right, or one example's part of R² (:func:`uproar.models.scoring.example_scores`). Mean scores
along a curve have :func:`uproar.stats.intervals.score_interval`, those of the mask alone
:func:`uproar.stats.leaks.leaks`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from uproar.stats.resampling import gain_draws, holm, smallest_detectable, stack_gains

Direction = Literal["lower", "higher"]
Scores = (
    Bool[np.ndarray, "base fractions repeats examples"]
    | Float[np.ndarray, "base fractions repeats examples"]
)

BETTER = "better than random"
SAME = "indistinguishable from random"
WORSE = "worse than random"
WITHHELD = "withheld: mask leaks"
REFERENCE = "reference"


def trapezoid_weights(fractions: Sequence[float]) -> NDArray[np.float64]:
    """Return the weight of every fraction in the area under a curve.

    ``area = Σ weights * values`` by the trapezoid rule, from the point at 0, whose value is zero
    when the curve is a difference to the reference, to the largest fraction and not beyond. The
    weights add up to the largest fraction less half the smallest.

    :param fractions: ascending, in [0, 1]; 0 itself may be among them.
    :raises ValueError: when fractions are none, unsorted, repeated or outside [0, 1].

    >>> trapezoid_weights([0.1, 0.3, 0.5, 0.7, 0.9]).round(3).tolist()
    [0.15, 0.2, 0.2, 0.2, 0.1]
    """
    points = np.asarray(fractions, dtype=np.float64)
    if points.ndim != 1 or not points.size or points[0] < 0 or points[-1] > 1:
        raise ValueError(f"expected fractions in [0, 1], at least one, got {list(fractions)}")
    if not (np.diff(points) > 0).all():
        raise ValueError(
            f"fractions must be ascending without repeats, got {list(fractions)}; sort them and "
            "the curves with them"
        )
    edges = np.concatenate([[0.0], points, points[-1:]])
    return np.asarray((edges[2:] - edges[:-2]) / 2)


def _sign(direction: Direction) -> int:
    if direction not in ("lower", "higher"):
        raise ValueError(f"direction must be 'lower' or 'higher', got {direction!r}")
    return 1 if direction == "higher" else -1


def example_gains(
    scores: Scores,
    reference: Scores,
    fractions: Sequence[float],
    *,
    direction: Direction,
) -> Float[np.ndarray, "base repeats examples"]:
    """Return each example's area between an explainer's curve and the reference's curve.

    Positive is good: reference less explainer where a ``lower`` curve is better (ROAR, all
    curves of removing), explainer less reference where a ``higher`` one is (KAR, all curves of
    keeping). The mean over everything is the *gain*, in score x fraction: accuracy x fraction
    for classes, R² x fraction for values. Where removing and keeping make one gain (retrain-once),
    average their two arrays.

    :param scores: (base_models, fractions, repeats, examples), bool or real.
    :param reference: the same for the reference, with the same repeats and examples.
    :param fractions: of the second axis; see :func:`trapezoid_weights`.
    :raises ValueError: when shapes differ or the fractions are not those of the second axis.

    >>> right, wrong = np.ones((1, 2, 1, 3), bool), np.zeros((1, 2, 1, 3), bool)
    >>> example_gains(wrong, right, [0.5, 1.0], direction="lower").round(3).tolist()
    [[[0.75, 0.75, 0.75]]]
    """
    if scores.ndim != 4 or scores.shape != reference.shape:
        raise ValueError(
            "scores and reference must both be (base_models, fractions, repeats, examples), got "
            f"{scores.shape} and {reference.shape}"
        )
    if scores.shape[1] != len(fractions):
        raise ValueError(f"got {len(fractions)} fractions for {scores.shape[1]} points of a curve")
    right_or_wrong = scores.dtype == reference.dtype == np.bool_
    number = np.int8 if right_or_wrong else np.float64  # exact either way, and answers stay small
    difference = scores.astype(number) - reference.astype(number)
    areas = np.tensordot(trapezoid_weights(fractions), difference, axes=(0, 1))
    return np.asarray(_sign(direction) * areas + 0.0)  # no negative zeros in tables


def attainable_gain(
    reference: Scores,
    best: float,
    fractions: Sequence[float],
    *,
    direction: Direction,
) -> float:
    """Return the gain of a perfect explainer, by which gains are normalised.

    Its curve has the value ``best`` from the smallest fraction on: for ``lower`` the floor, the
    mean score with everything removed; for ``higher`` the ceiling, the mean score with everything
    kept. A normalised gain is not clipped: it may pass 1 by chance, or fall far below -1.

    :param reference: (base_models, fractions, repeats, examples), scores of the reference.
    :param best: mean score at the end point, at fraction 1.
    :returns: score x fraction; not positive when the reference is already at the end point.

    Paper: Madsen et al. 2022, relative area between curves (RACU), there up to fraction 1 and
    clipped in code.

    >>> attainable_gain(np.ones((1, 2, 1, 3), bool), 0.1, [0.5, 1.0], direction="lower")
    0.675
    """
    curve = reference.mean(axis=(0, 2, 3), dtype=np.float64)
    return float(trapezoid_weights(fractions) @ (_sign(direction) * (best - curve)))


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
    :param attainable: from :func:`attainable_gain`; normalised gains are NaN when not positive.
    :param leaking: explainers whose verdict is withheld; leave empty without retraining.
    :raises ValueError: when shapes differ, the reference is missing or not zero, or there are too
        few draws for any explainer to be found different.

    >>> better = np.full((1, 2, 8), 0.25) + np.linspace(-0.1, 0.1, 8)
    >>> found = compare_with_random({"random": 0 * better, "ours": better}, attainable=0.5,
    ...     generator=np.random.default_rng(0))
    >>> found.table[["explainer", "gain", "normalised", "verdict"]].round(3).values.tolist()
    [['ours', 0.25, 0.5, 'better than random'], ['random', 0.0, 0.0, 'reference']]
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
) -> list[str]:
    """Return one verdict per row of a table with columns explainer, gain and p_holm.

    >>> verdicts(pd.DataFrame({"explainer": ["a", "b"], "gain": [0.1, -0.1],
    ...     "p_holm": [0.01, 0.2]}), frozenset())
    ['better than random', 'indistinguishable from random']
    """

    def verdict(explainer: str, gain: float, p_holm: float) -> str:
        if explainer == reference:
            return REFERENCE
        if explainer in leaking:
            return WITHHELD
        if p_holm > level:
            return SAME
        return BETTER if gain > 0 else WORSE

    rows = zip(table["explainer"], table["gain"], table["p_holm"], strict=True)
    return [verdict(*row) for row in rows]
