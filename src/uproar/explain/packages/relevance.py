"""A model with the rules by which Captum passes relevance back through its layers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from uproar.explain.packages.captum_support import private_copy
from uproar.models.trained import TrainedModel
from uproar.types import Skipped

# Layers of weighted sums, for which the epsilon rule holds, and pooling, of which the largest is
# one; layers that Captum lets relevance pass; and layers that move numbers about.
EPSILON = (
    *(nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d),
    *(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
)
PASSING = (nn.ReLU, nn.Dropout, nn.Tanh)
MOVING = (nn.Flatten, nn.Unflatten, nn.Identity, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
KNOWN = {*EPSILON, *PASSING, *MOVING}
# What may happen outside of layers: the gradient of these passes relevance on as it is.
HARMLESS = {
    *("flatten", "view", "reshape", "permute", "transpose", "squeeze", "unsqueeze", "contiguous"),
    *("relu", "relu_", "dropout", "size", "dim", "numel", "__get__", "__len__"),
}


def with_rules(model: TrainedModel, sample: Tensor | None) -> nn.Module:
    """Return a copy of the model, with a rule for every layer.

    :param sample: an example to look at what the model does outside of layers; None not to.
    :raises Skipped: when the model has no gradients, or there is no rule for what it does.

    >>> model = TrainedModel(nn.Linear(2, 1), *[torch.zeros(2)] * 3, 1)
    >>> with_rules(model, torch.zeros(1, 2))[0].rule.STABILITY_FACTOR
    1e-09
    """
    from captum.attr._utils.lrp_rules import EpsilonRule

    if model.kind == "text":
        raise Skipped("LRP has no rule for embeddings of text")
    # Captum writes the weights anew. A module that is a layer itself needs something around it.
    own = nn.Sequential(private_copy(model.network, weights=True))
    layers = [part for part in own.modules() if not any(part.children())]
    foreign = sorted({type(part).__name__ for part in layers if type(part) not in KNOWN})
    if foreign:
        raise Skipped(f"LRP has no rule for {', '.join(foreign)}")
    if sample is not None:
        before = model.passes.examples
        _refuse_outside(own, layers, sample)
        model.passes.examples = before  # of one example, however many are explained
    for part in layers:
        if type(part) in EPSILON:
            part.rule = EpsilonRule()
        elif type(part) in MOVING:
            # Captum looks for rules of modules without children.
            part.add_module("passes_on", nn.Dropout())
    return own


class _Outside(TorchFunctionMode):
    """Notes the functions that are called outside of layers, in this thread."""

    def __init__(self) -> None:
        super().__init__()
        self.depth = 0
        self.called: set[str] = set()

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if not self.depth:
            self.called.add(func.__name__)
        return func(*args, **(kwargs or {}))


@torch.no_grad()
def _refuse_outside(module: nn.Module, layers: list[nn.Module], sample: Tensor) -> None:
    """Refuse a module that computes outside of layers, as where it adds two branches."""
    outside = _Outside()

    def enter(*_: object) -> None:
        outside.depth += 1

    def leave(*_: object) -> None:
        outside.depth -= 1

    handles = [part.register_forward_pre_hook(enter) for part in layers]
    handles += [part.register_forward_hook(leave) for part in layers]
    try:
        with outside:
            module(sample)
    finally:
        for handle in handles:
            handle.remove()
    unknown = sorted(outside.called - HARMLESS)
    if unknown:
        raise Skipped(
            f"LRP needs a model that computes within layers alone, and this one also calls "
            f"{', '.join(unknown)}"
        )
