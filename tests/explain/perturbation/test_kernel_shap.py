"""KernelSHAP against exact Shapley values, the shap package, closed forms and a slow regression."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.support import oracles
from uproar.explain import coalitions
from uproar.explain.cost import passes_of
from uproar.explain.names import parse
from uproar.explain.perturbation.kernel_shap import KernelShap
from uproar.explain.perturbation.regression import shapley_regression
from uproar.explain.perturbation.shapley_coalitions import drawn_coalitions
from uproar.models.trained import TrainedModel
from uproar.types import Skipped

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what the package imports
    from shap import KernelExplainer


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(values: int) -> nn.Sequential:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(values, 9), nn.Tanh(), nn.Linear(9, 3)).double()
    with torch.no_grad():
        module[1].weight.mul_(3)  # bent enough for features to interact
    return module.requires_grad_(False).eval()


def make(
    *shape: int, kind: str = "table", axes: int = 1, groups: Tensor | None = None, examples: int = 3
) -> tuple[TrainedModel, Tensor, Tensor]:
    inputs = torch.randn(examples, *shape, generator=seeded(1), dtype=torch.float64)
    module = network(math.prod(shape))

    def answers(values: Tensor) -> Tensor:
        return module(values)

    model = TrainedModel(
        answers,
        torch.full(shape, -0.5, dtype=torch.float64),
        inputs.mean(0),
        torch.ones(shape),
        axes,
        kind=kind,
        groups=groups,
        feature_shape=() if groups is None else (int(groups.max()) + 1,),
        background=torch.randn(20, *shape, generator=seeded(2), dtype=torch.float64),
    )
    return model, inputs, torch.arange(examples) % 3


def per_feature(attribution: Tensor, model: TrainedModel, inputs: Tensor) -> Tensor:
    feature = model.feature_of_value(inputs)
    summed = torch.zeros(len(inputs), int(feature.max()) + 1, dtype=attribution.dtype)
    return summed.index_add(1, feature, attribution.flatten(1))


def exact(model: TrainedModel, example: Tensor, target: int, stand_ins: Tensor) -> np.ndarray:
    """Shapley values of one example, one coalition after another."""
    feature = model.feature_of_value(example[None]).view(example.shape)

    def answer(coalition: frozenset[int]) -> float:
        kept = torch.isin(feature, torch.tensor(sorted(coalition), dtype=torch.int64))
        points = torch.where(kept, example, stand_ins)
        return float(model(points)[:, target].mean())

    return oracles.exact_shapley(answer, int(feature.max()) + 1)


# --- with all coalitions --------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("features", [2, 3, 6, 10])
def test_all_coalitions_give_exact_shapley_values(features: int) -> None:
    model, inputs, targets = make(features, examples=2)
    found = KernelShap(coalitions=2**features)(model, inputs, targets, seeded())
    for example, target in enumerate(targets.tolist()):
        expected = exact(model, inputs[example], target, model.black[None])
        np.testing.assert_allclose(found[example], expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("background", [0, 4])
def test_values_of_a_feature_and_a_background_take_part_together(background: int) -> None:
    groups = torch.tensor([0, 1, 1, 2, 1, 0])
    model, inputs, targets = make(6, groups=groups)
    found = KernelShap(background=background)(model, inputs, targets, seeded())
    stand_ins = model.background[:background] if background else model.black[None]
    for example, target in enumerate(targets.tolist()):
        expected = exact(model, inputs[example], target, stand_ins)
        shares = per_feature(found, model, inputs)[example]
        np.testing.assert_allclose(shares, expected, rtol=1e-7, atol=1e-9)


def test_channels_take_part_together() -> None:
    model, inputs, targets = make(2, 2, 3, kind="image", axes=2)
    found = KernelShap(baseline="mean")(model, inputs, targets, seeded())
    for example, target in enumerate(targets.tolist()):
        expected = exact(model, inputs[example], target, model.mean[None])
        shares = per_feature(found, model, inputs)[example]
        np.testing.assert_allclose(shares, expected, rtol=1e-7, atol=1e-9)


def test_weights_of_a_linear_model_come_out_of_a_few_coalitions() -> None:
    weights = torch.randn(30, 2, generator=seeded(5), dtype=torch.float64)
    inputs = torch.randn(4, 30, generator=seeded(6), dtype=torch.float64)
    black = torch.randn(30, generator=seeded(7), dtype=torch.float64)
    model = TrainedModel(lambda values: values @ weights, black, black, black, 1)
    targets = torch.tensor([0, 1, 1, 0])
    found = KernelShap(coalitions=100)(model, inputs, targets, seeded())
    torch.testing.assert_close(found, weights.T[targets] * (inputs - black))


# --- the shap package -----------------------------------------------------------------------------


@pytest.mark.parametrize("background", [1, 5])
def test_shap_enumerates_to_the_same_values(background: int) -> None:
    model, inputs, targets = make(7)
    rows = model.background[:background].numpy()
    package = KernelExplainer(lambda values: model(torch.tensor(values)).numpy(), rows)
    theirs = package.shap_values(inputs.numpy(), silent=True, l1_reg=False)
    found = KernelShap(background=background)(model, inputs, targets, seeded())
    for example, target in enumerate(targets.tolist()):
        np.testing.assert_allclose(found[example], theirs[example, :, target], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("features", "samples"), [(14, 300), (15, 301), (40, 90)])
def test_shap_gives_the_same_values_from_the_same_coalitions(features: int, samples: int) -> None:
    model, inputs, targets = make(features, examples=1)
    np.random.seed(0)  # noqa: NPY002 - what the package draws from
    package = KernelExplainer(
        lambda values: model(torch.tensor(values)).numpy(), model.black[None].numpy()
    )
    theirs = package.shap_values(inputs.numpy(), nsamples=samples, silent=True, l1_reg=False)
    kept = torch.tensor(package.maskMatrix > 0)
    points = torch.where(kept, inputs, model.black)
    found = shapley_regression(
        kept,
        torch.tensor(package.kernelWeights),
        model(points)[:, targets].T,
        model(inputs)[0, targets],
        model(model.black[None])[0, targets],
        torch.ones(1, features, dtype=torch.bool),
    )
    np.testing.assert_allclose(found[0], theirs[0, :, targets[0]], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(("players", "count"), [(2, 9), (3, 9), (6, 62), (6, 70), (9, 100)])
def test_shap_enumerates_the_same_coalitions_with_the_same_weights(
    players: int, count: int
) -> None:
    package = KernelExplainer(lambda values: values.sum(1), np.zeros((1, players)))
    np.random.seed(0)  # noqa: NPY002
    package.shap_values(np.ones((1, players)), nsamples=count, silent=True, l1_reg=False)
    theirs = {
        tuple(row): weight
        for row, weight in zip(package.maskMatrix > 0, package.kernelWeights, strict=True)
    }
    kept, weights = drawn_coalitions(players, count, np.random.default_rng(0))
    ours = {tuple(row): weight for row, weight in zip(kept, weights, strict=True)}
    assert len(ours) == len(theirs) == min(count, 2**players - 2)
    # The sizes that are enumerated by both; what is drawn differs.
    sizes = [size for size in range(1, players) if _complete(size, players, ours)]
    assert sizes == [size for size in range(1, players) if _complete(size, players, theirs)]
    assert sizes
    for coalition, weight in ours.items():
        if sum(coalition) in sizes:
            assert weight == pytest.approx(theirs[coalition])


def _complete(size: int, players: int, drawn: dict[tuple, float]) -> bool:
    return sum(sum(coalition) == size for coalition in drawn) == math.comb(players, size)


# --- coalitions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("players", "count"), [(1, 5), (2, 1), (5, 29), (8, 200), (13, 501), (64, 400), (300, 100)]
)
def test_coalitions_are_different_pairs_as_many_as_asked_for(players: int, count: int) -> None:
    kept, weights = drawn_coalitions(players, count, np.random.default_rng(3))
    assert len(kept) == len(weights) == min(count, 2**players - 2)
    if players == 1:
        return
    assert weights.sum() == pytest.approx(1)
    assert (weights > 0).all()
    rows = {tuple(row) for row in kept}
    assert len(rows) == len(kept)
    assert all(0 < sum(row) < players for row in rows)
    without = [row for row in rows if tuple(not member for member in row) not in rows]
    assert len(without) == len(kept) % 2


def test_sizes_are_drawn_as_often_as_they_weigh() -> None:
    players = 100
    kept, weights = drawn_coalitions(players, 20_000, np.random.default_rng(0))
    share = np.bincount(kept.sum(1), weights, minlength=players)
    size = np.arange(1, players)
    wanted = (players - 1) / (size * (players - size))
    np.testing.assert_allclose(share[1:players], wanted / wanted.sum(), atol=0.004)


def test_more_coalitions_come_nearer_to_the_exact_values() -> None:
    model, inputs, targets = make(12, examples=2)
    expected = KernelShap(coalitions=2**12)(model, inputs, targets, seeded())
    errors = [
        float((KernelShap(coalitions=count)(model, inputs, targets, seeded()) - expected).norm())
        for count in (30, 300, 3000)
    ]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


# --- the regression -------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [40, 8, 5])
def test_regression_is_the_least_squares_of_the_oracle(count: int) -> None:
    """Also with fewer coalitions than players, where it is the smallest of the solutions."""
    generator = np.random.default_rng(1)
    kept, weights = drawn_coalitions(12, count, generator)
    values, ends = generator.normal(size=(3, count)), generator.normal(size=(2, 3))
    found = shapley_regression(
        torch.tensor(kept),
        torch.tensor(weights),
        torch.tensor(values),
        *torch.tensor(ends),
        torch.ones(3, 12, dtype=torch.bool),
    )
    for example in range(3):
        expected = oracles.kernel_shap(kept, weights, values[example], *ends[:, example])
        np.testing.assert_allclose(found[example], expected, rtol=1e-7, atol=1e-9)


def test_features_as_in_the_baseline_have_no_importance_and_disturb_nothing() -> None:
    model, inputs, targets = make(9, examples=3)
    inputs[0, [1, 4]] = inputs[2] = model.black[0]
    count = 40  # not enough to determine the values exactly
    found = KernelShap(coalitions=count)(model, inputs, targets, seeded())
    assert (found[0] == 0).tolist() == [feature in {1, 4} for feature in range(9)]
    assert (found[2] == 0).all()
    seed = int(torch.randint(2**62, (1,), generator=seeded()))
    kept, weights = drawn_coalitions(9, count, np.random.default_rng(seed))
    points = torch.where(torch.tensor(kept), inputs[0], model.black)
    ends = model(torch.stack([inputs[0], model.black]))[:, 0].tolist()
    varying = [feature for feature in range(9) if feature not in {1, 4}]
    expected = oracles.kernel_shap(kept[:, varying], weights, model(points)[:, 0].numpy(), *ends)
    np.testing.assert_allclose(found[0, varying], expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("count", [10, 2048])
def test_values_add_up_to_the_change_of_the_output(count: int) -> None:
    model, inputs, targets = make(20)
    found = KernelShap(coalitions=count)(model, inputs, targets, seeded())
    change = model(inputs)[torch.arange(3), targets] - model(model.black[None])[0, targets]
    torch.testing.assert_close(found.sum(1), change)


# --- the contract ---------------------------------------------------------------------------------


def test_a_single_feature_has_all_of_the_change() -> None:
    model, inputs, targets = make(1)
    found = KernelShap()(model, inputs, targets, seeded())
    change = model(inputs)[torch.arange(3), targets] - model(model.black[None])[0, targets]
    torch.testing.assert_close(found[:, 0], change)


def test_segments_share_their_value() -> None:
    model, inputs, targets = make(1, 4, 6, kind="image", axes=2)
    found = KernelShap(segments=6)(model, inputs, targets, seeded())[:, 0]
    torch.testing.assert_close(
        found, found[:, ::2, ::2].repeat_interleave(2, 1).repeat_interleave(2, 2)
    )
    # Six players: exact values of the squares of 2 by 2.
    squares = torch.arange(24).view(4, 6) // 12 * 3 + torch.arange(6) // 2
    grouped = TrainedModel(
        model.module,
        *[model.black] * 3,
        2,
        kind="image",
        groups=squares.flatten(),
        feature_shape=(2, 3),
    )
    expected = exact(grouped, inputs[0], 0, model.black[None])
    np.testing.assert_allclose(4 * found[0, ::2, ::2].flatten(), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("background", [0, 3])
def test_neither_other_examples_nor_passes_matter(
    background: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    explainer = KernelShap(coalitions=50, background=background)
    model, inputs, targets = make(9)
    before = inputs.clone()
    whole = explainer(model, inputs, targets, seeded())
    assert torch.equal(inputs, before)
    torch.testing.assert_close(explainer(model, inputs[1:2], targets[1:2], seeded()), whole[1:2])
    rows: list[int] = []
    original = model.module

    def counted(values: Tensor) -> Tensor:
        rows.append(len(values))
        return original(values)

    object.__setattr__(model, "module", counted)
    monkeypatch.setattr(coalitions, "FUNCTION_ROWS", 4)
    monkeypatch.setattr(coalitions, "ANSWERS", 100)
    torch.testing.assert_close(explainer(model, inputs, targets, seeded()), whole)
    assert max(rows) <= 4


def test_tokens_give_way_to_the_mask_and_keep_their_ids() -> None:
    seen = []

    def embedded(inputs: Tensor) -> Tensor:  # (examples, id and two dimensions, length)
        seen.append(inputs[:, 0])
        return inputs[:, 1:].sum((1, 2))[:, None]

    inputs = torch.tensor([[[7.0, 8.0, 0.0], [1.0, 2.0, 0.5], [10.0, 20.0, 5.0]]])
    black = torch.tensor([0.0, 0.5, 5.0])[:, None]
    model = TrainedModel(embedded, black, black, black, 1, "text", background=inputs)
    found = KernelShap()(model, inputs, torch.tensor([0]), seeded())
    torch.testing.assert_close(found.sum(1), torch.tensor([[5.5, 16.5, 0.0]]))
    assert all((ids == torch.tensor([7.0, 8.0, 0.0])).all() for ids in seen)
    with pytest.raises(Skipped, match="no background of texts"):
        KernelShap(background=1)(model, inputs, torch.tensor([0]), seeded())


@pytest.mark.parametrize(
    "name", ["kernel-shap", "kernel-shap:coalitions=31", "kernel-shap:background=3"]
)
@pytest.mark.parametrize("features", [4, 30])
def test_passes_are_those_predicted(name: str, features: int) -> None:
    model, inputs, targets = make(features)
    with model.counting() as counted:
        parse(name).load()(model, inputs, targets, seeded())
    assert counted.examples == len(inputs) * passes_of(parse(name), features=features)


def test_a_background_needs_training_examples() -> None:
    model, inputs, targets = make(4)
    with pytest.raises(Skipped, match=r"a background of 21 needs as many .* there are 20"):
        KernelShap(background=21)(model, inputs, targets, seeded())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"coalitions": 1}, "coalitions must be at least 2, got 1"),
        ({"segments": 0}, "segments must be at least 1, got 0"),
        ({"background": -1}, "background must be at least 0, got -1"),
        ({"baseline": "white"}, "baseline must be one of .*, got 'white'"),
    ],
)
def test_parameters_out_of_range(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        KernelShap(**options)
