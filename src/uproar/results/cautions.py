"""What weakens the conclusions of a run, why it has none, and what would make them sharper."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from uproar.protocols import best_first, can_leak, leak_control
from uproar.report.effort import comes_from, next_step
from uproar.results.ties import MANY
from uproar.stats.verdicts import LEARNED_NOTHING, TIED_REFERENCE

if TYPE_CHECKING:
    from uproar.results.conclusions import Conclusions
    from uproar.results.result import Result

NO_VERDICTS = {
    LEARNED_NOTHING: "no verdicts: on test the model is no better than always the best answer",
    TIED_REFERENCE: "no verdicts: random gives features equal importance, and is not random",
}


def cautions_of(result: Result) -> tuple[str, ...]:
    """Return what a reader of the verdicts has to know, in one line each, the gravest first."""
    said = set(result.conclusions.gains["reason"])
    reasons = [note for reason, note in NO_VERDICTS.items() if reason in said]
    return (*reasons, *_of_protocols(result), *_of_ties(result), *_of_the_end(result))


def _of_protocols(result: Result) -> Iterator[str]:
    """Say what the verdicts lack of protocols that were measured: the leak control, or repeats."""
    control, run = leak_control(), result.plan.protocols
    # Not those that are skipped: a model that was trained before is not trained for them.
    measured = set(result.conclusions.gains["protocol"])
    judged = [protocol for protocol in run if protocol.name in measured]
    if control not in run and any(protocol.reads_own_masks for protocol in judged):
        yield f"{control.name} was not run: {can_leak()} have no verdicts without it"
    if all(protocol.asks == "base model" for protocol in judged):
        return  # nothing was trained, so that there was nothing to repeat
    bases, repeats = result.spec.base_models, result.spec.repeats
    if repeats == 1:
        yield "one repeat: nobody knows how another would end, so what is retrained has no verdict"
    elif 2 in {bases, repeats}:
        what = "repeats" if repeats == 2 else "base models"
        yield f"two {what}: their spread is hardly known, which makes intervals wide"


def _of_ties(result: Result) -> Iterator[str]:
    tied = [f"{name} {share:.0%}" for name, share in result.tied.items() if share > MANY]
    if tied:
        yield (
            "a cut falls between features of equal importance, and ties are broken at random, "
            f"in these shares of the test examples: {', '.join(tied)}"
        )


def _of_the_end(result: Result) -> Iterator[str]:
    if not result.complete:
        yield "the run is not finished: `uproar run` continues it"


def next_step_of(found: Conclusions) -> str:
    """Return where the error of the protocol that is believed most comes from, and what helps."""
    for protocol in best_first():
        rows = found.error[found.error["protocol"] == protocol.name].to_dict("records")
        if rows:
            said = [{str(key): value for key, value in row.items()} for row in rows]
            return " ".join(filter(None, (comes_from(said), next_step(said))))
    return ""
