"""Outcomes to one tidy table, and to the arrays of scores that statistics start from."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from uproar.plan.job import ALL, ENDS, Job
from uproar.plan.plan import Plan
from uproar.plan.repeats import bases_of, numbers_of
from uproar.protocols import find_protocol, known
from uproar.protocols.protocol import Protocol
from uproar.run.cell import Outcome
from uproar.stats.gains import Scores
from uproar.stats.levels import CROSSED, Design
from uproar.types import Direction

COLUMNS = (
    "data",
    "model",
    "base_model",
    "explainer",
    "protocol",
    "removal",
    "fraction",
    "repeat",
    "value",
    "score",
    "mse",
    "direction",
    "n",
    "versions",
)


@dataclass(frozen=True)
class MeasuredCurve:
    """One explainer's scores under one protocol and removal, from one base model."""

    name: str  # what tables call it: roar, retrain-once-kept, …
    direction: Direction
    job: Job
    fractions: tuple[float, ...]
    scores: Scores  # (fractions, repeats, examples)


def curves(outcomes: Mapping[Job, Outcome]) -> Iterator[MeasuredCurve]:
    """Yield all measured curves; those of :data:`uproar.plan.plan.ALL` have the points 0 and 1."""
    for job, outcome in outcomes.items():
        if not job.protocol:
            continue
        protocol = find_protocol(job.protocol)
        for curve in protocol.curves:
            scores = outcome.arrays[curve.name]
            yield MeasuredCurve(curve.name, curve.direction, job, job.fractions, scores)
        if job.explainer == ALL:
            yield from _served(protocol, job, outcome)


def _served(protocol: Protocol, job: Job, outcome: Outcome) -> Iterator[MeasuredCurve]:
    """Yield the ends of the protocols for which these serve too."""
    for other in known():
        if other.ends != protocol.name:
            continue
        for theirs, ours in zip(protocol.curves, other.curves, strict=True):
            scores = outcome.arrays[theirs.name]
            # With everything kept nothing is removed, and the other way round.
            mirrored = scores[::-1] if theirs.keeps != ours.keeps else scores
            yield MeasuredCurve(ours.name, ours.direction, job, job.fractions, mirrored)


def tidy(plan: Plan, outcomes: Mapping[Job, Outcome]) -> pd.DataFrame:
    """Return one row per measurement, in an order that depends on the spec alone.

    The scores at the fractions 0 and 1 are the same for all explainers and stand once, with the
    explainer ``all``. ``value`` is the mean over the ``n`` test examples of what ``score`` names,
    ``accuracy`` or ``r2``. ``mse`` is the mean squared error in the label's own units, squared:
    ``(1 - r2) * variance of the test labels``; NaN for classes.
    """
    spec, wanted = plan.spec, {curve.name for p in plan.protocols for curve in p.curves}
    variance = _label_variance(plan, outcomes)
    rows = [row for c in curves(outcomes) if c.name in wanted for row in _rows(plan, c, variance)]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table = table.astype({"base_model": "int64", "repeat": "int64", "mse": "float64", "n": "int64"})
    names = [curve.name for protocol in known() for curve in protocol.curves]
    order = {
        "protocol": pd.Categorical(table["protocol"], names).codes,
        "removal": pd.Categorical(table["removal"], ["", *spec.removals]).codes,
        "explainer": pd.Categorical(table["explainer"], [ALL, *spec.explainers]).codes,
    }
    keys = table.assign(**order)[
        ["protocol", "removal", "explainer", "base_model", "fraction", "repeat"]
    ]
    return table.loc[keys.sort_values(list(keys.columns), kind="stable").index].reset_index(
        drop=True
    )


def _label_variance(plan: Plan, outcomes: Mapping[Job, Outcome]) -> float:
    """Return the variance of the test labels in their own units; NaN when nobody has said it."""
    known = outcomes.get(plan.data_jobs[0])
    variance = None if known is None else known.values.get("label_variance")
    return float("nan") if variance is None else float(variance)


def _rows(plan: Plan, curve: MeasuredCurve, variance: float) -> Iterator[tuple[object, ...]]:
    """Yield one row per fraction and repeat, in the order of :data:`COLUMNS`."""
    job = curve.job
    versions = plan.versions(job.explainer, job.protocol, job.removal)
    about = (plan.spec.data_name, plan.spec.model, job.base, job.explainer, curve.name, job.removal)
    repeats = numbers_of(plan.spec, job.base, plan.spec.repeats)
    if find_protocol(job.protocol).asks == "base model":
        repeats = range(1)
    for fraction, by_repeat in zip(curve.fractions, curve.scores, strict=True):
        for repeat, scores in zip(repeats, by_repeat, strict=False):  # mask-only may have fewer
            value = float(scores.mean(dtype=np.float64))
            measured = ("accuracy", math.nan)
            if scores.dtype != np.bool_:
                measured = ("r2", (1 - value) * variance)
            yield *about, fraction, repeat, value, *measured, curve.direction, scores.size, versions


@dataclass(frozen=True)
class Evidence:
    """Scores by (curve, removal) and explainer, ready for statistics."""

    inner: tuple[float, ...]
    # Both (base_models, fractions, repeats, examples); the fractions of the ends are 0 and 1. The
    # base models of folds share their axis: together they have answered every example once.
    scores: Mapping[tuple[str, str], Mapping[str, Scores]]
    ends: Mapping[tuple[str, str], Scores]
    design: Design = CROSSED


def evidence(plan: Plan, outcomes: Mapping[Job, Outcome]) -> Evidence:
    """Stack the base models of every curve, or join its folds.

    Explainers that lack one of them are left out, and so are curves without their shared ends.
    """
    parts: dict[tuple[str, str], dict[str, dict[int, Scores]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for curve in curves(outcomes):
        key = curve.name, curve.job.removal
        parts[key][curve.job.explainer][curve.job.base] = curve.scores
    bases = {curve.name: bases_of(plan.spec, p) for p in known() for curve in p.curves}
    folds = plan.spec.source.folds > 1
    endless = {curve.name for p in known() if not p.compared for curve in p.curves}
    ends: dict[tuple[str, str], Scores] = {
        key: joined([by_base[ALL][base] for base in bases[key[0]]], folds=folds)
        for key, by_base in parts.items()
        if len(by_base.get(ALL, {})) == len(bases[key[0]])
    }
    scores = {
        key: {
            explainer: joined([by_base[explainer][base] for base in bases[key[0]]], folds=folds)
            for explainer in plan.spec.explainers
            if len(by_base.get(explainer, {})) == len(bases[key[0]])
        }
        for key, by_base in parts.items()
        if key in ends or key[0] in endless
    }
    assert all(array.shape[1] == len(ENDS) for array in ends.values())
    return Evidence(plan.inner, scores, ends, design_of(plan, outcomes))


def joined(of_bases: Sequence[Scores], *, folds: bool) -> Scores:
    """Return scores (..., examples) of base models with an axis for them first.

    Those of folds are of different examples, and are put one after the other on an axis of one.
    """
    return np.concatenate(of_bases, axis=-1)[None] if folds else np.stack(of_bases)


def design_of(plan: Plan, outcomes: Mapping[Job, Outcome]) -> Design:
    """Return which levels the error has: base models with repeats of their own, or folds."""
    if plan.spec.source.folds == 1:
        return Design(own_repeats=True)
    tested = [outcomes[job].values["test"] for job in plan.data_jobs if job in outcomes]
    return Design(folds=tuple(tested))
