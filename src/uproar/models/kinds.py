"""Which registered models work for which kinds of data."""

from __future__ import annotations

from uproar.dataset import Data
from uproar.models import MODELS
from uproar.registry import find
from uproar.types import KINDS, UproarError


def require_kind(model: str, data: Data) -> None:
    """Refuse data of a kind that a registered model does not work for.

    :raises UproarError: which names the kinds that it works for, and the models for these data.
    """
    entry = find(model, MODELS, "model")
    if entry.fits(data.kind):
        return
    wanted = " or ".join(KINDS[kind].plural for kind in entry.data_kinds)
    fitting = [entry.name for entry in MODELS if entry.fits(data.kind)]
    raise UproarError(
        f"model {model!r} needs {wanted}, but data {data.name!r} are {KINDS[data.kind].plural}; "
        f"use {' or '.join(map(repr, fitting)) or 'a model of your own'}"
    )
