"""A run as it lies in its folder: tables, leaderboard, figures, report; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from uproar.plan.job import Job, digests_of, read_all, read_explained
from uproar.plan.plan import Plan
from uproar.plan.spec import REFERENCE, Spec
from uproar.results.cautions import cautions_of, next_step_of
from uproar.results.conclusions import VERSION, Conclusions, conclude, tested_share
from uproar.results.curves import evidence, joined, tidy
from uproar.results.function import Measured, feature_names, function_table, measured, over_bases
from uproar.results.leaderboard import explainers_of, leaderboard
from uproar.results.ties import MANY, tied_shares
from uproar.run.cell import Cell, Outcome
from uproar.run.files import write_whole
from uproar.run.store import Store
from uproar.stats.intervals import score_interval
from uproar.types import UproarError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Result:
    """What a run has found, read from its folder. ``out`` holds the spec and the store."""

    out: Path
    spec: Spec

    @classmethod
    def read(cls, out: str | Path) -> Result:
        """Read a run.

        :raises UproarError: when the folder holds no run.

        >>> Result.read("no/such/folder")
        Traceback (most recent call last):
        uproar.types.UproarError: no/such/folder holds no run: there is no spec.toml in it
        """
        path = Path(out) / "spec.toml"
        if not path.is_file():
            raise UproarError(f"{out} holds no run: there is no spec.toml in it")
        return cls(Path(out), Spec.from_toml(path))

    @cached_property
    def store(self) -> Store:
        """The outcomes of all cells."""
        return Store(self.out / "store")

    @cached_property
    def plan(self) -> Plan:
        """The cells of the run."""
        return Plan(self.spec)

    @cached_property
    def explained(self) -> dict[Job, Outcome]:
        """Outcomes of the explanations; of what they keep, the part that the gallery shows."""
        jobs, shown = self.plan.explain_jobs(), self.spec.gallery_examples
        return read_explained(jobs, self.store, kept=shown)

    @cached_property
    def jobs(self) -> list[Job]:
        """All jobs that can be known by now: those of explainers that are not explained are not."""
        plan = self.plan
        shared = [*plan.data_jobs, *plan.base_jobs, *plan.once_jobs(), *plan.end_jobs()]
        return [*shared, *plan.explain_jobs(), *plan.curve_jobs(digests_of(self.explained))]

    @cached_property
    def outcomes(self) -> dict[Job, Outcome]:
        """Outcomes of all finished cells."""
        rest = [job for job in self.jobs if job not in self.explained]
        return self.explained | read_all(rest, self.store)

    @property
    def complete(self) -> bool:
        """Whether every cell is finished or known to be impossible."""
        skipped = {cell.key for cell, _ in self.store.skips()}
        # Where models cannot be trained, no curve that asks them can be measured.
        unfinished = [job for job in self.jobs if job not in self.outcomes]
        return all({job.cell.key, job.asked} & skipped for job in unfinished)

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per measurement: what ``results.parquet`` holds."""
        return tidy(self.plan, self.outcomes)

    @property
    def conclusions(self) -> Conclusions:
        """Gains, verdicts, leaks and agreement."""
        return self._concluded[0]

    @property
    def base_accuracy(self) -> tuple[float, float, float]:
        """The mean test accuracy of the base models, and its interval."""
        return self._concluded[1]

    @cached_property
    def _concluded(self) -> tuple[Conclusions, tuple[float, float, float]]:
        """What takes SciPy to compute; done once and then read from the store."""
        used = sorted({job.cell.key for job in self.outcomes})
        fields = {"outcomes": used, "draws": self.spec.bootstrap_draws, "version": VERSION}
        fields["explainers"] = list(self.spec.explainers)
        cell = Cell("conclusions", fields, "conclusions")
        known = self.store.read(cell)
        if known is not None:
            accuracy, low, high = known.values["base_accuracy"]
            return Conclusions.from_json(known.values["tables"]), (accuracy, low, high)
        facts, seen = self._facts, evidence(self.plan, self.outcomes)
        scores = [outcome.arrays["scores/test"] for outcome in self.bases]
        correct = joined(scores, folds=bool(seen.design.folds))
        ends = score_interval(correct[None, :, None], design=seen.design)
        accuracy, low, high = (float(value[0]) for value in ends)
        found = conclude(
            self.spec,
            seen,
            majority=np.concatenate([of_fold.arrays["majority"] for of_fold in facts]),
            base_scores=correct,
            tied_reference=self.tied.get(REFERENCE, 0.0) > MANY,
            tested=tested_share(self.spec, facts[0].values),
        )
        values = {"tables": found.to_json(), "base_accuracy": [accuracy, low, high]}
        self.store.write(cell, Outcome(values))
        return found, (accuracy, low, high)

    def leaderboard(self, removal: str | None = None) -> pd.DataFrame:
        """Return one row per explainer, best first: by retrain-once, else ROAR, KAR, no-retrain.

        ``scope`` is global of explainers of the function, whose ``estimand`` is what they estimate.
        ``verdict`` is ROAR's, or that of the first protocol that was run where ROAR was not:
        ``better``, ``alike`` or ``worse`` than random, ``withheld`` where the mask is not proven
        to tell nothing, ``untested`` where what a verdict needs is missing, or ``reference`` for
        random itself; ``reason`` says why there is none.
        ``mask_only_accuracy`` is the largest over the fractions. ``passes`` is how many times an
        example went through the model: see :attr:`passes`. ``tied`` is the share of the test
        examples that a fraction cuts between features of equal importance: see :attr:`tied`.

        :param removal: which removal; the first of the spec if not given.
        :raises UproarError: when the run has no such removal.
        """
        removal = self.spec.removals[0] if removal is None else removal
        if removal not in self.spec.removals:
            raise UproarError(f"removal {removal!r} was not run: {', '.join(self.spec.removals)}")
        explainers = explainers_of(self, self._finished)
        return leaderboard(explainers, self.conclusions, removal=removal, judging=self.judging)

    @property
    def judging(self) -> str:
        """The protocol whose verdicts the leaderboard shows; empty when there are none."""
        return next(iter(self.conclusions.gains["protocol"]), "")

    @property
    def _finished(self) -> list[str]:
        explained = {member for job in self.explained for member in job.members}
        return [name for name in self.spec.explainers if name in explained]

    @cached_property
    def passes(self) -> dict[str, float]:
        """How many times an example went through the model, counted, by explainer.

        Each training and test example; of an explainer of the function each held-out example.
        """
        return over_bases(
            self.explained, lambda _, outcome, member: outcome.values["passes"][member]
        )

    @cached_property
    def measured(self) -> Measured:
        """What explainers of the function measured of each base model, as arrays."""
        found = measured(self.explained)
        return {name: found[name] for name in self.spec.explainers if name in found}

    @cached_property
    def tied(self) -> dict[str, float]:
        """In which share of the test examples a fraction cuts between equal features."""
        return tied_shares(self.explained, self.plan.inner, self._facts)

    @cached_property
    def scopes(self) -> dict[str, str]:
        """Whether each finished explainer is ``local``, or ``global``: of the function."""
        return {name: "global" if name in self.measured else "local" for name in self._finished}

    def function(self) -> pd.DataFrame:
        """Return the importance of every feature to each explainer of the function.

        One row per explainer, base model and feature, see
        :func:`uproar.results.function.function_table`.

        :raises UproarError: when nothing is finished yet.
        """
        names = feature_names(self.data_facts.values, self.spec.source.patch)
        return function_table(self.measured, names)

    @property
    def data_facts(self) -> Outcome:
        """What is known of the data (of the first fold), and the inputs that the gallery shows."""
        return self._facts[0]

    @property
    def _facts(self) -> list[Outcome]:
        """What is known of the data of every fold."""
        known = [self.outcomes[job] for job in self.plan.data_jobs if job in self.outcomes]
        if len(known) < len(self.plan.data_jobs) or not self.bases:
            raise UproarError(f"{self.out} has nothing to report yet; `uproar run` finishes it")
        return known

    @property
    def score(self) -> str:
        """What the numbers are: ``accuracy``, or ``R²`` where labels are values."""
        return str(self.data_facts.values["score"])

    @property
    def bases(self) -> list[Outcome]:
        """Outcomes of the base models."""
        return [self.outcomes[job] for job in self.plan.base_jobs if job in self.outcomes]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the numbers should know."""
        read = tuple(self.data_facts.values["notes"])
        return (*read, f"training: {self.spec.training}", *self.cautions)

    @property
    def cautions(self) -> tuple[str, ...]:
        """What weakens the conclusions, or why there are none."""
        return cautions_of(self)

    @property
    def next_step(self) -> str:
        """What would narrow the intervals of the protocol that is believed most, in words."""
        return next_step_of(self.conclusions)

    @cached_property
    def timings(self) -> pd.DataFrame:
        """Seconds per cell and stage, apart from the results because they differ between runs."""
        rows = [
            (job.kind, job.cell.label, stage, seconds)
            for job, outcome in self.outcomes.items()
            for stage, seconds in outcome.seconds.items()
        ]
        return pd.DataFrame(rows, columns=["kind", "cell", "stage", "seconds"])

    @property
    def failed(self) -> tuple[tuple[str, str, str], ...]:
        """What raised when it was last tried: (what, error in one line, traceback)."""
        ours = {job.cell.key for job in self.jobs}
        return tuple(
            (cell.label, failure.error, failure.traceback)
            for cell, failure in self.store.failures()
            if cell.key in ours
        )

    @property
    def skipped(self) -> tuple[tuple[str, str], ...]:
        """What cannot run: (what, reason)."""
        ours = {job.cell.key for job in self.jobs}
        return tuple((c.label, skip.reason) for c, skip in self.store.skips() if c.key in ours)

    def quote(self) -> str:
        """Return the finding in one to three sentences that can be quoted."""
        from uproar.report.quote import quote
        from uproar.report.records import report_of
        from uproar.results.content import content_of

        return quote(report_of(content_of(self)))

    def plot(self, removal: str | None = None) -> Figure:
        """Return a matplotlib figure of all curves with their intervals, for papers."""
        from uproar.results.paper import figure

        return figure(self, removal)

    def to_latex(self, removal: str | None = None) -> str:
        """Return the leaderboard as a LaTeX table (booktabs)."""
        from uproar.results.paper import latex

        return latex(self, removal)

    def to_html(self, path: str | Path | None = None) -> Path:
        """Write the report, a page that opens offline, and return where; ``report.html`` in out.

        :raises UproarError: when nothing is finished yet, or the page cannot be written.
        """
        from uproar.report.page import render
        from uproar.results.content import content_of

        target = self.out / "report.html" if path is None else Path(path)
        # No translation of line ends: the hashes of the scripts hold for these bytes.
        write_whole(target, render(content_of(self)).encode())
        return target
