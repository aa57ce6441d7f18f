"""Squares of pixels as features of images."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from uproar.types import UproarError


def feature_of_value(
    input_shape: tuple[int, int, int], patch: int
) -> tuple[tuple[int, int], NDArray[np.int64] | None]:
    """Return the shape of the features, and the feature that every value of an image belongs to.

    Feature (r, c) holds all channels of the pixels with row // patch = r and column // patch = c.
    Squares at the lower and right border are smaller where patch does not divide the side.

    :param input_shape: (channels, height, width).
    :param patch: side of the squares, in pixels.
    :return: (⌈height / patch⌉, ⌈width / patch⌉), and the index of the feature of each value of a
        flattened image, (channels * height * width,); None for ``patch=1``, where features are
        pixels and the layout of the image says it all.
    :raises UproarError: when patch is less than 1, or leaves fewer than 2 features to rank.

    >>> shape, features = feature_of_value((1, 2, 3), 2)
    >>> shape, features.tolist()
    ((1, 2), [0, 0, 1, 0, 0, 1])
    """
    channels, height, width = input_shape
    if patch < 1:
        raise UproarError(f"patch must be at least 1 pixel, got {patch}")
    rows, columns = math.ceil(height / patch), math.ceil(width / patch)
    if height * width < 2:
        raise UproarError(
            f"an image of {height} × {width} pixels has one feature, and at least 2 are needed"
        )
    if rows * columns < 2:
        raise UproarError(
            f"patch={patch} makes one feature of an image of {height} × {width} pixels, and at "
            f"least 2 are needed to be ranked; choose a patch below {max(height, width)}"
        )
    if patch == 1:
        return (rows, columns), None
    of_row, of_column = np.arange(height) // patch, np.arange(width) // patch
    of_pixel = of_row[:, None] * columns + of_column  # (height, width)
    return (rows, columns), np.tile(of_pixel.reshape(-1), channels).astype(np.int64)
