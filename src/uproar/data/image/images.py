"""Images in folders of their classes, or in a zip file of such folders."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uproar.data.image.class_folders import Image, layout, named, shown, whole
from uproar.data.image.decoding import Header, Unreadable, common_size, decode, headers
from uproar.data.image.disk_backed import allocate, memory_available
from uproar.data.image.drawing import Parts, divided, drawn, labels_of
from uproar.data.image.image_files import tree
from uproar.data.image.patches import feature_of_value
from uproar.dataset import PARTS, Data, Split
from uproar.types import Source, UproarError

Progress = Callable[[int, int], None]


def from_path(
    path: Path,
    *,
    seed: int,
    source: Source,
    progress: Progress | None = None,
    available: int | None = None,
) -> Data:
    """Read the images of a folder or zip file, whose classes are the names of their folders.

    Images are at CLASS/… or at train/CLASS/…, test/CLASS/… and validation/CLASS/…, possibly below
    a folder that wraps all; ``source.test`` and ``source.validation`` can name other trees. Parts
    that are missing are split off train by ``seed``, with the classes in proportion. Inputs are
    (channels, height, width) in [0, 1], with one channel if all images are grey, otherwise three.
    They have ``source.size`` pixels on both sides, or else the size that most of them have; others
    are scaled to cover it and cropped around their centre.

    :param path: folder or zip file.
    :param seed: decides on the split and on the draw of ``source.examples``, and nothing else does.
    :param progress: called now and then with the number of images done, and of all.
    :param available: bytes of memory; an array larger than half of it is on disk. What the system
        tells, when None.
    :return: images with features of ``source.patch`` pixels side; the notes tell what was left out.
    :raises UproarError: when there are no images in class folders, there are fewer than two
        classes, or no image of one of them that can be read is in train.

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for number in range(20):
    ...         for name, colour in (("day", "white"), ("night", "black")):
    ...             file = Path(folder, name, f"{number}.png")
    ...             file.parent.mkdir(exist_ok=True)
    ...             Image.new("L", (6, 4), colour).save(file)
    ...     data = from_path(Path(folder), seed=0, source=Source(patch=2))
    >>> data.class_names, data.train.inputs.shape, data.feature_shape
    (('day', 'night'), (28, 1, 4, 6), (2, 3))
    """
    _check(source)
    path = Path(os.path.abspath(path))  # so that "." has a name too
    memory = memory_available() if available is None else available
    with ExitStack() as opened:
        parts, notes = _collected(path, source, opened)
        classes = _class_names(parts)
        parts = drawn(parts, source.examples, seed=seed)
        parts = divided(parts, classes, source=source, name=path.stem, seed=seed)
        images = [image for part in PARTS for image in parts[part]]
        array, readable, told = _read(images, source.size, progress, memory)
    labels = labels_of(images, classes)[readable]
    part_of = np.repeat(np.arange(len(PARTS)), [len(parts[part]) for part in PARTS])[readable]
    train, validation, test = _splits(array, labels, part_of)
    _check_trained(labels[: len(train)], classes, source.examples, told)
    shape, features = feature_of_value(train.inputs.shape[1:], source.patch)
    return Data(
        name=path.stem,
        kind="image",
        train=train,
        validation=validation,
        test=test,
        feature_shape=shape,
        class_names=classes,
        value_range=(0.0, 1.0),
        feature_of_value=features,
        notes=(*notes, *told),
    )


def _check(source: Source) -> None:
    for what, value in (("size", source.size), ("examples", source.examples)):
        if value < 0:
            raise UproarError(
                f"images: {what} must be positive, or 0 for all there is; got {value}"
            )


def _collected(path: Path, source: Source, opened: ExitStack) -> tuple[Parts, list[str]]:
    """List the images of all trees, which stay open as long as ``opened`` does."""
    found = layout(opened.enter_context(tree(path)))
    parts, notes = dict(found.parts), list(found.notes)
    for part, other in (("test", source.test), ("validation", source.validation)):
        if not other:
            continue
        if part in parts:
            notes.append(f"The {part} images are those of {other!r}, not those of {path.name!r}.")
        replacing = whole(opened.enter_context(tree(Path(other))), part)
        parts |= replacing.parts
        notes += replacing.notes
    return parts, notes


def _class_names(parts: Parts) -> tuple[str, ...]:
    """Return the classes of train by name; those of the other parts have to be among them."""
    classes = sorted({image.class_name for image in parts["train"]})
    if len(classes) < 2:
        raise UproarError(
            f"images: at least two class folders are needed, found only {_quoted(classes)}"
        )
    for class_name in classes:
        if not class_name.isprintable():
            raise UproarError(
                f"images: {class_name!r} has characters that cannot be shown; rename the folder"
            )
    for part, images in parts.items():
        strange = sorted({image.class_name for image in images} - set(classes))
        if strange:
            raise UproarError(
                f"images: {part} has classes that train lacks: {_quoted(strange)}; train has "
                f"{_quoted(classes)}"
            )
    return tuple(classes)


def _quoted(class_names: Sequence[str]) -> str:
    return named([repr(class_name) for class_name in class_names])


def _read(
    images: Sequence[Image], size: int, progress: Progress | None, memory: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_], tuple[str, ...]]:
    """Decode images into one array; say which could be read, and what there is to tell."""

    def report(done: int) -> None:
        # Every image is opened twice, for its header and for its pixels.
        if progress is not None:
            progress(done // 2, len(images))

    found = headers(images, report)
    good = {row: header for row, header in enumerate(found) if isinstance(header, Header)}
    failed = {row: bad.reason for row, bad in enumerate(found) if isinstance(bad, Unreadable)}
    if not good:
        raise UproarError(f"images: nothing can be read. {_failures(images, failed)}")
    form, notes = _form(list(good.values()), size)
    array = allocate((len(good), *form), available=memory)
    before = 2 * len(images) - len(good)
    outcomes = decode([images[row] for row in good], array, lambda done: report(before + done))
    failed |= {row: bad.reason for row, bad in zip(good, outcomes, strict=True) if bad}
    if failed:
        notes = (*notes, _failures(images, failed))
    readable = np.array([row not in failed for row in range(len(images))])
    return _closed_up(array, np.array([outcome is None for outcome in outcomes])), readable, notes


def _form(found: Sequence[Header], size: int) -> tuple[tuple[int, int, int], tuple[str, ...]]:
    """Return the (channels, height, width) of all images, and a note where that was a choice."""
    channels = 1 if all(header.grey for header in found) else 3
    if size:
        return (channels, size, size), ()
    sizes = Counter(header.size for header in found)
    width, height = common_size(sizes)
    if len(sizes) == 1:
        return (channels, height, width), ()
    return (channels, height, width), (
        f"The images have {len(sizes):,} different sizes: all were scaled and cropped to {width} × "
        f"{height} pixels, the size of {sizes[width, height]:,} of {len(found):,}; `size` sets "
        "another.",
    )


def _closed_up(array: NDArray[np.float32], decoded: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Move the rows that were decoded to the front, in place: a copy would take memory twice."""
    kept = np.flatnonzero(decoded)
    for target, row in enumerate(kept):
        if target != row:
            array[target] = array[row]
    return array[: len(kept)]


def _failures(images: Sequence[Image], failed: Mapping[int, str]) -> str:
    """Name the first images that could not be read, in the order of the folders."""
    rows = sorted(failed, key=lambda row: (str(images[row].tree.path), images[row].names))
    texts = [f"{shown(images[row].names)} ({failed[row]})" for row in rows]
    return f"{len(failed):,} of {len(images):,} images could not be read: {named(texts)}."


def _splits(
    array: NDArray[np.float32], labels: NDArray[np.int64], part_of: NDArray[np.int64]
) -> list[Split]:
    """Cut the parts out, as views: the images are in memory once."""
    ends = np.searchsorted(part_of, np.arange(len(PARTS) + 1))
    return [Split(array[a:b], labels[a:b]) for a, b in itertools.pairwise(ends)]


def _check_trained(
    labels: NDArray[np.int64], classes: Sequence[str], examples: int, notes: Sequence[str]
) -> None:
    for label, class_name in enumerate(classes):
        if label not in labels:
            advice = f", or use more than {examples} examples" if examples else ""
            raise UproarError(
                f"images: class {class_name!r} has no image left in train; add some that can be "
                f"read{advice}. {' '.join(notes)}".rstrip()
            )
