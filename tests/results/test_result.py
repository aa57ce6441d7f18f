"""What a finished run leaves in its folder, and what Python gets to see of it."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.small_runs import FILES, TUMOURS, content, copied, finished, run
from uproar.plan.plan import Plan
from uproar.results.files import write_files
from uproar.results.result import Result
from uproar.types import UproarError

RESULTS = [
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
]
LEADERBOARD = [
    "explainer",
    "kind",
    "scope",
    "roar_gain",
    "roar_low",
    "roar_high",
    "kar_gain",
    "kar_low",
    "kar_high",
    "retrain_once_gain",
    "retrain_once_low",
    "retrain_once_high",
    "no_retrain_gain",
    "no_retrain_low",
    "no_retrain_high",
    "mask_only_accuracy",
    "mask_share",
    "verdict",
    "reason",
    "explain_seconds",
    "passes",
    "tied",
    "estimand",
]
CURVES = ["roar", "kar", "mask-only", "retrain-once-removed", "retrain-once-kept", "no-retrain"]


@pytest.fixture
def result() -> Result:
    return Result.read(finished("digits"))


def table_of(name: str) -> pd.DataFrame:
    return pd.read_csv(finished("digits") / name)


def board_of(path: Path) -> pd.DataFrame:
    board = pd.read_csv(path)
    # pandas takes an empty text for a missing one.
    texts = ("estimand", "reason")
    return board.assign(**{name: board[name].astype(object).fillna("") for name in texts})


def test_a_run_leaves_these_files_and_the_store():
    assert {path.name for path in finished("digits").iterdir()} == {*FILES, "store"}


def test_results_are_one_tidy_table_in_two_formats(result):
    parquet = pd.read_parquet(result.out / "results.parquet")
    assert list(parquet.columns) == RESULTS
    assert list(table_of("results.csv").columns) == RESULTS
    pd.testing.assert_frame_equal(parquet, result.table)
    pd.testing.assert_frame_equal(
        pd.read_csv(result.out / "results.csv", keep_default_na=False)[["value", "fraction"]],
        parquet[["value", "fraction"]],
    )


def test_there_is_one_row_per_measurement(result):
    table = result.table
    measured = {"value", "score", "mse", "direction", "n", "versions"}
    keys = [name for name in RESULTS if name not in measured]
    assert not table.duplicated(keys).any()
    counts = table.groupby("protocol").size()
    explainers, fractions, repeats = 4, 2, 2
    shared = 2 * repeats  # everything kept and everything removed
    assert counts["roar"] == counts["kar"] == explainers * fractions * repeats + shared
    assert counts["retrain-once-removed"] == counts["retrain-once-kept"] == counts["roar"]
    assert counts["mask-only"] == explainers * fractions * 2
    # Without retraining there are no repeats.
    assert counts["no-retrain"] == explainers * fractions + 2
    assert list(dict.fromkeys(table["protocol"])) == CURVES


def test_values_are_accuracies_of_all_test_examples(result):
    table = result.table
    assert (table["n"] == 359).all()
    assert np.allclose(table["value"] * 359, (table["value"] * 359).round())
    directions = table.groupby("protocol")["direction"].unique().map(list).to_dict()
    assert directions == {
        "roar": ["lower"],
        "kar": ["higher"],
        "mask-only": ["lower"],
        "retrain-once-removed": ["lower"],
        "retrain-once-kept": ["higher"],
        "no-retrain": ["lower"],
    }


def test_versions_say_what_was_measured_with(result):
    table = result.table.set_index(["protocol", "explainer"])["versions"]
    assert set(table["roar", "grad"]) == {"roar=1 mean=1 grad=1"}
    assert set(table["mask-only", "ig"]) == {"mask-only=1 ig=1"}
    assert set(table["kar", "all"]) == {"roar=1 mean=1"}


def test_the_points_where_nothing_and_everything_is_gone_are_shared(result):
    ends = result.table[result.table["explainer"] == "all"]
    assert set(ends["fraction"]) == {0.0, 1.0}
    assert set(ends["base_model"]) == {0}
    by = ends.set_index(["protocol", "fraction", "repeat"])["value"]
    for repeat in (0, 1):
        assert by["roar", 0.0, repeat] == by["kar", 1.0, repeat]
        assert by["roar", 1.0, repeat] == by["kar", 0.0, repeat]


@pytest.mark.slow
def test_nothing_in_results_and_gains_depends_on_the_clock():
    for name in ("results.csv", "gains.csv"):
        assert not re.search(
            "second|time|date|host|20[23]\\d-", (finished("digits") / name).read_text()
        )
    assert "seconds" in table_of("timings.csv").columns


def test_timings_stand_apart_with_one_row_per_cell_and_stage(result):
    timings = table_of("timings.csv")
    assert list(timings.columns) == ["kind", "cell", "stage", "seconds"]
    assert (timings["seconds"] >= 0).all()
    per_cell = timings[timings["stage"] == "all"]
    assert len(per_cell) == len(result.outcomes)
    assert not per_cell["cell"].duplicated().any()


def test_the_leaderboard_has_one_row_per_explainer(result):
    board = board_of(finished("digits") / "leaderboard.csv")
    assert list(board.columns) == LEADERBOARD
    assert sorted(board["explainer"]) == ["grad", "ig", "random", "sobel"]
    assert dict(zip(board["explainer"], board["kind"], strict=True)) == {
        "grad": "estimator",
        "ig": "estimator",
        "random": "control",
        "sobel": "control",
    }
    assert board["retrain_once_gain"].is_monotonic_decreasing
    assert (board["explain_seconds"] > 0).all()
    pd.testing.assert_frame_equal(board, result.leaderboard(), check_dtype=False)
    assert set(board["scope"]) == {"local"}
    assert dict(zip(board["explainer"], board["passes"], strict=True)) == {
        "grad": 1,
        "ig": 25,
        "random": 0,
        "sobel": 0,
    }


def test_the_leaderboard_says_what_the_tables_say(result):
    board = result.leaderboard().set_index("explainer")
    gains = table_of("gains.csv").set_index(["protocol", "explainer"])
    for protocol, column in (("roar", "roar"), ("kar", "kar"), ("retrain-once", "retrain_once")):
        for name in board.index:
            for part in ("gain", "low", "high"):
                assert board.loc[name, f"{column}_{part}"] == gains.loc[(protocol, name), part]
    for name in board.index:
        assert board.loc[name, "verdict"] == gains.loc[("roar", name), "verdict"]
    shares = result.conclusions.leaks.groupby("explainer")["share"].max()
    masks = result.table.query("protocol == 'mask-only'").groupby(["explainer", "fraction"])
    largest = masks["value"].mean().groupby("explainer").max()
    for name in board.index:
        assert board.loc[name, "mask_only_accuracy"] == pytest.approx(largest[name])
        assert board.loc[name, "mask_share"] == shares[name]


@pytest.mark.slow
def test_explainers_of_the_function_are_told_apart_in_the_leaderboard():
    board = Result.read(finished("function")).leaderboard().set_index("explainer")
    of_function = ["pfi", "global-grad", "untrained-global-grad"]
    assert sorted(board.index[board["scope"] == "global"]) == sorted(of_function)
    assert board.loc[["random", "grad"], "estimand"].tolist() == ["", ""]
    assert all(board.loc[of_function, "estimand"])
    assert board.loc["untrained-global-grad", "kind"] == "control"
    # Five times each of 30 columns, and once whole.
    assert board.loc["pfi", "passes"] == 5 * 30 + 1
    assert board.loc["global-grad", "passes"] == 1


def test_importances_of_the_function_are_a_tidy_table():
    result = Result.read(finished("function"))
    table = result.function()
    written = pd.read_csv(result.out / "function.csv")
    pd.testing.assert_frame_equal(written, table, check_dtype=False)
    keys = table.groupby(["explainer", "base_model"], sort=False).size()
    assert keys.to_dict() == {
        (name, base): 30
        for name in ("pfi", "global-grad", "untrained-global-grad")
        for base in (0, 1)
    }
    assert table["feature"][0] == "mean radius"
    stored = {
        job.base: outcome.arrays["function/pfi"]
        for job, outcome in result.explained.items()
        if "pfi" in job.members
    }
    for base, arrays in stored.items():
        rows = table[(table["explainer"] == "pfi") & (table["base_model"] == base)]
        columns = ["importance", "standard_error", "p_value"]
        np.testing.assert_array_equal(rows[columns].to_numpy().T, arrays)
    # A mean absolute importance has an error, and nothing to be tested against.
    absolute = table.query("explainer == 'global-grad'")
    assert absolute["low"].notna().all()
    assert set(absolute["verdict"]) == {"not tested"}


def test_without_explainers_of_the_function_their_table_is_empty(result):
    assert result.function().empty
    assert (result.out / "function.csv").read_text().startswith("explainer,base_model,feature,")


def test_gains_are_areas_between_the_curves_of_the_table(result):
    curves = result.table.groupby(["protocol", "explainer", "fraction"])["value"].mean()

    def area(protocol, explainer):
        difference = [
            curves[protocol, explainer, f] - curves[protocol, "random", f] for f in (0.3, 0.7)
        ]
        return float(np.trapezoid([0.0, *difference], [0.0, 0.3, 0.7]))

    board = result.leaderboard().set_index("explainer")
    for name in board.index:
        once = -area("retrain-once-removed", name), area("retrain-once-kept", name)
        assert board.loc[name, "roar_gain"] == pytest.approx(-area("roar", name))
        assert board.loc[name, "kar_gain"] == pytest.approx(area("kar", name))
        assert board.loc[name, "retrain_once_gain"] == pytest.approx(np.mean(once))


def test_gains_hold_every_protocol_and_removal():
    gains = table_of("gains.csv")
    assert list(gains.columns) == [
        "protocol",
        "removal",
        "explainer",
        "gain",
        "low",
        "high",
        "normalised",
        "p_value",
        "p_holm",
        "verdict",
        "reason",
        "rank",
        "rank_low",
        "rank_high",
    ]
    assert len(gains) == 4 * 4
    assert list(dict.fromkeys(gains["protocol"])) == ["roar", "kar", "retrain-once", "no-retrain"]


@pytest.mark.slow
def test_each_further_removal_has_a_leaderboard_of_its_own(tmp_path):
    changed = {"removals": "mean,zero,noise", "base_models": 2, "protocols": "roar,mask-only"}
    result = run({**TUMOURS, **changed}, tmp_path / "run")
    assert {*FILES, "store", "leaderboard-zero.csv", "leaderboard-noise.csv"} == {
        path.name for path in result.out.iterdir()
    }
    noise = board_of(result.out / "leaderboard-noise.csv")
    pd.testing.assert_frame_equal(noise, result.leaderboard("noise"), check_dtype=False)
    assert not noise["roar_gain"].equals(result.leaderboard()["roar_gain"])
    assert set(result.table["base_model"].dropna()) == {0, 1}
    # A mask has the same shape whatever stands in for what it removes.
    assert set(result.table.query("protocol == 'mask-only'")["removal"]) == {""}
    with pytest.raises(UproarError, match="removal 'blur' was not run: mean, zero, noise"):
        result.leaderboard("blur")


@pytest.mark.slow
def test_plot_draws_curves_for_papers(result):
    from matplotlib.image import imread

    drawn = result.plot()
    written = io.BytesIO()
    drawn.savefig(written, format="png")
    written.seek(0)
    pixels = imread(written)
    assert pixels.ndim == 3
    colours = {tuple(colour) for colour in pixels[..., :3].reshape(-1, 3).round(1).tolist()}
    assert len(colours) > 20
    names = {text.get_text() for text in drawn.legends[0].get_texts()}
    assert names == {"grad", "ig", "sobel", "random"}
    assert len(drawn.axes) == 5


def test_to_html_writes_where_it_is_told(result, tmp_path):
    assert result.to_html(tmp_path / "a page.html") == tmp_path / "a page.html"
    assert (tmp_path / "a page.html").read_bytes() == (result.out / "report.html").read_bytes()
    assert result.to_html(str(tmp_path / "new" / "page.html")).is_file()


@pytest.mark.slow
def test_writing_the_files_again_gives_the_same_bytes(tmp_path):
    out = copied("tumours", tmp_path)
    before = content(out)
    write_files(Result.read(out))
    assert content(out) == before


def test_a_run_that_has_not_begun_has_nothing_to_report(tmp_path):
    out = copied("tumours", tmp_path)
    for path in (out / "store" / "cells" / "data").iterdir():
        path.unlink()
    with pytest.raises(UproarError, match="has nothing to report yet; `uproar run` finishes it"):
        Result.read(out).to_html()


def test_a_run_without_its_base_model_has_nothing_to_report(tmp_path):
    out = copied("tumours", tmp_path)
    for path in (out / "store" / "cells" / "base-model").iterdir():
        path.unlink()
    with pytest.raises(UproarError, match="has nothing to report yet; `uproar run` finishes it"):
        Result.read(out).to_html()


def test_half_a_run_reports_what_it_has(tmp_path):
    out = copied("tumours", tmp_path)
    for path in (out / "store" / "cells" / "roar").iterdir():
        path.unlink()
    half = Result.read(out)
    write_files(half)
    assert not half.complete
    assert "the run is not finished" in half.to_html().read_text()
    assert half.leaderboard()["roar_gain"].isna().all()
    # What KAR ends with are the models that ROAR ends with.
    assert half.leaderboard()["kar_gain"].isna().all()
    assert half.leaderboard()["retrain_once_gain"].notna().all()
    assert half.judging == "retrain-once"


@pytest.mark.slow
def test_explainers_that_rank_alike_share_their_trainings(tmp_path):
    # The square orders by the absolute value too.
    alike = {"explainers": "random,abs-grad,sq-grad", "protocols": "roar"}
    result = run({**TUMOURS, **alike}, tmp_path / "run")
    jobs = Plan(result.spec).prospective_jobs()
    kept = len(list((result.out / "store/cells/roar").iterdir()))
    assert sum(job.kind == "roar" for job in jobs) == 4
    assert kept == 3
    board = result.leaderboard().set_index("explainer")
    assert board.loc["abs-grad", "roar_gain"] == board.loc["sq-grad", "roar_gain"]
