"""The type checker that the tests put on every function of the science, when it is imported."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from threading import Lock
from types import ModuleType

from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

# Not the statistics, which check the shapes they are given themselves, in words of their own.
SCIENCE = (
    "bench.consumers bench.explaining bench.refits data explain models protocols ranking remove"
)
OWN_WORDS = "uproar.models.scoring"

# An int will do where a float is asked for, as type checkers see it too.
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))

# Python 3.11 fails now and then when two threads of a run parse at once (SystemError: AST
# constructor recursion depth mismatch), and the hook parses whatever a run imports.
_parsing = Lock()


class OneAtATime(Loader):
    """Loads what jaxtyping's hook would, and parses one module at a time.

    The hook's own way looks up bytecode under another name for as long as a module is executed:
    every package that the module imports is then compiled anew, PyTorch among them.
    """

    def __init__(self, loader: SourceFileLoader) -> None:
        self.loader = loader

    def exec_module(self, module: ModuleType) -> None:
        path = self.loader.path
        with _parsing:
            code = self.loader.source_to_code(self.loader.get_data(path), path)
        exec(code, module.__dict__)

    def get_source(self, name: str) -> str | None:
        """Return the source, which tracebacks show."""
        return self.loader.get_source(name)


class CheckedFinder(MetaPathFinder):
    """Finds the modules of the science, for which jaxtyping's hook asks."""

    def __init__(self, hook: MetaPathFinder) -> None:
        self.hook = hook

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == OWN_WORDS:
            return None
        spec = self.hook.find_spec(fullname, path, target)
        if spec is not None:
            spec.loader = OneAtATime(spec.loader)
        return spec


def check_the_science() -> None:
    """Check shapes and types of all calls in the science, once it is imported."""
    manager = install_import_hook(
        [f"uproar.{module}" for module in SCIENCE.split()], "typechecked.checked"
    )
    sys.meta_path[sys.meta_path.index(manager.hook)] = CheckedFinder(manager.hook)
