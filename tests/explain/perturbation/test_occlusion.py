"""Occlusion: typed answers, slow references and other libraries."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from captum.attr import FeatureAblation
from captum.attr import Occlusion as CaptumOcclusion
from torch import Tensor, nn

from tests.support import oracles
from uproar.explain import coalitions
from uproar.explain.coalitions import mixed_outputs
from uproar.explain.cost import passes_of
from uproar.explain.family import explain_family
from uproar.explain.names import parse
from uproar.explain.perturbation import occlusion
from uproar.explain.perturbation.occlusion import Occlusion
from uproar.models.trained import TrainedModel
from uproar.types import Skipped

PATCHES = torch.tensor([0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 3, 3])  # of images of 3 by 4 pixels
SHAPES = {"table": ((5,), 1, None), "grey": ((1, 3, 4), 2, None), "colour": ((3, 3, 4), 2, None)}
SHAPES |= {
    "groups": ((6,), 1, torch.tensor([0, 1, 1, 2, 1, 0])),
    "patches": ((2, 3, 4), 2, PATCHES.repeat(2)),
    "series": ((2, 7), 1, None),
    "series of channels": ((2, 7), 2, None),
}
KINDS = {"table": "table", "groups": "table", "series": "series", "series of channels": "series"}
every = pytest.mark.parametrize("layout", SHAPES)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def make(layout: str, *, examples: int = 6) -> tuple[TrainedModel, Tensor, Tensor]:
    """Return a small network in float64 as a plain callable, inputs for it, and targets."""
    shape, axes, groups = SHAPES[layout]
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.LazyLinear(8), nn.Tanh(), nn.Linear(8, 3)).double()
    inputs = torch.tensor(np.random.default_rng(0).normal(size=(examples, *shape)))
    module(inputs)
    module.requires_grad_(requires_grad=False)

    def answers(values: Tensor) -> Tensor:
        return module(values)

    black, spread = torch.full(shape, -0.5).double(), torch.ones(shape).double()
    kind = KINDS.get(layout, "image")
    model = TrainedModel(
        answers,
        black,
        inputs.mean(0),
        spread,
        axes,
        kind=kind,
        groups=groups,
        feature_shape={"patches": (2, 2), "groups": (3,)}.get(layout, ()),
    )
    return model, inputs, torch.arange(examples) % 3


def per_feature(attribution: Tensor, model: TrainedModel, inputs: Tensor) -> Tensor:
    feature = model.feature_of_value(inputs)
    summed = torch.zeros(len(inputs), int(feature.max()) + 1, dtype=attribution.dtype)
    return summed.index_add(1, feature, attribution.flatten(1))


# --- occlusion ------------------------------------------------------------------------------------


@every
@pytest.mark.parametrize("baseline", ["black", "mean", "zero"])
def test_occlusion_is_the_loop_over_features(layout: str, baseline: str) -> None:
    model, inputs, targets = make(layout)
    before = inputs.clone()
    attribution = Occlusion(baseline=baseline)(model, inputs, targets, seeded())
    assert torch.equal(inputs, before)
    stand_in = model.baseline(inputs, baseline).numpy()
    groups = model.feature_of_value(inputs).numpy()
    for example, target in enumerate(targets.tolist()):
        expected = oracles.occlusion(
            lambda x, target=target: float(model(torch.tensor(x)[None])[0, target]),
            inputs[example].numpy(),
            stand_in[example],
            groups,
        )
        found = per_feature(attribution, model, inputs)[example]
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@every
def test_values_of_one_feature_share_its_importance_alike(layout: str) -> None:
    model, inputs, targets = make(layout)
    attribution = Occlusion()(model, inputs, targets, seeded()).flatten(1)
    feature = model.feature_of_value(inputs)
    for one in feature.unique():
        values = attribution[:, feature == one]
        torch.testing.assert_close(values, values[:, :1].expand_as(values))


@every
def test_captum_ablates_the_same(layout: str) -> None:
    model, inputs, targets = make(layout)
    mask = model.feature_of_value(inputs).view(inputs.shape[1:])
    found = per_feature(Occlusion()(model, inputs, targets, seeded()), model, inputs)
    theirs = FeatureAblation(model.module).attribute(
        inputs, baselines=model.black[None], target=targets, feature_mask=mask[None]
    )
    for feature in range(found.shape[1]):
        (first, *_) = torch.nonzero(mask.flatten() == feature)[0]
        torch.testing.assert_close(found[:, feature], theirs.flatten(1)[:, first])


def test_captum_occludes_the_same_pixels() -> None:
    model, inputs, targets = make("colour")
    theirs = CaptumOcclusion(model.module).attribute(
        inputs, sliding_window_shapes=(3, 1, 1), baselines=0.0, target=targets
    )
    found = Occlusion(baseline="zero")(model, inputs, targets, seeded())
    torch.testing.assert_close(found.sum(1), theirs[:, 0].double())


@every
def test_passes_are_bounded_and_change_nothing(
    layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, inputs, targets = make(layout)
    at_once = Occlusion()(model, inputs, targets, seeded())
    rows: list[int] = []
    original = model.module

    def counted(values: Tensor) -> Tensor:
        rows.append(len(values))
        return original(values)

    object.__setattr__(model, "module", counted)
    monkeypatch.setattr(coalitions, "FUNCTION_ROWS", 4)
    monkeypatch.setattr(occlusion, "MASK_ENTRIES", 20)
    torch.testing.assert_close(Occlusion()(model, inputs, targets, seeded()), at_once)
    assert max(rows) <= 4


def test_tokens_give_way_to_the_mask_and_keep_their_ids() -> None:
    seen = []

    def embedded(inputs: Tensor) -> Tensor:  # (examples, id and two dimensions, length)
        seen.append(inputs[:, 0])
        return inputs[:, 1:].sum((1, 2))[:, None]

    inputs = torch.tensor([[[7.0, 8.0, 9.0], [1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]])
    black = torch.tensor([0.0, 0.5, 5.0])[:, None]
    model = TrainedModel(embedded, black, black, black, 1, "text")
    attribution = Occlusion()(model, inputs, torch.tensor([0]), seeded())
    assert attribution.sum(1).tolist() == [[5.5, 16.5, 27.5]]
    assert all((ids == torch.tensor([7.0, 8.0, 9.0])).all() for ids in seen)


def test_occlusion_can_be_averaged_over_noise() -> None:
    model, inputs, targets = make("table")
    names = [parse("occlusion"), parse("abs-sg-occlusion")]
    plain, noisy = explain_family(Occlusion(), names, model, inputs, targets, lambda _: seeded())
    assert not np.allclose(np.abs(plain.importance), noisy.importance, rtol=0.01)
    assert (noisy.importance >= 0).all()


# --- windows --------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["grey", "colour", "patches", "series", "series of channels"])
@pytest.mark.parametrize(("patch", "stride"), [(2, 1), (2, 2), (3, 2), (9, 4)])
def test_windows_are_the_loop_over_windows(layout: str, patch: int, stride: int) -> None:
    model, inputs, targets = make(layout, examples=3)
    attribution = Occlusion(patch, stride)(model, inputs, targets, seeded())
    for example, target in enumerate(targets.tolist()):
        expected = oracles.occlusion_windows(
            lambda x, target=target: float(model(torch.tensor(x)[None])[0, target]),
            inputs[example].numpy(),
            model.black.numpy(),
            model.feature_of_value(inputs).numpy(),
            model.shape_of_features(inputs),
            axes=2 if model.kind == "image" else 1,
            patch=patch,
            stride=stride,
        )
        found = per_feature(attribution, model, inputs)[example]
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@every
def test_what_is_as_in_the_baseline_is_not_asked_about(layout: str) -> None:
    model, inputs, targets = make(layout)
    dark = torch.rand(inputs.shape, generator=seeded()) < 0.7
    inputs = torch.where(dark, model.black, inputs)
    inputs[0] = model.black
    feature = model.feature_of_value(inputs)
    with model.counting() as counted:
        found = per_feature(Occlusion()(model, inputs, targets, seeded()), model, inputs)
    bright = [feature[row].unique() for row in (inputs != model.black).flatten(1)]
    assert counted.examples == len(inputs) + sum(map(len, bright))
    for example, target in enumerate(targets.tolist()):
        expected = oracles.occlusion(
            lambda x, target=target: float(model(torch.tensor(x)[None])[0, target]),
            inputs[example].numpy(),
            model.black.numpy(),
            feature.numpy(),
        )
        np.testing.assert_allclose(found[example], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("patch", "stride"), [(2, 1), (2, 2), (3, 2)])
def test_captum_slides_the_same_windows(patch: int, stride: int) -> None:
    model, inputs, targets = make("colour")
    theirs = CaptumOcclusion(model.module).attribute(
        inputs,
        sliding_window_shapes=(3, patch, patch),
        strides=(3, stride, stride),
        baselines=-0.5,
        target=targets,
    )
    found = Occlusion(patch, stride)(model, inputs, targets, seeded())
    torch.testing.assert_close(found.sum(1), theirs[:, 0].double())


def test_windows_of_a_linear_model_by_hand() -> None:
    weights = torch.tensor([[1.0], [2.0], [4.0]])
    zero = torch.zeros(3)
    model = TrainedModel(lambda x: x @ weights, zero, zero, zero, 1, kind="series")
    attribution = Occlusion(2, 1)(model, torch.ones(1, 3), torch.tensor([0]), seeded())
    assert attribution.tolist() == [[3.0, 4.5, 6.0]]  # of the falls 1 + 2 and 2 + 4
    attribution = Occlusion(2, 2)(model, torch.ones(1, 3), torch.tensor([0]), seeded())
    assert attribution.tolist() == [[3.0, 3.0, 4.0]]  # the last window ends at the border


@every
@pytest.mark.parametrize("name", ["occlusion", "occlusion:baseline=mean"])
def test_passes_are_those_predicted(layout: str, name: str) -> None:
    model, inputs, targets = make(layout)
    features = int(model.feature_of_value(inputs).max()) + 1
    with model.counting() as counted:
        parse(name).load()(model, inputs, targets, seeded())
    assert counted.examples == len(inputs) * passes_of(parse(name), features=features)


def test_passes_of_windows_that_divide_an_image() -> None:
    zero = torch.zeros(1, 8, 8)
    model = TrainedModel(lambda x: x.flatten(1).sum(1)[:, None], zero, zero, zero, 2, kind="image")
    with model.counting() as counted:
        Occlusion(4, 4)(model, torch.ones(1, 1, 8, 8), torch.tensor([0]), seeded())
    assert counted.examples == passes_of(parse("occlusion:patch=4:stride=4"), features=64) == 5


def test_columns_of_a_table_have_no_windows() -> None:
    model, inputs, targets = make("table")
    with pytest.raises(Skipped, match="windows of 2 features needs neighbours"):
        Occlusion(2)(model, inputs, targets, seeded())


# --- what coalitions are answered with ------------------------------------------------------------


@every
@pytest.mark.parametrize("soft", [False, True])
def test_mixtures_are_made_value_by_value(
    layout: str, soft: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, inputs, targets = make(layout)
    feature = model.feature_of_value(inputs)
    shares = torch.rand(7, int(feature.max()) + 1, generator=seeded(), dtype=torch.float64)
    kept = shares if soft else shares > 0.5
    absent = model.baseline(inputs, "mean")
    options = {"absent": absent, "kept": kept, "player_of_value": feature}
    found = mixed_outputs(model, inputs, targets, **options)
    for example, target in enumerate(targets.tolist()):
        for coalition, row in enumerate(kept.double()):
            share = row[feature].view(inputs.shape[1:])
            point = share * inputs[example] + (1 - share) * absent[example]
            expected = model(point[None])[0, target]
            torch.testing.assert_close(found[example, coalition], expected)
    monkeypatch.setattr(coalitions, "FUNCTION_ROWS", 4)  # fewer than there are examples
    monkeypatch.setattr(coalitions, "MASK_ENTRIES", 30)
    torch.testing.assert_close(mixed_outputs(model, inputs, targets, **options), found)


def test_passes_are_as_large_as_suits_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    zero, rows = torch.zeros(3), list[int]()

    class Noting(nn.Module):
        def forward(self, values: Tensor) -> Tensor:
            rows.append(len(values))
            return values[:, :1]

    kept = torch.ones(50, 3, dtype=torch.bool)
    options = {"absent": torch.zeros(2, 3), "kept": kept, "player_of_value": torch.arange(3)}
    monkeypatch.setattr(coalitions, "ROWS", 7)
    monkeypatch.setattr(coalitions, "FUNCTION_ROW_BYTES", 12 * 20)
    for module, most in ((Noting(), 6), (Noting().forward, 20)):
        model = TrainedModel(module, zero, zero, zero, 1)
        mixed_outputs(model, torch.ones(2, 3), torch.tensor([0, 0]), **options)
        assert max(rows) == most
        rows.clear()


def test_what_is_kept_or_not_is_so_exactly() -> None:
    inputs, absent = torch.tensor([[1e-8, 3e7, -0.1]]), torch.tensor([[1e8, 1e-7, 0.3]])
    seen = []

    def noting(values: Tensor) -> Tensor:
        seen.append(values)
        return values[:, :1]

    model = TrainedModel(noting, *[torch.zeros(3)] * 3, 1)
    kept = torch.tensor([[True, True, True], [False, False, False]])
    players = torch.arange(3)
    mixed_outputs(
        model, inputs, torch.tensor([0]), absent=absent, kept=kept, player_of_value=players
    )
    assert torch.equal(torch.cat(seen), torch.cat([inputs, absent]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"baseline": "white"}, r"baseline must be one of .*, got 'white'"),
        ({"patch": 0}, "patch must be at least 1, got 0"),
        ({"patch": 2, "stride": 0}, "stride must be at least 1, got 0"),
        ({"patch": 2, "stride": 3}, "stride must be at least 1 and at most patch, 2, .* got 3"),
    ],
)
def test_parameters_out_of_range(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Occlusion(**options)
