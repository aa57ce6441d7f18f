"""Shapes and types in the annotations of the science are checked in tests, and nowhere else."""

from __future__ import annotations

import signal

from tests.support.typechecked import check_the_science

# Shells let what they start in the background ignore interrupts, which some tests send.
signal.signal(signal.SIGINT, signal.default_int_handler)

check_the_science()
