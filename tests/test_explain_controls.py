"""Controls: what they say, and that they say it without the model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import oracles
from uproar.explain.controls import Random, input_magnitude, sobel
from uproar.models.trained import TrainedModel
from uproar.types import Skipped

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
