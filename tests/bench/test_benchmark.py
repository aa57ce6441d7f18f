"""Every data set, model, removal and choice of protocols through the whole pipeline."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.support.small_runs import DIGITS, FILES, TOY, TUMOURS, command, finished, run, spec_file
from uproar.data import DATA
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
    "explainers": "random,grad",
    "protocols": "roar,mask-only",
    "mask_only_repeats": 1,
}

SMALL_OF_KIND = {
    "image": {"data": "digits", "model": "linear"},
    "series": {"data": "planted-window", "model": "linear"},
    "table": {},
}


@pytest.mark.parametrize("model", ["mlp", "cnn", "linear"])
@pytest.mark.slow
def test_every_small_model(model, tmp_path):
    assert_trained(run({**DIGITS, **TINY, "model": model}, tmp_path / "run"), model)


def assert_trained(result, model):
    assert result.failed == ()
    assert result.complete
    assert result.spec.model == model
    assert result.base_accuracy[0] > 0.8
    dense = model in {"mlp", "linear"}
    assert result.spec.training == ("dense" if dense else "sequential")


@pytest.mark.slow
def test_a_residual_network_is_explained(tmp_path):
    recipe = {"epochs": 2, "batch_size": 32, "optimiser": "adam", "learning_rate": 0.001}
    asked = {"model": "resnet18", "protocols": "no-retrain", "explainers": "random,gb"}
    result = run({**DIGITS, **TINY, **asked, "recipe": recipe}, tmp_path / "run")
    assert result.failed == ()
    assert result.skipped == ()
    assert result.spec.recipe.schedule == "steps"
    assert result.base_accuracy[0] > 0.3


@pytest.mark.slow
@pytest.mark.parametrize("data", [entry.name for entry in DATA])
def test_every_data_set(data, tmp_path, capsys, monkeypatch):
    names = "random,grad,true-ranking" if "toy" in data else "random,grad"
    values = {"data": data, "bootstrap_draws": 200, **TINY, "explainers": names}
    epochs = {"planted-patch": 4, "planted-window": 4}.get(data, 8)
    recipe = {} if "toy" in data else {"recipe": {"epochs": epochs}}
    if data == "planted-words":
        recipe = {"recipe": {"epochs": 1, "batch_size": 32}}
    given = spec_file({**values, **recipe}, tmp_path)
    out = tmp_path / "run"
    ended = command(capsys, monkeypatch, ("run", "-c", given, "--out", out, "-q"))
    assert (ended.code, ended.errors) == (0, "")
    result = Result.read(out)
    assert set(result.leaderboard()["explainer"]) == set(names.split(","))
    assert result.base_accuracy[0] > result.data_facts.values["majority_rate"]
    if data == "planted-words":
        # Texts have one model and one removal, which are tested here and not once more.
        assert_trained(result, "transformer")
        assert set(result.table.query("protocol == 'roar'")["removal"]) == {"mask-token"}


OTHER_REMOVALS = [entry for entry in REMOVALS if entry.data_kinds != ("text",)]


@pytest.mark.slow
@pytest.mark.parametrize("entry", OTHER_REMOVALS, ids=lambda entry: entry.name)
def test_every_removal_alone(entry, tmp_path):
    removal = entry.name
    kind = "table" if "table" in entry.data_kinds else entry.data_kinds[0]
    few = {"removals": removal, "protocols": "roar", "explainers": "random", "repeats": 1}
    result = run({**TUMOURS, **SMALL_OF_KIND[kind], **few, "fractions": [0.5]}, tmp_path / "run")
    assert result.failed == ()
    assert set(result.table.query("protocol == 'roar'")["removal"]) == {removal}


@pytest.mark.slow
@pytest.mark.parametrize(
    "protocols", [*(entry.name for entry in PROTOCOLS), "roar,mask-only", "retrain-once,no-retrain"]
)
def test_any_choice_of_protocols(protocols, tmp_path, capsys, monkeypatch):
    out, given = tmp_path / "run", spec_file({**TUMOURS, "protocols": protocols}, tmp_path)
    ended = command(capsys, monkeypatch, ("run", "-c", given, "--out", out))
    assert ended.code == 0
    assert set(FILES) <= {path.name for path in out.iterdir()}
    whole = pd.read_parquet(finished("tumours") / "results.parquet")
    part = Result.read(out).table
    wanted = [name for name in dict.fromkeys(whole["protocol"]) if name in set(part["protocol"])]
    assert {name.removesuffix("-removed").removesuffix("-kept") for name in wanted} == set(
        protocols.split(",")
    )
    # What is measured does not depend on what else is.
    same = whole[whole["protocol"].isin(wanted)].reset_index(drop=True)
    pd.testing.assert_frame_equal(part, same)
    board = Result.read(out).leaderboard()
    if protocols == "mask-only":
        assert board["verdict"].isna().all()
        assert board["mask_only_accuracy"].notna().all()
    else:
        assert "reference" in set(board["verdict"])
    uncontrolled = protocols in {"roar", "kar"}
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


@pytest.mark.slow
def test_all_removals_and_two_base_models_at_once(tmp_path):
    values = {**TUMOURS, "removals": "mean,zero,noise", "base_models": 2, "repeats": 1}
    result = run({**values, "explainers": "random,sg-grad,abs-sg-grad"}, tmp_path / "run")
    assert result.failed == ()
    table = result.table
    curves = table[table["explainer"] != "all"].groupby(["protocol", "removal", "explainer"])
    assert (curves["base_model"].nunique() == 2).all()
    values = table.query("protocol == 'roar' and explainer == 'random'").groupby("removal")["value"]
    # The mean of a standardised column is zero.
    assert values.mean()["noise"] != values.mean()["mean"]


@pytest.mark.slow
def test_what_cannot_run_is_skipped_with_its_reason(tmp_path, capsys, monkeypatch):
    names = "random,grad,gb,sg-gb,sobel"
    given, out = spec_file({**TUMOURS, "explainers": names, "base_models": 2}, tmp_path), "run"
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
    result = run({**TUMOURS, "explainers": "random,sobel"}, tmp_path / "run")
    assert list(result.leaderboard()["verdict"]) == ["reference"]
    assert result.conclusions.detectable == {}
    assert (tmp_path / "run/report.html").is_file()


@pytest.mark.slow
def test_random_is_always_there(tmp_path):
    result = run({**TUMOURS, "explainers": "grad"}, tmp_path / "run")
    assert result.spec.explainers == ("grad", "random")


@pytest.mark.slow
def test_fractions_of_zero_and_one_are_shared_points_already(tmp_path):
    result = run({**TUMOURS, "fractions": [0.0, 0.5, 1.0]}, tmp_path / "run")
    plain = pd.read_parquet(finished("tumours") / "results.parquet")
    pd.testing.assert_frame_equal(result.table, plain)


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

    with monkeypatch.context() as patch:
        patch.setattr("uproar.bench.worker.train_once", broken)
        result = run(TUMOURS, tmp_path / "run")
    assert [what for what, _, _ in result.failed] == ["retrain-once: train (mean)"]
    board = result.leaderboard()
    assert board["retrain_once_gain"].isna().all()
    assert board["roar_gain"].notna().all()
    assert run(TUMOURS, tmp_path / "run").failed == ()


@pytest.mark.slow
def test_a_failed_random_ranking_leaves_no_verdict_and_no_crash(tmp_path, monkeypatch):
    def broken(*arguments, **options):
        raise ValueError("no dice")

    with monkeypatch.context() as patch:
        patch.setattr("uproar.explain.controls.controls.Random.__call__", broken)
        result = run(TUMOURS, tmp_path / "run")
    assert [what for what, _, _ in result.failed] == ["explain: random"]
    assert result.leaderboard()["verdict"].isna().all()
    assert "no dice" in (tmp_path / "run/report.html").read_text()
