"""The rows of the benchmark of explainers can be measured; how fast it is, no test can say."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from uproar.explain import EXPLAINERS

FOLDER = str(Path(__file__).parents[1] / "benchmarks")


@pytest.mark.slow
def test_rows_of_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    import bench_explain

    monkeypatch.setattr(bench_explain, "LEAST_SECONDS", 0)
    problem = bench_explain.PROBLEMS["table"]()
    for explainer in ("input-x-grad", "pfi", "guided-ig"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            (row,) = bench_explain.rows_of(problem, explainer, repeats=1)
        assert row["uproar, s"] > 0
        assert row["times the bare passes"] > 0
        assert (row["times faster"] == bench_explain.MISSING) == (explainer == "guided-ig")


def test_every_explainer_with_a_peer_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    import bench_explain

    assert {*bench_explain.PEERS} <= {*bench_explain.FAMILIES, *(e.name for e in EXPLAINERS)}
