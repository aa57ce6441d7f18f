"""Residual networks: the published numbers of parameters, shapes, and the start as an identity."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from uproar.dataset import Data, Split
from uproar.models import MODELS
from uproar.models.architectures.resnet import Residual, resnet18, resnet50
from uproar.registry import find
from uproar.types import Recipe, UproarError


def images(channels: int, side: int, *, classes: int, kind: str = "image") -> Data:
    shape = (channels, side, side) if kind == "image" else (channels,)
    split = Split(np.zeros((2, *shape), np.float32), np.zeros(2, np.int64))
    names = tuple(map(str, range(classes)))
    return Data("mine", kind, split, split, split, feature_shape=shape[-2:], class_names=names)


def parameters(module: nn.Module) -> int:
    return sum(value.numel() for value in module.parameters())


@pytest.mark.parametrize(
    ("make", "channels", "side", "classes", "count"),
    [
        (resnet18, 3, 224, 1000, 11_689_512),
        (resnet50, 3, 224, 1000, 25_557_032),
        (resnet18, 3, 32, 10, 11_173_962),
        (resnet50, 3, 32, 10, 23_520_842),
        (resnet18, 1, 8, 0, 11_168_193),
    ],
)
def test_numbers_of_parameters(make, channels: int, side: int, classes: int, count: int) -> None:
    with torch.device("meta"):  # sizes alone
        assert parameters(make(images(channels, side, classes=classes))) == count


@pytest.mark.parametrize(
    ("make", "side", "after_stem", "before_mean"),
    [
        *((resnet18, 32, 32, 4), (resnet18, 64, 64, 8), (resnet18, 65, 17, 3)),
        *((resnet18, 224, 56, 7), (resnet50, 65, 17, 3)),
    ],
)
def test_sides(make, side: int, after_stem: int, before_mean: int) -> None:
    with torch.device("meta"):
        module = make(images(3, side, classes=7))
        x, sides = torch.zeros(2, 3, side, side), []
        for layer in module:
            if isinstance(layer, Residual):
                sides.append(x.shape[-1])
            x = layer(x)
            last = x.shape[-1] if isinstance(layer, Residual) else None
            sides += [last] if last else []
    assert x.shape == (2, 7)
    assert (sides[0], sides[-1]) == (after_stem, before_mean)


def test_strides_are_in_the_3_by_3_convolutions() -> None:
    with torch.device("meta"):
        module = resnet50(images(3, 32, classes=10))
    blocks = [part for part in module if isinstance(part, Residual)]
    assert [len(list(block.path)) for block in blocks] == [8] * 16
    strided = [
        convolution.kernel_size
        for block in blocks
        for convolution in block.path
        if isinstance(convolution, nn.Conv2d) and convolution.stride == (2, 2)
    ]
    assert strided == [(3, 3)] * 3


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_a_block_begins_as_the_identity(block: str) -> None:
    torch.manual_seed(0)
    channels = 4 if block == "basic" else 16
    module = Residual(block, channels, 4, 1)
    x = torch.rand(3, channels, 5, 5)
    torch.testing.assert_close(module(x), x)
    assert module.eval()(x).shape == x.shape


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_a_block_is_what_the_paper_draws(block: str) -> None:
    torch.manual_seed(0)
    module = Residual(block, 3, 4, 2)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
    x = torch.randn(2, 3, 6, 6)
    functional, values = nn.functional, x
    weights = [part for part in module.path if not isinstance(part, nn.ReLU)]
    strides = [2, 1] if block == "basic" else [1, 2, 1]
    for i, stride in enumerate(strides):
        convolution, normalisation = weights[2 * i : 2 * i + 2]
        padding = convolution.weight.shape[-1] // 2
        values = functional.conv2d(values, convolution.weight, stride=stride, padding=padding)
        values = functional.batch_norm(
            values, None, None, normalisation.weight, normalisation.bias, training=True
        )
        values = values.relu() if i < len(strides) - 1 else values
    convolution, normalisation = module.shortcut
    short = functional.conv2d(x, convolution.weight, stride=2)
    short = functional.batch_norm(
        short, None, None, normalisation.weight, normalisation.bias, training=True
    )
    torch.testing.assert_close(module(x), (values + short).relu())


@pytest.mark.slow
def test_training_on_the_same_batch_lowers_its_loss() -> None:
    torch.manual_seed(0)
    module = resnet18(images(1, 8, classes=2)).train()
    x, y = torch.randn(8, 1, 8, 8), torch.tensor([0, 1] * 4)
    update = torch.optim.SGD(module.parameters(), 0.01)
    losses = []
    for _ in range(3):
        loss = nn.functional.cross_entropy(module(x), y)
        update.zero_grad()
        loss.backward()
        update.step()
        losses.append(loss.item())
    assert losses[2] < losses[0]
    assert losses[0] == pytest.approx(np.log(2), abs=0.2)  # the head begins near zero


@pytest.mark.parametrize(("name", "make"), [("resnet18", resnet18), ("resnet50", resnet50)])
def test_only_images_will_do(name: str, make) -> None:
    with pytest.raises(UproarError) as error:
        make(images(6, 0, classes=2, kind="table"))
    assert str(error.value) == (
        f"model {name!r} needs images, but data 'mine' are tables; use 'mlp' or 'linear'"
    )


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_the_recipe_is_that_of_the_paper(name: str) -> None:
    assert Recipe(**dict(find(name, MODELS, "model").recipe)) == Recipe(
        optimiser="sgd",
        learning_rate=0.1,
        schedule="steps",
        epochs=90,
        batch_size=256,
        weight_decay=1e-4,
        label_smoothing=0.1,
    )
