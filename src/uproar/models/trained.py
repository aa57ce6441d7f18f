"""The trained model as explainers see it: scores, gradients, and what its inputs look like."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


@dataclass(frozen=True)
class TrainedModel:
    """A trained classifier with frozen parameters, in evaluation mode.

    ``module`` maps inputs (examples, *input_shape) to logits (examples, classes).
    ``black`` is the input that shows nothing (the paper's black image; zero, which is the mean
    after standardisation, for tables), ``mean`` the mean training input, and ``spread`` the range
    (largest less smallest) that an input can take; all three broadcast to one example.
    ``feature_axes`` counts the trailing axes of an input that make up ``feature_shape``.
    """

    module: nn.Module
    black: Tensor
    mean: Tensor
    spread: Tensor
    feature_axes: int

    def __call__(
        self, inputs: Float[Tensor, "examples *shape"]
    ) -> Float[Tensor, "examples classes"]:
        """Return the logits."""
        logits: Tensor = self.module(inputs)
        return logits

    def gradient(
        self, inputs: Float[Tensor, "examples *shape"], targets: Int[Tensor, "examples"]
    ) -> Float[Tensor, "examples *shape"]:
        """Return d logit[target] / d input of every example, before the softmax."""
        with torch.enable_grad():
            leaf = inputs.detach().requires_grad_()
            chosen = self.module(leaf).gather(1, targets[:, None]).sum()
            (gradient,) = torch.autograd.grad(chosen, leaf)
        return gradient
