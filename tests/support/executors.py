"""Executors of other people: one by one, and in processes that are started anew."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed

from uproar.run.cell import Outcome
from uproar.run.executor import Job, Result, settle
from uproar.run.store import Store


def one_by_one(
    jobs: Iterable[Job], work: Callable[[Job], Outcome], *, store: Store, workers: int
) -> Iterator[tuple[Job, Result]]:
    """Compute jobs in this thread."""
    for job in jobs:
        yield job, settle(job, work, store)


def in_processes(
    jobs: Iterable[Job], work: Callable[[Job], Outcome], *, store: Store, workers: int
) -> Iterator[tuple[Job, Result]]:
    """Compute jobs in fresh processes, which have nothing but what is pickled."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, 2), mp_context=fresh) as pool:
        sent = {pool.submit(settle, job, work, store): job for job in jobs}
        try:
            for done in as_completed(sent):
                yield sent[done], done.result()
        finally:
            pool.shutdown(cancel_futures=True)
