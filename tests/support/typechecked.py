"""The type checker that the tests put on the functions of the science, when it is imported."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache, wraps
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from threading import Lock
from types import ModuleType

from beartype import BeartypeConf, beartype
from jaxtyping import jaxtyped

# Not the statistics and scores, which check shapes themselves, in words of their own.
PARTS = "bench.consumers bench.explaining bench.refits data explain models protocols ranking remove"
SCIENCE = tuple(f"uproar.{part}" for part in PARTS.split())
OWN_WORDS = "uproar.models.scoring"

# An int will do where a float is asked for, as type checkers see it too.
_strict = jaxtyped(typechecker=beartype(conf=BeartypeConf(is_pep484_tower=True)))

# The calls of a function that a test has checked: the steps of a training differ in numbers alone.
CALLS = 8
_calls: Counter[Callable[..., object]] = Counter()

# Python 3.11 fails now and then when two threads of a run parse at once (SystemError: AST
# constructor recursion depth mismatch).
_parsing = Lock()


def checked(target: Callable[..., object]) -> Callable[..., object]:
    """Check the first calls of a function in every test, or whatever a class is made of."""
    if isinstance(target, type):
        return _strict(target)
    strict = cache(lambda: _strict(target))

    @wraps(target)
    def call(*args: object, **kwargs: object) -> object:
        _calls[target] += 1
        return (strict() if _calls[target] <= CALLS else target)(*args, **kwargs)

    return call


def check_anew() -> None:
    """Forget how often functions were called: the next test begins."""
    _calls.clear()


class CheckedFinder(MetaPathFinder):
    """Finds the modules of the science, and has their functions checked.

    Not jaxtyping's own hook: that looks up bytecode under another name for as long as a module is
    executed, so that every package which the module imports is compiled anew, PyTorch among them.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        science = any(fullname == name or fullname.startswith(f"{name}.") for name in SCIENCE)
        if not science or fullname == OWN_WORDS:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = CheckedLoader(spec.loader)
        return spec


class CheckedLoader(Loader):
    """Executes a module whose functions and classes are decorated."""

    def __init__(self, loader: SourceFileLoader) -> None:
        self.loader = loader

    def exec_module(self, module: ModuleType) -> None:
        path = self.loader.path
        with _parsing:
            tree = ast.parse(self.loader.get_data(path), path)
            _Decorated().visit(tree)
            code = compile(tree, path, "exec", dont_inherit=True)
        module.__dict__["__checked__"] = checked
        exec(code, module.__dict__)

    def get_source(self, name: str) -> str | None:
        """Return the source, which tracebacks show."""
        return self.loader.get_source(name)


class _Decorated(ast.NodeVisitor):
    """Decorates what stands in modules and classes.

    Functions within functions are left out: they would be compiled anew whenever the outer one is
    called, at every step of a training.
    """

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if node.name != "__torch_function__":  # PyTorch asks it about every operation
            node.decorator_list.append(_decorator(node))

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        node.decorator_list.insert(0, _decorator(node))
        self.generic_visit(node)


def _decorator(node: ast.stmt) -> ast.expr:
    return ast.copy_location(ast.Name("__checked__", ast.Load()), node)


def check_the_science() -> None:
    """Check shapes and types of all calls in the science, once it is imported."""
    sys.meta_path.insert(0, CheckedFinder())
