"""What is read is what was written, or it is noticed; nothing else ever comes out of a store."""

from __future__ import annotations

import errno
import json
import os
import pickle
import random
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from uproar.run import encoding, files
from uproar.run.cell import Cell, Failure, Outcome, Skip, canonical
from uproar.run.encoding import Damaged, decode, encode
from uproar.run.files import StoreError, sweep
from uproar.run.store import Store
from uproar.types import UproarError

CELL = Cell("retrain", {"explainer": "grad", "fraction": 0.5, "seed": 3}, "grad at 0.5")
OUTCOME = Outcome(
    {"accuracy": 0.75, "counts": [3, 4], "nothing": None, "text": "größer\n"},
    {
        "correct": np.array([True, False, True, True]),
        "ranks": np.arange(12, dtype=np.uint16).reshape(3, 4),
        "logits": np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3),
        "empty": np.zeros((0, 5)),
        "scalar": np.array(2.5),
    },
    {"train": 1.25},
    {"numpy": "2.0", "host": "a b"},
)
DTYPES = ["bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"]
DTYPES += ["float16", "float32", "float64", ">f8", ">u2", "<i4"]
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=6)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
ARRAYS = st.dictionaries(
    NAMES,
    st.sampled_from(DTYPES).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_side=4))
    ),
    max_size=4,
)


def assert_same(first: Outcome, second: Outcome) -> None:
    for name in ("values", "seconds", "provenance"):
        # The canonical text tells 1 from 1.0 and True, which == does not.
        assert canonical(getattr(first, name)) == canonical(getattr(second, name))
    assert first.arrays.keys() == second.arrays.keys()
    for name, array in first.arrays.items():
        assert array.dtype == second.arrays[name].dtype
        assert array.shape == second.arrays[name].shape
        assert array.tobytes() == second.arrays[name].tobytes()


@pytest.mark.slow
@settings(max_examples=150)
@given(
    st.dictionaries(st.text(), VALUES, max_size=4),
    ARRAYS,
    st.dictionaries(st.text(), st.floats(0, 1e9), max_size=2),
    st.dictionaries(st.text(), st.text(), max_size=2),
)
def test_round_trip(values, arrays, seconds, provenance):
    outcome = Outcome(values, arrays, seconds, provenance)
    raw = encode(CELL, outcome)
    assert_same(decode(raw, CELL), outcome)
    for name, array in arrays.items():
        np.testing.assert_array_equal(decode(raw, CELL).arrays[name], array)
    backwards = dict(reversed(arrays.items()))
    assert encode(CELL, Outcome(values, backwards, seconds, provenance)) == raw


@pytest.mark.parametrize("folder", ["store", "a b", "größe 🦁", "x" * 200, "new/lines\n"])
def test_write_and_read(tmp_path, folder):
    store = Store(tmp_path / folder)
    assert store.read(CELL) is None
    assert not store.has(CELL)
    assert store.size() == 0
    store.write(CELL, OUTCOME)
    assert_same(store.read(CELL), OUTCOME)
    assert store.has(CELL)
    assert not store.read(CELL).arrays["ranks"].flags.writeable
    everything = [path for path in (tmp_path / folder).rglob("*") if path.is_file()]
    assert [path.name for path in everything] == [f"{CELL.key}.safetensors"]
    assert store.size() == everything[0].stat().st_size
    assert store.damaged == []


def test_relative_folders_are_of_the_moment_of_making(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = Store("store")
    monkeypatch.chdir("/")
    store.write(CELL, OUTCOME)
    assert (tmp_path / "store" / "cells").is_dir()


def test_hostile_labels_stay_out_of_names_and_in_one_line(tmp_path):
    label = "../../etc/passwd\n\x1b[31m" + "x" * 5000 + "\ud800"
    cell = Cell("work", {"a": 1}, label)
    store = Store(tmp_path)
    store.write_failure(cell, Failure("ValueError: \udc80", "trace"))
    assert store.failures()[0][0].label == label
    store.write(cell, OUTCOME)
    path = store.folder / "cells" / "work" / f"{cell.key}.safetensors"
    path.write_bytes(b"")
    assert store.read(cell) is None
    (line,) = store.damaged
    assert line.isprintable()
    assert len(line) < 250


def path_of(store: Store) -> Path:
    return store.folder / "cells" / CELL.kind / f"{CELL.key}.safetensors"


def assert_noticed(store: Store, number: int) -> None:
    assert store.read(CELL) is None
    assert not store.has(CELL)
    assert path_of(store).with_suffix(".damaged").exists()
    assert len(store.damaged) == number
    assert "grad at 0.5" in store.damaged[-1]
    assert "computed again" in store.damaged[-1]
    assert Store(store.folder).damaged == store.damaged


def test_every_truncation_is_noticed():
    raw = encode(CELL, OUTCOME)
    for length in range(len(raw)):
        with pytest.raises(Damaged):
            decode(raw[:length], CELL)
    for extra in (b"\0", b" ", raw):
        with pytest.raises(Damaged):
            decode(raw + extra, CELL)


def test_flipped_bits_are_noticed_or_harmless():
    raw = encode(CELL, OUTCOME)
    generator = random.Random(0)
    # Everything in the eight bytes of the length, and a sample of the rest.
    positions = [*range(64), *generator.sample(range(64, 8 * len(raw)), 1000)]
    noticed = 0
    for position in positions:
        flipped = bytearray(raw)
        flipped[position // 8] ^= 1 << position % 8
        try:
            outcome = decode(bytes(flipped), CELL)
        except Damaged:
            noticed += 1
        else:
            assert_same(outcome, OUTCOME)
    # Harmless are only the padding of the header and the case of escapes.
    assert noticed > 0.97 * len(positions)


def test_every_bit_of_the_arrays_is_noticed():
    raw = encode(CELL, OUTCOME)
    body = 8 + int.from_bytes(raw[:8], "little")
    for position in range(8 * body, 8 * len(raw)):
        flipped = bytearray(raw)
        flipped[position // 8] ^= 1 << position % 8
        with pytest.raises(Damaged, match="checksum"):
            decode(bytes(flipped), CELL)


def garbage() -> dict[str, bytes]:
    whole = encode(CELL, OUTCOME)
    header = b'{"__metadata__":{"uproar":"[]"}}'
    nested = b'{"__metadata__":{"uproar":"' + b"[" * 100_000 + b'"}}'
    pickled = pickle.dumps(OUTCOME.values)
    return {
        "empty": b"",
        "zeros": bytes(len(whole)),
        "ones": b"\xff" * 100,
        "noise": random.Random(1).randbytes(1000),
        "pickle": pickled,
        "another cell": encode(Cell("retrain", {"seed": 4}), OUTCOME),
        "another kind": encode(Cell("metric", CELL.fields), OUTCOME),
        "not ours": len(header).to_bytes(8, "little") + header,
        "no metadata": (2).to_bytes(8, "little") + b"{}",
        "deep": len(nested).to_bytes(8, "little") + nested,
        "longer": whole + b"x",
        "half": whole[: len(whole) // 2],
        "other array": whole[:-1] + b"\x07",
    }


@pytest.mark.parametrize("name", garbage())
def test_foreign_files_are_noticed_and_replaced(tmp_path, name):
    store = Store(tmp_path)
    store.write(CELL, OUTCOME)
    path_of(store).write_bytes(garbage()[name])
    assert_noticed(store, 1)
    store.write(CELL, OUTCOME)
    assert_same(store.read(CELL), OUTCOME)


def test_nothing_is_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "sprung"),))

    store = Store(tmp_path)
    store.write(CELL, OUTCOME)
    path_of(store).write_bytes(pickle.dumps(Trap()))
    assert store.read(CELL) is None
    assert not (tmp_path / "sprung").exists()


def test_moved_arrays_are_noticed():
    """Two arrays that change names keep all bytes; the checksum knows the names."""
    outcome = Outcome({}, {"a": np.zeros(2), "b": np.ones(2)})
    raw = encode(CELL, outcome)
    with pytest.raises(Damaged, match="checksum"):
        decode(raw.replace(b'"a"', b'"x"').replace(b'"b"', b'"a"').replace(b'"x"', b'"b"'), CELL)


def test_file_repaired_by_another_process_is_not_thrown_away(tmp_path, monkeypatch):
    store = Store(tmp_path)
    store.write(CELL, OUTCOME)
    path_of(store).write_bytes(b"broken")
    replace = os.replace

    def replace_after_repair(source, target):
        if str(target).endswith(".damaged"):
            monkeypatch.setattr(os, "replace", replace)
            Store(tmp_path).write(CELL, OUTCOME)
        replace(source, target)

    monkeypatch.setattr(os, "replace", replace_after_repair)
    assert_same(store.read(CELL), OUTCOME)
    assert store.damaged == []


def test_file_moved_aside_by_another_process(tmp_path, monkeypatch):
    store, other = Store(tmp_path), Store(tmp_path)
    store.write(CELL, OUTCOME)
    path_of(store).write_bytes(b"broken")
    replace = os.replace

    def replace_after_the_other(source, target):
        monkeypatch.setattr(os, "replace", replace)
        assert other.read(CELL) is None
        replace(source, target)

    monkeypatch.setattr(os, "replace", replace_after_the_other)
    assert_noticed(store, 1)


def test_damage_is_remembered_where_nothing_can_be_written(tmp_path, monkeypatch):
    store = Store(tmp_path)
    store.write(CELL, OUTCOME)
    path_of(store).write_bytes(b"broken")

    def refuse(*_arguments, **_options):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr(os, "fsync", refuse)
    assert store.read(CELL) is None
    assert store.read(CELL) is None
    assert len(store.damaged) == 1
    assert "cannot be moved: Read-only" in store.damaged[0]


def test_other_formats_are_not_taken_for_damage(tmp_path, monkeypatch):
    store = Store(tmp_path)
    monkeypatch.setattr(encoding, "FORMAT", 2)
    store.write(CELL, OUTCOME)
    store.write_skip(Cell("work", {}), Skip("no"))
    monkeypatch.undo()
    with pytest.raises(StoreError, match="is in format 2, and this version of uproar reads"):
        store.read(CELL)
    with pytest.raises(StoreError, match="is in format 2"):
        store.skips()
    assert path_of(store).exists()


def test_failures_and_skips(tmp_path):
    store = Store(tmp_path)
    other = Cell("work", {"a": 1}, "other")
    assert store.failures() == store.skips() == []
    store.write_failure(CELL, Failure("ValueError: x", "Traceback\n  deep"))
    store.write_skip(other, Skip("needs gradients"))
    assert store.failures() == [(CELL, Failure("ValueError: x", "Traceback\n  deep"))]
    assert store.failures()[0][0].label == CELL.label
    assert store.skips() == [(other, Skip("needs gradients"))]
    assert not store.has(CELL)
    assert json.loads((tmp_path / "failures" / f"{CELL.key}.json").read_text())["record"]
    store.write_skip(CELL, Skip("now it cannot run"))
    assert store.failures() == []
    store.write_failure(CELL, Failure("again", ""))
    store.write(CELL, OUTCOME)
    assert store.failures() == []
    assert store.skips() == [(other, Skip("needs gradients"))]
    assert not list((tmp_path / "failures").iterdir())


def test_failure_left_beside_an_outcome_does_not_count(tmp_path):
    """A process that is killed between writing an outcome and forgetting the failure."""
    store = Store(tmp_path)
    store.write_failure(CELL, Failure("ValueError: x", ""))
    record = tmp_path / "failures" / f"{CELL.key}.json"
    raw = record.read_bytes()
    store.write(CELL, OUTCOME)
    record.write_bytes(raw)
    assert store.failures() == []


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b'{"checksum":"","record":{}}'])
def test_damaged_records_are_noted(tmp_path, content):
    store = Store(tmp_path)
    store.write_failure(CELL, Failure("ValueError: x", ""))
    (tmp_path / "failures" / f"{CELL.key}.json").write_bytes(content)
    (tmp_path / "failures" / "mine.json").write_text("not a record of the store")
    assert store.failures() == []
    assert len(store.damaged) == 1
    assert f"failures/{CELL.key}.json" in store.damaged[0]


def fail_with(number: int):
    def fail(*_arguments, **_options):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, r"no space left on .*; finished cells are kept; free some space and run"),
        (errno.EDQUOT, r"disk quota exceeded on .*; free some space"),
        (errno.EROFS, r"cannot use the folder .*: read-only file system; .*make the folder"),
        (errno.EACCES, r"cannot use the folder .*: permission denied; .*choose another one"),
        (errno.EIO, r"cannot use the folder .*: input/output error; .*put the folder right"),
    ],
)
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_failed_writes_leave_nothing_and_say_what_to_do(
    tmp_path, monkeypatch, step, number, message
):
    store = Store(tmp_path / "a b")
    finished = Cell("work", {"done": True})
    store.write(finished, OUTCOME)
    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail_with(number))
        with pytest.raises(StoreError, match=message) as caught:
            store.write(CELL, OUTCOME)
        with pytest.raises(StoreError, match=message):
            store.write_failure(CELL, Failure("x", "y"))
    assert isinstance(caught.value, UproarError)
    assert "\n" not in str(caught.value)
    assert "a b" in str(caught.value)
    assert not list(tmp_path.rglob("*.tmp"))
    assert store.read(CELL) is None
    assert_same(store.read(finished), OUTCOME)
    store.write(CELL, OUTCOME)
    assert_same(store.read(CELL), OUTCOME)


def test_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("here")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreError, match="cannot use the folder"):
            Store(folder).write(CELL, OUTCOME)
        with pytest.raises(StoreError, match="not a directory"):
            Store(folder).read(CELL)


def test_folders_that_cannot_be_flushed_are_no_error(tmp_path, monkeypatch):
    flush = os.fsync

    def fsync(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EINVAL, "Invalid argument")
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    Store(tmp_path).write(CELL, OUTCOME)
    assert_same(Store(tmp_path).read(CELL), OUTCOME)


def temporary(store: Store, *, host: str, pid: int) -> Path:
    path = path_of(store).with_name(f"{CELL.key}.{host}.{pid}.abcd1234.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"half")
    return path


def test_sweep_takes_only_what_the_dead_left(tmp_path):
    store = Store(tmp_path)
    assert sweep(store.folder) == 0
    # Linux gives no process a number above 2 ** 22.
    dead = temporary(store, host=files._host(), pid=900_000_000)
    living = temporary(store, host=files._host(), pid=os.getpid())
    parent = temporary(store, host=files._host(), pid=1)
    foreign = temporary(store, host="0" * 12, pid=900_000_000)
    unknown = path_of(store).with_name("mine.tmp")
    unknown.touch()
    store.write(CELL, OUTCOME)
    assert sweep(store.folder) == 1
    assert not dead.exists()
    assert living.exists()
    assert parent.exists()
    assert foreign.exists()
    assert unknown.exists()
    assert_same(store.read(CELL), OUTCOME)


def test_no_process_is_dead_where_asking_would_kill_it(monkeypatch):
    monkeypatch.setattr(files.os, "kill", fail_with(errno.ESRCH))
    assert not files._alive(900_000_000)
    with monkeypatch.context() as patch:
        patch.setattr(files.os, "name", "nt")
        assert files._alive(900_000_000)


def test_the_layer_imports_no_torch():
    import subprocess

    program = (
        "import sys, uproar.run.local, uproar.run.progress; "
        "sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
