"""Where the error of gains comes from, and how much more of each kind of effort could narrow it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from uproar.stats.levels import LEVELS, half_width, level_means, variances
from uproar.stats.resampling import stack_gains

COLUMNS = ("level", "units", "share", "narrows")


def parts_of_error(
    gains: Mapping[str, NDArray[np.float64]], *, reference: str = "random", level: float = 0.05
) -> pd.DataFrame:
    """Return what the intervals of gains owe to each level: base models, repeats, examples.

    ``share = s_l² / Σ s_l²`` of the squared standard errors, and ``narrows``, by which part the
    interval would be narrower if the level had infinitely many units: what more of them can gain
    at most. Of a level with one unit nothing is known; both are NaN. Medians over the explainers.

    :param gains: explainer -> (base_models, repeats, examples), the reference (zero) among them.
    :returns: level units share narrows, a row for each level; shares add up to 1 or nearly so.
    :raises ValueError: when shapes differ, or the reference is missing or not zero.

    >>> ours = np.linspace(-1, 1, 40).reshape(1, 2, 20)
    >>> found = parts_of_error({"ours": ours, "random": 0 * ours}).set_index("level")
    >>> found["units"].tolist(), found["share"].round(2).tolist()
    ([1, 2, 20], [nan, 0.98, 0.02])
    """
    names, stacked = stack_gains(gains, reference=reference)
    ours = stacked[[name != reference for name in names]]
    means = level_means(ours)
    errors, units = variances(list(means.values())), [m.shape[1] for m in means.values()]
    total, now = errors.sum(axis=0), half_width(errors, units, level=level)
    found = {}
    for place, known in enumerate(means):
        without = np.delete(errors, place, axis=0), np.delete(units, place).tolist()
        then = half_width(*without, level=level) if without[1] else 0.0 * now
        found[known] = _median(errors[place], total), _median(now - then, now)
    shape = dict(zip(LEVELS, stacked.shape[1:], strict=True))
    rows = [(name, shape[name], *found.get(name, (np.nan, np.nan))) for name in LEVELS]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _median(part: NDArray[np.float64], whole: NDArray[np.float64]) -> float:
    """Return the median ratio; NaN where there is nothing to compare."""
    known = whole > 0
    return float(np.median(part[known] / whole[known])) if known.any() else float("nan")
