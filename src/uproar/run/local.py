"""The executor of one process: threads that share jobs, and leave them when the run ends."""

from __future__ import annotations

import ctypes
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic

from uproar.run.cell import Outcome
from uproar.run.executor import Job, Result, settle
from uproar.run.store import Store

# How long an interrupted run waits for the jobs that it is computing, and then for the threads
# that it has told to leave them.
GRACE_SECONDS = 1.0
LEAVE_SECONDS = 0.5


class _Leave(BaseException):
    """Raised inside a worker, between any two steps of its work, to make it leave the job."""


def local(
    jobs: Iterable[Job],
    work: Callable[[Job], Outcome],
    *,
    store: Store,
    workers: int,
    stop: threading.Event | None = None,
) -> Iterator[tuple[Job, Result]]:
    """Compute jobs in threads of this process and yield each with its result, as they finish.

    A job whose outcome is in the store is not computed. A new outcome is stored before it is
    yielded. What ``work`` raises becomes a stored :class:`Failure`, :class:`Skipped` a stored
    :class:`Skip`, and the other jobs go on; a job that failed or was skipped in an earlier run
    is tried again. Threads serve because the heavy work releases the interpreter's lock, and
    because what they call need not be pickled.

    :param jobs: ready jobs; at most twice as many as there are workers are taken ahead.
    :param work: computes one job; must not depend on which thread calls it, or in what order.
    :param store: where outcomes are looked for and put.
    :param workers: number of threads, at least 1. Results do not depend on it, their order does.
    :param stop: once set, no new job is started; those in work are finished and yielded.
    :returns: an iterator of (job, result). Closing it stops the workers.
    :raises ValueError: when ``workers`` is less than 1.
    :raises StoreError: when the store cannot be read or written, from whichever thread. It ends
        the run, and so does an interrupt, or anything else that is not an ``Exception``: no new
        job is started, those in work get ``GRACE_SECONDS`` to finish and be stored, and are then
        abandoned without a trace.

    >>> import tempfile
    >>> from uproar.testing.executors import Square
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = local(map(Square, range(3)), lambda job: Outcome({"square": job.number ** 2}),
    ...                 store=Store(folder), workers=2)
    ...     sorted(outcome.values["square"] for _, outcome in run)
    [0, 1, 4]
    """
    if workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}")
    return _run(jobs, _Team(work, store, stop or threading.Event()), workers)


@dataclass(frozen=True)
class _Team(Generic[Job]):
    """What the workers share. Setting ``stop`` or ``ending`` keeps them from starting a job."""

    work: Callable[[Job], Outcome]
    store: Store
    stop: threading.Event
    ending: threading.Event = field(default_factory=threading.Event)
    abandoned: threading.Event = field(default_factory=threading.Event)
    tasks: queue.SimpleQueue[Job | None] = field(default_factory=queue.SimpleQueue)
    # None stands for a job that was not started; an exception ends the run.
    results: queue.SimpleQueue[tuple[Job, Result | BaseException | None]] = field(
        default_factory=queue.SimpleQueue
    )

    def serve(self) -> None:
        """Compute jobs until there are no more: what each thread does."""
        try:
            while (job := self.tasks.get()) is not None:
                self.results.put((job, self._started(job)))
        except _Leave:
            return

    def _started(self, job: Job) -> Result | BaseException | None:
        """Settle a job, unless the run ends; what ends the run is handed to the consumer."""
        if self.stop.is_set() or self.ending.is_set():
            return None
        try:
            return settle(job, self.work, self.store, abandoned=self.abandoned)
        except _Leave:
            raise
        except BaseException as error:
            self.ending.set()
            return error

    def next_result(self) -> tuple[Job, Result | BaseException | None]:
        """Wait for what a worker made of a job."""
        while True:
            try:
                # On Windows Ctrl-C does not end a wait, it is only seen between two of them.
                return self.results.get(timeout=0.5)
            except queue.Empty:
                continue


def _run(jobs: Iterable[Job], team: _Team[Job], workers: int) -> Iterator[tuple[Job, Result]]:
    """Start the workers, feed them, and see them off."""
    # Daemons, because a thread in the middle of a long computation must not keep the process of
    # somebody who pressed Ctrl-C alive; files are whole or absent whenever it dies.
    threads = [threading.Thread(target=team.serve, daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    try:
        yield from _feed(iter(jobs), team, 2 * workers)
    finally:
        team.ending.set()
        for _ in threads:
            team.tasks.put(None)
        try:
            _join(threads, GRACE_SECONDS)
        finally:
            team.abandoned.set()
            _dismiss(threads)


def _join(threads: list[threading.Thread], seconds: float) -> None:
    """Wait until all threads have ended, but not longer than this."""
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))


def _dismiss(threads: list[threading.Thread]) -> None:
    """Make the threads that still compute leave their jobs.

    They would otherwise go on in the background of a notebook; and a thread that runs torch while
    the interpreter shuts down aborts the process. What is in the middle of one long call outside
    the interpreter leaves when that returns.
    """
    busy = [thread for thread in threads if thread.is_alive()]
    for thread in busy:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_Leave)
        )
    _join(busy, LEAVE_SECONDS)


def _feed(jobs: Iterator[Job], team: _Team[Job], ahead: int) -> Iterator[tuple[Job, Result]]:
    """Keep up to ``ahead`` jobs with the workers, and yield what they make of them."""
    pending = 0
    while True:
        while pending < ahead and not team.stop.is_set():
            job = next(jobs, None)
            if job is None:
                break
            team.tasks.put(job)
            pending += 1
        if pending == 0:
            return
        job, result = team.next_result()
        pending -= 1
        if isinstance(result, BaseException):
            raise result
        if result is not None:
            yield job, result
