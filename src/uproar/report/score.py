"""What models are judged by, accuracy or R², in the words and the number format of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from uproar.report.wording import SPACE, interval, number, percent


@dataclass(frozen=True)
class Score:
    """The score of a task. ``reference`` is what always giving the same answer reaches."""

    name: str
    title: str  # the name at the beginning of a sentence
    reference: str
    reference_title: str
    same_answer: str
    best: str
    regression: bool

    def text(self, value: Any) -> str:
        """Return a score alone: accuracy as a percentage, R² as a number."""
        return number(value, 2) if self.regression else percent(value)

    def described(self, value: Any) -> str:
        r"""Return a score that says what it is.

        >>> R_SQUARED.described(0.8123).replace("\N{NO-BREAK SPACE}", " ")
        'R² 0.81'
        """
        if self.regression:
            return f"{self.name}{SPACE}{self.text(value)}"
        return f"{self.text(value)} accurate"

    def interval(self, low: Any, high: Any) -> str:
        """Return an interval in the digits of :meth:`text`; that of accuracy in percent."""
        if self.regression:
            return interval(low, high, 2)
        return interval(100 * float(low), 100 * float(high), 1)


ACCURACY = Score(
    name="accuracy",
    title="Accuracy",
    reference="majority rate",
    reference_title="Majority rate",
    same_answer="always giving the most frequent answer is right in {} of cases",
    best=f"100{SPACE}%",
    regression=False,
)
R_SQUARED = Score(
    name="R²",
    title="R²",
    reference="R² of the mean",
    reference_title="R² of the mean",
    same_answer="always giving the mean of the training labels has an R² of {}",
    best="1",
    regression=True,
)


def score_of(data: Mapping[str, Any]) -> Score:
    """Return the score that the facts of the data name; accuracy when they name none.

    :raises ValueError: when the name is that of no score.

    >>> score_of({"score": "R²"}).reference
    'R² of the mean'
    """
    known = {score.name: score for score in (ACCURACY, R_SQUARED)}
    name = data.get("score", ACCURACY.name)
    if name not in known:
        raise ValueError(f"data['score'] must be {' or '.join(map(repr, known))}, got {name!r}")
    return known[name]
