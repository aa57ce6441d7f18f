"""Image files to values in [0, 1]: modes, sizes, orientation, and damage."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.support.image_trees import classes, encoded, folder, picture, read, zipped
from uproar.data.image.class_folders import layout
from uproar.data.image.decoding import Header, Unreadable, decode, headers
from uproar.data.image.image_files import tree
from uproar.types import UproarError

GREY = np.array([[0, 51, 102], [153, 204, 255]], dtype=np.uint8)
COLOUR = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=-1)
STORED = COLOUR.transpose(2, 0, 1) / np.float32(255)  # (channels, height, width)


def decoded(
    tmp_path: Path, content: bytes, *, shape: tuple[int, int, int] | None = None
) -> np.ndarray | str:
    """Return the values of one image as (channels, height, width), or why there are none."""
    with tree(folder(tmp_path, {"cat/1.png": content})) as files:
        images = layout(files).parts["train"]
        header = headers(images, lambda _: None)[0]
        if isinstance(header, Unreadable):
            return header.reason
        if np.prod(header.size) > 1e6:
            return "large"
        array = np.zeros((1, *(shape or of(header))), dtype=np.float32)
        outcome = decode(images, array, lambda _: None)[0]
    return array[0] if outcome is None else outcome.reason


def of(header: Header) -> tuple[int, int, int]:
    return (1 if header.grey else 3, *header.size[::-1])


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
def test_colours_are_exact_where_the_file_is(tmp_path: Path, kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    content = encoded(Image.fromarray(COLOUR), kind, **options)
    assert np.array_equal(decoded(tmp_path, content), STORED)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF"])
def test_grey_is_one_channel_that_any_number_of_channels_can_show(
    tmp_path: Path, kind: str
) -> None:
    content = encoded(Image.fromarray(GREY), kind)
    shape = (3, 2, 3)
    assert np.array_equal(decoded(tmp_path, content, shape=shape), [GREY / np.float32(255)] * 3)
    if kind != "GIF":  # which has palettes alone
        assert np.array_equal(decoded(tmp_path, content), [GREY / np.float32(255)])


def test_jpeg_files_are_what_pillow_makes_of_them(tmp_path: Path) -> None:
    image = Image.fromarray(COLOUR).resize((32, 24), Image.Resampling.BICUBIC)
    for mode in ("L", "RGB", "CMYK"):
        content = encoded(image.convert(mode), "JPEG")
        found = decoded(tmp_path, content)
        (tmp_path / "again.jpg").write_bytes(content)
        with Image.open(tmp_path / "again.jpg") as again:
            expected = np.atleast_3d(np.asarray(again if mode == "L" else again.convert("RGB")))
        (tmp_path / "again.jpg").unlink()
        assert np.array_equal(found, expected.transpose(2, 0, 1) / np.float32(255))


def test_palettes_become_colours(tmp_path: Path) -> None:
    image = Image.fromarray(COLOUR).quantize(6)
    assert np.array_equal(
        decoded(tmp_path, encoded(image)),
        np.asarray(image.convert("RGB")).transpose(2, 0, 1) / np.float32(255),
    )


def test_black_and_white_is_grey(tmp_path: Path) -> None:
    content = encoded(Image.fromarray(GREY > 100))
    assert decoded(tmp_path, content).tolist() == [[[0, 0, 1], [1, 1, 1]]]


def test_what_is_transparent_is_laid_over_white(tmp_path: Path) -> None:
    alpha = np.array([[255, 0, 255], [0, 255, 0]], dtype=np.uint8)
    expected = np.where(alpha == 255, STORED, 1)
    image = Image.fromarray(np.dstack([COLOUR, alpha]))
    assert np.array_equal(decoded(tmp_path, encoded(image)), expected)
    grey = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(alpha)])
    found = decoded(tmp_path, encoded(grey))
    assert np.array_equal(found, [np.where(alpha == 255, GREY / np.float32(255), 1)])
    # One colour of a palette that is transparent; here the one of the first pixel.
    palette = Image.fromarray(COLOUR).quantize(6)
    content = encoded(palette, transparency=palette.getpixel((0, 0)))
    assert decoded(tmp_path, content)[:, 0, 0].tolist() == [1, 1, 1]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_are_kept(tmp_path: Path, kind: str) -> None:
    deep = np.array([[0, 1, 256], [30000, 65534, 65535]], dtype=np.uint16)
    found = decoded(tmp_path, encoded(Image.fromarray(deep), kind))
    assert found == pytest.approx(deep[None] / 65535, abs=1e-7)
    assert found.max() == 1
    assert 0 < found[0, 0, 1] < 1 / 255


def test_values_without_a_known_range_are_not_guessed_at(tmp_path: Path) -> None:
    for dtype in (np.float32, np.int32):
        content = encoded(Image.fromarray(GREY.astype(dtype)), "TIFF")
        assert "have no known range" in decoded(tmp_path, content)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_images_stand_upright(tmp_path: Path, orientation: int, kind: str) -> None:
    turns = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
        8: np.rot90,
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    content = encoded(Image.fromarray(COLOUR), kind, exif=exif, **options)
    expected = turns[orientation](COLOUR).transpose(2, 0, 1) / np.float32(255)
    assert np.array_equal(decoded(tmp_path, content), expected)


def test_damaged_metadata_make_no_unreadable_image(tmp_path: Path) -> None:
    for exif in (b"Exif\0\0nonsense", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"):
        content = encoded(Image.fromarray(COLOUR), exif=exif)
        assert np.array_equal(decoded(tmp_path, content), STORED)


def test_other_sizes_are_scaled_to_cover_and_cropped_around_the_centre(tmp_path: Path) -> None:
    wide = np.zeros((4, 20), dtype=np.uint8)
    wide[:, 6:14] = 255  # the centre, and what its border is smoothed with
    for pixels in (wide, wide.T):
        for image in (Image.fromarray(pixels), Image.fromarray(pixels.astype(np.uint16) * 257)):
            assert (decoded(tmp_path, encoded(image), shape=(1, 2, 2)) == 1).all()
    uniform = Image.new("RGB", (7, 5), (51, 102, 204))
    found = decoded(tmp_path, encoded(uniform), shape=(3, 9, 4))
    assert (
        pytest.approx(np.array([[0.2, 0.4, 0.8]]), abs=1e-7)
        == np.unique(found.reshape(3, -1), axis=1).T
    )


def test_all_get_the_most_frequent_size_and_this_is_said(tmp_path: Path) -> None:
    files = classes(each=15)
    odd = {f"cat/{n}.png": picture(n, size=(9, 9)) for n in range(900, 910)}
    data = read(folder(tmp_path, files | odd))
    assert data.input_shape == (3, 4, 6)
    assert data.notes == (
        "The images have 2 different sizes: all were scaled and cropped to 6 × 4 pixels, the size "
        "of 30 of 40; `size` sets another.",
    )
    data = read(tmp_path, size=8)
    assert (data.input_shape, data.feature_shape, data.notes) == ((3, 8, 8), (8, 8), ())


def test_images_have_one_channel_only_if_all_are_grey(tmp_path: Path) -> None:
    files = classes(mode="L")
    assert read(folder(tmp_path, files)).input_shape == (1, 4, 6)
    mixed = read(folder(tmp_path, {"cat/005.png": picture(5)}))
    assert mixed.input_shape == (3, 4, 6)
    alike = (mixed.train.inputs == mixed.train.inputs[:, :1]).all(axis=(1, 2, 3))
    assert (~alike).sum() <= 1


@pytest.mark.parametrize("packed", [False, True])
def test_images_that_cannot_be_read_are_named_and_the_rest_goes_on(
    tmp_path: Path, packed: bool
) -> None:
    good = classes(each=30)
    bad = {
        "cat/a.png": b"",
        "cat/b.jpg": b"this is text",
        "dog/c.png": picture(1, size=(60, 60))[:4000],
        "dog/d.png": picture(2)[:20],
        "dog/e.jpg": picture(3, size=(60, 60), kind="JPEG")[:900],
    }
    make = zipped if packed else folder
    data = read(make(tmp_path / "data.zip", good | bad), size=6)
    assert len(data.train) + len(data.validation) + len(data.test) == 60
    (note,) = data.notes
    assert note.startswith(
        "5 of 65 images could not be read: 'cat/a.png' (not an image), "
        "'cat/b.jpg' (not an image), 'dog/c.png' ("
    )
    assert note.endswith(" and 2 more.")
    assert read(tmp_path / "data.zip", size=6).notes == data.notes
    # Those that could be read are in their places, beside their own labels.
    sound = read(make(tmp_path / "good.zip", good), size=6)
    alone = {
        row.tobytes(): label
        for split in (sound.train, sound.validation, sound.test)
        for row, label in zip(split.inputs, split.labels, strict=True)
    }
    assert sound.class_names == data.class_names
    for split in (data.train, data.validation, data.test):
        for row, label in zip(split.inputs, split.labels, strict=True):
            assert alone.pop(row.tobytes()) == label
    assert not alone


def test_a_damaged_member_of_a_zip_file_is_named(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", classes())
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("dog/003.png").header_offset + 30 + len("dog/003.png")
    content = bytearray(path.read_bytes())
    content[start + 50] ^= 0xFF
    path.write_bytes(content)
    (note,) = read(path).notes
    assert note.startswith("1 of 40 images could not be read: 'dog/003.png' (Bad CRC-32")


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"]),
    st.sampled_from(["L", "RGB"]),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=12),
    st.integers(0, 10_000),
)
def test_whatever_a_file_holds_it_is_an_image_or_said_to_be_none(
    tmp_path: Path, kind: str, mode: str, changes: list[tuple[int, int]], cut: int
) -> None:
    content = bytearray(picture(0, size=(12, 9), mode=mode, kind=kind))
    for place, value in changes:
        content[place % len(content)] = value
    try:
        found = decoded(tmp_path, bytes(content[: cut % (2 * len(content))]))
    except UproarError as error:  # a size that became absurd
        found = str(error)
        assert "has too many pixels" in found
    assert isinstance(found, str) or (found.min() >= 0 and found.max() <= 1)
