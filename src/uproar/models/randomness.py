"""Global generators: what modules and packages draw from, and all threads of a process share."""

from __future__ import annotations

import copy
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from uproar.types import Skipped

# Whoever seeds them holds this until they are put back; the same thread may do so again within.
GLOBAL_GENERATORS = threading.RLock()


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the generators of the CPU and of ``device`` within, and put them back afterwards.

    One thread at a time: others wait at the door, so that what is drawn depends on the seed alone.

    >>> with seeded(0, torch.device("cpu")):
    ...     first = torch.rand(())
    >>> with seeded(0, torch.device("cpu")):
    ...     bool(torch.rand(()) == first)
    True
    """
    devices = [device] if device.type == "cuda" else []
    with GLOBAL_GENERATORS, torch.random.fork_rng(devices):
        # Not torch.manual_seed, which seeds every GPU, and fork_rng puts one back.
        torch.default_generator.manual_seed(seed)
        for gpu in devices:
            with torch.cuda.device(gpu):
                torch.cuda.manual_seed(seed)
        yield


@contextmanager
def numpy_seeded(seed: int) -> Iterator[None]:
    """Seed the generators of NumPy and Python within, and put them back, as :func:`seeded` does.

    >>> with numpy_seeded(0):
    ...     first = np.random.uniform()
    >>> with numpy_seeded(0):
    ...     bool(np.random.uniform() == first)
    True
    """
    with GLOBAL_GENERATORS:
        of_numpy, of_python = np.random.get_state(), random.getstate()  # noqa: NPY002 - put back
        np.random.seed(seed % 2**32)  # noqa: NPY002 - what packages draw from
        random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(of_numpy)  # noqa: NPY002 - put back
            random.setstate(of_python)


def draws_random_numbers(module: nn.Module, inputs: Shaped[Tensor, "examples *shape"]) -> bool:
    """Say whether the module draws random numbers while it is trained, as dropout does.

    Decided by a forward pass of a copy in training mode: whether it moves a global generator.
    Cells that train such a module wait for one another, see :func:`seeded`.

    >>> draws_random_numbers(nn.Dropout(), torch.ones(2, 3))
    True
    """
    probe = copy.deepcopy(module).train()
    with seeded(0, inputs.device), torch.no_grad():
        before = _states(inputs.device)
        probe(inputs)
        after = _states(inputs.device)
    return any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


def reinitialised(module: nn.Module, seed: int) -> nn.Module:
    """Return a copy of a trained module whose parts have drawn new initial weights.

    Parameters that no part of the module knows how to draw, such as those of a module of one's own,
    are shuffled among themselves, which keeps their scale.

    :raises Skipped: when that changes nothing, as where there are no parameters.

    >>> trained = nn.Linear(2, 2)
    >>> bool((reinitialised(trained, 0).weight != trained.weight).all())
    True
    """
    fresh = copy.deepcopy(module)
    device = next((value.device for value in fresh.state_dict().values()), torch.device("cpu"))
    with seeded(seed, device), torch.no_grad():
        for part in fresh.modules():
            _draw_anew(part)
    both = zip(fresh.parameters(), module.parameters(), strict=True)
    if all(torch.equal(new, old) for new, old in both):
        raise Skipped(f"{type(module).__name__} has no weights that could be random")
    return fresh


def _draw_anew(part: nn.Module) -> None:
    """Draw the part's own parameters as it was made; shuffle those that this leaves as they are."""
    own = list(part.parameters(recurse=False))
    before = [value.clone() for value in own]
    reset = getattr(part, "reset_parameters", None)
    if callable(reset):
        reset()
    for value, old in zip(own, before, strict=True):
        # Layers with parameters of somebody's own inherit resets that do not know these.
        if torch.equal(value, old):
            order = torch.randperm(value.numel(), device=value.device)
            value.copy_(value.flatten()[order].view_as(value))


def _states(device: torch.device) -> list[Tensor]:
    gpu = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    return [torch.get_rng_state(), *gpu]
