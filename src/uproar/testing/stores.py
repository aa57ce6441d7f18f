"""The contract of stores as a check, for our own and for those that live elsewhere."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from uproar.run.cell import Cell, Failure, Outcome, Skip, canonical
from uproar.run.store import Store
from uproar.testing.requirement import require

CELL = Cell("work", {"number": 1}, "the first")
OTHER = Cell("work", {"number": 2}, "the second")
OUTCOME = Outcome(
    {"accuracy": 0.75, "counts": [3, 4], "nothing": None, "text": "größer\n"},
    {
        "correct": np.array([True, False, True]),
        "ranks": np.arange(12, dtype=np.uint16).reshape(3, 4),
        "scores": np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3),
        "empty": np.zeros((0, 5)),
    },
    {"all": 1.25},
    {"numpy": "2.0"},
)
FAILURE, SKIP = Failure("ValueError: größer", "Traceback\n  deep"), Skip("needs gradients")


def spoil(store: Store, cell: Cell) -> None:
    """Cut off the last byte of what a store of files has of a cell."""
    for path in store.folder.rglob(f"{cell.key}*"):
        path.write_bytes(path.read_bytes()[:-1])


def check_store(
    store_in: Callable[[Path], Store], *, damage: Callable[[Store, Cell], None] = spoil
) -> None:
    """Check that a store keeps its contract.

    What is read is what was written, to the last bit, also through a second store in the same
    place and through one that was pickled; what was never written, or is discarded, is None. A
    cell has an outcome, a failure, a skip, or nothing. An outcome that is damaged counts as
    missing, is noted in one line, and is written anew.

    :param store_in: opens a store that keeps everything in a folder.
    :param damage: changes what the store holds of a cell, behind its back.
    :raises AssertionError: with what was broken.

    >>> check_store(Store)
    """
    for check in (_reads_what_was_written, _forgets, _keeps_one_note, _is_found_again):
        with tempfile.TemporaryDirectory() as folder:
            check(store_in, Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        _notices_damage(store_in(Path(folder)), damage)


def _reads_what_was_written(store_in: Callable[[Path], Store], folder: Path) -> None:
    store = store_in(folder)
    empty = store.read(CELL) is None and not store.has(CELL)
    require(empty, "a new store must have no outcomes")
    notes = [*store.failures(), *store.skips(), *store.damaged]
    require(not notes, f"a new store must have no notes, got {notes!r:.200}")
    store.write(CELL, OUTCOME)
    require(store.has(CELL), "a store must have what was written")
    _require_same(store.read(CELL), OUTCOME)
    _require_same(store.read(Cell(CELL.kind, CELL.fields, "another label")), OUTCOME)
    for cell in (OTHER, Cell("other-work", CELL.fields)):
        apart = not store.has(cell) and store.read(cell) is None
        require(apart, "cells of other kinds or fields must be kept apart")
    store.write(CELL, Outcome({"accuracy": 1.0}))
    _require_same(store.read(CELL), Outcome({"accuracy": 1.0}))


def _forgets(store_in: Callable[[Path], Store], folder: Path) -> None:
    store = store_in(folder)
    store.write(CELL, OUTCOME)
    store.write(OTHER, OUTCOME)
    store.discard(CELL)
    store.discard(CELL)  # what is not there is no error
    gone = store.read(CELL) is None and not store.has(CELL)
    require(gone, "what is discarded must be gone")
    _require_same(store.read(OTHER), OUTCOME)


def _keeps_one_note(store_in: Callable[[Path], Store], folder: Path) -> None:
    """Failures and skips come and go: the last thing that was said of a cell counts."""
    store = store_in(folder)
    store.write_failure(CELL, FAILURE)
    store.write_skip(OTHER, SKIP)
    _require_notes(store, [(CELL, FAILURE)], [(OTHER, SKIP)])
    label = store.failures()[0][0].label
    require(label == CELL.label, f"a failure must keep the label of its cell, got {label!r}")
    require(not store.has(CELL), "a failure is no outcome")
    store.write_skip(CELL, SKIP)
    both = sorted([(CELL, SKIP), (OTHER, SKIP)], key=lambda pair: pair[0].key)
    _require_notes(store, [], both)
    store.write_failure(CELL, FAILURE)
    _require_notes(store, [(CELL, FAILURE)], [(OTHER, SKIP)])
    store.write(CELL, OUTCOME)
    store.write(OTHER, OUTCOME)
    _require_notes(store, [], [])


def _is_found_again(store_in: Callable[[Path], Store], folder: Path) -> None:
    store = store_in(folder)
    store.write(CELL, OUTCOME)
    store.write_failure(OTHER, FAILURE)
    for again in (store_in(folder), pickle.loads(pickle.dumps(store))):  # noqa: S301 - our own
        _require_same(again.read(CELL), OUTCOME)
        _require_notes(again, [(OTHER, FAILURE)], [])


def _notices_damage(store: Store, damage: Callable[[Store, Cell], None]) -> None:
    store.write(CELL, OUTCOME)
    store.write(OTHER, OUTCOME)
    damage(store, CELL)
    missing = store.read(CELL) is None and not store.has(CELL)
    require(missing, "a damaged outcome must count as missing")
    noted = len(store.damaged) == 1 and store.damaged[0].isprintable()
    require(noted, f"damage must be noted in one line, got {store.damaged}")
    _require_same(store.read(OTHER), OUTCOME)
    store.write(CELL, OUTCOME)
    _require_same(store.read(CELL), OUTCOME)


def _require_notes(
    store: Store, failures: list[tuple[Cell, Failure]], skips: list[tuple[Cell, Skip]]
) -> None:
    found = store.failures(), store.skips()
    require(
        found == (failures, skips),
        "the store must list what was last said of a cell, by key: expected failures and skips "
        f"{_labels(failures)} and {_labels(skips)}, got {_labels(found[0])} and "
        f"{_labels(found[1])}, or their texts differ",
    )


def _labels(notes: list[tuple[Cell, Failure]] | list[tuple[Cell, Skip]]) -> list[str]:
    return [cell.label for cell, _ in notes]


def _require_same(found: Outcome | None, written: Outcome) -> None:
    require(found is not None, "a store must give back what was written, got nothing")
    assert found is not None
    for name in ("values", "seconds", "provenance"):
        # The canonical text tells 1 from 1.0 and True, which == does not.
        same = canonical(getattr(found, name)) == canonical(getattr(written, name))
        require(same, f"the {name} read are not those written: {getattr(found, name)!r:.200}")
    require(found.arrays.keys() == written.arrays.keys(), "arrays are missing, or too many")
    for name, array in sorted(found.arrays.items()):
        wanted = written.arrays[name]
        same = (array.dtype, array.shape) == (wanted.dtype, wanted.shape)
        require(
            same and array.tobytes() == wanted.tobytes(),
            f"array {name!r} is not what was written: expected {wanted.dtype} {wanted.shape}, "
            f"got {array.dtype} {array.shape}, or other values",
        )
        require(not array.flags.writeable, f"array {name!r} must be read-only")
