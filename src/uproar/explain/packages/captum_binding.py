"""Objects of ``captum.attr``: what they ask, and copies of them that ask another model."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from functools import partial
from types import MethodType
from typing import Any

from torch import nn

from uproar.types import UproarError

# What this package puts around a user's module, and where the module is within.
WRAPPERS = {"Adapted": "inner", "OnEmbeddings": "module"}
# Captum's classes that cannot be asked about an output of a model for one example.
REFUSED = {
    "NeuronAttribution": "it explains a neuron, not an output of the model",
    "FeaturePermutation": "it shuffles the examples that happen to be explained at once; use 'pfi'",
    "DataLoaderAttribution": "it takes a data loader, not inputs",
    "BaseLLMAttribution": "it explains what a language model writes",
}


def users_own(module: Any) -> Any:
    """Return the module that a user made, without what this package puts around it.

    >>> module = nn.Linear(2, 2)
    >>> users_own(module) is module
    True
    """
    while type(module).__module__.startswith("uproar.") and type(module).__name__ in WRAPPERS:
        module = getattr(module, WRAPPERS[type(module).__name__])
    return module


def captums(kind: type) -> set[str]:
    """Return the names of Captum's classes that a class is or has as bases, if it attributes.

    >>> from captum.attr import Saliency
    >>> sorted(captums(Saliency)), captums(dict)
    (['Attribution', 'GradientAttribution', 'Saliency'], set())
    """
    found = {base.__name__ for base in kind.__mro__ if base.__module__.startswith("captum.attr.")}
    return found if found & {"Attribution", *REFUSED} else set()


def check_kind(kind: type, name: str) -> None:
    """Refuse a class that cannot be asked about an output of a model for one example.

    :raises UproarError: with the reason.
    """
    for refused in sorted(captums(kind) & set(REFUSED)):
        raise UproarError(f"explainer {name!r} cannot be {kind.__name__}: {REFUSED[refused]}")


def taken_apart(thing: Any) -> tuple[Any, Mapping[str, Any]]:
    """Return an object of Captum, and what its ``attribute`` is to be called with.

    >>> from captum.attr import IntegratedGradients
    >>> method = IntegratedGradients(nn.Linear(2, 2))
    >>> taken_apart(partial(method.attribute, n_steps=9))[1]
    {'n_steps': 9}
    """
    given: Mapping[str, Any] = {}
    if isinstance(thing, partial) and not thing.args:
        thing, given = thing.func, thing.keywords
    if isinstance(thing, MethodType) and thing.__name__ == "attribute":
        thing = thing.__self__
    return thing, given


def module_of(method: Any) -> nn.Module | None:
    """Return the module that an object of Captum asks."""
    asked = getattr(method, "forward_func", None)
    if isinstance(asked, MethodType):
        asked = asked.__self__
    return asked if isinstance(asked, nn.Module) else None


def bound_to(
    thing: tuple[Any, Mapping[str, Any]], root: nn.Module, outer: nn.Module, own: nn.Module
) -> tuple[Any, Mapping[str, Any]]:
    """Return a copy that asks ``outer`` where it asked ``root``, and has the layers of ``own``.

    >>> from captum.attr import LayerGradCam
    >>> mine, theirs = nn.Sequential(nn.Linear(2, 2)), nn.Sequential(nn.Linear(2, 2))
    >>> bound, _ = bound_to((LayerGradCam(theirs, theirs[0]), {}), theirs, mine, mine)
    >>> bound.forward_func is mine, bound.layer is mine[0]
    (True, True)
    """
    known = {id(part): part for part in outer.modules()}
    layers = dict(own.named_modules())
    known |= {id(part): layers[name] for name, part in root.named_modules() if name in layers}
    known[id(root)] = outer
    bound: tuple[Any, Mapping[str, Any]] = copy.deepcopy(thing, known)
    return bound


def with_inner(method: Any) -> Iterator[Any]:
    """Yield an object of Captum, and those that it makes use of."""
    yield method
    for value in vars(method).values():
        if captums(type(value)):
            yield from with_inner(value)
