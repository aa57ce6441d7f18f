"""What `uproar list` prints of registries, and of one entry in full."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from uproar.cli.listing import PREFIXES, REGISTRIES, show_entry, show_registry
from uproar.explain import EXPLAINERS
from uproar.registry import Entry
from uproar.types import UproarError


def listed(what: str, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    show_registry(what, console)
    return console.file.getvalue()


def told(what: str, name: str, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width)
    show_entry(what, name, console)
    return console.file.getvalue()


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("width", [80, 120])
def test_explainers_fit_the_terminal_and_nothing_is_lost(width: int) -> None:
    text = listed("explainers", width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for entry in EXPLAINERS:
        for part in (entry.summary, entry.paper, entry.estimand, f"passes: {entry.passes}"):
            assert part in words(text), entry.name
        # Numbers and signs of a name are never torn.
        assert re.search(rf"^  {re.escape(entry.name)}  ", text, re.MULTILINE), entry.name
    for prefix in PREFIXES:
        assert re.search(rf"^  {prefix.name}-  ", text, re.MULTILINE)


def group_of(text: str, entry: Entry) -> str:
    before = text[: re.search(rf"^  {re.escape(entry.name)}  ", text, re.MULTILINE).start()]
    return next(line for line in reversed(before.splitlines()) if line[:1].strip())


def test_explainers_stand_by_what_they_explain() -> None:
    text = listed("explainers", 80)
    titles = {
        "local": "explainers of decisions",
        "global": "explainers of the function",
        "control": "controls",
    }
    for entry in EXPLAINERS:
        title = titles["control" if entry.kind == "control" else entry.scope]
        assert group_of(text, entry).startswith(title), entry.name


@pytest.mark.parametrize("entry", EXPLAINERS, ids=lambda entry: entry.name)
def test_every_explainer_is_told_in_full(entry: Entry) -> None:
    text = words(told("explainers", entry.name))
    assert entry.name in text
    for parameter in entry.parameters:
        assert f"{parameter.name}=" in text
        assert parameter.bounds in text
    assert ", ".join(entry.promises) in text
    assert f"needs {entry.needs}" in text
    assert f"passes {entry.passes} for each" in text


def test_an_explainer_in_full() -> None:
    lines = [line.strip() for line in told("explainers", "abs-sg-ig:steps=50").splitlines()]
    assert lines[0] == "abs-sg-ig:steps=50"
    assert words(" ".join(lines[1:3])).startswith(
        "absolute value of mean over noisy inputs (samples 15, noise 0.15) of integrated"
    )
    rows = dict(
        re.split(r" {2,}", line, maxsplit=1) for line in lines if re.search(r"\w {2,}", line)
    )
    assert rows["sign"] == "unsigned"
    assert rows["explains"] == "decisions: an importance for every feature of every example"
    assert rows["parameters"] == "steps=50, at least 1"
    assert rows["passes"] == (
        "samples * (steps) for each example; 750 with 64 features and 10 classes"
    )
    assert "prefixes" not in rows
    assert {"baseline=black, one of black, mean, zero", "noise=0.15, at least 0"} <= set(lines)


def test_prefixes_that_may_stand_before_a_name_are_told() -> None:
    assert "prefixes untrained-, global-, abs-, sq-, sg-, sgsq-, var-" in words(
        told("explainers", "ig")
    )
    assert "prefixes untrained-, abs-, sq-" in words(told("explainers", "pfi"))
    assert "may be below zero" in told("explainers", "pfi")


@pytest.mark.parametrize("what", REGISTRIES)
def test_every_entry_of_every_registry_can_be_told(what: str) -> None:
    for entry in REGISTRIES[what]:
        assert entry.name in told(what, entry.name).splitlines()[0]


def test_unknown_names_list_the_close_ones() -> None:
    with pytest.raises(UproarError, match="unknown explainer 'igg': did you mean 'ig'"):
        told("explainers", "igg")
    with pytest.raises(UproarError, match="unknown removal 'men': did you mean 'mean'"):
        told("removals", "men")
