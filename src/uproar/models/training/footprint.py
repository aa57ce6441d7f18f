"""How much memory the training of one arm takes: what a module keeps for its backward pass."""

from __future__ import annotations

import copy

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from uproar.models.randomness import seeded

COPIES_OF_PARAMETERS = 4  # weights, gradients and the two moments of Adam
COPIES_OF_ACTIVATIONS = 2  # what is kept for the backward pass, and its gradients


def footprint(module: nn.Module, inputs: Shaped[Tensor, "examples *shape"], batch_size: int) -> int:
    """Return about how many bytes one step of one arm takes.

    4 · bytes of the parameters + 2 · bytes that autograd keeps for one example · ``batch_size``:
    a property of the model, of the inputs' shape and of nothing else.

    >>> footprint(nn.Linear(3, 5), torch.zeros(2, 3), 10)  # 20 parameters, 3 numbers kept
    560
    """
    probe = copy.deepcopy(module)
    own = {value.untyped_storage().data_ptr() for value in probe.parameters()}
    kept = list[Tensor]()  # alive until counted, so that no two share an address by turns

    def keep(value: Tensor) -> Tensor:
        kept.append(value)
        return value

    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value)
    with seeded(0, inputs.device), torch.enable_grad(), hooks:
        answers = probe(inputs.clone())  # whose storage may be that of all the data
    storages = {v.untyped_storage().data_ptr(): v.untyped_storage().nbytes() for v in kept}
    saved = sum(size for place, size in storages.items() if place not in own)
    del answers
    parameters = sum(value.numel() * value.element_size() for value in probe.parameters())
    activations = saved * batch_size // len(inputs)
    return COPIES_OF_PARAMETERS * parameters + COPIES_OF_ACTIVATIONS * activations
