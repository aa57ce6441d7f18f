"""How far work is and how long it still takes, on standard error."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import TextIO

import rich.progress
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from uproar.duration import duration
from uproar.run.cell import Cell

# Where there is no terminal, a line appears at most this often.
LINE_SECONDS = 10.0
_LABEL_CHARACTERS = 60


@contextmanager
def loading(label: str, *, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on standard error, and yield the function that moves it.

    The bar appears with the first call, so that quick work shows none; without a terminal there
    is a single line.

    >>> with loading("reading digits", quiet=True) as progress:
    ...     progress(1, 2)
    """
    console = Console(file=sys.stderr, quiet=quiet or sys.stderr is None)
    bar = rich.progress.Progress(
        rich.progress.TextColumn("{task.description}", markup=False),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeRemainingColumn(),
        console=console,
        transient=True,
        redirect_stdout=False,
    )
    task = bar.add_task(one_line(label), start=True)
    started = False

    def progress(done: int, total: int) -> None:
        nonlocal started
        if not started:
            started = True
            if console.is_terminal:
                bar.start()
            else:
                console.print(f"{one_line(label)}: {total:,}", markup=False, highlight=False)
        bar.update(task, completed=done, total=total)

    try:
        yield progress
    finally:
        if started and console.is_terminal:
            bar.stop()


class Progress:
    """A display of finished work and of the time left: a bar on a terminal, plain lines elsewhere.

    The time left is (weight left) * (time since the first computation began) / (weight computed),
    less the time since the last cell finished. Cells that came from the store count as finished
    but not as computed, so that they do not make the estimate too hopeful.

    :param weights: all cells, each with its share of the work in any unit, 0 or more.
    :param quiet: show nothing.
    :param stream: where to write; standard error unless given.
    :param clock: returns seconds.
    :raises ValueError: when a weight is negative or not finite.

    >>> cells = [Cell("square", {"number": number}, f"square of {number}") for number in (1, 2)]
    >>> with Progress({cells[0]: 1.0, cells[1]: 3.0}, quiet=True) as progress:
    ...     with progress.running(cells[0]):
    ...         pass
    ...     progress.advance(cells[0])
    ...     progress.share
    0.25
    """

    def __init__(
        self,
        weights: Mapping[Cell, float],
        *,
        quiet: bool = False,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        for cell, weight in weights.items():
            if not (math.isfinite(weight) and weight >= 0):
                raise ValueError(
                    f"the weight of cell {cell.label!r} must be 0 or more, got {weight}"
                )
        self._weights, self._left = dict(weights), dict(weights)
        self._cells, self._total = len(weights), math.fsum(weights.values())
        self._clock, self._lock = clock, threading.Lock()
        self._running: dict[Cell, None] = {}  # in the order in which they were started
        self._begun: set[Cell] = set()
        self._computed = 0.0  # weight of the finished cells that were not in the store
        self._entered = self._advanced = self._printed = clock()
        self._computing: float | None = None  # when the first computation began
        # A program without a console has no standard error at all.
        self._stream = None if quiet else stream or sys.stderr
        self._live = self._make_live()

    @property
    def share(self) -> float:
        """Finished share of the work, in [0, 1]."""
        return 1 - math.fsum(self._left.values()) / self._total if self._total else 1.0

    @property
    def seconds_left(self) -> float | None:
        """Estimated time until the last cell is finished; None while nothing is known."""
        if not self._left:
            return 0.0
        if self._computing is None or not self._computed:
            return None
        pace = (self._advanced - self._computing) / self._computed
        left = pace * math.fsum(self._left.values())
        return max(0.0, left - (self._clock() - self._advanced))

    def begin(self, cell: Cell) -> None:
        """Count a cell as one that is computed, from now on at the latest."""
        with self._lock:
            self._begun.add(cell)
            if self._computing is None:
                self._computing = self._clock()

    @contextmanager
    def running(self, cell: Cell) -> Iterator[None]:
        """Show a cell as being computed; meant to enclose the work, in the worker's thread."""
        self.begin(cell)
        with self._lock:
            self._running[cell] = None
        try:
            yield
        finally:
            with self._lock:
                self._running.pop(cell, None)

    def advance(self, cell: Cell) -> None:
        """Count a cell as finished, whatever came of it; a second time changes nothing.

        :raises ValueError: when the cell is not one of those that the display was made for.
        """
        if cell not in self._weights:
            raise ValueError(
                f"cell {cell.label!r} is not one of the {self._cells} cells of this display; "
                f"give all cells when it is made"
            )
        with self._lock:
            weight = self._left.pop(cell, 0.0)
            if cell in self._begun:
                self._computed += weight
                self._advanced = self._clock()
            due = self._clock() - self._printed >= LINE_SECONDS
        if due and self._live is None:
            self._print_line()

    def __enter__(self) -> Progress:
        self._entered = self._clock()
        if self._live is None:
            self._print_line()
        else:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
        self._print_line()

    def _make_live(self) -> Live | None:
        """Return the display for a terminal, None where there is none."""
        if self._stream is None or not self._stream.isatty():
            return None
        console = Console(file=self._stream)
        if console.is_dumb_terminal:
            return None
        bar = rich.progress.Progress(
            rich.progress.SpinnerColumn("line"),  # in ASCII: a terminal may know nothing else
            rich.progress.BarColumn(bar_width=30),
            rich.progress.TextColumn("{task.description}", markup=False),
            get_time=self._clock,
        )
        task = bar.add_task("", total=self._total)
        return Live(
            get_renderable=lambda: self._frame(bar, task),
            console=console,
            refresh_per_second=5,
            transient=True,
            # What a program prints on standard output belongs there, not into this display.
            redirect_stdout=False,
        )

    def _frame(self, bar: rich.progress.Progress, task: rich.progress.TaskID) -> Group:
        """Return what the terminal shows at this moment: the bar, and below it what is running."""
        with self._lock:
            done, summary = self.share * self._total, self._summary()
            running = list(self._running)
        bar.update(task, completed=done, description=summary)
        # Texts, not strings: a label may hold what Rich would take for markup.
        labels = [
            Text(f"  {one_line(cell.label or cell.kind)}", style="dim") for cell in running[:3]
        ]
        if len(running) > 3:
            labels.append(Text(f"  and {len(running) - 3} more", style="dim"))
        return Group(bar, *labels)

    def _summary(self) -> str:
        done = f"{self._cells - len(self._left)} of {self._cells} cells ({self.share:.0%})"
        left = self.seconds_left
        rest = "" if not self._left or left is None else f", about {duration(left)} left"
        return f"{done}, {duration(self._clock() - self._entered)} so far{rest}"

    def _print_line(self) -> None:
        if self._stream is None:
            return
        with self._lock:
            self._printed = self._clock()
            line = self._summary()
        print(line, file=self._stream, flush=True)


def one_line(label: str) -> str:
    """Return a label without line breaks and control characters, cut to a readable length."""
    text = "".join(character if character.isprintable() else " " for character in label)
    return text if len(text) <= _LABEL_CHARACTERS else text[: _LABEL_CHARACTERS - 3] + "..."
