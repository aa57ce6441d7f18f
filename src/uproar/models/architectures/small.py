"""Small reference architectures: a data set in, an untrained module out."""

from __future__ import annotations

import math

from torch import nn

from uproar.dataset import Data
from uproar.models.kinds import require_kind

HIDDEN_UNITS = 128
CONVOLUTION_CHANNELS = (16, 32)


def mlp(data: Data) -> nn.Sequential:
    """Return two hidden layers of 128 ReLU units on the flattened inputs.

    :raises UproarError: when the data are text.
    """
    require_kind("mlp", data)
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(math.prod(data.input_shape), HIDDEN_UNITS),
        nn.ReLU(),
        nn.Linear(HIDDEN_UNITS, HIDDEN_UNITS),
        nn.ReLU(),
        nn.Linear(HIDDEN_UNITS, data.outputs),
    )


def linear(data: Data) -> nn.Sequential:
    """Return one linear layer on the flattened inputs: softmax regression, or least squares.

    :raises UproarError: when the data are text.
    """
    require_kind("linear", data)
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(data.input_shape), data.outputs))


def cnn(data: Data) -> nn.Sequential:
    """Return two convolutions with ReLU, the second with stride 2, and a linear layer.

    Convolutions are 3 × 3 on images (channels, height, width), and 3 long on series
    (channels, time).

    :raises UproarError: when the data are neither images nor series.
    """
    require_kind("cnn", data)
    convolution = nn.Conv2d if data.kind == "image" else nn.Conv1d
    channels, *sides = data.input_shape
    first, second = CONVOLUTION_CHANNELS
    return nn.Sequential(
        convolution(channels, first, 3, padding=1),
        nn.ReLU(),
        convolution(first, second, 3, padding=1, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(second * math.prod(math.ceil(side / 2) for side in sides), data.outputs),
    )
