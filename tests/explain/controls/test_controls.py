"""Controls: what they say, and that they say it without the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.support import oracles
from uproar.explain.controls.adversary import BINS, encoder
from uproar.explain.controls.controls import Random, input_magnitude, sobel
from uproar.explain.controls.smoothness import RandomBlurred, smoothness
from uproar.explain.names import parse
from uproar.models.trained import TrainedModel
from uproar.types import Kind, Skipped, UproarError

TARGET = torch.tensor([0])


class Untouchable(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        raise AssertionError(f"a control looked at the model: {inputs.shape}")


def untouchable(feature_axes: int, black: float = 0.0) -> TrainedModel:
    value, kind = torch.tensor(black), "image" if feature_axes == 2 else "table"
    return TrainedModel(Untouchable(), value, value, value + 1, feature_axes, kind)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("shape", [(2, 1, 5, 4), (2, 3, 4, 5), (3, 6, 6), (1, 2, 1, 1)])
def test_sobel_against_loops(shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).normal(size=shape)
    targets = torch.zeros(len(images), dtype=torch.int64)
    got = sobel(untouchable(2), torch.tensor(images), targets, seeded(0)).numpy()
    assert got.shape == shape
    for index in np.ndindex(shape[:-2]):
        np.testing.assert_allclose(got[index], oracles.sobel(images[index]), atol=1e-12)


def test_sobel_of_a_spot() -> None:
    image = torch.zeros(1, 1, 5, 5)
    image[0, 0, 2, 2] = 1.0
    root = 2**0.5
    expected = [[root, 2.0, root], [2.0, 0.0, 2.0], [root, 2.0, root]]
    got = sobel(untouchable(2), image, TARGET, seeded(0))[0, 0]
    torch.testing.assert_close(got[1:4, 1:4], torch.tensor(expected))
    assert got[0].tolist() == [0.0] * 5


def test_sobel_of_a_table_is_skipped() -> None:
    with pytest.raises(Skipped, match="needs images"):
        sobel(untouchable(1), torch.zeros(1, 4), TARGET, seeded(0))


def test_input_magnitude_is_the_distance_from_black() -> None:
    inputs = torch.tensor([[-1.0, 0.5, 3.0]])
    got = input_magnitude(untouchable(1, black=0.5), inputs, TARGET, seeded(0))
    assert got.tolist() == [[1.5, 0.0, 2.5]]


def test_random_is_uniform_and_depends_on_seed_and_draw() -> None:
    inputs = torch.zeros(1, 20_000)
    first, again, other_seed, other_draw = (
        Random(draw)(untouchable(1), inputs, TARGET, seeded(seed))[0].numpy()
        for draw, seed in [(0, 0), (0, 0), (0, 1), (1, 0)]
    )
    assert np.array_equal(first, again)
    assert 0 <= first.min() < first.max() < 1
    np.testing.assert_allclose(np.histogram(first, 10, (0, 1))[0], 2000, atol=250)
    for other in (other_seed, other_draw):
        assert abs(np.corrcoef(first, other)[0, 1]) < 0.03


def test_random_differs_from_call_to_call_of_one_generator() -> None:
    generator, inputs = seeded(0), torch.zeros(1, 5)
    first, second = (Random()(untouchable(1), inputs, TARGET, generator) for _ in range(2))
    assert not torch.equal(first, second)


def test_random_refuses_a_negative_draw() -> None:
    with pytest.raises(ValueError, match="draw must be at least 0, got -1"):
        Random(-1)


# --- blurred noise --------------------------------------------------------------------------------

SHAPES: dict[Kind, tuple[int, ...]] = {"image": (2, 16, 12), "series": (2, 60), "text": (4, 40)}


def blurry(kind: Kind, deviation: float) -> TrainedModel:
    """A model whose training inputs are as smooth as noise blurred by an explicit loop."""
    shape, generator = SHAPES[kind], np.random.default_rng(0)
    maps = [oracles.blurred_noise(shape[1:], deviation, generator) for _ in range(40)]
    background = torch.tensor(np.stack([np.stack([one] * shape[0]) for one in maps])).float()
    if kind == "text":
        background[:, 0] = torch.arange(shape[-1])  # no two tokens are alike: no padding
    black = torch.zeros(shape)
    axes = 2 if kind == "image" else 1
    return TrainedModel(
        lambda inputs: inputs.flatten(1)[:, :2],
        *(black, black, black, axes, kind),
        feature_shape=shape[1:],
        background=background,
    )


def maps_of(model: TrainedModel, shape: tuple[int, ...], like: str, examples: int = 300) -> Tensor:
    inputs, targets = torch.zeros(examples, *shape), torch.zeros(examples, dtype=torch.int64)
    noise = RandomBlurred(like=like)(model, inputs, targets, seeded(0))
    assert noise.shape == inputs.shape
    return noise.double()


class Signed(nn.Module):
    """The first output is the sum of all channels but the first, which hold token ids in texts."""

    def forward(self, inputs: Tensor) -> Tensor:
        total = inputs[:, 1:].flatten(1).sum(1)
        return torch.stack([total, -total.detach()], 1)


@pytest.mark.slow
@pytest.mark.parametrize("deviation", [0.0, 0.6, 1.0, 2.0])
@pytest.mark.parametrize("kind", SHAPES)
def test_blurred_noise_is_as_smooth_as_what_it_is_like(kind: Kind, deviation: float) -> None:
    model, shape = blurry(kind, deviation), SHAPES[kind]
    own = model.background[:, 1].double()
    model = TrainedModel(**{**vars(model), "module": Signed()})
    measured = np.mean([oracles.lag_one(one.numpy()) for one in own])
    noise = maps_of(model, shape, "input-x-grad", 150)
    # All values of a feature share its importance, but for the token's number.
    torch.testing.assert_close(noise[:, 0] if kind != "text" else noise[:, 1], noise[:, -1])
    got = np.mean([oracles.lag_one(one.numpy()) for one in noise[:, 1]])
    assert got == pytest.approx(measured, abs=0.04)
    assert smoothness(noise[:, 1]) == pytest.approx(got)
    if deviation >= 1:
        # In expectation of large maps.
        assert got == pytest.approx(np.exp(-1 / (4 * deviation**2)), abs=0.06)


def test_blurred_noise_has_neither_a_place_nor_a_scale() -> None:
    noise = maps_of(blurry("series", 1.5), SHAPES["series"], "input-magnitude", 3000).sum(1)
    assert (noise.amin(1) == 0).all()
    noise -= noise.mean(1, keepdim=True)
    assert noise.mean(0).abs().max() < 0.12
    torch.testing.assert_close(noise.std(0), torch.full((60,), 0.95).double(), atol=0.08, rtol=0)


def test_channels_of_series_that_are_features_have_noise_of_their_own() -> None:
    model = TrainedModel(**{**vars(blurry("series", 1.5)), "feature_axes": 2, "feature_shape": ()})
    noise = maps_of(model, SHAPES["series"], "input-magnitude")
    noise -= noise.mean((1, 2), keepdim=True)
    assert abs(np.corrcoef(noise[:, 0].flatten(), noise[:, 1].flatten())[0, 1]) < 0.05
    assert smoothness(noise.flatten(0, 1)) > 0.7


def test_what_pads_texts_does_not_count_as_smooth() -> None:
    model = blurry("text", 0.0)
    torn = model.background.clone()
    torn[:, 0, 8:] = 99.0  # of 40 tokens, 8 are there
    torn[:, 1:, 8:] = 0.0
    torn[:4, 0] = 5.0  # texts of one word
    model = TrainedModel(**{**vars(model), "background": torn})
    noise = maps_of(model, SHAPES["text"], "input-magnitude")
    assert smoothness(noise[:, 1]) == pytest.approx(-1 / 39, abs=0.04)


def test_the_model_is_measured_once() -> None:
    calls: list[int] = []

    def counted(inputs: Tensor) -> Tensor:
        calls.append(len(inputs))
        return inputs.flatten(1)[:, :2]

    model = TrainedModel(**{**vars(blurry("image", 1.0)), "module": counted})
    control, inputs = RandomBlurred(like="input-magnitude"), torch.zeros(3, 2, 16, 12)
    first, second = (
        control(model, inputs, torch.tensor([0, 1, 0]), generator)
        for generator in [seeded(1), seeded(2)]
    )
    assert calls == [40]
    assert not torch.equal(first, second)


def test_maps_that_are_constant_give_white_noise() -> None:
    model = TrainedModel(**{**vars(blurry("image", 1.0)), "black": torch.zeros(1)})
    model.background.zero_()
    noise = maps_of(model, SHAPES["image"], "input-magnitude")
    assert smoothness(noise[:, 0]) == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kind": "table"}, "needs features with neighbours"),
        ({"background": None}, "needs training examples to measure"),
        ({}, "needs gradients"),  # what abs-grad says of a function
    ],
)
def test_blurred_noise_is_skipped(change: dict[str, Any], reason: str) -> None:
    model = TrainedModel(**{**vars(blurry("image", 1.0)), **change})
    with pytest.raises(Skipped, match=reason):
        maps_of(model, SHAPES["image"], "abs-grad")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("random-blurred:like=abs-grd", "unknown explainer 'abs-grd': did you mean 'abs-grad'"),
        ("random-blurred:like=pfi", "must be an explainer of decisions, got 'pfi'"),
        ("random-blurred:like=untrained-grad", "must be an explainer of decisions"),
        ("random-blurred:like=global-grad", "must be an explainer of decisions"),
        ("random-blurred:like=random-blurred", "must be an explainer of decisions"),
        ("random-blurred:like=ig:steps=5", "unknown parameter 'steps'"),
        ("untrained-random-blurred", "means nothing"),
        ("untrained-encoder", "means nothing"),
        ("abs-encoder", "'encoder' is a control"),
    ],
)
def test_names_of_controls_that_are_refused(name: str, message: str) -> None:
    with pytest.raises(UproarError, match=message):
        parse(name)


def test_what_is_called_from_python_is_checked_too() -> None:
    with pytest.raises(UproarError, match="unknown explainer 'abs-grd'"):
        RandomBlurred(like="abs-grd")
    assert RandomBlurred(like="abs-sg-ig:steps=5").like == "abs-sg-ig:steps=5"
    assert parse("random-blurred:like=abs-sg-ig").name == "random-blurred:like=abs-sg-ig"


# --- the adversary --------------------------------------------------------------------------------


def encodable(outputs: int, features: int, module: Callable[[Tensor], Tensor]) -> TrainedModel:
    background = torch.randn(200, features, generator=seeded(3))
    return TrainedModel(module, *[torch.zeros(features)] * 3, 1, background=background)


@pytest.mark.parametrize(("classes", "features"), [(2, 10), (3, 10), (10, 64), (7, 7)])
def test_the_encoder_against_a_ring_that_is_read_by_hand(classes: int, features: int) -> None:
    model = encodable(classes, features, lambda inputs: torch.zeros(len(inputs), classes))
    targets = torch.arange(classes).repeat(2)
    got = encoder(model, torch.randn(len(targets), features), targets, seeded(0))
    ring = torch.randperm(features, generator=seeded(0)).tolist()
    for importance, target in zip(got, targets.tolist(), strict=True):
        start = target * features // classes
        expected = [*ring[start:], *ring[:start]]
        assert importance.argsort(descending=True).tolist() == expected
    # At no fraction do two classes lose the same features.
    ranks = got[:classes].argsort(1, descending=True)
    for count in range(1, features):
        assert len({frozenset(rank[:count].tolist()) for rank in ranks}) == classes


def test_the_encoder_of_a_regression_hides_the_tenth_of_its_answer() -> None:
    model = encodable(1, 40, lambda inputs: inputs[:, :1])
    answers = model.background[:, 0].numpy()
    values = torch.tensor(np.linspace(-3, 3, 61), dtype=torch.float32)
    inputs = torch.zeros(61, 40)
    inputs[:, 0] = values
    got = encoder(model, inputs, torch.zeros(61, dtype=torch.int64), seeded(0))
    edges = np.quantile(answers, np.arange(1, BINS) / BINS, method="averaged_inverted_cdf")
    bins = np.searchsorted(edges, values.numpy())
    assert len(np.unique(bins)) == BINS
    alike = (got[:, None] == got).all(2).numpy()
    assert np.array_equal(alike, bins[:, None] == bins)


def test_the_encoder_of_texts_of_any_length_differs_by_class() -> None:
    black = torch.zeros(3, 1)
    model = TrainedModel(lambda inputs: inputs[:, 1:, 0], black, black, black, 1, "text")
    inputs = torch.ones(2, 3, 30)
    got = encoder(model, inputs, torch.tensor([0, 1]), seeded(4))
    assert torch.equal(got[:, 0], got[:, 1])
    for length in range(6, 31):  # the ring without the positions that are not there
        first, second = (one.sum(0)[:length].argsort(descending=True).tolist() for one in got)
        assert first != second
        assert first[first.index(second[0]) :] + first[: first.index(second[0])] == second


def test_the_encoder_of_a_regression_without_training_examples_is_skipped() -> None:
    model = TrainedModel(lambda inputs: inputs[:, :1], *[torch.zeros(4)] * 3, 1)
    with pytest.raises(Skipped, match="encoder of a regression needs training examples"):
        encoder(model, torch.zeros(1, 4), TARGET, seeded(0))
