"""The command line; ``main`` is what the installed program calls."""

from uproar.cli.app import main

__all__ = ["main"]
