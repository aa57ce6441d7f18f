"""The one place where science meets infrastructure: runs a spec, cell by cell."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uproar.bench.checks import check_learned, forget_incomplete, stop_if_failed
from uproar.bench.work import Objects, Work
from uproar.data import DATA
from uproar.dataset import Data
from uproar.models import MODELS
from uproar.plan.job import Job, digests_of
from uproar.plan.spec import Spec
from uproar.registry import is_registered
from uproar.results.files import write_files
from uproar.results.result import Result
from uproar.run.cell import Cell, Outcome
from uproar.run.executor import Executor
from uproar.run.files import remove, sweep, write_whole
from uproar.run.local import local
from uproar.run.progress import Progress
from uproar.types import UproarError

if TYPE_CHECKING:
    from uproar.bench.worker import Worker

Log = Callable[[str], None]

DEFAULT_OUT = Path("runs/DATA")  # where DATA is the name of the data


@dataclass(frozen=True)
class Benchmark:
    """A spec that can be run. Data, model and explainers of one's own may stand in for names.

    :param spec: what to measure.
    :param out: folder for the store, the tables and the report; ``runs/DATA`` if not given.
    :param data: a data set, when ``spec.data`` is no registered name; of folds, one for each.
    :param model: a factory of untrained modules, an estimator, or a trained model, when
        ``spec.model`` is ``python:name``.
    :param explainers: callables by the names that ``spec.callables`` lists.
    :param log: told in one line of every choice made and of damaged outcomes.
    :param quiet: show no progress.
    :param executor: spreads the work, by default over threads of this process; see
        :class:`uproar.run.executor.Executor`.
    """

    spec: Spec
    out: Path = DEFAULT_OUT
    data: Data | Sequence[Data] | None = None
    model: Any = None
    explainers: Mapping[str, Any] = field(default_factory=dict)
    log: Log = print
    quiet: bool = False
    executor: Executor = local

    def __post_init__(self) -> None:
        if self.out == DEFAULT_OUT:
            object.__setattr__(self, "out", DEFAULT_OUT.with_name(self.spec.folder_name))

    def run(self) -> Result:
        """Run what is not finished yet, write tables and report, and return the result.

        A cell that raises is recorded and loses nothing else; running again tries it again.

        :raises UproarError: when the spec or the data are wrong, a base model has learned nothing,
            or the store cannot be written. What was finished stays in the store.

        >>> import tempfile
        >>> from uproar.plan.spec import Spec
        >>> spec = Spec.from_mapping({"data": "hooker-toy", "explainers": "grad,true-ranking",
        ...                           "protocols": 'roar,mask-only', "fractions": [0.25]})
        >>> with tempfile.TemporaryDirectory() as out:
        ...     result = Benchmark(spec, Path(out), log=lambda line: None, quiet=True).run()
        ...     board = result.leaderboard().set_index("explainer")
        >>> board.loc["true-ranking", "verdict"]
        'better'
        """
        spec = self.spec.checked()
        finished = self._finished(spec) if spec.settled else None
        if finished is None:
            work = self._prepare(spec)
            # Only now it is known what data of one's own are.
            finished = None if spec.settled else self._finished(work.spec)
        if finished is not None:
            self.log(f"already finished: {self.out}")
            return finished
        self._tell(work)
        # Without it the run counts as unfinished, whenever it is killed; it is written last.
        remove(self.out / "report.html")
        write_whole(self.out / "spec.toml", work.spec.to_toml().encode())
        jobs = work.opened().plan.prospective_jobs()
        with Progress({job.slot: job.weight for job in jobs}, quiet=self.quiet) as progress:
            self._run_stages(work, progress)
        result = Result(self.out, work.spec)
        write_files(result)
        return result

    def _finished(self, spec: Spec) -> Result | None:
        """Return the result of an identical finished run; neither torch nor data are needed."""
        files = [self.out / name for name in ("report.html", "spec.toml")]
        if self.explainers or not all(file.is_file() for file in files):
            return None
        saved = Result.read(self.out)
        asked = spec.model_copy(update={"device": saved.spec.device})
        if spec.training == "auto":
            asked = asked.model_copy(update={"training": saved.spec.training})
        same = asked == saved.spec and saved.complete and not saved.failed
        return saved if same else None

    def prepare(self) -> Work:
        """Load and check everything that a run needs, without running it."""
        work = self._prepare(self.spec.checked())
        self._tell(work)
        return work

    def _prepare(self, spec: Spec) -> Work:
        self._check_objects(spec)
        sweep(self.out)
        # Anew, even where a spec file knows digests: data and model may have changed since.
        named = {"data": is_registered(spec.data, DATA), "model": is_registered(spec.model, MODELS)}
        anew = {f"{what}_digest": "" for what, registered in named.items() if not registered}
        work = Work(
            spec.model_copy(update=anew),
            self.out,
            Objects(self._folds, self.model, self.explainers),
        )
        work.opened(quiet=self.quiet)
        return work.settled()

    def _tell(self, work: Work) -> None:
        for note in work.opened().notes:
            self.log(note)

    @property
    def _folds(self) -> tuple[Data, ...]:
        if self.data is None or isinstance(self.data, Data):
            return () if self.data is None else (self.data,)
        return tuple(self.data)

    def _check_objects(self, spec: Spec) -> None:
        """Refuse a spec that speaks of objects which nobody handed over."""
        if self._folds and len(self._folds) != spec.source.folds:
            raise UproarError(
                f"folds={spec.source.folds}: expected the data of each, got {len(self._folds)}"
            )
        given: dict[str, tuple[str, Any]]
        given = {"data": (spec.data, self.data), "model": (spec.model, self.model)}
        given |= {f"explainer {n}": (f"python:{n}", self.explainers.get(n)) for n in spec.callables}
        for what, (name, thing) in given.items():
            if name.startswith("python:") and thing is None:
                raise UproarError(
                    f"{what}: {name!r} stands for an object of a Python program; call "
                    "`uproar.evaluate` with it again"
                )

    def _run_stages(self, work: Work, progress: Progress) -> None:
        """Run the cells in the order in which they become ready, the longest first."""
        worker, run = work.opened(), partial(_run, self.executor, work=work, progress=progress)
        plan = worker.plan
        bases = run([*plan.data_jobs, *plan.base_jobs])
        stop_if_failed(plan, worker.store, bases)
        check_learned(plan, bases, worker.data)
        forget_incomplete(plan, worker.store)
        ends = plan.end_jobs()
        early = [job for job in ends if not job.asked]
        explaining = sorted(plan.explain_jobs(), key=lambda job: -job.weight)
        if worker.learner.parallel:
            # Explaining leaves processors idle that training takes by itself.
            outcomes = run(explaining, workers=processors(worker))
            outcomes |= run([*plan.once_jobs(), *early])
        else:
            outcomes = run([*plan.once_jobs(), *explaining, *early])
        explained = {job: outcomes[job] for job in plan.explain_jobs() if job in outcomes}
        late = [job for job in ends if job.asked]
        # Curves of a model whose training failed would only say once more that it did.
        failed = {job.cell.key for job in plan.once_jobs() if job not in outcomes}
        curves = (*plan.curve_jobs(digests_of(explained)), *late)
        rest = [job for job in curves if job.asked not in failed]
        # Another process at the same store starts elsewhere in the round, and shares the work.
        start = os.getpid() % max(len(rest), 1)
        run([*rest[start:], *rest[:start]])


@dataclass(frozen=True)
class _Watched:
    """Work whose jobs the display shows while they run; from here, the work alone is sent away."""

    work: Work
    progress: Progress

    def __call__(self, job: Job) -> Outcome:
        with self.progress.running(job.slot):
            return self.work(job)

    def __reduce__(self) -> tuple[Callable[[Work], Work], tuple[Work]]:
        return _alone, (self.work,)


def _alone(work: Work) -> Work:
    return work


def _run(
    executor: Executor,
    jobs: Iterable[Job],
    *,
    work: Work,
    progress: Progress,
    workers: int = 0,
) -> dict[Job, Outcome]:
    """Run jobs, several of which may share a cell, and return the values of those that worked."""
    worker = work.opened()
    by_cell: dict[Cell, list[Job]] = {}
    for job in jobs:
        by_cell.setdefault(job.cell, []).append(job)

    def ready() -> Iterator[Job]:
        for cell, alike in by_cell.items():
            if not worker.store.has(cell):
                # Where it is computed elsewhere, nothing else tells the display that it is.
                progress.begin(alike[0].slot)
            yield alike[0]

    outcomes = {}
    watched, workers = _Watched(work, progress), workers or workers_of(worker)
    for done, found in executor(ready(), watched, store=worker.store, workers=workers):
        for job in by_cell[done.cell]:
            progress.advance(job.slot)
            if isinstance(found, Outcome):
                # What is kept of large images takes gigabytes; it stays in the store.
                outcomes[job] = replace(found, arrays={})
    return outcomes


def workers_of(worker: Worker) -> int:
    """Return how many cells run side by side: one where a cell uses all processors by itself."""
    return 1 if worker.learner.parallel else processors(worker)


def processors(worker: Worker) -> int:
    """Return how many cells that use one processor each run side by side; on a GPU, one."""
    return os.cpu_count() or 1 if worker.device.type == "cpu" else 1
