"""One module, many states at once: forward and gradients under ``vmap``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.overrides import TorchFunctionMode

from uproar.models.training.loss import mean_loss
from uproar.types import Recipe

State = dict[str, Tensor]


@dataclass(frozen=True)
class Names:
    """Names of what a module's state holds, each tensor once however many names it goes by.

    ``aliases`` leads from every name of a state to the one that stands for the same tensor here,
    and ``slots`` does so for every place in the module that holds one: a layer that is used twice
    has two names and one place, a weight that two layers share has two of both.
    """

    trained: tuple[str, ...]
    frozen: tuple[str, ...]
    buffers: tuple[str, ...]
    aliases: Mapping[str, str]
    slots: Mapping[str, str]

    @classmethod
    def of(cls, module: nn.Module) -> Names:
        """Read the names from a module; buffers that no state keeps are left out."""
        kept = set(module.state_dict())
        parameters = dict(module.named_parameters())
        buffers = {name: value for name, value in module.named_buffers() if name in kept}
        first = {id(value): name for name, value in (parameters | buffers).items()}
        return cls(
            trained=tuple(n for n, v in parameters.items() if v.requires_grad),
            frozen=tuple(n for n, v in parameters.items() if not v.requires_grad),
            buffers=tuple(buffers),
            aliases={n: first[id(v)] for n, v in module.state_dict(keep_vars=True).items()},
            slots={n: first[id(v)] for n, v in _slots(module) if id(v) in first},
        )


def _slots(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for prefix, part in module.named_modules():
        for held in (part._parameters, part._buffers):
            for name, value in held.items():
                if value is not None:
                    yield f"{prefix}.{name}" if prefix else name, value


@dataclass(frozen=True)
class Stacked:
    """The states of several arms, (arms, …): what is trained, what stays, and the buffers."""

    trained: State
    frozen: State
    buffers: State

    @classmethod
    def of(cls, states: Sequence[Mapping[str, Tensor]], names: Names) -> Stacked:
        """Stack states of single modules."""
        parts = (
            {name: torch.stack([state[name] for state in states]) for name in part}
            for part in (names.trained, names.frozen, names.buffers)
        )
        return cls(*parts)

    @property
    def whole(self) -> State:
        """All of it, by name."""
        return self.trained | self.frozen | self.buffers


class VisibleAttention(TorchFunctionMode):
    """Attention from matrix products and a softmax, which ``vmap`` vectorises.

    The fused kernels for it either have no vectorised form (on a CPU) or drop other weights in
    each arm. Holds for the calling thread alone, where torch's own switch is for all.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call ``func``, or what stands in for it."""
        given = kwargs or {}
        if func is nn.functional.scaled_dot_product_attention:
            return torch.ops.aten._scaled_dot_product_attention_math(*args, **given)[0]
        # Where the weights are asked for, torch computes them.
        if func is nn.functional.multi_head_attention_forward and not given.get(
            "need_weights", True
        ):
            return func(*args, **given | {"need_weights": True})[0], None
        return func(*args, **given)


def gradients(
    module: nn.Module,
    names: Names,
    states: Stacked,
    inputs: Tensor,
    labels: Tensor,
    recipe: Recipe,
) -> tuple[State, State]:
    """Return the gradient of every arm's own mean loss, and its buffers after the pass.

    All are stacked, (arms, …); ``inputs`` and ``labels`` too.
    """

    def loss(one: State, fixed: State, own: State, x: Tensor, y: Tensor) -> tuple[Tensor, State]:
        # Copies, because a module writes into its buffers, or replaces them.
        state = {**one, **fixed, **{name: value.clone() for name, value in own.items()}}
        held = {slot: state[first] for slot, first in names.slots.items()}
        value = mean_loss(functional_call(module, held, (x,), tie_weights=False), y, recipe)
        return value, {name: held[name].detach() for name in own}

    # Arms that draw random numbers draw the same ones: they are of one seed.
    each = vmap(grad(loss, has_aux=True), randomness="same")
    with VisibleAttention():
        result: tuple[State, State] = each(
            states.trained, states.frozen, states.buffers, inputs, labels
        )
    return result


@torch.no_grad()
def outputs(module: nn.Module, names: Names, state: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
    """Return what every arm answers to its own inputs, (arms, batch, outputs)."""

    def forward(one: State, x: Tensor) -> Tensor:
        held = {slot: one[first] for slot, first in names.slots.items()}
        answer: Tensor = functional_call(module, held, (x,), tie_weights=False)
        return answer

    with VisibleAttention():
        answers: Tensor = vmap(forward, randomness="same")(dict(state), inputs)
    return answers
