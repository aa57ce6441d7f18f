"""Captum says the same, given the same noise, on tables, series, and grey and colour images."""

from __future__ import annotations

from collections.abc import Iterator
from unittest import mock

import numpy as np
import pytest
import torch
from captum.attr import (
    Deconvolution,
    GuidedBackprop,
    InputXGradient,
    IntegratedGradients,
    NoiseTunnel,
    Saliency,
)
from torch import Tensor, nn

from uproar.explain.family import explain_family
from uproar.explain.names import parse
from uproar.models.trained import TrainedModel

SAMPLES, NOISE, STEPS = 4, 0.2, 6
SHAPES = [(7,), (1, 6, 6), (3, 6, 6), (2, 9)]

pytestmark = pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU:UserWarning")


def make(shape: tuple[int, ...], examples: int) -> tuple[TrainedModel, Tensor, Tensor]:
    torch.manual_seed(0)
    if len(shape) == 1:
        module = nn.Sequential(
            nn.Linear(7, 9), nn.ReLU(), nn.Linear(9, 8), nn.ReLU(), nn.Linear(8, 3)
        )
    else:
        layer = nn.Conv2d if len(shape) == 3 else nn.Conv1d
        first, second = layer(shape[0], 4, 3, padding=1), layer(4, 3, 3, padding=1)
        values = 3 * int(np.prod(shape[1:]))
        module = nn.Sequential(
            first, nn.ReLU(), second, nn.ReLU(), nn.Flatten(), nn.Linear(values, 3)
        )
    module = module.double().requires_grad_(False).eval()
    inputs = torch.tensor(np.random.default_rng(0).normal(size=(examples, *shape)))
    black = torch.full(shape, -0.5, dtype=torch.float64)
    axes = len(shape[1:]) or 1
    model = TrainedModel(module, black, inputs.mean(0), torch.ones(shape).double(), axes)
    return model, inputs, torch.arange(examples) % 3


def by_captum(
    base: str, nt_type: str, problem: tuple[TrainedModel, Tensor, Tensor], noise: Iterator[Tensor]
) -> Tensor:
    model, inputs, targets = problem
    methods = {
        "grad": Saliency,
        "input-x-grad": InputXGradient,
        "ig": IntegratedGradients,
        "gb": GuidedBackprop,
        "deconvnet": Deconvolution,
    }
    options = {
        "grad": {"abs": False},
        "ig": {"baselines": model.black[None], "n_steps": STEPS, "method": "riemann_right"},
    }.get(base, {})
    method, leaf = methods[base](model.module), inputs.clone().requires_grad_()
    if not nt_type:
        return method.attribute(leaf, target=targets, **options).detach()
    with mock.patch("torch.normal", lambda mean, deviation: mean + deviation * next(noise)):
        return (
            NoiseTunnel(method)
            .attribute(
                leaf,
                nt_type=nt_type,
                nt_samples=SAMPLES,
                nt_samples_batch_size=1,
                stdevs=NOISE,
                target=targets,
                **options,
            )
            .detach()
        )


@pytest.mark.parametrize("examples", [1, 5])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("base", ["grad", "input-x-grad", "ig", "gb", "deconvnet"])
@pytest.mark.parametrize(
    ("prefix", "nt_type"),
    [("", ""), ("sg", "smoothgrad"), ("sgsq", "smoothgrad_sq"), ("var", "vargrad")],
)
def test_same_as_captum(
    prefix: str, nt_type: str, base: str, shape: tuple[int, ...], examples: int
) -> None:
    model, inputs, targets = make(shape, examples)
    options = (f":steps={STEPS}" if base == "ig" else "") + (
        f":samples={SAMPLES}:noise={NOISE}" if prefix else ""
    )
    name = parse(("-".join(filter(None, [prefix, base]))) + options)
    (explained,) = explain_family(
        name.load(), [name], model, inputs, targets, lambda _: torch.Generator().manual_seed(0)
    )
    generator = torch.Generator().manual_seed(0)
    noise = iter(
        [torch.randn(inputs.shape, generator=generator, dtype=inputs.dtype) for _ in range(SAMPLES)]
    )
    theirs = by_captum(base, nt_type, (model, inputs, targets), noise)
    importance = theirs.sum(1) if len(shape) > 1 else theirs
    np.testing.assert_allclose(explained.importance, importance.numpy(), rtol=1e-4, atol=1e-6)
