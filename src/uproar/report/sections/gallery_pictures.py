"""Images with their importance, of pixels or of patches, at the proportions of the input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from uproar import ranking
from uproar.report.content import Gallery
from uproar.report.sections import pixels


@dataclass(frozen=True)
class Frame:
    """The sizes of pictures.

    ``height`` and ``width`` are the units in which outlines are drawn: pixels, after reducing
    large pictures. ``across`` and ``down`` are the extent of a map in percent of the picture: more
    than 100 where the border cuts the last patches.
    """

    height: int
    width: int
    original: tuple[int, int]
    patch: int
    across: float = 100.0
    down: float = 100.0

    @property
    def is_reduced(self) -> bool:
        """Whether inputs are shown smaller than they are."""
        return max(self.original) > pixels.LONGEST_SIDE

    @property
    def shown(self) -> tuple[int, ...]:
        """Height and width of the inputs as shown."""
        return pixels.reduced(np.zeros(self.original, dtype=np.float32)).shape


def frame_of(gallery: Gallery) -> Frame:
    """Return the sizes that all pictures of a gallery share."""
    height, width = gallery.inputs.shape[-2:]
    rows, columns = next(iter(gallery.importance.values())).shape[1:]
    return frame(height, width, rows, columns, gallery.patch)


def frame(height: int, width: int, rows: int, columns: int, patch: int) -> Frame:
    """Return the sizes of pictures, and of maps of so many rows and columns of patches.

    >>> frame(10, 8, 3, 2, 4).down
    120.0
    """
    if patch > 1 and max(rows, columns) <= pixels.LONGEST_SIDE:
        across, down = columns * patch / width, rows * patch / height
        return Frame(
            height, width, (height, width), patch, round(100 * across, 3), round(100 * down, 3)
        )
    # So many patches that they are reduced themselves are drawn like pixels.
    shown = pixels.reduced(np.zeros((height, width), dtype=np.float32)).shape
    return Frame(shown[0], shown[1], (height, width), patch)


def input_of(gallery: Gallery, index: int) -> str:
    """Return one input as the address of a picture."""
    example = gallery.inputs[index]
    planes = np.asarray(example if example.ndim == 3 else example[None], dtype=np.float32)
    return pixels.input_picture(planes, gallery.value_range)


def heat(
    importance: Float[np.ndarray, "rows columns"], frame: Frame, share: float, *, signed: bool
) -> tuple[str, str, str]:
    """Return a map as picture, the outline of its most important ``share``, and words for it."""
    patched = frame.patch > 1 and max(importance.shape) <= pixels.LONGEST_SIDE
    what = "patch" if patched else "pixel"
    rows = columns = None
    if patched:
        small = importance
        rows = pixels.patch_edges(len(small), frame.patch, frame.height)
        columns = pixels.patch_edges(small.shape[1], frame.patch, frame.width)
    else:
        small = pixels.reduced(_spread(importance, frame))
    ranks = ranking.rank(small[None])
    row, column = np.unravel_index(int(ranks[0].argmin()), small.shape)
    mask = ranking.removed_mask(ranks, share)[0]
    return (
        pixels.heat_picture(small, signed=signed),
        pixels.outline(mask, rows=rows, columns=columns),
        f"most important {what} in row {row + 1}, column {column + 1}",
    )


def _spread(
    importance: Float[np.ndarray, "rows columns"], frame: Frame
) -> Float[np.ndarray, "height width"]:
    """Return the importance of every pixel: that of its patch."""
    if frame.patch == 1:
        return importance
    height, width = frame.original
    return np.repeat(np.repeat(importance, frame.patch, 0), frame.patch, 1)[:height, :width]
