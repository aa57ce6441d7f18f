"""The sentence to quote: what was found, in words that hold without the page."""

from __future__ import annotations

from uproar.report.cast import ranking_protocol
from uproar.report.records import Record, Report, matching, removals
from uproar.report.score import score_of
from uproar.report.verdicts import RANDOM, counted
from uproar.report.wording import count, interval, is_missing, number


def quote(report: Report) -> str:
    """Return one to three sentences composed of the content's numbers only."""
    operators = removals(report)
    removal = operators[0] if operators else None
    subject = _subject(report, removal if len(operators) > 1 else None)
    gains = matching(report.gains, removal=removal)
    roar = _judged(gains, "roar")
    once = _judged(gains, "retrain-once")
    if not roar and not once:
        return _without_both(report, subject, gains)
    sentences = [f"{subject}, {_roar(roar)}"] if roar else []
    if once:
        opening = "Under retrain-once, which leaks far less," if roar else f"{subject},"
        closing = "" if roar else " under retrain-once"
        sentences.append(f"{opening} {_beating(once)}{closing}; {_best(report, once)}")
    elif _beaten(roar):
        sentences.append(f"By ROAR, {_best(report, roar)}")
    return " ".join(sentences)


def _without_both(report: Report, subject: str, gains: list[Record]) -> str:
    """Return what a run can say that has neither ROAR nor retrain-once."""
    kar = _judged(gains, "kar")
    untouched = _judged(gains, "no-retrain")
    if kar:
        return f"{subject}, {_beating(kar)} under KAR; {_best(report, kar)}"
    if untouched:
        return (
            f"{subject}, {_beating(untouched)} without retraining; {_best(report, untouched)} "
            "The model was not made for inputs without some features, so that this is weak "
            "evidence."
        )
    return f"{subject}, neither ROAR nor retrain-once was run, so that there is no verdict."


def _judged(gains: list[Record], protocol: str) -> list[Record]:
    """Return the rows of the explainers that were compared with random."""
    return [row for row in matching(gains, protocol=protocol) if row["explainer"] != RANDOM]


def _subject(report: Report, removal: str | None) -> str:
    data = report.content.data.get("name", "the data")
    model = report.content.model.get("name", "the model")
    accuracy = report.content.model.get("accuracy")
    score = score_of(report.content.data)
    described = model if is_missing(accuracy) else f"{model}, {score.described(accuracy)}"
    operator = f" with removal by {removal}" if removal else ""
    return f"On {data} ({described}){operator}"


def _roar(rows: list[Record]) -> str:
    counts = counted(rows)
    better = counts["better"]
    text = (
        f"{better} of {count(len(rows), 'explainer', 'explainers')} "
        f"{'was' if better == 1 else 'were'} shown better than random by ROAR, "
        f"{counts['alike']} indistinguishable, {counts['worse']} worse"
    )
    if counts["withheld"]:
        text += (
            f"; for {counts['withheld']} ROAR cannot say, because the shape of the mask alone "
            "predicts the label"
        )
    return text + "."


def _beaten(rows: list[Record]) -> int:
    return counted(rows)["better"]


def _beating(rows: list[Record]) -> str:
    better = _beaten(rows)
    if not better:
        return f"none of {count(len(rows), 'explainer', 'explainers')} beats random"
    return f"{better} of {len(rows)} {'beats' if better == 1 else 'beat'} random"


def _best(report: Report, rows: list[Record]) -> str:
    """Name the explainer with the largest gain, and how many it cannot be told from."""
    judged = [row for row in rows if not is_missing(row["gain"])]
    judged = [row for row in judged if not str(row.get("verdict")).startswith("withheld")]
    if not judged:
        return "no gain could be computed."
    best = max(judged, key=lambda row: float(row["gain"]))
    facts = [f"gain {_precise(best['gain'])}"]
    if not is_missing(best.get("low")) and not is_missing(best.get("high")):
        digits = _digits(best["gain"])
        facts.append(
            f"95\N{NO-BREAK SPACE}% interval {interval(best['low'], best['high'], digits)}"
        )
    repeats = _repeats(report)
    if repeats:
        facts.append(count(repeats, "repeat", "repeats"))
    rivals = _rivals(report, str(best["explainer"]))
    hedge = f", though {count(rivals, 'other', 'others')} cannot be told from it" if rivals else ""
    name = str(best["explainer"])
    return f"{name}{_what(report, name)} is best ({', '.join(facts)}){hedge}."


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


def _repeats(report: Report) -> int:
    counts = [row.get("repeats") for row in report.curves if row["protocol"] != "no-retrain"]
    return max((int(str(value)) for value in counts if not is_missing(value)), default=0)


def _rivals(report: Report, name: str) -> int:
    """Return how many explainers the test of pairs cannot tell from ``name``."""
    pairs = matching(report.pairs, protocol=ranking_protocol(report))
    ours = [row for row in pairs if name in {row["first"], row["second"]}]
    return sum(not row["distinguishable"] for row in ours)
