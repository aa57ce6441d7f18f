"""The record of a protocol: all that plans, tables and pages have to know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

from uproar.registry import Entry
from uproar.types import Direction

Question = Literal["information", "reliance", "control"]
Asks = Literal["retraining", "once", "base model"]
Measured = TypeVar("Measured")

# Who is believed first. Models that are trained once see no explainer's masks and leak least; the
# base model was never made for inputs without some features.
BELIEVED: tuple[Asks, ...] = ("once", "retraining", "base model")


@dataclass(frozen=True)
class Curve:
    """One of the curves that a protocol measures; scores over fractions of the features.

    With ``keeps`` the fraction is what stays, so that nothing is there at 0; else it is what goes.
    ``title`` and ``reading`` head its figure on the page, ``panel`` its panel in a figure for
    papers. What is left out follows from the rest.
    """

    name: str
    direction: Direction  # that is better
    title: str = ""
    reading: str = ""
    panel: str = ""
    keeps: bool = False

    def __post_init__(self) -> None:
        _default(self, title=self.name, reading=f"{self.direction.capitalize()} is better.")
        _default(self, panel=self.title)


@dataclass(frozen=True)
class Protocol(Entry):
    """An entry that says everything of a protocol; its function does the rest.

    ``question`` is what is asked: what information the features hold, what the model relies on, or
    what the mask alone tells (a control). ``asks`` is who answers, and says how the function is
    called and what it needs:

    - ``retraining``: ``(experiment, ranking, *, fractions, seeds)`` trains models of its own;
    - ``once``: ``(experiment, fitted, ranking, *, fractions)`` asks models that were trained once,
      under random removal, for all explainers and all protocols that ask so;
    - ``base model``: called alike, it asks the model that is explained.

    It returns the scores (fractions, repeats, examples) of its one curve, or a tuple of them in the
    order of ``curves``.

    ``ends`` names the protocol whose points at the fractions 0 and 1, which are the same for all
    explainers, serve for these curves too, in turn (mirrored where one keeps what the other
    removes); empty, they are measured. ``compared`` says whether explainers are compared with
    random by it: then it has ends. ``reads_own_masks`` says that its judge is trained on the
    explainer's own masks, so that a leak withholds the verdict. ``repeats`` is the field of the
    spec that says how many, of all but the base model. ``removals`` is ``none`` where what is
    measured does not depend on what replaces a feature.

    Texts: ``short`` is what headings call it, ``narrow`` where there is no room; ``meaning`` says
    what is done, ``gain`` what its gain is, both in a sentence, where ``{score}`` stands for what
    the numbers are. What is left out follows from the rest.
    """

    question: Question = "information"
    asks: Asks = "retraining"
    curves: tuple[Curve, ...] = ()
    ends: str = ""
    compared: bool = True
    reads_own_masks: bool = False
    repeats: str = "repeats"
    removals: Literal["each", "none"] = "each"
    short: str = ""
    narrow: str = ""
    meaning: str = ""
    gain: str = ""

    def __post_init__(self) -> None:
        _default(self, short=self.name, meaning=f"{self.summary[:1].upper()}{self.summary[1:]}.")
        _default(
            self,
            narrow=self.short,
            gain=f"Area between random's curve and the explainer's by {self.short}; positive is "
            "good",
        )

    @property
    def column(self) -> str:
        """What the names of its columns in tables begin with.

        >>> Protocol("keep-least", "keep only the least important features", "m:f").column
        'keep_least'
        """
        return self.name.replace("-", "_")

    @property
    def models(self) -> str:
        """What cells are called that hold its models, where these are trained once for all."""
        return f"{self.name}-model"

    def by_curve(self, found: Measured | tuple[Measured, ...]) -> Mapping[str, Measured]:
        """Return what its function returned, by the names of its curves.

        >>> both = (Curve("removed", "lower"), Curve("kept", "higher", keeps=True))
        >>> Protocol("once", "one model judges all", "m:f", curves=both).by_curve((0.2, 0.9))
        {'removed': 0.2, 'kept': 0.9}
        """
        scores = found if isinstance(found, tuple) else (found,)
        return {curve.name: one for curve, one in zip(self.curves, scores, strict=True)}


def _default(record: Curve | Protocol, **texts: str) -> None:
    """Fill in the texts that a record leaves out."""
    for name, text in texts.items():
        if not getattr(record, name):
            object.__setattr__(record, name, text)
