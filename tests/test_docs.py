"""The documents hold: their code runs, their commands parse, what they name exists."""

from __future__ import annotations

import doctest
import importlib
import re
import shlex
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import test_explain_registry as conformance
import uproar
from uproar.cli import _benchmark, app
from uproar.explain import AGGREGATIONS, ENSEMBLES, EXPLAINERS
from uproar.protocols import PROTOCOLS
from uproar.remove import REMOVALS
from uproar.types import Entry

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
REGISTRIES = {
    "uproar.data": "DATA",
    "uproar.explain": "EXPLAINERS",
    "uproar.models": "MODELS",
    "uproar.protocols": "PROTOCOLS",
    "uproar.remove": "REMOVALS",
}


def name_of(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


@dataclass(frozen=True)
class Block:
    document: Path
    line: int
    code: str

    def compiled(self, mode: str = "exec") -> Any:
        """Compile with the document's own line numbers, for tracebacks."""
        return compile("\n" * self.line + self.code, name_of(self.document), mode)


def blocks(document: Path, language: str) -> list[Block]:
    text = document.read_text(encoding="utf-8")
    return [
        Block(document, text[: found.start()].count("\n") + 1, textwrap.dedent(found[3]))
        for found in FENCE.finditer(text)
        if found[2] == language
    ]


def inline_code(document: Path) -> list[str]:
    prose = FENCE.sub("", document.read_text(encoding="utf-8"))
    return re.findall(r"`([^`\n]+)`", prose)


def commands(document: Path) -> list[list[str]]:
    lines = [line for block in blocks(document, "console") for line in block.code.splitlines()]
    return [shlex.split(line.removeprefix("$ "), comments=True) for line in lines]


def resolve(dotted: str) -> Any:
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            found = getattr(found, part)
        return found
    raise AssertionError(f"{dotted} cannot be imported")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["README.md", "docs/method.md", "docs/python.md"])
def test_code_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "document"}
    found = blocks(ROOT / name, "python")
    assert found
    for block in found:
        exec(block.compiled(), namespace)


def test_all_code_is_run_by_a_test() -> None:
    run = {"README.md", "CONTRIBUTING.md", "docs/method.md", "docs/python.md"}
    assert {name_of(d) for d in DOCUMENTS if blocks(d, "python")} == run


def module_of(block: Block) -> Any:
    """Return the module whose file the first line names."""
    path = block.code.splitlines()[0].removeprefix("# ")
    assert (ROOT / path).is_file()
    dotted = path.removeprefix("src/").removesuffix(".py").removesuffix("/__init__")
    return importlib.import_module(dotted.replace("/", "."))


def add_objects(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a block inside a copy of its module, and add what it defines, its examples tested."""
    module = module_of(block)
    namespace = dict(vars(module))
    exec(block.compiled(), namespace)
    for name in namespace.keys() - vars(module).keys() - {"__builtins__"}:
        monkeypatch.setattr(module, name, namespace[name], raising=False)
        for test in doctest.DocTestFinder().find(namespace[name], name, globs=namespace):
            doctest.DebugRunner(verbose=False).run(test)


def add_entry(block: Block, monkeypatch: pytest.MonkeyPatch) -> Entry:
    """Evaluate an entry and add it to its registry, wherever that was imported."""
    module = module_of(block)
    entry = eval(block.compiled("eval"), dict(vars(module)))
    assert isinstance(entry, Entry)
    assert callable(entry.load())
    before = vars(module)[REGISTRIES[module.__name__]]
    for other in list(sys.modules.values()):
        if other.__name__.partition(".")[0] in {"uproar", "test_explain_registry"}:
            for name in [name for name, value in vars(other).items() if value is before]:
                monkeypatch.setattr(other, name, (*before, entry))
    return entry


def test_contributions_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    added: dict[str, Entry] = {}
    for block in blocks(ROOT / "CONTRIBUTING.md", "python"):
        module = module_of(block).__name__
        if module in REGISTRIES:
            added[module] = add_entry(block, monkeypatch)
        else:
            add_objects(block, monkeypatch)
    assert added.keys() == REGISTRIES.keys()
    explainer = added["uproar.explain"]
    conformance.test_entry_is_complete(explainer)
    conformance.test_attribution_has_the_inputs_shape_also_for_one_example(explainer)
    for name in (explainer.name, f"sg-{explainer.name}", f"abs-{explainer.name}"):
        for layout in conformance.LAYOUTS:
            conformance.test_importance_is_finite_repeatable_and_of_the_features_shape(name, layout)
    spec = uproar.Spec.from_mapping(
        {
            "data": added["uproar.data"].name,
            "model": added["uproar.models"].name,
            "explainers": [explainer.name],
            "removals": [added["uproar.remove"].name],
            # A new protocol is only complete with steps that are no code blocks.
            "protocols": ["roar", "retrain-once"],
            "fractions": [0.5],
            "repeats": 1,
            "retrain_once_epochs": 2,
        }
    )
    result = uproar.Benchmark(spec, tmp_path, log=lambda _: None, quiet=True).run()
    assert result.complete
    assert not result.failed
    assert not result.skipped
    assert set(result.leaderboard()["explainer"]) == {explainer.name, "random"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_commands_parse(document: Path) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for words in commands(document):
        assert words[0].removeprefix(".venv/bin/") in {"uproar", "make", "pip", "python", "ruff"}
        if words[0] == "make":
            assert set(words[1:]) <= set(targets)
        if words[0] != "uproar":
            assert all((ROOT / word).exists() for word in words if word.startswith("tests/"))
            continue
        command = vars(get_command(app))["commands"][words[1]]
        given = command.make_context(words[1], words[2:]).params
        if words[1] in {"run", "plan"} and given["config"] is None:
            _benchmark(given).spec.checked()


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_what_is_named_exists(document: Path) -> None:
    for code in inline_code(document):
        if re.match(r"(src|tests|docs|benchmarks)/", code):
            path, _, test = code.partition("::")
            assert (ROOT / path).exists(), code
            assert not test or f"def {test}(" in (ROOT / path).read_text(), code
        elif re.fullmatch(r"uproar(\.\w+)+", code):
            resolve(code)
        elif code.startswith("uproar "):
            command = vars(get_command(app))["commands"][code.split()[1]]
            options = [option for parameter in command.params for option in parameter.opts]
            assert set(re.findall(r"--[a-z-]+", code)) <= set(options), code


def anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_resolve(document: Path) -> None:
    prose = FENCE.sub("", document.read_text(encoding="utf-8"))
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def first_column(heading: str) -> list[str]:
    """Return what stands in code in the first column of README's table under a heading."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").split(f"\n## {heading}\n")[1]
    return re.findall(r"^\| `([^`]+)`", section.split("\n## ")[0], re.MULTILINE)


def test_readme_lists_the_files_of_a_run(tmp_path: Path) -> None:
    spec = uproar.Spec.from_mapping(
        {
            "data": "hooker-toy",
            "explainers": ["true-ranking"],
            "protocols": ["no-retrain"],
            "fractions": [0.25],
        }
    )
    uproar.Benchmark(spec, tmp_path, log=lambda _: None, quiet=True).run()
    assert sorted(first_column("Files of a run")) == sorted(p.name for p in tmp_path.iterdir())


def test_readme_lists_all_commands() -> None:
    named = [command.split()[1] for command in first_column("Commands")]
    assert sorted(named) == sorted(vars(get_command(app))["commands"])


def test_method_describes_everything_registered() -> None:
    words = {re.sub(r"-E$", "", code) for code in inline_code(ROOT / "docs" / "method.md")}
    entries = (*EXPLAINERS, *ENSEMBLES, *AGGREGATIONS, *REMOVALS, *PROTOCOLS)
    assert {entry.name for entry in entries} <= words
