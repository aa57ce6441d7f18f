"""What explainers claim, read from their entries, and how a test runs any of them quickly."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.support.zoo import CASES, MODELS, MODULES, TREES, Case, Made, made
from uproar.explain import EXPLAINERS
from uproar.explain.chunks import CHUNK_BYTES
from uproar.explain.explainer import Explainer
from uproar.explain.family import Explanation, explain_family
from uproar.explain.importance import ExplainerOfFunction
from uproar.explain.names import ExplainerName, parse

# The models that each need is about; whoever claims it explains all of them.
CLAIMED: dict[str, tuple[str, ...]] = {
    "nothing": MODELS,
    "any model": MODELS,
    "images": MODELS,
    "training examples": MODELS,
    "held-out examples": MODELS,
    "held-out examples, retraining": MODELS,
    "gradients": MODULES,
    "gradients, ReLU modules": MODULES,
    "gradients, convolutions": ("convolutions",),
    "gradients, no attention": ("dense", "convolutions"),
    "attention": ("transformer",),
    "tree model": TREES,
    "tree model of scikit-learn": ("forest",),
    "tree model of XGBoost or LightGBM": ("xgboost", "lightgbm"),
    "linear model": ("linear",),
}


def small(entry: Explainer, **values: float | str) -> str:
    """Return the explainer's name with parameters that make it fast, or those given."""
    wanted = dict(entry.test) | values
    return ":".join([entry.name, *(f"{key}={value}" for key, value in wanted.items())])


def claims(entry: Explainer, case: Case) -> bool:
    """Say whether an entry claims to explain a kind of model of a kind of data."""
    return case.model in CLAIMED[entry.needs] and all(entry.fits(kind) for kind in case.kinds)


def homes(entry: Explainer) -> list[Case]:
    """Return a few cases that an entry claims, of as many kinds of data as it can have."""
    found: dict[str, Case] = {}
    for case in CASES:
        if claims(entry, case):
            found.setdefault("-".join(sorted(case.kinds)), case)
    return list(found.values())


def chosen(entry: Explainer) -> list[Case]:
    """Return few cases in which an entry meets all that can differ, claimed and not.

    Those are every layout of data, text as ids and as vectors, every kind of model, and
    regression: an explainer sees one of each, and no pair of them.
    """
    both = [[case for case in CASES if claims(entry, case) is wanted] for wanted in (True, False)]
    return [case for cases in both for case in _covering(cases)]


def _covering(cases: list[Case]) -> list[Case]:
    """Take the case that adds most, again and again, until there is nothing left to add."""
    left, found = set().union(*map(_met, cases)), []
    while left:
        found.append(max(cases, key=lambda case: len(left & _met(case))))
        left -= _met(found[-1])
    return found


def _met(case: Case) -> set[object]:
    return {("layout", case.data), ("kinds", *sorted(case.kinds)), case.model, case.regression}


def every_home() -> Iterator[tuple[Explainer, Case]]:
    """Yield all entries with their homes."""
    for entry in EXPLAINERS:
        for case in homes(entry):
            yield entry, case


def generator_for(label: str, seed: int = 0) -> torch.Generator:
    """Return a generator that depends on a seed alone."""
    del label
    return torch.Generator().manual_seed(seed)


def explained(
    name: ExplainerName | str, made: Made, *, seed: int = 0, chunk_bytes: int = CHUNK_BYTES
) -> Explanation:
    """Return what an explainer says of a few inputs, through the one door that runs use."""
    parsed = parse(name) if isinstance(name, str) else name
    (found,) = explain_family(
        *(parsed.load(), [parsed], made.model, made.inputs, made.targets),
        lambda label: generator_for(label, seed),
        chunk_bytes=chunk_bytes,
    )
    return found


@cache
def usual(name: str, case: Case) -> NDArray[np.float32]:
    """Return the importance that an explainer gives the inputs of a case, made once."""
    importance = explained(name, made(case)).importance
    importance.setflags(write=False)
    return importance


def attribution(name: str, made: Made, *, seed: int = 0, examples: slice = slice(None)) -> Tensor:
    """Return an attribution as the explainer itself returns it."""
    explainer, generator = parse(name).load(), torch.Generator().manual_seed(seed)
    inputs, targets = made.inputs[examples], made.targets[examples]
    if isinstance(explainer, ExplainerOfFunction):
        return explainer.measure(made.model, generator).like(made.model, inputs)
    found = explainer(made.model, inputs, targets, generator)
    return torch.from_numpy(found) if isinstance(found, np.ndarray) else found
