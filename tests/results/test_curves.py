"""Outcomes to the tidy table and to evidence, from scores that are written by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from uproar.plan.job import ALL, Job
from uproar.plan.plan import Plan
from uproar.plan.spec import Spec
from uproar.protocols import find_protocol, known
from uproar.results.curves import COLUMNS, curves, evidence, tidy
from uproar.run.cell import Outcome

EXAMPLES = 4
Keep = Callable[[Job], bool]


def plan(**values: object) -> Plan:
    given = {
        "explainers": "grad,random",
        "fractions": [0.5, 0.25],
        "repeats": 4,
        "mask_only_repeats": 4,
        "base_models": 2,
        "removals": "zero,mean",
        "training": "dense",
    }
    return Plan(Spec.from_mapping(given | values).checked())


def outcomes(
    subject: Plan, keep: Keep = lambda _: True, dtype: type = np.bool_
) -> dict[Job, Outcome]:
    """Answer every curve: one example more is right at each further fraction and repeat."""
    found = {}
    for job in filter(keep, subject.prospective_jobs()):
        if not job.protocol:
            continue
        repeats = {"mask-only": 2, "no-retrain": 1}.get(job.protocol, 2)
        right = np.add.outer(np.arange(len(job.fractions)), np.arange(repeats))
        scores = (np.arange(EXAMPLES) < right[..., None]).astype(dtype)
        names = [curve.name for curve in find_protocol(job.protocol).curves]
        found[job] = Outcome({}, dict.fromkeys(names, scores))
    return found


def test_one_row_per_measurement_in_the_order_of_the_spec() -> None:
    subject = plan()
    table = tidy(subject, outcomes(subject))
    assert tuple(table.columns) == COLUMNS
    # Per removal and base model: the shared ends (2 fractions x 2 repeats), and 2 explainers x 2
    # fractions x 2 repeats. No retraining has one repeat.
    rows = table.groupby(["protocol", "removal"], sort=False).size().to_dict()
    assert rows == {
        **{("roar", removal): 24 for removal in ("zero", "mean")},
        **{("kar", removal): 24 for removal in ("zero", "mean")},
        ("mask-only", ""): 16,
        **{("retrain-once-removed", removal): 24 for removal in ("zero", "mean")},
        **{("retrain-once-kept", removal): 24 for removal in ("zero", "mean")},
        **{("no-retrain", removal): 12 for removal in ("zero", "mean")},
    }
    assert list(rows)[:3] == [("roar", "zero"), ("roar", "mean"), ("kar", "zero")]
    assert not table.duplicated(list(COLUMNS[:8])).any()
    assert table["n"].eq(EXAMPLES).all()
    assert dict(table.groupby("protocol")["direction"].first()) == {
        curve.name: curve.direction for protocol in known() for curve in protocol.curves
    }


def test_rows_of_one_curve_are_those_that_were_measured() -> None:
    subject = plan()
    table = tidy(subject, outcomes(subject))
    shown = table.query("protocol == 'roar' and removal == 'mean'")
    columns = ["explainer", "base_model", "fraction", "repeat", "value"]
    assert shown[columns].astype(object).where(shown[columns].notna(), None).values.tolist()[
        :12
    ] == [
        ["all", 0, 0.0, 0, 0.0],
        ["all", 0, 0.0, 2, 0.25],
        ["all", 0, 1.0, 0, 0.25],
        ["all", 0, 1.0, 2, 0.5],
        ["all", 1, 0.0, 1, 0.0],
        ["all", 1, 0.0, 3, 0.25],
        ["all", 1, 1.0, 1, 0.25],
        ["all", 1, 1.0, 3, 0.5],
        ["grad", 0, 0.25, 0, 0.0],
        ["grad", 0, 0.25, 2, 0.25],
        ["grad", 0, 0.5, 0, 0.25],
        ["grad", 0, 0.5, 2, 0.5],
    ]
    assert set(shown["versions"]) == {
        "roar=1 mean=1",
        "roar=1 mean=1 grad=1",
        "roar=1 mean=1 random=1",
    }


def test_accuracies_have_no_squared_error() -> None:
    subject = plan()
    facts = {"task": "classification", "score": "accuracy", "label_variance": None}
    for said in ({}, {subject.data_jobs[0]: Outcome(facts)}, {subject.data_jobs[0]: Outcome({})}):
        table = tidy(subject, outcomes(subject) | said)
        assert set(table["score"]) == {"accuracy"}
        assert table["mse"].dtype == np.float64
        assert table["mse"].isna().all()


def test_real_scores_are_r2_and_come_with_the_squared_error_in_units_of_the_label() -> None:
    subject = plan(protocols="roar,mask-only")
    facts = {"task": "regression", "score": "R²", "label_variance": 80.0}
    found = outcomes(subject, dtype=np.float32) | {subject.data_jobs[0]: Outcome(facts)}
    table = tidy(subject, found)
    assert set(table["score"]) == {"r2"}
    shown = table.query("explainer == 'all' and removal == 'mean'")
    of_one = [[0, 80], [0.25, 60], [0.25, 60], [0.5, 40]]
    assert shown[["value", "mse"]].values.tolist() == of_one * 2
    assert set(table.query("protocol == 'mask-only'")["mse"]) == {80.0, 60.0, 40.0}
    # Nobody has said the variance: R² stands, the squared error does not exist.
    table = tidy(subject, outcomes(subject, dtype=np.float32))
    assert set(table["score"]) == {"r2"}
    assert table["mse"].isna().all()


def test_real_scores_are_averaged_in_double_precision() -> None:
    subject = plan(protocols="no-retrain", base_models=1)
    scores = np.full((2, 1, 100_000), 0.1, dtype=np.float32)
    scores[..., 0] = -3e6
    (job, *_) = (job for job in subject.prospective_jobs() if job.protocol == "no-retrain")
    table = tidy(subject, {job: Outcome({}, {"no-retrain": scores})})
    assert table["value"][0] == pytest.approx(scores[0].astype(np.float64).mean(), rel=1e-12)


def test_the_order_does_not_depend_on_the_order_of_the_outcomes() -> None:
    subject = plan()
    found = outcomes(subject)
    backwards = dict(reversed(found.items()))
    assert tidy(subject, found).equals(tidy(subject, backwards))


def test_the_ends_of_kar_are_those_of_roar_the_other_way_round() -> None:
    subject = plan(protocols="kar")
    end, _ = (
        c
        for c in curves(outcomes(subject))
        if c.job.removal == "mean" and c.name == "kar" and c.job.explainer == ALL
    )
    assert end.fractions == (0.0, 1.0)
    assert end.direction == "higher"
    assert end.scores.sum(-1).tolist() == [[1, 2], [0, 1]]
    # What was measured for KAR's sake is not shown as ROAR.
    assert set(tidy(subject, outcomes(subject))["protocol"]) == {"kar"}


def test_a_table_of_nothing_has_all_columns() -> None:
    table = tidy(plan(), {})
    assert tuple(table.columns) == COLUMNS
    assert table.empty


@pytest.mark.parametrize("dtype", [np.bool_, np.float32])
def test_evidence_keeps_the_type_of_the_scores(dtype: type) -> None:
    subject = plan()
    found = evidence(subject, outcomes(subject, dtype=dtype))
    stacks = [stack for by_name in found.scores.values() for stack in by_name.values()]
    assert {stack.dtype for stack in [*stacks, *found.ends.values()]} == {np.dtype(dtype)}


def test_evidence_stacks_base_models() -> None:
    subject = plan()
    found = evidence(subject, outcomes(subject))
    assert found.inner == (0.25, 0.5)
    assert set(found.scores["roar", "mean"]) == {"grad", "random"}
    assert found.scores["roar", "mean"]["grad"].shape == (2, 2, 2, EXAMPLES)
    assert found.scores["no-retrain", "zero"]["grad"].shape == (2, 2, 1, EXAMPLES)
    assert found.scores["mask-only", ""]["grad"].shape == (2, 2, 2, EXAMPLES)
    assert found.ends["roar", "mean"].shape == (2, 2, 2, EXAMPLES)
    assert found.ends["kar", "mean"].sum(-1).tolist() == [[[1, 2], [0, 1]]] * 2
    assert found.ends["no-retrain", "mean"].shape == (2, 2, 1, EXAMPLES)
    assert ("mask-only", "") not in found.ends


@pytest.mark.parametrize("base", [0, 1])
def test_an_explainer_that_lacks_a_base_model_is_left_out_there_and_nowhere_else(base: int) -> None:
    subject = plan()
    found = evidence(
        subject,
        outcomes(
            subject,
            lambda job: (job.protocol, job.explainer, job.base) != ("kar", "grad", base),
        ),
    )
    assert set(found.scores["kar", "mean"]) == {"random"}
    assert set(found.scores["roar", "mean"]) == {"grad", "random"}


def test_curves_without_their_shared_ends_are_left_out() -> None:
    subject = plan()
    lost = {("roar", "mean"), ("no-retrain", "zero")}
    kept = outcomes(
        subject, lambda job: job.explainer != ALL or (job.protocol, job.removal) not in lost
    )
    found = evidence(subject, kept)
    gone = {("roar", "mean"), ("kar", "mean"), ("no-retrain", "zero")}  # KAR ends as ROAR does
    everything = evidence(subject, outcomes(subject))
    assert set(found.scores) == set(everything.scores) - gone
    assert set(found.ends) == set(everything.ends) - gone
