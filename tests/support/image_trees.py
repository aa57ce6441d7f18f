"""Small trees of images, and zip files of them, for tests."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from uproar.data.image.images import from_path
from uproar.dataset import Data
from uproar.types import Source

Files = dict[str, bytes]


def picture(
    number: int, *, size: tuple[int, int] = (6, 4), mode: str = "RGB", kind: str = "PNG"
) -> bytes:
    """Return an image file with values that the number decides."""
    bands = len(Image.new(mode, (1, 1)).getbands())
    values = np.random.default_rng(number).integers(0, 256, (size[1], size[0], bands))
    return encoded(
        Image.fromarray(
            values.astype(np.uint8).squeeze(-1) if bands == 1 else values.astype(np.uint8)
        ).convert(mode),
        kind,
    )


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def classes(prefix: str = "", *, each: int = 20, first: int = 0, mode: str = "RGB") -> Files:
    """Return files of two classes below a folder, all different."""
    return {
        f"{prefix}{name}/{number:03}.png": picture(first + 2 * number + label, mode=mode)
        for label, name in enumerate(("cat", "dog"))
        for number in range(each)
    }


def folder(root: Path, files: Files) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def zipped(path: Path, files: Files) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def read(path: Path, *, seed: int = 0, available: int | None = None, **fields) -> Data:
    return from_path(path, seed=seed, source=Source(**fields), available=available)


def digests(data: Data) -> dict[str, list[bytes]]:
    """Return the images of every part, so that parts can be compared as sets."""
    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    return {name: [row.tobytes() for row in part.inputs] for name, part in parts.items()}


def png_header(width: int, height: int) -> bytes:
    """Return a PNG file that announces a size, and holds nothing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    about = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", about) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
