"""The sentence to quote: what was found, in words that hold without the page."""

from __future__ import annotations

from uproar.report.cast import ranking_protocol, shown_protocols
from uproar.report.protocols import Protocol
from uproar.report.records import Record, Report, matching, removals
from uproar.report.score import score_of
from uproar.report.verdicts import (
    RANDOM,
    REASONS,
    UNTESTED,
    WITHHELD,
    Verdict,
    counted,
    has_verdict,
    verdict_of,
)
from uproar.report.wording import count, interval, is_missing, number, trained


def quote(report: Report) -> str:
    """Return one to three sentences composed of the content's numbers only.

    The protocol that orders the page is spoken of. Before it comes the first that retrains on what
    explainers remove, for whose verdicts the leaks matter.
    """
    operators = removals(report)
    removal = operators[0] if operators else None
    subject = _subject(report, removal)
    first = ranking_protocol(report, removal)
    if first is None:
        return f"{subject}, no explainer was compared with random, so that there is no verdict."
    leading = _judged(report, first, removal)
    readers = [one for one in shown_protocols(report, removal) if one.reads_removed]
    reader = min(readers, key=lambda one: one.ordering, default=None)
    if reader is None:
        return f"{subject}, {_alone(report, first, leading)}"
    sentences = [f"{subject}, {_with_leaks(reader, _judged(report, reader, removal))}"]
    if reader != first:
        leaks = "" if first.reads_own_masks else ", which leaks far less"
        sentences.append(f"Under {first.short}{leaks}, {_finding(report, leading)}")
    elif counted(leading)["better"]:
        sentences.append(f"By {first.short}, {_best(report, leading)}.")
    return " ".join(sentences)


def _alone(report: Report, protocol: Protocol, rows: list[Record]) -> str:
    """Return what is said where no protocol retrains on what explainers remove."""
    if protocol.retrains:
        return _finding(report, rows, f" under {protocol.short}")
    finding = _finding(report, rows, " without retraining")
    if not any(map(has_verdict, rows)):
        return finding
    return (
        f"{finding} The model was not made for inputs without some features, so that this is weak "
        "evidence."
    )


def _judged(report: Report, protocol: Protocol, removal: str | None) -> list[Record]:
    """Return the rows of the explainers that were compared with random."""
    rows = matching(report.gains, protocol=protocol.name, removal=removal)
    return [row for row in rows if row["explainer"] != RANDOM]


def _subject(report: Report, removal: str | None) -> str:
    data = report.content.data.get("name", "the data")
    model = report.content.model.get("name", "the model")
    accuracy = report.content.model.get("accuracy")
    score = score_of(report.content.data)
    described = model if is_missing(accuracy) else f"{model}, {score.described(accuracy)}"
    return f"On {data} ({'; '.join([described, *_drawn(report, removal)])})"


def _drawn(report: Report, removal: str | None) -> list[str]:
    """Return what was drawn or chosen once, and would be other numbers if it were others."""
    seed, bases = report.content.data.get("seed"), report.content.model.get("base_models")
    facts = [
        "" if seed is None else f"split seed {seed}",
        "" if bases is None else trained(int(bases), int(report.content.data.get("folds") or 1)),
        count(report.repeats, "repeat", "repeats") if report.repeats else "",
        f"removal by {removal}" if removal else "",
    ]
    known = [fact for fact in facts if fact]
    return [", ".join(known)] if known else []


def _with_leaks(protocol: Protocol, rows: list[Record]) -> str:
    counts = counted(rows)
    better = counts["better"]
    text = (
        f"{better} of {count(len(rows), 'explainer', 'explainers')} "
        f"{'was' if better == 1 else 'were'} shown better than random by {protocol.short}, "
        f"{counts['alike']} indistinguishable, {counts['worse']} worse"
    )
    if counts["withheld"]:
        text += (
            f"; for {counts['withheld']} {protocol.short} cannot say, because the shape of the "
            "mask alone predicts the label, or is not proven not to"
        )
    if counts["untested"]:
        text += f"; {_told(rows, UNTESTED)}"
    return text + "."


def _finding(report: Report, rows: list[Record], under: str = "") -> str:
    """Return how many explainers beat random, which is best, and which have no verdict and why."""
    silent = ", ".join(_told(rows, one) for one in (WITHHELD, UNTESTED) if counted(rows)[one.key])
    if not any(map(has_verdict, rows)):
        return f"no explainer has a verdict{under}{silent and f': {silent}'}."
    parts = [f"{_beating(rows)}{under}", _best(report, rows), silent]
    return f"{'; '.join(filter(None, parts))}."


def _told(rows: list[Record], verdict: Verdict) -> str:
    """Return how many explainers have no verdict, and why: 2 not tested (one repeat)."""
    alike = [row for row in rows if verdict_of(row).key == verdict.key]
    reasons = dict.fromkeys(REASONS[row["reason"]] for row in alike)
    return f"{len(alike)} {verdict.short} ({', '.join(reasons)})"


def _beating(rows: list[Record]) -> str:
    better = counted(rows)["better"]
    if not better:
        return f"none of {count(len(rows), 'explainer', 'explainers')} beats random"
    return f"{better} of {len(rows)} {'beats' if better == 1 else 'beat'} random"


def _best(report: Report, rows: list[Record]) -> str:
    """Name the explainer with the largest gain, and how many it cannot be told from."""
    judged = [row for row in rows if has_verdict(row)]
    best = max(judged, key=lambda row: float(row["gain"]))
    facts = [f"gain {_precise(best['gain'])}"]
    if not is_missing(best.get("low")) and not is_missing(best.get("high")):
        digits = _digits(best["gain"])
        ends = interval(best["low"], best["high"], digits)
        alone = " for this model" if report.content.model.get("base_models") == 1 else ""
        facts.append(f"95\N{NO-BREAK SPACE}% interval{alone} {ends}")
    rivals = _rivals(report, str(best["explainer"]))
    hedge = f", though {count(rivals, 'other', 'others')} cannot be told from it" if rivals else ""
    name = str(best["explainer"])
    return f"{name}{_what(report, name)} is best ({', '.join(facts)}){hedge}"


def _what(report: Report, name: str) -> str:
    """Return what has to be known of the best explainer, where it is not one of decisions."""
    alike = "one ranking for all examples" if name in report.of_function else ""
    if str(report.described.get(name, {}).get("summary", "")).startswith("known answer"):
        control = "a known answer of the data"
    elif name.startswith("untrained-"):
        control = "a control that explains random weights"
    else:
        control = "a control" if report.is_control(name) else ""
    told = " and ".join(filter(None, (control, alike)))
    return f", {told}," if told else ""


def _digits(gain: float) -> int:
    return 2 if abs(gain) >= 0.1 else 3


def _precise(gain: float) -> str:
    return number(gain, _digits(gain))


def _rivals(report: Report, name: str) -> int:
    """Return how many explainers the test of pairs cannot tell from ``name``."""
    protocol = ranking_protocol(report)
    pairs = matching(report.pairs, protocol=protocol.name) if protocol else []
    ours = [row for row in pairs if name in {row["first"], row["second"]}]
    return sum(not row["distinguishable"] for row in ours)
