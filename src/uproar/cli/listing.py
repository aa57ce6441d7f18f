"""What `uproar list` prints: registries as tables, explainers by what they explain, one in full."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from uproar.data import DATA, DataSet
from uproar.explain import AGGREGATIONS, ENSEMBLES, EXPLAINERS, VARIANTS
from uproar.explain.cost import passes_of
from uproar.explain.explainer import Explainer, Prefix
from uproar.explain.names import ExplainerName, parse
from uproar.explain.parameters import Parameter, Value, defaults_of, text_of
from uproar.models import MODELS, Architecture
from uproar.protocols import PROTOCOLS
from uproar.protocols.protocol import Asks, Protocol
from uproar.registry import Entry, find
from uproar.remove import REMOVALS
from uproar.types import UproarError

EXAMPLE_FEATURES, EXAMPLE_OUTPUTS = 64, 10  # of which a formula of passes is worked out
PREFIXES = (*VARIANTS, *AGGREGATIONS, *ENSEMBLES)

NEEDS: dict[Asks, str] = {"retraining": "retraining", "once": "one training a repeat"}

REGISTRIES: dict[str, Sequence[Entry]] = {
    "explainers": EXPLAINERS,
    "removals": REMOVALS,
    "protocols": PROTOCOLS,
    "data": DATA,
    "models": MODELS,
}


def show_registry(what: str, console: Console) -> None:
    """Print one registry."""
    if what == "explainers":
        _show_explainers(console)
    else:
        console.print(_registry_table(what, REGISTRIES[what]))


def show_entry(what: str, name: str, console: Console) -> None:
    """Print one entry of a registry in full; explainers with prefixes and parameters, too.

    :raises UproarError: with the close names, where there is no such entry.
    """
    if what == "explainers":
        parsed = parse(name)
        entry: Entry = parsed.entry()
        rows = dict(_explainer_rows(parsed))
    else:
        entry = find(name, REGISTRIES[what], what.removesuffix("s"))
        columns = _columns([entry])
        rows = {title: values[0] for title, values in columns.items() if values[0]}
        del rows["name"], rows["what it is"]
    console.print(Text(entry.name, style="bold"), soft_wrap=True)
    console.print(Text(entry.summary))
    grid = Table.grid(padding=(0, 3, 0, 2))
    for title, text in rows.items():
        grid.add_row(Text(title, style="dim"), Text(text))
    console.print(grid)


def _show_explainers(console: Console) -> None:
    """Print explainers as a list of names with a few lines each: a table would be too wide."""
    groups = {
        "explainers of decisions: an importance for every feature of every example": "local",
        "explainers of the function: one importance for every feature of the model": "global",
        "controls: known not to explain the model": "control",
    }
    for title, group in groups.items():
        found = [e for e in EXPLAINERS if group == ("control" if _is_control(e) else e.scope)]
        _show_group(console, title, found, [_about(entry) for entry in found])
    _show_group(
        console,
        "prefixes, in the order in which they may stand before a name",
        PREFIXES,
        [_values(entry) for entry in PREFIXES],
    )
    console.print(
        Text(
            "Passes are how many times each example goes through the model. Parameters follow a "
            "colon, as in abs-sg-ig:steps=50; `uproar list explainers abs-sg-ig` says all of one."
        )
    )


def _is_control(entry: Explainer) -> bool:
    return entry.kind == "control"


def _show_group(
    console: Console, title: str, entries: Sequence[Explainer | Prefix], abouts: Sequence[str]
) -> None:
    console.print(Text(title, style="bold"))
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column()
    for entry, about in zip(entries, abouts, strict=True):
        estimand = f"estimates {entry.estimand}" if entry.estimand else ""
        dim = [Text(line, style="dim") for line in (estimand, about, entry.paper) if line]
        name = f"{entry.name}-" if entry in PREFIXES else entry.name
        grid.add_row(Text(name, style="cyan"), Text("\n").join([Text(entry.summary), *dim]))
    console.print(Padding(grid, (0, 0, 1, 2)))


def _about(entry: Explainer) -> str:
    """Return what one explainer needs and costs, in one line."""
    parts = [
        "signed" if entry.signed else "unsigned",
        "" if entry.needs == "nothing" else f"needs {entry.needs}",
        "" if not entry.data_kinds else f"for {', '.join(entry.data_kinds)}",
        f"passes: {entry.passes}",
        _values(entry),
        entry.extra and f'pip install "uproar[{entry.extra}]"',
    ]
    return "; ".join(filter(None, parts))


def _explainer_rows(parsed: ExplainerName) -> Iterator[tuple[str, str]]:
    """Yield all that is known of an explainer, each with its title."""
    entry = parsed.entry()
    of_function = entry.scope == "global"
    yield (
        "explains",
        "the function: one importance for every feature of the model"
        if of_function
        else "decisions: an importance for every feature of every example",
    )
    if entry.estimand:
        yield "estimates", entry.estimand
    yield "kind", entry.kind
    signed = "signed: may be below zero" if of_function else "signed: for and against"
    yield "sign", signed if entry.signed else "unsigned"
    yield "needs", entry.needs
    if entry.extra:
        yield "package", f'pip install "uproar[{entry.extra}]"'
    yield "data", ", ".join(entry.data_kinds) or "all kinds"
    if entry.parameters:
        told = zip(entry.parameters, parsed.parameters, strict=True)
        yield "parameters", "\n".join(_parameter(one, value) for one, (_, value) in told)
    if entry.promises:
        yield "promises", ", ".join(entry.promises)
    yield "passes", _passes(parsed, entry, "held-out example" if of_function else "example")
    if prefixes := _prefixes(parsed):
        yield "prefixes", prefixes
    yield "version", str(entry.version)
    if entry.paper:
        yield "reference", entry.paper.replace("; ", "\n")


def _parameter(parameter: Parameter, value: Value) -> str:
    choices = f"one of {', '.join(parameter.choices)}" if parameter.choices else ""
    text = f"{parameter.name}={text_of(value)}"
    return ", ".join(filter(None, [text, choices or parameter.bounds]))


def _passes(parsed: ExplainerName, entry: Explainer, example: str) -> str:
    count = passes_of(parsed, features=EXAMPLE_FEATURES, outputs=EXAMPLE_OUTPUTS)
    if entry.passes == f"{count:g}":
        return f"{count:g} for each {example}"
    return (
        f"{entry.passes} for each {example}; {count:,.0f} with {EXAMPLE_FEATURES} features and "
        f"{EXAMPLE_OUTPUTS} classes"
    )


def _prefixes(parsed: ExplainerName) -> str:
    """Return the prefixes that may stand before an explainer that has none."""
    if parsed.variants or parsed.aggregation or parsed.ensemble:
        return ""
    found = []
    for prefix in PREFIXES:
        try:
            parse(f"{prefix.name}-{parsed.name}")
        except UproarError:
            continue
        found.append(f"{prefix.name}-")
    return ", ".join(found)


def _registry_table(title: str, entries: Sequence[Entry]) -> Table:
    shown = {name: values for name, values in _columns(entries).items() if any(values)}
    table = Table(title=title, title_justify="left")
    for name in shown:
        table.add_column(name, no_wrap=name == "name", overflow="fold")
    for row in zip(*shown.values(), strict=True):
        table.add_row(*(Text(value) for value in row))
    return table


def _columns(entries: Sequence[Entry]) -> dict[str, list[str]]:
    return {
        "name": [entry.name for entry in entries],
        "kind": [_kind(entry) for entry in entries],
        "what it is": [entry.summary for entry in entries],
        "data": _data_kinds(entries),
        "parameters": [_values(entry) for entry in entries],
        "needs": [_needs(entry) for entry in entries],
        "better is": [_better(entry) for entry in entries],
        "paper": [entry.paper for entry in entries],
    }


def _kind(entry: Entry) -> str:
    """Return the kind of a data set, and the question of a protocol."""
    if isinstance(entry, Protocol):
        return entry.question
    return entry.kind if isinstance(entry, DataSet) else ""


def _needs(entry: Entry) -> str:
    if isinstance(entry, Protocol):
        return NEEDS.get(entry.asks, "")
    return entry.needs if isinstance(entry, Architecture) else ""


def _better(entry: Entry) -> str:
    """Return the direction that is better of the curves of a protocol."""
    directions = {curve.direction for curve in getattr(entry, "curves", ())}
    return "both" if len(directions) > 1 else "".join(directions)


def _data_kinds(entries: Sequence[Entry]) -> list[str]:
    """Return which kinds of data each entry works for; nothing where all work for all."""
    kinds = [", ".join(entry.data_kinds) for entry in entries]
    return [kind or "all" for kind in kinds] if any(kinds) else kinds


def _values(entry: Entry) -> str:
    """Return the parameters of an explainer, or what a data set or a model chooses by default."""
    chosen: dict[str, Value] = {}
    if isinstance(entry, Explainer | Prefix):
        chosen = defaults_of(entry.parameters)
    elif isinstance(entry, DataSet):
        answers = ",".join(entry.known_answers)
        chosen = {"model": entry.model, **dict(entry.recipe), "rankings": answers}
    elif isinstance(entry, Architecture):
        chosen = dict(entry.recipe)
    return ", ".join(f"{key}={text_of(value)}" for key, value in chosen.items() if value != "")
