"""A run as it lies in its folder: tables, leaderboard, figures, report; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from uproar.conclusions import VERSION, Conclusions, conclude
from uproar.intervals import score_interval
from uproar.job import Job, digests_of, read_all
from uproar.plan import Plan
from uproar.results import evidence, tidy
from uproar.run.cell import Cell, Outcome
from uproar.run.files import write_whole
from uproar.run.store import Store
from uproar.spec import Spec
from uproar.types import UproarError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What orders the leaderboard: the first of these that was measured.
BEST_FIRST = ("retrain_once_gain", "roar_gain", "kar_gain", "no_retrain_gain")
LEADERBOARD_SCORES = ("roar", "kar", "retrain-once", "no-retrain")


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
        """Outcomes of the explanations."""
        return read_all(self.plan.explain_jobs(), self.store)

    @cached_property
    def jobs(self) -> list[Job]:
        """All jobs that can be known by now: those of explainers that are not explained are not."""
        plan = self.plan
        shared = [plan.data_job(), *plan.base_jobs, *plan.once_jobs(), *plan.end_jobs()]
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
        # Where the models of retrain-once cannot be trained, none of its curves can be measured.
        never = {job.removal for job in self.plan.once_jobs() if job.cell.key in skipped}
        unfinished = [job for job in self.jobs if job not in self.outcomes]
        return all(
            job.cell.key in skipped or (job.protocol == "retrain-once" and job.removal in never)
            for job in unfinished
        )

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
        facts = self.data_facts.values
        correct = np.stack([outcome.arrays["scores/test"] for outcome in self.bases])
        accuracy, low, high = (float(value[0]) for value in score_interval(correct[None]))
        found = conclude(
            self.spec,
            evidence(self.plan, self.outcomes),
            majority_rate=facts["majority_rate"],
            base_accuracy=accuracy,
        )
        values = {"tables": found.to_json(), "base_accuracy": [accuracy, low, high]}
        self.store.write(cell, Outcome(values))
        return found, (accuracy, low, high)

    def leaderboard(self, removal: str | None = None) -> pd.DataFrame:
        """Return one row per explainer, best first: by retrain-once, else by ROAR, KAR, no-retrain.

        ``verdict`` is ROAR's, or that of the first protocol that was run where ROAR was not.
        ``mask_only_accuracy`` is the largest over the fractions.

        :param removal: which removal; the first of the spec if not given.
        :raises UproarError: when the run has no such removal.
        """
        removal = self.spec.removals[0] if removal is None else removal
        if removal not in self.spec.removals:
            raise UproarError(f"removal {removal!r} was not run: {', '.join(self.spec.removals)}")
        gains = self.conclusions.gains.query("removal == @removal")
        board = pd.DataFrame({"explainer": self._finished})
        kinds = {name: entry.kind for name, entry in self.plan.entries.items()}
        board["kind"] = board["explainer"].map(kinds)
        for score in LEADERBOARD_SCORES:
            rows = gains.query("protocol == @score").set_index("explainer")
            for column in ("gain", "low", "high"):
                name = f"{score.replace('-', '_')}_{column}"
                board[name] = board["explainer"].map(rows[column]).astype(float)
        worst = self.conclusions.leaks.groupby("explainer")["accuracy"].max()
        board["mask_only_accuracy"] = board["explainer"].map(worst).astype(float)
        judged = gains[gains["protocol"] == self.judging]
        verdicts = judged.set_index("explainer")["verdict"]
        board["verdict"] = [verdicts.get(name, "not measured") for name in board["explainer"]]
        board["explain_seconds"] = board["explainer"].map(self._explain_seconds())
        best = next((name for name in BEST_FIRST if board[name].notna().any()), BEST_FIRST[0])
        return board.sort_values(best, ascending=False, kind="stable", ignore_index=True)

    @property
    def judging(self) -> str:
        """The protocol whose verdicts the leaderboard shows; empty when there are none."""
        return next(iter(self.conclusions.gains["protocol"]), "")

    @property
    def _finished(self) -> list[str]:
        explained = {member for job in self.explained for member in job.members}
        return [name for name in self.spec.explainers if name in explained]

    def _explain_seconds(self) -> dict[str, float]:
        """Return the mean seconds over base models that each explainer would take alone."""
        seconds: dict[str, list[float]] = {}
        for job, outcome in self.explained.items():
            for member in job.members:
                seconds.setdefault(member, []).append(outcome.seconds[member])
        return {member: float(np.mean(values)) for member, values in seconds.items()}

    @property
    def data_facts(self) -> Outcome:
        """What is known of the data, and the inputs that the gallery shows."""
        found = self.outcomes.get(self.plan.data_job())
        if found is None or not self.bases:
            raise UproarError(f"{self.out} has nothing to report yet; `uproar run` finishes it")
        return found

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
        """What weakens the conclusions."""
        notes, protocols = [], self.spec.protocols
        if "mask-only" not in protocols and {"roar", "kar"} & set(protocols):
            notes.append("mask-only was not run: verdicts of ROAR and KAR are without leak control")
        if not self.complete:
            notes.append("the run is not finished: `uproar run` continues it")
        return tuple(notes)

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
        from uproar.presentation import content_of
        from uproar.report.quote import quote
        from uproar.report.records import report_of

        return quote(report_of(content_of(self)))

    def plot(self, removal: str | None = None) -> Figure:
        """Return a matplotlib figure of all curves with their intervals, for papers."""
        from uproar.presentation import figure

        return figure(self, removal)

    def to_latex(self, removal: str | None = None) -> str:
        """Return the leaderboard as a LaTeX table (booktabs)."""
        from uproar.presentation import latex

        return latex(self, removal)

    def to_html(self, path: str | Path | None = None) -> Path:
        """Write the report, a page that opens offline, and return where; ``report.html`` in out.

        :raises UproarError: when nothing is finished yet, or the page cannot be written.
        """
        from uproar.presentation import content_of
        from uproar.report.html import render

        target = self.out / "report.html" if path is None else Path(path)
        # No translation of line ends: the hashes of the scripts hold for these bytes.
        write_whole(target, render(content_of(self)).encode())
        return target
