"""What goes wrong in the middle of a run: models that learn nothing, explainers that fail."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.small_runs import TUMOURS, command, run, silent, spec_file
from uproar import Recipe, evaluate
from uproar.bench.checks import check_learned
from uproar.data import load
from uproar.plan.plan import Plan
from uproar.plan.spec import Spec
from uproar.run.cell import Outcome
from uproar.types import UproarError

INPUTS = np.random.default_rng(0).standard_normal((240, 4)).astype(np.float32)
LABELS = (INPUTS[:, 0] > 0).astype(int)


def model() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 2))


def nothing_learned(out, **values):
    with pytest.raises(UproarError) as raised:
        run({**TUMOURS, **values}, out)
    assert not list(out.glob("store/cells/roar/*"))
    return str(raised.value)


def test_a_base_model_that_learned_nothing_stops_the_run(tmp_path):
    line = nothing_learned(tmp_path / "run", recipe={"learning_rate": 1e-9, "epochs": 1})
    assert re.fullmatch(
        r"base model 0 learned nothing: validation accuracy 0\.\d{3} on 57 examples, no better "
        r"than the majority class alone; change the recipe or the model",
        line,
    )


def test_shuffled_labels_stop_the_run(tmp_path):
    labels = np.random.default_rng(1).permutation(LABELS)
    with pytest.raises(UproarError, match=r"base model \d learned nothing"):
        evaluate(
            model,
            (INPUTS[:160], labels[:160]),
            (INPUTS[160:], labels[160:]),
            recipe=Recipe(epochs=2),
            out=tmp_path / "run",
            log=silent,
            quiet=True,
        )


@pytest.mark.parametrize(
    ("luck", "refused"),
    [
        ([0.5], "base model 0"),
        ([0.009], None),
        ([1e-9, 1e-9, 0.6], None),  # of one alone the verdicts take care
        ([1e-9, 0.3, 0.6], "base model 2"),
        ([1e-9, 0.009], None),
        ([0.009, 0.008, 0.007], "base model 0"),  # twice the median
    ],
    ids=str,
)
def test_base_models_have_learned_together(luck: list[float], refused: str | None) -> None:
    plan = Plan(Spec.from_mapping({**TUMOURS, "base_models": len(luck), "repeats": 3}))
    seen = {"score": 0.6, "examples": 57}
    outcomes = {
        job: Outcome({"luck": p, "validation": seen})
        for job, p in zip(plan.base_jobs, luck, strict=True)
    }
    data = load("breast-cancer", seed=0)
    if refused is None:
        check_learned(plan, outcomes, data)
    else:
        with pytest.raises(UproarError, match=f"^{refused} learned nothing: validation accuracy"):
            check_learned(plan, outcomes, data)


@pytest.mark.slow
def test_learning_nothing_is_wrong_use_for_the_command_line(capsys, monkeypatch, tmp_path):
    given = spec_file({**TUMOURS, "recipe": {"learning_rate": 1e-9, "epochs": 1}}, tmp_path)
    ended = command(capsys, monkeypatch, ("run", "-c", given, "--out", tmp_path / "run", "-q"))
    assert ended.code == 2
    assert ended.errors.startswith("uproar: base model 0 learned nothing")


def three(model, inputs, targets, generator):
    return inputs[:, :3]


def holes(model, inputs, targets, generator):
    return torch.where(inputs > 2, torch.nan, inputs)


def raising(model, inputs, targets, generator):
    raise KeyError("what <b>I</b> looked for")


def listed(model, inputs, targets, generator):
    return inputs.tolist()


def mended(model, inputs, targets, generator):
    return model.gradient(inputs, targets)


FAILURES = {
    three: "ValueError: explainer 'three' must return an attribution of the shape of the inputs",
    holes: "ValueError: explainer 'holes' must return finite numbers, got NaN or infinity",
    raising: "KeyError: 'what <b>I</b> looked for'",
    listed: "TypeError: explainer 'listed' must return a torch.Tensor or an array",
}


@pytest.mark.slow
def test_failing_explainers_are_recorded_and_the_others_finish(tmp_path):
    inputs = np.random.default_rng(1).standard_normal((800, 4)).astype(np.float32)
    labels = (inputs[:, 0] > 0).astype(int)
    expected = {explainer.__name__: error for explainer, error in FAILURES.items()}

    def again(explainers):
        return evaluate(
            model,
            (inputs[:600], labels[:600]),
            (inputs[600:], labels[600:]),
            explainers={**dict(zip(expected, explainers, strict=True)), "input-x-grad": None},
            fractions=[0.5],
            repeats=2,
            base_models=1,
            protocols=["roar", "mask-only"],
            recipe=Recipe(epochs=20),
            out=tmp_path / "run",
            log=silent,
            quiet=True,
        )

    result = again(FAILURES)
    found = {what.removeprefix("explain: "): (error, trace) for what, error, trace in result.failed}
    assert set(found) == set(expected), result.failed
    assert len(result.failed) == len(expected)
    for name, (error, traceback) in found.items():
        assert expected[name] in error
        assert "Traceback" in traceback
    assert set(result.leaderboard()["explainer"]) == {"input-x-grad", "random"}
    assert not result.complete
    page = (result.out / "report.html").read_text()
    assert all(f"explain: {name}" in page for name in expected)
    assert "<b>I</b>" not in page
    result = again([mended] * len(expected))
    assert result.failed == ()
    assert result.complete
    assert set(result.leaderboard()["explainer"]) == {*expected, "input-x-grad", "random"}
    assert "explain: " not in (result.out / "report.html").read_text()
