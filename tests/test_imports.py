"""What starts fast imports nothing heavy; the direction of imports is in ``pyproject.toml``."""

from __future__ import annotations

import subprocess
import sys

import pytest


def loaded_after(*names: str) -> set[str]:
    """Import modules in a new interpreter and return the heavy packages that came with them."""
    heavy = ("torch", "numpy", "pandas", "sklearn", "scipy", "matplotlib", "plotly")
    code = (
        f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)\n"
        f"print(*(name for name in {heavy!r} if name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600
    )
    return set(done.stdout.split())


def test_the_package_alone_imports_nothing_heavy() -> None:
    assert loaded_after("uproar") == set()


@pytest.mark.slow
def test_the_command_line_specs_plans_and_results_import_no_torch() -> None:
    found = loaded_after(
        "uproar.cli", "uproar.plan.spec", "uproar.plan.plan", "uproar.results.result"
    )
    assert not found & {"torch", "sklearn", "matplotlib"}


@pytest.mark.slow
def test_the_command_line_starts_without_tables() -> None:
    assert not loaded_after("uproar.cli") & {"torch", "pandas"}
