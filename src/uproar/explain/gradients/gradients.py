"""Gradient, input times gradient, and the two backward passes that treat ReLUs in another way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from uproar.models.trained import TrainedModel
from uproar.types import Skipped


def gradient(
    model: TrainedModel,
    inputs: Float[Tensor, "examples *shape"],
    targets: Int[Tensor, "examples"],
    generator: torch.Generator,
) -> Float[Tensor, "examples *shape"]:
    """Return the gradient of the explained logit.

    ``e = df/dx``, where ``f`` is the logit of the target class, before the softmax.

    :param inputs: (examples, *input_shape).
    :param targets: (examples,), the class explained.
    :returns: attribution of the shape of ``inputs``, signed.

    Simonyan et al. 2014, arXiv 1312.6034.

    >>> module = nn.Linear(2, 1, bias=False).requires_grad_(False)
    >>> _ = module.weight.copy_(torch.tensor([[2.0, -3.0]]))
    >>> model = TrainedModel(module, torch.zeros(2), torch.zeros(2), torch.ones(2), 1)
    >>> gradient(model, torch.tensor([[4.0, 5.0]]), torch.tensor([0]), torch.Generator())
    tensor([[ 2., -3.]])
    """
    return model.gradient(inputs, targets)


def input_x_gradient(
    model: TrainedModel,
    inputs: Float[Tensor, "examples *shape"],
    targets: Int[Tensor, "examples"],
    generator: torch.Generator,
) -> Float[Tensor, "examples *shape"]:
    """Return the input times the gradient of the explained logit.

    ``e = x * df/dx``.

    :param inputs: (examples, *input_shape).
    :param targets: (examples,), the class explained.
    :returns: attribution of the shape of ``inputs``, signed.

    Shrikumar et al. 2016, arXiv 1605.01713.

    >>> module = nn.Linear(2, 1, bias=False).requires_grad_(False)
    >>> _ = module.weight.copy_(torch.tensor([[2.0, -3.0]]))
    >>> model = TrainedModel(module, torch.zeros(2), torch.zeros(2), torch.ones(2), 1)
    >>> input_x_gradient(model, torch.tensor([[4.0, 5.0]]), torch.tensor([0]), torch.Generator())
    tensor([[  8., -15.]])
    """
    return inputs * model.gradient(inputs, targets)


def guided_backpropagation(
    model: TrainedModel,
    inputs: Float[Tensor, "examples *shape"],
    targets: Int[Tensor, "examples"],
    generator: torch.Generator,
) -> Float[Tensor, "examples *shape"]:
    """Return the gradient, where every ReLU lets only positive gradients through.

    At each ReLU ``y = max(z, 0)`` the backward pass takes ``dz = dy * [z > 0] * [dy > 0]``.

    :param inputs: (examples, *input_shape).
    :param targets: (examples,), the class explained.
    :returns: attribution of the shape of ``inputs``, signed (the first layer is linear).
    :raises Skipped: when no ``nn.ReLU`` module takes part; ``torch.relu`` and
        ``nn.functional.relu`` cannot be seen from outside.

    Springenberg et al. 2015, arXiv 1412.6806.

    >>> first, last = nn.Linear(1, 2, bias=False), nn.Linear(2, 1, bias=False)
    >>> module = nn.Sequential(first, nn.ReLU(), last).requires_grad_(False)
    >>> _ = first.weight.copy_(torch.tensor([[1.0], [2.0]]))
    >>> _ = last.weight.copy_(torch.tensor([[5.0, -3.0]]))  # gradient 5 * 1 - 3 * 2
    >>> model = TrainedModel(module, torch.zeros(1), torch.zeros(1), torch.ones(1), 1)
    >>> guided_backpropagation(model, torch.ones(1, 1), torch.tensor([0]), torch.Generator())
    tensor([[5.]])
    """
    return _rectified("guided backpropagation", _forward_and_backward, model, inputs, targets)


def deconvnet(
    model: TrainedModel,
    inputs: Float[Tensor, "examples *shape"],
    targets: Int[Tensor, "examples"],
    generator: torch.Generator,
) -> Float[Tensor, "examples *shape"]:
    """Return the gradient, where every ReLU lets positive gradients through, whatever it was given.

    At each ReLU ``y = max(z, 0)`` the backward pass takes ``dz = dy * [dy > 0]``. All other layers
    pass their gradient on: of a convolution that is the transposed one, of max-pooling the place
    of the maximum.

    :param inputs: (examples, *input_shape).
    :param targets: (examples,), the class explained.
    :returns: attribution of the shape of ``inputs``, signed (the first layer is linear).
    :raises Skipped: when no ``nn.ReLU`` module takes part; ``torch.relu`` and
        ``nn.functional.relu`` cannot be seen from outside.

    Zeiler and Fergus 2014, arXiv 1311.2901.

    >>> first, last = nn.Linear(1, 2, bias=False), nn.Linear(2, 1, bias=False)
    >>> module = nn.Sequential(first, nn.ReLU(), last).requires_grad_(False)
    >>> _ = first.weight.copy_(torch.tensor([[1.0], [2.0]]))
    >>> _ = last.weight.copy_(torch.tensor([[5.0, -3.0]]))
    >>> model = TrainedModel(module, torch.zeros(1), torch.zeros(1), torch.ones(1), 1)
    >>> deconvnet(model, -torch.ones(1, 1), torch.tensor([0]), torch.Generator())  # both units off
    tensor([[5.]])
    """
    return _rectified("a deconvnet", _backward_alone, model, inputs, targets)


# What a ReLU hands back: of the gradient that arrives, and what of it the ReLU lets through itself.
Rule = Callable[[Tensor, Tensor], Tensor]


def _forward_and_backward(arriving: Tensor, passed: Tensor) -> Tensor:
    return passed.clamp(min=0)


def _backward_alone(arriving: Tensor, passed: Tensor) -> Tensor:
    return arriving.clamp(min=0)


def _rectified(
    what: str, rule: Rule, model: TrainedModel, inputs: Tensor, targets: Tensor
) -> Tensor:
    """Return the gradient with another rule at the ReLUs."""
    with _at_relus(model.network, rule) as used:
        attribution = model.gradient(inputs, targets)
    if not used:
        raise Skipped(
            f"{what} needs a model whose forward pass uses nn.ReLU modules; "
            f"{type(model.network).__name__} uses none (functional ReLUs do not count)"
        )
    return attribution


@contextmanager
def _at_relus(module: nn.Module, rule: Rule) -> Iterator[list[nn.Module]]:
    """Let a rule decide at every use of a ReLU module; yields the list of uses, filled on the way.

    The rule is hooked to the step of the backward pass, not to the module, so that it works for
    each use of a module that is used often. A ReLU in place works on a copy, which is written back:
    the step of one that changes a view cannot be had otherwise. By this thread alone: others may
    run the same module meanwhile.
    """
    used: list[nn.Module] = []
    given: list[Tensor] = []  # to the ReLU in place that is at work
    thread = threading.get_ident()

    def before(relu: nn.ReLU, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if not relu.inplace or threading.get_ident() != thread:
            return None
        given.append(arguments[0] if arguments else options["input"])
        return (given[-1].clone(),), {}

    def after(relu: nn.ReLU, _: object, output: Tensor) -> Tensor | None:
        if threading.get_ident() != thread:
            return None
        if output.grad_fn is not None:
            used.append(relu)
            output.grad_fn.register_hook(
                lambda passed, arriving: (
                    None if arriving[0] is None else (rule(arriving[0], passed[0]),)
                )
            )
        return given.pop().copy_(output) if relu.inplace else None

    relus = [child for child in module.modules() if isinstance(child, nn.ReLU)]
    handles = [relu.register_forward_pre_hook(before, with_kwargs=True) for relu in relus]
    handles += [relu.register_forward_hook(after) for relu in relus]
    try:
        yield used
    finally:
        for handle in handles:
            handle.remove()
