"""The reference architectures, and which modules are recognised as stacks of dense layers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.small_data import factory, small
from uproar.dataset import Data, Split
from uproar.models.training.dense import dense_layers
from uproar.types import UproarError


def of_kind(kind: str, shape: tuple[int, ...], *, classes: int = 3, name: str = "mine") -> Data:
    inputs = np.zeros((4, *shape), np.int64 if kind == "text" else np.float32)
    labels = np.zeros(4, np.int64 if classes else np.float32)
    split = Split(inputs, labels)
    names = tuple(f"class {i}" for i in range(classes))
    features = shape[1:] if kind == "image" else shape
    return Data(name, kind, split, split, split, feature_shape=features, class_names=names)


SHAPES = {"table": (6,), "image": (3, 5, 4), "series": (2, 9)}


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("model", ["mlp", "linear", "cnn"])
def test_inputs_of_every_kind_become_outputs(model: str, kind: str, classes: int) -> None:
    data = of_kind(kind, SHAPES[kind], classes=classes)
    if (model, kind) == ("cnn", "table"):
        with pytest.raises(UproarError) as error:
            factory(model, data)()
        assert str(error.value) == (
            "model 'cnn' needs images or series, but data 'mine' are tables; use 'mlp' or 'linear'"
        )
        return
    module = factory(model, data)()
    assert module(torch.from_numpy(data.test.inputs)).shape == (4, classes or 1)


@pytest.mark.parametrize("model", ["mlp", "linear", "cnn"])
def test_token_ids_are_refused(model: str) -> None:
    with pytest.raises(UproarError, match=r"but data 'mine' are text; use 'transformer'$"):
        factory(model, of_kind("text", (7,)))()


def test_layers_have_the_documented_sizes() -> None:
    shapes = {
        model: [tuple(p.shape) for p in factory(model, small("grey"))().parameters()]
        for model in ("mlp", "linear", "cnn")
    }
    series = factory("cnn", of_kind("series", (2, 9)))()
    assert shapes == {
        "mlp": [(128, 12), (128,), (128, 128), (128,), (3, 128), (3,)],
        "linear": [(3, 12), (3,)],
        "cnn": [(16, 1, 3, 3), (16,), (32, 16, 3, 3), (32,), (3, 32 * 2 * 2), (3,)],
    }
    assert [tuple(p.shape) for p in series.parameters()] == [
        *((16, 2, 3), (16,), (32, 16, 3), (32,)),
        *((3, 32 * 5), (3,)),
    ]


def stack(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers)


def frozen() -> nn.Module:
    layer = nn.Linear(6, 3)
    layer.bias.requires_grad_(False)
    return stack(layer)


def shared_relu_at_the_end() -> nn.Module:
    relu = nn.ReLU()
    return stack(nn.Linear(6, 5), relu, nn.Linear(5, 3), relu)


def shared_relu() -> nn.Module:
    relu = nn.ReLU()
    return stack(nn.Linear(6, 5), relu, nn.Linear(5, 4), relu, nn.Linear(4, 3))


def tied() -> nn.Module:
    layer = nn.Linear(6, 6)
    return stack(layer, nn.ReLU(), layer)


def tied_weight() -> nn.Module:
    first, second = nn.Linear(6, 6), nn.Linear(6, 6)
    second.weight = first.weight
    return stack(first, nn.ReLU(), second)


class Subclass(nn.Sequential):
    """Might override forward."""


class ScaledLinear(nn.Linear):
    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's own name
        return 2 * super().forward(input)


STACKS: dict[str, tuple[Callable[[], nn.Module], list[str]]] = {
    "one layer": (lambda: stack(nn.Linear(6, 3)), ["0"]),
    "flatten first": (lambda: stack(nn.Flatten(), nn.Linear(6, 3)), ["1"]),
    "two": (lambda: stack(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)), ["0", "2"]),
    "in place": (
        lambda: stack(nn.Linear(6, 5), nn.ReLU(inplace=True), nn.Linear(5, 3)),
        ["0", "2"],
    ),
    "shared relu": (shared_relu, ["0", "2", "4"]),
}
OTHERS: dict[str, Callable[[], nn.Module]] = {
    "nothing": stack,
    "flatten alone": lambda: stack(nn.Flatten()),
    "bare linear": lambda: nn.Linear(6, 3),
    "no bias": lambda: stack(nn.Linear(6, 3, bias=False)),
    "two linears": lambda: stack(nn.Linear(6, 6), nn.Linear(6, 3)),
    "relu last": lambda: stack(nn.Linear(6, 3), nn.ReLU()),
    "relu first": lambda: stack(nn.ReLU(), nn.Linear(6, 3)),
    "flatten later": lambda: stack(nn.Linear(6, 6), nn.Flatten(), nn.Linear(6, 3)),
    "other activation": lambda: stack(nn.Linear(6, 5), nn.GELU(), nn.Linear(5, 3)),
    "relu6": lambda: stack(nn.Linear(6, 5), nn.ReLU6(), nn.Linear(5, 3)),
    "dropout": lambda: stack(nn.Linear(6, 5), nn.Dropout(), nn.Linear(5, 3)),
    "nested": lambda: stack(stack(nn.Linear(6, 3))),
    "subclass": lambda: Subclass(nn.Linear(6, 3)),
    "own linear": lambda: stack(ScaledLinear(6, 3)),
    "spectral norm": lambda: stack(nn.utils.parametrizations.spectral_norm(nn.Linear(6, 3))),
    "frozen": frozen,
    "shared relu at the end": shared_relu_at_the_end,
    "tied": tied,
    "tied weight": tied_weight,
}


@pytest.mark.parametrize("what", STACKS)
def test_stacks_of_dense_layers_are_recognised(what: str) -> None:
    make, names = STACKS[what]
    named = dense_layers(make())
    assert named is not None
    assert [name for name, _ in named] == names


@pytest.mark.parametrize("what", OTHERS)
def test_anything_else_is_not(what: str) -> None:
    assert dense_layers(OTHERS[what]()) is None
