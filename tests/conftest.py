"""Shapes and types in the annotations of the science are checked in tests, and nowhere else."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.support.typechecked import check_the_science

# Shells let what they start in the background ignore interrupts, which some tests send.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The shap package would compile for ten seconds what takes as many milliseconds here.
os.environ["NUMBA_DISABLE_JIT"] = "1"

check_the_science()


@pytest.fixture(autouse=True, scope="session")
def one_processor() -> Iterator[None]:
    """Let joblib start no processes, each of which imports PyTorch; their tests ask for more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "cpu_count", lambda: 1)
        yield
