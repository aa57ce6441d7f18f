"""The header: the sentence to quote, verdicts counted, what was measured on what, how often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from uproar.report.cast import shown_protocols
from uproar.report.quote import quote
from uproar.report.records import Report, matching, removals
from uproar.report.score import score_of
from uproar.report.section import Context
from uproar.report.verdicts import RANDOM, VERDICTS, Verdict, counted
from uproar.report.wording import compact, count, is_missing

Fact = tuple[str, str, str]  # term, value, smaller note


def view(context: Context) -> dict[str, Any]:
    """Return what stands above the sections."""
    report = context.report
    operators = removals(report)
    return {
        "data": report.content.data.get("name", "data"),
        "model": report.content.model.get("name", "model"),
        "quote": quote(report),
        "tallies": tallies(report, operators[0]) if operators else [],
        "facts": facts(report),
        "removals": operators,
    }


def facts(report: Report) -> list[Fact]:
    """Return the facts that are known, each as term, value and note."""
    data = report.content.data
    score = score_of(data)
    candidates = (
        _data(report),
        _model(report),
        (
            score.reference_title,
            score.text(data.get("majority_rate")),
            "always the same answer",
        ),
        _explainers(report),
        ("Repeats", str(report.repeats or ""), "retrainings per point"),
        _base_models(report),
        ("Fractions", _fractions(report), "of features, removed or kept"),
    )
    return [fact for fact in candidates if fact[1] and fact[1] != "\N{EN DASH}"]


def tallies(report: Report, removal: str | None) -> list[tuple[str, int, list[Tally]]]:
    """Return, per protocol, how many explainers were judged and how many got each verdict."""
    found = []
    for protocol in shown_protocols(report, removal):
        rows = matching(report.gains, protocol=protocol.name, removal=removal)
        counts = counted(row for row in rows if row["explainer"] != RANDOM)
        parts = [(verdict, counts[verdict.key]) for verdict in VERDICTS if counts[verdict.key]]
        if parts:
            found.append((protocol.title, sum(amount for _, amount in parts), parts))
    return found


Tally = tuple[Verdict, int]


def _base_models(report: Report) -> Fact:
    folds = int(report.content.data.get("folds") or 1)
    if folds > 1:
        return "Folds", str(folds), "each tested by a base model that never saw it"
    return (
        "Base models",
        _known(report.content.model.get("base_models")),
        "trained models explained",
    )


def _known(value: object) -> str:
    return "" if value is None else str(value)


def _data(report: Report) -> Fact:
    data = report.content.data
    folds = int(data.get("folds") or 1)
    classes = data.get("classes")
    amount = (
        len(classes) if isinstance(classes, Sequence) and not isinstance(classes, str) else classes
    )
    sizes = [data.get(split) for split in ("train", "validation", "test")]
    notes = []
    if all(size is not None for size in sizes):
        parts = " / ".join(f"{size:,}" for size in sizes)
        notes.append(f"{parts} examples" + (" in the first fold" if folds > 1 else ""))
    notes += shapes(data)
    if score_of(data).regression:
        notes.append("a value to predict")
    elif amount is not None:
        notes.append(f"{amount} classes")
    return "Data", _known(data.get("name")), ", ".join(notes)


def shapes(data: Mapping[str, Any]) -> list[str]:
    """Return what one example is made of, in the words of its kind.

    >>> shapes({"kind": "image", "input_shape": (3, 32, 32), "features": 64, "patch": 4})
    ['32 × 32 × 3 pixels', '64 features, patches of 4 × 4']
    >>> shapes({"kind": "text", "input_shape": (64,), "features": 64, "vocabulary": 9000})
    ['up to 64 tokens', 'vocabulary of 9,000']
    >>> shapes({"kind": "table", "features": 11})
    ['11 features']
    """
    shape, features = tuple(data.get("input_shape") or ()), data.get("features")
    kind, patch = data.get("kind"), int(data.get("patch") or 1)
    known = [] if features is None else [f"{features:,} features"]
    if kind == "image" and len(shape) == 3:
        channels = f" × {shape[0]}" if shape[0] > 1 else ""
        if patch > 1:
            known = [f"{text}, patches of {patch} × {patch}" for text in known]
        return [f"{shape[1]} × {shape[2]}{channels} pixels", *known]
    if kind == "text" and len(shape) == 1:
        words = data.get("vocabulary")
        return [f"up to {shape[0]:,} tokens", *([f"vocabulary of {words:,}"] if words else [])]
    if kind == "series" and len(shape) == 2:
        return [f"{count(shape[0], 'channel', 'channels')} × {shape[1]:,} steps", *known]
    if kind == "table" and len(shape) == 1 and features is not None:
        encoded = [] if shape[0] == features else [f"encoded as {shape[0]:,} values"]
        return [f"{features:,} columns", *encoded]
    return known


def _model(report: Report) -> Fact:
    model, score = report.content.model, score_of(report.content.data)
    notes = []
    if not is_missing(model.get("accuracy")):
        text = score.described(model["accuracy"])
        if not is_missing(model.get("low")) and not is_missing(model.get("high")):
            text += f" ({score.interval(model['low'], model['high'])})"
        notes.append(text)
    if not is_missing(model.get("mse")):
        notes.append(f"mean squared error {compact(model['mse'])}")
    if not is_missing(model.get("parameters")):
        notes.append(f"{int(model['parameters']):,} parameters")
    return "Model", _known(model.get("name")), ", ".join(notes)


def _explainers(report: Report) -> Fact:
    judged = {str(row["explainer"]) for row in report.gains}
    judged |= {str(row["explainer"]) for row in report.leaderboard}
    note = "random included" if RANDOM in judged else "besides random"
    of_function = len(judged & report.of_function)
    if of_function:
        note += f", {of_function} of the function"
    return "Explainers", str(len(judged)) if judged else "", note


def _fractions(report: Report) -> str:
    shares = sorted({float(row["fraction"]) for row in report.curves})
    inner = [share for share in shares if 0 < share < 1] or shares
    if len(inner) > 6:
        return f"{len(inner)} from {inner[0]:g} to {inner[-1]:g}"
    return ", ".join(f"{share:g}" for share in inner)
