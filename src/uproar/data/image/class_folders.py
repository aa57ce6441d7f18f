"""Which images of a tree are train, validation and test, and which class they show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from uproar.data.image.image_files import SUFFIXES, Names, Tree
from uproar.types import UproarError

# Names of the folders of parts, in small letters.
PARTS = {
    "train": "train",
    "test": "test",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
}
NAMED = 3  # how many files a note or error names, before it only counts


@dataclass(frozen=True, slots=True)
class Image:
    """One image of a tree, and the class that its folder says."""

    tree: Tree
    names: Names
    class_name: str


@dataclass(frozen=True)
class Layout:
    """The images of each part that a tree has, sorted, and what was left out."""

    parts: dict[str, list[Image]]
    notes: tuple[str, ...]


def layout(tree: Tree) -> Layout:
    """Find the parts and classes of a tree of class folders.

    Images are at CLASS/…, or at train/CLASS/…, test/CLASS/… and validation/CLASS/… (also ``valid``
    or ``val``), all of it possibly below folders that hold nothing else. A tree has parts when it
    has a folder ``train`` in which no image lies directly; otherwise it is all ``train``.

    :raises UproarError: when there are no images, none lies in a class folder, a class folder
        holds no images, or two folders are the same part.
    """
    if not tree.images:
        raise UproarError(_nothing(tree))
    depth = _wrapping(tree.images, keep="train")
    folders = {names[depth] for names in tree.images if len(names) > depth + 1}
    train = [names for names in tree.images if _at(names, depth).lower() == "train"]
    if train and all(len(names) > depth + 2 for names in train):
        found = [folder for folder in sorted(folders) if folder.lower() in PARTS]
        parts = {PARTS[folder.lower()]: folder for folder in found}
        if len(parts) < len(found):
            raise UproarError(f"images: {found} in {_path(tree)} name one part twice; keep one")
        return _classes(tree, {part: (depth + 1, folder) for part, folder in parts.items()})
    return _classes(tree, {"train": (depth, None)})


def whole(tree: Tree, part: str) -> Layout:
    """Find the classes of a tree that is one part, CLASS/… possibly below wrapping folders.

    :raises UproarError: when there are no images, or none lies in a class folder.
    """
    if not tree.images:
        raise UproarError(_nothing(tree))
    return _classes(tree, {part: (_wrapping(tree.images, keep=""), None)})


def _wrapping(images: tuple[Names, ...], *, keep: str) -> int:
    """Count the folders that wrap all others, down to one called ``keep``."""
    depth = 0
    while True:
        inner = [names for names in images if len(names) > depth + 1]
        folders = {names[depth] for names in inner}
        holds_folders = any(len(names) > depth + 2 for names in inner)
        if len(folders) != 1 or not holds_folders or folders.pop().lower() == keep:
            return depth
        depth += 1


def _classes(tree: Tree, places: dict[str, tuple[int, str | None]]) -> Layout:
    """Give images their classes: places are the depth of class folders, and the part's folder."""
    parts: dict[str, list[Image]] = {}
    for part, (depth, folder) in places.items():
        inside = [names for names in tree.images if len(names) > depth + 1]
        parts[part] = [
            Image(tree, names, names[depth])
            for names in inside
            if folder is None or names[depth - 1] == folder
        ]
    depth, folder = places.get("train", next(iter(places.values())))
    if not any(parts.values()):
        raise UproarError(
            f"images: none of the {len(tree.images):,} images in {_path(tree)} lies in a folder "
            f"of its class; expected CLASS/image.jpg or train/CLASS/image.jpg"
        )
    if "train" in parts:
        _check_filled(tree, parts["train"], depth, folder)
    taken = {image.names for images in parts.values() for image in images}
    return Layout(parts, tuple(_left_out(tree, taken)))


def _check_filled(tree: Tree, images: list[Image], depth: int, folder: str | None) -> None:
    """Refuse class folders without images: a class would be lost without a word."""
    siblings = {
        names[depth]
        for names in tree.folders
        if len(names) == depth + 1 and (folder is None or names[depth - 1] == folder)
    }
    empty = sorted(siblings - {image.class_name for image in images})
    if empty:
        raise UproarError(
            f"images: folder {empty[0]!r} in {_path(tree)} would be a class, and holds no images; "
            f"fill or remove it ({', '.join(SUFFIXES)} are read)"
        )


def _left_out(tree: Tree, taken: set[Names]) -> list[str]:
    loose = [names for names in tree.images if names not in taken]
    folders = {names[:-1] for names in taken}
    strange = [names for names in tree.others if names[:-1] in folders]
    return [
        f"{what} of {tree.path.name!r} were left out ({len(files):,}): "
        f"{named([shown(names) for names in files])}."
        for what, files in (
            ("Images outside the class folders", loose),
            ("Files of other kinds beside the images", strange),
        )
        if files
    ]


def shown(names: Names) -> str:
    """Return the name of a file within its tree, in quotes and in one line."""
    return repr("/".join(names))


def named(texts: Sequence[str]) -> str:
    """Name the first three, and count the others.

    >>> named(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    more = f" and {len(texts) - NAMED:,} more" if len(texts) > NAMED else ""
    return ", ".join(texts[:NAMED]) + more


def _nothing(tree: Tree) -> str:
    suffixes = Counter(("." + n[-1].rpartition(".")[2]).lower() for n in tree.others)
    kinds = ", ".join(f"{count:,} of {suffix!r}" for suffix, count in suffixes.most_common(NAMED))
    found = f"{len(tree.others):,} other files ({kinds})" if kinds else "no files at all"
    return (
        f"images: no images found in {_path(tree)}, but {found}; expected CLASS/image.jpg or "
        f"train/CLASS/image.jpg ({', '.join(SUFFIXES)})"
    )


def _path(tree: Tree) -> str:
    return repr(str(tree.path))


def _at(names: Names, depth: int) -> str:
    """Return the folder of an image at a depth; nothing when the image itself is there."""
    return names[depth] if len(names) > depth + 1 else ""
