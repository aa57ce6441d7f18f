"""The contract of executors, and what each of them does with one job.

An executor spreads jobs over threads, processes or machines. What comes of a job goes through the
store, and nothing else is shared; :func:`uproar.testing.check_executor` checks the contract.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeAlias, TypeVar

from uproar.run.cell import Cell, Failure, Outcome, Skip
from uproar.run.files import StoreError
from uproar.run.store import Store
from uproar.types import Skipped

Result: TypeAlias = Outcome | Failure | Skip


class HasCell(Protocol):
    """What executors know of a job: the cell under which its outcome is stored."""

    @property
    def cell(self) -> Cell:
        """The cell that the job computes."""


Job = TypeVar("Job", bound=HasCell)


class Executor(Protocol):
    """Computes ready jobs and yields each with what came of it, in any order."""

    def __call__(
        self,
        jobs: Iterable[Job],
        work: Callable[[Job], Outcome],
        *,
        store: Store,
        workers: int,
    ) -> Iterator[tuple[Job, Result]]:
        """Yield every job once, as soon as its result is in the store: see :func:`settle`.

        Closing the iterator ends the run: what was yielded is stored, and no new job is started.

        :param jobs: of different cells, none of which needs the outcome of another. They are
            values of a few hundred bytes that can be pickled.
        :param work: computes one job, wherever it is called and in whatever order. What uproar
            hands over can be pickled, in under 10 kB beside the objects that users hand over, and
            loads its data once in each process.
        :param store: where outcomes are looked for and put; it can be pickled, too.
        :param workers: how many jobs one machine computes side by side, at most. Results do not
            depend on it.
        :raises StoreError: when the store cannot be read or written. Everything else that ``work``
            raises is recorded as a failure or a skip of its job, and the others go on.
        """


def settle(
    job: Job,
    work: Callable[[Job], Outcome],
    store: Store,
    *,
    abandoned: threading.Event | None = None,
) -> Result:
    """Return the result of a job: that of the store, or a new one, which is stored.

    This is all that an executor has to call, in the process that computes the job.

    :param abandoned: once set, nothing is stored: nobody waits for the job any more, and the
        folder may be gone or belong to others.

    >>> import tempfile
    >>> from uproar.testing.executors import Square
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = Store(folder)
    ...     first = settle(Square(3), lambda job: Outcome({"square": job.number ** 2}), store)
    ...     again = settle(Square(3), lambda job: Outcome({"square": 0}), store)
    >>> first.values, again.values
    ({'square': 9}, {'square': 9})
    """
    known = store.read(job.cell)
    if known is not None:
        return known
    result = attempt(job, work)
    if abandoned is None or not abandoned.is_set():
        record(job.cell, result, store)
    return result


def attempt(job: Job, work: Callable[[Job], Outcome]) -> Result:
    """Compute a job; an exception of its own becomes a failure, one of the store does not."""
    try:
        return work(job)
    except StoreError:
        raise
    except Skipped as skipped:
        return Skip(str(skipped))
    # Running out of memory is a failure of the job too: the others may be smaller.
    except Exception as error:
        details = traceback.TracebackException.from_exception(error)
        line = f"{type(error).__name__}: {' '.join(str(details).split())}"
        return Failure(line, "".join(details.format()))


def record(cell: Cell, result: Result, store: Store) -> None:
    """Store what came of a cell."""
    if isinstance(result, Outcome):
        store.write(cell, result)
    elif isinstance(result, Failure):
        store.write_failure(cell, result)
    else:
        store.write_skip(cell, result)
