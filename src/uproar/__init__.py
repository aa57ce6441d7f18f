"""uproar: which explanation of your model can you trust, and how sure can you be of it?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uproar.bench.benchmark import Benchmark
    from uproar.bench.evaluate import evaluate
    from uproar.data import load
    from uproar.dataset import Data, Split
    from uproar.explain.packages.given import on_arrays
    from uproar.plan.spec import Spec
    from uproar.results.result import Result
    from uproar.types import Recipe, Source, UproarError

__version__ = "0.1.0"

_HOMES = {
    "Benchmark": "uproar.bench.benchmark",
    "Data": "uproar.dataset",
    "Recipe": "uproar.types",
    "Result": "uproar.results.result",
    "Source": "uproar.types",
    "Spec": "uproar.plan.spec",
    "Split": "uproar.dataset",
    "UproarError": "uproar.types",
    "evaluate": "uproar.bench.evaluate",
    "load": "uproar.data",
    "on_arrays": "uproar.explain.packages.given",
}
__all__ = [
    "Benchmark",
    "Data",
    "Recipe",
    "Result",
    "Source",
    "Spec",
    "Split",
    "UproarError",
    "__version__",
    "evaluate",
    "load",
    "on_arrays",
]


def __getattr__(name: str) -> Any:
    """Import public names on use: ``import uproar`` alone takes no time."""
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module 'uproar' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
