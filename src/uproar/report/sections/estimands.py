"""What explainers of the function estimate, and where their answers differ."""

from __future__ import annotations

from dataclasses import dataclass

from uproar.report.cast import Cast
from uproar.report.charts import Figure, matrix
from uproar.report.plotly_text import label
from uproar.report.records import Report
from uproar.report.wording import is_missing, number

LOW = 0.5  # a rank correlation below this is said aloud
UNDECLARED = "not declared"


@dataclass(frozen=True)
class Disagreement:
    """Two explainers of the function that rank the features differently, and why they may.

    ``question`` says whether they estimate the same: same, different, or not declared.
    """

    first: str
    second: str
    spearman: str
    why: str
    question: str

    @property
    def expected(self) -> bool:
        """Whether they may rightly differ, since they estimate different things."""
        return self.question == "different"


def estimands(report: Report, cast: Cast) -> list[tuple[str, tuple[str, ...]]]:
    """Return what is estimated, each with the explainers of the function that estimate it."""
    found: dict[str, list[str]] = {}
    for name in _names(report, cast):
        found.setdefault(report.estimand(name) or UNDECLARED, []).append(name)
    return [(estimand, tuple(names)) for estimand, names in found.items()]


def disagreements(report: Report, cast: Cast) -> list[Disagreement]:
    """Return the pairs whose importances have a low rank correlation, the lowest first.

    Models with random weights are left out: that they disagree is what they are there for.
    """
    compared = {name for name in _names(report, cast) if not name.startswith("untrained-")}
    rows = [
        row
        for row in report.function_agreement
        if {row["first"], row["second"]} <= compared and not is_missing(row["spearman"])
    ]
    low = sorted((row for row in rows if row["spearman"] < LOW), key=lambda row: row["spearman"])
    return [
        _disagreement(report, str(row["first"]), str(row["second"]), row["spearman"]) for row in low
    ]


def _disagreement(report: Report, first: str, second: str, rho: float) -> Disagreement:
    one, other = report.estimand(first), report.estimand(second)
    question = UNDECLARED
    if one and one == other:
        question = "same"
        why = f"both estimate {one}, so that chance or the way of computing makes the difference"
    elif one and other:
        question = "different"
        why = f"{first} estimates {one}; {second} estimates {other}"
    else:
        silent = " and ".join(name for name, told in ((first, one), (second, other)) if not told)
        why = f"what is estimated is not declared by {silent}"
    return Disagreement(first, second, number(rho, 2, signed=True), why, question)


def agreement_figure(report: Report, cast: Cast) -> Figure | None:
    """Return the matrix of rank correlations of importances; None with fewer than three."""
    present = {str(row[side]) for row in report.function_agreement for side in ("first", "second")}
    names = [name for name in _names(report, cast) if name in present]
    if len(names) < 3:
        return None
    place = {name: index for index, name in enumerate(names)}
    rho: list[list[float | None]] = [[None] * len(names) for _ in names]
    told = [[""] * len(names) for _ in names]
    for row in report.function_agreement:
        first, second = place.get(str(row["first"])), place.get(str(row["second"]))
        if first is None or second is None or is_missing(row["spearman"]):
            continue
        for one, other in ((first, second), (second, first)):
            rho[one][other] = round(float(row["spearman"]), 3)
            told[one][other] = (
                f"<b>{label(names[one])}</b> and {label(names[other])}"
                f"<br>rank correlation {number(row['spearman'], 2, signed=True)}"
            )
    texts = [["" if r is None else number(r, 1) for r in line] for line in rho]
    return matrix(names, rho, texts=texts, told=told, part="correlations", cell=30)


def _names(report: Report, cast: Cast) -> list[str]:
    return [name for name in cast.ordered if name in report.of_function]
