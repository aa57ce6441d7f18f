"""What training minimises: one loss for classes and one for values, the same in all ways."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor, nn

from uproar.types import Recipe


def mean_loss(
    outputs: Float[Tensor, "examples outputs"],
    labels: Int[Tensor, "examples"] | Float[Tensor, "examples"],
    recipe: Recipe,
) -> Float[Tensor, ""]:
    """Return the mean loss of the examples; the type of the labels says the task.

    Classes (int64): cross-entropy between the softmax of the outputs and (1 - s) on the label
    plus s / classes on every class, where s is the recipe's ``label_smoothing``. Values (floating
    point): squared error of the one output.

    >>> import torch
    >>> float(mean_loss(torch.tensor([[3.0], [1.0]]), torch.tensor([1.0, 1.0]), Recipe()))
    2.0
    """
    if labels.is_floating_point():
        return nn.functional.mse_loss(outputs[:, 0], labels)
    return nn.functional.cross_entropy(outputs, labels, label_smoothing=recipe.label_smoothing)
