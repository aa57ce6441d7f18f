"""Images in class folders and zip files: parts, classes, draws, and what is left out."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.support.image_trees import classes, digests, encoded, folder, picture, read, zipped
from uproar.data.checks import check
from uproar.data.image.images import from_path
from uproar.data.split import apportioned
from uproar.types import Source

THREE = {
    **classes("train/", each=10),
    **classes("test/", each=6, first=1000),
    **classes("val/", each=3, first=2000),
}


def sizes(data) -> tuple[int, int, int]:
    return len(data.train), len(data.validation), len(data.test)


def test_class_folders_are_split_by_seed_with_the_classes_in_proportion(tmp_path: Path) -> None:
    data = check(read(folder(tmp_path / "pets", classes())))
    assert (data.name, data.kind, data.class_names) == ("pets", "image", ("cat", "dog"))
    assert sizes(data) == (28, 4, 8)
    assert np.bincount(data.train.labels).tolist() == [14, 14]
    assert np.bincount(data.test.labels).tolist() == [4, 4]
    assert data.train.inputs.dtype == np.float32
    assert data.train.labels.dtype == np.int64
    assert (data.input_shape, data.feature_shape, data.value_range) == ((3, 4, 6), (4, 6), (0, 1))
    assert data.notes == ()
    images = list(itertools.chain(*digests(data).values()))
    assert len(set(images)) == 40


def test_pixels_are_those_of_the_files_and_labels_those_of_their_folders(tmp_path: Path) -> None:
    files = classes()
    data = read(folder(tmp_path, files))
    for part in (data.train, data.validation, data.test):
        for values, label in zip(part.inputs, part.labels, strict=True):
            content = encoded(
                Image.fromarray(np.rint(values * 255).astype(np.uint8).transpose(1, 2, 0))
            )
            name = next(name for name, other in files.items() if other == content)
            assert name.startswith(data.class_names[label])


def test_the_seed_decides_the_split_and_nothing_else_does(tmp_path: Path) -> None:
    path = folder(tmp_path / "a", classes())
    assert read(path).digest() == read(path).digest()
    assert digests(read(path)) != digests(read(path, seed=1))


def test_parts_of_the_tree_are_kept(tmp_path: Path) -> None:
    data = read(folder(tmp_path, THREE))
    assert sizes(data) == (20, 6, 12)
    assert digests(data) == digests(read(tmp_path, seed=5))
    assert data.train.labels.tolist() == [0] * 10 + [1] * 10


@pytest.mark.parametrize("names", [("Train", "TEST", "validation"), ("train", "test", "valid")])
def test_parts_go_by_several_names(tmp_path: Path, names: tuple[str, str, str]) -> None:
    files = {}
    for own, other in zip(("train/", "test/", "val/"), names, strict=True):
        files |= {
            f"{other}/{k.removeprefix(own)}": v for k, v in THREE.items() if k.startswith(own)
        }
    assert sizes(read(folder(tmp_path, files))) == (20, 6, 12)


def test_a_missing_validation_part_is_split_off_train_alone(tmp_path: Path) -> None:
    files = {name: content for name, content in THREE.items() if not name.startswith("val/")}
    whole = read(folder(tmp_path / "whole", THREE))
    data = read(folder(tmp_path / "data", files))
    assert sum(sizes(data)[:2]) == 20
    assert len(data.validation) >= 2
    assert digests(data)["test"] == digests(whole)["test"]


@pytest.mark.parametrize("files", [classes(), THREE, {f"a/b/{k}": v for k, v in THREE.items()}])
def test_a_zip_file_is_the_same_as_its_folder_bit_for_bit(tmp_path: Path, files) -> None:
    one = read(folder(tmp_path / "data", files))
    other = read(zipped(tmp_path / "data.zip", dict(reversed(files.items()))))
    assert one.digest() == other.digest()
    assert (one.name, one.notes) == (other.name, other.notes)


def test_the_order_of_the_file_system_does_not_matter(tmp_path: Path, monkeypatch) -> None:
    path = folder(tmp_path, THREE)
    expected = read(path, examples=20).digest()
    scan = os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: reversed(list(scan(folder))))
    assert read(path, examples=20).digest() == expected


def test_test_and_validation_can_be_trees_of_their_own(tmp_path: Path) -> None:
    main = folder(tmp_path / "main", classes(each=10))
    test = zipped(tmp_path / "test.zip", classes("wrapped/test/", each=6, first=1000))
    validation = folder(tmp_path / "other", classes(each=3, first=2000))
    data = read(main, test=str(test), validation=str(validation))
    assert data.digest() == read(folder(tmp_path / "all", THREE)).digest()
    replaced = read(tmp_path / "all", test=str(test))
    assert replaced.digest() == data.digest()
    assert replaced.notes == (f"The test images are those of {str(test)!r}, not those of 'all'.",)


def test_a_class_called_train_is_a_class(tmp_path: Path) -> None:
    files = {name.replace("dog/", "train/"): content for name, content in classes().items()}
    assert read(folder(tmp_path, files)).class_names == ("cat", "train")


def test_hidden_and_foreign_files_are_left_out_and_noted_where_they_may_be_data(
    tmp_path: Path,
) -> None:
    silent = ["__MACOSX/cat/._1.png", "cat/.hidden.png", "cat/Thumbs.db", ".git/x.png", "README.md"]
    files = {**classes(), **dict.fromkeys(silent, b"?")}
    assert read(folder(tmp_path / "a", files)).notes == ()
    loud = {"cat/values.npy": b"?", "dog/1.heic": b"?", "preview.png": picture(7)}
    data = read(zipped(tmp_path / "a.zip", files | loud))
    assert data.digest() == read(tmp_path / "a").digest()
    assert data.notes == (
        "Images outside the class folders of 'a.zip' were left out (1): 'preview.png'.",
        "Files of other kinds beside the images of 'a.zip' were left out (2): 'cat/values.npy', "
        "'dog/1.heic'.",
    )


@pytest.mark.parametrize("examples", [12, 25, 37])
def test_examples_are_drawn_in_proportion_over_parts_and_classes(
    tmp_path: Path, examples: int
) -> None:
    path = folder(tmp_path, THREE)
    data, everything = read(path, examples=examples), digests(read(path))
    assert sum(sizes(data)) == examples
    assert sizes(data) == pytest.approx([examples * n / 38 for n in (20, 6, 12)], abs=1)
    for part, images in digests(data).items():
        assert set(images) <= set(everything[part])
    for part in (data.train, data.validation, data.test):
        assert abs(np.diff(np.bincount(part.labels))) <= 1
    assert read(path, examples=examples).digest() == data.digest()
    assert read(path, examples=examples, seed=1).digest() != data.digest()
    assert sizes(read(path, examples=1000)) == (20, 6, 12)


def test_nothing_but_the_examples_drawn_is_opened(tmp_path: Path) -> None:
    # The others are no images any more, which only opening them could tell.
    path = folder(tmp_path, classes(each=12))
    expected = digests(read(path, examples=20))
    spoilt = 0
    for file in sorted(path.glob("*/*")):
        content = file.read_bytes()
        file.write_bytes(b"no image")
        if read(path, examples=20).notes:
            file.write_bytes(content)
        else:
            spoilt += 1
    assert spoilt == 4
    assert digests(read(path, examples=20)) == expected


@pytest.mark.slow
@given(st.lists(st.integers(0, 50), min_size=1, max_size=8), st.data())
def test_seats_are_apportioned_by_quota(sizes: list[int], data) -> None:
    total = data.draw(st.integers(0, sum(sizes)))
    seats = apportioned(sizes, total)
    assert sum(seats) == total
    for seat, size in zip(seats, sizes, strict=True):
        assert 0 <= seat <= size
        assert abs(seat - size * total / max(sum(sizes), 1)) < 1


def test_patches_are_features(tmp_path: Path) -> None:
    data = read(folder(tmp_path, classes()), patch=3)
    assert data.feature_shape == (2, 2)
    assert data.feature_of_value is not None
    assert data.feature_of_value.shape == (72,)


def test_progress_counts_images_up_to_all_of_them(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    path = folder(tmp_path, classes(each=100) | {"cat/bad.png": b"?"})
    from_path(path, seed=0, source=Source(), progress=lambda *call: calls.append(call))
    assert calls == sorted(calls)
    assert calls[-1] == (201, 201)
    assert {total for _, total in calls} == {201}


def test_arrays_that_do_not_fit_are_on_disk_and_the_same(tmp_path: Path) -> None:
    path = folder(tmp_path, classes() | {"cat/000.png": b"?"})
    taken = 4 * 40 * 72
    here, there = read(path, available=2 * taken), read(path, available=taken)
    assert here.digest() == there.digest()
    assert not mapped(here.train.inputs)
    assert mapped(there.train.inputs)
    assert mapped(there.test.inputs)


def mapped(array: np.ndarray) -> bool:
    while array.base is not None and not isinstance(array, np.memmap):
        array = array.base
    return isinstance(array, np.memmap)


def test_the_images_of_all_parts_are_in_memory_once(tmp_path: Path) -> None:
    data = read(folder(tmp_path, classes()))
    starts = [part.inputs.ctypes.data for part in (data.train, data.validation, data.test)]
    assert np.diff(starts).tolist() == [4 * 72 * 28, 4 * 72 * 4]


@pytest.mark.parametrize("way", ["../evil/{}", "/abs/{}", "./x/../{}", "..\\..\\up\\{}"])
def test_names_that_climb_out_of_a_zip_file_are_only_read(tmp_path: Path, way: str) -> None:
    inner = tmp_path / "deep" / "deeper"
    inner.mkdir(parents=True)
    path = zipped(inner / "a.zip", {way.format(k): v for k, v in classes().items()})
    data = read(path)
    assert data.class_names == ("cat", "dog")
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]


def test_links_to_folders_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    real = folder(tmp_path / "real", classes())
    links = tmp_path / "links"
    links.mkdir()
    for name in ("cat", "dog"):
        (links / name).symlink_to(real / name, target_is_directory=True)
    (real / "cat" / "round").symlink_to(real, target_is_directory=True)
    assert digests(read(links)).keys()
    (real / "cat" / "round").unlink()
    assert len(read(links).train) == 28
