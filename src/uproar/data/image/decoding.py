"""Image files to arrays: the headers of all first, then the pixels, in threads."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError

from uproar.data.image.class_folders import Image
from uproar.types import UproarError

# Nothing else is tried, whatever a file is called: Pillow would start Ghostscript for PostScript.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF")
GREY = {"1", "L", "LA", "I", "I;16", "I;16L", "I;16B"}  # modes without colour
SEE_THROUGH = {"LA", "PA", "RGBA", "RGBa"}
TURNS = {  # by EXIF orientation
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}
ORIENTATION = 0x0112
# What Pillow and zipfile raise for files that are damaged, or are not what their name says.
DAMAGE = (
    *(OSError, SyntaxError, ValueError, EOFError, NotImplementedError),
    *(struct.error, zlib.error, zipfile.BadZipFile),
)
BOMBS = (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning)
CHUNK = 64  # images that one thread takes at a time

Progress = Callable[[int], None]  # called now and then with the number of images done
Outcome = TypeVar("Outcome")


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of an image without decoding it. It stands upright: ``size`` is as seen."""

    size: tuple[int, int]  # (width, height)
    grey: bool


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why an image could not be read."""

    reason: str


def headers(images: Sequence[Image], progress: Progress) -> list[Header | Unreadable]:
    """Read the sizes and modes of images.

    :raises UproarError: when a header announces more pixels than Pillow takes for harmless.
    """

    def header(index: int) -> Header | Unreadable:
        image = images[index]
        with (
            image.tree.opened(image.names) as stream,
            Pillow.open(stream, formats=FORMATS) as opened,
        ):
            return _header(opened)

    return _each(_careful(header, images), len(images), progress)


def decode(
    images: Sequence[Image],
    array: Float[np.ndarray, "examples channels height width"],
    progress: Progress,
) -> list[Unreadable | None]:
    """Write the pixels of images, in [0, 1], into the rows of an array that they have to fit.

    Palettes become colours; what is transparent is laid over white; 16-bit grey keeps its 16 bits;
    EXIF orientation is applied; of animations, the first frame is taken. An image of another size
    is scaled so that it covers the array's, and loses what sticks out on both sides alike.

    :return: for every image, why it could not be read; None for those that could.
    """

    def pixels(index: int) -> Unreadable | None:
        image = images[index]
        with image.tree.opened(image.names) as stream:
            content = stream.read()
        # Decoded after the stream is closed: that of a zip file keeps the other threads waiting.
        with Pillow.open(io.BytesIO(content), formats=FORMATS) as opened:
            _pixels(opened, array[index])
        return None

    return _each(_careful(pixels, images), len(images), progress)


def common_size(counts: Mapping[tuple[int, int], int]) -> tuple[int, int]:
    """Return the most frequent (width, height); of equally frequent ones the largest.

    >>> common_size({(2, 2): 5, (3, 3): 5, (9, 9): 1})
    (3, 3)
    """
    return max(counts, key=lambda size: (counts[size], size[0] * size[1], size))


def _header(image: Pillow.Image) -> Header:
    # 16 bits are known to end at 65,535. Pillow 10 calls 16-bit PNG images "I", as it does 32-bit
    # TIFF images, whose white can be anything.
    if image.mode == "F" or (image.mode == "I" and image.format != "PNG"):
        raise ValueError(f"values of mode {image.mode!r} have no known range")
    width, height = image.size
    turned = _orientation(image) >= 5
    return Header((height, width) if turned else (width, height), image.mode in GREY)


def _pixels(image: Pillow.Image, row: NDArray[np.float32]) -> None:
    channels, height, width = row.shape
    mode = "L" if channels == 1 else "RGB"
    orientation = _orientation(image)
    if image.mode.startswith("I"):
        image = Pillow.fromarray(np.asarray(image).astype(np.float32) * np.float32(255 / 65535))
    elif image.mode in SEE_THROUGH or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Pillow.alpha_composite(Pillow.new("RGBA", image.size, "white"), image).convert(mode)
    elif image.mode != mode:
        image = image.convert(mode)
    if orientation in TURNS:
        image = image.transpose(TURNS[orientation])
    if image.size != (width, height):
        image = ImageOps.fit(image, (width, height), method=Pillow.Resampling.BILINEAR)
    values = np.atleast_3d(np.asarray(image)).transpose(2, 0, 1)  # (1 or channels, height, width)
    np.divide(values, np.float32(255), out=row)


def _orientation(image: Pillow.Image) -> int:
    # TIFF images have no such entry, because Pillow turns them itself.
    if "exif" not in image.info:
        return 1
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except (*DAMAGE, TypeError, KeyError, IndexError):
        return 1  # damaged metadata make no unreadable image: it is shown as it is stored


def _careful(
    work: Callable[[int], Outcome], images: Sequence[Image]
) -> Callable[[int], Outcome | Unreadable]:
    """Turn damage into an outcome, and images that would burst the memory into an error."""

    def careful(index: int) -> Outcome | Unreadable:
        try:
            return work(index)
        except UnidentifiedImageError:
            return Unreadable("not an image")  # Pillow names an address, another in every run
        except DAMAGE as error:
            return Unreadable(" ".join(str(error).split()) or type(error).__name__)
        except BOMBS as error:
            image = images[index]
            raise UproarError(
                f"images: {'/'.join(image.names)!r} in {str(image.tree.path)!r} has too many "
                f"pixels to be meant well: {error} Remove it, or scale it down."
            ) from error

    return careful


def _each(work: Callable[[int], Outcome], count: int, progress: Progress) -> list[Outcome]:
    """Do the work for every index, in threads: Pillow lets others run while it decodes."""

    def chunk(start: int) -> list[Outcome]:
        return [work(index) for index in range(start, min(start + CHUNK, count))]

    Pillow.init()  # here, so that threads do not load the same plug-ins
    done: list[Outcome] = []
    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        # Of what Pillow warns of, damaged metadata do not matter, and bombs do.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.simplefilter("error", Pillow.DecompressionBombWarning)
        for outcomes in pool.map(chunk, range(0, count, CHUNK)):
            done += outcomes
            progress(len(done))
    return done
