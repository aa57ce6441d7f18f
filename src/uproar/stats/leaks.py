"""Whether the removed mask alone gives the label away, more than masks of this data do anyway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from uproar.stats.gains import Scores
from uproar.stats.intervals import check, example_interval, student_interval

COLUMNS = (
    *("explainer", "fraction", "accuracy", "low", "high"),
    *("share", "share_low", "share_high", "mask"),
)

# What is proven of a mask.
Mask = Literal["clear", "unclear", "leaks"]
CLEAR: Mask = "clear"
UNCLEAR: Mask = "unclear"
LEAKS: Mask = "leaks"
WORST_FIRST = (LEAKS, UNCLEAR, CLEAR)


def leaks(
    mask_only: Mapping[str, Scores],
    fractions: Sequence[float],
    *,
    majority: float | Scores,
    clean_score: float,
    reference: str = "random",
    bar: float = 0.05,
    level: float = 0.05,
) -> pd.DataFrame:
    """Say for every explainer and fraction how much of what there is to know the mask tells.

    ``share = (x - m) / (clean_score - m)``: x is the mask's score (accuracy or R²), m what is known
    without it, example by example, so that what both know cancels. That is the score of always
    giving the best answer, or of the reference's masks at the same fraction where these tell more:
    the shape of any mask tells something where examples differ in their number of features (the
    length of a text).

    A mask is *clear* only when the upper end of its share lies below the bar, and *leaks* when the
    lower end lies above; else it is *unclear*: too few examples to prove either. There is no
    correction for the number of explainers or fractions, which would make the gate laxer with
    every explainer in the table. Intervals are about new examples, not new retrainings: a mask
    from which these models read the label leaks, whatever others would read. Where nothing is
    known beyond m, shares are NaN and masks unclear. The reference is clear by definition.

    Right or wrong: two examples more, on which one side is right and the other wrong, keep the
    interval from vanishing where both sides always agree (Bonett and Price 2012, "Adjusted Wald
    confidence interval for a difference of binomial proportions based on paired data").

    :param mask_only: explainer -> (base_models, fractions, repeats, examples), scores of models
        that see the mask and nothing else, bool or real.
    :param majority: scores of always giving the best answer of train, (examples,) or their mean.
    :param clean_score: score with nothing removed.
    :param reference: the explainer whose masks are random.
    :param bar: largest share that does no harm.
    :returns: explainer fraction accuracy low high share share_low share_high mask, in the order of
        the arguments; accuracy, low and high are those of x, which is R² for real scores.
    :raises ValueError: when an array is not as described.

    >>> told = np.ones((1, 1, 2, 50), dtype=bool)
    >>> leaks({"ours": told}, [0.5], majority=0.1, clean_score=0.9)["mask"].tolist()
    ['leaks']
    """
    points = {name: _points(name, scores, fractions) for name, scores in mask_only.items()}
    _check_examples(points)
    theirs = points.get(reference)
    tables = []
    for explainer, ours in points.items():
        interval = example_interval(ours, level=level)
        known = _known(majority, None if explainer == reference else theirs, ours)
        share = _shares(ours, known, clean_score, level=level)
        proven = [
            CLEAR if explainer == reference else _mask(float(low), float(high), bar)
            for low, high in share[1:].T
        ]
        columns = (explainer, list(fractions), *interval, *share, proven)
        tables.append(pd.DataFrame(dict(zip(COLUMNS, columns, strict=True))))
    if not tables:
        return pd.DataFrame(columns=list(COLUMNS))
    return pd.concat(tables, ignore_index=True)


def _known(majority: float | Scores, reference: Scores | None, ours: Scores) -> NDArray[np.float64]:
    """Return what is known without the mask, (fractions, examples)."""
    shape = ours.shape[0], ours.shape[2]
    best = np.broadcast_to(np.asarray(majority, dtype=np.float64), shape)
    if reference is None:
        return best
    theirs = reference.mean(axis=1, dtype=np.float64)
    more = theirs.mean(axis=1, keepdims=True) > best.mean(axis=1, keepdims=True)
    return np.where(more, theirs, best)


def _shares(
    ours: Scores, known: NDArray[np.float64], clean_score: float, *, level: float
) -> NDArray[np.float64]:
    """Return share, low and high, (3, fractions)."""
    difference = ours.mean(axis=1, dtype=np.float64) - known
    mean = difference.mean(axis=1)
    if ours.dtype == np.bool_:
        ends = np.ones((len(difference), 1))
        difference = np.concatenate([difference, ends, -ends], axis=1)
    _, low, high = student_interval([difference], level=level)
    least = clean_score - known.mean(axis=1)
    scale = np.where(least > 0, least, np.nan)
    # Two examples more pull the middle to zero by next to nothing, and never past the mean.
    return np.stack([mean, np.minimum(low, mean), np.maximum(high, mean)]) / scale


def _mask(low: float, high: float, bar: float) -> Mask:
    if high < bar:
        return CLEAR
    return LEAKS if low > bar else UNCLEAR


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


def masks(table: pd.DataFrame) -> dict[str, Mask]:
    """Return what is proven of each explainer's masks: the worst over the fractions.

    >>> masks(pd.DataFrame({"explainer": ["a", "a", "b"], "mask": ["clear", "leaks", "clear"]}))
    {'a': 'leaks', 'b': 'clear'}
    """
    return {
        str(explainer): min(found, key=WORST_FIRST.index)
        for explainer, found in table.groupby("explainer", sort=False)["mask"]
    }
