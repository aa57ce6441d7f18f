"""Ready cells in, outcomes out: the only place that knows how work is spread over workers."""

from __future__ import annotations

import ctypes
import queue
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from uproar.run.cell import Cell, Failure, Outcome, Skip
from uproar.run.files import StoreError
from uproar.run.store import Store
from uproar.types import Skipped

Result: TypeAlias = Outcome | Failure | Skip

# How long an interrupted run waits for the cells that it is computing, and then for the threads
# that it has told to leave them.
GRACE_SECONDS = 1.0
LEAVE_SECONDS = 0.5


class _Leave(BaseException):
    """Raised inside a worker, between any two steps of its work, to make it leave the cell."""


def local(
    cells: Iterable[Cell],
    work: Callable[[Cell], Outcome],
    *,
    store: Store,
    workers: int,
    stop: threading.Event | None = None,
) -> Iterator[tuple[Cell, Result]]:
    """Compute cells in threads of this process and yield each with its result, as they finish.

    A cell whose outcome is in the store is not computed. A new outcome is stored before it is
    yielded. What ``work`` raises becomes a stored :class:`Failure`, :class:`Skipped` a stored
    :class:`Skip`, and the other cells go on; a cell that failed or was skipped in an earlier run
    is tried again. Threads serve because the heavy work releases the interpreter's lock, and
    because what they call need not be pickled.

    :param cells: ready cells; at most twice as many as there are workers are taken ahead.
    :param work: computes one cell; must not depend on which thread calls it, or in what order.
    :param store: where outcomes are looked for and put.
    :param workers: number of threads, at least 1. Results do not depend on it, their order does.
    :param stop: once set, no new cell is started; those in work are finished and yielded.
    :returns: an iterator of (cell, result). Closing it stops the workers.
    :raises ValueError: when ``workers`` is less than 1.
    :raises StoreError: when the store cannot be read or written, from whichever thread. It ends
        the run, and so does an interrupt, or anything else that is not an ``Exception``: no new
        cell is started, those in work get ``GRACE_SECONDS`` to finish and be stored, and are then
        abandoned without a trace.

    >>> import tempfile
    >>> cells = [Cell("square", {"number": number}) for number in range(3)]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = local(cells, lambda cell: Outcome({"square": cell.fields["number"] ** 2}),
    ...                 store=Store(folder), workers=2)
    ...     sorted(outcome.values["square"] for _, outcome in run)
    [0, 1, 4]
    """
    if workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}")
    return _run(cells, _Team(work, store, stop or threading.Event()), workers)


@dataclass(frozen=True)
class _Team:
    """What the workers share. Setting ``stop`` or ``ending`` keeps them from starting a cell."""

    work: Callable[[Cell], Outcome]
    store: Store
    stop: threading.Event
    ending: threading.Event = field(default_factory=threading.Event)
    abandoned: threading.Event = field(default_factory=threading.Event)
    tasks: queue.SimpleQueue[Cell | None] = field(default_factory=queue.SimpleQueue)
    # None stands for a cell that was not started; an exception ends the run.
    results: queue.SimpleQueue[tuple[Cell, Result | BaseException | None]] = field(
        default_factory=queue.SimpleQueue
    )

    def serve(self) -> None:
        """Compute cells until there are no more: what each thread does."""
        try:
            while (cell := self.tasks.get()) is not None:
                self.results.put((cell, self._started(cell)))
        except _Leave:
            return

    def _started(self, cell: Cell) -> Result | BaseException | None:
        """Settle a cell, unless the run ends; what ends the run is handed to the consumer."""
        if self.stop.is_set() or self.ending.is_set():
            return None
        try:
            return self._settle(cell)
        except _Leave:
            raise
        except BaseException as error:
            self.ending.set()
            return error

    def next_result(self) -> tuple[Cell, Result | BaseException | None]:
        """Wait for what a worker made of a cell."""
        while True:
            try:
                # On Windows Ctrl-C does not end a wait, it is only seen between two of them.
                return self.results.get(timeout=0.5)
            except queue.Empty:
                continue

    def _settle(self, cell: Cell) -> Result:
        """Look the cell up or compute it, and store what came of it."""
        known = self.store.read(cell)
        if known is not None:
            return known
        result = _attempt(self.work, cell)
        if self.abandoned.is_set():
            # Nobody waits for it any more, and the folder may be gone or belong to another run.
            return result
        if isinstance(result, Outcome):
            self.store.write(cell, result)
        elif isinstance(result, Failure):
            self.store.write_failure(cell, result)
        else:
            self.store.write_skip(cell, result)
        return result


def _attempt(work: Callable[[Cell], Outcome], cell: Cell) -> Result:
    """Compute a cell; an exception of its own becomes a failure, one of the store does not."""
    try:
        return work(cell)
    except StoreError:
        raise
    except Skipped as skipped:
        return Skip(str(skipped))
    # Running out of memory is a failure of the cell too: the others may be smaller.
    except Exception as error:
        details = traceback.TracebackException.from_exception(error)
        line = f"{type(error).__name__}: {' '.join(str(details).split())}"
        return Failure(line, "".join(details.format()))


def _run(cells: Iterable[Cell], team: _Team, workers: int) -> Iterator[tuple[Cell, Result]]:
    """Start the workers, feed them, and see them off."""
    # Daemons, because a thread in the middle of a long computation must not keep the process of
    # somebody who pressed Ctrl-C alive; files are whole or absent whenever it dies.
    threads = [threading.Thread(target=team.serve, daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    try:
        yield from _feed(iter(cells), team, 2 * workers)
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
    """Make the threads that still compute leave their cells.

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


def _feed(cells: Iterator[Cell], team: _Team, ahead: int) -> Iterator[tuple[Cell, Result]]:
    """Keep up to ``ahead`` cells with the workers, and yield what they make of them."""
    pending = 0
    while True:
        while pending < ahead and not team.stop.is_set():
            cell = next(cells, None)
            if cell is None:
                break
            team.tasks.put(cell)
            pending += 1
        if pending == 0:
            return
        cell, result = team.next_result()
        pending -= 1
        if isinstance(result, BaseException):
            raise result
        if result is not None:
            yield cell, result
