"""Outcomes on disk, found by the key of their cell: written whole, verified whenever read.

The folder holds ``cells/<kind>/<key>.safetensors``, ``failures/<key>.json``, ``skips/<key>.json``
and ``damaged.log``. There is no lock: any number of processes may use one store, because a name
says what a file holds, and files appear and change in one step. Labels never reach a file name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from uproar.run.cell import Cell, Failure, Outcome, Skip
from uproar.run.encoding import (
    FORMAT,
    Damaged,
    OtherFormat,
    decode,
    decode_note,
    encode,
    encode_note,
)
from uproar.run.files import StoreError, append_line, remove, store_error, write_whole

_FAILURES, _SKIPS, _DAMAGED = "failures", "skips", "damaged.log"


class Store:
    """Outcomes, failures and skips of cells in one folder, which is made on the first write.

    :param folder: where; relative to the working folder of the moment when the store is made.
    :raises StoreError: from every method, in one line, when the folder cannot be read or written.

    >>> import tempfile
    >>> cell = Cell("metric", {"seed": 0})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = Store(folder)
    ...     before = store.read(cell)
    ...     store.write(cell, Outcome({"value": 0.5}))
    ...     before, store.read(cell).values
    (None, {'value': 0.5})
    """

    def __init__(self, folder: str | Path) -> None:
        # A model factory of the user may change the working folder in the middle of a run.
        self.folder = Path(folder).absolute()
        self._noted: list[str] = []

    def has(self, cell: Cell) -> bool:
        """Say whether there is a file with an outcome, without opening it."""
        return self._outcome_path(cell).is_file()

    def read(self, cell: Cell) -> Outcome | None:
        """Return the outcome of a cell, or None when it has to be computed.

        A file that is not, byte for byte, what was once written for this cell is moved to
        ``<key>.damaged``, noted in :attr:`damaged`, and counts as missing. The arrays returned
        are read-only.
        """
        path = self._outcome_path(cell)
        raw = _content(path)
        if raw is None:
            return None
        try:
            return decode(raw, cell)
        except OtherFormat as error:
            raise _other_format(path, error) from error
        except Damaged as error:
            what = f"damaged outcome of {cell.kind} {cell.label!r:.80} ({cell.key}): {error}"
            if self._set_aside(path, raw, f"{what}; it is computed again"):
                return None
        return self.read(cell)

    def write(self, cell: Cell, outcome: Outcome) -> None:
        """Store an outcome, and forget an earlier failure or skip of the cell."""
        write_whole(self._outcome_path(cell), encode(cell, outcome))
        self._forget(cell, _FAILURES)
        self._forget(cell, _SKIPS)

    def discard(self, cell: Cell) -> None:
        """Remove the outcome of a cell, so that it is computed again."""
        remove(self._outcome_path(cell))

    def write_failure(self, cell: Cell, failure: Failure) -> None:
        """Record that a cell raised."""
        note = {"error": failure.error, "traceback": failure.traceback}
        write_whole(self._note_path(cell, _FAILURES), encode_note(cell, note))
        self._forget(cell, _SKIPS)

    def write_skip(self, cell: Cell, skip: Skip) -> None:
        """Record that a cell cannot run."""
        write_whole(self._note_path(cell, _SKIPS), encode_note(cell, {"reason": skip.reason}))
        self._forget(cell, _FAILURES)

    def failures(self) -> list[tuple[Cell, Failure]]:
        """Return the cells that raised when they were last tried, in the order of their keys."""
        return [
            (cell, Failure(note["error"], note["traceback"]))
            for cell, note in self._notes(_FAILURES)
        ]

    def skips(self) -> list[tuple[Cell, Skip]]:
        """Return the cells that could not run when they were last tried, ordered by key."""
        return [(cell, Skip(note["reason"])) for cell, note in self._notes(_SKIPS)]

    @property
    def damaged(self) -> list[str]:
        """One line for each damaged file that was ever found in this store, by any process."""
        log = _content(self.folder / _DAMAGED) or b""
        lines = log.decode(errors="replace").splitlines()
        return list(dict.fromkeys([*lines, *self._noted]))

    def size(self) -> int:
        """Return the bytes of all files in the store."""
        total = 0
        for folder, _, names in os.walk(self.folder):
            for name in names:
                try:
                    total += os.stat(os.path.join(folder, name)).st_size
                except FileNotFoundError:
                    continue  # renamed or removed by another process since it was listed
        return total

    def _outcome_path(self, cell: Cell) -> Path:
        return self.folder / "cells" / cell.kind / f"{cell.key}.safetensors"

    def _note_path(self, cell: Cell, folder: str) -> Path:
        return self.folder / folder / f"{cell.key}.json"

    def _forget(self, cell: Cell, folder: str) -> None:
        remove(self._note_path(cell, folder))

    def _notes(self, folder: str) -> Iterator[tuple[Cell, dict[str, str]]]:
        """Yield the notes in a folder, without those of cells that have an outcome by now."""
        for path in sorted((self.folder / folder).glob("*.json")):
            raw = _content(path)
            if raw is None or not re.fullmatch(r"[0-9a-f]{32}", path.stem):
                continue
            try:
                cell, note = decode_note(raw, path.stem)
            except OtherFormat as error:
                raise _other_format(path, error) from error
            except Damaged as error:
                self._set_aside(path, raw, f"damaged record {folder}/{path.name}: {error}")
                continue
            if not self.has(cell):
                yield cell, note

    def _set_aside(self, path: Path, raw: bytes, line: str) -> bool:
        """Move a damaged file away and note it; False when another process changed it meanwhile."""
        aside = path.with_suffix(".damaged")
        try:
            os.replace(path, aside)
            if aside.read_bytes() != raw:
                # Between our reading and our renaming, another process put a new file there.
                os.replace(aside, path)
                return False
        except FileNotFoundError:
            return False  # another process is moving it as well
        except OSError as error:
            line += f" (the file cannot be moved: {error.strerror})"
        self._noted.append(line)
        try:
            append_line(self.folder / _DAMAGED, line)
        except OSError:
            # A store that can only be read still serves its whole files. The line is not lost:
            # it stays in this object, and is written when the damage is next met.
            return True
        return True


def _content(path: Path) -> bytes | None:
    """Return the bytes of a file, None when it does not exist."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise store_error(error, path.parent) from error


def _other_format(path: Path, error: OtherFormat) -> StoreError:
    return StoreError(
        f"{str(path)!r} is in format {error}, and this version of uproar reads format {FORMAT}; "
        f"choose another folder, or the version of uproar that wrote it"
    )
