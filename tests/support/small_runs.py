"""Runs that take a second: what the tests of the whole pipeline start from."""

from __future__ import annotations

import atexit
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from uproar.bench.benchmark import Benchmark
from uproar.cli import main
from uproar.plan.spec import Spec
from uproar.results.result import Result

PROGRAM = (sys.executable, "-c", "from uproar.cli import main; main()")
FILES = (
    "function.csv",
    "gains.csv",
    "leaderboard.csv",
    "report.html",
    "results.csv",
    "results.parquet",
    "spec.toml",
    "timings.csv",
)

SHORT = {
    "recipe": {"epochs": 5},
    "retrain_once_epochs": 5,
    "bootstrap_draws": 400,
    "base_models": 1,
}
DIGITS: dict[str, Any] = {
    **SHORT,
    "data": "digits",
    "explainers": "random,grad,ig,sobel",
    "fractions": [0.3, 0.7],
    "repeats": 2,
}
TUMOURS: dict[str, Any] = {
    **SHORT,
    "data": "breast-cancer",
    "model": "linear",
    "recipe": {"epochs": 10},
    "explainers": "random,grad,abs-grad",
    "fractions": [0.5],
    "repeats": 2,
}
FUNCTION: dict[str, Any] = {
    **TUMOURS,
    "explainers": "random,grad,pfi,global-grad,untrained-global-grad",
    "protocols": "roar,retrain-once",
    "base_models": 2,
}
TOY: dict[str, Any] = {
    "data": "hooker-toy",
    "explainers": "random,true-ranking,inverted-ranking,shuffled-ranking",
    "fractions": [0.125, 0.25],
    "repeats": 2,
    "base_models": 1,
    "bootstrap_draws": 400,
}


def silent(line: str) -> None:
    """Log nothing."""


def benchmark(values: Mapping[str, Any], out: Path, log: Callable[[str], None] = silent):
    """Return a quiet benchmark of a spec that is given as plain values."""
    return Benchmark(Spec.from_mapping(values), out, log=log, quiet=True)


def run(values: Mapping[str, Any], out: Path, log: Callable[[str], None] = silent) -> Result:
    """Run a spec that is given as plain values."""
    return benchmark(values, out, log).run()


@cache
def finished(name: str) -> Path:
    """Return the folder of a finished run, made once per session; copy it to change it."""
    folder = Path(tempfile.mkdtemp(prefix="uproar"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    values = {"digits": DIGITS, "tumours": TUMOURS, "toy": TOY, "function": FUNCTION}
    run(values[name], folder / name)
    return folder / name


def copied(name: str, to: Path) -> Path:
    """Return a copy of a finished run, times of files included."""
    return Path(shutil.copytree(finished(name), to / name))


def spec_file(values: Mapping[str, Any], folder: Path) -> Path:
    """Write a spec that is given as plain values."""
    path = folder / "given.toml"
    path.write_text(Spec.from_mapping(values).to_toml())
    return path


@dataclass(frozen=True)
class Ended:
    """How a command line ended."""

    code: int
    output: str
    errors: str


def command(capsys, monkeypatch, arguments: Iterable[object], columns: int = 150) -> Ended:
    """Run the command line in this process."""
    monkeypatch.setattr(sys, "argv", ["uproar", *map(str, arguments)])
    monkeypatch.setenv("COLUMNS", str(columns))
    capsys.readouterr()
    code = 0
    try:
        main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    captured = capsys.readouterr()
    return Ended(code, captured.out, captured.err)


def content(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder, by their paths in it."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def stamps(folder: Path) -> dict[str, int]:
    """Return when each file below a folder was last changed."""
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
