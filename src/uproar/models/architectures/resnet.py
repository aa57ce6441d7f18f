"""Residual networks of 18 and 50 layers, in plain torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from uproar.dataset import Data
from uproar.models.kinds import require_kind

WIDTHS = (64, 128, 256, 512)  # of the four stages, each of which halves the sides but the first
LARGEST_SMALL_IMAGE = 64  # sides up to which an image is not scaled down before the first stage
HEAD_DEVIATION = 0.01  # of the last layer's first weights, as in the code of Hooker et al.

Block = Literal["basic", "bottleneck"]


class Residual(nn.Module):
    """A block that adds what it makes of its inputs to them.

    ``basic`` blocks are two 3 × 3 convolutions; ``bottleneck`` blocks are 1 × 1, 3 × 3 and 1 × 1
    with four times the width at the end, and the stride in the 3 × 3 ("v1.5"). The scale of the
    last normalisation begins at zero, so that a block begins as the identity.
    """

    def __init__(self, block: Block, channels: int, width: int, stride: int) -> None:
        super().__init__()
        basic = block == "basic"
        out = width if basic else 4 * width
        sizes = (channels, width, out) if basic else (channels, width, width, out)
        kernels, strides = ((3, 3), (stride, 1)) if basic else ((1, 3, 1), (1, stride, 1))
        layers = list[nn.Module]()
        for i, kernel in enumerate(kernels):
            layers += [*_convolution(sizes[i], sizes[i + 1], kernel, strides[i]), nn.ReLU()]
        self.path = nn.Sequential(*layers[:-1])
        same = channels == out and stride == 1
        self.shortcut = (
            nn.Identity() if same else nn.Sequential(*_convolution(channels, out, 1, stride))
        )
        self.relu = nn.ReLU()
        self.channels = out
        nn.init.zeros_(layers[-2].weight)  # type: ignore[arg-type]  # of a normalisation

    def forward(
        self, x: Float[Tensor, "examples channels height width"]
    ) -> Float[Tensor, "examples out_channels out_height out_width"]:
        """Return the inputs plus what the block makes of them."""
        out: Tensor = self.relu(self.path(x) + self.shortcut(x))
        return out


def _convolution(channels: int, out: int, kernel: int, stride: int) -> list[nn.Module]:
    """Return a convolution that keeps the sides but for its stride, and batch normalisation."""
    convolution = nn.Conv2d(channels, out, kernel, stride, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return [convolution, nn.BatchNorm2d(out)]


def _resnet(data: Data, block: Block, depths: Sequence[int]) -> nn.Sequential:
    channels, height, width = data.input_shape
    if max(height, width) <= LARGEST_SMALL_IMAGE:
        layers = [*_convolution(channels, WIDTHS[0], 3, 1), nn.ReLU()]
    else:
        pool = nn.MaxPool2d(3, 2, padding=1)
        layers = [*_convolution(channels, WIDTHS[0], 7, 2), nn.ReLU(), pool]
    now = WIDTHS[0]
    for stage, (size, depth) in enumerate(zip(WIDTHS, depths, strict=True)):
        for position in range(depth):
            residual = Residual(block, now, size, 2 if stage and not position else 1)
            layers.append(residual)
            now = residual.channels
    head = nn.Linear(now, data.outputs)
    nn.init.normal_(head.weight, std=HEAD_DEVIATION)
    nn.init.zeros_(head.bias)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)


def resnet18(data: Data) -> nn.Sequential:
    """Return a residual network of 18 layers: basic blocks, two in each of four stages.

    Images with sides up to 64 enter by a 3 × 3 convolution, as is usual for CIFAR; larger ones by
    a 7 × 7 convolution with stride 2 and a maximum over 3 × 3 with stride 2, as for ImageNet.
    Inputs are (examples, channels, height, width), outputs (examples, outputs).

    The recipe that comes with the name is the one of Hooker et al. 2019 for ImageNet: stochastic
    gradient descent with Nesterov momentum 0.9, learning rate 0.1 for batches of 256 (in
    proportion for others), ``steps``, weight decay 1e-4 without that of batch normalisation, label
    smoothing 0.1. Their rates for Food-101 and Birdsnap are 0.7 and 1.0.

    :raises UproarError: when the data are no images.

    He et al. 2016, arXiv 1512.03385.

    >>> from uproar.data import load
    >>> module = resnet18(load("digits", seed=0))
    >>> sum(parameter.numel() for parameter in module.parameters())
    11172810
    """
    require_kind("resnet18", data)
    return _resnet(data, "basic", (2, 2, 2, 2))


def resnet50(data: Data) -> nn.Sequential:
    """Return a residual network of 50 layers: bottleneck blocks, 3, 4, 6 and 3 in the stages.

    What is said of :func:`resnet18` holds here too; it is the network of Hooker et al. 2019.

    :raises UproarError: when the data are no images.

    He et al. 2016, arXiv 1512.03385.
    """
    require_kind("resnet50", data)
    return _resnet(data, "bottleneck", (3, 4, 6, 3))
