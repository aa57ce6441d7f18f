"""Imports run one way; what starts fast imports no torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import uproar

ROOT = Path(uproar.__file__).parent
REGISTRIES = ("data", "explain", "models", "protocols", "remove")

# What each module may import of the package: modules, or packages with all that is in them
# ("data.*"). Every line names lines above it alone, so that there is no way round.
ALLOWED = {
    "types": (),
    "dataset": ("types",),
    "scoring": (),
    "seeding": (),
    "ranking": (),
    "data.*": ("types", "dataset", "seeding"),
    "models.*": ("types", "dataset", "seeding"),
    # An explainer is handed a trained model; leaves know nothing else of each other.
    "explain.*": ("types", "seeding", "models.trained", "models.randomness"),
    "remove.*": ("types", "dataset"),
    "protocols.*": (
        *("types", "dataset", "ranking", "scoring"),
        *("models.batches", "models.learner", "models.training", "remove.removal"),
    ),
    "resampling": (),
    "stats": ("resampling",),
    "intervals": ("resampling",),
    "leaks": ("intervals",),
    "agreement": ("resampling", "stats"),
    "run.*": ("types",),
    # Pictures show the features that ranking puts first.
    "report.*": ("types", "ranking"),
    # Registries and names alone, which import no torch.
    "defaults": ("types", *REGISTRIES),
    "spec": ("types", "defaults", *REGISTRIES, "explain.names"),
    "device": ("types",),
    "job": ("run.*",),
    "effort": ("explain.cost", "explain.names"),
    "plan": (
        *("types", "seeding", "spec", "job", "effort", *REGISTRIES, "explain.names", "run.*"),
    ),
    "results": ("job", "plan", "protocols", "run.*"),
    "conclusions": (
        *("seeding", "protocols", "spec", "results"),
        *("stats", "intervals", "leaks", "agreement"),
    ),
    "testing": (
        *("types", "dataset", "seeding", "ranking"),
        *("data.*", "explain.*", "remove.*", "models.*", "protocols.*"),
    ),
    "explained": ("dataset", "seeding", "models.*"),
    "explanations": (
        *("types", "dataset", "seeding", "ranking"),
        *("explained", "models.*", "explain.*"),
    ),
    "answers": ("dataset", "scoring", "models.*", "explain.*"),
    "settings": (
        *("types", "dataset", "seeding", "spec", "job"),
        *("models.*", "protocols.*", "remove.*", "run.*"),
    ),
    "workbench": (
        *("dataset", "seeding", "device", "job", "plan"),
        *("settings", "answers", "explained", "explanations"),
        *("models.*", "protocols.*", "run.*"),
    ),
    "function": ("resampling", "job", "run.*"),
    "leaderboard": ("conclusions",),
    "result": (
        *("types", "spec", "job", "plan", "results", "conclusions", "intervals"),
        *("function", "leaderboard"),
        *("run.*", "report.*", "presentation"),
    ),
    # Made from a result, which it receives; result imports it on use.
    "presentation": (
        *("types", "dataset", "job", "effort", "results", "function", "result"),
        *("explain", "explain.parameters", "run.*", "report.*"),
    ),
    "outputs": ("result", "run.*"),
    "terminal": ("result", "report.*"),
    "listing": ("types", *REGISTRIES, "explain.cost", "explain.names", "explain.parameters"),
    "preconditions": ("types", "dataset", "spec", "job", "plan", "remove", "run.*"),
    "benchmark": (
        *("types", "dataset", "spec", "device", "job", "effort", "plan", "preconditions"),
        *("result", "outputs", "workbench"),
        *("data.*", "models.*", "run.*"),
    ),
    "cost": (
        *("types", "benchmark", "job", "plan", "workbench"),
        *("models.*", "protocols.*", "run.*"),
    ),
    "evaluation": (
        *("types", "dataset", "defaults", "spec", "result", "benchmark"),
        *("data.*", "models.choice", "explain.given"),
    ),
    "drafting": ("types", "defaults", "preconditions", "data.*", "models"),
    "flags": ("types", "spec"),
    "cli": (
        *("types", "flags", "spec", "result", "outputs", "terminal", "listing"),
        *("benchmark", "cost", "drafting", "run.*"),
    ),
    "__main__": ("cli",),
    # Names that are looked up on use.
    "": ("types", "dataset", "data", "spec", "result", "benchmark", "evaluation", "explain.given"),
}
MUTUAL = {("result", "presentation")}
WITH_TORCH = (
    "device",
    "models.*",
    "explain.*",
    "protocols.*",
    "remove.*",
    "scoring",
    "testing",
    "answers",
    "explained",
    "explanations",
    "settings",
    "workbench",
)
WITH_TORCH += ("benchmark", "cost", "evaluation")  # on use


def modules() -> dict[str, Path]:
    """Return every module by its name within the package; "" is the package itself."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


MODULES = modules()


def imported(path: Path) -> Iterator[str]:
    """Yield what a file imports, wherever it does, as full names of modules."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                is_module = inner.removeprefix("uproar.") in MODULES
                yield inner if is_module else str(node.module)


def within(name: str) -> list[str]:
    """Return the modules of the package that a module imports."""
    own = {other for other in imported(MODULES[name]) if other.split(".")[0] == "uproar"}
    # ``from uproar import __version__`` is no import of what the package hands on.
    return sorted(other.removeprefix("uproar").removeprefix(".") for other in own - {"uproar"})


def line_of(name: str) -> str:
    package = f"{name.split('.', maxsplit=1)[0]}.*"
    return package if package in ALLOWED else name


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_what_its_line_allows(name: str) -> None:
    assert line_of(name) in ALLOWED, f"say in ALLOWED what {name!r} may import"
    allowed = ALLOWED[line_of(name)]
    for other in within(name):
        same_package = line_of(other) == line_of(name)
        assert same_package or other in allowed or line_of(other) in allowed, (
            f"{name or 'uproar'} must not import uproar.{other}"
        )


def test_every_line_names_lines_above_it_alone() -> None:
    lines = list(ALLOWED)
    for position, (line, others) in enumerate(ALLOWED.items()):
        for other in others:
            if (line, other) not in MUTUAL:
                assert line_of(other) in lines[:position], f"{line!r} is above {other!r}"


def test_every_line_is_about_a_module() -> None:
    assert {line_of(name) for name in MODULES} == set(ALLOWED)


def test_leaves_do_not_import_each_other() -> None:
    leaves = {"data.*", "models.*", "explain.*", "remove.*"}
    crossings = {
        (line_of(name), other)
        for name in MODULES
        for other in within(name)
        if {line_of(name), line_of(other)} <= leaves and line_of(name) != line_of(other)
    }
    assert crossings == {("explain.*", "models.trained"), ("explain.*", "models.randomness")}


@pytest.mark.parametrize("name", MODULES)
def test_only_the_science_imports_torch(name: str) -> None:
    packages = {other.split(".")[0] for other in imported(MODULES[name])}
    if line_of(name) not in WITH_TORCH:
        assert "torch" not in packages
    if line_of(name) in {"run.*", "report.*"}:
        assert not packages & {"sklearn", "scipy", "captum", "joblib", "hypothesis"}


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


def test_the_command_line_specs_plans_and_results_import_no_torch() -> None:
    found = loaded_after("uproar.cli", "uproar.spec", "uproar.plan", "uproar.result")
    assert not found & {"torch", "sklearn", "matplotlib"}


def test_the_command_line_starts_without_tables() -> None:
    assert not loaded_after("uproar.cli") & {"torch", "pandas"}
