"""Executors of other people: one by one, and in processes of their own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed, wait
from functools import cache

from uproar.run.cell import Outcome
from uproar.run.executor import Job, Result, settle
from uproar.run.store import Store


def one_by_one(
    jobs: Iterable[Job], work: Callable[[Job], Outcome], *, store: Store, workers: int
) -> Iterator[tuple[Job, Result]]:
    """Compute jobs in this thread."""
    for job in jobs:
        yield job, settle(job, work, store)


@cache
def _fresh_processes() -> ProcessPoolExecutor:
    """Start two processes that know nothing, once: each imports PyTorch."""
    return ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))


def in_processes(
    jobs: Iterable[Job], work: Callable[[Job], Outcome], *, store: Store, workers: int
) -> Iterator[tuple[Job, Result]]:
    """Compute jobs in other processes, which have nothing but what is pickled."""
    sent = {_fresh_processes().submit(settle, job, work, store): job for job in jobs}
    try:
        for done in as_completed(sent):
            yield sent[done], done.result()
    finally:
        for future in sent:
            future.cancel()
        wait(sent)
