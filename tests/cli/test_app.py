"""The command line: what each command prints, leaves behind and exits with."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.small_runs import (
    DIGITS,
    FILES,
    PROGRAM,
    TUMOURS,
    command,
    content,
    copied,
    finished,
    spec_file,
    stamps,
)
from uproar.data import DATA
from uproar.explain import AGGREGATIONS, ENSEMBLES, EXPLAINERS, VARIANTS
from uproar.models import MODELS
from uproar.plan.spec import Spec
from uproar.protocols import PROTOCOLS
from uproar.remove import REMOVALS
from uproar.results.result import Result

WITHOUT_TORCH = """
import json, sys
from uproar.cli import main
for command in json.loads(sys.argv[1]):
    sys.argv[1:] = command
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, ended.code
    heavy = {"torch", "sklearn", "matplotlib"} & set(sys.modules)
    assert not heavy, (command, heavy)
    print(end="\\f", flush=True)
"""


@dataclass(frozen=True)
class WithoutTorch:
    """What commands printed, what the first folder held before, and both folders."""

    printed: dict[str, str]
    before: tuple[dict[str, bytes], dict[str, int]]
    again: Path
    rebuilt: Path


@pytest.fixture
def uproar(capsys, monkeypatch):
    return lambda *arguments, columns=150: command(capsys, monkeypatch, arguments, columns)


@pytest.fixture(scope="module")
def without_torch(tmp_path_factory):
    """Return what commands print that are run in one process, and the folders that they change."""
    again, rebuilt = (copied("digits", tmp_path_factory.mktemp(name)) for name in ("again", "new"))
    before = content(again), stamps(again)
    for name in set(FILES) - {"spec.toml"}:
        (rebuilt / name).unlink()
    commands = {
        "help": ("run", "--help"),
        "status": ("status", again),
        "run": ("run", "--config", again / "spec.toml", "--out", again),
        "report": ("report", rebuilt),
    }
    given = json.dumps([[str(word) for word in command] for command in commands.values()])
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, given],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    printed = dict(zip(commands, ended.stdout.split("\f")[:-1], strict=True))
    return WithoutTorch(printed, before, again, rebuilt)


@pytest.mark.parametrize("name", ["run", "plan", "status", "report", "list"])
def test_every_command_teaches_by_example(uproar, name):
    ended = uproar(name, "--help")
    assert ended.code == 0
    assert re.search(rf"Examples?: .*uproar {name} \w", ended.output), ended.output


def test_help_says_where_to_start_and_shows_defaults_in_brackets(uproar):
    assert "uproar run digits" in uproar("--help").output
    options = uproar("run", "--help").output
    assert "[default: digits]" in options
    assert "[default: runs/DATA]" in options
    for flag in [
        "model",
        "explainers",
        "protocols",
        "removals",
        "fractions",
        "repeats",
        "base-models",
        "seed",
        "device",
        "out",
        "config",
        "quiet",
    ]:
        assert f"--{flag}" in options


@pytest.mark.slow
def test_the_help_texts_need_no_torch(without_torch):
    assert "Examples" in without_torch.printed["help"]


def test_importing_the_package_needs_nothing_heavy():
    program = (
        "import sys, uproar; dir(uproar); "
        "assert not {'torch', 'numpy', 'pandas', 'pydantic', 'rich'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=600)


@pytest.mark.slow
def test_run_prints_the_leaderboard_and_says_where_the_report_is(uproar, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = uproar(
        *("run", "digits", "--explainers", "random,grad", "--fractions", "0.5"),
        *("--repeats", "1", "--base-models", "1", "--protocols", "roar,mask-only"),
    )
    assert ended.code == 0, ended.errors
    assert "digits, mlp, removal mean" in ended.output
    assert "ROAR verdict" in ended.output
    assert "withheld: mask leaks" in ended.output
    assert ended.output.splitlines()[-1] == "report: runs/digits/report.html"
    assert "training: dense" in ended.errors
    assert "cells (100%)" in ended.errors
    assert set(FILES) | {"store"} == {path.name for path in (tmp_path / "runs/digits").iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("columns", [80, 100, 150])
def test_the_verdict_is_legible_on_narrow_terminals(uproar, columns):
    out = finished("digits")
    ended = uproar("run", "--config", out / "spec.toml", "--out", out, columns=columns)
    assert ended.code == 0
    # Cautions and where the report is are not broken into lines, so that they can be copied.
    whole = Result.read(out).cautions
    lines = [line for line in ended.output.splitlines()[:-1] if line not in whole]
    assert max(map(len, lines)) <= columns
    assert "withheld: mask" in ended.output
    assert "…" not in ended.output
    words = " ".join(ended.output.split())
    assert ("Intervals are in leaderboard.csv" in words) == (columns < 150)


@pytest.mark.slow
def test_quiet_prints_nothing_when_all_is_well(uproar, tmp_path):
    given = spec_file(TUMOURS, tmp_path)
    for _ in range(2):
        ended = uproar("run", "--config", given, "--out", tmp_path / "out", "--quiet")
        assert (ended.code, ended.output, ended.errors) == (0, "", "")


@pytest.mark.slow
def test_the_spec_that_a_run_writes_reproduces_it(uproar, tmp_path):
    first = finished("tumours")
    assert uproar("run", "-c", first / "spec.toml", "--out", tmp_path / "again", "-q").code == 0
    for name in ("results.parquet", "results.csv", "gains.csv", "spec.toml"):
        assert (tmp_path / "again" / name).read_bytes() == (first / name).read_bytes(), name


@pytest.mark.slow
def test_the_spec_file_is_complete():
    saved = (finished("digits") / "spec.toml").read_text()
    for name in Spec.model_fields:
        assert re.search(rf"^(\[{name}\]|{name} = )", saved, re.MULTILINE), name


@pytest.mark.slow
def test_flags_override_the_spec_file(uproar, tmp_path):
    given, out = spec_file(TUMOURS, tmp_path), tmp_path / "out"
    flags = {
        "--explainers": "random,grad",
        "--protocols": "mask-only,roar",
        "--removals": "zero,mean",
        "--fractions": "0.7,0.2",
        "--repeats": "1",
        "--base-models": "2",
        "--seed": "7",
        "--model": "mlp",
        "--device": "cpu",
    }
    ended = uproar("run", "-c", given, "--out", out, "-q", *sum(flags.items(), ()))
    assert ended.code == 0, ended.errors
    spec = Result.read(out).spec
    assert spec.explainers == ("random", "grad")
    assert spec.protocols == ("roar", "mask-only")
    assert spec.removals == ("zero", "mean")
    assert spec.fractions == (0.2, 0.7)
    # Each base model has a repeat at least.
    assert (spec.repeats, spec.base_models, spec.seed) == (2, 2, 7)
    assert (spec.model, spec.device, spec.data) == ("mlp", "cpu", "breast-cancer")
    assert spec.recipe.epochs == TUMOURS["recipe"]["epochs"]


@pytest.mark.slow
def test_running_a_finished_run_again_changes_nothing_and_needs_no_torch(without_torch):
    out = without_torch.again
    assert "withheld" in without_torch.printed["run"]
    assert (content(out), stamps(out)) == without_torch.before


@pytest.mark.slow
def test_report_rebuilds_everything_from_the_store_without_torch(without_torch):
    out = without_torch.rebuilt
    assert without_torch.printed["report"] == f"report: {out / 'report.html'}\n"
    assert content(out) == without_torch.before[0]


def test_status_counts_cells_before_during_and_after(uproar, tmp_path):
    out = copied("digits", tmp_path)
    rows = uproar("status", out).output
    assert re.search(r"explain +│ +4 +│ +│ +│ +│", rows), rows
    assert "not finished" not in rows
    for half in list((out / "store/cells/kar").iterdir())[:2]:
        half.unlink()
    rows = uproar("status", out).output
    assert re.search(r"kar +│ +2 +│ +│ +│ +2 +│", rows), rows
    assert "not finished: `uproar run` with the same flags goes on" in rows
    ended = uproar("status", tmp_path / "nothing")
    assert ended.code == 2
    assert "holds no run" in ended.errors


@pytest.mark.slow
def test_status_needs_no_torch(without_torch):
    assert "store: " in without_torch.printed["status"]


@pytest.mark.parametrize(
    ("what", "entries"),
    [
        ("removals", REMOVALS),
        ("protocols", PROTOCOLS),
        ("data", DATA),
        ("models", MODELS),
    ],
)
def test_list_names_all_there_is(uproar, what, entries):
    ended = uproar("list", what, columns=200)
    assert ended.code == 0
    for entry in entries:
        assert re.search(rf"│ {re.escape(entry.name)} +│", ended.output), entry.name
        assert entry.paper.split(",")[0] in " ".join(ended.output.split())


def test_list_names_explainers_and_prefixes_and_tells_one_in_full(uproar):
    ended = uproar("list", "explainers", columns=80)
    assert ended.code == 0
    for entry in EXPLAINERS:
        assert re.search(rf"^ +{re.escape(entry.name)} ", ended.output, re.MULTILINE), entry.name
    for entry in (*VARIANTS, *ENSEMBLES, *AGGREGATIONS):
        assert re.search(rf"^ +{entry.name}- ", ended.output, re.MULTILINE), entry.name
    one = uproar("list", "explainers", "sg-ig:steps=7")
    assert (one.code, one.output.splitlines()[0]) == (0, "sg-ig:steps=7")
    wrong = uproar("list", "explainers", "igg")
    assert wrong.code == 2
    assert "did you mean 'ig'" in wrong.errors


@pytest.mark.parametrize("words", [("removals",), ("explainers", "ig")])
def test_the_page_is_that_of_all_explainers(uproar, words):
    assert uproar("list", "explainers", "--markdown").output.splitlines()[2] == "# Explainers"
    refused = uproar("list", *words, "--markdown")
    assert (refused.code, refused.output) == (2, "")
    assert "--markdown is for the page of all explainers" in refused.errors


def test_list_shows_needs_and_directions(uproar):
    assert "needs gradients, ReLU modules" in uproar("list", "explainers", columns=200).output
    assert re.search(r"roar .* lower .*Hooker", uproar("list", "protocols", columns=200).output)


@pytest.mark.slow
def test_plan_says_what_it_would_cost_and_writes_nothing(uproar, tmp_path):
    out = tmp_path / "out"
    ended = uproar(
        *("plan", "digits", "--explainers", "random,grad", "--fractions", "0.3,0.7"),
        *("--repeats", "2", "--out", out),
    )
    assert ended.code == 0
    # 2 base, 2 retrain-once, 4 shared ends, and 2 explainers × 2 fractions × (2 + 2 + 2) repeats.
    assert re.search(r"trainings +│ +32 ", ended.output), ended.output
    for word in ("cells", "time", "disk", "memory"):
        assert re.search(rf"│ {word} +│ +(about )?[\d,.]+", ended.output), ended.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_failed_explainer_exits_with_one_and_loses_nothing_else(uproar, tmp_path, monkeypatch):
    def broken(model, inputs, targets, generator):
        raise ArithmeticError("no gradient today")

    given, out = spec_file({**TUMOURS, "explainers": "random,input-x-grad,grad"}, tmp_path), "out"
    with monkeypatch.context() as patch:
        patch.setattr("uproar.explain.gradients.gradients.gradient", broken)
        ended = uproar("run", "-c", given, "--out", tmp_path / out)
    assert ended.code == 1
    assert "failed explain: grad: ArithmeticError: no gradient today" in ended.output
    assert "1 cell failed; the report says which" in ended.errors
    assert "Traceback" not in ended.output + ended.errors
    page = (tmp_path / out / "report.html").read_text()
    assert "no gradient today" in page
    board = Result.read(tmp_path / out).leaderboard()
    assert set(board["explainer"]) == {"random", "input-x-grad"}
    rows = uproar("status", tmp_path / out).output
    assert re.search(r"explain +│ +2 +│ +1 +│", rows), rows
    assert re.search(r"roar +│ +3 +│ +1 +│", rows), rows
    ended = uproar("run", "-c", given, "--out", tmp_path / out)
    assert ended.code == 0
    assert not Result.read(tmp_path / out).failed
    assert "grad" in set(Result.read(tmp_path / out).leaderboard()["explainer"])


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_an_interrupt_leaves_a_store_that_the_same_command_continues(uproar, tmp_path):
    given = spec_file({**DIGITS, "repeats": 20, "recipe": {"epochs": 20}}, tmp_path)
    out = tmp_path / "out"
    started = subprocess.Popen(
        [*PROGRAM, "run", "--config", str(given), "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not list(out.glob("store/cells/explain/*")):
        assert started.poll() is None, "it ended before anything was explained"
        time.sleep(0.05)
    started.send_signal(signal.SIGINT)
    _, errors = started.communicate(timeout=600)
    assert started.returncode == 130
    assert f"interrupted; what is finished is kept in {out}, and the same command goes on" in errors
    assert "Traceback" not in errors
    assert not list(out.rglob("*.tmp"))
    kept = set(stamps(out / "store" / "cells"))
    assert kept
    status = uproar("status", out).output
    assert "not finished" in status
    assert re.search(r"base-model +│ +1 ", status)


@pytest.mark.slow
def test_the_toy_has_its_known_rankings_by_default(uproar):
    out = finished("toy")
    ended = uproar("run", "--config", out / "spec.toml", "--out", out, "-q")
    assert (ended.code, ended.errors) == (0, "")
    board = Result.read(out).leaderboard()
    assert board["explainer"][0] == "true-ranking"
    assert Spec.from_mapping({"data": "hooker-toy"}).explainers[-3:] == (
        "true-ranking",
        "inverted-ranking",
        "shuffled-ranking",
    )
