"""Folders and zip files, whose images are listed and opened the same way."""

from __future__ import annotations

import os
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from uproar.types import UproarError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
LARGEST_FILE = 2**29  # bytes; no image that Pillow decodes without protest takes more
NO_DATA = {"__macosx", "thumbs.db", "desktop.ini"}  # what systems leave behind, in small letters
ENCRYPTED = 0x1  # flag of a member of a zip file

Names = tuple[str, ...]  # folders and file from the root of a tree, as (train, cat, 1.jpg)


@dataclass(frozen=True)
class Tree:
    """The images of a folder or zip file, those of hidden files and folders left out.

    ``images`` and ``others`` (files that are no images) are sorted, whatever the order of the file
    system. ``folders`` are all folders. ``opened`` gives a context manager with an image's bytes.
    """

    path: Path
    images: tuple[Names, ...] = field(repr=False)
    others: tuple[Names, ...] = field(repr=False)
    folders: frozenset[Names] = field(repr=False)
    opened: Callable[[Names], AbstractContextManager[IO[bytes]]] = field(repr=False)


@contextmanager
def tree(path: Path) -> Iterator[Tree]:
    """Give the tree of a folder or a zip file, which is only read, never unpacked.

    :raises UproarError: when there is no such path, it is neither a folder nor a zip file, members
        are encrypted, or an image takes more than 512 MB.
    """
    if path.is_dir():
        yield _folder(path)
        return
    if not path.exists():
        raise UproarError(f"images: there is no file or folder {str(path)!r}")
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise UproarError(
            f"images: {str(path)!r} must be a folder or a zip file, and cannot be read as a zip "
            f"file: {error}"
        ) from error
    with archive:
        yield _zip_file(path, archive)


def _folder(root: Path) -> Tree:
    sizes, folders = {}, set()

    def walk(folder: Path, names: Names) -> None:
        for entry in os.scandir(folder):
            inner = (*names, entry.name)
            if _ignored(entry.name):
                continue
            if entry.is_file():  # no pipes or devices, which would block
                sizes[inner] = entry.stat().st_size
            # Links to folders are followed, but not round in circles.
            elif entry.is_dir() and not (
                entry.is_symlink() and folder.resolve().is_relative_to(Path(entry.path).resolve())
            ):
                folders.add(inner)
                walk(Path(entry.path), inner)

    walk(root, ())
    return _tree(root, sizes, folders, lambda names: root.joinpath(*names).open("rb"))


def _zip_file(path: Path, archive: zipfile.ZipFile) -> Tree:
    members, folders = {}, set()
    for member in archive.infolist():
        # Absolute names and such that climb up are names like others here: nothing is unpacked.
        parts = member.filename.replace("\\", "/").split("/")
        names = tuple(part for part in parts if part not in {"", ".", ".."})
        if any(map(_ignored, names)):
            continue
        if member.flag_bits & ENCRYPTED:
            raise UproarError(
                f"images: {member.filename!r} in {str(path)!r} is encrypted; unpack it yourself "
                "and give the folder"
            )
        if member.is_dir():
            folders.add(names)
        elif names:
            members[names] = member
    folders |= {names[:depth] for names in members for depth in range(1, len(names))}
    lock = threading.Lock()

    @contextmanager
    def opened(names: Names) -> Iterator[IO[bytes]]:
        # A zip file counts its open members without a lock of its own.
        with lock, archive.open(members[names]) as stream:
            yield stream

    sizes = {names: member.file_size for names, member in members.items()}
    return _tree(path, sizes, folders, opened)


def _tree(
    path: Path,
    sizes: dict[Names, int],
    folders: set[Names],
    opened: Callable[[Names], AbstractContextManager[IO[bytes]]],
) -> Tree:
    images = sorted(names for names in sizes if names[-1].lower().endswith(SUFFIXES))
    for names in images:
        if sizes[names] > LARGEST_FILE:
            raise UproarError(
                f"images: {'/'.join(names)!r} in {str(path)!r} takes {sizes[names]:,} bytes, and "
                f"no image may take more than {LARGEST_FILE:,}; remove it"
            )
    others = sorted(sizes.keys() - set(images))
    return Tree(path, tuple(images), tuple(others), frozenset(folders), opened)


def _ignored(name: str) -> bool:
    return name.startswith(".") or name.lower() in NO_DATA
