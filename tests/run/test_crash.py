"""Processes that are killed, that run out of room, and that write the same store at once.

Each test runs one program, which forks where it needs several processes: starting Python anew for
every round would take longer than all the rest.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

PREAMBLE = """
import os, random, resource, signal, sys, time
from pathlib import Path
import numpy as np
from uproar.run.cell import Cell, Outcome
from uproar.run.files import StoreError
from uproar.run.store import Store

store = Store(sys.argv[1])
random.seed(0)

def cell_of(number):
    return Cell("work", {"number": number}, f"number {number}")

def outcome_of(number):
    return Outcome({"number": number}, {"array": np.full(100_000, number, np.float64)})

def check(number, outcome):
    assert outcome.values == {"number": number}
    assert (outcome.arrays["array"] == number).all()
"""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="forks and signals")


def run_program(program: str, folder, prefix=()) -> str:
    finished = subprocess.run(
        [*prefix, sys.executable, "-c", PREAMBLE + program, str(folder)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.mark.slow
def test_killed_writers_leave_whole_outcomes_only(tmp_path):
    program = """
from uproar.run.files import sweep

def finished():
    return any(store.has(cell_of(number)) for number in range(5))

def unfinished():
    return len(list(store.folder.rglob("*.tmp")))

rounds = 0
while rounds < 20 or not unfinished():  # at least one is killed in the middle
    child = os.fork()
    if not child:
        while True:
            number = random.randrange(5)
            store.write(cell_of(number), outcome_of(number))
    while not finished():  # however slow the machine is
        time.sleep(0.001)
    time.sleep(random.uniform(0, 0.05))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    rounds += 1
left = unfinished()
assert sweep(store.folder) == left
assert not list(store.folder.rglob("*.tmp"))
outcomes = [store.read(cell_of(number)) for number in range(5)]
assert sum(outcome is not None for outcome in outcomes) > 0
for number, outcome in enumerate(outcomes):
    if outcome is not None:
        check(number, outcome)
assert store.damaged == []
"""
    run_program(program, tmp_path / "store")


@pytest.mark.slow
def test_two_processes_write_the_same_cells(tmp_path):
    program = """
import itertools
children, enough = [], Path(sys.argv[1] + "-enough")
for _ in range(2):
    child = os.fork()
    if not child:
        for round in itertools.count():
            store.write(cell_of(round % 2), outcome_of(round % 2))
            if round >= 50 and enough.exists():
                os._exit(0)
    children.append(child)
seen, reads = set(), 0
while children:
    done, status = os.waitpid(-1, os.WNOHANG)
    if done:
        assert status == 0
        children.remove(done)
    for number in range(2):
        outcome = store.read(cell_of(number))
        if outcome is None:
            assert number not in seen, "an outcome was gone for a moment"
        else:
            check(number, outcome)
            seen.add(number)
            reads += 1
    if reads > 10:
        enough.touch()
assert store.damaged == []
assert sum(path.is_file() for path in store.folder.rglob("*")) == 2
"""
    run_program(program, tmp_path / "store")


@pytest.mark.slow
def test_a_file_that_cannot_grow(tmp_path):
    """A limit on the size of files: the write really stops in the middle, as on a full disk."""
    program = """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store.write(cell_of(0), outcome_of(0))
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    store.write(cell_of(1), outcome_of(1))
except StoreError as error:
    print(error)
assert store.read(cell_of(1)) is None
check(0, store.read(cell_of(0)))
assert not list(store.folder.rglob("*.tmp"))
"""
    message = run_program(program, tmp_path / "store")
    assert "file too large; finished cells are kept; " in message
    assert message.count("\n") == 1


@pytest.mark.slow
def test_a_full_disk(tmp_path):
    """A file system of its own, in a private name space: gone with the process."""
    private = ["unshare", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*private, "true"], check=False).returncode:
        pytest.skip("this user may not make a name space")
    program = """
import subprocess
store.folder.mkdir()
mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(store.folder)]
subprocess.run(mount, check=True)
store.write(cell_of(0), outcome_of(0))
try:
    store.write(cell_of(1), outcome_of(1))
except StoreError as error:
    print(error)
check(0, store.read(cell_of(0)))
assert not list(store.folder.rglob("*.tmp"))
"""
    message = run_program(program, tmp_path / "store", private)
    assert message.startswith("no space left on '")
    assert message.endswith("kept; free some space and run the same command again\n")


@pytest.mark.slow
def test_a_folder_of_somebody_else(tmp_path):
    program = """
store.write(cell_of(0), outcome_of(0))
os.chmod(store.folder, 0o500)
if os.geteuid() == 0:
    os.seteuid(65534)  # permissions do not bind the superuser
try:
    store.write(Cell("new", {}), outcome_of(1))
except StoreError as error:
    print(error)
"""
    message = run_program(program, tmp_path / "store")
    assert "permission denied; finished cells are kept; make the folder readable" in message
