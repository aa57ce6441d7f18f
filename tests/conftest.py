"""Shapes and types in the annotations of the science are checked in tests, and nowhere else."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator

import pytest

from tests.support.typechecked import check_anew, check_the_science

# Shells let what they start in the background ignore interrupts, which some tests send.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The shap package would compile for ten seconds what takes as many milliseconds here.
os.environ["NUMBA_DISABLE_JIT"] = "1"

# Threads that wait for work of a few microseconds spin; pytest-xdist keeps the processors busy.
os.environ.setdefault("OMP_NUM_THREADS", "1")

check_the_science()


@pytest.fixture(autouse=True, scope="session")
def one_processor() -> Iterator[None]:
    """Let joblib start no processes, each of which imports PyTorch; their tests ask for more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "cpu_count", lambda: 1)
        yield


def pytest_collection_finish() -> None:
    """Look for garbage less often, and not among the modules and tests, which stay."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def pytest_runtest_setup() -> None:
    """Check the first calls of every test."""
    check_anew()
