"""The cast of the page: which explainers appear, in which order, and how each is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from uproar.report.protocols import Protocol
from uproar.report.records import Record, Report, by_explainer, matching, removals
from uproar.report.verdicts import RANDOM
from uproar.report.wording import is_missing

BASES = ("grad", "ig", "gb")
COLOURS = 8  # the style sheet declares as many --slot colours
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "cross", "star", "triangle-down")
# "dash" is left to random, so that no explainer can be taken for it.
DASHES = ("solid", "dot", "dashdot", "longdashdot", "5px,1px", "2px,4px", "9px,3px", "12px,2px,2px")


@dataclass(frozen=True)
class Cast:
    """Explainers, best first, those drawn at the start, and the style slot of each."""

    ordered: tuple[str, ...]
    shown: frozenset[str]
    slots: Mapping[str, int]

    @property
    def by_style(self) -> tuple[str, ...]:
        """Return the explainers in the order of their styles, those drawn at the start first."""
        return tuple(sorted(self.ordered, key=self.slots.__getitem__))

    def colour(self, name: str) -> int:
        """Return the number of the explainer's colour in the style sheet, -1 for random's grey."""
        return -1 if name == RANDOM else self.slots[name] % COLOURS

    def symbol(self, name: str) -> str:
        """Return the explainer's marker, of the same index as its colour."""
        return "circle" if name == RANDOM else SYMBOLS[self.slots[name] % COLOURS]

    def dash(self, name: str) -> str:
        """Return the explainer's line: a new dash whenever the colours start again."""
        return "dash" if name == RANDOM else DASHES[self.slots[name] // COLOURS % len(DASHES)]


def shown_protocols(report: Report, removal: str | None = None) -> tuple[Protocol, ...]:
    """Return the protocols that get a column: those with gains that do not ask for reliance.

    The model is not made for inputs without some features, so that reliance has a say only where
    nothing else was run.
    """
    run = {str(row["protocol"]) for row in matching(report.gains, removal=removal)}
    known = [protocol for name, protocol in report.protocols.items() if name in run]
    return tuple(one for one in known if one.retrains) or tuple(known)


def ranking_protocol(report: Report, removal: str | None = None) -> Protocol | None:
    """Return the protocol that orders the page: of those shown, the first by its ordering."""
    shown = shown_protocols(report, removal)
    return min(shown, key=lambda protocol: protocol.ordering, default=None)


def ranking_gains(report: Report, removal: str | None = None) -> dict[str, Record]:
    """Return the gains that order the page, keyed by their explainer."""
    protocol = ranking_protocol(report, removal)
    if protocol is None:
        return {}
    return by_explainer(matching(report.gains, protocol=protocol.name, removal=removal))


def sorted_by_gain(report: Report, removal: str | None) -> list[str]:
    """Return all explainers, the largest gain first, those without a gain last."""
    gains = {name: row["gain"] for name, row in ranking_gains(report, removal).items()}
    gains.setdefault(RANDOM, 0.0)
    names = _names(report)
    known = [name for name in names if not is_missing(gains.get(name))]
    known.sort(key=lambda name: -float(gains[name]))
    return known + [name for name in names if name not in set(known)]


def cast_of(report: Report) -> Cast:
    """Choose order and styles; random, the extremes and the base explainers start visible."""
    first = next(iter(removals(report)), None)
    ordered = sorted_by_gain(report, first)
    others = [name for name in ordered if name != RANDOM]
    chosen = {*others[:3], *others[-2:], *(name for name in BASES if name in others)}
    best_of_function = next((name for name in others if name in report.of_function), None)
    if best_of_function is not None and not chosen & report.of_function:
        # In the place of one of the worst: more would have to share colours.
        chosen = {*others[:3], others[-1], best_of_function, *(n for n in BASES if n in others)}
    # Those visible at the start get the first slots, hence colours of their own.
    by_style = [name for name in others if name in chosen]
    by_style += [name for name in others if name not in chosen]
    slots = {name: slot for slot, name in enumerate(by_style)} | {RANDOM: -1}
    return Cast(ordered=tuple(ordered), shown=frozenset({*chosen, RANDOM}), slots=slots)


def _names(report: Report) -> list[str]:
    """Return every explainer that any table speaks of."""
    found = [str(row["explainer"]) for row in report.leaderboard]
    found += [str(row["name"]) for row in report.explainers]
    for table in (report.gains, report.curves, report.leaks):
        found += [str(row["explainer"]) for row in table]
    return list(dict.fromkeys(found))
