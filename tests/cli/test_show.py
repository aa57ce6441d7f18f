"""What the terminal shows of a run, at every width."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from rich.console import Console

from tests.support.small_runs import finished
from uproar.cli.show import leaderboard_tables, show
from uproar.results.result import Result

WIDTHS = (60, 80, 100, 120, 160)


def shown(result: Result, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    show(result, console)
    return console.file.getvalue()


@pytest.fixture
def result() -> Result:
    return Result.read(finished("function"))


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut_off_at_any_width(result: Result, width: int) -> None:
    lines = shown(result, width).splitlines()
    assert max(len(line) for line in lines if line[:1] in "┏┃┡│└") <= width
    assert not any("…" in line for line in lines)
    if width >= 80:
        rows = [line for line in lines if line.startswith("│")]
        assert len(rows) == len(result.spec.explainers)  # a line each


@pytest.mark.slow
def test_explainers_of_the_function_have_a_table_of_their_own(result: Result) -> None:
    decisions, function = leaderboard_tables(result, "mean")
    names = [[str(cell) for cell in table.columns[0].cells] for table in (decisions, function)]
    assert sorted(names[0]) == ["grad", "random"]
    assert sorted(names[1]) == ["global-grad", "pfi", "untrained-global-grad"]
    assert str(function.title) == "explainers of the function: one ranking for all examples"
    assert decisions.caption is None
    assert "Gains are in accuracy × fraction." in str(function.caption)


def test_without_them_there_is_one_table() -> None:
    assert len(leaderboard_tables(Result.read(finished("digits")), "mean")) == 1


@pytest.mark.slow
def test_narrow_terminals_get_less_of_a_row_and_are_told(result: Result) -> None:
    texts = {width: " ".join(shown(result, width).split()) for width in (60, 80, 160)}
    assert "once is retrain-once" in texts[60]
    assert "indistinguishable from random" not in texts[80]
    assert "Intervals are in leaderboard.csv" in texts[80]
    assert "Intervals are in" not in texts[160]


def test_what_the_mask_tells_is_shown_of_decisions_alone() -> None:
    (table,) = leaderboard_tables(Result.read(finished("digits")), "mean")
    assert "mask-only" in [str(column.header) for column in table.columns]
    (least,) = leaderboard_tables(Result.read(finished("digits")), "mean", "least")
    assert "mask-only" not in [str(column.header) for column in least.columns]


@pytest.mark.slow
def test_twenty_five_explainers_are_a_line_each(
    result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = result.leaderboard()
    names = [f"untrained-abs-sg-explainer-{n}"[-24:] for n in range(25)]
    many = pd.concat([board.iloc[[0]].assign(explainer=name) for name in names])
    monkeypatch.setattr(Result, "leaderboard", lambda *_: many)
    rows = [line for line in shown(result, 80).splitlines() if line.startswith("│")]
    assert len(rows) == 25
