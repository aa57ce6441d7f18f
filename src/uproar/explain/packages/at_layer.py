"""What a layer computes on the way, and how the explained output depends on it."""

from __future__ import annotations

import threading

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from uproar.explain.packages.grids import grid_of
from uproar.models.trained import TrainedModel
from uproar.registry import unknown
from uproar.types import Skipped

PLACES = {1: "length", 2: "height, width", 3: "depth, height, width"}
AUTO = "auto"  # the last convolution to run
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
# What this package puts around a module of the user's, who does not know of it.
WRAPPERS = ("module.", "inner.")


def at_layer(
    model: TrainedModel,
    layer: str,
    inputs: Float[Tensor, "examples *shape"],
    targets: Int[Tensor, "examples"],
) -> tuple[Float[Tensor, "examples channels *sides"], Float[Tensor, "examples channels *sides"]]:
    """Return a layer's output, and the gradient of the explained output with respect to it.

    :param layer: a name as ``named_modules`` has it, or ``auto``: the last convolution to run.
    :raises Skipped: without gradients, a convolution, or a layer of that name.

    >>> module = nn.Sequential(nn.Conv1d(1, 1, 1, bias=False), nn.Flatten(), nn.Linear(2, 1))
    >>> module = module.requires_grad_(False)
    >>> _ = module[0].weight.fill_(1.0), module[2].weight.copy_(torch.tensor([[1.0, 3.0]]))
    >>> model = TrainedModel(module, *[torch.zeros(1, 2)] * 3, 1, "series")
    >>> at_layer(model, "auto", torch.tensor([[[5.0, -1.0]]]), torch.tensor([0]))
    (tensor([[[ 5., -1.]]]), tensor([[[1., 3.]]]))
    """
    sides = grid_of(model, inputs)
    candidates = _candidates(model.network, layer)
    thread = threading.get_ident()
    seen: list[Tensor] = []

    def note(part: nn.Module, _: object, output: object) -> Tensor | None:
        if threading.get_ident() != thread or not isinstance(output, Tensor):
            return None
        seen.append(_with_places(model, layer, part, output, sides))
        return output.clone()  # what follows may write to it

    handles = [part.register_forward_hook(note) for part in candidates]
    try:
        with torch.enable_grad():
            leaf = inputs.detach().clone().requires_grad_()
            chosen = model(leaf).gather(1, targets[:, None]).sum()
    finally:
        for handle in handles:
            handle.remove()
    if not seen or not seen[-1].requires_grad:
        raise Skipped(f"what layer {layer!r} computes does not depend on the inputs")
    (slope,) = torch.autograd.grad(chosen, seen[-1], allow_unused=True)
    return seen[-1].detach(), torch.zeros_like(seen[-1]) if slope is None else slope


def _with_places(
    model: TrainedModel, layer: str, part: nn.Module, output: Tensor, sides: tuple[int, ...]
) -> Tensor:
    """Return the output of a layer that keeps the places of the inputs.

    :raises Skipped: for other layers, and for those of transformers, whose channels come last.
    """
    tokens_first = model.kind == "text" and output.shape[1:2] == sides
    if output.ndim != len(sides) + 2 or (tokens_first and not isinstance(part, CONVOLUTIONS)):
        got = ", ".join(["examples", *map(str, output.shape[1:])])
        raise Skipped(
            f"the output of layer {layer!r} must be of shape (examples, channels, "
            f"{PLACES[len(sides)]}), as that of a convolution, got ({got})"
        )
    return output


def _candidates(module: nn.Module, layer: str) -> list[nn.Module]:
    """Return the layer of a name, or all of which the last to run is meant.

    :raises Skipped: when there is none.
    """
    if layer == AUTO:
        found: list[nn.Module] = [
            part for part in module.modules() if isinstance(part, CONVOLUTIONS)
        ]
        if not found:
            raise Skipped(
                "it needs a convolution, and the model has none; name a layer whose output keeps "
                "the places of the inputs, as in grad-cam:layer=NAME"
            )
        return found
    names = {name: part for name, part in module.named_modules() if name}
    known = {_without_wrappers(name): part for name, part in names.items()}
    chosen = names.get(layer, known.get(layer))
    if chosen is None:
        raise Skipped(unknown(layer, filter(None, known), "layer"))
    return [chosen]


def _without_wrappers(name: str) -> str:
    for wrapper in WRAPPERS:
        name = name.removeprefix(wrapper)
    return name
