"""Outcomes to one tidy table, and to the arrays of correct answers that statistics start from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from uproar.job import ALL, ENDS, Job
from uproar.plan import Plan
from uproar.protocols import CURVES
from uproar.run.cell import Outcome

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
    "direction",
    "n",
    "versions",
)

Correct = NDArray[np.bool_]  # (base_models, fractions, repeats, examples)


@dataclass(frozen=True)
class Curve:
    """One explainer's correct answers under one protocol and removal, from one base model."""

    name: str  # what tables call it: roar, retrain-once-kept, …
    direction: str
    job: Job
    fractions: tuple[float, ...]
    correct: Correct  # (fractions, repeats, examples)


def curves(outcomes: Mapping[Job, Outcome]) -> Iterator[Curve]:
    """Yield all measured curves; those of :data:`uproar.plan.ALL` have the points 0 and 1."""
    for job, outcome in outcomes.items():
        for name, direction in CURVES.get(job.protocol, {}).items():
            yield Curve(name, direction, job, job.fractions, outcome.arrays[name])
        if job.protocol == "roar" and job.explainer == ALL:
            # With everything kept nothing is removed, and the other way round: the two models
            # that ROAR ends with are those of KAR.
            mirrored = outcome.arrays["roar"][::-1]
            yield Curve("kar", CURVES["kar"]["kar"], job, job.fractions, mirrored)


def tidy(plan: Plan, outcomes: Mapping[Job, Outcome]) -> pd.DataFrame:
    """Return one row per measurement, in an order that depends on the spec alone.

    The accuracies at the fractions 0 and 1 are the same for all explainers and stand once, with
    the explainer ``all``. ``n`` counts the test examples.
    """
    spec, wanted = plan.spec, {name for p in plan.spec.protocols for name in CURVES[p]}
    rows = [row for c in curves(outcomes) if c.name in wanted for row in _rows(plan, c)]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table = table.astype({"base_model": "Int64", "repeat": "int64", "n": "int64"})
    names = [name for protocol in CURVES.values() for name in protocol]
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


def _rows(plan: Plan, curve: Curve) -> Iterator[tuple[object, ...]]:
    """Yield one row per fraction and repeat, in the order of :data:`COLUMNS`."""
    job = curve.job
    versions = plan.versions(job.explainer, job.protocol, job.removal)
    about = (plan.spec.data, plan.spec.model, job.base, job.explainer, curve.name, job.removal)
    for fraction, by_repeat in zip(curve.fractions, curve.correct, strict=True):
        for repeat, answers in enumerate(by_repeat):
            value = float(answers.mean())
            yield *about, fraction, repeat, value, curve.direction, answers.size, versions


@dataclass(frozen=True)
class Evidence:
    """Correct answers by (curve, removal) and explainer, ready for statistics."""

    inner: tuple[float, ...]
    correct: Mapping[tuple[str, str], Mapping[str, Correct]]
    ends: Mapping[tuple[str, str], Correct]  # the fractions are 0 and 1


def evidence(plan: Plan, outcomes: Mapping[Job, Outcome]) -> Evidence:
    """Stack the base models of every curve.

    Explainers that lack one of them are left out, and so are curves without their shared ends.
    """
    parts: dict[tuple[str, str], dict[str, dict[int, Correct]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for curve in curves(outcomes):
        key = curve.name, curve.job.removal
        parts[key][curve.job.explainer][curve.job.base or 0] = curve.correct
    bases = plan.spec.base_models
    ends = {
        key: np.stack(list(by_base[ALL].values()))
        for key, by_base in parts.items()
        if ALL in by_base
    }
    correct = {
        key: {
            explainer: np.stack([by_base[explainer][base] for base in range(bases)])
            for explainer in plan.spec.explainers
            if len(by_base.get(explainer, {})) == bases
        }
        for key, by_base in parts.items()
        if key in ends or key[0] == "mask-only"
    }
    assert all(array.shape[1] == len(ENDS) for array in ends.values())
    return Evidence(plan.inner, correct, ends)
