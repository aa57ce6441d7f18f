"""Jobs go in, outcomes come out, whatever happens in between."""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from uproar.run import local as executor
from uproar.run.cell import Failure, Outcome, Skip
from uproar.run.files import StoreError, sweep
from uproar.run.local import local
from uproar.run.store import Store
from uproar.testing.executors import Square
from uproar.types import Skipped, UproarError


def jobs_of(number: int) -> list[Square]:
    return [Square(index) for index in range(number)]


def square(job: Square) -> Outcome:
    return Outcome({"square": job.number**2})


def squares(run) -> dict[int, int]:
    return {job.number: outcome.values["square"] for job, outcome in run}


def wait_for(condition) -> None:
    deadline = time.monotonic() + 300  # of a run that hangs
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_results_and_bytes_do_not_depend_on_workers(tmp_path, workers):
    store = Store(tmp_path / "store")
    assert squares(local(jobs_of(20), square, store=store, workers=workers)) == {
        number: number**2 for number in range(20)
    }
    reference = Store(tmp_path / "reference")
    for job in jobs_of(20):
        reference.write(job.cell, square(job))
    assert contents(store) == contents(reference)


def contents(store: Store) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in store.folder.rglob("*") if path.is_file()}


def test_order_of_cells_does_not_matter(tmp_path):
    stores = Store(tmp_path / "forth"), Store(tmp_path / "back")
    list(local(jobs_of(9), square, store=stores[0], workers=2))
    list(local(reversed(jobs_of(9)), square, store=stores[1], workers=3))
    assert contents(stores[0]) == contents(stores[1])


def test_nothing_to_do_ends_at_once(tmp_path):
    assert list(local([], square, store=Store(tmp_path), workers=3)) == []


@pytest.mark.parametrize("workers", [0, -1])
def test_workers_are_checked_before_anything_runs(tmp_path, workers):
    with pytest.raises(ValueError, match=f"workers must be at least 1, got {workers}"):
        local([], square, store=Store(tmp_path), workers=workers)


def test_what_is_in_the_store_is_not_computed(tmp_path):
    store, computed = Store(tmp_path), []

    def work(job: Square) -> Outcome:
        computed.append(job.number)
        return square(job)

    store.write(jobs_of(3)[1].cell, Outcome({"square": 1}))
    assert squares(local(jobs_of(3), work, store=store, workers=1)) == {0: 0, 1: 1, 2: 4}
    assert computed == [0, 2]


def test_outcomes_of_another_process_are_picked_up_in_the_middle(tmp_path):
    store = Store(tmp_path)

    def work(job: Square) -> Outcome:
        assert job.number == 0
        for other in jobs_of(3)[1:]:
            Store(tmp_path).write(other.cell, square(other))
        return square(job)

    assert squares(local(jobs_of(3), work, store=store, workers=1)) == {0: 0, 1: 1, 2: 4}


def test_damaged_outcomes_are_computed_again(tmp_path):
    store = Store(tmp_path)
    list(local(jobs_of(2), square, store=store, workers=1))
    path = next((tmp_path / "cells" / "square").iterdir())
    path.write_bytes(path.read_bytes()[:-1])
    assert squares(local(jobs_of(2), square, store=store, workers=1)) == {0: 0, 1: 1}
    assert path.exists()
    assert len(store.damaged) == 1


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("no\nclasses \t here"), "ValueError: no classes here"),
        (MemoryError("too large"), "MemoryError: too large"),
        (UproarError("an option is wrong"), "UproarError: an option is wrong"),
        (StopIteration(), "StopIteration: "),
        (UnprintableError(), "UnprintableError: <exception str() failed>"),
    ],
)
def test_failures_are_recorded_and_the_others_go_on(tmp_path, error, line):
    store = Store(tmp_path)

    def work(job: Square) -> Outcome:
        if job.number == 1:
            raise error
        return square(job)

    results = dict(local(jobs_of(4), work, store=store, workers=2))
    failure = results.pop(jobs_of(2)[1])
    assert isinstance(failure, Failure)
    assert failure.error == line
    assert failure.traceback.startswith("Traceback (most recent call last):")
    assert "in work" in failure.traceback
    assert store.failures() == [(jobs_of(2)[1].cell, failure)]
    assert squares(results.items()) == {0: 0, 2: 4, 3: 9}
    # The next run tries it again, and only it.
    computed = []

    def logged(job: Square) -> Outcome:
        computed.append(job)
        return square(job)

    again = local(jobs_of(4), logged, store=store, workers=1)
    assert squares(again) == {0: 0, 1: 1, 2: 4, 3: 9}
    assert computed == [jobs_of(2)[1]]
    assert store.failures() == []


def test_invalid_values_are_failures_of_the_cell(tmp_path):
    def work(job: Square) -> Outcome:
        return Outcome({"accuracy": float("nan")})

    ((_, failure),) = local(jobs_of(1), work, store=Store(tmp_path), workers=1)
    assert failure.error.startswith("ValueError: values['accuracy'] must be finite")


def test_skips_are_recorded_with_their_reason(tmp_path):
    def work(job: Square) -> Outcome:
        raise Skipped(f"{job.cell.label} needs ReLU")

    store = Store(tmp_path)
    results = dict(local(jobs_of(2), work, store=store, workers=2))
    assert set(results.values()) == {Skip("square of 0 needs ReLU"), Skip("square of 1 needs ReLU")}
    assert dict(store.skips()) == {job.cell: skip for job, skip in results.items()}
    assert store.failures() == []


@pytest.mark.parametrize("error", [StoreError("full"), KeyboardInterrupt(), SystemExit(3)])
def test_what_stops_the_run(tmp_path, error):
    started, store = [], Store(tmp_path)

    def work(job: Square) -> Outcome:
        started.append(job)
        if job.number == 2:
            raise error
        return square(job)

    with pytest.raises(type(error)) as caught:
        list(local(jobs_of(50), work, store=store, workers=1))
    assert caught.value is error
    assert started == jobs_of(3)
    assert [store.has(job.cell) for job in jobs_of(4)] == [True, True, False, False]
    assert store.failures() == []


def test_a_store_that_cannot_be_written_stops_the_run(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot use the folder"):
        list(local(jobs_of(50), square, store=Store(tmp_path / "file"), workers=2))


def test_cells_in_work_get_the_chance_to_finish(tmp_path, monkeypatch):
    """One worker raises, the other is in the middle of a cell and is waited for."""
    monkeypatch.setattr(executor, "GRACE_SECONDS", 300)
    store, both = Store(tmp_path), threading.Barrier(2, timeout=300)

    def work(job: Square) -> Outcome:
        both.wait()
        if job.number == 0:
            raise StoreError("full")
        time.sleep(0.1)
        return square(job)

    with pytest.raises(StoreError):
        list(local(jobs_of(2), work, store=store, workers=2))
    assert store.has(jobs_of(2)[1].cell)


def test_cells_that_do_not_leave_are_abandoned_without_a_trace(tmp_path, monkeypatch):
    monkeypatch.setattr(executor, "GRACE_SECONDS", 0.05)
    monkeypatch.setattr(executor, "LEAVE_SECONDS", 0.05)
    store, both, release = Store(tmp_path), threading.Barrier(2, timeout=300), threading.Event()

    def work(job: Square) -> Outcome:
        both.wait()
        if job.number == 0:
            raise KeyboardInterrupt
        while not release.is_set():
            # What a careless model factory may do.
            with contextlib.suppress(BaseException):
                time.sleep(0.001)
        return square(job)

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        list(local(jobs_of(2), work, store=store, workers=2))
    wait_for(lambda: threading.active_count() == before + 1)  # the one that nothing has released
    release.set()
    wait_for(lambda: threading.active_count() == before)
    assert contents(store) == {}


@pytest.mark.slow
def test_threads_that_are_told_to_leave_do(tmp_path, monkeypatch, capfd):
    """A training loop returns to the interpreter at every step, and is left there."""
    monkeypatch.setattr(executor, "GRACE_SECONDS", 0.05)
    monkeypatch.setattr(executor, "LEAVE_SECONDS", 300)
    before, left = threading.active_count(), []
    both = threading.Barrier(2, timeout=300, action=lambda: signal.raise_signal(signal.SIGINT))

    def work(job: Square) -> Outcome:
        try:
            both.wait()
            while True:
                time.sleep(0.001)
        except Exception:
            raise AssertionError("the user's own handling of errors must not see it") from None
        finally:
            left.append(job)

    with pytest.raises(KeyboardInterrupt):
        list(local(jobs_of(9), work, store=Store(tmp_path), workers=2))
    assert threading.active_count() == before
    assert set(left) == set(jobs_of(2))
    assert contents(Store(tmp_path)) == {}
    assert capfd.readouterr() == ("", "")


def test_cells_are_taken_lazily(tmp_path):
    taken = itertools.count()

    def endless():
        for number in taken:
            yield Square(number)

    run = local(endless(), square, store=Store(tmp_path), workers=2)
    finished = [next(run) for _ in range(10)]
    assert len(finished) == 10
    assert next(taken) <= 10 + 2 * 2
    run.close()


def test_closing_the_iterator_stops_the_workers(tmp_path, monkeypatch):
    monkeypatch.setattr(executor, "GRACE_SECONDS", 300)
    started, before = [], threading.active_count()

    def work(job: Square) -> Outcome:
        started.append(job)
        return square(job)

    run = local(jobs_of(100), work, store=Store(tmp_path), workers=2)
    next(run)
    run.close()
    assert threading.active_count() == before
    assert len(started) <= 1 + 2 * 2
    assert all(Store(tmp_path).has(job.cell) for job in started)


@pytest.mark.slow
def test_an_error_of_the_consumer_stops_the_workers(tmp_path):
    before = threading.active_count()

    def consume() -> None:
        for _ in local(jobs_of(100), square, store=Store(tmp_path), workers=2):
            raise LookupError("of the consumer")

    with pytest.raises(LookupError):
        consume()
    gc.collect()
    wait_for(lambda: threading.active_count() == before)


def test_an_error_of_the_cells_stops_the_workers(tmp_path, monkeypatch):
    monkeypatch.setattr(executor, "GRACE_SECONDS", 300)

    def cells():
        yield from jobs_of(1)
        raise LookupError("of the grid")

    before = threading.active_count()
    with pytest.raises(LookupError):
        list(local(cells(), square, store=Store(tmp_path), workers=2))
    assert threading.active_count() == before


def test_stop_finishes_what_is_in_work_and_starts_nothing(tmp_path):
    stop, store = threading.Event(), Store(tmp_path)

    def work(job: Square) -> Outcome:
        if job.number == 3:
            stop.set()
        return square(job)

    run = local(jobs_of(50), work, store=store, workers=1, stop=stop)
    assert squares(run) == {0: 0, 1: 1, 2: 4, 3: 9}
    assert squares(local(jobs_of(50), work, store=store, workers=1, stop=stop)) == {}
    assert len(squares(local(jobs_of(50), work, store=store, workers=1))) == 50


INTERRUPTED = """
import hashlib, sys
from uproar.run import local as executor
from uproar.run.cell import Outcome
from uproar.run.store import Store
from uproar.testing.executors import Square

executor.GRACE_SECONDS = executor.LEAVE_SECONDS = 0.1  # that keep two processors busy

def work(job):
    if job.number >= 4:
        sys.stdout.write("computing\\n")
        sys.stdout.flush()
        # Minutes in C, without the interpreter's lock: nothing can interrupt it.
        hashlib.pbkdf2_hmac("sha256", b"", b"", 2 * 10**9)
    return Outcome({"square": job.number ** 2})

jobs, store = map(Square, range(10)), Store(sys.argv[1])
for job, outcome in executor.local(jobs, work, store=store, workers=2):
    pass
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_returns_at_once_and_leaves_a_usable_store(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert [process.stdout.readline() for _ in range(2)] == ["computing\n"] * 2
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)  # where the cells would take much longer
    assert process.returncode == -signal.SIGINT
    assert stderr.endswith("KeyboardInterrupt\n")
    store = Store(tmp_path)
    assert [store.has(job.cell) for job in jobs_of(10)] == [True] * 4 + [False] * 6
    assert squares(local(jobs_of(10), square, store=store, workers=2)) == {
        number: number**2 for number in range(10)
    }
    assert store.damaged == []
    assert sweep(store.folder) == 0
