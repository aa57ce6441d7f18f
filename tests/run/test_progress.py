"""The display follows the weights, and never writes what its stream cannot take."""

from __future__ import annotations

import contextlib
import io
import math
import sys
import threading

import pytest

from uproar.duration import duration
from uproar.run.cell import Cell
from uproar.run.progress import Progress


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


CELLS = [Cell("work", {"number": number}, f"cell {number}") for number in range(4)]
WEIGHTS = dict(zip(CELLS, [1.0, 1.0, 2.0, 4.0], strict=True))


def compute(progress: Progress, cell: Cell, clock: Clock, seconds: float) -> None:
    with progress.running(cell):
        clock.now += seconds
    progress.advance(cell)


def test_share_and_time_left_follow_the_weights():
    clock = Clock()
    with Progress(WEIGHTS, quiet=True, clock=clock) as progress:
        assert progress.share == 0
        assert progress.seconds_left is None
        compute(progress, CELLS[0], clock, 10)
        assert progress.share == 1 / 8
        assert progress.seconds_left == 70
        compute(progress, CELLS[2], clock, 14)
        assert progress.share == 3 / 8
        assert progress.seconds_left == 24 / 3 * 5
        clock.now += 30
        assert progress.seconds_left == 10
        clock.now += 30
        assert progress.seconds_left == 0
        compute(progress, CELLS[1], clock, 1)
        compute(progress, CELLS[3], clock, 1)
        assert progress.share == 1
        assert progress.seconds_left == 0


def test_cells_from_the_store_do_not_make_the_estimate_hopeful():
    clock = Clock()
    with Progress(WEIGHTS, quiet=True, clock=clock) as progress:
        progress.advance(CELLS[3])
        assert progress.share == 1 / 2
        assert progress.seconds_left is None
        clock.now += 100  # before anything is computed: does not count
        compute(progress, CELLS[0], clock, 10)
        assert progress.seconds_left == 30


def test_a_second_finish_changes_nothing():
    with Progress(WEIGHTS, quiet=True) as progress:
        progress.advance(CELLS[0])
        progress.advance(CELLS[0])
        assert progress.share == 1 / 8


@pytest.mark.parametrize("weights", [{}, {CELLS[0]: 0.0}])
def test_nothing_to_do_is_done(weights):
    stream = io.StringIO()
    with Progress(weights, stream=stream) as progress:
        assert progress.share == 1
    assert f"0 of {len(weights)} cells (100%), 0 s so far\n" in stream.getvalue()


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
def test_weights_are_checked(weight):
    with pytest.raises(
        ValueError, match=f"weight of cell 'cell 0' must be 0 or more, got {weight}"
    ):
        Progress({CELLS[0]: weight})


def test_unknown_cells_are_refused():
    with (
        Progress(WEIGHTS, quiet=True) as progress,
        pytest.raises(ValueError, match="cell 'new' is not one of the 4 cells"),
    ):
        progress.advance(Cell("work", {}, "new"))


def test_plain_lines_come_now_and_then():
    clock, stream = Clock(), io.StringIO()
    cells = [Cell("work", {"number": number}) for number in range(100)]
    with Progress(dict.fromkeys(cells, 1.0), stream=stream, clock=clock) as progress:
        for cell in cells:
            compute(progress, cell, clock, 1)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "0 of 100 cells (0%), 0 s so far"
    assert lines[1] == "10 of 100 cells (10%), 10 s so far, about 1 min 30 s left"
    assert lines[-1] == "100 of 100 cells (100%), 1 min 40 s so far"
    assert len(lines) == 1 + 10 + 1
    assert stream.getvalue().replace("\n", "").isprintable()


def test_quiet_writes_nothing(capsys):
    with Progress(WEIGHTS, quiet=True) as progress, progress.running(CELLS[0]):
        progress.advance(CELLS[0])
    assert capsys.readouterr() == ("", "")


def test_standard_error_is_where_it_goes(capsys):
    with Progress(WEIGHTS) as progress:
        progress.advance(CELLS[0])
        sys.stdout.write("result\n")
    out, err = capsys.readouterr()
    assert out == "result\n"
    assert err.startswith("0 of 4 cells (0%)")


def test_a_program_without_standard_error(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with Progress(WEIGHTS) as progress:
        progress.advance(CELLS[0])


def test_colour_is_not_forced_on_a_file(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    stream = io.StringIO()
    with Progress(WEIGHTS, stream=stream) as progress:
        progress.advance(CELLS[0])
    assert "\x1b" not in stream.getvalue()


def test_dumb_terminals_get_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    with Progress(WEIGHTS, stream=stream):
        pass
    assert "\x1b" not in stream.getvalue()


def test_terminal_shows_hostile_labels_as_they_are(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    stream = Terminal()
    labels = ["[bold]a[/nothing]", "two\nlines\x1b]0;title\x07", "long " * 100, "fourth", "fifth"]
    cells = [Cell("work", {"number": number}, label) for number, label in enumerate(labels)]
    with Progress(dict.fromkeys(cells, 1.0), stream=stream) as progress:
        with contextlib.ExitStack() as stack:
            for cell in cells:
                stack.enter_context(progress.running(cell))
            progress._live.refresh()
        progress.advance(cells[0])
    shown = stream.getvalue()
    assert "[bold]a[/nothing]" in shown
    assert "two lines ]0;title " in shown
    assert "\x1b]0" not in shown
    assert "long " * 11 in shown
    assert "long " * 12 not in shown
    assert "and 2 more" in shown
    assert "1 of 5 cells (20%)" in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1  # the cursor is back


def test_terminal_is_given_back_after_an_error(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with pytest.raises(KeyboardInterrupt), Progress(WEIGHTS, stream=stream):
        raise KeyboardInterrupt
    assert "\x1b[?25h" in stream.getvalue()
    assert "0 of 4 cells (0%)" in stream.getvalue()


def test_workers_may_report_from_their_threads():
    cells = [Cell("work", {"number": number}) for number in range(200)]
    with Progress(dict.fromkeys(cells, 1.0), quiet=True) as progress:

        def work(mine: list[Cell]) -> None:
            for cell in mine:
                with progress.running(cell):
                    progress.advance(cell)

        threads = [threading.Thread(target=work, args=(cells[part::4],)) for part in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert progress.share == 1
        assert not progress._running


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (3599.7, "1 h 00 min"),
        (90061, "25 h 01 min"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text
