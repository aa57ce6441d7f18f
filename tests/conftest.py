"""Shapes and types in the annotations of the science are checked in tests, and nowhere else."""

from __future__ import annotations

import importlib
import pkgutil
import signal

from hypothesis import settings
from jaxtyping import install_import_hook

# No test is timed: other work on the machine is no failure.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# Shells let what they start in the background ignore interrupts, which some tests send.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Not the statistics, which check the shapes they are given themselves, in words of their own.
SCIENCE = "bench.explaining bench.refits data explain models protocols ranking remove"

install_import_hook([f"uproar.{module}" for module in SCIENCE.split()], "typechecked.checked")

# Now, because the hook parses what it imports, and Python 3.11 fails now and then when two threads
# of a run parse at once (SystemError: AST constructor recursion depth mismatch).
for name in SCIENCE.split():
    package = importlib.import_module(f"uproar.{name}")
    for module in pkgutil.iter_modules(getattr(package, "__path__", ())):
        importlib.import_module(f"{package.__name__}.{module.name}")
