"""Features of images that are squares of pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uproar.data.image.patches import feature_of_value
from uproar.types import UproarError


def test_pixels_need_no_index() -> None:
    assert feature_of_value((3, 4, 5), 1) == ((4, 5), None)


def test_a_worked_example_with_smaller_squares_at_the_border() -> None:
    shape, features = feature_of_value((2, 3, 5), 2)
    assert shape == (2, 3)
    assert features is not None
    assert features.dtype == np.int64
    channel = [[0, 0, 1, 1, 2], [0, 0, 1, 1, 2], [3, 3, 4, 4, 5]]
    assert features.reshape(2, 3, 5).tolist() == [channel, channel]


@given(st.integers(1, 3), st.integers(1, 12), st.integers(1, 12), st.integers(2, 14), st.randoms())
def test_every_value_is_in_the_square_around_its_pixel(
    channels: int, height: int, width: int, patch: int, random
) -> None:
    if patch >= max(height, width):
        with pytest.raises(UproarError, match="at least 2 are needed"):
            feature_of_value((channels, height, width), patch)
        return
    (rows, columns), features = feature_of_value((channels, height, width), patch)
    assert features is not None
    assert np.array_equal(np.unique(features), np.arange(rows * columns))
    channel, row, column = (random.randrange(n) for n in (channels, height, width))
    square = divmod(int(features.reshape(channels, height, width)[channel, row, column]), columns)
    assert square == (row // patch, column // patch)
    assert np.bincount(features).max() <= channels * patch * patch


@pytest.mark.parametrize(
    ("shape", "patch", "text"),
    [
        ((1, 4, 4), 0, "patch must be at least 1 pixel, got 0"),
        ((1, 4, 4), -2, "patch must be at least 1 pixel, got -2"),
        ((1, 4, 6), 6, "one feature of an image of 4 × 6 pixels.*choose a patch below 6"),
        ((1, 4, 6), 100, "patch=100 makes one feature"),
    ],
)
def test_patches_that_leave_nothing_to_rank_are_refused(
    shape: tuple[int, int, int], patch: int, text: str
) -> None:
    with pytest.raises(UproarError, match=text):
        feature_of_value(shape, patch)


def test_an_image_of_one_pixel_is_refused_in_words_that_can_be_followed() -> None:
    with pytest.raises(UproarError, match="an image of 1 × 1 pixels has one feature"):
        feature_of_value((3, 1, 1), 1)
