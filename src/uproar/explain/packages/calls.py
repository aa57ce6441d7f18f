"""Calls into packages that draw from global generators and warn: seeded, quiet, one at a time."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import torch
from torch import Tensor

from uproar.models.randomness import numpy_seeded, seeded
from uproar.models.trained import TrainedModel
from uproar.registry import library
from uproar.types import Skipped


@contextmanager
def seeded_and_quiet(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the generators of NumPy, Python and torch within, silence warnings, undo both after.

    One thread at a time: others wait at the door, since all of this belongs to the whole process.

    >>> import numpy as np
    >>> before = np.random.get_state()[1][0]
    >>> with seeded_and_quiet(0, torch.device("cpu")):
    ...     first = np.random.uniform()
    >>> with seeded_and_quiet(0, torch.device("cpu")):
    ...     bool(np.random.uniform() == first)
    True
    >>> bool(np.random.get_state()[1][0] == before)
    True
    """
    with seeded(seed, device), numpy_seeded(seed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def quietly_imported(name: str, extra: str) -> ModuleType:
    """Import and return an optional package, without what it warns of when it is imported.

    :raises UproarError: which names the extra, when it is not installed.

    >>> quietly_imported("json", "none").__name__
    'json'
    """
    with seeded_and_quiet(0, torch.device("cpu")):
        return library(name, extra)


def seed_from(generator: torch.Generator) -> int:
    """Draw a seed, at most 2**31 - 1: the largest that all packages take.

    >>> seed_from(torch.Generator().manual_seed(0)) == seed_from(torch.Generator().manual_seed(0))
    True
    """
    drawn = torch.randint(2**31, (), generator=generator, device=generator.device)
    return int(drawn)


def background_of(model: TrainedModel, examples: int) -> Tensor:
    """Return training examples to compare with: as many as are asked for, or all there are.

    :raises Skipped: when there are none.

    >>> rows = torch.ones(5, 1)
    >>> model = TrainedModel(torch.nn.Flatten(), *[torch.zeros(1)] * 3, 1, background=rows)
    >>> background_of(model, 3).shape
    torch.Size([3, 1])
    """
    if model.background is None or len(model.background) == 0:
        raise Skipped("it compares with training examples, and there are none")
    return model.background[:examples]
