"""Where tensors live: the name that a spec gives, made into a device that works."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uproar.types import UproarError

if TYPE_CHECKING:
    import torch

KEPT_BYTES = 2**25 - 2**16  # just below what the C library never keeps, 32 MiB


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


def keep_freed_memory() -> None:
    """Let the C library keep memory that is freed, 64 MiB at most, for what comes next.

    glibc hands free memory back to the system where there is more than twice the largest block that
    was freed before, and had of the system by itself, which is 128 KiB at first. What a pass of a
    convolutional network frees is a few MiB, to be had anew for the next pass, page by page, each
    filled with zeros: of a small network half of the time (measured: 14 instead of 30 µs a row,
    forward and backward). Freeing one large block that nobody has written to raises the mark.

    >>> keep_freed_memory()
    """
    import torch

    torch.empty(KEPT_BYTES, dtype=torch.uint8)  # and freed at once
