"""What tells one torch module from another, the same in every process."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn

from uproar.models.model_digest import digest_of

# Packages whose code goes by name: it changes with their versions alone.
INSTALLED = ("torch", "uproar", "transformers")


def module_digest(module: nn.Module) -> str:
    """Hash architecture, weights, options, and the code of the module's own classes.

    Options are the attributes without leading underscore, of layers too: ``repr`` does not show
    the heads of an attention. Of classes of the user's, all methods but ``__init__``, whose
    results are there to be hashed, and their class attributes.

    :raises UproarError: for an attribute whose state cannot be told (an open file).

    >>> first, second = nn.MultiheadAttention(4, 1), nn.MultiheadAttention(4, 2)
    >>> second.load_state_dict(first.state_dict())
    <All keys matched successfully>
    >>> module_digest(first) == module_digest(second)
    False
    """
    parts = [repr(module)]
    parts += [f"{name}:{_bytes(value)}" for name, value in module.state_dict().items()]
    for name, part in module.named_modules():
        # The mode is set by whoever trains or asks the module.
        options = {k: v for k, v in vars(part).items() if not k.startswith("_") and k != "training"}
        parts.append(f"{name}:{digest_of(options)}")
    own = {kind for part in module.modules() for kind in type(part).__mro__ if _is_own(kind)}
    parts += sorted(text for kind in own for text in _code(kind))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _bytes(value: Any) -> str:
    if not isinstance(value, Tensor):  # extra state, which may be anything
        return digest_of(value)
    # As bytes, for NumPy knows no bfloat16.
    flat = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    about = f"{value.dtype}:{tuple(value.shape)}"
    return f"{about}:{hashlib.sha256(flat.numpy().tobytes()).hexdigest()}"


def _is_own(kind: type) -> bool:
    return kind is not object and kind.__module__.partition(".")[0] not in INSTALLED


def _code(kind: type) -> Iterator[str]:
    """Yield what a class defines, a text for each."""
    for name, value in vars(kind).items():
        function = value.fget if isinstance(value, property) else value
        function = getattr(function, "__func__", function)  # of static and class methods
        if isinstance(function, FunctionType) and name != "__init__":
            yield f"{kind.__qualname__}.{name}:{digest_of(function)}"
        elif not name.startswith("_") and not hasattr(value, "__get__"):
            yield f"{kind.__qualname__}.{name}:{digest_of(value)}"
