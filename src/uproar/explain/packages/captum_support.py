"""What calls into Captum need: a module of one's own to hook into, and quiet."""

from __future__ import annotations

import copy
import inspect
import re
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from uproar.models.trained import TrainedModel
from uproar.types import Skipped


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


def as_baseline(model: TrainedModel, reference: Tensor, inputs: Tensor) -> Tensor:
    """Return a training example as the baseline of all inputs; text keeps its own ids.

    >>> model = TrainedModel(nn.Flatten(), *[torch.zeros(2)] * 3, 1)
    >>> as_baseline(model, torch.tensor([1.0, 2.0]), torch.zeros(2, 2))
    tensor([[1., 2.],
            [1., 2.]])
    """
    baselines = reference.expand_as(inputs)
    if model.kind == "text":
        return torch.cat([inputs[:, :1], baselines[:, 1:]], 1)
    return baselines


def gradients_of_sum(
    forward: Callable[..., Tensor],
    inputs: tuple[Tensor, ...],
    target: Tensor | None = None,
    arguments: object = None,
) -> tuple[Tensor, ...]:
    """Return what ``compute_gradients`` of Captum does, from the sum of the examples' outputs.

    Captum hands them to autograd one by one, which takes longer than a small model does.

    :param forward: answers to nothing with the outputs explained, or to inputs with all outputs.

    >>> points = torch.tensor([[3.0], [5.0]], requires_grad=True)
    >>> gradients_of_sum(lambda: points[:, 0] ** 2, (points,))[0].tolist()
    [[6.0], [10.0]]
    """
    with torch.enable_grad():
        outputs = forward() if target is None else forward(*inputs).gather(1, target[:, None])
        return torch.autograd.grad(outputs.sum(), inputs)


def once_each(what: str, method: Any, inputs: Tensor, targets: Tensor, **options: object) -> Tensor:
    """Return what Captum says, where it does not refuse a layer that is called twice."""
    method.gradient_func = gradients_of_sum
    try:
        found: Tensor = attributed(method, inputs, targets, **options)
    except RuntimeError as error:
        if "more than once" not in str(error):
            raise
        raise Skipped(
            f"{what} needs layers that are called once, and one is called again"
        ) from error
    return found
