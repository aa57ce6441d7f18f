"""The command line: thin, and taught by example."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from uproar.cli.flags import DESCRIPTIONS, spec_of, with_flags
from uproar.registry import unknown
from uproar.types import Source, UproarError

if TYPE_CHECKING:
    from uproar.bench.benchmark import Benchmark

app = typer.Typer(
    name="uproar",
    help="Which explanation of your model can you trust, and how sure can you be of it?",
    epilog="Start with `uproar run digits`; it takes about a minute.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",  # paragraphs flow, and [brackets] are text
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

FAILED, WRONG_USE, INTERRUPTED = 1, 2, 130


LISTED = "explainers|removals|protocols|data|models"

Folder = Annotated[Path, typer.Argument(help="Folder of a run, as in runs/digits.")]


def main() -> None:
    """Run the command line; what a user can put right is one line and no traceback."""
    from uproar.run.files import StoreError

    try:
        app()
    except UproarError as error:
        _stderr().print(Text(f"uproar: {error}"), soft_wrap=True)
        sys.exit(FAILED if isinstance(error, StoreError) else WRONG_USE)


@app.command(
    epilog="  ·  ".join(
        (
            "Examples:  `uproar run digits`",
            "`uproar run table.csv --target price`",
            "`uproar run images.zip --model resnet18 --patch 4`",
            "`uproar run reviews.tsv --text sentence --target label`",
            "`uproar run digits --explainers random,grad,ig --fractions 0.3,0.7 --repeats 2`",
            "`uproar run --config runs/digits/spec.toml --seed 1 --out runs/again`",
        )
    )
)
@with_flags
def run(flags: dict[str, Any]) -> None:
    """Measure how good explanations of a model are, and say which beat a random ranking.

    Trains the model again and again on inputs without what each explainer calls important. What is
    finished is kept: after Ctrl-C, a crash or a full disk, the same command goes on where it was.

    Exit code: 0 done, 1 some cell failed (all others are finished and reported), 2 wrong use.
    """
    benchmark = _benchmark(flags)
    try:
        result = benchmark.run()
    except KeyboardInterrupt:
        _log(
            f"\ninterrupted; what is finished is kept in {benchmark.out}, and the same command "
            "goes on from there"
        )
        raise typer.Exit(INTERRUPTED) from None
    if not flags["quiet"]:
        from uproar.cli.show import show

        show(result, Console())
    if result.failed:
        failed = len(result.failed)
        _log(
            f"{failed} cell{'s' * (failed > 1)} failed; the report says which, and why, and the "
            "same command tries them again"
        )
        raise typer.Exit(FAILED)


@app.command(epilog="Example:  `uproar plan digits --repeats 10 --base-models 3`")
@with_flags
def plan(flags: dict[str, Any]) -> None:
    """Say what a run would cost, without running it: cells, trainings, time, disk and memory.

    The time comes from a calibration of a few seconds on this machine. Where the folder has a
    finished run already, it says what its errors are made of, and what would narrow them.
    """
    from uproar.bench.estimate import estimate
    from uproar.cli.show import show_errors

    benchmark, console = _benchmark(flags), Console()
    table = Table(title="Cost of the run", show_header=False, title_justify="left")
    for what, value in estimate(benchmark).rows():
        table.add_row(what, value)
    console.print(table)
    show_errors(benchmark.out, console)


@app.command(
    epilog="Example:  `uproar init table.csv`, then edit spec.toml, then `uproar run spec.toml`"
)
def init(
    data: Annotated[str, typer.Argument(help="Data of your own, as `uproar run` takes them.")],
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("spec.toml"),
    encoding: Annotated[str, typer.Option(help=DESCRIPTIONS["encoding"])] = Source.encoding,
) -> None:
    """Look at data of your own, and write a commented spec to start from.

    It names kind, sizes and columns, and guesses which column has the labels; nothing is trained.
    """
    from uproar.cli.draft import draft

    if out.exists():
        raise UproarError(f"{out} is there already; choose another file with --out")
    out.write_text(draft(data, encoding=encoding), encoding="utf-8")
    Console().print(Text(f"{out}: look it over, then `uproar run {out}`"), soft_wrap=True)


@app.command(epilog="Example:  `uproar status runs/digits`")
def status(out: Folder) -> None:
    """Say how far a run is: finished, failed, skipped and missing cells by kind."""
    from uproar.cli.show import show_status
    from uproar.results.result import Result

    show_status(Result.read(out), Console())


@app.command(epilog="Example:  `uproar report runs/digits`")
def report(out: Folder) -> None:
    """Rebuild the tables and the page of a run from its store; nothing is computed again."""
    from uproar.results.files import write_files
    from uproar.results.result import Result

    result = Result.read(out)
    write_files(result)
    Console().print(Text(f"report: {result.out / 'report.html'}"), soft_wrap=True)


@app.command(
    "list", epilog="Examples:  `uproar list explainers`  ·  `uproar list explainers abs-sg-ig`"
)
def list_(
    what: Annotated[str, typer.Argument(help="Which registry.", metavar=LISTED)],
    name: Annotated[str, typer.Argument(help="One of them, to be told all of it.")] = "",
    *,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="All explainers as a page in Markdown.")
    ] = False,
) -> None:
    """List what there is to choose from: name, what it is, paper, needs, passes, direction.

    Explainers combine: `sg-`, `sgsq-` and `var-` before a base average over noisy inputs, `abs-`
    and `sq-` take away the sign, `global-` makes one ranking for all examples, `untrained-` asks a
    model with random weights, and parameters follow a colon, as in `abs-sg-ig:steps=50`.
    """
    from uproar.cli.listing import REGISTRIES, show_entry, show_registry

    if what not in REGISTRIES:
        raise UproarError(unknown(what, REGISTRIES, "registry"))
    if markdown:
        _print_page(what, name)
    elif name:
        show_entry(what, name, Console())
    else:
        show_registry(what, Console())


def _print_page(what: str, name: str) -> None:
    from uproar.cli.markdown import explainers_page

    if what != "explainers" or name:
        raise UproarError(
            "--markdown is for the page of all explainers: list explainers --markdown"
        )
    typer.echo(explainers_page(), nl=False)


def _benchmark(flags: dict[str, Any]) -> Benchmark:
    """Return the benchmark that the flags describe."""
    from uproar.bench.benchmark import Benchmark

    spec, quiet = spec_of(flags), flags["quiet"]
    out = flags["out"] or Path("runs") / spec.folder_name
    return Benchmark(spec, out, log=_silent if quiet else _log, quiet=quiet)


def _log(line: str) -> None:
    _stderr().print(Text(line), soft_wrap=True)


def _silent(line: str) -> None:
    del line


def _stderr() -> Console:
    return Console(stderr=True)
