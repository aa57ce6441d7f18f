"""Where the error of gains comes from, and how much more of each kind of effort could narrow it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from uproar.stats.levels import (
    CROSSED,
    LEVELS,
    Design,
    by_fold,
    half_width,
    level_means,
    stretch,
    variances,
)
from uproar.stats.resampling import stack_gains

COLUMNS = ("level", "units", "share", "narrows")
FIVE_FOLDS = "five folds"  # in place of one split: what they would narrow is a guess, no bound
Errors = dict[str, NDArray[np.float64]]  # level -> squared standard errors, (explainers,)


def parts_of_error(
    gains: Mapping[str, NDArray[np.float64]],
    *,
    design: Design = CROSSED,
    tested: float | None = None,
    reference: str = "random",
    level: float = 0.05,
) -> pd.DataFrame:
    """Return what the intervals of gains owe to base models (or folds), repeats and examples.

    ``share`` is the part of the squared standard error, and ``narrows``, by which part the
    interval would be narrower if there were infinitely many units: what more of them can gain at
    most. Where base models or folds have repeats of their own, the noise of these is a part of
    theirs, ``Σ_r (mean_r - mean)² / (R (R - 1))``, the mean over base models divided by their
    number; more base models take it away too. Of what has one unit nothing is known; both are NaN.
    Medians over the explainers.

    :param gains: explainer -> (base_models, repeats, examples), the reference (zero) among them.
    :param design: whether repeats are shared by base models, and which folds there are.
    :param tested: share of all examples that is tested, where they could be split into folds: a
        row ``five folds`` then says what these would narrow, see :func:`narrowed_by_folds`.
    :returns: level units share narrows, a row for each; shares add up to 1 or nearly so.
    :raises ValueError: when shapes differ, or the reference is missing or not zero.

    >>> ours = np.linspace(-1, 1, 40).reshape(1, 2, 20)
    >>> found = parts_of_error({"ours": ours, "random": 0 * ours}).set_index("level")
    >>> found["units"].tolist(), found["share"].round(2).tolist()
    ([1, 2, 20], [nan, 0.98, 0.02])
    """
    names, stacked = stack_gains(gains, reference=reference)
    ours = stacked[[name != reference for name in names]]
    means = level_means(ours, design)
    errors = dict(zip(means, variances(means.values()), strict=True))
    units = {name: values.shape[1] for name, values in means.items()}
    total, now = sum(errors.values()), _width(errors, units, level)
    units = {**units, "examples": stacked.shape[3]}
    found = {
        part: (_median(owed, total), _median(now - _width(left, units, level), now))
        for part, owed, left in _parts(ours, errors, design)
    }
    shape = dict(zip(LEVELS, stacked.shape[1:], strict=False))
    if design.folds:
        shape = {"folds": len(design.folds), **shape}
        del shape["base models"]
    rows = [(name, shape[name], *found.get(name, (np.nan, np.nan))) for name in shape]
    if tested is not None and not design.folds:
        narrows = narrowed_by_folds(gains, tested=tested, reference=reference, level=level)
        rows.append((FIVE_FOLDS, 1, np.nan, narrows))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def narrowed_by_folds(
    gains: Mapping[str, NDArray[np.float64]],
    *,
    tested: float,
    folds: int = 5,
    reference: str = "random",
    level: float = 0.05,
) -> float:
    """Return by which part intervals would be narrower if the data were split into folds.

    Of base models with repeats of their own, under one split. Squared errors would be
    ``stretch(K) (s_b² B / K + s_e² tested)``, with t of K - 1 degrees of freedom: every example
    would be tested, and each fold have one base model. The median over the explainers; NaN for one
    base model, of whose spread nothing is known.

    :param gains: explainer -> (base_models, repeats, examples), the reference (zero) among them.
    :param tested: share of all examples that is tested now.
    """
    names, stacked = stack_gains(gains, reference=reference)
    means = level_means(stacked[[n != reference for n in names]], Design(own_repeats=True))
    if "base models" not in means:
        return float("nan")
    of_bases, of_examples = variances([means["base models"], means["examples"]])
    units = {name: values.shape[1] for name, values in means.items()}
    now = _width({"base models": of_bases, "examples": of_examples}, units, level)
    each = of_bases * units["base models"] / folds
    then = stretch(folds) * (each + of_examples * tested)
    return _median(now - _width({"folds": then}, {"folds": folds}, level), now)


def _parts(
    ours: NDArray[np.float64], errors: Errors, design: Design
) -> Iterator[tuple[str, NDArray[np.float64], Errors]]:
    """Yield each part, what the squared error owes to it, and the errors that are left without."""
    outer = "folds" if design.folds else "base models"
    inner = _inner(ours, design) if design.folds or design.own_repeats else {}
    if outer in errors:
        rest = errors[outer]
        for part, owed in inner.items():
            inner[part] = np.minimum(owed, rest)
            yield part, inner[part], {**errors, outer: errors[outer] - inner[part]}
            rest = rest - inner[part]
        others = {part: owed for part, owed in errors.items() if part != outer}
        # Of folds, what the examples make is left, and as well known as that of so many.
        yield outer, rest, others or {"examples": inner["examples"]}
    for part in errors:
        if part != outer:
            yield part, errors[part], {**errors, part: np.zeros_like(errors[part])}


def _inner(ours: NDArray[np.float64], design: Design) -> Errors:
    """Return what base models or folds owe to their own repeats, and folds to their examples."""
    found: Errors = {}
    if design.folds:
        blocks = by_fold(ours[:, 0], design.folds)  # (explainers, repeats, folds)
        scale, by_repeat = stretch(len(design.folds)), blocks.swapaxes(1, 2)
    else:
        scale, by_repeat = 1.0, ours.mean(axis=3)
    outer, repeats = by_repeat.shape[1:]
    if repeats > 1:
        spread = by_repeat.var(axis=2, ddof=1).mean(axis=1)
        found["repeats"] = scale * spread / (outer * repeats)
    if design.folds:
        within = ours.mean(axis=(1, 2)) - np.repeat(blocks.mean(axis=1), design.folds, axis=1)
        count, free = sum(design.folds), sum(design.folds) - len(design.folds)
        found["examples"] = scale * np.square(within).sum(axis=1) / (count * max(free, 1))
    return found


def _width(errors: Errors, units: Mapping[str, int], level: float) -> NDArray[np.float64]:
    return half_width(np.stack(list(errors.values())), [units[n] for n in errors], level=level)


def _median(part: NDArray[np.float64], whole: NDArray[np.float64]) -> float:
    """Return the median ratio; NaN where there is nothing to compare."""
    known = whole > 0
    return float(np.median(part[known] / whole[known])) if known.any() else float("nan")
