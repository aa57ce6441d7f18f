"""Small reference architectures: a data set in, an untrained module out."""

from __future__ import annotations

import math

from torch import nn

from uproar.types import Data, UproarError

HIDDEN_UNITS = 128
CONVOLUTION_CHANNELS = (16, 32)


def mlp(data: Data) -> nn.Sequential:
    """Return two hidden layers of 128 ReLU units on the flattened inputs."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(math.prod(data.input_shape), HIDDEN_UNITS),
        nn.ReLU(),
        nn.Linear(HIDDEN_UNITS, HIDDEN_UNITS),
        nn.ReLU(),
        nn.Linear(HIDDEN_UNITS, len(data.class_names)),
    )


def linear(data: Data) -> nn.Sequential:
    """Return one linear layer on the flattened inputs: softmax regression, or least squares."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(math.prod(data.input_shape), len(data.class_names))
    )


def cnn(data: Data) -> nn.Sequential:
    """Return two 3 × 3 convolutions with ReLU, the second halving the image, and a linear layer.

    :raises UproarError: when the data are not images.
    """
    if data.kind != "image":
        raise UproarError(
            f"model 'cnn' needs images, but data {data.name!r} is a {data.kind}; use 'mlp'"
        )
    height, width = data.feature_shape
    first, second = CONVOLUTION_CHANNELS
    return nn.Sequential(
        nn.Conv2d(data.channels, first, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(first, second, 3, padding=1, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(second * math.ceil(height / 2) * math.ceil(width / 2), len(data.class_names)),
    )
