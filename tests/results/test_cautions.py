"""What a result says where something that its verdicts need is missing, or does not matter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from tests.support.kinds import measured, table
from tests.support.small_runs import TUMOURS, copied, finished, run, silent
from uproar import Result, evaluate

JUDGED = {"better", "alike", "worse"}


def found_by(result: Result, column: str) -> dict[str, set[str]]:
    """Return all that is said of explainers other than random, by protocol."""
    others = result.conclusions.gains.query("explainer != 'random'")
    return {str(name): set(part[column]) for name, part in others.groupby("protocol")}


def test_without_what_the_leak_control_measured_there_are_no_verdicts_of_masks(
    tmp_path: Path,
) -> None:
    out = copied("tumours", tmp_path)
    for path in (out / "store" / "cells" / "mask-only").iterdir():
        path.unlink()
    result = Result.read(out)
    verdicts, reasons = found_by(result, "verdict"), found_by(result, "reason")
    assert result.leaderboard()["mask_share"].isna().all()
    for protocol in ("roar", "kar"):
        assert (verdicts[protocol], reasons[protocol]) == ({"untested"}, {"no leak control"})
    for protocol in ("retrain-once", "no-retrain"):
        assert verdicts[protocol] <= JUDGED
        assert reasons[protocol] == {""}
    assert "not tested (no leak control)" in result.quote()


@pytest.mark.slow
def test_without_the_leak_control_there_are_no_verdicts_of_masks(tmp_path: Path) -> None:
    result = run({**TUMOURS, "protocols": "roar,kar,retrain-once"}, tmp_path / "run")
    assert found_by(result, "verdict")["roar"] == {"untested"}
    assert found_by(result, "reason")["kar"] == {"no leak control"}
    assert found_by(result, "verdict")["retrain-once"] <= JUDGED
    note = "mask-only was not run: ROAR and KAR have no verdicts without it"
    assert note in result.cautions
    assert note in (result.out / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_one_repeat_gives_no_verdict_of_what_is_retrained(tmp_path: Path) -> None:
    result = run({**TUMOURS, "repeats": 1}, tmp_path / "run")
    verdicts = found_by(result, "verdict")
    for protocol in ("roar", "kar", "retrain-once"):
        assert not verdicts[protocol] & JUDGED
    assert found_by(result, "reason")["retrain-once"] == {"one repeat"}
    assert verdicts["no-retrain"] <= JUDGED
    assert any(caution.startswith("one repeat: ") for caution in result.cautions)


def test_two_repeats_are_told_of() -> None:
    cautions = Result.read(finished("tumours")).cautions
    assert "two repeats: their spread is hardly known, which makes intervals wide" in cautions
    assert not any(caution.startswith("one repeat") for caution in cautions)


def small() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))


def flat(model: Any, inputs: Tensor, targets: Tensor, generator: torch.Generator) -> Tensor:
    """Give all features the same importance."""
    return torch.ones_like(inputs)


@pytest.mark.slow
@pytest.mark.parametrize("order", [range(8), range(7, -1, -1)])
def test_what_says_nothing_is_random_whatever_the_order_of_columns(
    order: range, tmp_path: Path
) -> None:
    parts = [(inputs[:, list(order)], labels) for inputs, labels in table()]
    lines: list[str] = []
    result = measured(
        small,
        (parts[0], parts[1]),
        tmp_path,
        explainers={"flat": flat, "random": None},
        protocols=["retrain-once", "no-retrain"],
        log=lines.append,
    )
    assert found_by(result, "verdict") == {"retrain-once": {"alike"}, "no-retrain": {"alike"}}
    assert result.tied == {"flat": 1.0, "random": 0.0}
    (caution,) = (told for told in result.cautions if "equal importance" in told)
    assert caution.endswith("in these shares of the test examples: flat 100%")
    assert caution in lines
    assert caution in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_model_no_better_than_the_best_answer_on_test_leaves_no_verdicts(tmp_path: Path) -> None:
    train, (inputs, labels) = table()
    options = {"explainers": ["grad"], "protocols": ["roar", "retrain-once", "no-retrain"]}
    result = measured(small, (train, (inputs, 1 - labels)), tmp_path, **options)
    assert result.base_accuracy[0] < 0.5
    assert {frozenset(found) for found in found_by(result, "verdict").values()} == {
        frozenset({"untested"})
    }
    assert set.union(*found_by(result, "reason").values()) == {"learned nothing"}
    note = "no verdicts: on test the model is no better than always the best answer"
    assert note in result.cautions
    assert "not tested (the model has learned nothing)" in result.quote()


FEW: dict[str, Any] = {
    "explainers": ["grad", "pfi"],
    "fractions": [0.4],
    "protocols": ["roar", "no-retrain"],
    "repeats": 2,
    "recipe": {"epochs": 5, "learning_rate": 2e-2},
    "removals": ["noise"],
    "log": silent,
    "quiet": True,
}


@pytest.mark.slow
def test_names_of_files_folders_and_runs_change_no_result(tmp_path: Path) -> None:
    (inputs, labels), _ = table()
    written = pd.DataFrame(inputs[:, :5]).add_prefix("x").assign(y=labels)
    found = []
    for folder, file, name in (
        ("a", "one.csv", None),
        ("b", "another.csv", "named"),
        ("b", "another.csv", "x"),
    ):
        path = tmp_path / folder / file
        path.parent.mkdir(exist_ok=True)
        written.to_csv(path, index=False)
        out = tmp_path / f"run-{name}"
        found.append(evaluate("mlp", path, target="y", name=name, out=out, **FEW))
    for other in found[1:]:
        assert other.conclusions.to_json() == found[0].conclusions.to_json()
        pd.testing.assert_frame_equal(
            other.table.drop(columns="data"), found[0].table.drop(columns="data")
        )


@pytest.mark.slow
def test_the_name_of_a_call_changes_no_result(tmp_path: Path) -> None:
    one, other = (
        measured(
            small, table(), tmp_path / name, name=name, explainers=["grad"], protocols=["roar"]
        )
        for name in ("a", "b")
    )
    assert one.conclusions.to_json() == other.conclusions.to_json()
    np.testing.assert_array_equal(one.table["value"], other.table["value"])
