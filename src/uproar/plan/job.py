"""The unit of a plan: a cell, and what it is about; imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from uproar.run.cell import Cell, Outcome
from uproar.run.store import Store

ALL = "all"  # the explainer of what all explainers share: the points where nothing or all is gone
ENDS = (0.0, 1.0)
# Arrays of an explanation, by explainer: importance of the examples that are kept, and where test
# examples could only be cut between equal features, packed into bits.
KEPT, TIES = "kept/", "ties/"


@dataclass(frozen=True)
class Job:
    """A cell, and what it is about. ``weight`` counts epochs of training, for time estimates.

    ``base`` is the number of the base model; where there are folds, it is that of its fold.
    ``asked`` is the key of the cell of the models that it asks, where a protocol has them trained
    once for all explainers.
    """

    cell: Cell
    weight: float
    trainings: int = 0
    base: int = 0
    explainer: str = ALL
    family: str = ""
    base_explainer: str = ""
    members: tuple[str, ...] = ()
    removal: str = ""
    protocol: str = ""
    ranking: str = ""
    fractions: tuple[float, ...] = ()
    asked: str = ""

    @property
    def kind(self) -> str:
        """Kind of the cell."""
        return self.cell.kind

    @property
    def slot(self) -> Cell:
        """Stands for the job in progress displays, which start before rankings are known."""
        fields = {
            "kind": self.kind,
            "base": self.base,
            "explainer": self.explainer,
            "family": self.family,
            "removal": self.removal,
        }
        return Cell("slot", fields, self.cell.label)


def of_base(explainer: str, base: int) -> str:
    """Return what labels call an explainer; the first base model goes without saying."""
    return f"{explainer}, base model {base}" if base else explainer


Digests = Mapping[tuple[int, str], str]  # (base model, explainer) -> digest of its ranking


def digests_of(outcomes: Mapping[Job, Outcome]) -> dict[tuple[int, str], str]:
    """Return the ranking digests that explained families report, in the order of the jobs."""
    return {
        (job.base, member): outcome.values["digests"][member]
        for job, outcome in outcomes.items()
        for member in job.members
    }


def read_all(jobs: Sequence[Job], store: Store) -> dict[Job, Outcome]:
    """Return the outcomes that the store has of the jobs."""
    found = {job: store.read(job.cell) for job in jobs}
    return {job: outcome for job, outcome in found.items() if outcome is not None}


def read_explained(jobs: Sequence[Job], store: Store, *, kept: int) -> dict[Job, Outcome]:
    """Return the explanations that the store has, with the first of the examples that they keep.

    All that is kept of large images takes gigabytes, which readers of one at a time do not.
    """
    found = ((job, store.read(job.cell)) for job in jobs)
    return {job: _shortened(outcome, kept) for job, outcome in found if outcome is not None}


def _shortened(outcome: Outcome, kept: int) -> Outcome:
    arrays = {
        name: array[:kept].copy() if name.startswith(KEPT) else array
        for name, array in outcome.arrays.items()
    }
    return replace(outcome, arrays=arrays)


def ranking_cell(digest: str) -> Cell:
    """Return the cell that holds the ranks of train and test with this digest.

    Rankings are stored apart from the explanations that they come from, so that each is read
    alone; and once, however many explainers rank alike.
    """
    return Cell("ranking", {"digest": digest}, "ranking")
