"""What the evidence says: gains with intervals, verdicts, leaks, agreement, the leaderboard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from uproar.plan.spec import REFERENCE, Spec
from uproar.protocols import CURVES
from uproar.results.curves import Evidence, Scores
from uproar.seeding import generator_of
from uproar.stats.agreement import agreement, distinguishable_pairs
from uproar.stats.gains import Comparison, attainable_gain, compare_with_random, example_gains
from uproar.stats.intervals import score_interval
from uproar.stats.leaks import leaking, leaks

# The protocols that are compared with random, and the curves whose mean gain is theirs.
COMPARED = {
    "roar": ("roar",),
    "kar": ("kar",),
    "retrain-once": ("retrain-once-removed", "retrain-once-kept"),
    "no-retrain": ("no-retrain",),
}
DIRECTIONS = {name: direction for curve in CURVES.values() for name, direction in curve.items()}
# The verdicts of these come from models that were trained on the explainer's own masks.
CAN_LEAK = ("roar", "kar")
VERSION = 2  # raised when a conclusion changes its meaning


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
        detectable = {name: known[name] for name in COMPARED if name in known}
        return cls(**tables, detectable=detectable)


Gains = Mapping[str, NDArray[np.float64]]  # explainer -> (base_models, repeats, examples)


def conclude(
    spec: Spec, found: Evidence, *, majority_rate: float, base_accuracy: float
) -> Conclusions:
    """Draw all conclusions from the evidence; what was not run is left out.

    :param majority_rate: test score of always giving the best answer of train.
    :param base_accuracy: mean score of the base models (R² for values), the scale of leaks where
        nothing was retrained with all features present.
    """
    clean = found.ends.get(("roar", spec.removals[0]))
    leak_table = leaks(
        found.scores.get(("mask-only", ""), {}),
        found.inner,
        majority_rate=majority_rate,
        clean_score=base_accuracy if clean is None else float(clean[:, 0].mean(dtype=np.float64)),
        reference=REFERENCE,
    )
    all_gains = {
        (protocol, removal): gains
        for removal in spec.removals
        for protocol in COMPARED
        if (gains := _gains(found, protocol, removal))
    }
    comparisons = {
        (protocol, removal): _compare(spec, found, protocol, removal, gains, leaking(leak_table))
        for (protocol, removal), gains in all_gains.items()
    }
    first = {name: c for (name, removal), c in comparisons.items() if removal == spec.removals[0]}
    wanted = [pair for pair in _PAIRS if set(pair) <= set(first)]
    return Conclusions(
        gains=_gain_table(comparisons),
        curves=_curve_table(found),
        leaks=leak_table,
        pairs=_pair_table({name: all_gains[name, spec.removals[0]] for name in first}),
        agreement=agreement(first, wanted, reference=REFERENCE),
        # There is none where random has been compared with nothing.
        detectable={
            name: c.smallest_detectable
            for name, c in first.items()
            if np.isfinite(c.smallest_detectable)
        },
    )


_PAIRS = (
    ("roar", "kar"),
    ("roar", "retrain-once"),
    ("kar", "retrain-once"),
    ("retrain-once", "no-retrain"),
)


def _gains(found: Evidence, protocol: str, removal: str) -> Gains:
    """Return the per-example gains of every explainer that has all curves of the protocol."""
    tables = [found.scores.get((curve, removal), {}) for curve in COMPARED[protocol]]
    if not all(REFERENCE in table for table in tables):
        return {}
    return {
        explainer: np.mean(
            [
                example_gains(
                    table[explainer], table[REFERENCE], found.inner, direction=DIRECTIONS[curve]
                )
                for curve, table in zip(COMPARED[protocol], tables, strict=True)
            ],
            axis=0,
        )
        for explainer in tables[0]
        if all(explainer in table for table in tables)
    }


def _compare(
    spec: Spec,
    found: Evidence,
    protocol: str,
    removal: str,
    gains: Gains,
    leaky: frozenset[str],
) -> Comparison:
    curves = COMPARED[protocol]
    attainable = float(np.mean([_attainable(found, curve, removal) for curve in curves]))
    return compare_with_random(
        gains,
        attainable=attainable,
        # The same draws for all protocols, so that their agreement can be bootstrapped too.
        generator=generator_of("bootstrap", removal, spec.seed),
        leaking=leaky if protocol in CAN_LEAK else frozenset(),
        reference=REFERENCE,
        # Holm's first step needs p-values below 0.05 / explainers.
        draws=max(spec.bootstrap_draws, 50 * len(gains)),
    )


def _attainable(found: Evidence, curve: str, removal: str) -> float:
    """Return the gain of an explainer whose curve is at its best from the first fraction on."""
    ends = found.ends[curve, removal].mean((0, 2, 3), dtype=np.float64)
    best = ends.min() if DIRECTIONS[curve] == "lower" else ends.max()
    return attainable_gain(
        found.scores[curve, removal][REFERENCE],
        float(best),
        found.inner,
        direction=DIRECTIONS[curve],
    )


def _gain_table(comparisons: Mapping[tuple[str, str], Comparison]) -> pd.DataFrame:
    tables = [
        comparison.table.assign(protocol=protocol, removal=removal)
        for (protocol, removal), comparison in comparisons.items()
    ]
    columns = ["protocol", "removal", "explainer", "gain", "low", "high", "normalised"]
    columns += ["p_value", "p_holm", "verdict", "rank", "rank_low", "rank_high"]
    if not tables:
        return pd.DataFrame(columns=columns)
    return pd.concat(tables, ignore_index=True)[columns]


def _curve_table(found: Evidence) -> pd.DataFrame:
    """Return every curve with its interval, the shared ends included, for all but mask-only."""
    rows, stacks = [], []
    for (curve, removal), by_explainer in found.scores.items():
        if curve == "mask-only":
            continue
        ends = found.ends[curve, removal]
        shared = {0.0: ends[:, 0], 1.0: ends[:, 1]}
        for explainer, scores in by_explainer.items():
            points = shared | {f: scores[:, i] for i, f in enumerate(found.inner)}
            for fraction, point in sorted(points.items()):
                rows.append((curve, removal, explainer, fraction, scores.shape[2]))
                stacks.append(point)
    table = pd.DataFrame(rows, columns=["protocol", "removal", "explainer", "fraction", "repeats"])
    return table.join(_intervals(stacks))


def _intervals(stacks: list[Scores]) -> pd.DataFrame:
    """Return value, low and high of every point, those of one shape at once."""
    result = np.empty((len(stacks), 3))
    flat = [scores.reshape(-1, scores.shape[-1]) for scores in stacks]
    for shape in {scores.shape for scores in flat}:
        where = [i for i, scores in enumerate(flat) if scores.shape == shape]
        result[where] = np.stack(score_interval(np.stack([flat[i] for i in where])), axis=1)
    return pd.DataFrame(result, columns=["value", "low", "high"])


def _pair_table(gains: Mapping[str, Gains]) -> pd.DataFrame:
    tables = [
        distinguishable_pairs(of_protocol, reference=REFERENCE).assign(protocol=protocol)
        for protocol, of_protocol in gains.items()
    ]
    columns = ["protocol", "first", "second", "difference", "p_holm", "distinguishable"]
    if not tables:
        return pd.DataFrame(columns=columns)
    return pd.concat(tables, ignore_index=True)[columns]
