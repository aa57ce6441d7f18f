"""The row of facts below the header: what was measured on what, how often."""

from __future__ import annotations

from collections.abc import Sequence

from uproar.report.records import Report, matching
from uproar.report.verdicts import RANDOM, VERDICTS, Verdict, counted
from uproar.report.wording import interval, is_missing, percent

Fact = tuple[str, str, str]  # term, value, smaller note


def facts(report: Report) -> list[Fact]:
    """Return the facts that are known, each as term, value and note."""
    data, model = report.content.data, report.content.model
    candidates = (
        _data(report),
        _model(report),
        (
            "Majority rate",
            percent(data.get("majority_rate")),
            "always the same answer",
        ),
        _explainers(report),
        ("Repeats", _most_repeats(report), "retrainings per point"),
        (
            "Base models",
            _known(model.get("base_models")),
            "trained models explained",
        ),
        ("Fractions", _fractions(report), "of features, removed or kept"),
    )
    return [fact for fact in candidates if fact[1] and fact[1] != "\N{EN DASH}"]


def tallies(report: Report, removal: str | None) -> list[tuple[str, int, list[Tally]]]:
    """Return, per protocol, how many explainers were judged and how many got each verdict."""
    found = []
    for protocol, name in (("roar", "ROAR"), ("kar", "KAR"), ("retrain-once", "Retrain-once")):
        rows = matching(report.gains, protocol=protocol, removal=removal)
        counts = counted(row for row in rows if row["explainer"] != RANDOM)
        parts = [(verdict, counts[verdict.key]) for verdict in VERDICTS if counts[verdict.key]]
        if parts:
            found.append((name, sum(amount for _, amount in parts), parts))
    return found


Tally = tuple[Verdict, int]


def _known(value: object) -> str:
    return "" if value is None else str(value)


def _data(report: Report) -> Fact:
    data = report.content.data
    classes = data.get("classes")
    amount = (
        len(classes) if isinstance(classes, Sequence) and not isinstance(classes, str) else classes
    )
    sizes = [data.get(split) for split in ("train", "validation", "test")]
    notes = []
    if all(size is not None for size in sizes):
        notes.append(" / ".join(f"{size:,}" for size in sizes) + " examples")
    if data.get("features") is not None:
        notes.append(f"{data['features']} features")
    if amount is not None:
        notes.append(f"{amount} classes")
    return "Data", _known(data.get("name")), ", ".join(notes)


def _model(report: Report) -> Fact:
    model = report.content.model
    notes = []
    if not is_missing(model.get("accuracy")):
        text = f"{percent(model['accuracy'])} accurate"
        if not is_missing(model.get("low")) and not is_missing(model.get("high")):
            low, high = 100 * float(model["low"]), 100 * float(model["high"])
            text += f" ({interval(low, high, 1)})"
        notes.append(text)
    if not is_missing(model.get("parameters")):
        notes.append(f"{int(model['parameters']):,} parameters")
    return "Model", _known(model.get("name")), ", ".join(notes)


def _explainers(report: Report) -> Fact:
    judged = {str(row["explainer"]) for row in report.gains}
    judged |= {str(row["explainer"]) for row in report.leaderboard}
    note = "random included" if RANDOM in judged else "besides random"
    return "Explainers", str(len(judged)) if judged else "", note


def _most_repeats(report: Report) -> str:
    counts = [row.get("repeats") for row in report.curves]
    known = [int(str(value)) for value in counts if not is_missing(value)]
    return str(max(known)) if known else ""


def _fractions(report: Report) -> str:
    shares = sorted({float(row["fraction"]) for row in report.curves})
    inner = [share for share in shares if 0 < share < 1] or shares
    if len(inner) > 6:
        return f"{len(inner)} from {inner[0]:g} to {inner[-1]:g}"
    return ", ".join(f"{share:g}" for share in inner)
