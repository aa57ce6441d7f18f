"""A bar for work that counts itself, such as reading a folder of images."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from uproar.run.progress import one_line


@contextmanager
def loading(label: str, *, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on standard error, and yield the function that moves it.

    The bar appears with the first call, so that quick work shows none; without a terminal there
    is a single line.

    >>> with loading("reading digits", quiet=True) as progress:
    ...     progress(1, 2)
    """
    console = Console(file=sys.stderr, quiet=quiet or sys.stderr is None)
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
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
