"""RISE: masks place by place, the paper's sum, and what must not change it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from tests.support import oracles
from uproar.explain import coalitions
from uproar.explain.cost import passes_of
from uproar.explain.names import parse
from uproar.explain.perturbation import rise
from uproar.explain.perturbation.rise import Rise
from uproar.models.trained import TrainedModel
from uproar.types import Skipped

# Shape of an example, number of axes of features and of grids, and features that values share.
LAYOUTS = {
    "grey": ((1, 5, 6), 2, 2, None),
    "colour": ((3, 4, 5), 2, 2, None),
    "patches": ((1, 4, 6), 2, 2, torch.arange(24).view(4, 6) // 12 * 3 + torch.arange(6) // 2),
    "series": ((2, 9), 1, 1, None),
    "series of channels": ((2, 9), 2, 1, None),
}
every = pytest.mark.parametrize("layout", LAYOUTS)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(layout: str) -> tuple[TrainedModel, Tensor, Tensor, list[Tensor]]:
    """Return a small network as a plain callable, inputs, targets, and what the model is shown."""
    shape, axes, grid_axes, groups = LAYOUTS[layout]
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.LazyLinear(8), nn.Tanh(), nn.Linear(8, 3)).double()
    inputs = torch.randn(4, *shape, generator=seeded(1), dtype=torch.float64)
    module(inputs)
    module.requires_grad_(requires_grad=False)
    seen: list[Tensor] = []

    def answers(values: Tensor) -> Tensor:
        seen.append(values)
        return module(values)

    black = torch.full(shape, -0.5, dtype=torch.float64)
    model = TrainedModel(
        answers,
        black,
        inputs.mean(0),
        torch.ones(shape),
        axes,
        kind="image" if grid_axes == 2 else "series",
        groups=None if groups is None else groups.flatten(),
        feature_shape=(2, 3) if layout == "patches" else (),
    )
    return model, inputs, torch.tensor([0, 1, 2, 0]), seen


def per_feature(values: Tensor, model: TrainedModel, inputs: Tensor) -> Tensor:
    feature = model.feature_of_value(inputs)
    summed = torch.zeros(len(values), int(feature.max()) + 1, dtype=values.dtype)
    return summed.index_add(1, feature, values.flatten(1))


def masks_of(layout: str, explainer: Rise) -> np.ndarray:
    """Draw what the explainer draws, and enlarge it place by place."""
    model, inputs, *_ = make(layout)
    shape, axes = model.shape_of_features(inputs), LAYOUTS[layout][2]
    channels, sides = math.prod(shape[: len(shape) - axes]), shape[len(shape) - axes :]
    generator, cells = seeded(), explainer.cells
    grids = torch.rand(explainer.masks, channels, *[cells] * axes, generator=generator) < 0.5
    shifts = [
        torch.randint(math.ceil(side / cells), (explainer.masks,), generator=generator)
        for side in sides
    ]
    return np.array(
        [
            [
                oracles.enlarged(channel, sides, [int(shift[mask]) for shift in shifts])
                for channel in grids[mask].numpy()
            ]
            for mask in range(explainer.masks)
        ]
    ).reshape(explainer.masks, *shape)


@every
@pytest.mark.parametrize("cells", [2, 7])
def test_rise_is_the_loop_over_masks(layout: str, cells: int) -> None:
    explainer = Rise(masks=12, cells=cells, baseline="mean")
    model, inputs, targets, _ = make(layout)
    before = inputs.clone()
    attribution = explainer(model, inputs, targets, seeded())
    assert torch.equal(inputs, before)
    masks = masks_of(layout, explainer)
    feature, absent = model.feature_of_value(inputs), model.mean
    for example, target in enumerate(targets.tolist()):
        outputs = []
        for mask in masks:
            share = torch.tensor(mask.ravel())[feature].view(inputs.shape[1:])
            point = share * inputs[example] + (1 - share) * absent
            outputs.append(float(model(point[None])[0, target]))
        expected = oracles.rise(masks, np.array(outputs))
        found = per_feature(attribution, model, inputs)[example]
        np.testing.assert_allclose(found, expected.ravel(), rtol=1e-4, atol=1e-6)


def test_masks_are_grids_that_torch_enlarges() -> None:
    explainer, side = Rise(masks=40, cells=3), 8
    zero = torch.zeros(1, side, side)
    seen = []

    def noting(values: Tensor) -> Tensor:
        seen.append(values)
        return values.flatten(1)[:, :1]

    model = TrainedModel(noting, zero, zero, zero, 2, kind="image")
    explainer(model, torch.ones(1, 1, side, side), torch.tensor([0]), seeded())
    generator = seeded()
    grids = (torch.rand(40, 1, 3, 3, generator=generator) < 0.5).float()
    down, across = (torch.randint(3, (40,), generator=generator) for _ in range(2))
    whole = interpolate(grids, size=(12, 12), mode="bilinear", align_corners=False)
    for mask, (y, x) in enumerate(zip(down.tolist(), across.tolist(), strict=True)):
        expected = whole[mask, :, y : y + side, x : x + side]
        torch.testing.assert_close(torch.cat(seen)[mask], expected)
    assert 0 <= torch.cat(seen).min() < torch.cat(seen).max() <= 1


@every
def test_neither_other_examples_nor_passes_matter(
    layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    explainer = Rise(masks=30)
    model, inputs, targets, seen = make(layout)
    whole = explainer(model, inputs, targets, seeded())
    one = explainer(model, inputs[1:2], targets[1:2], seeded())
    torch.testing.assert_close(one, whole[1:2])
    monkeypatch.setattr(coalitions, "FUNCTION_ROWS", 3)
    monkeypatch.setattr(rise, "MASK_ENTRIES", 50)
    seen.clear()
    torch.testing.assert_close(explainer(model, inputs, targets, seeded()), whole)
    assert max(map(len, seen)) <= 3


def test_a_constant_added_to_the_output_changes_nothing() -> None:
    model, inputs, targets, _ = make("grey")
    shifted = TrainedModel(lambda values: model(values) + 100, *[model.black] * 3, 2, kind="image")
    plain = Rise(masks=20)(model, inputs, targets, seeded())
    torch.testing.assert_close(Rise(masks=20)(shifted, inputs, targets, seeded()), plain)


def test_the_papers_sum_ranks_alike_where_all_places_are_shown_as_often() -> None:
    explainer = Rise(masks=25, cells=3)
    model, inputs, targets, _ = make("grey")
    attribution = explainer(model, inputs, targets, seeded())[0, 0]
    masks = torch.tensor(masks_of("grey", explainer))
    points = masks[:, None] * inputs[0] + (1 - masks[:, None]) * model.black
    outputs = model(points)[:, 0]
    paper = (outputs[:, None, None] * masks).sum(0) / 25 / 0.5
    share = masks.mean(0) / 0.5  # 1, in expectation
    torch.testing.assert_close(attribution, paper / share - outputs.mean(), rtol=1e-4, atol=1e-6)


def test_passes_are_those_predicted() -> None:
    model, inputs, targets, _ = make("colour")
    name = parse("rise:masks=33")
    with model.counting() as counted:
        name.load()(model, inputs, targets, seeded())
    assert counted.examples == len(inputs) * passes_of(name, features=20) == 4 * 33


@pytest.mark.parametrize("kind", ["table", "text"])
def test_features_without_smooth_neighbours_are_refused(kind: str) -> None:
    zero = torch.zeros(3)
    model = TrainedModel(lambda values: values[:, :1], zero, zero, zero, 1, kind=kind)
    with pytest.raises(Skipped, match=f"rise needs images or series, .* this is {kind}"):
        Rise()(model, torch.ones(1, 3), torch.tensor([0]), seeded())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"masks": 0}, "masks must be at least 1, got 0"),
        ({"cells": 1}, "cells must be at least 2, got 1"),
        ({"baseline": "white"}, "baseline must be one of .*, got 'white'"),
    ],
)
def test_parameters_out_of_range(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Rise(**options)
