"""Parameters of explainers as names write them: ``:key=value``; imports no torch."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from uproar.registry import unknown
from uproar.types import UproarError

Value = int | float | str
Parameters = tuple[tuple[str, Value], ...]

BASELINES = ("black", "mean", "zero")
LOSSES = ("auto", "zero-one")
PERTURBATIONS = ("path", "interventional")
DISCRETIZERS = ("quartile", "decile", "none")
SUPERPIXELS = ("auto", "quickshift", "squares")

# The least and most of numbers, and the choices of texts; what is not listed may be anything.
LEAST = {
    "steps": 1,
    "samples": 1,
    "noise": 0,
    "draw": 0,
    "repeats": 1,
    "refits": 1,
    "permutations": 1,
    "background": 1,
    "threshold": 0,
    "neighbours": 1,
    "patch": 1,
    "stride": 1,
    "masks": 1,
    "cells": 2,
    "perturbations": 2,
    "segments": 1,
    "width": 0,
    "coalitions": 2,
    "references": 1,
    "fraction": 0,
    "distance": 0,
    "deviation": 0,
    "smoothing": 0,
    "kept": 0,
}
MOST = {"fraction": 1, "distance": 1}
CHOICES = {
    "baseline": BASELINES,
    "loss": LOSSES,
    "perturbation": PERTURBATIONS,
    "superpixels": SUPERPIXELS,
    "discretizer": DISCRETIZERS,
}


def options_of(name: str, options: Sequence[str], defaults: Parameters) -> dict[str, Value]:
    """Read ``key=value`` pairs by the types of the defaults.

    >>> options_of("ig", ["steps=50"], (("steps", 25), ("baseline", "black")))
    {'steps': 50}
    """
    known, given = dict(defaults), dict[str, Value]()
    for option in options:
        key, equals, text = option.partition("=")
        if not equals:
            raise UproarError(f"expected key=value after ':' in explainer {name!r}, got {option!r}")
        if key not in known:
            raise UproarError(f"explainer {name!r}: {unknown(key, known, 'parameter')}")
        if key in given:
            raise UproarError(f"explainer {name!r} sets {key!r} twice; give one value")
        given[key] = _value_of(name, key, text, known[key])
    return given


def _value_of(name: str, key: str, text: str, default: Value) -> Value:
    where = f"explainer {name!r}: {key} must be"
    if isinstance(default, str):
        if text not in CHOICES.get(key, (text,)):
            raise UproarError(f"{where} one of {', '.join(CHOICES[key])}, got {text!r}")
        return text
    whole, least = isinstance(default, int), least_of(key, default)
    number = r"-?[0-9]+" if whole else r"-?([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?"
    wanted = f"{where} {'a whole number' if whole else 'a number'} of at least {least}"
    wanted += f" and at most {MOST[key]}" if key in MOST else ""
    if not re.fullmatch(number, text):
        raise UproarError(f"{wanted}, got {text!r}")
    value = int(text) if whole else float(text) + 0.0  # so that -0.0 is 0.0
    if not least <= value <= MOST.get(key, math.inf) or math.isinf(value):
        raise UproarError(f"{wanted}, got {text!r}")
    return value


def least_of(key: str, default: float) -> float:
    """Return the least that a number may be: no more than what it is by default.

    >>> least_of("background", 100), least_of("background", 0)  # where 0 stands for a baseline
    (1, 0)
    """
    return min(LEAST[key], default)


def text_of(value: Value) -> str:
    """Write a value in the shortest form that reads back as the same value."""
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return str(value)


def described(summary: str, parameters: Parameters) -> str:
    """Return a summary with its parameters.

    >>> described("integrated gradients", (("steps", 25),))
    'integrated gradients (steps 25)'
    """
    values = ", ".join(f"{key} {text_of(value)}" for key, value in parameters)
    return f"{summary} ({values})" if values else summary
