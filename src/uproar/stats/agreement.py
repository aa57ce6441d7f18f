"""Rankings of explainers: which pairs can be told apart, and who agrees with whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy.typing import NDArray

from uproar.stats.levels import CROSSED, Design, errors_of, level_means, two_sided
from uproar.stats.resampling import holm, stack_gains
from uproar.stats.verdicts import Comparison

CHUNK = 2_000_000  # gains of pairs held at once, which bounds the memory


def distinguishable_pairs(
    gains: Mapping[str, NDArray[np.float64]],
    *,
    design: Design = CROSSED,
    reference: str = "random",
    level: float = 0.05,
) -> pd.DataFrame:
    """Test all pairs of explainers for a difference in gain.

    The p-value is :func:`uproar.stats.levels.two_sided` of the paired differences, adjusted by
    Holm over all pairs. The reference is left out: the table of
    :func:`uproar.stats.verdicts.compare_with_random` tests against it.

    :param gains: explainer -> (base_models, repeats, examples), the reference among them.
    :param design: whether repeats are shared by base models, and which folds there are.
    :returns: first second difference p_holm distinguishable, where ``first`` has the larger gain
        and difference is first less second, in score x fraction.
    :raises ValueError: when shapes differ, or the reference is missing or not zero.

    >>> ours = np.array([[[0.1, 0.2, 0.1, 0.2, 0.1]]])
    >>> gains = {"random": 0 * ours, "ours": ours, "squared": ours**2}
    >>> distinguishable_pairs(gains).round(4).values.tolist()
    [['ours', 'squared', 0.118, 0.0023, True]]
    """
    names, stacked = stack_gains(gains, reference=reference)
    tested = [index for index, name in enumerate(names) if name != reference]
    gain = np.round(stacked.mean(axis=(1, 2, 3)), 12)
    order = sorted(tested, key=lambda index: (-gain[index], names[index]))
    pairs = [(a, b) for place, a in enumerate(order) for b in order[place + 1 :]]
    first, second = np.array(pairs, dtype=np.intp).reshape(-1, 2).T
    difference = gain[first] - gain[second]
    p_holm = holm(_p_values(stacked, difference, (first, second), design))
    return pd.DataFrame(
        {
            "first": [names[index] for index in first],
            "second": [names[index] for index in second],
            "difference": difference,
            "p_holm": p_holm,
            "distinguishable": p_holm <= level,
        }
    )


def _p_values(
    stacked: NDArray[np.float64],
    difference: NDArray[np.float64],
    pairs: tuple[NDArray[np.intp], NDArray[np.intp]],
    design: Design,
) -> NDArray[np.float64]:
    """Return the p-value of every difference; of some pairs at a time, which bounds the memory."""
    first, second = pairs
    errors, units = [], [2]
    size = max(1, CHUNK // stacked[0].size)
    for start in range(0, len(difference), size):
        some = slice(start, start + size)
        means = level_means(stacked[first[some]] - stacked[second[some]], design)
        found, units = errors_of(means.values())
        errors.append(found)
    return two_sided(difference, np.concatenate(errors, axis=1), units) if errors else difference


def rank_correlation(
    first: Float[np.ndarray, "rows things"], second: Float[np.ndarray, "rows things"]
) -> Float[np.ndarray, "rows"]:
    """Return Spearman's rho of every row with the same row of the other array.

    Pearson's correlation of ranks, ties at their mean rank; NaN where all values of a row are
    equal. SciPy's own function takes one pair at a time and warns there.

    >>> rank_correlation(np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, 9.0, 3.0]])).tolist()
    [0.5]
    """
    from scipy.stats import rankdata

    ranks = [rankdata(values, axis=1) for values in (first, second)]
    a, b = (values - values.mean(axis=1, keepdims=True) for values in ranks)
    size = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return np.where(size > 0, (a * b).sum(axis=1) / np.where(size > 0, size, 1.0), np.nan)


@dataclass(frozen=True)
class Agreement:
    """Spearman's rho between two rankings of explainers, its interval, how many were ranked."""

    rho: float
    low: float
    high: float
    explainers: int


def spearman_agreement(
    first: Mapping[str, float] | pd.Series,
    second: Mapping[str, float] | pd.Series,
    *,
    first_draws: pd.DataFrame | None = None,
    second_draws: pd.DataFrame | None = None,
    level: float = 0.05,
) -> Agreement:
    """Return how far two rankings of the same explainers agree.

    Explainers that only one side has are left out; with fewer than three in common rho is NaN, as
    two can only agree fully or not at all.

    :param first: explainer -> goodness, larger is better.
    :param first_draws: the bootstrap behind it (:class:`uproar.stats.verdicts.Comparison`), one
        column an explainer; drawn with equal generators on both sides, as rows are taken as pairs.
        Without draws the interval is NaN; it is pulled towards 0, as redrawing adds noise.
    :raises ValueError: when only one side has draws, or their numbers differ.

    >>> spearman_agreement({"a": 1.0, "b": 2.0, "c": 3.0}, {"a": 3.0, "b": 2.0, "c": 1.0}).rho
    -1.0
    """
    shared = sorted(set(first.keys()) & set(second.keys()))
    counts = [None if draws is None else len(draws) for draws in (first_draws, second_draws)]
    if counts[0] != counts[1]:
        raise ValueError(f"both sides need equally many draws, got {counts[0]} and {counts[1]}")
    if len(shared) < 3:
        return Agreement(float("nan"), float("nan"), float("nan"), len(shared))
    a, b = (np.array([[float(side[name]) for name in shared]]) for side in (first, second))
    rho, low, high = float(rank_correlation(a, b)[0]), float("nan"), float("nan")
    if first_draws is not None and second_draws is not None:
        again = rank_correlation(first_draws[shared].to_numpy(), second_draws[shared].to_numpy())
        low, high = (float(end) for end in np.quantile(again, [level / 2, 1 - level / 2]))
    return Agreement(rho, low, high, len(shared))


def agreement(
    comparisons: Mapping[str, Comparison],
    pairs: Sequence[tuple[str, str]],
    *,
    reference: str = "random",
    level: float = 0.05,
) -> pd.DataFrame:
    """Return how far protocols agree on the ranking of explainers.

    The reference is left out, since its gain is zero by definition and not a measurement.

    :param comparisons: protocol -> what :func:`uproar.stats.verdicts.compare_with_random` returned.
    :param pairs: which protocols to compare, such as ``[("one", "other")]``.
    :returns: first second spearman low high explainers, a row per pair.
    :raises ValueError: when a pair names a protocol that is not there.

    >>> agreement({}, []).columns.tolist()
    ['first', 'second', 'spearman', 'low', 'high', 'explainers']
    """
    missing = sorted({name for pair in pairs for name in pair} - set(comparisons))
    if missing:
        raise ValueError(f"no comparison for {', '.join(missing)}; known: {', '.join(comparisons)}")
    gains = {
        protocol: comparison.table.set_index("explainer")["gain"].drop(reference)
        for protocol, comparison in comparisons.items()
    }
    rows = []
    for first, second in pairs:
        found = spearman_agreement(
            gains[first],
            gains[second],
            first_draws=comparisons[first].draws,
            second_draws=comparisons[second].draws,
            level=level,
        )
        rows.append((first, second, found.rho, found.low, found.high, found.explainers))
    columns = ["first", "second", "spearman", "low", "high", "explainers"]
    return pd.DataFrame(rows, columns=columns)
