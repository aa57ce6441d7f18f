"""Method cards: what each explainer of the run is, needs and costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from uproar.report.cast import Cast
from uproar.report.records import Record, Report
from uproar.report.section import Context
from uproar.report.wording import amount, duration, is_missing


@dataclass(frozen=True)
class Card:
    """One explainer: its summary, short marks, and what is known of it, each with its term."""

    name: str
    summary: str
    marks: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]


def view(context: Context) -> dict[str, Any] | None:
    """Return the cards; None where the explainers were not described."""
    found = cards(context.report, context.cast)
    return {"cards": found} if found else None


def cards(report: Report, cast: Cast) -> tuple[Card, ...]:
    """Return a card for every explainer that is described, in the order of the cast."""
    return tuple(
        _card(report.described[name], name, report.seconds.get(name), report.passes.get(name))
        for name in cast.ordered
        if name in report.described
    )


def _card(row: Record, name: str, seconds: float | None, passes: float | None) -> Card:
    of_function = row["scope"] == "global"
    facts = (
        ("Explains", _explains(of_function)),
        ("Estimates", _text(row, "estimand")),
        ("Kind", _kind(row)),
        ("Sign", _sign(of_function) if row["signed"] else "unsigned"),
        ("Needs", _needs(row)),
        ("Data", _text(row, "data_kinds")),
        ("Promises", _text(row, "promises")),
        ("Parameters", _text(row, "parameters")),
        ("Passes, predicted", _predicted(row)),
        ("Passes, counted", _counted(passes, of_function)),
        ("Time", "" if is_missing(seconds) else duration(seconds)),
        ("Reference", _text(row, "paper")),
    )
    marks = ("function" if of_function else "decisions", str(row["kind"]))
    known = tuple(fact for fact in facts if fact[1])
    return Card(name, str(row["summary"]), marks, known)


def _explains(of_function: bool) -> str:
    if of_function:
        return "the function: one importance for every feature, the same for all examples"
    return "decisions: an importance for every feature of every example"


def _sign(of_function: bool) -> str:
    return "signed: may be below zero" if of_function else "signed: for and against"


def _kind(row: Record) -> str:
    return "control: known not to explain the model" if row["kind"] == "control" else ""


def _needs(row: Record) -> str:
    needs = _text(row, "needs")
    extra = _text(row, "extra")
    return f'{needs}; pip install "uproar[{extra}]"' if extra else needs


def _predicted(row: Record) -> str:
    formula = _text(row, "formula")
    if not formula:
        return ""
    number = amount(row.get("predicted"))
    return number if formula == number else f"{number} = {formula}"


def _counted(passes: float | None, of_function: bool) -> str:
    if is_missing(passes):
        return ""
    return f"{amount(passes)} for each {'held-out example' if of_function else 'example'}"


def _text(row: Record, key: str) -> str:
    told: Any = row.get(key)
    return told if isinstance(told, str) else ""
