"""Names and files that mean harm do none: in the page, in file names, and in the store."""

from __future__ import annotations

import html
import os
import pickle
import re
from pathlib import Path

import numpy as np
import pytest

import uproar
from tests.support.small_runs import (
    TUMOURS,
    command,
    content,
    copied,
    finished,
    run,
    silent,
    spec_file,
)
from uproar import Recipe, evaluate
from uproar.results.result import Result

SCRIPT = "<script>alert('pwned')</script>"
IMAGE = '"><img src=x onerror=alert(1)>'
BRACES = "{{ 31337 * 7919 }}{% raise %}"
NAMES = [
    SCRIPT,
    IMAGE,
    BRACES,
    "</script><!--",
    "a\u202eb",
    "ü ☃ 'quoted' \"twice\"",
    "=1+1",
    "[red]x[/red]",
]
SOURCE = Path(uproar.__file__).parent


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Result:
    """A run whose every name means harm, in a folder whose name does too."""
    inputs = np.random.default_rng(0).standard_normal((700, 8)).astype(np.float32)
    labels = (inputs[:, 0] > 0).astype(int)

    def mine(model, inputs, targets, generator):
        return model.gradient(inputs, targets)

    def broken(model, inputs, targets, generator):
        raise ValueError(f"{SCRIPT}\n{IMAGE}\udcff")

    from torch import nn

    return evaluate(
        lambda: nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)),
        (inputs[:500], labels[:500]),
        (inputs[500:], labels[500:]),
        class_names=(SCRIPT, IMAGE),
        feature_names=NAMES,
        explainers={SCRIPT: mine, "../../up & <i>away</i>": mine, "broken": broken, "grad": None},
        name=f"../{SCRIPT} {BRACES}",
        fractions=[0.5],
        repeats=1,
        base_models=1,
        recipe=Recipe(epochs=15),
        out=tmp_path_factory.mktemp("hostile") / "ü <b>out</b> 'q' \"d\" {{ x }}",
        log=silent,
        quiet=True,
    )


@pytest.mark.slow
def test_names_do_no_harm_in_the_page(hostile):
    page = (hostile.out / "report.html").read_text(encoding="utf-8")
    assert SCRIPT not in page
    assert "<img src=x" not in page
    assert "<i>away</i>" not in page
    assert "<b>out</b>" not in page
    assert str(31337 * 7919) not in page
    assert "</script><!--" not in page
    assert html.escape(SCRIPT) in page or "&lt;script&gt;alert" in page


@pytest.mark.slow
def test_the_page_has_no_more_scripts_than_a_harmless_one(hostile):
    def tags(folder):
        page = (folder / "report.html").read_text(encoding="utf-8")
        return len(re.findall(r"<script[^>]*>", page)), len(re.findall(r"\son\w+=", page))

    assert tags(hostile.out)[0] <= tags(finished("digits"))[0]


@pytest.mark.slow
def test_file_names_come_from_hashes_alone(hostile):
    folder = hostile.out
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    for path in folder.rglob("*"):
        assert re.fullmatch(r"[a-z0-9.-]+", path.name), path.name


def test_tables_hold_the_names_as_they_are(hostile):
    board = hostile.leaderboard().set_index("explainer")
    assert {SCRIPT, "../../up & <i>away</i>", "grad", "random"} == set(board.index)
    ((what, error, _),) = hostile.failed
    assert what == "explain: broken"
    assert SCRIPT in error
    again = Result.read(hostile.out)
    assert again.spec == hostile.spec
    assert again.table.equals(hostile.table)


def test_latex_and_figures_take_such_names(hostile):
    text = hostile.to_latex()
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
    assert r"\& <i>away" in text
    assert hostile.plot().axes


def test_the_terminal_prints_names_as_they_are(hostile, capsys, monkeypatch):
    ended = command(capsys, monkeypatch, ("status", hostile.out), columns=300)
    assert ended.code == 0
    assert hostile.out.name in ended.output


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["-dash [red]out[/red]", "with space ü☃ a'b\"c;b&c$d"], ids=["markup", "quotes"]
)
def test_folders_of_any_name(name, tmp_path, capsys, monkeypatch):
    given = spec_file({**TUMOURS, "protocols": "no-retrain"}, tmp_path)
    out = tmp_path / name
    ended = command(capsys, monkeypatch, ("run", "-c", given, "--out", out), columns=200)
    assert ended.code == 0
    assert f"report: {out / 'report.html'}" in ended.output
    again = command(capsys, monkeypatch, ("run", "-c", given, "--out", out), columns=200)
    assert f"already finished: {out}" in again.errors
    for arguments in (("report", out), ("status", out)):
        assert command(capsys, monkeypatch, arguments, columns=200).code == 0


@pytest.mark.slow
def test_the_command_in_the_page_is_quoted_for_the_shell(tmp_path):
    result = run({**TUMOURS, "protocols": "no-retrain"}, tmp_path / "a b; rm c")
    page = html.unescape(result.to_html().read_text())
    assert "--out 'a b; rm c'" in page


def test_nothing_in_the_source_can_unpickle():
    forbidden = re.compile(
        r"allow_pickle\s*=\s*True|torch\.load|\bpickle\b\s*\.|import pickle|joblib\.load|"
        r"read_pickle|np\.load\((?!\w+, allow_pickle=False\))|yaml\.load|\beval\(|\bexec\("
    )
    # The suites send what they are handed through pickle and back, as examples do.
    files = [path for path in SOURCE.rglob("*.py") if path.parent.name != "testing"]
    found = [
        f"{path.name}: {line.strip()}"
        for path in files
        for line in path.read_text().splitlines()
        if not line.lstrip().startswith((">>>", "..."))
        if forbidden.search(line.split("#")[0]) and ".eval()" not in line
    ]
    assert found == []


class Bomb:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.slow
def test_planted_pickles_are_noticed_and_not_run(tmp_path):
    out, mark = copied("tumours", tmp_path), tmp_path / "mark"
    kinds = ("base-model", "explain", "roar", "conclusions")
    for kind in kinds:
        planted = sorted((out / "store/cells" / kind).iterdir())[0]
        planted.write_bytes(pickle.dumps(Bomb(mark)))
    result = run(TUMOURS, out)
    assert result.complete
    result.to_html()
    assert not mark.exists()
    for kind in kinds:
        assert any(f"damaged outcome of {kind}" in line for line in result.store.damaged), kind
    before = content(finished("tumours"))
    assert content(out)["results.parquet"] == before["results.parquet"]
    pickle.loads(pickle.dumps(Bomb(mark)))
    assert mark.exists()  # the bomb was live


def test_a_planted_note_is_noticed(tmp_path):
    out = copied("tumours", tmp_path)
    (out / "store/failures").mkdir(exist_ok=True)
    (out / "store/failures" / f"{'0' * 32}.json").write_text('{"record": {"kind": "../../x"}}')
    result = Result.read(out)
    assert result.failed == ()
    assert any("damaged record" in line for line in result.store.damaged)
