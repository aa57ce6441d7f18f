"""Registries: tuples of entries that say what an object is and where to find it.

They import neither torch nor pandas, so that help texts and plans start fast.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar

from uproar.types import Kind, UproarError

Pairs = tuple[tuple[str, int | float | str], ...]  # names with values


@dataclass(frozen=True)
class Entry:
    """One line of a registry: what an object is, and where to find it when it is needed.

    Registries are tuples of entries, so that tables, help texts and plans need not import torch.
    ``path`` is ``package.module:object``. ``version`` is part of every stored result's key and is
    raised when the meaning of the object's numbers changes.

    What only one registry needs stands in a record of its own, such as
    :class:`uproar.explain.explainer.Explainer`.
    """

    name: str
    summary: str
    path: str
    paper: str = ""
    version: int = 1
    data_kinds: tuple[Kind, ...] = ()  # the kinds of data that it works for; all, when empty

    def fits(self, kind: Kind) -> bool:
        """Say whether it works for a kind of data."""
        return not self.data_kinds or kind in self.data_kinds

    def load(self) -> Any:
        """Import and return the object."""
        module, _, attribute = self.path.partition(":")
        return getattr(importlib.import_module(module), attribute)


AnyEntry = TypeVar("AnyEntry", bound=Entry)


def is_registered(name: str, registry: Sequence[Entry]) -> bool:
    """Say whether an entry is called ``name``.

    >>> is_registered("mean", [Entry("mean", "the mean", "m:mean")])
    True
    """
    return any(entry.name == name for entry in registry)


def find(name: str, registry: Sequence[AnyEntry], what: str) -> AnyEntry:
    """Return the entry called ``name``.

    Raises :class:`UproarError` that lists the close names, when there is none.

    >>> find("men", [Entry("mean", "the mean", "m:mean")], "removal")
    Traceback (most recent call last):
    uproar.types.UproarError: unknown removal 'men': did you mean 'mean'? Known: mean
    """
    for entry in registry:
        if entry.name == name:
            return entry
    raise UproarError(unknown(name, [entry.name for entry in registry], what))


def library(name: str, extra: str) -> ModuleType:
    """Import and return an optional package.

    :raises UproarError: which names the extra, when it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UproarError(
            f'this needs the package {name!r}: pip install "uproar[{extra}]" ({error})'
        ) from error


def unknown(name: str, known: Iterable[str], what: str, *, listed: str = "") -> str:
    """Compose the message for an unknown name: the close ones, then all, or what is ``listed``."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f": did you mean {' or '.join(map(repr, close))}?" if close else "."
    return f"unknown {what} {name!r}{hint} Known: {listed or ', '.join(names)}"
