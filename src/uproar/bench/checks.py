"""What has to hold before a run starts, or goes on."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from uproar.dataset import Data
from uproar.plan.job import Job, ranking_cell
from uproar.plan.plan import Plan
from uproar.plan.spec import Spec
from uproar.remove import REMOVALS
from uproar.run.cell import Outcome
from uproar.run.store import Store
from uproar.types import KINDS, Kind, UproarError

# A base model whose validation accuracy a lucky majority guess would reach this often has learned
# nothing.
LEARNED_NOTHING = 0.01


def fitting_removals(kind: Kind) -> list[str]:
    """Return the removals that fit a kind of data."""
    return [entry.name for entry in REMOVALS if entry.fits(kind)]


def check_removals(spec: Spec, kind: Kind) -> None:
    """Refuse a removal that does not fit the data.

    :raises UproarError: with those that do.
    """
    fitting = fitting_removals(kind)
    for name in spec.removals:
        if name not in fitting:
            raise UproarError(
                f"removal {name!r} does not fit {KINDS[kind].plural}; choose from "
                f"{', '.join(fitting)}"
            )


def forget_incomplete(plan: Plan, store: Store) -> None:
    """Discard explanations that have to be made again.

    Those whose rankings are missing or damaged; and those of callables, since nobody can tell
    whether a callable still does what it did. Retraining is keyed by the ranking that comes of it,
    and is not repeated in vain.
    """
    for job in plan.explain_jobs():
        known = store.read(job.cell)
        if known is None:
            continue
        digests = known.values["digests"].values()
        whole = all(store.read(ranking_cell(digest)) is not None for digest in digests)
        if not whole or job.base_explainer in plan.spec.callables:
            store.discard(job.cell)


def stop_if_failed(plan: Plan, store: Store, outcomes: Mapping[Job, Outcome]) -> None:
    """Raise the first failure of what everything else rests on."""
    missing = {job.cell for job in (*plan.data_jobs, *plan.base_jobs) if job not in outcomes}
    for cell, failure in store.failures():
        if cell in missing:
            raise UproarError(f"{cell.label or cell.kind} failed: {failure.error}")


def check_learned(plan: Plan, outcomes: Mapping[Job, Outcome], data: Data) -> None:
    """Stop when base models are no better than a constant answer: explanations mean nothing then.

    A one-sided test at level 0.01, on validation examples; of several base models twice the median
    of their p-values, which errs no more often however alike they are. A single one of these that
    has learned nothing is left to the verdicts, which are not given where one is no better on test.

    :raises UproarError: with the score, and the one that it was compared with.

    Rüger 1978, "Das maximale Signifikanzniveau des Tests".
    """
    luck = [float(outcomes[job].values["luck"]) for job in plan.base_jobs]
    together = median(luck) * (1 if len(luck) == 1 else 2)
    if together <= LEARNED_NOTHING:
        return
    job = plan.base_jobs[luck.index(max(luck))]
    seen = outcomes[job].values["validation"]
    what = "accuracy" if data.task == "classification" else "R²"
    other = "the majority class" if data.task == "classification" else "the mean"
    raise UproarError(
        f"{job.cell.label} learned nothing: validation {what} {seen['score']:.3f} on "
        f"{seen['examples']} examples, no better than {other} alone; change the recipe or the model"
    )
