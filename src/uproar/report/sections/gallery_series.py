"""Series as drawings: a line for each channel, steps shaded by how important they are called."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from uproar import ranking
from uproar.report.sections.pixels import outline
from uproar.report.wording import compact

MOST_STEPS = 240  # longer series are drawn with as many, each the mean of those that it stands for
MOST_CHANNELS = 6  # the first ones are drawn
STRIP = 100  # height of a channel in the drawing's own unit; a step is one wide
LEVELS = 8  # shades are this fine, so that a page holds few paths


@dataclass(frozen=True)
class Shade:
    """All steps that are about equally important, as one path; ``strength`` is a share."""

    path: str
    strength: float
    negative: bool


@dataclass(frozen=True)
class Drawing:
    """The lines of one example in strips of their own, and what the axes say."""

    line: str
    width: int
    height: int
    steps: int
    ranges: tuple[tuple[str, str, str], ...]  # channel, lowest value, highest value


def drawing(example: Float[np.ndarray, "channels time"], names: tuple[str, ...]) -> Drawing:
    """Return the lines of one example; every channel fills the height of its strip."""
    lines, ranges = [], []
    for channel, values in enumerate(example[:MOST_CHANNELS]):
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
        lines.append(_line(values, low, high, top=channel * STRIP))
        name = names[channel] if len(names) == len(example) else f"channel {channel + 1}"
        ranges.append((name, compact(low), compact(high)))
    steps = example.shape[1]
    width = min(steps, MOST_STEPS)
    return Drawing("".join(lines), width, STRIP * len(lines), steps, tuple(ranges))


def shades(importance: Float[np.ndarray, "rows time"], height: int) -> tuple[Shade, ...]:
    """Return the background of one example, scaled by its largest absolute importance.

    :param importance: one row for all channels together, or a row for each of them.
    :param height: of the drawing, which the rows share.
    """
    rows = _drawn(importance)
    largest = float(np.abs(rows).max()) or 1.0
    levels = np.rint(LEVELS * rows / largest).astype(int)[:MOST_CHANNELS]
    return tuple(
        Shade(_rectangles(levels == level, height // len(levels)), abs(level) / LEVELS, level < 0)
        for level in np.unique(levels).tolist()
        if level
    )


def edges(importance: Float[np.ndarray, "rows time"], height: int, share: float) -> tuple[str, str]:
    """Return the outline of the most important ``share`` of steps, and the best one in words."""
    rows = _drawn(importance)
    mask = ranking.removed_mask(ranking.rank(rows[None]), share)[0][:MOST_CHANNELS]
    row, step = np.unravel_index(int(importance.argmax()), importance.shape)
    channel = f" of channel {row + 1}" if len(importance) > 1 else ""
    tops = [height // len(mask) * place for place in range(len(mask) + 1)]
    return outline(mask, rows=tops), f"most important step {step + 1}{channel}"


def _drawn(rows: Float[np.ndarray, "rows time"]) -> Float[np.ndarray, "rows drawn"]:
    """Return rows of at most as many steps as are drawn."""
    starts, lengths = _bins(rows.shape[1])
    return np.asarray(np.add.reduceat(rows, starts, axis=1) / lengths)


def _bins(steps: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    ends = np.linspace(0, steps, min(steps, MOST_STEPS) + 1).round().astype(np.int64)
    return ends[:-1], np.diff(ends)


def _line(values: Float[np.ndarray, " time"], low: float, high: float, *, top: int) -> str:
    """Return the path of one channel; both extremes of steps that are drawn as one."""
    starts, _ = _bins(len(values))
    reached = np.stack([np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts)])
    shares = (reached - low) / ((high - low) or 1.0) if high > low else 0 * reached + 0.5
    heights = (top + STRIP * (0.92 - 0.84 * shares)).round(1)  # (2, drawn)
    single = len(starts) == len(values)
    points, pen = [], "M"
    for step, ends in enumerate(heights.T.tolist()):
        if not np.isfinite(ends[0]):
            pen = "M"
            continue
        for height in ends[:1] if single else ends:
            points.append(f"{pen}{step + 0.5:g},{height:g}")
            pen = "L"
    return "".join(points)


def _rectangles(mask: NDArray[np.bool_], height: int) -> str:
    paths = []
    for row, line in enumerate(mask):
        padded = np.diff(np.pad(line.astype(np.int8), 1))
        starts, ends = np.nonzero(padded == 1)[0], np.nonzero(padded == -1)[0]
        paths += [
            f"M{start},{row * height}h{end - start}v{height}h-{end - start}z"
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
        ]
    return "".join(paths)
