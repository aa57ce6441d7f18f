"""Work is a small value: opened once in a process, and the same outcomes come of it anywhere."""

from __future__ import annotations

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from tests.support.executors import in_processes, one_by_one
from tests.support.small_runs import TOY, TUMOURS, finished, silent
from uproar import Benchmark, Spec
from uproar.bench import work as module
from uproar.bench.benchmark import _Watched
from uproar.bench.work import Objects, Work
from uproar.data import load
from uproar.plan.job import Job
from uproar.results.result import Result
from uproar.run.cell import Cell, Outcome
from uproar.run.encoding import encode
from uproar.run.progress import Progress
from uproar.types import UproarError


def work_of(values: dict, out: Path, objects: Objects | None = None) -> Work:
    return Work(Spec.from_mapping(values).checked(), out, objects or Objects()).settled()


def table(path: Path, *, seed: int = 0) -> Path:
    rows = np.random.default_rng(seed).standard_normal((120, 3))
    labels = np.where(rows.sum(1) > 0, "yes", "no")
    lines = [f"{','.join(f'{v:.6f}' for v in r)},{y}" for r, y in zip(rows, labels, strict=True)]
    path.write_text("\n".join(["a,b,c,label", *lines]))
    return path


def two_layers() -> nn.Sequential:
    return nn.Sequential(nn.Linear(16, 4), nn.ReLU(), nn.Linear(4, 2))


def bytes_of(work: Work, job: Job) -> bytes:
    """Return what would be stored of a job, but for the time that it took."""
    return without_times(job.cell, work(job))


def without_times(cell: Cell, outcome: Outcome) -> bytes:
    """Return what is stored of an outcome, but for the time that it took."""
    return encode(cell, replace(outcome, seconds={}))


@pytest.mark.parametrize("name", ["demo", "table"])
def test_work_is_small(name, tmp_path):
    values = {"data": "digits"}
    if name == "table":
        values = {"data": str(table(tmp_path / "t.csv")), "source": {"target": "label"}}
    benchmark = Benchmark(Spec.from_mapping(values), tmp_path, log=silent, quiet=True)
    work = benchmark.prepare()
    assert len(pickle.dumps(work)) < 10_000
    assert len(pickle.dumps((work, work.opened().plan.explain_jobs()[0]))) < 10_000


@pytest.mark.slow
def test_objects_travel_as_they_are(tmp_path):
    data = load("hooker-toy", seed=0)
    mine = {"data": "python:mine", "model": "python:two_layers", "explainers": "random,grad"}
    values = {**TOY, **mine}
    work = work_of(values, tmp_path, Objects((data,), two_layers))
    size = len(pickle.dumps(work))
    assert size < len(pickle.dumps(data)) + 10_000
    there = pickle.loads(pickle.dumps(work))
    job = there.opened().plan.base_jobs[0]
    assert there.opened() is not work.opened()
    assert bytes_of(there, job) == bytes_of(work, job)


def test_copies_are_opened_once_and_by_one_thread(tmp_path, monkeypatch):
    opened, make, together = [], module._worker, threading.Barrier(4, timeout=300)

    def counted(*arguments, **options):
        opened.append(arguments)
        return make(*arguments, **options)

    work = work_of(TOY, tmp_path)
    sent = pickle.dumps(work)
    monkeypatch.setattr(module, "_worker", counted)

    def arrive(_):
        copy = pickle.loads(sent)
        together.wait()
        return copy.opened()

    with ThreadPoolExecutor(4) as pool:
        workers = list(pool.map(arrive, range(4)))
    assert len(opened) == 1
    assert all(worker is workers[0] for worker in workers)
    assert work.opened() is not workers[0]
    other = work_of(TOY, tmp_path / "other")
    assert pickle.loads(pickle.dumps(other)).opened().store.folder == tmp_path / "other" / "store"
    assert pickle.loads(sent).opened() is not workers[0], "a process keeps what arrived last"


def test_folders_are_of_the_moment_of_making(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    work = Work(Spec.from_mapping(TOY), Path("run"))
    monkeypatch.chdir("/")
    assert pickle.loads(pickle.dumps(work)).out == tmp_path / "run"


def test_data_that_changed_on_the_way_are_refused(tmp_path):
    path = table(tmp_path / "t.csv")
    work = work_of({"data": str(path), "source": {"target": "label"}}, tmp_path)
    digest = work.spec.data_digest
    assert pickle.loads(pickle.dumps(work)).opened().plan.spec == work.spec
    table(path, seed=1)
    with pytest.raises(UproarError) as raised:
        replace(work, _open={}).opened()
    assert str(raised.value).startswith(
        f"data {str(path)!r} is not what the run was planned with: expected the digest {digest}, "
    )
    assert "make it the same on all machines" in str(raised.value)


def test_the_display_stays_at_home(tmp_path):
    work = work_of(TOY, tmp_path)
    job = work.opened().plan.data_jobs[0]
    with Progress({job.slot: 1.0}, quiet=True) as progress:
        watched = _Watched(work, progress)
        there = pickle.loads(pickle.dumps(watched))
        assert isinstance(there, Work)
        assert bytes_of(watched, job) == bytes_of(there, job)


def run_with(executor, out: Path, *, quiet: bool = True) -> Benchmark:
    spec = Spec.from_mapping(TUMOURS)
    benchmark = Benchmark(spec, out, log=silent, quiet=quiet, executor=executor)
    assert benchmark.run().complete
    return benchmark


def assert_same_results(out: Path) -> None:
    for name in ("results.parquet", "results.csv", "gains.csv", "spec.toml"):
        assert (out / name).read_bytes() == (finished("tumours") / name).read_bytes(), name


def outcomes_of(out: Path) -> dict[str, bytes]:
    """Return what is stored of every job, but for the time that it took."""
    result = Result.read(out)
    cells = {job.cell for job in result.jobs}
    return {cell.label: without_times(cell, result.store.read(cell)) for cell in cells}


@pytest.mark.slow
def test_any_executor_measures_the_same(tmp_path, capsys):
    run_with(one_by_one, tmp_path / "run", quiet=False)
    assert_same_results(tmp_path / "run")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("cells (0%), 0 s so far")
    assert "(100%)" in lines[-1]


@pytest.mark.slow
def test_fresh_processes_make_the_same_bytes(tmp_path):
    run_with(in_processes, tmp_path / "run")
    assert_same_results(tmp_path / "run")
    assert outcomes_of(tmp_path / "run") == outcomes_of(finished("tumours"))


@pytest.mark.slow
def test_time_left_is_estimated_where_work_is_done_elsewhere(tmp_path, monkeypatch):
    begun = []
    monkeypatch.setattr(Progress, "begin", lambda _, cell: begun.append(cell.label))

    def elsewhere(jobs, work, *, store, workers):
        yield from one_by_one(jobs, pickle.loads(pickle.dumps(work)), store=store, workers=workers)

    run_with(elsewhere, tmp_path / "run")
    # Rankings and conclusions are stored beside what is asked of an executor.
    cells = (tmp_path / "run/store/cells").rglob("*.safetensors")
    kinds = [path.parent.name for path in cells]
    assert len(begun) == len([kind for kind in kinds if kind not in {"ranking", "conclusions"}])
