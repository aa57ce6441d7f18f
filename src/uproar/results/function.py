"""What explainers of the function measured: importances with intervals, and how they agree."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from uproar.plan.job import Job
from uproar.run.cell import Outcome
from uproar.stats.agreement import rank_correlation
from uproar.stats.resampling import holm

ARRAYS = "function/"  # of explanations, by explainer: importance, standard error and p-value
COLUMNS = (
    "explainer",
    "base_model",
    "feature",
    "importance",
    "standard_error",
    "low",
    "high",
    "p_value",
    "p_holm",
    "verdict",
)
ABOVE, NOT_SHOWN, UNTESTED = "above zero", "not shown above zero", "not tested"
LEVEL = 0.05

Measured = Mapping[str, Mapping[int, NDArray[np.float64]]]  # explainer -> base model -> (3, f)


def measured(explained: Mapping[Job, Outcome]) -> Measured:
    """Return what each explainer of the function measured of each base model, (3, features)."""
    found: dict[str, dict[int, NDArray[np.float64]]] = {}
    for job, outcome in explained.items():
        for member in job.members:
            if f"{ARRAYS}{member}" in outcome.arrays:
                found.setdefault(member, {})[job.base] = outcome.arrays[f"{ARRAYS}{member}"]
    return found


def over_bases(
    explained: Mapping[Job, Outcome], read: Callable[[Job, Outcome, str], float]
) -> dict[str, float]:
    """Return the mean over base models of a number that explanations tell of each explainer."""
    told: dict[str, list[float]] = {}
    for job, outcome in explained.items():
        for member in job.members:
            told.setdefault(member, []).append(read(job, outcome, member))
    return {member: float(np.mean(values)) for member, values in told.items()}


def function_table(found: Measured, features: Sequence[str]) -> pd.DataFrame:
    """Return one row per explainer, base model and feature, in this order.

    The interval is ``importance ± 1.96 · standard_error``, for each feature by itself.
    ``p_value`` is one-sided: that of an importance of zero or below; ``p_holm`` is adjusted after
    Holm over the features of one explainer and base model. All are NaN where an estimate has no
    error or test.

    :param found: from :func:`measured`; explainers in the order of the table.
    :param features: names of the features.

    >>> found = {"pfi": {0: np.array([[0.3, 0.0], [0.1, 0.1], [0.001, 0.5]])}}
    >>> table = function_table(found, ["age", "sex"])
    >>> table[["feature", "low", "high", "p_holm"]].round(3).values.tolist()
    [['age', 0.104, 0.496, 0.002], ['sex', -0.196, 0.196, 0.5]]
    >>> table["verdict"].tolist()
    ['above zero', 'not shown above zero']
    """
    parts = [
        _one(values, features).assign(explainer=explainer, base_model=base)
        for explainer, by_base in found.items()
        for base, values in sorted(by_base.items())
    ]
    if not parts:
        return pd.DataFrame(columns=list(COLUMNS))
    return pd.concat(parts, ignore_index=True)[list(COLUMNS)]


def _one(values: NDArray[np.float64], features: Sequence[str]) -> pd.DataFrame:
    importance, error, p_value = (np.asarray(row, dtype=np.float64) for row in values)
    reach = NormalDist().inv_cdf(1 - LEVEL / 2) * error
    adjusted, tested = np.full(len(importance), np.nan), ~np.isnan(p_value)
    adjusted[tested] = holm(p_value[tested])
    return pd.DataFrame(
        {
            "feature": list(features),
            "importance": importance,
            "standard_error": error,
            "low": importance - reach,
            "high": importance + reach,
            "p_value": p_value,
            "p_holm": adjusted,
            "verdict": [
                UNTESTED if math.isnan(p) else ABOVE if p <= LEVEL else NOT_SHOWN for p in adjusted
            ],
        }
    )


def rank_agreement(found: Measured) -> pd.DataFrame:
    """Return how far the importances of every two explainers rank the features alike.

    Spearman's rho over the features, the mean over the base models that both have explained; NaN
    where one of them calls all features equally important.

    :returns: first second spearman, in the order of the explainers.

    >>> found = {"a": {0: np.array([[3.0, 2.0, 1.0]])}, "b": {0: np.array([[1.0, 2.0, 3.0]])}}
    >>> rank_agreement(found).values.tolist()
    [['a', 'b', -1.0]]
    """
    rows = []
    for first, second in itertools.combinations(found, 2):
        shared = sorted(set(found[first]) & set(found[second]))
        ours, theirs = ([found[name][base][0] for base in shared] for name in (first, second))
        rho = rank_correlation(np.array(ours), np.array(theirs)) if shared else np.array([])
        rows.append((first, second, float(np.mean(rho)) if shared else math.nan))
    return pd.DataFrame(rows, columns=["first", "second", "spearman"])


def feature_names(facts: Mapping[str, Any], patch: int = 1) -> list[str]:
    """Return what people call the features: columns by name, all others by where they are.

    :param facts: of the data: kind, feature_shape, feature_names.
    :param patch: side in pixels of the squares that are the features of images.

    >>> facts = {"kind": "image", "feature_shape": [2, 2], "feature_names": []}
    >>> feature_names(facts)[:2], feature_names(facts, patch=4)[-1]
    (['row 1, column 1', 'row 1, column 2'], 'patch in row 2, column 2')
    """
    names, shape = list(facts["feature_names"]), tuple(facts["feature_shape"])
    if facts["kind"] == "table":
        return names or [f"feature {place}" for place in range(math.prod(shape))]
    return list(_places(facts["kind"], names, shape, patch))


def _places(kind: str, names: list[str], shape: tuple[int, ...], patch: int) -> Iterator[str]:
    for place in itertools.product(*(range(length) for length in shape)):
        if kind == "image":
            where = f"row {place[0] + 1}, column {place[1] + 1}"
            yield f"patch in {where}" if patch > 1 else where
        elif len(place) == 2:  # a step of one channel
            channel = names[place[0]] if len(names) == shape[0] else f"channel {place[0] + 1}"
            yield f"{channel}, step {place[1] + 1}"
        else:
            yield f"{'position' if kind == 'text' else 'step'} {place[0] + 1}"
