"""Small pixelated pictures as data addresses: inputs in grey or colour, importance as heat."""

from __future__ import annotations

import base64
import functools
import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy.typing import NDArray
from PIL import Image

LONGEST_SIDE = 64  # larger pictures are reduced to this: a page holds hundreds of them
CLIP = 0.99  # quantile of the absolute importance that gets the full colour

# Both maps go through white at "nothing" and differ in lightness, so that they work without hue.
_DIVERGING = ((5, 48, 97), (67, 147, 195), (250, 250, 250), (214, 96, 77), (103, 0, 31))
_SEQUENTIAL = ((252, 251, 253), (188, 189, 220), (128, 125, 186), (84, 39, 143), (45, 0, 75))


def reduced(plane: Float[np.ndarray, "height width"]) -> Float[np.ndarray, "height2 width2"]:
    """Return the plane with no side above the limit, each new pixel the mean of those below it."""
    height, width = plane.shape
    factor = max(height, width) / LONGEST_SIDE
    if factor <= 1:
        return plane
    size = (max(round(width / factor), 1), max(round(height / factor), 1))
    picture = Image.fromarray(np.ascontiguousarray(plane, dtype=np.float32))
    return np.asarray(picture.resize(size, Image.Resampling.BOX))


def input_picture(
    example: Float[np.ndarray, "channels height width"], value_range: tuple[float, float] | None
) -> str:
    """Return one input: three channels as colour, any other number as the grey of their mean."""
    finite = example[np.isfinite(example)]
    low, high = value_range or (
        (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    )
    shares = np.clip((np.nan_to_num(example) - low) / ((high - low) or 1.0), 0, 1)
    planes = shares if len(shares) == 3 else shares.mean(axis=0, keepdims=True)
    pixels = np.stack([np.rint(255 * reduced(plane)) for plane in planes], axis=-1).astype(np.uint8)
    picture = Image.fromarray(pixels if pixels.shape[-1] == 3 else pixels[..., 0])
    return _address(picture)


def heat_picture(importance: Float[np.ndarray, "height width"], *, signed: bool) -> str:
    """Return one importance map, scaled by its own largest absolute values (99th percentile)."""
    limit = float(np.quantile(np.abs(importance), CLIP)) or float(np.abs(importance).max()) or 1.0
    shares = np.clip(importance / limit, -1 if signed else 0, 1)
    positions = (shares + 1) / 2 if signed else shares
    picture = Image.fromarray(np.rint(255 * positions).astype(np.uint8))
    picture.putpalette(_palette(signed=signed).tobytes())
    return _address(picture)


@functools.cache
def _palette(*, signed: bool) -> UInt8[np.ndarray, "colours=256 rgb=3"]:
    stops: NDArray[np.float64] = np.array(_DIVERGING if signed else _SEQUENTIAL, dtype=float)
    positions = np.linspace(0, 1, len(stops))
    places = np.linspace(0, 1, 256)
    mixed = [np.interp(places, positions, stops[:, channel]) for channel in range(3)]
    return np.rint(np.stack(mixed, axis=1)).astype(np.uint8)


def _address(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def patch_edges(patches: int, patch: int, side: int) -> list[int]:
    """Return where patches begin and end on a side of the picture; the border cuts the last.

    >>> patch_edges(3, 4, 10)
    [0, 4, 8, 10]
    """
    return [min(place * patch, side) for place in range(patches + 1)]


def outline(
    mask: Bool[np.ndarray, "height width"],
    *,
    rows: Sequence[int] | None = None,
    columns: Sequence[int] | None = None,
) -> str:
    """Return the borders of the true region as an SVG path in units of one pixel.

    :param rows: where the rows of the mask begin and end, (height + 1,), when they are larger than
        a pixel; likewise ``columns``.

    >>> outline(np.array([[True, True], [False, False]]))
    'M0,0h2M0,1h2M0,0v1M2,0v1'
    """
    y = range(len(mask) + 1) if rows is None else rows
    x = range(mask.shape[1] + 1) if columns is None else columns
    padded = np.pad(mask, 1)
    level = padded[1:, 1:-1] != padded[:-1, 1:-1]
    upright = padded[1:-1, 1:] != padded[1:-1, :-1]
    across = [f"M{x[start]},{y[line]}h{x[end] - x[start]}" for line, start, end in _runs(level)]
    down = [f"M{x[line]},{y[start]}v{y[end] - y[start]}" for line, start, end in _runs(upright.T)]
    return "".join(across + down)


def _runs(edges: Bool[np.ndarray, "lines places"]) -> list[tuple[int, int, int]]:
    """Return (line, start, end) of every run of true values."""
    steps = np.diff(np.pad(edges.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    lines, starts = np.nonzero(steps == 1)
    ends = np.nonzero(steps == -1)[1]
    return list(zip(lines.tolist(), starts.tolist(), ends.tolist(), strict=True))
