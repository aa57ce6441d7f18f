"""Every data set, model, removal and choice of protocols through the whole pipeline."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.small_runs import (
    FILES,
    TOY,
    TUMOURS,
    command,
    copied,
    finished,
    run,
    spec_file,
)
from uproar.data import DATA, load
from uproar.data.known import planted
from uproar.plan.job import KEPT, ranking_cell
from uproar.protocols import PROTOCOLS
from uproar.ranking import drawn_lots, rank
from uproar.remove import REMOVALS
from uproar.results.content import content_of
from uproar.results.result import Result
from uproar.seeding import seed_of

TINY = {
    "fractions": [0.5],
    "repeats": 1,
    "base_models": 1,
    "explainers": "random,grad",
    "protocols": "roar,mask-only",
    "mask_only_repeats": 1,
}

FEW = {"train": 400, "validation": 60, "test": 100}

# The model of each data set where none is asked for, and the way in which it is trained.
MODEL_OF = {
    "digits": ("mlp", "dense"),
    "breast-cancer": ("mlp", "dense"),
    "hooker-toy": ("linear", "dense"),
    "hooker-toy-independent": ("linear", "dense"),
    "planted-table": ("mlp", "dense"),
    "planted-regression": ("mlp", "dense"),
    "planted-window": ("cnn", "sequential"),
    "planted-patch": ("cnn", "sequential"),
    "planted-words": ("transformer", "sequential"),
}
STEPS = {
    "planted-patch": {"recipe": {"epochs": 6}, "protocols": "roar"},
    # A transformer takes long: it is trained once without masks and once with them.
    "planted-words": {
        "recipe": {"epochs": 3, "batch_size": 16},
        "protocols": "retrain-once",
        "retrain_once_epochs": 3,
    },
}


def digits_of(classes: int, examples: int, folder: Path) -> str:
    """Write the first few digits of some classes into an archive."""
    train = load("digits", seed=0).train
    few = np.flatnonzero(train.labels < classes)[:examples]
    np.savez(folder / "few.npz", inputs=train.inputs[few], labels=train.labels[few])
    return str(folder / "few.npz")


@pytest.mark.slow
def test_a_residual_network_is_explained(tmp_path):
    asked = {"model": "resnet18", "protocols": "no-retrain", "explainers": "random,gb"}
    recipe = {"epochs": 1, "batch_size": 8}
    data = digits_of(2, 160, tmp_path)
    result = run({**TINY, **asked, "data": data, "recipe": recipe}, tmp_path / "run")
    assert result.failed == ()
    assert result.skipped == ()
    assert result.spec.recipe.schedule == "steps"
    assert result.base_accuracy[0] > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("data", [entry.name for entry in DATA])
def test_every_data_set(data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(planted, "EXAMPLES", FEW)
    names = "random,grad,true-ranking" if "toy" in data else "random,grad"
    values = {"data": data, "bootstrap_draws": 200, **TINY, "explainers": names}
    steps = {} if "toy" in data else STEPS.get(data, {"recipe": {"epochs": 8}})
    given = spec_file({**values, **steps}, tmp_path)
    out = tmp_path / "run"
    ended = command(capsys, monkeypatch, ("run", "-c", given, "--out", out, "-q"))
    assert (ended.code, ended.errors) == (0, "")
    result = Result.read(out)
    assert result.complete
    assert set(result.leaderboard()["explainer"]) == set(names.split(","))
    assert result.base_accuracy[0] > max(0.75, result.data_facts.values["majority_rate"])
    assert (result.spec.model, result.spec.training) == MODEL_OF[data]
    removal = "mask-token" if data == "planted-words" else "mean"
    retrained = result.table["protocol"].isin(["roar", "retrain-once-removed"])
    assert set(result.table[retrained]["removal"]) == {removal}


def removals_of(kind: str) -> str:
    """Return the removals that fit a kind of data, those that fit tables too for tables alone."""
    first = {
        entry.name: "table" if "table" in entry.data_kinds else entry.data_kinds[0]
        for entry in REMOVALS
    }
    return ",".join(name for name in first if first[name] == kind)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["image", "series"])
def test_every_removal_of_images_and_series(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(planted, "EXAMPLES", FEW)
    data = digits_of(10, 600, tmp_path) if kind == "image" else "planted-window"
    few = {"removals": removals_of(kind), "protocols": "roar", "explainers": "random"}
    result = run({**TINY, **few, "data": data, "model": "linear"}, tmp_path / "run")
    assert result.failed == ()
    assert_removed(result, kind)


def assert_removed(result, kind):
    curves = result.table.query("protocol == 'roar' and explainer == 'random'")
    assert ",".join(dict.fromkeys(curves["removal"])) == removals_of(kind)
    left = curves.groupby("removal")["value"].mean()
    # The mean of a standardised column is zero.
    assert left.drop("zero", errors="ignore").is_unique


@pytest.mark.slow
@pytest.mark.parametrize("protocol", [entry.name for entry in PROTOCOLS])
def test_every_protocol_alone(protocol, tmp_path, capsys, monkeypatch):
    out, given = tmp_path / "run", spec_file({**TUMOURS, "protocols": protocol}, tmp_path)
    ended = command(capsys, monkeypatch, ("run", "-c", given, "--out", out))
    assert ended.code == 0
    assert set(FILES) <= {path.name for path in out.iterdir()}
    whole = pd.read_parquet(finished("tumours") / "results.parquet")
    part = Result.read(out).table
    wanted = [name for name in dict.fromkeys(whole["protocol"]) if name in set(part["protocol"])]
    assert {name.removesuffix("-removed").removesuffix("-kept") for name in wanted} == {protocol}
    # What is measured does not depend on what else is.
    same = whole[whole["protocol"].isin(wanted)].reset_index(drop=True)
    pd.testing.assert_frame_equal(part, same)
    board = Result.read(out).leaderboard()
    if protocol == "mask-only":
        assert board["verdict"].isna().all()
        assert board["mask_only_accuracy"].notna().all()
    else:
        assert "reference" in set(board["verdict"])
    uncontrolled = protocol in {"roar", "kar"}
    if uncontrolled:
        found = board.set_index("explainer")[["verdict", "reason"]].agg(tuple, axis=1).to_dict()
        assert found == {
            "random": ("reference", ""),
            "grad": ("untested", "no leak control"),
            "abs-grad": ("untested", "no leak control"),
        }
    note = "mask-only was not run: ROAR and KAR have no verdicts without it"
    assert (note in ended.output) == uncontrolled
    assert (note in (out / "report.html").read_text()) == uncontrolled
    assert note not in (finished("tumours") / "report.html").read_text()


@pytest.mark.slow
def test_all_removals_of_tables_and_two_base_models_at_once(tmp_path):
    values = {**TUMOURS, "removals": removals_of("table"), "base_models": 2, "repeats": 1}
    asked = {"explainers": "random,sg-grad", "bootstrap_draws": 50}
    result = run({**values, **asked}, tmp_path / "run")
    assert result.failed == ()
    curves = result.table[result.table["explainer"] != "all"]
    by_curve = curves.groupby(["protocol", "removal", "explainer"])
    assert (by_curve["base_model"].nunique() == 2).all()
    assert_removed(result, "table")


@pytest.mark.slow
def test_what_cannot_run_is_skipped_with_its_reason(tmp_path, capsys, monkeypatch):
    names = "random,grad,gb,sg-gb,sobel"
    values = {**TUMOURS, "explainers": names, "base_models": 2, "protocols": "roar"}
    given, out = spec_file(values, tmp_path), "run"
    ended = command(capsys, monkeypatch, ("run", "-c", given, "--out", tmp_path / out))
    assert ended.code == 0
    lines = [line for line in ended.output.splitlines() if line.startswith("skipped ")]
    reasons = sorted(line.partition(": ")[2].rpartition("needs ")[2] for line in lines)
    assert len(lines) == 2, "one line for each reason"
    assert reasons[1].endswith("sobel is for images, and these data are tables")
    assert all("explain: sobel, base model 1" in line for line in lines if "images" in line)
    assert sum("guided backpropagation needs a model" in line for line in lines) == 1
    result = Result.read(tmp_path / out)
    assert result.complete
    assert result.failed == ()
    assert set(result.leaderboard()["explainer"]) == {"random", "grad"}
    page = (tmp_path / out / "report.html").read_text()
    assert "guided backpropagation needs a model" in page
    status = command(capsys, monkeypatch, ("status", tmp_path / out)).output
    assert "not finished" not in status
    assert "skipped explain: gb" in status


@pytest.mark.slow
def test_random_alone_is_reported_without_a_verdict(tmp_path):
    values = {**TUMOURS, "explainers": "random,sobel", "protocols": "roar"}
    result = run(values, tmp_path / "run")
    assert list(result.leaderboard()["verdict"]) == ["reference"]
    assert result.conclusions.detectable == {}
    assert (tmp_path / "run/report.html").is_file()


@pytest.mark.slow
def test_the_toy_tells_the_true_ranking_from_the_inverted_one():
    board = Result.read(finished("toy")).leaderboard().set_index("explainer")
    assert board.index[0] == "true-ranking"
    assert board.loc["true-ranking", "retrain_once_gain"] > 0
    assert board.loc["inverted-ranking", "kar_gain"] < 0
    assert board["kind"].to_dict()["random"] == "control"
    assert set(TOY["explainers"].split(",")) == set(board.index)


@pytest.mark.slow
def test_importance_of_test_examples_stays_in_the_store_and_is_what_was_ranked():
    result = Result.read(finished("digits"))
    gallery = content_of(result).gallery
    for job in result.plan.explain_jobs():
        outcome = result.store.read(job.cell)
        kept = outcome.values["kept"]
        assert len(set(kept)) == len(kept) == 256
        seed = seed_of(job.cell.fields["lots"], "test")
        lots = drawn_lots(seed, slice(0, int(result.table["n"].max())), (8, 8))
        for member in job.members:
            importance = outcome.arrays[f"{KEPT}{member}"]
            ranks = result.store.read(ranking_cell(outcome.values["digests"][member]))
            expected = rank(importance, lots[kept])
            np.testing.assert_array_equal(expected, ranks.arrays["test"][kept])
            np.testing.assert_array_equal(gallery.importance[member], importance[:10])


def test_fewer_are_kept_where_that_is_asked_for(tmp_path):
    result = run({**TUMOURS, "kept_examples": 12, "protocols": "no-retrain"}, tmp_path / "run")
    (job, *_) = result.plan.explain_jobs()
    assert result.store.read(job.cell).arrays[f"{KEPT}{job.members[0]}"].shape == (12, 30)
    assert content_of(result).gallery.inputs.shape == (10, 30)


@pytest.mark.slow
def test_a_failed_training_of_retrain_once_is_told_once(tmp_path, monkeypatch):
    def broken(*arguments, **options):
        raise MemoryError("too large")

    out = copied("tumours", tmp_path)
    for kind in ("retrain-once-model", "retrain-once"):
        shutil.rmtree(out / "store/cells" / kind)
    with monkeypatch.context() as patch:
        patch.setattr("uproar.bench.worker.train_once", broken)
        result = run(TUMOURS, out)
    assert [what for what, _, _ in result.failed] == ["retrain-once: train (mean)"]
    board = result.leaderboard()
    assert board["retrain_once_gain"].isna().all()
    assert board["roar_gain"].notna().all()
    again = run(TUMOURS, out)
    assert again.failed == ()
    pd.testing.assert_frame_equal(again.table, Result.read(finished("tumours")).table)


@pytest.mark.slow
def test_a_failed_random_ranking_leaves_no_verdict_and_no_crash(tmp_path, monkeypatch):
    def broken(*arguments, **options):
        raise ValueError("no dice")

    with monkeypatch.context() as patch:
        patch.setattr("uproar.explain.controls.controls.Random.__call__", broken)
        result = run({**TUMOURS, "protocols": "roar,mask-only"}, tmp_path / "run")
    assert [what for what, _, _ in result.failed] == ["explain: random"]
    assert result.leaderboard()["verdict"].isna().all()
    assert "no dice" in (tmp_path / "run/report.html").read_text()
