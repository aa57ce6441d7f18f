"""Where tensors live: the name that a spec gives, made into a device that works."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uproar.types import UproarError

if TYPE_CHECKING:
    import torch


def device_of(name: str) -> torch.device:
    """Return the device of a name; ``auto`` is a GPU where there is one.

    :raises UproarError: when torch knows no such device, or this machine has none.

    >>> device_of("cpu")
    device(type='cpu')
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    # torch says in several ways that a build or a machine lacks a device.
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UproarError(f"device {name!r} cannot be used: {reason}; try 'cpu'") from error
    return device
