"""Arrays in a NumPy archive."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from uproar.data.table.files import stem
from uproar.dataset import Data
from uproar.registry import unknown
from uproar.types import Kind, Source, UproarError

KEYS = (
    *("inputs", "labels", "test_inputs", "test_labels", "validation_inputs", "validation_labels"),
    *("class_names", "feature_names"),
)
KINDS: dict[int, Kind] = {1: "text", 2: "table", 3: "series", 4: "image"}


def from_npz(path: Path, *, seed: int, source: Source) -> Data:
    """Read arrays of a ``.npz`` archive, as :func:`uproar.data.python.arrays.from_parts` takes
    them.

    It holds ``inputs`` and ``labels``, and may hold ``test_inputs`` and ``test_labels``,
    ``validation_inputs`` and ``validation_labels``, ``class_names`` and ``feature_names``.
    Nothing in it is ever run: pickled objects are refused.

    :param source: what of it has a meaning for arrays.
    :raises UproarError: when it cannot be read, has other arrays, or they do not fit.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     inputs = np.random.default_rng(0).standard_normal((40, 5))
    ...     np.savez(Path(folder, "mine.npz"), inputs=inputs, labels=np.arange(40) % 2)
    ...     data = from_npz(Path(folder, "mine.npz"), seed=0, source=Source())
    >>> data.name, data.kind, data.train.inputs.shape
    ('mine', 'table', (28, 5))
    """
    from uproar.data.python.arrays import from_parts

    for key in ("target", "text", "drop", "test", "validation"):
        if getattr(source, key):
            raise UproarError(
                f"{path}: {key}={getattr(source, key)!r} has no meaning in an archive; its arrays "
                f"are {', '.join(KEYS)}"
            )
    arrays = _arrays(path)
    parts = {part: _part(arrays, prefix, path) for part, prefix in _PREFIXES.items()}
    names = {key: tuple(map(str, arrays[key])) if key in arrays else () for key in KEYS[-2:]}
    return from_parts(
        parts["train"],
        parts["test"],
        parts["validation"],
        name=stem(path.absolute()),
        seed=seed,
        source=source,
        class_names=names["class_names"],
        feature_names=names["feature_names"],
    )


_PREFIXES = {"train": "", "test": "test_", "validation": "validation_"}


def headers(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """Return the shape and type of every array in an archive; the arrays are not read.

    :raises UproarError: when there is no such archive.
    """
    found = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                with archive.open(name) as file:
                    first = npy.read_magic(file) == (1, 0)
                    read = npy.read_array_header_1_0 if first else npy.read_array_header_2_0
                    shape, _, kind = read(file)
                    found[name.removesuffix(".npy")] = (shape, kind)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise UproarError(f"{path} is no .npz archive: {' '.join(str(error).split())}") from error
    return found


def kind_of_archive(path: Path) -> Kind:
    """Return the kind of data in an archive, from the axes of ``inputs``, which are not read.

    :raises UproarError: when there is no such archive, or no kind has so many axes.
    """
    found = headers(path)
    if "inputs" not in found:
        has = ", ".join(sorted(found)) or "none"
        raise UproarError(f"{path} has no array 'inputs'; it has {has}")
    shape = found["inputs"][0]
    if len(shape) not in KINDS:
        raise UproarError(f"{path}: inputs have shape {shape}, which is no kind of data")
    return KINDS[len(shape)]


def _arrays(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UproarError(f"there is no file {str(path)!r}")
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise UproarError(f"{path} holds one array, and no archive; make it by np.savez")
            for key in archive.files:
                if key not in KEYS:
                    raise UproarError(f"{path}: {unknown(key, KEYS, 'array')}")
            return {key: archive[key] for key in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())
        if "allow_pickle" in reason:
            reason = "it has Python objects, which are never loaded; store numbers or strings"
        raise UproarError(f"{path} cannot be read: {reason}") from error


def _part(arrays: dict[str, Any], prefix: str, path: Path) -> tuple[Any, Any] | None:
    keys = [f"{prefix}inputs", f"{prefix}labels"]
    missing = [key for key in keys if key not in arrays]
    if missing and (not prefix or len(missing) == 1):
        raise UproarError(
            f"{path} has no array {missing[0]!r}; it has {', '.join(sorted(arrays)) or 'none'}"
        )
    return None if missing else (arrays[keys[0]], arrays[keys[1]])
