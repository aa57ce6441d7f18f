"""What a name of data stands for: an entry, a service, or a path."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uproar.dataset import Data
from uproar.registry import find, is_registered
from uproar.types import Kind, Source, UproarError, options

if TYPE_CHECKING:
    from uproar.data import DataSet

OPENML = "openml:"
HUGGING_FACE = "datasets:"
TABLES = (".csv", ".tsv", ".tab", ".txt", ".parquet", ".gz")


def load(
    name: str,
    registry: Sequence[DataSet],
    *,
    seed: int,
    source: Source,
    progress: Callable[[int, int], None] | None,
    tokenizer: Any = None,
) -> Data:
    """Return the data that a name stands for; what reads them is imported on use.

    :raises UproarError: when the name stands for nothing, or what it stands for cannot be read.
    """
    if is_registered(name, registry):
        entry = find(name, registry, "data")
        _check_plain(entry, source)
        which = source.of_folds if entry.folds else {}
        data: Data = entry.load()(seed=seed, **which)
        return data
    if name.startswith(OPENML):
        from uproar.data.table.openml import from_openml

        return from_openml(_number(name), seed=seed, source=source)
    if name.startswith(HUGGING_FACE):
        from uproar.data.text.hugging_face import from_hugging_face

        place = name.removeprefix(HUGGING_FACE)
        return from_hugging_face(place, seed=seed, source=source, tokenizer=tokenizer)
    path = _existing(name, registry)
    return _from_path(path, seed=seed, source=source, progress=progress, tokenizer=tokenizer)


def kind_of(name: str, registry: Sequence[DataSet], *, source: Source) -> Kind:
    """Return the kind of data that a name stands for, from what is cheap to see.

    :raises UproarError: when the name stands for nothing.
    """
    for entry in registry:
        if entry.name == name:
            return entry.kind
    if source.kind != "auto":
        return source.kind
    if name.startswith((OPENML, HUGGING_FACE)):
        return "table" if name.startswith(OPENML) else "text"
    return _kind_of_path(_existing(name, registry), source)


def _kind_of_path(path: Path, source: Source) -> Kind:
    if path.suffix.lower() == ".npz":
        from uproar.data.python.npz import kind_of_archive

        return kind_of_archive(path)
    if _is_images(path):
        return "image"
    return "text" if source.text else "table"


def _from_path(
    path: Path,
    *,
    seed: int,
    source: Source,
    progress: Callable[[int, int], None] | None,
    tokenizer: Any,
) -> Data:
    if path.suffix.lower() == ".npz":
        from uproar.data.python.npz import from_npz

        return from_npz(path, seed=seed, source=source)
    if _is_images(path):
        from uproar.data.image import images

        _check_kind(path, source, "image")
        return images.from_path(path, seed=seed, source=source, progress=progress)
    if source.text or source.kind == "text":
        from uproar.data.text import text

        _check_kind(path, source, "text")
        return text.from_path(path, seed=seed, source=source, tokenizer=tokenizer)
    from uproar.data.table import tables

    _check_kind(path, source, "table")
    return tables.from_path(path, seed=seed, source=source)


def _is_images(path: Path) -> bool:
    return path.is_dir() or path.suffix.lower() == ".zip"


def _existing(name: str, registry: Sequence[DataSet]) -> Path:
    path = Path(name)
    if not path.exists():
        if path.suffix.lower() in {*TABLES, ".zip", ".npz"} or path.parent != Path():
            from uproar.data.table.files import check_exists

            check_exists(path)
        try:
            find(name, registry, "data")
        except UproarError as error:
            raise UproarError(f"{error}; and there is no file or folder of that name") from None
    if path.is_file() and path.suffix.lower() not in {*TABLES, ".zip", ".npz"}:
        raise UproarError(
            f"{name}: data are a folder or .zip of images, an .npz archive, or a table that ends "
            f"in {', '.join(TABLES)}"
        )
    return path


def _check_kind(path: Path, source: Source, kind: Kind) -> None:
    if source.kind not in {"auto", kind}:
        raise UproarError(
            f"{path} is read as {kind}, and cannot be of kind {source.kind!r}; arrays of that kind "
            "can come in an .npz archive"
        )


def _check_plain(entry: DataSet, source: Source) -> None:
    """Refuse what a registered data set would not heed."""
    for field in options(Source):
        value = getattr(source, field.name)
        if value != field.default and not (field.name == "folds" and entry.folds):
            raise UproarError(
                f"data {entry.name!r} is ready as it is, and takes no {field.name} ({value!r})"
            )


def _number(name: str) -> int:
    digits = name.removeprefix(OPENML)
    if not digits.isdecimal():
        raise UproarError(
            f"OpenML tables are named {OPENML}NUMBER, such as openml:40996; got {name!r}"
        )
    return int(digits)
