"""How far a run is and how long it still takes, on standard error."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from uproar.run.cell import Cell

# Where there is no terminal, a line appears at most this often.
LINE_SECONDS = 10.0
_LABEL_CHARACTERS = 60


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

    @contextmanager
    def running(self, cell: Cell) -> Iterator[None]:
        """Show a cell as being computed; meant to enclose the work, in the worker's thread."""
        with self._lock:
            self._running[cell] = None
            self._begun.add(cell)
            if self._computing is None:
                self._computing = self._clock()
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
        spinner = Spinner("line")  # the only one in ASCII: a terminal may know nothing else
        return Live(
            get_renderable=lambda: self._frame(spinner),
            console=console,
            refresh_per_second=5,
            transient=True,
            # What a program prints on standard output belongs there, not into this display.
            redirect_stdout=False,
        )

    def _frame(self, spinner: Spinner) -> Group:
        """Return what the terminal shows at this moment."""
        with self._lock:
            bar = ProgressBar(total=1.0, completed=self.share, width=30)
            summary, running = self._summary(), list(self._running)
        top = Table.grid(padding=(0, 1))
        top.add_row(spinner, bar, Text(summary))
        # Texts, not strings: a label may hold what Rich would take for markup.
        labels = [
            Text(f"  {one_line(cell.label or cell.kind)}", style="dim") for cell in running[:3]
        ]
        if len(running) > 3:
            labels.append(Text(f"  and {len(running) - 3} more", style="dim"))
        return Group(top, *labels)

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


def duration(seconds: float) -> str:
    """Return a duration for people.

    >>> duration(7.4), duration(200), duration(7500)
    ('7 s', '3 min 20 s', '2 h 05 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def one_line(label: str) -> str:
    """Return a label without line breaks and control characters, cut to a readable length."""
    text = "".join(character if character.isprintable() else " " for character in label)
    return text if len(text) <= _LABEL_CHARACTERS else text[: _LABEL_CHARACTERS - 3] + "..."
