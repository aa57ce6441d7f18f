"""The contract of executors as a check, for our own and for those that live elsewhere."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np

from uproar.run.cell import Cell, Failure, Outcome, Skip
from uproar.run.executor import Executor, Result
from uproar.run.files import StoreError, append_line
from uproar.run.store import Store
from uproar.testing.requirement import require
from uproar.types import Skipped

JOBS = 9
FAILING, SKIPPED = 2, 5


@dataclass(frozen=True)
class Square:
    """A small job: the square of a number.

    >>> Square(3).cell.label
    'square of 3'
    """

    number: int

    @property
    def cell(self) -> Cell:
        """The cell that the job computes."""
        return Cell("square", {"number": self.number}, f"square of {self.number}")


@dataclass(frozen=True)
class _Squaring:
    """Computes squares and notes in a file which it has computed, in whatever process."""

    notes: Path
    broken: bool = False

    def __call__(self, job: Square) -> Outcome:
        append_line(self.notes, str(job.number))
        if self.broken and job.number == FAILING:
            raise ValueError(f"{job.number} has no square")
        if self.broken and job.number == SKIPPED:
            raise Skipped(f"{job.number} is not squared")
        return Outcome({"square": job.number**2}, {"roots": np.array([job.number, -job.number])})

    def computed(self) -> list[int]:
        """Return the numbers that were squared since this was last asked for."""
        if not self.notes.exists():
            return []
        numbers = sorted(int(line) for line in self.notes.read_text().splitlines())
        self.notes.unlink()
        return numbers


def check_executor(executor: Executor) -> None:
    """Check that an executor keeps its contract.

    Every job is yielded once, with its result, which is in the store by then. What the store has
    is not computed again. Failures with their traceback, and skips with their reason, are recorded
    and lose nothing else. Neither the order of the jobs nor the number of workers changes what is
    stored. A run that is broken off loses nothing that it has yielded; two runs may share a store;
    and a store that cannot be written ends the run.

    :param executor: ``(jobs, work, *, store, workers) -> iterator of (job, result)``. The work of
        this check can be pickled.
    :raises AssertionError: with what was broken.

    >>> from uproar.run.local import local
    >>> check_executor(local)
    >>> check_executor(lambda jobs, work, *, store, workers: iter([]))
    Traceback (most recent call last):
    AssertionError: every job must be yielded once: expected 0 to 8, got none
    """
    for check in (
        _finishes_all,
        _computes_nothing_twice,
        _records_failures_and_skips,
        _does_not_depend_on_order,
        _can_be_broken_off,
        _shares_a_store,
        _ends_where_nothing_can_be_stored,
    ):
        with tempfile.TemporaryDirectory() as folder:
            check(executor, Path(folder))


def _finishes_all(executor: Executor, folder: Path) -> None:
    """Nothing, and some jobs from a generator."""
    store, work = Store(folder / "store"), _Squaring(folder / "notes")
    require(not list(executor([], work, store=store, workers=2)), "of no jobs there are no results")
    _require_squares(_each(executor, map(Square, range(JOBS)), work, store))
    computed = work.computed()
    require(computed == list(range(JOBS)), f"every job must be computed once, got {computed}")


def _computes_nothing_twice(executor: Executor, folder: Path) -> None:
    store, work = Store(folder / "store"), _Squaring(folder / "notes")
    for number in range(0, JOBS, 2):
        store.write(Square(number).cell, work(Square(number)))
    work.computed()
    _require_squares(_each(executor, _jobs(), work, store))
    computed = work.computed()
    require(
        computed == list(range(1, JOBS, 2)),
        f"what the store has must not be computed again: expected 1, 3, 5, 7, got {computed}",
    )


def _records_failures_and_skips(executor: Executor, folder: Path) -> None:
    store, work = Store(folder / "store"), _Squaring(folder / "notes", broken=True)
    found = dict(_each(executor, _jobs(), work, store))
    failure, skip = found.pop(Square(FAILING), None), found.pop(Square(SKIPPED), None)
    _require_squares(found.items(), without=(FAILING, SKIPPED))
    require(
        isinstance(failure, Failure)
        and failure.error == f"ValueError: {FAILING} has no square"
        and failure.traceback.startswith("Traceback (most recent call last):"),
        f"what a job raises must become a Failure with its traceback, got {failure!r:.200}",
    )
    wanted = Skip(f"{SKIPPED} is not squared")
    require(skip == wanted, f"a Skipped must become a Skip with its reason, got {skip!r:.200}")
    recorded = store.failures(), store.skips()
    require(
        recorded == ([(Square(FAILING).cell, failure)], [(Square(SKIPPED).cell, skip)]),
        "failures and skips must be in the store as they are yielded",
    )
    work.computed()
    mended = _Squaring(work.notes)
    _require_squares(_each(executor, _jobs(), mended, store))
    computed = mended.computed()
    require(
        computed == [FAILING, SKIPPED],
        f"the next run must try again what failed or was skipped, and only that, got {computed}",
    )


def _does_not_depend_on_order(executor: Executor, folder: Path) -> None:
    stores = Store(folder / "forth"), Store(folder / "back")
    work = _Squaring(folder / "notes")
    list(executor(_jobs(), work, store=stores[0], workers=1))
    list(executor(_jobs()[::-1], work, store=stores[1], workers=3))
    first, second = map(_content, stores)
    require(
        first == second, "the order of jobs or the number of workers changes the bytes in the store"
    )


def _can_be_broken_off(executor: Executor, folder: Path) -> None:
    store, work = Store(folder / "store"), _Squaring(folder / "notes")
    run = executor(_jobs(), work, store=store, workers=2)
    finished = [job.number for job, _ in (next(run), next(run))]
    close: Callable[[], None] | None = getattr(run, "close", None)
    if close is not None:
        close()
    for number in finished:
        found = store.read(Square(number).cell)
        require(found is not None, "a run that is broken off must keep what it has yielded")
    work.computed()
    _require_squares(_each(executor, _jobs(), work, store))
    again = sorted(set(finished) & set(work.computed()))
    require(not again, f"after a run was broken off, {again} were computed again")


def _shares_a_store(executor: Executor, folder: Path) -> None:
    """Two runs take turns, so that each meets outcomes that the other has stored meanwhile."""
    work = _Squaring(folder / "notes")
    runs = [_each(executor, _jobs(), work, Store(folder / "store")) for _ in range(2)]
    turns = list(zip_longest(*runs))
    for mine in zip(*turns, strict=True):
        _require_squares([pair for pair in mine if pair is not None])


def _ends_where_nothing_can_be_stored(executor: Executor, folder: Path) -> None:
    (folder / "file").touch()
    store, work = Store(folder / "file"), _Squaring(folder / "notes")
    try:
        found = list(executor(_jobs(), work, store=store, workers=2))
    except StoreError:
        return
    raise AssertionError(
        f"a store that cannot be written must end the run with a StoreError, got {found!r:.200}"
    )


def _jobs() -> list[Square]:
    return [Square(number) for number in range(JOBS)]


def _each(
    executor: Executor, jobs: Iterable[Square], work: _Squaring, store: Store
) -> Iterator[tuple[Square, Result]]:
    """Yield what an executor does, and require that outcomes are stored by then."""
    for job, result in executor(jobs, work, store=store, workers=2):
        stored = not isinstance(result, Outcome) or store.has(job.cell)
        require(stored, f"an outcome must be in the store before it is yielded, got {job} too soon")
        yield job, result


def _require_squares(
    found: Iterable[tuple[Square, Result]], *, without: tuple[int, ...] = ()
) -> None:
    """Require every job once, with its outcome."""
    listed = list(found)
    numbers = sorted(job.number for job, _ in listed)
    wanted = [number for number in range(JOBS) if number not in without]
    text = ", ".join(map(str, numbers)) or "none"
    require(
        numbers == wanted,
        f"every job must be yielded once: expected 0 to {JOBS - 1}"
        + (f" without {' and '.join(map(str, without))}" if without else "")
        + f", got {text}",
    )
    for job, result in listed:
        right = isinstance(result, Outcome) and result.values == {"square": job.number**2}
        require(right, f"{job} must be yielded with its outcome, got {result!r:.200}")


def _content(store: Store) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in store.folder.rglob("*.safetensors")}
