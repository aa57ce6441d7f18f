"""Names of explainers: ``[abs-|sq-][sg-|sgsq-|var-]base[:key=value]...``; imports no torch.

``abs-sg-ig:steps=50:samples=30`` is the absolute value of SmoothGrad, over 30 samples, of
integrated gradients with 50 steps.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from uproar.explain import AGGREGATIONS, BASELINES, ENSEMBLES, EXPLAINERS
from uproar.types import Entry, UproarError, find, unknown

Value = int | float | str
Parameters = tuple[tuple[str, Value], ...]

_LEAST = {"steps": 1, "samples": 1, "noise": 0, "draw": 0, "repeats": 1}
_CHOICES = {"baseline": BASELINES}


@dataclass(frozen=True)
class ExplainerName:
    """A parsed name: every parameter with its value, defaults included."""

    base: str
    base_parameters: Parameters = ()
    ensemble: str = ""
    ensemble_parameters: Parameters = ()
    aggregation: str = ""

    @property
    def name(self) -> str:
        """The canonical name, with the parameters that differ from their defaults.

        >>> parse("sg-ig:noise=0.15:samples=5:steps=50").name
        'sg-ig:steps=50:samples=5'
        """
        prefixes = [prefix for prefix in (self.aggregation, self.ensemble) if prefix]
        return "-".join([*prefixes, self.family])

    @property
    def family(self) -> str:
        """The base with all parameters: members of one family share their passes.

        Members without an ensemble belong to the family with the default ensemble parameters.

        >>> parse("abs-sgsq-ig:samples=5").family, parse("ig").family
        ('ig:samples=5', 'ig')
        """
        defaults = dict(_base_entry(self.base).parameters) | dict(ENSEMBLES[0].parameters)
        values = (*self.base_parameters, *self.ensemble_parameters)
        shown = [f":{key}={_text(value)}" for key, value in values if value != defaults[key]]
        return "".join([self.base, *shown])

    def entry(self) -> Entry:
        """Return what tables say of the composed explainer.

        The version is that of the base, raised by one for each time that the ensemble's or the
        aggregation's meaning changed.

        >>> parse("abs-sg-ig").entry().summary  # doctest: +NORMALIZE_WHITESPACE
        'absolute value of mean over noisy inputs (samples 15, noise 0.15) of integrated gradients
        (steps 25, baseline black)'
        """
        base, wrappers = _base_entry(self.base), self._wrappers()
        parts = [base, *wrappers]
        values = {base.name: self.base_parameters, self.ensemble: self.ensemble_parameters}
        phrases = [_described(part.summary, values.get(part.name, ())) for part in reversed(parts)]
        return Entry(
            name=self.name,
            summary=" of ".join(phrases),
            path=base.path,
            paper="; ".join(part.paper for part in parts if part.paper),
            needs=base.needs,
            kind=base.kind,
            signed=all(part.signed for part in parts),
            scope=base.scope,
            parameters=(*self.base_parameters, *self.ensemble_parameters),
            version=1 + sum(part.version - 1 for part in parts),
        )

    def load(self) -> Any:
        """Import and return the base explainer, with its parameters; ensembles are not part of it.

        :raises UproarError: for explainers that are not registered: whoever has them calls them.
        """
        loaded = find(self.base, EXPLAINERS, "explainer").load()
        return loaded(**dict(self.base_parameters)) if self.base_parameters else loaded

    def _wrappers(self) -> list[Entry]:
        ensemble = [entry for entry in ENSEMBLES if entry.name == self.ensemble]
        return ensemble + [entry for entry in AGGREGATIONS if entry.name == self.aggregation]


def parse(name: str, extra_bases: Sequence[str] = ()) -> ExplainerName:
    """Return the parts of an explainer's name.

    :param name: ``[abs-|sq-][sg-|sgsq-|var-]base[:key=value]...``, parameters in any order.
    :param extra_bases: names of explainers that are not registered here.
    :raises UproarError: when a part is unknown, a value is of the wrong type or out of range, or
        the combination means nothing (an ensemble or an aggregation of a control, an ensemble of
        an explanation of the whole function).

    >>> parse("abs-sg-ig:steps=50")  # doctest: +NORMALIZE_WHITESPACE
    ExplainerName(base='ig', base_parameters=(('steps', 50), ('baseline', 'black')), ensemble='sg',
        ensemble_parameters=(('samples', 15), ('noise', 0.15)), aggregation='abs')
    """
    _check_extra_bases(extra_bases)
    stem, *options = name.split(":")
    aggregation, rest = _prefix(stem, AGGREGATIONS)
    ensemble, base = _prefix(rest, ENSEMBLES)
    if base not in {*extra_bases, *(entry.name for entry in EXPLAINERS)}:
        raise UproarError(
            unknown(stem, _composed_names(extra_bases), "explainer", listed=_known(extra_bases))
        )
    entry = _base_entry(base)
    _check_wrappers(entry, ensemble, aggregation)
    ensemble_defaults = find(ensemble, ENSEMBLES, "ensemble").parameters if ensemble else ()
    given = _options(name, options, (*entry.parameters, *ensemble_defaults))
    return ExplainerName(
        base=base,
        base_parameters=tuple((key, given.get(key, value)) for key, value in entry.parameters),
        ensemble=ensemble,
        ensemble_parameters=tuple((key, given.get(key, value)) for key, value in ensemble_defaults),
        aggregation=aggregation,
    )


def _check_wrappers(entry: Entry, ensemble: str, aggregation: str) -> None:
    base, stem = entry.name, "-".join(filter(None, [aggregation, ensemble, entry.name]))
    if entry.kind == "control" and (ensemble or aggregation):
        raise UproarError(
            f"explainer {stem!r} means nothing: {base!r} is a control, which has no sign to take "
            f"away and no model to add noise to; use {base!r}"
        )
    if entry.scope == "global" and ensemble:
        raise UproarError(
            f"explainer {stem!r} means nothing: {base!r} explains the whole function, not an input "
            f"that noise could be added to; use {'-'.join(filter(None, [aggregation, base]))!r}"
        )


def _prefix(text: str, registry: Sequence[Entry]) -> tuple[str, str]:
    """Split a registered prefix off; the longest first is not needed, since each ends in '-'."""
    for entry in registry:
        if text.startswith(f"{entry.name}-"):
            return entry.name, text.removeprefix(f"{entry.name}-")
    return "", text


def _base_entry(base: str) -> Entry:
    for entry in EXPLAINERS:
        if entry.name == base:
            return entry
    return Entry(base, base, path="", kind="estimator", signed=True, scope="local")


def _known(extra_bases: Sequence[str]) -> str:
    """Describe all names shortly; spelt out they fill a page."""
    bases = ", ".join([*(entry.name for entry in EXPLAINERS), *extra_bases])
    prefixes = ", ".join(f"{entry.name}-" for entry in (*ENSEMBLES, *AGGREGATIONS))
    return f"{bases}; before those that are no controls, {prefixes}"


def _composed_names(extra_bases: Sequence[str]) -> list[str]:
    aggregations = ["", *(f"{entry.name}-" for entry in AGGREGATIONS)]
    ensembles = ["", *(f"{entry.name}-" for entry in ENSEMBLES)]
    bases = [*EXPLAINERS, *map(_base_entry, extra_bases)]
    return [
        f"{aggregation}{ensemble}{entry.name}"
        for entry in bases
        for ensemble in ensembles
        for aggregation in aggregations
        if entry.kind != "control" or not ensemble + aggregation
        if entry.scope != "global" or not ensemble
    ]


def _check_extra_bases(extra_bases: Sequence[str]) -> None:
    for base in extra_bases:
        taken = base in {entry.name for entry in EXPLAINERS}
        prefixed = _prefix(base, (*AGGREGATIONS, *ENSEMBLES))[0]
        if taken or prefixed or ":" in base or not base:
            raise UproarError(
                f"explainer cannot be called {base!r}: a name of your own must not be registered "
                "already, begin with abs-, sq-, sg-, sgsq- or var-, be empty, or contain ':'"
            )


def _options(name: str, options: Sequence[str], defaults: Parameters) -> dict[str, Value]:
    """Read ``key=value`` pairs by the types of the defaults."""
    known, given = dict(defaults), dict[str, Value]()
    for option in options:
        key, equals, text = option.partition("=")
        if not equals:
            raise UproarError(f"expected key=value after ':' in explainer {name!r}, got {option!r}")
        if key not in known:
            raise UproarError(f"explainer {name!r}: {unknown(key, known, 'parameter')}")
        if key in given:
            raise UproarError(f"explainer {name!r} sets {key!r} twice; give one value")
        given[key] = _value(name, key, text, known[key])
    return given


def _value(name: str, key: str, text: str, default: Value) -> Value:
    where = f"explainer {name!r}: {key} must be"
    if isinstance(default, str):
        if text not in _CHOICES[key]:
            raise UproarError(f"{where} one of {', '.join(_CHOICES[key])}, got {text!r}")
        return text
    whole = isinstance(default, int)
    number = r"-?[0-9]+" if whole else r"-?([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?"
    wanted = f"{where} {'a whole number' if whole else 'a number'} of at least {_LEAST[key]}"
    if not re.fullmatch(number, text):
        raise UproarError(f"{wanted}, got {text!r}")
    value = int(text) if whole else float(text) + 0.0  # so that -0.0 is 0.0
    if value < _LEAST[key] or math.isinf(value):
        raise UproarError(f"{wanted}, got {text!r}")
    return value


def _text(value: Value) -> str:
    """Write a value in the shortest form that reads back as the same value."""
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return str(value)


def _described(summary: str, parameters: Parameters) -> str:
    values = ", ".join(f"{key} {_text(value)}" for key, value in parameters)
    return f"{summary} ({values})" if values else summary
