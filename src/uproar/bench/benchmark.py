"""The one place where science meets infrastructure: runs a spec, cell by cell."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uproar.bench.checks import (
    check_learned,
    check_removals,
    forget_incomplete,
    stop_if_failed,
)
from uproar.bench.device import device_of
from uproar.data import DATA
from uproar.dataset import Data
from uproar.models import MODELS, PRETRAINED
from uproar.plan.effort import Sizes
from uproar.plan.job import Job, digests_of
from uproar.plan.plan import Plan
from uproar.plan.spec import Spec
from uproar.registry import is_registered
from uproar.results.files import write_files
from uproar.results.result import Result
from uproar.run.cell import Cell, Outcome
from uproar.run.files import remove, sweep, write_whole
from uproar.run.local import local
from uproar.run.progress import Progress, loading
from uproar.run.store import Store
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
    :param data: a data set, when ``spec.data`` is no registered name.
    :param model: a factory of untrained modules, an estimator, or a trained model, when
        ``spec.model`` is ``python:name``.
    :param explainers: callables by the names that ``spec.callables`` lists.
    :param log: told in one line of every choice made and of damaged outcomes.
    :param quiet: show no progress.
    """

    spec: Spec
    out: Path = DEFAULT_OUT
    data: Data | None = None
    model: Any = None
    explainers: Mapping[str, Any] = field(default_factory=dict)
    log: Log = print
    quiet: bool = False

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
        ...                           "protocols": "roar,mask-only", "fractions": [0.25]})
        >>> with tempfile.TemporaryDirectory() as out:
        ...     result = Benchmark(spec, Path(out), log=lambda line: None, quiet=True).run()
        ...     board = result.leaderboard().set_index("explainer")
        >>> board.loc["true-ranking", "verdict"]
        'better than random'
        """
        spec = self.spec.checked()
        finished = self._finished(spec) if spec.settled else None
        if finished is None:
            plan, worker, notes = self._prepare(spec)
            # Only now it is known what data of one's own are.
            finished = None if spec.settled else self._finished(plan.spec)
        if finished is not None:
            self.log(f"already finished: {self.out}")
            return finished
        for note in notes:
            self.log(note)
        # Without it the run counts as unfinished, whenever it is killed; it is written last.
        remove(self.out / "report.html")
        write_whole(self.out / "spec.toml", plan.spec.to_toml().encode())
        jobs = plan.prospective_jobs()
        with Progress({job.slot: job.weight for job in jobs}, quiet=self.quiet) as progress:
            self._run_stages(plan, worker, progress)
        result = Result(self.out, plan.spec)
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

    def prepare(self) -> tuple[Plan, Worker]:
        """Load and check everything that a run needs, without running it."""
        plan, worker, notes = self._prepare(self.spec.checked())
        for note in notes:
            self.log(note)
        return plan, worker

    def _prepare(self, spec: Spec) -> tuple[Plan, Worker, tuple[str, ...]]:
        from uproar.bench.worker import Worker
        from uproar.data.checks import check
        from uproar.models.choice import choose

        self._check_objects(spec)
        sweep(self.out)
        data = check(self._load(spec) if self.data is None else self.data)
        check_removals(spec, data.kind)
        device = device_of(spec.device)
        chosen = choose(
            spec.model,
            data,
            given=self.model,
            parameters=spec.model_parameters,
            training=spec.training,
            recipe=spec.recipe,
            device=device,
        )
        found = {"training": chosen.learner.training}
        if not is_registered(spec.data, DATA):
            # Anew, even where a spec file knows one: the data may have changed since.
            found["data_digest"] = data.digest()
        if not is_registered(spec.model, MODELS):
            found["model_digest"] = chosen.digest
        explained = len(data.train) + len(data.test)
        sizes = Sizes(
            data.features, data.outputs, explained, len(data.validation), data.kind == "table"
        )
        plan = Plan(spec.model_copy(update=found), sizes)
        store = Store(self.out / "store")
        worker = Worker(
            *(plan, data, chosen.learner, chosen.once, store, device, chosen.given),
            explainers=self.explainers,
        )
        return plan, worker, (*data.notes, *chosen.notes)

    def _load(self, spec: Spec) -> Data:
        """Read the data, with a bar where that takes long."""
        from uproar.data import load

        tokenizer, (place, _, name) = None, spec.model.partition(":")
        if place == PRETRAINED:  # such a model has a tokenizer of its own
            from uproar.data.text.hugging_face import tokenizer_of

            tokenizer = tokenizer_of(name)
        with loading(f"reading {spec.data}", quiet=self.quiet) as progress:
            return load(
                spec.data,
                seed=spec.seed,
                source=spec.source,
                progress=progress,
                tokenizer=tokenizer,
            )

    def _check_objects(self, spec: Spec) -> None:
        """Refuse a spec that speaks of objects which nobody handed over."""
        given: dict[str, tuple[str, Any]]
        given = {"data": (spec.data, self.data), "model": (spec.model, self.model)}
        given |= {f"explainer {n}": (f"python:{n}", self.explainers.get(n)) for n in spec.callables}
        for what, (name, thing) in given.items():
            if name.startswith("python:") and thing is None:
                raise UproarError(
                    f"{what}: {name!r} stands for an object of a Python program; call "
                    "`uproar.evaluate` with it again"
                )

    def _run_stages(self, plan: Plan, worker: Worker, progress: Progress) -> None:
        """Run the cells in the order in which they become ready, the longest first."""
        run = partial(_run, worker=worker, progress=progress)
        bases = run([plan.data_job(), *plan.base_jobs])
        stop_if_failed(plan, worker.store, bases)
        check_learned(plan, bases, worker.data)
        forget_incomplete(plan, worker.store)
        ends = plan.end_jobs()
        early = [job for job in ends if job.protocol != "retrain-once"]
        explaining = sorted(plan.explain_jobs(), key=lambda job: -job.weight)
        if worker.learner.parallel:
            # Explaining leaves processors idle that training takes by itself.
            outcomes = run(explaining, workers=processors(worker))
            outcomes |= run([*plan.once_jobs(), *early])
        else:
            outcomes = run([*plan.once_jobs(), *explaining, *early])
        explained = {job: outcomes[job] for job in plan.explain_jobs() if job in outcomes}
        late = [job for job in ends if job.protocol == "retrain-once"]
        # Curves of a model whose training failed would only say once more that it did.
        failed = {job.removal for job in plan.once_jobs() if job not in outcomes}
        rest = [
            job
            for job in (*plan.curve_jobs(digests_of(explained)), *late)
            if job.protocol != "retrain-once" or job.removal not in failed
        ]
        # Another process at the same store starts elsewhere in the round, and shares the work.
        start = os.getpid() % max(len(rest), 1)
        run([*rest[start:], *rest[:start]])


def _run(
    jobs: Iterable[Job], *, worker: Worker, progress: Progress, workers: int = 0
) -> dict[Job, Outcome]:
    """Run jobs, several of which may share a cell, and return the outcomes of those that worked."""
    workers = workers or workers_of(worker)
    by_cell: dict[Cell, list[Job]] = {}
    for job in jobs:
        by_cell.setdefault(job.cell, []).append(job)

    def work(cell: Cell) -> Outcome:
        job = by_cell[cell][0]
        with progress.running(job.slot):
            return worker(job)

    outcomes = {}
    for cell, found in local(by_cell, work, store=worker.store, workers=workers):
        for job in by_cell[cell]:
            progress.advance(job.slot)
            if isinstance(found, Outcome):
                outcomes[job] = found
    return outcomes


def workers_of(worker: Worker) -> int:
    """Return how many cells run side by side: one where a cell uses all processors by itself."""
    return 1 if worker.learner.parallel else processors(worker)


def processors(worker: Worker) -> int:
    """Return how many cells that use one processor each run side by side; on a GPU, one."""
    return os.cpu_count() or 1 if worker.device.type == "cpu" else 1
