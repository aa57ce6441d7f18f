"""The one place where science meets infrastructure: runs a spec, cell by cell."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uproar.device import device_of
from uproar.job import Job, digests_of
from uproar.outputs import write_files
from uproar.plan import Plan
from uproar.result import Result
from uproar.run.cell import Cell, Outcome
from uproar.run.executors import local
from uproar.run.files import remove, sweep, write_whole
from uproar.run.progress import Progress
from uproar.run.store import Store
from uproar.spec import Spec
from uproar.types import Data, UproarError

if TYPE_CHECKING:
    from torch import nn

    from uproar.workbench import Workbench

Log = Callable[[str], None]

# A base model whose validation accuracy a lucky majority guess would reach this often has learned
# nothing.
LUCK = 0.01
DEFAULT_OUT = Path("runs/DATA")  # where DATA is the name of the data


@dataclass(frozen=True)
class Benchmark:
    """A spec that can be run. Data, model and explainers of one's own may stand in for names.

    :param spec: what to measure.
    :param out: folder for the store, the tables and the report; ``runs/DATA`` if not given.
    :param data: a data set, when ``spec.data`` is no registered name.
    :param model: a factory of untrained modules, when ``spec.model`` is no registered name.
    :param explainers: callables by the names that ``spec.callables`` lists.
    :param log: told in one line of every choice made and of damaged outcomes.
    :param quiet: show no progress.
    """

    spec: Spec
    out: Path = DEFAULT_OUT
    data: Data | None = None
    model: Callable[[], nn.Module] | None = None
    explainers: Mapping[str, Any] = field(default_factory=dict)
    log: Log = print
    quiet: bool = False

    def __post_init__(self) -> None:
        if self.out == DEFAULT_OUT:
            object.__setattr__(self, "out", DEFAULT_OUT.with_name(self.spec.data))

    def run(self) -> Result:
        """Run what is not finished yet, write tables and report, and return the result.

        A cell that raises is recorded and loses nothing else; running again tries it again.

        :raises UproarError: when the spec or the data are wrong, a base model has learned nothing,
            or the store cannot be written. What was finished stays in the store.

        >>> import tempfile
        >>> from uproar.spec import Spec
        >>> spec = Spec.from_mapping({"data": "hooker-toy", "explainers": "grad,true-ranking",
        ...                           "protocols": "roar,mask-only", "fractions": [0.25]})
        >>> with tempfile.TemporaryDirectory() as out:
        ...     result = Benchmark(spec, Path(out), log=lambda line: None, quiet=True).run()
        ...     board = result.leaderboard().set_index("explainer")
        >>> board.loc["true-ranking", "verdict"]
        'better than random'
        """
        spec = self.spec.checked()
        finished = self._finished(spec)
        if finished is not None:
            self.log(f"already finished: {self.out}")
            return finished
        plan, bench = self._prepare(spec)
        # Without it the run counts as unfinished, whenever it is killed; it is written last.
        remove(self.out / "report.html")
        write_whole(self.out / "spec.toml", plan.spec.to_toml().encode())
        jobs = plan.prospective_jobs()
        with Progress({job.slot: job.weight for job in jobs}, quiet=self.quiet) as progress:
            self._run_stages(plan, bench, progress)
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

    def prepare(self) -> tuple[Plan, Workbench]:
        """Load and check everything that a run needs, without running it."""
        return self._prepare(self.spec.checked())

    def _prepare(self, spec: Spec) -> tuple[Plan, Workbench]:
        import torch

        from uproar.data import load
        from uproar.data.checks import check
        from uproar.models import MODELS
        from uproar.models.training import check_fits, check_way, choose_way
        from uproar.types import find
        from uproar.workbench import Workbench

        self._check_objects(spec)
        sweep(self.out)
        store = Store(self.out / "store")
        data = check(self.data or load(spec.data, seed=spec.seed))
        factory = self.model or partial(find(spec.model, MODELS, "model").load(), data)
        device = device_of(spec.device)
        sample = torch.from_numpy(data.train.inputs[:2]).to(device)
        check_fits(factory, sample, len(data.class_names))
        if spec.training == "auto":
            way, why = choose_way(factory, sample)
            spec = spec.model_copy(update={"training": way})
            self.log(f"training: {way} ({why})")
        else:
            check_way(spec.training, factory, sample)
        plan = Plan(spec)
        bench = Workbench(plan, data, factory, store, device, self.explainers)
        return plan, bench

    def _check_objects(self, spec: Spec) -> None:
        """Refuse a spec that speaks of objects which nobody handed over."""
        given = {"data": (spec.data, self.data), "model": (spec.model, self.model)}
        given |= {f"explainer {n}": (f"python:{n}", self.explainers.get(n)) for n in spec.callables}
        for what, (name, thing) in given.items():
            if name.startswith("python:") and thing is None:
                raise UproarError(
                    f"{what}: {name!r} stands for an object of a Python program; call "
                    "`uproar.evaluate` with it again"
                )

    def _run_stages(self, plan: Plan, bench: Workbench, progress: Progress) -> None:
        """Run the cells in the order in which they become ready, the longest first."""
        run = partial(_run, bench=bench, progress=progress)
        bases = run([plan.data_job(), *plan.base_jobs])
        stop_if_failed(plan, bench.store, bases)
        check_learned(plan, bases, bench.data)
        for job in plan.explain_jobs():
            # Nobody can tell whether a callable still does what it did, so that it is asked again;
            # retraining is keyed by the ranking that comes of it, and is not repeated in vain.
            if job.base_explainer in plan.spec.callables:
                bench.store.discard(job.cell)
        ends = plan.end_jobs()
        early = [job for job in ends if job.protocol != "retrain-once"]
        explaining = sorted(plan.explain_jobs(), key=lambda job: -job.weight)
        outcomes = run([*plan.once_jobs(), *explaining, *early])
        explained = {job: outcomes[job] for job in plan.explain_jobs() if job in outcomes}
        bench.sources.update(
            (digest, (job.cell, member))
            for job, outcome in explained.items()
            for member, digest in outcome.values["digests"].items()
        )
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


def _run(jobs: Iterable[Job], *, bench: Workbench, progress: Progress) -> dict[Job, Outcome]:
    """Run jobs, several of which may share a cell, and return the outcomes of those that worked."""
    by_cell: dict[Cell, list[Job]] = {}
    for job in jobs:
        by_cell.setdefault(job.cell, []).append(job)

    def work(cell: Cell) -> Outcome:
        job = by_cell[cell][0]
        with progress.running(job.slot):
            return bench(job)

    outcomes = {}
    for cell, found in local(by_cell, work, store=bench.store, workers=workers_of(bench)):
        for job in by_cell[cell]:
            progress.advance(job.slot)
            if isinstance(found, Outcome):
                outcomes[job] = found
    return outcomes


def workers_of(bench: Workbench) -> int:
    """Return how many cells run side by side: one where a cell uses all processors by itself."""
    one_at_a_time = bench.device.type != "cpu" or bench.plan.spec.training == "sequential"
    return 1 if one_at_a_time else os.cpu_count() or 1


def stop_if_failed(plan: Plan, store: Store, outcomes: Mapping[Job, Outcome]) -> None:
    """Raise the first failure of what everything else rests on."""
    missing = {job.cell for job in (plan.data_job(), *plan.base_jobs) if job not in outcomes}
    for cell, failure in store.failures():
        if cell in missing:
            raise UproarError(f"{cell.label or cell.kind} failed: {failure.error}")


def check_learned(plan: Plan, outcomes: Mapping[Job, Outcome], data: Data) -> None:
    """Stop when a base model is no better than the majority class: its explanations mean nothing.

    A one-sided binomial test at level 0.01, on validation examples.

    :raises UproarError: with the accuracy and the rate that it was compared with.
    """
    import numpy as np
    from scipy.stats import binomtest

    labels = data.validation.labels
    majority = np.bincount(data.train.labels).argmax()
    rate = float((labels == majority).mean())
    for job in plan.base_jobs:
        seen = outcomes[job].values["validation"]
        if binomtest(seen["correct"], seen["examples"], rate, "greater").pvalue > LUCK:
            raise UproarError(
                f"{job.cell.label} learned nothing: validation accuracy "
                f"{seen['correct'] / seen['examples']:.3f} on {seen['examples']} examples, the "
                f"majority class alone gives {rate:.3f}; change the recipe or the model"
            )
