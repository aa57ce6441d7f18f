"""What calls into Captum need: a module of one's own to hook into, and quiet."""

from __future__ import annotations

import copy
import inspect
import re
import warnings
from typing import Any

from torch import Tensor, nn


def private_copy(module: nn.Module, *, weights: bool = False) -> nn.Module:
    """Return a copy of a module that may be hooked into while other threads run the module.

    Parameters are shared, since they are frozen, unless ``weights`` are wanted: for those who
    write to them. Hooks are taken over as they are now: other threads add and remove theirs all the
    time, which copying them the ordinary way does not survive.

    >>> module = nn.Sequential(nn.Linear(2, 2))
    >>> mine = private_copy(module)
    >>> mine[0] is module[0], mine[0].weight is module[0].weight
    (False, True)
    """
    known: dict[int, Any] = {}
    for part in module.modules():
        for name, value in list(vars(part).items()):
            if "_hooks" in name and isinstance(value, dict):
                known[id(value)] = value.copy()
            elif isinstance(value, Tensor) and value.grad_fn is not None:
                # What a module keeps of its last pass, which cannot be copied.
                known[id(value)] = value.detach()
        if not weights:
            known |= {id(value): value for value in part.parameters(recurse=False)}
    return copy.deepcopy(module, known)


def attributed(method: Any, inputs: Tensor, targets: Tensor, **options: Any) -> Any:
    """Return what a ``captum.attr.Attribution`` says, without what it warns of on every call.

    Captum warns that it sets hooks, and is told here to set them. Only warnings that are put down
    to this module are silenced, by one filter that is added once:
    ``warnings.catch_warnings`` would change what other threads are warned of.
    """
    silent = ("ignore", None, UserWarning, re.compile(re.escape(__name__)), 0)
    if silent not in warnings.filters:
        warnings.filterwarnings("ignore", category=UserWarning, module=re.escape(__name__))
    attribute = type(method).attribute
    # Past the decorator, to be the caller whom the warning is put down to.
    attribute = getattr(attribute, "__wrapped__", attribute)
    parameters = inspect.signature(attribute).parameters
    if "target" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        options["target"] = targets  # which a few methods do not look at
    result = attribute(method, inputs.detach().clone().requires_grad_(), **options)
    return result.detach() if isinstance(result, Tensor) else result
