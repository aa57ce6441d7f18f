"""What the evidence says: gains with intervals, verdicts, leaks, agreement, the leaderboard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from uproar.dataset import PARTS
from uproar.plan.spec import REFERENCE, Spec
from uproar.protocols import best_first, compared, leak_control
from uproar.protocols.protocol import Curve, Protocol
from uproar.results.curves import Evidence
from uproar.seeding import generator_of
from uproar.stats import verdicts as keys
from uproar.stats.agreement import agreement, distinguishable_pairs
from uproar.stats.effort import COLUMNS, parts_of_error
from uproar.stats.gains import Scores, attainable_gain, example_gains
from uproar.stats.intervals import score_interval
from uproar.stats.leaks import CLEAR, UNCLEAR, leaks, masks
from uproar.stats.levels import Design
from uproar.stats.verdicts import Comparison, Reason, compare_with_random

VERSION = 6  # raised when a conclusion changes its meaning


@dataclass(frozen=True)
class Conclusions:
    """The tables of the report, see :class:`uproar.report.content.ReportContent`."""

    gains: pd.DataFrame
    curves: pd.DataFrame
    leaks: pd.DataFrame
    pairs: pd.DataFrame
    agreement: pd.DataFrame
    error: pd.DataFrame
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
        stored = values["detectable"]
        detectable = {p.name: stored[p.name] for p in compared() if p.name in stored}
        return cls(**tables, detectable=detectable)


Gains = Mapping[str, NDArray[np.float64]]  # explainer -> (base_models, repeats, examples)


def conclude(
    spec: Spec,
    found: Evidence,
    *,
    majority: Scores,
    base_scores: Scores,
    tied_reference: bool = False,
    tested: float | None = None,
) -> Conclusions:
    """Draw all conclusions from the evidence; what was not run is left out.

    :param majority: scores of always giving the best answer of train, (examples,).
    :param base_scores: of the base models, (base_models, examples): the scale of leaks where
        nothing was retrained with all features present.
    :param tied_reference: whether random leaves open what is removed, so that it is not random.
    :param tested: share of the examples that is tested, where they could be split into folds.
    """
    clean = _clean_score(found, spec.removals[0])
    leak_table = leaks(
        found.scores.get((leak_control().curves[0].name, ""), {}),
        found.inner,
        majority=majority,
        clean_score=float(base_scores.mean(dtype=np.float64)) if clean is None else clean,
        reference=REFERENCE,
    )
    learned = bool((base_scores.mean(axis=1, dtype=np.float64) > majority.mean()).all())
    for_all: Reason = keys.TIED_REFERENCE if tied_reference else keys.VERDICT
    for_all = for_all if learned else keys.LEARNED_NOTHING
    all_gains, comparisons = {}, {}
    for removal in spec.removals:
        for protocol in compared():
            if gains := _gains(found, protocol, removal):
                key = protocol.name, removal
                all_gains[key] = gains
                reasons = _reasons(protocol, gains, leak_table, for_all)
                comparisons[key] = _compare(spec, found, protocol, removal, gains, reasons)
    first = {name: c for (name, removal), c in comparisons.items() if removal == spec.removals[0]}
    of_first = {name: all_gains[name, spec.removals[0]] for name in first}
    wanted = [pair for pair in _pairs() if set(pair) <= set(first)]
    return Conclusions(
        gains=_gain_table(comparisons),
        curves=_curve_table(found),
        leaks=leak_table,
        pairs=_pair_table(of_first, found.design),
        agreement=agreement(first, wanted, reference=REFERENCE),
        error=_error_table(of_first, found.design, tested),
        # There is none where random has been compared with nothing.
        detectable={
            name: c.smallest_detectable
            for name, c in first.items()
            if np.isfinite(c.smallest_detectable)
        },
    )


def tested_share(spec: Spec, facts: Mapping[str, Any]) -> float | None:
    """Return the share of the examples that is tested, where they could be split into folds."""
    sizes = [int(facts[part]) for part in PARTS]
    return sizes[-1] / sum(sizes) if spec.foldable else None


def _clean_score(found: Evidence, removal: str) -> float | None:
    """Return the mean score of models that were retrained with all features present, if any."""
    for protocol in compared():
        if protocol.asks != "retraining":
            continue
        for curve in protocol.curves:
            ends = found.ends.get((curve.name, removal))
            if ends is not None:
                return float(ends[:, int(curve.keeps)].mean(dtype=np.float64))
    return None


def _pairs() -> list[tuple[str, str]]:
    """Return the pairs of protocols that should agree: all that ask the same question.

    Those of another question are held against the one protocol that is believed most.
    """
    protocols, (believed, *_) = compared(), best_first()
    alike = [(a.name, b.name) for a, b in combinations(protocols, 2) if a.question == b.question]
    other = [p.name for p in protocols if p.question != believed.question]
    return alike + [(believed.name, name) for name in other]


def _gains(found: Evidence, protocol: Protocol, removal: str) -> Gains:
    """Return the per-example gains of every explainer that has all curves of the protocol.

    A gain is the mean of those of the curves.
    """
    tables = [found.scores.get((curve.name, removal), {}) for curve in protocol.curves]
    if not all(REFERENCE in table for table in tables):
        return {}
    return {
        explainer: np.mean(
            [
                example_gains(
                    table[explainer], table[REFERENCE], found.inner, direction=curve.direction
                )
                for curve, table in zip(protocol.curves, tables, strict=True)
            ],
            axis=0,
        )
        for explainer in tables[0]
        if all(explainer in table for table in tables)
    }


def _compare(
    spec: Spec,
    found: Evidence,
    protocol: Protocol,
    removal: str,
    gains: Gains,
    reasons: Mapping[str, Reason],
) -> Comparison:
    attainable = float(np.mean([_attainable(found, curve, removal) for curve in protocol.curves]))
    return compare_with_random(
        gains,
        attainable=attainable,
        # The same draws for all protocols, so that their agreement can be bootstrapped too.
        generator=generator_of("bootstrap", removal, spec.seed),
        design=found.design,
        reasons=reasons,
        retrained=protocol.asks != "base model",
        reference=REFERENCE,
        draws=spec.bootstrap_draws,
    )


def _reasons(
    protocol: Protocol, gains: Gains, leak_table: pd.DataFrame, for_all: Reason
) -> dict[str, Reason]:
    """Return why explainers have no verdict, where something that it needs is not there.

    A judge that is trained on an explainer's own masks needs them proven clear.
    """
    if for_all:
        return dict.fromkeys(gains, for_all)
    if not protocol.reads_own_masks:
        return {}
    known = masks(leak_table)
    proven: dict[str, Reason] = {CLEAR: keys.VERDICT, UNCLEAR: keys.UNCLEAR}
    return {
        name: proven.get(known[name], keys.LEAKS) if name in known else keys.NO_LEAK_CONTROL
        for name in gains
    }


def _attainable(found: Evidence, curve: Curve, removal: str) -> float:
    """Return the gain of an explainer whose curve is at its best from the first fraction on."""
    ends = found.ends[curve.name, removal].mean((0, 2, 3), dtype=np.float64)
    best = ends.min() if curve.direction == "lower" else ends.max()
    return attainable_gain(
        found.scores[curve.name, removal][REFERENCE],
        float(best),
        found.inner,
        direction=curve.direction,
    )


def _gain_table(comparisons: Mapping[tuple[str, str], Comparison]) -> pd.DataFrame:
    tables = [
        comparison.table.assign(protocol=protocol, removal=removal)
        for (protocol, removal), comparison in comparisons.items()
    ]
    columns = ["protocol", "removal", "explainer", "gain", "low", "high", "normalised"]
    columns += ["p_value", "p_holm", "verdict", "reason"]
    columns += ["rank", "rank_low", "rank_high"]
    if not tables:
        return pd.DataFrame(columns=columns)
    return pd.concat(tables, ignore_index=True)[columns]


def _curve_table(found: Evidence) -> pd.DataFrame:
    """Return every curve that has ends, with its interval, the shared ends included."""
    rows: list[tuple[object, ...]] = []
    stacks: list[Scores] = []
    for (curve, removal), by_explainer in found.scores.items():
        if (curve, removal) not in found.ends:
            continue
        ends = found.ends[curve, removal]
        shared = {0.0: ends[:, 0], 1.0: ends[:, 1]}
        for explainer, scores in by_explainer.items():
            repeats = scores.shape[2] * (len(found.design.folds) or len(scores))
            points = shared | {f: scores[:, i] for i, f in enumerate(found.inner)}
            for fraction, point in sorted(points.items()):
                rows.append((curve, removal, explainer, fraction, repeats))
                stacks.append(point)
    table = pd.DataFrame(rows, columns=["protocol", "removal", "explainer", "fraction", "repeats"])
    return table.join(_intervals(stacks, found.design))


def _intervals(stacks: list[Scores], design: Design) -> pd.DataFrame:
    """Return value, low and high of every point, those of one shape at once."""
    result = np.empty((len(stacks), 3))
    for shape in {scores.shape for scores in stacks}:
        where = [i for i, scores in enumerate(stacks) if scores.shape == shape]
        points = np.stack([stacks[i] for i in where])
        result[where] = np.stack(score_interval(points, design=design), axis=1)
    return pd.DataFrame(result, columns=["value", "low", "high"])


def _error_table(gains: Mapping[str, Gains], design: Design, tested: float | None) -> pd.DataFrame:
    tables = [
        parts_of_error(of_protocol, design=design, tested=tested, reference=REFERENCE).assign(
            protocol=protocol
        )
        for protocol, of_protocol in gains.items()
        if len(of_protocol) > 1
    ]
    columns = ["protocol", *COLUMNS]
    if not tables:
        return pd.DataFrame(columns=columns)
    return pd.concat(tables, ignore_index=True)[columns]


def _pair_table(gains: Mapping[str, Gains], design: Design) -> pd.DataFrame:
    tables = [
        distinguishable_pairs(of_protocol, design=design, reference=REFERENCE).assign(
            protocol=protocol
        )
        for protocol, of_protocol in gains.items()
    ]
    columns = ["protocol", "first", "second", "difference", "p_holm", "distinguishable"]
    if not tables:
        return pd.DataFrame(columns=columns)
    return pd.concat(tables, ignore_index=True)[columns]
