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
@pytest.mark.parametrize(("name", "spec"), [("digits", DIGITS), ("tumours", TUMOURS), ("toy", TOY)])
def test_two_folders_get_identical_tables(name, spec, tmp_path):
    run(spec, tmp_path / "elsewhere")
    assert_same(finished(name), tmp_path / "elsewhere")


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 3])
def test_the_number_of_workers_changes_nothing(workers, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: workers)
    run(DIGITS, tmp_path / "run")
    assert_same(finished("digits"), tmp_path / "run")


@pytest.mark.slow
def test_the_number_of_processes_changes_nothing_where_models_train_one_by_one(
    tmp_path, monkeypatch
):
    spec = {**TUMOURS, "training": "sequential", "protocols": "roar,mask-only"}
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    run(spec, tmp_path / "two")
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    run(spec, tmp_path / "one")
    assert_same(tmp_path / "one", tmp_path / "two")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "spec"), [("tumours", TUMOURS), ("toy", TOY)])
def test_another_seed_gives_other_numbers(name, spec, tmp_path):
    again = run({**spec, "seed": 1}, tmp_path / "run").table
    first = pd.read_parquet(finished(name) / "results.parquet")
    assert len(first) == len(again)
    assert (first["value"] != again["value"]).mean() > 0.3


@pytest.mark.slow
def test_the_numbers_of_an_explainer_do_not_depend_on_its_company(tmp_path):
    alone = run({**TUMOURS, "explainers": "grad"}, tmp_path / "run").table
    company = pd.read_parquet(finished("tumours") / "results.parquet")
    shared = company[company["explainer"].isin(["all", "random", "grad"])]
    keys = ["protocol", "explainer", "fraction", "repeat"]
    pd.testing.assert_frame_equal(
        alone.sort_values(keys, ignore_index=True), shared.sort_values(keys, ignore_index=True)
    )


@pytest.mark.slow
def test_more_repeats_keep_the_first_ones(tmp_path):
    more = run({**TUMOURS, "repeats": 3}, tmp_path / "run").table
    few = pd.read_parquet(finished("tumours") / "results.parquet")
    kept = more[more["repeat"] < 2].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, few)
