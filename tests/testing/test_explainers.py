"""The public check of explainers finds every breach of the contract, and nothing else."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from uproar.testing import LAYOUTS, check_explainer, toy_model
from uproar.types import Skipped

COUNT = iter(range(10**6))


def plain(model: Any, inputs: Tensor, targets: Tensor, generator: torch.Generator) -> Tensor:
    return inputs * model.gradient(inputs, targets)


def in_numpy(model: Any, inputs: Tensor, targets: Tensor, generator: Any) -> np.ndarray:
    return np.abs(inputs.numpy())


def shared(model: Any, inputs: Tensor, targets: Tensor, generator: torch.Generator) -> Tensor:
    return inputs * torch.rand(inputs.shape[1:], generator=generator)


def each(model: Any, inputs: Tensor, targets: Tensor, generator: torch.Generator) -> Tensor:
    # Backwards, so that the first example is the last to draw.
    drawn = [torch.rand(one.shape, generator=generator) for one in inputs]
    return torch.stack(drawn[::-1])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("explainer", "draws"), [(plain, ""), (in_numpy, ""), (shared, "shared"), (each, "each")]
)
def test_what_keeps_the_contract_passes(explainer: Any, draws: Any, layout: str) -> None:
    check_explainer(explainer, layout, draws=draws)


def as_list(model: Any, inputs: Tensor, *_: Any) -> list[Any]:
    return inputs.tolist()


def two_columns(model: Any, inputs: Tensor, *_: Any) -> Tensor:
    return inputs[..., :2]


def changed_inputs(model: Any, inputs: Tensor, *_: Any) -> Tensor:
    return inputs.mul_(2)


def changed_targets(model: Any, inputs: Tensor, targets: Tensor, _: Any) -> Tensor:
    targets.zero_()
    return inputs


def changed_weights(model: Any, inputs: Tensor, *_: Any) -> Tensor:
    with torch.no_grad():
        next(model.module.parameters()).add_(1)
    return inputs


def left_hook(model: Any, inputs: Tensor, *_: Any) -> Tensor:
    model.module.register_forward_hook(lambda *_: None)
    return inputs


def left_training(model: Any, inputs: Tensor, *_: Any) -> Tensor:
    model.module.train()
    return inputs


def of_torch(model: Any, inputs: Tensor, *_: Any) -> Tensor:
    return torch.rand(inputs.shape)


def seeds_numpy(model: Any, inputs: Tensor, *_: Any) -> Tensor:
    np.random.seed(0)  # noqa: NPY002 - what must not be
    return inputs


def of_python(model: Any, inputs: Tensor, *_: Any) -> Tensor:
    return inputs * random.random()


def counting(model: Any, inputs: Tensor, *_: Any) -> Tensor:
    return inputs + next(COUNT)


def by_batch(model: Any, inputs: Tensor, *_: Any) -> Tensor:
    return inputs - inputs.mean(0)


def infinite(model: Any, inputs: Tensor, *_: Any) -> Tensor:
    return inputs / torch.zeros(1)


@pytest.mark.parametrize(
    ("explainer", "message"),
    [
        (as_list, "a torch.Tensor or an array, got list"),
        (two_columns, r"the inputs, \(4, 7\), got \(4, 2\)"),
        (infinite, "NaN or infinity"),
        (changed_inputs, "changed its inputs"),
        (changed_targets, "changed its targets"),
        (changed_weights, "changed the model"),
        (left_hook, "changed the model: .* hooks"),
        (left_training, "changed the model"),
        (of_torch, "a global generator"),
        (seeds_numpy, "a global generator"),
        (of_python, "the same generator must give the same attribution"),
        (counting, "the same generator must give the same attribution"),
        (by_batch, "explained alone as it is among others"),
        (shared, "say draws='shared'"),
        (each, "say draws='each'"),
    ],
)
def test_breaches_are_found(explainer: Callable[..., Any], message: str) -> None:
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    with pytest.raises(AssertionError, match=message):
        check_explainer(explainer, "table")
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert np.array_equal(np.random.get_state()[1], numpy_before[1])  # noqa: NPY002


def test_what_does_not_apply_says_so() -> None:
    def choosy(model: Any, *_: Any) -> Tensor:
        raise Skipped("it needs trees")

    with pytest.raises(Skipped, match="it needs trees"):
        check_explainer(choosy, "series")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_toy_model_has_all_that_explainers_ask_for(layout: str) -> None:
    model, inputs, targets = toy_model(layout)
    assert model.background is not None
    assert model.held_out is not None
    assert model.refits is not None
    assert model.kind == (layout if layout in {"table", "series"} else "image")
    features = int(model.feature_of_value(inputs).max()) + 1
    assert model.refits(0).shape == (1 + features, len(model.held_out[0]), 3)
    assert torch.equal(model.refits(0), model.refits(0))
    assert targets.tolist() == [0, 1, 2, 0]
