"""What the evidence says: gains with intervals, verdicts, leaks, agreement, the leaderboard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from uproar.accuracy import accuracy_interval, leaking, leaks
from uproar.agreement import agreement, distinguishable_pairs
from uproar.protocols import CURVES
from uproar.results import Correct, Evidence
from uproar.seeding import generator_of
from uproar.spec import REFERENCE, Spec
from uproar.stats import Comparison, attainable_gain, compare_with_random, example_gains

# What is compared with random, and the curves that it is the mean of.
SCORES = {
    "roar": ("roar",),
    "kar": ("kar",),
    "retrain-once": ("retrain-once-removed", "retrain-once-kept"),
    "no-retrain": ("no-retrain",),
}
DIRECTIONS = {name: direction for curve in CURVES.values() for name, direction in curve.items()}
# The verdicts of these come from models that were trained on the explainer's own masks.
CAN_LEAK = ("roar", "kar")
VERSION = 1  # raised when a conclusion changes its meaning


@dataclass(frozen=True)
class Conclusions:
    """The tables of the report, see :class:`uproar.report.content.ReportContent`."""

    gains: pd.DataFrame
    curves: pd.DataFrame
    leaks: pd.DataFrame
    pairs: pd.DataFrame
    agreement: pd.DataFrame
    detectable: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """Return plain values that the store takes; NaN becomes None."""
        tables = {
            name: {
                "columns": list(table.columns),
                "rows": table.astype(object).where(table.notna(), None).to_numpy().tolist(),
            }
            for name, table in vars(self).items()
            if isinstance(table, pd.DataFrame)
        }
        return tables | {"detectable": dict(self.detectable)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Conclusions:
        """Restore what :meth:`to_json` made."""
        tables = {
            name: pd.DataFrame(table["rows"], columns=table["columns"])
            for name, table in values.items()
            if name != "detectable"
        }
        # The store sorts names; tables list the protocols in the order of a fresh conclusion.
        known = values["detectable"]
        detectable = {score: known[score] for score in SCORES if score in known}
        return cls(**tables, detectable=detectable)


def conclude(
    spec: Spec, found: Evidence, *, majority_rate: float, base_accuracy: float
) -> Conclusions:
    """Draw all conclusions from the evidence.

    :param majority_rate: accuracy of always answering the most frequent class.
    :param base_accuracy: accuracy of the base models, the scale of leaks where nothing was
        retrained with all features present.
    """
    clean = found.ends.get(("roar", spec.removals[0]))
    leak_table = leaks(
        found.correct.get(("mask-only", ""), {}),
        found.inner,
        majority_rate=majority_rate,
        clean_accuracy=base_accuracy if clean is None else float(clean[:, 0].mean()),
    )
    comparisons = {
        (score, removal): comparison
        for removal in spec.removals
        for score in SCORES
        if (comparison := _compare(spec, found, score, removal, leaking(leak_table)))
    }
    first = {score: c for (score, removal), c in comparisons.items() if removal == spec.removals[0]}
    wanted = [pair for pair in _PAIRS if set(pair) <= set(first)]
    return Conclusions(
        gains=_gain_table(comparisons),
        curves=_curve_table(found),
        leaks=leak_table,
        pairs=_pair_table(spec, found, first),
        agreement=agreement(first, wanted, reference=REFERENCE),
        # There is none where random has been compared with nothing.
        detectable={
            score: c.smallest_detectable
            for score, c in first.items()
            if np.isfinite(c.smallest_detectable)
        },
    )


_PAIRS = (
    ("roar", "kar"),
    ("roar", "retrain-once"),
    ("kar", "retrain-once"),
    ("retrain-once", "no-retrain"),
)


def _gains(found: Evidence, score: str, removal: str) -> dict[str, NDArray[np.float64]]:
    """Return the per-example gains of every explainer that has all curves of the score."""
    tables = [found.correct.get((curve, removal), {}) for curve in SCORES[score]]
    if not all(REFERENCE in table for table in tables):
        return {}
    return {
        explainer: np.mean(
            [
                example_gains(
                    table[explainer], table[REFERENCE], found.inner, direction=DIRECTIONS[curve]
                )
                for curve, table in zip(SCORES[score], tables, strict=True)
            ],
            axis=0,
        )
        for explainer in tables[0]
        if all(explainer in table for table in tables)
    }


def _compare(
    spec: Spec, found: Evidence, score: str, removal: str, leaky: frozenset[str]
) -> Comparison | None:
    gains = _gains(found, score, removal)
    if not gains:
        return None
    attainable = float(np.mean([_attainable(found, curve, removal) for curve in SCORES[score]]))
    return compare_with_random(
        gains,
        attainable=attainable,
        # The same draws for all protocols, so that their agreement can be bootstrapped too.
        generator=generator_of("bootstrap", removal, spec.seed),
        leaking=leaky if score in CAN_LEAK else frozenset(),
        reference=REFERENCE,
        # Holm's first step needs p-values below 0.05 / explainers.
        draws=max(spec.bootstrap_draws, 50 * len(gains)),
    )


def _attainable(found: Evidence, curve: str, removal: str) -> float:
    """Return the gain of an explainer whose curve is at its best from the first fraction on."""
    ends = found.ends[curve, removal].mean((0, 2, 3))
    best = ends.min() if DIRECTIONS[curve] == "lower" else ends.max()
    return attainable_gain(
        found.correct[curve, removal][REFERENCE],
        float(best),
        found.inner,
        direction=DIRECTIONS[curve],
    )


def _gain_table(comparisons: Mapping[tuple[str, str], Comparison]) -> pd.DataFrame:
    tables = [
        comparison.table.assign(protocol=score, removal=removal)
        for (score, removal), comparison in comparisons.items()
    ]
    columns = ["protocol", "removal", "explainer", "gain", "low", "high", "normalised"]
    columns += ["p_value", "p_holm", "verdict", "rank", "rank_low", "rank_high"]
    if not tables:
        return pd.DataFrame(columns=columns)
    return pd.concat(tables, ignore_index=True)[columns]


def _curve_table(found: Evidence) -> pd.DataFrame:
    """Return every curve with its interval, the shared ends included, for all but mask-only."""
    rows, stacks = [], []
    for (curve, removal), by_explainer in found.correct.items():
        if curve == "mask-only":
            continue
        ends = found.ends[curve, removal]
        shared = {0.0: ends[:, 0], 1.0: ends[:, 1]}
        for explainer, correct in by_explainer.items():
            points = shared | {f: correct[:, i] for i, f in enumerate(found.inner)}
            for fraction, answers in sorted(points.items()):
                rows.append((curve, removal, explainer, fraction, correct.shape[2]))
                stacks.append(answers)
    table = pd.DataFrame(rows, columns=["protocol", "removal", "explainer", "fraction", "repeats"])
    return table.join(_intervals(stacks))


def _intervals(stacks: list[Correct]) -> pd.DataFrame:
    """Return value, low and high of every point, those of one shape at once."""
    result = np.empty((len(stacks), 3))
    flat = [answers.reshape(-1, answers.shape[-1]) for answers in stacks]
    for shape in {answers.shape for answers in flat}:
        where = [i for i, answers in enumerate(flat) if answers.shape == shape]
        result[where] = np.stack(accuracy_interval(np.stack([flat[i] for i in where])), axis=1)
    return pd.DataFrame(result, columns=["value", "low", "high"])


def _pair_table(spec: Spec, found: Evidence, comparisons: Mapping[str, Comparison]) -> pd.DataFrame:
    tables = [
        distinguishable_pairs(_gains(found, score, spec.removals[0]), reference=REFERENCE).assign(
            protocol=score
        )
        for score in comparisons
    ]
    columns = ["protocol", "first", "second", "difference", "p_holm", "distinguishable"]
    if not tables:
        return pd.DataFrame(columns=columns)
    return pd.concat(tables, ignore_index=True)[columns]
