"""Attributions of layers: the oracle, Captum itself, which layer is meant, and refusals."""

from __future__ import annotations

import math
from typing import Any

import captum.attr
import numpy as np
import pytest
import torch
from captum.attr import LayerAttribution
from torch import Tensor, nn

from tests.explain.packages.test_captum_methods import (
    call,
    close,
    convolved,
    frozen,
    hooking,
    model_of,
    outputs,
)
from tests.support import oracles
from uproar.explain.packages.captum_support import private_copy
from uproar.explain.packages.layers import LayerConductance
from uproar.models.forms import adapted
from uproar.models.trained import TrainedModel
from uproar.types import Skipped

NAMES = ["grad-cam", "guided-grad-cam", "layer-grad-x-activation", "layer-conductance:steps=3"]
every_name = pytest.mark.parametrize("name", NAMES)
LAYOUTS = {"grey": (1, 8, 6), "colour": (3, 7, 7), "series": (2, 9)}
every_layout = pytest.mark.parametrize("layout", LAYOUTS)


def problem(layout: str, *, in_place: bool = False) -> tuple[TrainedModel, Tensor, Tensor]:
    """Return a model of two convolutions, the last of which is "2" and makes coarser maps."""
    channels, *sides = shape = LAYOUTS[layout]
    images = len(sides) == 2
    convolution = nn.Conv2d if images else nn.Conv1d
    module = frozen(
        *(convolution(channels, 4, 3, padding=1), nn.ReLU(in_place)),
        *(convolution(4, 5, 3, stride=2, padding=1), nn.ReLU(in_place)),
        *(nn.Flatten(), nn.Linear(5 * math.prod(-(-side // 2) for side in sides), 3)),
    )
    return model_of(module, shape, "image" if images else "series")


def upsampled(maps: Tensor, inputs: Tensor) -> Tensor:
    sides, mode = tuple(inputs.shape[2:]), "bilinear" if inputs.ndim == 4 else "linear"
    return LayerAttribution.interpolate(maps, sides, mode)


@every_layout
def test_grad_cam_is_the_oracles_and_captums(layout: str) -> None:
    model, inputs, targets = problem(layout)
    found = call("grad-cam", model, inputs, targets)
    before = model.network[:3](inputs).requires_grad_()
    chosen = model.network[3:](before).gather(1, targets[:, None]).sum()
    (slope,) = torch.autograd.grad(chosen, before)
    maps = [
        oracles.grad_cam(one.double().numpy(), at.double().numpy())
        for one, at in zip(before.detach(), slope, strict=True)
    ]
    close(found.sum(1, keepdim=True), upsampled(torch.tensor(np.array(maps))[:, None], inputs))
    theirs = captum.attr.LayerGradCam(model.network, model.network[2]).attribute(
        inputs.clone().requires_grad_(), target=targets, relu_attributions=True
    )
    close(found.sum(1, keepdim=True), upsampled(theirs.detach(), inputs))
    assert torch.equal(found[:, 0], found[:, -1])


@hooking
@every_layout
def test_guided_grad_cam_is_captums(layout: str) -> None:
    model, inputs, targets = problem(layout)
    own = private_copy(model.network)
    theirs = captum.attr.GuidedGradCam(own, own[2]).attribute(
        inputs.clone().requires_grad_(),
        target=targets,
        interpolate_mode="bilinear" if inputs.ndim == 4 else "linear",
    )
    close(call("guided-grad-cam", model, inputs, targets), theirs.detach())


@every_layout
@pytest.mark.parametrize("layer", ["auto", "0"])
def test_gradient_x_activation_is_captums(layout: str, layer: str) -> None:
    model, inputs, targets = problem(layout)
    found = call(f"layer-grad-x-activation:layer={layer}", model, inputs, targets)
    chosen = model.network[2 if layer == "auto" else 0]
    theirs = captum.attr.LayerGradientXActivation(model.network, chosen).attribute(
        inputs.clone().requires_grad_(), target=targets
    )
    maps = theirs.detach().sum(1, keepdim=True)
    close(found.sum(1, keepdim=True), upsampled(maps, inputs))


@every_layout
def test_conductance_is_captums_and_adds_up(layout: str) -> None:
    model, inputs, targets = problem(layout)
    found = call("layer-conductance:steps=4", model, inputs, targets)
    theirs = captum.attr.LayerConductance(model.network, model.network[2]).attribute(
        inputs.clone().requires_grad_(),
        model.baseline(inputs),
        target=targets,
        n_steps=4,
        method="riemann_trapezoid",
    )
    maps = theirs.detach().sum(1, keepdim=True)
    close(found.sum(1, keepdim=True), upsampled(maps, inputs))
    # Of the first layer, whose maps are as fine as the inputs, nothing is lost in between.
    found = call("layer-conductance:steps=150:layer=0", model, inputs, targets)
    change = outputs(model, inputs, targets) - outputs(model, model.baseline(inputs), targets)
    close(found.flatten(1).sum(1), change, 0.3)


@every_name
def test_what_follows_may_write_to_the_layers_output(name: str) -> None:
    plain, inputs, targets = problem("grey")
    in_place, _, _ = problem("grey", in_place=True)
    wanted = call(name, plain, inputs, targets)
    assert torch.equal(call(name, in_place, inputs, targets), wanted)


@every_name
def test_a_layer_is_chosen_by_name(name: str) -> None:
    model, inputs, targets = problem("grey")
    last = call(f"{name}:layer=2", model, inputs, targets)
    first = call(f"{name}:layer=0", model, inputs, targets)
    assert torch.equal(last, call(name, model, inputs, targets))
    assert not torch.allclose(first, last)
    with pytest.raises(Skipped, match=r"unknown layer 'conv'. Known: 0, 1, 2, 3, 4, 5"):
        call(f"{name}:layer=conv", model, inputs, targets)


class Shuffled(nn.Module):
    """Runs its convolutions in another order than it lists them."""

    def __init__(self) -> None:
        super().__init__()
        self.late, self.early = nn.Conv2d(4, 4, 3), nn.Conv2d(1, 4, 3)
        self.unused = nn.Conv2d(1, 1, 1)
        self.head = nn.Linear(4 * 4 * 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.late(self.early(x).relu()).flatten(1))


def test_the_last_convolution_is_the_last_to_run() -> None:
    model, inputs, targets = model_of(frozen(Shuffled()), (1, 8, 6), "image")
    found = call("grad-cam", model, inputs, targets)
    assert torch.equal(found, call("grad-cam:layer=0.late", model, inputs, targets))
    with pytest.raises(Skipped, match="unused' computes does not depend on the inputs"):
        call("grad-cam:layer=0.unused", model, inputs, targets)


@every_name
def test_layers_of_adapted_models_and_of_text_have_the_users_names(name: str) -> None:
    module = frozen(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 4, 1))
    model, inputs, targets = model_of(adapted(module, "single logit"), (1, 8, 6), "image")
    found = call(f"{name}:layer=0", model, inputs, targets % 2)
    assert torch.equal(found, call(f"{name}:layer=inner.0", model, inputs, targets % 2))
    model, inputs, targets = convolved()
    found = call(f"{name}:layer=0.rest.0", model, inputs, targets)
    assert torch.equal(found, call(name, model, inputs, targets))


@every_name
def test_models_without_places_are_refused(name: str) -> None:
    dense = frozen(nn.Flatten(), nn.Linear(12, 4), nn.ReLU(), nn.Linear(4, 3))

    def refused(name: str, shape: tuple[int, ...], kind: Any) -> str:
        model, inputs, targets = model_of(dense, shape, kind)
        with pytest.raises(Skipped) as skipped:
            call(name, model, inputs, targets)
        return str(skipped.value)

    assert "needs a convolution, and the model has none" in refused(name, (1, 4, 3), "image")
    assert "has no place in a table" in refused(name, (12,), "table")
    message = refused(f"{name}:layer=1", (2, 2, 3), "image")
    assert message.endswith(
        "(examples, channels, height, width), as that of a convolution, got (examples, 4)"
    )


def test_layers_of_transformers_have_their_channels_last() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.head = nn.LayerNorm(4), nn.Linear(4, 3)

        def forward(self, vectors: Tensor) -> Tensor:
            return self.head(self.norm(vectors.transpose(1, 2)).mean(1))

    model, inputs, targets = convolved()
    model.network.module[0].rest = Tokens()
    with pytest.raises(Skipped, match=r"\(examples, channels, length\), .* got \(examples, 7, 4\)"):
        call("grad-cam:layer=0.rest.norm", model, inputs, targets)


def test_images_without_channels() -> None:
    module = frozen(nn.Unflatten(1, (1, 8)), nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(96, 3))
    model, inputs, targets = model_of(module, (8, 6), "image")
    assert call("grad-cam", model, inputs, targets).shape == inputs.shape


def test_parameters_out_of_range() -> None:
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        LayerConductance(steps=0)
    with pytest.raises(ValueError, match="baseline must be one of"):
        LayerConductance(baseline="white")
