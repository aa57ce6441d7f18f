"""Models by name: architecture and the recipe it is trained with."""

from __future__ import annotations

from uproar.types import Entry

MODELS = (
    Entry(
        name="mlp",
        summary="two hidden layers of 128 ReLU units",
        path="uproar.models.architectures:mlp",
    ),
    Entry(
        name="cnn",
        summary="two 3 × 3 convolutions with ReLU and a linear layer",
        path="uproar.models.architectures:cnn",
        needs="images",
    ),
    Entry(
        name="linear",
        summary="one linear layer: softmax regression, or least squares by optimiser",
        path="uproar.models.architectures:linear",
    ),
)
