"""What the registers say of an explainer, and of the prefixes that names may have; no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from uproar.explain.parameters import Parameter
from uproar.registry import Entry, Pairs

Promise = Literal["ignores idle features", "nearly ignores idle features", "adds up"]
PROMISES: tuple[Promise, ...] = get_args(Promise)
OF_IDLE_FEATURES = PROMISES[:2]


@dataclass(frozen=True)
class Explainer(Entry):
    """What an explainer is and needs, what it costs and what it promises.

    ``path`` is a callable ``(model, inputs, targets, generator) -> attribution``, or a frozen
    dataclass with ``__call__`` or ``measure``, whose fields are the ``parameters``. A control is
    known not to explain the model. ``scope`` is local where it explains decisions, and global where
    it explains the function; ``estimand`` is what a global one estimates.

    ``passes`` is how many times an example goes through the model, a formula of ``features``,
    ``outputs``, ``table_rows`` and the parameters. ``draws`` says whether random numbers are the
    same for all examples (``shared``) or ``each`` has its own, and ``extra`` is what has to be
    installed.

    ``promises`` holds whether a feature that the model does not look at has no importance, or next
    to none, and whether the importance of an example's features adds up to its answer, less a
    number that is the same for all examples. The tests hold every explainer to its promises, and
    require that what it does not promise is broken at least once. They run it with the small
    parameters of ``test``; ``promised_at`` are those that it takes to keep a promise.
    """

    kind: Literal["estimator", "control"] = "estimator"
    needs: str = "nothing"
    signed: bool = False
    scope: Literal["local", "global"] = "local"
    parameters: tuple[Parameter, ...] = ()
    passes: str = "0"
    estimand: str = ""
    draws: Literal["", "shared", "each"] = ""
    extra: str = ""
    promises: tuple[Promise, ...] = ()
    test: Pairs = ()
    promised_at: Pairs = ()


@dataclass(frozen=True)
class Prefix(Entry):
    """What may stand before the name of an explainer, and of its promises still keeps them."""

    signed: bool = False
    parameters: tuple[Parameter, ...] = ()
    estimand: str = ""
    keeps: tuple[Promise, ...] = OF_IDLE_FEATURES
