"""Whether the removed mask alone gives the label away, more than masks of this data do anyway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from uproar.stats.gains import Scores
from uproar.stats.intervals import check, example_interval, student_interval

COLUMNS = ("explainer", "fraction", "accuracy", "low", "high", "leaks")


def leaks(
    mask_only: Mapping[str, Scores],
    fractions: Sequence[float],
    *,
    majority_rate: float,
    clean_score: float,
    reference: str = "random",
    margin: float = 0.05,
    level: float = 0.05,
) -> pd.DataFrame:
    """Say for every explainer and fraction whether the removed mask alone gives the label away.

    It does when the mask's score x (accuracy or R²) is above two bars, each by its whole interval:

    1. ``majority_rate + margin * (clean_score - majority_rate)``: what can be known without any
       input, and a margin;
    2. ``r + margin * (clean_score - r)``, where r is the score of the reference's masks at the same
       fraction: the shape of any mask tells something where examples differ in their number of
       features (the length of a text). It is compared example by example, as Student's interval of
       ``x - (1 - margin) r``, whose mean has to surpass ``margin * clean_score``; so what both
       masks tell cancels. Without the reference among the explainers the first bar stands alone.

    The margin is zero where the model knows no more with all features present than that.
    Both have to be surpassed, so that their tests need no correction for being two. The intervals
    hold together for all explainers and fractions, at ``level / (explainers * fractions)`` each
    (Bonferroni). They are about new examples, not new retrainings: a mask from which these models
    read the label leaks, whatever others would read. The reference never leaks.

    :param mask_only: explainer -> (base_models, fractions, repeats, examples), scores of models
        that see the mask and nothing else, bool or real.
    :param majority_rate: score of always giving the best answer of train.
    :param clean_score: score with nothing removed.
    :param reference: the explainer whose masks are random.
    :returns: explainer fraction accuracy low high leaks, in the order of the arguments; accuracy,
        low and high are those of x, which is R² for real scores.
    :raises ValueError: when an array is not as described.

    >>> told = np.ones((1, 1, 2, 50), dtype=bool)
    >>> leaks({"ours": told}, [0.5], majority_rate=0.1, clean_score=0.9).round(2).values.tolist()
    [['ours', 0.5, 1.0, 0.93, 1.0, True]]
    """
    bar = majority_rate + margin * max(clean_score - majority_rate, 0.0)
    each = level / max(len(mask_only) * len(fractions), 1)
    points = {name: _points(name, scores, fractions) for name, scores in mask_only.items()}
    _check_examples(points)
    tables = []
    for explainer, ours in points.items():
        mean, low, high = example_interval(ours, level=each)
        told = low > bar
        if reference in points:
            beyond = _beyond(ours, points[reference], clean_score, margin=margin, level=each)
            told &= beyond & (explainer != reference)
        columns = (explainer, list(fractions), mean, low, high, told)
        tables.append(pd.DataFrame(dict(zip(COLUMNS, columns, strict=True))))
    if not tables:
        return pd.DataFrame(columns=list(COLUMNS))
    return pd.concat(tables, ignore_index=True)


def _points(
    explainer: str, scores: Scores, fractions: Sequence[float]
) -> NDArray[np.bool_] | NDArray[np.floating]:
    """Return scores as (fractions, base models and repeats, examples)."""
    if scores.ndim != 4 or scores.shape[1] != len(fractions):
        raise ValueError(
            f"mask_only[{explainer!r}] must be (base_models, {len(fractions)} fractions, "
            f"repeats, examples), got {scores.shape}"
        )
    points = scores.swapaxes(0, 1).reshape(len(fractions), -1, scores.shape[3])
    check(points)
    return points


def _check_examples(points: Mapping[str, Scores]) -> None:
    counts = {name: scores.shape[2] for name, scores in points.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(f"mask_only must all be of the same test examples, got {counts} of them")


def _beyond(
    ours: Scores, theirs: Scores, clean_score: float, *, margin: float, level: float
) -> NDArray[np.bool_]:
    """Say at which fractions masks tell more than those of the reference, and the margin."""
    x, r = (scores.mean(axis=1, dtype=np.float64) for scores in (ours, theirs))
    margins = np.where(r.mean(axis=1) < clean_score, margin, 0.0)
    _, low, _ = student_interval([x - (1 - margins[:, None]) * r], level=level)
    return np.asarray(low > margins * clean_score)


def leaking(table: pd.DataFrame) -> frozenset[str]:
    """Return the explainers that leak at any fraction, from the table of :func:`leaks`.

    >>> leaking(pd.DataFrame({"explainer": ["a", "a", "b"], "leaks": [False, True, False]}))
    frozenset({'a'})
    """
    return frozenset(table.loc[table["leaks"].astype(bool), "explainer"])
