"""Names of explainers; imports no torch.

``[untrained-][global-][abs-|sq-][sg-|sgsq-|var-]base[:key=value]...``, where
``abs-sg-ig:steps=50:samples=30`` is the absolute value of SmoothGrad, over 30 samples, of
integrated gradients with 50 steps, and ``untrained-global-ig`` the mean absolute importance by
integrated gradients of a model with random weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from uproar.explain import AGGREGATIONS, ENSEMBLES, EXPLAINERS, VARIANTS
from uproar.explain.explainer import Explainer, Prefix
from uproar.explain.parameters import (
    Parameter,
    Value,
    defaults_of,
    described,
    options_of,
    text_of,
)
from uproar.registry import Entry, Pairs, find, unknown
from uproar.types import UproarError

UNTRAINED, GLOBAL = (entry.name for entry in VARIANTS)


@dataclass(frozen=True)
class ExplainerName:
    """A parsed name: every parameter with its value, defaults included."""

    base: str
    base_parameters: Pairs = ()
    ensemble: str = ""
    ensemble_parameters: Pairs = ()
    aggregation: str = ""
    variants: tuple[str, ...] = ()

    @property
    def parameters(self) -> Pairs:
        """The values of all parameters, in the order of the entry's."""
        return (*self.base_parameters, *self.ensemble_parameters)

    @property
    def untrained(self) -> bool:
        """Whether a model with random weights is explained."""
        return UNTRAINED in self.variants

    @property
    def of_function(self) -> bool:
        """Whether it explains the function as a whole, and no example by itself."""
        return GLOBAL in self.variants or _base_entry(self.base).scope == "global"

    @property
    def averaged(self) -> bool:
        """Whether it is the mean over explained examples."""
        return GLOBAL in self.variants

    @property
    def name(self) -> str:
        """The canonical name, with the parameters that differ from their defaults.

        >>> parse("sg-ig:noise=0.15:samples=5:steps=50").name
        'sg-ig:steps=50:samples=5'
        """
        prefixes = [*self.variants, self.aggregation, self.ensemble, self._stem]
        return "-".join(filter(None, prefixes))

    @property
    def family(self) -> str:
        """The base with all parameters: members of one family share their passes.

        Members without an ensemble belong to the family with the default ensemble parameters.

        >>> parse("abs-sgsq-ig:samples=5").family, parse("global-abs-ig").family
        ('ig:samples=5', 'global-ig')
        """
        return "-".join([*self.variants, self._stem])

    @property
    def _stem(self) -> str:
        defaults = defaults_of([*_base_entry(self.base).parameters, *ENSEMBLES[0].parameters])
        changed = [(key, value) for key, value in self.parameters if value != defaults[key]]
        shown = [f":{key}={text_of(value)}" for key, value in changed]
        return "".join([self.base, *shown])

    def entry(self) -> Explainer:
        """Return what tables say of the composed explainer.

        The version is that of the base, raised by one for each time that the ensemble's or the
        aggregation's meaning changed. Promises are those of the base that every prefix keeps.

        >>> parse("abs-sg-ig").entry().summary  # doctest: +NORMALIZE_WHITESPACE
        'absolute value of mean over noisy inputs (samples 15, noise 0.15) of integrated gradients
        (steps 25, baseline black)'
        """
        base, wrappers = _base_entry(self.base), self._wrappers()
        parts: list[Explainer | Prefix] = [base, *wrappers]
        values = {base.name: self.base_parameters, self.ensemble: self.ensemble_parameters}
        told = [part for part in parts if part.name != UNTRAINED]
        phrases = [described(part.summary, values.get(part.name, ())) for part in reversed(told)]
        summary = " of ".join(phrases) + ", with random weights" * self.untrained
        estimands = [part.estimand for part in parts if part.estimand]
        kept = [one for one in base.promises if all(one in prefix.keeps for prefix in wrappers)]
        return replace(
            base,
            name=self.name,
            summary=summary,
            paper="; ".join(part.paper for part in parts if part.paper),
            kind="control" if self.untrained else base.kind,
            signed=all(part.signed for part in parts),
            scope="global" if self.of_function else base.scope,
            parameters=tuple(parameter for part in parts for parameter in part.parameters),
            version=1 + sum(part.version - 1 for part in parts),
            passes=f"samples * ({base.passes})" if self.ensemble else base.passes,
            estimand=estimands[-1] if estimands else "",
            promises=tuple(kept),
        )

    def load(self) -> Any:
        """Import and return the base explainer, with its parameters; ensembles are not part of it.

        :raises UproarError: for explainers that are not registered: whoever has them calls them.
        """
        loaded = find(self.base, EXPLAINERS, "explainer").load()
        if isinstance(loaded, type):  # a dataclass, perhaps without parameters
            return loaded(**dict(self.base_parameters))
        return loaded

    def _wrappers(self) -> list[Prefix]:
        outwards = (self.ensemble, self.aggregation, *reversed(self.variants))
        known = {entry.name: entry for entry in (*ENSEMBLES, *AGGREGATIONS, *VARIANTS)}
        return [known[name] for name in outwards if name]


def parse(name: str, extra_bases: Sequence[str] = ()) -> ExplainerName:
    """Return the parts of an explainer's name.

    :param name: ``[untrained-][global-][abs-|sq-][sg-|sgsq-|var-]base[:key=value]...``, parameters
        in any order.
    :param extra_bases: names of explainers that are not registered here.
    :raises UproarError: when a part is unknown, a value is of the wrong type or out of range, or
        the combination means nothing (an ensemble or an aggregation of a control, an ensemble of
        an explanation of the whole function, an untrained control).

    >>> parse("abs-sg-ig:steps=50")  # doctest: +NORMALIZE_WHITESPACE
    ExplainerName(base='ig', base_parameters=(('steps', 50), ('baseline', 'black')), ensemble='sg',
        ensemble_parameters=(('samples', 15), ('noise', 0.15)), aggregation='abs',
        variants=())
    """
    _check_extra_bases(extra_bases)
    stem, *options = name.split(":")
    variants, rest = [], stem
    for variant in VARIANTS:
        found, rest = _prefix(rest, [variant])
        variants += [found] if found else []
    aggregation, rest = _prefix(rest, AGGREGATIONS)
    ensemble, base = _prefix(rest, ENSEMBLES)
    if base not in {*extra_bases, *(entry.name for entry in EXPLAINERS)}:
        raise UproarError(
            unknown(stem, _composed_names(extra_bases), "explainer", listed=_known(extra_bases))
        )
    entry = _base_entry(base)
    _check_wrappers(entry, ensemble, aggregation)
    _check_variants(entry, stem, variants)
    of_ensemble = find(ensemble, ENSEMBLES, "ensemble").parameters if ensemble else ()
    given = options_of(name, options, (*entry.parameters, *of_ensemble))
    if "like" in given:
        check_like(str(given["like"]))
    return ExplainerName(
        base=base,
        base_parameters=_valued(entry.parameters, given),
        ensemble=ensemble,
        ensemble_parameters=_valued(of_ensemble, given),
        aggregation=aggregation,
        variants=tuple(variants),
    )


def _valued(parameters: Sequence[Parameter], given: Mapping[str, Value]) -> Pairs:
    return tuple((one.name, given.get(one.name, one.default)) for one in parameters)


def check_like(name: str) -> None:
    """Refuse what has no maps that noise could be made to resemble.

    :raises UproarError: when there is no such explainer, or it is one of the whole function, of
        an untrained model, or noise made to resemble another.

    >>> check_like("pfi")
    Traceback (most recent call last):
    uproar.types.UproarError: like must be an explainer of decisions, got 'pfi'
    """
    like = parse(name)
    if like.of_function or like.untrained or "like" in dict(like.base_parameters):
        raise UproarError(f"like must be an explainer of decisions, got {name!r}")


def _check_wrappers(entry: Explainer, ensemble: str, aggregation: str) -> None:
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


def _check_variants(entry: Explainer, stem: str, variants: Sequence[str]) -> None:
    if UNTRAINED in variants and (entry.kind == "control" or entry.needs == "nothing"):
        raise UproarError(
            f"explainer {stem!r} means nothing: {entry.name!r} does not look at what the model has "
            f"learned; use {entry.name!r}"
        )
    if GLOBAL in variants and entry.scope == "global":
        raise UproarError(
            f"explainer {stem!r} means nothing: {entry.name!r} explains the whole function "
            f"already; use {stem.replace(f'{GLOBAL}-', '')!r}"
        )


def _prefix(text: str, registry: Sequence[Entry]) -> tuple[str, str]:
    """Split a registered prefix off; the longest first is not needed, since each ends in '-'."""
    for entry in registry:
        if text.startswith(f"{entry.name}-"):
            return entry.name, text.removeprefix(f"{entry.name}-")
    return "", text


def _base_entry(base: str) -> Explainer:
    for entry in EXPLAINERS:
        if entry.name == base:
            return entry
    return Explainer(base, base, path="", signed=True)


def _known(extra_bases: Sequence[str]) -> str:
    """Describe all names shortly; spelt out they fill a page."""
    bases = ", ".join([*(entry.name for entry in EXPLAINERS), *extra_bases])
    prefixes = ", ".join(f"{entry.name}-" for entry in (*ENSEMBLES, *AGGREGATIONS, *VARIANTS))
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
        prefixed = _prefix(base, (*AGGREGATIONS, *ENSEMBLES, *VARIANTS))[0]
        if taken or prefixed or ":" in base or not base:
            raise UproarError(
                f"explainer cannot be called {base!r}: a name of your own must not be registered "
                "already, begin with abs-, sq-, sg-, sgsq-, var-, untrained- or global-, be empty, "
                "or contain ':'"
            )
