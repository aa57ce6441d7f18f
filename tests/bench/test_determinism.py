"""The same spec gives the same bytes, whatever the folder and the number of workers."""

from __future__ import annotations

import os

import pandas as pd
import pytest

from tests.support.small_runs import DIGITS, TOY, TUMOURS, finished, run


def boards(*folders):
    return [
        pd.read_csv(folder / "leaderboard.csv").drop(columns="explain_seconds")
        for folder in folders
    ]


def assert_same(first, second):
    for name in ("results.parquet", "results.csv", "gains.csv", "spec.toml"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    pd.testing.assert_frame_equal(*boards(first, second), check_exact=True)


@pytest.mark.slow
def test_another_folder_changes_nothing(tmp_path):
    run(TOY, tmp_path / "elsewhere")
    assert_same(finished("toy"), tmp_path / "elsewhere")


@pytest.mark.slow
def test_another_folder_and_more_workers_change_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    run(DIGITS, tmp_path / "run")
    assert_same(finished("digits"), tmp_path / "run")


@pytest.mark.slow
def test_the_number_of_processes_changes_nothing_where_models_train_one_by_one(
    tmp_path, monkeypatch
):
    few = {"explainers": "random", "protocols": "roar,mask-only"}
    spec = {**TUMOURS, "training": "sequential", **few}
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    run(spec, tmp_path / "two")
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    run(spec, tmp_path / "one")
    assert_same(tmp_path / "one", tmp_path / "two")


@pytest.mark.slow
def test_another_seed_gives_other_numbers(tmp_path):
    again = run({**TUMOURS, "seed": 1}, tmp_path / "run").table
    first = pd.read_parquet(finished("tumours") / "results.parquet")
    assert len(first) == len(again)
    assert (first["value"] != again["value"]).mean() > 0.3


@pytest.mark.slow
def test_what_else_is_measured_changes_nothing(tmp_path):
    """Random is always there, and fractions of zero and one are shared points already."""
    asked = {"explainers": "grad", "repeats": 3, "fractions": [0.0, 0.5, 1.0]}
    result = run({**TUMOURS, **asked}, tmp_path / "run")
    assert result.spec.explainers == ("grad", "random")
    first = pd.read_parquet(finished("tumours") / "results.parquet")
    shared = first[first["explainer"].isin(["all", "random", "grad"])]
    keys = ["protocol", "explainer", "fraction", "repeat"]
    pd.testing.assert_frame_equal(
        result.table.query("repeat < 2").sort_values(keys, ignore_index=True),
        shared.sort_values(keys, ignore_index=True),
    )
    assert set(result.table["repeat"]) == {0, 1, 2}
