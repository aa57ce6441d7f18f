"""The public checks of executors and stores find every breach of the contract, and nothing else."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import replace

import numpy as np
import pytest

from tests.support.executors import in_processes, one_by_one
from uproar.run.cell import Cell, Failure, Outcome, Skip
from uproar.run.executor import attempt, record, settle
from uproar.run.files import StoreError
from uproar.run.local import local
from uproar.run.store import Store
from uproar.testing import check_executor, check_store

COUNT = itertools.count()


@pytest.mark.parametrize(
    "executor", [local, one_by_one, pytest.param(in_processes, marks=pytest.mark.slow)]
)
def test_executors_that_keep_the_contract_pass(executor):
    check_executor(executor)


def forgets_the_last(jobs, work, *, store, workers):
    yield from one_by_one(list(jobs)[:-1], work, store=store, workers=workers)


def yields_twice(jobs, work, *, store, workers):
    for pair in one_by_one(jobs, work, store=store, workers=workers):
        yield pair
        yield pair


def invents_a_result(jobs, work, *, store, workers):
    yield from one_by_one(jobs, work, store=store, workers=workers)
    if not list(store.folder.rglob("*")):
        yield None, None


def mixes_up(jobs, work, *, store, workers):
    found = list(one_by_one(jobs, work, store=store, workers=workers))
    yield from zip((job for job, _ in found), [result for _, result in found][::-1], strict=True)


def stores_nothing(jobs, work, *, store, workers):
    for job in jobs:
        yield job, attempt(job, work)


def stores_too_late(jobs, work, *, store, workers):
    for job in jobs:
        result = attempt(job, work)
        yield job, result
        record(job.cell, result, store)


def always_computes(jobs, work, *, store, workers):
    for job in jobs:
        result = attempt(job, work)
        record(job.cell, result, store)
        yield job, result


def computes_for_nothing(jobs, work, *, store, workers):
    for job in jobs:
        if not store.has(job.cell):
            attempt(job, work)
        yield job, settle(job, work, store)


def lets_failures_through(jobs, work, *, store, workers):
    for job in jobs:
        outcome = store.read(job.cell) or work(job)
        store.write(job.cell, outcome)
        yield job, outcome


def drops_tracebacks(jobs, work, *, store, workers):
    for job in jobs:
        result = store.read(job.cell) or attempt(job, work)
        if isinstance(result, Failure):
            result = replace(result, traceback="")
        record(job.cell, result, store)
        yield job, result


def calls_skips_failures(jobs, work, *, store, workers):
    for job in jobs:
        result = store.read(job.cell) or attempt(job, work)
        if isinstance(result, Skip):
            result = Failure(result.reason, "Traceback (most recent call last):")
        record(job.cell, result, store)
        yield job, result


def keeps_failures_to_itself(jobs, work, *, store, workers):
    for job in jobs:
        result = store.read(job.cell) or attempt(job, work)
        if isinstance(result, Outcome):
            record(job.cell, result, store)
        yield job, result


def gives_up_what_failed(jobs, work, *, store, workers):
    failed = dict(store.failures())
    for job in jobs:
        yield job, failed.get(job.cell) or settle(job, work, store)


def counts(jobs, work, *, store, workers):
    for position, job in enumerate(jobs):
        result = store.read(job.cell) or attempt(job, work)
        if isinstance(result, Outcome):
            result = replace(result, provenance={"position": str(position)})
        record(job.cell, result, store)
        yield job, result


def tells_workers(jobs, work, *, store, workers):
    for job in jobs:
        result = store.read(job.cell) or attempt(job, work)
        if isinstance(result, Outcome):
            result = replace(result, seconds={"all": workers})
        record(job.cell, result, store)
        yield job, result


def tidies_up(jobs, work, *, store, workers):
    try:
        yield from one_by_one(jobs, work, store=store, workers=workers)
    except GeneratorExit:
        shutil.rmtree(store.folder)
        raise


def wants_the_store_alone(jobs, work, *, store, workers):
    jobs = list(jobs)
    known = {job for job in jobs if store.has(job.cell)}
    for job in jobs:
        if job not in known and store.has(job.cell):
            yield job, Failure("RuntimeError: somebody else was here", "")
        else:
            yield job, settle(job, work, store)


def ignores_the_store(jobs, work, *, store, workers):
    for job in jobs:
        try:
            yield job, settle(job, work, store)
        except StoreError as error:
            yield job, Failure(str(error), "")


@pytest.mark.parametrize(
    ("executor", "message"),
    [
        (forgets_the_last, "must be yielded once: expected 0 to 8, got 0, 1, 2, 3, 4, 5, 6, 7$"),
        (yields_twice, "must be yielded once: expected 0 to 8, got 0, 0, 1, 1"),
        (invents_a_result, "of no jobs there are no results"),
        (mixes_up, r"Square\(number=0\) must be yielded with its outcome"),
        (stores_nothing, r"in the store before it is yielded, got Square\(number=0\) too soon"),
        (stores_too_late, "in the store before it is yielded"),
        (always_computes, "must not be computed again: expected 1, 3, 5, 7, got"),
        (computes_for_nothing, "every job must be computed once"),
        (lets_failures_through, "2 has no square"),
        (drops_tracebacks, "must become a Failure with its traceback, got Failure"),
        (calls_skips_failures, "a Skipped must become a Skip with its reason, got Failure"),
        (keeps_failures_to_itself, "must be in the store as they are yielded"),
        (gives_up_what_failed, r"Square\(number=2\) must be yielded with its outcome"),
        (counts, "the order of jobs or the number of workers changes the bytes"),
        (tells_workers, "the order of jobs or the number of workers changes the bytes"),
        (tidies_up, "a run that is broken off must keep what it has yielded"),
        (wants_the_store_alone, "somebody else was here"),
        (ignores_the_store, "must end the run with a StoreError"),
    ],
)
def test_breaches_of_executors_are_found(executor, message):
    error = ValueError if executor is lets_failures_through else AssertionError
    with pytest.raises(error, match=message):
        check_executor(executor)


def test_the_store_passes():
    check_store(Store)


class NeverEmpty(Store):
    def read(self, cell):
        return super().read(cell) or Outcome({})


class WritesOnce(Store):
    def write(self, cell, outcome):
        if not self.has(cell):
            super().write(cell, outcome)


class LosesTypes(Store):
    def read(self, cell):
        found = super().read(cell)
        if found is None:
            return None
        wide = {n: a.astype(np.float64) if a.size else a for n, a in found.arrays.items()}
        return replace(found, arrays=wide)


class LosesSeconds(Store):
    def read(self, cell):
        found = super().read(cell)
        return None if found is None else replace(found, seconds={})


class LosesArrays(Store):
    def read(self, cell):
        found = super().read(cell)
        return None if found is None else replace(found, arrays={})


class GivesWritable(Store):
    def read(self, cell):
        found = super().read(cell)
        if found is not None:
            for name, array in found.arrays.items():
                found.arrays[name] = array.copy()
        return found


class GoesByLabel(Store):
    def _outcome_path(self, cell):
        return self.folder / f"{cell.key}{len(cell.label)}"


class GoesByFields(Store):
    def _outcome_path(self, cell):
        return self.folder / f"{Cell('any', cell.fields).key}"

    def read(self, cell):
        return super().read(cell) if self.has(cell) else None


class KeepsDiscarded(Store):
    def discard(self, cell):
        pass


class DiscardsOnce(Store):
    def discard(self, cell):
        self._outcome_path(cell).unlink()


class KeepsFailures(Store):
    def write_skip(self, cell, skip):
        failures = dict(self.failures())
        super().write_skip(cell, skip)
        if cell in failures:
            self.write_failure(cell, failures[cell])


class ShortensTracebacks(Store):
    def write_failure(self, cell, failure):
        super().write_failure(cell, replace(failure, traceback=failure.traceback[:9]))


class LosesLabels(Store):
    def failures(self):
        return [(Cell(cell.kind, cell.fields), failure) for cell, failure in super().failures()]


class InMemory(Store):
    def __init__(self, folder):
        super().__init__(folder / str(next(COUNT)))


class OneProcess(Store):
    def __reduce__(self):
        return InMemory, (self.folder,)


class HidesDamage(Store):
    damaged = []  # noqa: RUF012 - what must not be


class RaisesWhenDamaged(Store):
    def has(self, cell):
        return super().has(cell) or self._outcome_path(cell).with_suffix(".damaged").exists()


@pytest.mark.parametrize(
    ("store", "message"),
    [
        (NeverEmpty, "a new store must have no outcomes"),
        (WritesOnce, "the values read are not those written"),
        (LosesTypes, "array 'correct' is not what was written: expected bool"),
        (LosesSeconds, "the seconds read are not those written"),
        (LosesArrays, "arrays are missing"),
        (GivesWritable, "must be read-only"),
        (GoesByLabel, "must give back what was written, got nothing"),
        (GoesByFields, "cells of other kinds or fields must be kept apart"),
        (KeepsDiscarded, "what is discarded must be gone"),
        (DiscardsOnce, "No such file"),
        (KeepsFailures, "must list what was last said of a cell"),
        (ShortensTracebacks, "must list what was last said of a cell"),
        (LosesLabels, "a failure must keep the label of its cell, got ''"),
        (InMemory, "must give back what was written, got nothing"),
        (OneProcess, "must give back what was written, got nothing"),
        (HidesDamage, r"damage must be noted in one line, got \[\]"),
        (RaisesWhenDamaged, "a damaged outcome must count as missing"),
    ],
)
def test_breaches_of_stores_are_found(store, message):
    error = FileNotFoundError if store is DiscardsOnce else AssertionError
    with pytest.raises(error, match=message):
        check_store(store)


def test_damage_is_done_as_the_store_needs_it():
    def flip(store, cell):
        (path,) = store.folder.rglob(f"{cell.key}.safetensors")
        raw = bytearray(path.read_bytes())
        raw[-1] ^= 1
        path.write_bytes(bytes(raw))

    check_store(Store, damage=flip)
    with pytest.raises(AssertionError, match="a damaged outcome must count as missing"):
        check_store(Store, damage=lambda *_: None)
