"""The documents hold: their code runs, their commands parse, what they name exists."""

from __future__ import annotations

import ast
import doctest
import importlib
import re
import shlex
import shutil
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from jinja2 import ChoiceLoader, DictLoader
from typer.main import get_command
from typer.testing import CliRunner

import uproar
from tests import test_registries as registries
from tests.data import test_data as data_conformance
from tests.explain import test_conformance as suite
from tests.explain import test_properties as properties
from tests.explain import test_registry as conformance
from tests.protocols import test_conformance as protocol_conformance
from tests.support.report_content import make_content
from tests.support.zoo import CASES
from uproar import testing
from uproar.bench.checks import fitting_removals
from uproar.cli.app import _benchmark, app
from uproar.cli.markdown import explainers_page
from uproar.data import DataSet
from uproar.explain import AGGREGATIONS, ENSEMBLES, EXPLAINERS, VARIANTS
from uproar.explain.explainer import PROMISES, Explainer
from uproar.models import MODELS
from uproar.protocols import PROTOCOLS
from uproar.registry import Entry
from uproar.remove import REMOVALS, Operator
from uproar.report import page
from uproar.report.sections import SECTIONS
from uproar.types import Kind, Recipe

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
PAGES: dict[str, Kind] = {
    "docs/tables.md": "table",
    "docs/images.md": "image",
    "docs/text.md": "text",
    "docs/series.md": "series",
}
RUN = ["README.md", "docs/method.md", "docs/python.md", "docs/models.md", *PAGES]
REGISTRIES = {
    "uproar.data": [("uproar.data", "DATA")],
    "uproar.explain.gradients": [
        ("uproar.explain.gradients", "GRADIENTS"),
        ("uproar.explain", "EXPLAINERS"),
    ],
    "uproar.models": [("uproar.models", "MODELS")],
    "uproar.protocols": [("uproar.protocols", "PROTOCOLS")],
    "uproar.remove": [("uproar.remove", "REMOVALS")],
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
    commands = [line.removeprefix("$ ").partition(" > ")[0] for line in lines]
    return [shlex.split(command, comments=True) for command in commands]


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


SMALL = {
    "fractions": [0.25, 0.5],
    "repeats": 1,
    "base_models": 1,
    "mask_only_repeats": 1,
    "retrain_once_epochs": 5,
    "bootstrap_draws": 400,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RUN)
def test_code_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a document asks for is run; what it leaves open is as little as can be."""
    whole = uproar.Spec.from_mapping

    def small(values: dict[str, Any], **known: str) -> uproar.Spec:
        return whole({**SMALL, **values}, **known)

    monkeypatch.setattr(uproar.Spec, "from_mapping", small)
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "document"}
    found = blocks(ROOT / name, "python")
    assert found
    for block in found:
        exec(block.compiled(), namespace)


def test_all_code_is_run_by_a_test() -> None:
    run = {*RUN, "CONTRIBUTING.md"}
    assert {name_of(d) for d in DOCUMENTS if blocks(d, "python")} == run


def module_of(block: Block) -> Any:
    """Return the module whose file the first line names."""
    path = block.code.splitlines()[0].removeprefix("# ")
    assert (ROOT / path).is_file()
    dotted = path.removeprefix("src/").removesuffix(".py").removesuffix("/__init__")
    return importlib.import_module(dotted.replace("/", "."))


def add_objects(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a block inside a copy of its module, and add what it defines, its examples tested.

    Tests are run.
    """
    module = module_of(block)
    namespace = dict(vars(module))
    exec(block.compiled(), namespace)
    for name in namespace.keys() - vars(module).keys() - {"__builtins__"}:
        monkeypatch.setattr(module, name, namespace[name], raising=False)
        for test in doctest.DocTestFinder().find(namespace[name], name, globs=namespace):
            doctest.DebugRunner(verbose=False).run(test)
        if name.startswith("test_"):
            namespace[name]()


def add_entry(block: Block, monkeypatch: pytest.MonkeyPatch) -> Entry:
    """Evaluate an entry and add it to its registry, wherever that was imported."""
    module = module_of(block)
    entry = eval(block.compiled("eval"), dict(vars(module)))
    assert isinstance(entry, Entry)
    assert callable(entry.load())
    for package, registry in REGISTRIES[module.__name__]:
        before = getattr(importlib.import_module(package), registry)
        for other in list(sys.modules.values()):
            if other.__name__.partition(".")[0] in {"uproar", "tests"}:
                for name in [name for name, value in vars(other).items() if value is before]:
                    monkeypatch.setattr(other, name, (*before, entry))
    return entry


def check_added_explainer(entry: Explainer) -> None:
    """Run what every explainer must do."""
    conformance.test_entry_is_complete(entry)
    conformance.test_small_parameters_and_those_of_promises_are_valid(entry)
    for parameter in entry.parameters:
        conformance.test_objects_are_held_to_the_bounds_of_their_entries(entry, parameter)
    for layout in testing.LAYOUTS:
        conformance.test_explainer_passes_the_public_check(entry, layout)
    for case in CASES:
        suite.test_what_is_claimed_is_explained_and_the_rest_has_a_reason(entry, case)
    for name in (entry.name, f"sg-{entry.name}", f"abs-{entry.name}"):
        for layout in conformance.OF_DENSE_MODULES:
            conformance.test_importance_is_finite_repeatable_and_of_the_features_shape(name, layout)
    for promise in PROMISES:
        if promise in entry.promises:
            properties.test_promises_are_kept(entry, promise)
    assert "adds up" not in entry.promises
    properties.test_what_is_not_promised_is_broken_somewhere(entry, "adds up")
    assert f"| `{entry.name}` | {entry.summary} |" in explainers_page()


def check_added_removal(entry: Operator) -> None:
    """Run what every removal must do, on the layouts of data that the entry is for."""
    for layout, of in testing.REMOVAL_LAYOUTS.items():
        if entry.fits(of.kind):
            testing.check_removal(entry.load(), layout, shows_through=entry.shows_through)


def check_added_data(entry: DataSet) -> None:
    """Run what every data set must do."""
    registries.test_a_data_set_has_a_registered_model_and_a_removal_that_fit_it(entry)
    data_conformance.test_a_data_set_is_what_it_says(entry.name)
    data_conformance.test_no_example_is_in_two_splits(entry.name)
    data_conformance.test_the_seed_decides_the_split_and_nothing_else_does(entry.name)


@pytest.mark.slow
def test_contributions_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    added: dict[str, Entry] = {}
    for block in blocks(ROOT / "CONTRIBUTING.md", "python"):
        if of_the_page(block):
            continue  # see test_the_recipe_of_a_section_works
        module = module_of(block).__name__
        if module in REGISTRIES:
            added[module] = add_entry(block, monkeypatch)
        else:
            add_objects(block, monkeypatch)
    assert added.keys() == REGISTRIES.keys()
    for what, entry in added.items():
        registries.test_an_entry_loads_and_is_described(what.split(".")[1], entry)
    explainer = added["uproar.explain.gradients"]
    check_added_explainer(explainer)
    check_added_removal(added["uproar.remove"])
    check_added_data(added["uproar.data"])
    spec = uproar.Spec.from_mapping(
        {
            "data": added["uproar.data"].name,
            "model": added["uproar.models"].name,
            "explainers": [explainer.name],
            "removals": [added["uproar.remove"].name],
            "protocols": ["roar", "retrain-once", added["uproar.protocols"].name],
            "fractions": [0.5],
            "repeats": 1,
            "retrain_once_epochs": 2,
        }
    )
    result = uproar.Benchmark(spec, tmp_path, log=lambda _: None, quiet=True).run()
    assert result.complete
    assert not result.failed
    assert not result.skipped
    board = result.leaderboard().set_index("explainer")
    assert set(board.index) == {explainer.name, "random"}
    assert board["keep_least_gain"].notna().all()
    for test in (
        protocol_conformance.test_the_ends_are_the_same_for_all_rankings,
        protocol_conformance.test_repeats_are_paired_by_their_seeds,
    ):
        test(added["uproar.protocols"].name)


def path_of(block: Block) -> PurePosixPath:
    """Return the path that the first line names, in a comment of its language."""
    return PurePosixPath(block.code.splitlines()[0].strip("{# }"))


def of_the_page(block: Block) -> bool:
    return path_of(block).is_relative_to("src/uproar/report/sections")


@pytest.mark.slow
def test_the_recipe_of_a_section_works(monkeypatch: pytest.MonkeyPatch) -> None:
    code, line = filter(of_the_page, blocks(ROOT / "CONTRIBUTING.md", "python"))
    (template,) = filter(of_the_page, blocks(ROOT / "CONTRIBUTING.md", "jinja"))
    module = ModuleType(path_of(code).stem)
    exec(code.compiled(), vars(module))
    section = eval(line.compiled("eval"), {**vars(module_of(line)), module.__name__: module})
    assert path_of(code).with_suffix(".html.j2") == path_of(template)
    loader = DictLoader({f"sections/{path_of(template).name}": template.code})
    environment = page._environment()
    monkeypatch.setattr(environment, "loader", ChoiceLoader([environment.loader, loader]))
    shown = page.render(make_content(), sections=(*SECTIONS, section))
    assert '<a href="#winners">Winners</a>' in shown
    assert "<ul><li>ig</li><li>sg-ig</li>" in shown
    silent = page.render(make_content(protocols=()), sections=(*SECTIONS, section))
    assert "winners" not in silent


@pytest.fixture
def files_of_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the files that the documents speak of; only their names are looked at.

    An archive is opened, because the axes of its arrays say what it holds.
    """
    for name in ("table.csv", "customers.csv", "reviews.tsv", "images.zip"):
        (tmp_path / name).touch()
    np.savez(tmp_path / "heartbeats.npz", inputs=np.zeros((4, 1, 5)), labels=np.arange(4) % 2)
    shutil.copytree(ROOT / "docs" / "findings", tmp_path / "docs" / "findings")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("files_of_examples")
@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_commands_parse(document: Path) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for words in commands(document):
        assert words[0].removeprefix(".venv/bin/") in {"uproar", "make", "pip", "python", "ruff"}
        if words[0] == "make":
            assert {word for word in words[1:] if "=" not in word} <= set(targets)
        if words[0] != "uproar":
            named = [word.rpartition("=")[2] for word in words]
            assert all((ROOT / word).exists() for word in named if word.startswith("tests/"))
            continue
        command = vars(get_command(app))["commands"][words[1]]
        given = command.make_context(words[1], words[2:]).params
        if words[1] in {"run", "plan"} and given["config"] is None:
            _benchmark(given).spec.checked()


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_specs_are_valid(document: Path, files_of_examples: Path) -> None:
    for block in blocks(document, "toml"):
        spec = files_of_examples / "spec.toml"
        spec.write_text(block.code, encoding="utf-8")
        uproar.Spec.from_toml(spec).checked()


FINDINGS = sorted((ROOT / "docs" / "findings").glob("*.toml"))


@pytest.mark.parametrize("spec", FINDINGS, ids=lambda path: path.stem)
def test_findings_are_those_of_their_specs(spec: Path) -> None:
    page = (ROOT / "docs" / "findings.md").read_text(encoding="utf-8")
    table = page.split(f"<!-- {spec.stem} -->")[1].split("<!-- end -->")[0]
    named = re.findall(r"(?m)^\| `([^`]+)` \|", table)
    assert sorted(named) == sorted(uproar.Spec.from_toml(spec).checked().explainers)
    assert f"(findings/{spec.stem}.png)" in page


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


def sentence_of(path: Path) -> str:
    """Return the first sentence of a module, as the tree of the source shows it."""
    documentation = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(documentation.split("\n\n")[0].split()).rstrip(".")


@pytest.mark.slow
def test_the_reading_order_is_the_tree() -> None:
    page = (ROOT / "docs" / "reading-order.md").read_text(encoding="utf-8")
    lines = re.findall(
        r"(?m)^ *(?:- |\*\*)`(src/\S+)`(?:\*\*)?: (.+)$", page.split("## The tree")[1]
    )
    source = ROOT / "src" / "uproar"
    wanted = {path.relative_to(ROOT).as_posix(): path for path in source.rglob("*.py")}
    found = {f"{name}__init__.py" if name.endswith("/") else name: told for name, told in lines}
    assert len(found) == len(lines)
    assert found == {name: sentence_of(path) for name, path in wanted.items()}


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


@pytest.mark.slow
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


def test_everything_registered_is_described() -> None:
    pages = [ROOT / name for name in ("docs/method.md", "docs/explainers.md", *PAGES)]
    words = {code for page in pages for code in inline_code(page)}
    entries = (*EXPLAINERS, *REMOVALS, *PROTOCOLS)
    assert {entry.name for entry in entries} <= words
    prefixes = {f"{entry.name}-" for entry in (*ENSEMBLES, *AGGREGATIONS, *VARIANTS)}
    assert prefixes <= words


def test_the_page_of_explainers_is_written_by_the_command() -> None:
    written = CliRunner().invoke(app, ["list", "explainers", "--markdown"])
    assert written.exit_code == 0
    page = (ROOT / "docs" / "explainers.md").read_bytes()
    assert page == written.stdout_bytes, "uproar list explainers --markdown > docs/explainers.md"
    for entry in EXPLAINERS:
        assert page.decode().count(f"\n| `{entry.name}` | {entry.summary} |") == 1, entry.name


def rows_under(document: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table under a heading, without its head."""
    section = (ROOT / document).read_text(encoding="utf-8").split(f"\n## {heading}\n")[1]
    lines = re.findall(r"(?m)^\|.*\|$", section.split("\n## ")[0])
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.parametrize(("page", "kind"), PAGES.items())
def test_pages_describe_the_removals_of_their_kind(page: str, kind: Kind) -> None:
    named = [re.findall("`([^`]+)`", what)[0] for what, *_ in rows_under(page, "Removals")]
    assert sorted(named) == sorted(fitting_removals(kind))


def test_recipes_are_those_of_the_models() -> None:
    listed: dict[str, list[str]] = {}
    for models, _, *cells in rows_under("docs/models.md", "Recipes"):
        recipe = [cell.strip("`") for cell in cells]
        listed |= dict.fromkeys(re.findall("`([^`]+)`", models), recipe)
    fields = ("optimiser", "learning_rate", "schedule", "epochs", "batch_size", "weight_decay")
    for entry in MODELS:
        recipe = Recipe(**dict(entry.recipe))
        expected = [str(getattr(recipe, field)) for field in (*fields, "label_smoothing")]
        assert [plain(cell) for cell in listed[entry.name]] == list(map(plain, expected))


def plain(cell: str) -> str | float:
    return float(cell) if re.fullmatch(r"[\d.e-]+", cell) else cell
