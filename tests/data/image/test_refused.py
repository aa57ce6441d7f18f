"""Images that are refused, each with one line that says what to do."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tests.support.image_trees import classes, folder, picture, png_header, read, zipped
from uproar.data.image import disk_backed, image_files
from uproar.data.image.disk_backed import memory_available
from uproar.types import UproarError

CASES = {
    "nothing": ({}, "no images found in .*, but no files at all; expected CLASS/image.jpg"),
    "other files": (
        {"a.csv": b"", "b.csv": b"", "c.txt": b""},
        r"no images found in .*, but 3 other files \(2 of '.csv', 1 of '.txt'\)",
    ),
    "no class folders": (
        {f"{n}.png": picture(n) for n in range(3)},
        "none of the 3 images in .* lies in a folder of its class",
    ),
    "one class": (
        {f"cat/{n}.png": picture(n) for n in range(30)},
        "at least two class folders are needed, found only 'cat'",
    ),
    "a class of other files": (
        {**classes(), "fox/1.npy": b""},
        "folder 'fox' in .* would be a class, and holds no images; fill or remove it",
    ),
    "a class of damaged images": (
        {**classes(), **{f"fox/{n}.png": b"?" for n in range(20)}},
        "class 'fox' has no image left in train; .* 20 of 60 images could not be read: 'fox/0.png'",
    ),
    "all damaged": (
        dict.fromkeys(classes(), b"?"),
        "nothing can be read. 40 of 40 images could not be read: 'cat/000.png'",
    ),
    "too few": (classes(each=2), "cannot be split with every class in every part"),
    "another class in test": (
        {**classes("train/"), **classes("test/"), "test/fox/1.png": picture(1)},
        "test has classes that train lacks: 'fox'; train has 'cat', 'dog'",
    ),
    "a class that cannot be shown": (
        {**classes(), "a\nb/1.png": picture(1)},
        r"'a\\nb' has characters that cannot be shown; rename the folder",
    ),
    "two validation parts": (
        {**classes("train/"), **classes("val/"), **classes("valid/")},
        r"\['train', 'val', 'valid'\] in .* name one part twice",
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("packed", [False, True])
def test_trees_that_are_no_data_set(tmp_path: Path, case: str, packed: bool) -> None:
    files, text = CASES[case]
    tmp_path.joinpath("data").mkdir()
    path = zipped(tmp_path / "data.zip", files) if packed else folder(tmp_path / "data", files)
    with pytest.raises(UproarError, match=text) as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_an_empty_class_folder_would_be_lost(tmp_path: Path) -> None:
    (folder(tmp_path, classes()) / "fox").mkdir()
    with pytest.raises(UproarError, match=r"folder 'fox' in .* holds no images"):
        read(tmp_path)


def test_paths_that_are_no_images(tmp_path: Path) -> None:
    with pytest.raises(UproarError, match=r"there is no file or folder '.*missing'"):
        read(tmp_path / "missing")
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK, or so it seems")
    with pytest.raises(UproarError, match="must be a folder or a zip file, and cannot be read"):
        read(broken)
    folder(tmp_path / "data", classes())
    with pytest.raises(UproarError, match="there is no file or folder 'nowhere'"):
        read(tmp_path / "data", test="nowhere")


def test_encrypted_members_are_not_asked_for_a_password(tmp_path: Path, monkeypatch) -> None:
    path = zipped(tmp_path / "a.zip", classes())
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        central = archive.start_dir
    assert content[central : central + 4] == b"PK\1\2"
    path.write_bytes(content[: central + 8] + b"\1" + content[central + 9 :])
    with pytest.raises(UproarError, match=r"'cat/000.png' in .* is encrypted; unpack it yourself"):
        read(path)


@pytest.mark.parametrize(("field", "value"), [("size", -1), ("examples", -5)])
def test_numbers_that_make_no_sense(tmp_path: Path, field: str, value: int) -> None:
    with pytest.raises(UproarError, match=f"{field} must be positive, .*; got {value}"):
        read(folder(tmp_path, classes()), **{field: value})


def test_patches_larger_than_the_images(tmp_path: Path) -> None:
    with pytest.raises(UproarError, match="patch=6 makes one feature of an image of 4 × 6 pixels"):
        read(folder(tmp_path, classes()), patch=6)


def test_examples_too_few_for_every_class_say_so(tmp_path: Path) -> None:
    files = {**classes("train/", each=40), "train/fox/1.png": picture(1)}
    files |= {**classes("test/", each=10), **classes("val/", each=10)}
    with pytest.raises(UproarError, match=r"class 'fox' has no image left.* more than 20"):
        read(folder(tmp_path, files), examples=20)


@pytest.mark.parametrize("size", [(10_000, 10_000), (100_000, 100_000)])
@pytest.mark.parametrize("packed", [False, True])
def test_headers_that_announce_absurd_sizes(
    tmp_path: Path, size: tuple[int, int], packed: bool
) -> None:
    files = {**classes(), "dog/bomb.png": png_header(*size)}
    path = zipped(tmp_path / "a.zip", files) if packed else folder(tmp_path / "a", files)
    with pytest.raises(UproarError, match=r"'dog/bomb.png' in .* has too many pixels") as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_files_that_are_too_large_are_not_opened(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(image_files, "LARGEST_FILE", 5000)
    path = folder(tmp_path / "a", {**classes(), "dog/large.png": bytes(6000)})
    with pytest.raises(UproarError, match=r"'dog/large.png' in .* takes 6,000 bytes"):
        read(path)
    packed = zipped(tmp_path / "a.zip", {**classes(), "dog/large.png": bytes(6000)})
    with pytest.raises(UproarError, match="no image may take more than 5,000; remove it"):
        read(packed)


def test_neither_memory_nor_disk_are_enough(tmp_path: Path, monkeypatch) -> None:
    usage = disk_backed.shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(disk_backed.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(UproarError, match=r"shape \(40, 3, 4, 6\) takes .* use a smaller size"):
        read(folder(tmp_path, classes()), available=100)


def test_a_container_has_the_memory_that_it_is_given(tmp_path: Path, monkeypatch) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(disk_backed, "LIMITS", (str(limit), str(tmp_path / "missing")))
    limit.write_text("max\n")
    assert memory_available() > 5_000_000
    limit.write_text("5000000\n")
    assert memory_available() == 5_000_000
