"""Runs that are killed, interrupted, damaged, out of room, or two at once end with the same table.

The programs import everything once and fork for every run: starting Python anew would take longer
than all the rest.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.small_runs import (
    TUMOURS,
    benchmark,
    command,
    content,
    copied,
    finished,
    run,
    spec_file,
    stamps,
)
from uproar.results.result import Result
from uproar.run import files
from uproar.run.files import StoreError

FORKS = """
import os, signal, sys
from pathlib import Path
import pandas, pyarrow.parquet, sklearn.datasets, sklearn.model_selection, torch
torch.set_num_threads(1)
import uproar.bench.worker, uproar.models.training.ways, uproar.report.page
from uproar import Benchmark, Spec

folder, spec = Path(sys.argv[1]), Spec.from_toml(Path(sys.argv[2]))

def start(out, flushes=0):
    child = os.fork()
    if not child:
        code = 1
        try:
            if flushes:
                kill_at(flushes)
            Benchmark(spec, out, log=lambda line: None, quiet=True).run()
            code = 0
        finally:
            os._exit(code)
    return child

def kill_at(flushes):
    flush, left = os.fsync, iter(range(flushes - 1))
    def last(descriptor):
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        flush(descriptor)
    os.fsync = last

def ended(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""

# Every file is flushed before it gets its name, and its folder afterwards: some runs are killed
# where a file is not yet there, others where nothing else is left of its cell, the last at tables.
KILLS = """
for flushes in range(2, 12):
    assert ended(start(folder / "killed", flushes)) == -signal.SIGKILL
assert list((folder / "killed").rglob("*.tmp"))
assert ended(start(folder / "killed")) == 0
"""

TWO = """
children = [start(folder / "shared") for _ in range(2)]
assert [ended(child) for child in children] == [0, 0]
"""

needs_posix = pytest.mark.skipif(os.name != "posix", reason="forks and signals")


@pytest.fixture(scope="module")
def disturbed(tmp_path_factory) -> Path:
    """Return the folder of a run that was killed ten times, and of one that two shared."""
    folder = tmp_path_factory.mktemp("disturbed")
    program = FORKS + KILLS + TWO
    ended = subprocess.run(
        [sys.executable, "-c", program, str(folder), str(spec_file(TUMOURS, folder))],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return folder


def assert_same_tables(first: Path, second: Path) -> None:
    for name in ("results.parquet", "results.csv", "gains.csv", "spec.toml"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


@pytest.mark.slow
@needs_posix
def test_a_run_that_was_killed_ten_times_ends_like_one_that_was_not(disturbed):
    assert_same_tables(finished("tumours"), disturbed / "killed")
    assert set(content(finished("tumours"))) == set(content(disturbed / "killed"))
    assert Result.read(disturbed / "killed").store.damaged == []


@pytest.mark.slow
@needs_posix
def test_two_processes_at_one_store_end_with_the_same_table(disturbed):
    assert_same_tables(finished("tumours"), disturbed / "shared")
    assert Result.read(disturbed / "shared").store.damaged == []


def test_a_run_goes_on_where_it_was(tmp_path):
    out = copied("tumours", tmp_path)
    before = stamps(out / "store")
    lost = sorted((out / "store/cells/roar").iterdir())[:2]
    for path in lost:
        path.unlink()
    (out / "report.html").unlink()
    run(TUMOURS, out)
    after = stamps(out / "store")
    rewritten = {name for name in after if after[name] != before[name]}
    assert rewritten == {str(path.relative_to(out / "store")) for path in lost}
    assert_same_tables(finished("tumours"), out)


def test_what_was_killed_while_writing_its_tables_writes_them_again(tmp_path):
    out = copied("tumours", tmp_path)
    for name in ("report.html", "leaderboard.csv"):
        (out / name).unlink()
    (out / "results.parquet").write_bytes(b"of another run")
    run(TUMOURS, out)
    assert set(content(finished("tumours"))) == set(content(out))
    assert_same_tables(finished("tumours"), out)


@pytest.mark.slow
def test_another_spec_in_the_same_folder_is_not_taken_for_finished(tmp_path):
    out = copied("tumours", tmp_path)
    assert len(run({**TUMOURS, "repeats": 1}, out).table) < len(
        Result.read(finished("tumours")).table
    )
    run(TUMOURS, out)
    assert_same_tables(finished("tumours"), out)


def truncated(raw: bytes) -> bytes:
    return raw[: len(raw) // 2]


def flipped(raw: bytes) -> bytes:
    return raw[:-9] + bytes([raw[-9] ^ 4]) + raw[-8:]


def emptied(raw: bytes) -> bytes:
    return b""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        ("base-model", truncated),
        ("explain", flipped),
        ("roar", emptied),
        ("roar", flipped),
        ("data", truncated),
        ("retrain-once-model", flipped),
    ],
)
def test_damage_is_noticed_recomputed_and_reported(kind, damage, tmp_path, capsys, monkeypatch):
    out = copied("tumours", tmp_path)
    path = sorted((out / "store/cells" / kind).iterdir())[0]
    path.write_bytes(damage(path.read_bytes()))
    result = run(TUMOURS, out)
    assert_same_tables(finished("tumours"), out)
    (line,) = result.store.damaged
    assert line.startswith(f"damaged outcome of {kind}")
    assert path.stem in line
    assert path.is_file()
    assert path.with_suffix(".damaged").is_file()
    assert f"damaged outcome of {kind}" in (out / "report.html").read_text()
    assert f"damaged outcome of {kind}" in command(capsys, monkeypatch, ("status", out)).output


def test_damage_is_reported_without_a_run(tmp_path, capsys, monkeypatch):
    out = copied("tumours", tmp_path)
    path = sorted((out / "store/cells/kar").iterdir())[0]
    path.write_bytes(flipped(path.read_bytes()))
    assert command(capsys, monkeypatch, ("report", out)).code == 0
    page = (out / "report.html").read_text()
    assert "damaged outcome of kar" in page
    assert "the run is not finished" in page


@pytest.mark.slow
def test_a_full_disk_ends_in_one_line_and_keeps_what_is_finished(tmp_path, capsys, monkeypatch):
    given, out = spec_file(TUMOURS, tmp_path), tmp_path / "out"
    left, flush = [12], os.fsync

    def full(descriptor):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        flush(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        ended = command(capsys, monkeypatch, ("run", "-c", given, "--out", out, "-q"))
    assert ended.code == 1
    assert ended.errors.startswith("uproar: no space left on ")
    assert "finished cells are kept; free some space and run the same command again" in ended.errors
    assert ended.errors.count("\n") == 1
    kept = stamps(out / "store/cells")
    assert kept
    assert not list(out.rglob("*.tmp"))
    assert command(capsys, monkeypatch, ("run", "-c", given, "--out", out, "-q")).code == 0
    again = stamps(out / "store/cells")
    assert all(again[name] == when for name, when in kept.items())
    assert_same_tables(finished("tumours"), out)


@pytest.mark.parametrize("name", ["results.parquet", "results.csv", "report.html"])
def test_a_disk_that_fills_up_at_the_end_is_one_line_too(name, tmp_path, capsys, monkeypatch):
    out = copied("tumours", tmp_path)
    (out / name).unlink()
    replace = os.replace

    def full(source, target):
        if Path(target).name == name:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        ended = command(capsys, monkeypatch, ("report", out))
    assert (ended.code, ended.errors.count("\n")) == (1, 1)
    assert ended.errors.startswith("uproar: no space left on ")
    assert not [
        path
        for path in out.iterdir()
        if path.name not in content(finished("tumours")) and path.name != "store"
    ]
    assert command(capsys, monkeypatch, ("report", out)).code == 0
    assert_same_tables(finished("tumours"), out)


@pytest.mark.slow
@needs_posix
def test_files_that_may_not_grow_end_in_one_line(tmp_path, capsys, monkeypatch):
    import resource

    given, out = spec_file(TUMOURS, tmp_path), tmp_path / "out"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Python ignores the signal that would end the process.
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        ended = command(capsys, monkeypatch, ("run", "-c", given, "-q", "--out", out))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (ended.code, ended.errors.count("\n")) == (1, 1)
    assert "cannot use the folder" in ended.errors
    assert "file too large" in ended.errors
    run(TUMOURS, out)
    assert_same_tables(finished("tumours"), out)


@pytest.mark.parametrize("where", ["out", "out/deeper", "out/store"])
def test_a_file_where_the_folder_should_be(where, tmp_path, capsys, monkeypatch):
    file = tmp_path / "out" / "store" if where == "out/store" else tmp_path / "out"
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine")
    out = tmp_path / "out" if where == "out/store" else tmp_path / where
    given = spec_file(TUMOURS, tmp_path)
    ended = command(capsys, monkeypatch, ("run", "-c", given, "--out", out, "-q"))
    assert (ended.code, ended.errors.count("\n")) == (1, 1)
    assert ended.errors.startswith("uproar: cannot use the folder")
    assert "choose another one" in ended.errors
    assert file.read_text() == "mine"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(tmp_path, capsys, monkeypatch):
    (tmp_path / "out").mkdir(mode=0o500)
    given = spec_file(TUMOURS, tmp_path)
    ended = command(capsys, monkeypatch, ("run", "-c", given, "--out", tmp_path / "out", "-q"))
    assert (ended.code, ended.errors.count("\n")) == (1, 1)
    assert "make the folder readable and writable or choose another one" in ended.errors


def test_in_python_a_full_disk_is_a_store_error(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(StoreError, match="no space left on"):
        benchmark(TUMOURS, tmp_path / "out").run()


@pytest.mark.slow
def test_an_interrupt_in_python_reaches_the_caller_and_keeps_what_is_finished(
    tmp_path, monkeypatch
):
    from uproar.bench.worker import Worker

    work, seen = Worker.__call__, []

    def interrupted(self, job):
        seen.append(job)
        if job.kind == "kar":
            raise KeyboardInterrupt
        return work(self, job)

    with monkeypatch.context() as patch:
        patch.setattr(Worker, "__call__", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(TUMOURS, tmp_path / "out")
    kept = stamps(tmp_path / "out/store/cells")
    assert kept
    run(TUMOURS, tmp_path / "out")
    again = stamps(tmp_path / "out/store/cells")
    assert all(again[name] == when for name, when in kept.items())
    assert_same_tables(finished("tumours"), tmp_path / "out")


def test_a_folder_can_be_moved(tmp_path):
    out = copied("tumours", tmp_path)
    shutil.move(out, tmp_path / "moved")
    before = stamps(tmp_path / "moved")
    result = run(TUMOURS, tmp_path / "moved")
    assert result.complete
    assert stamps(tmp_path / "moved") == before
