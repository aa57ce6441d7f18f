"""Shapes and types in the annotations of the science are checked in tests, and nowhere else."""

from __future__ import annotations

from jaxtyping import install_import_hook

# Not the statistics, which check the shapes they are given themselves, in words of their own.
SCIENCE = "data explain explanations models protocols ranking remove"

install_import_hook([f"uproar.{module}" for module in SCIENCE.split()], "typechecked.checked")
