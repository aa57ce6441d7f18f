"""The page ``docs/explainers.md``: prose of the template, tables of the entries."""

from __future__ import annotations

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from uproar.explain import EXPLAINERS
from uproar.explain.controls import CONTROLS
from uproar.explain.explainer import PROMISES, Explainer
from uproar.explain.function import FUNCTION
from uproar.explain.gradients import ATTENTION, GRADIENTS
from uproar.explain.packages import CAPTUM, PACKAGES
from uproar.explain.parameters import text_of
from uproar.explain.perturbation import PERTURBATIONS
from uproar.explain.trees import TREES
from uproar.types import KINDS


def explainers_page() -> str:
    """Return the page of all explainers in Markdown.

    >>> explainers_page().splitlines()[2]
    '# Explainers'
    """
    environment = Environment(
        loader=PackageLoader("uproar.cli", ""),
        autoescape=False,  # noqa: S701 - Markdown of our own
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    template = environment.get_template("explainers.md.j2")
    registers = {
        "GRADIENTS": GRADIENTS,
        "PERTURBATIONS": PERTURBATIONS,
        "ATTENTION": ATTENTION,
        "TREES": TREES,
        "CAPTUM": CAPTUM,
        "PACKAGES": PACKAGES,
        "FUNCTION": FUNCTION,
        "CONTROLS": CONTROLS,
    }
    return template.render(registers, table=_table, promises=_promises())


def _table(entries: Sequence[Explainer]) -> str:
    """Return a table of entries, with what they estimate where they estimate something."""
    columns = {
        "name": [f"`{entry.name}`" for entry in entries],
        "what it is": [entry.summary for entry in entries],
        "what it estimates": [entry.estimand for entry in entries],
        "parameters": [_parameters(entry) for entry in entries],
        "data": [_data(entry) for entry in entries],
        "passes": [f"`{entry.passes}`" for entry in entries],
        "paper": [entry.paper for entry in entries],
    }
    if not any(columns["what it estimates"]):
        del columns["what it estimates"]
    rows = [list(columns), ["---"] * len(columns), *zip(*columns.values(), strict=True)]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines[1] = lines[1].replace(" ", "")
    return "\n".join(lines)


def _parameters(entry: Explainer) -> str:
    return ", ".join(f"`{one.name}={text_of(one.default)}`" for one in entry.parameters)


def _data(entry: Explainer) -> str:
    return ", ".join(KINDS[kind].plural for kind in entry.data_kinds) or "all"


def _promises() -> dict[str, str]:
    """Return who makes each promise."""
    return {
        promise: ", ".join(f"`{entry.name}`" for entry in EXPLAINERS if promise in entry.promises)
        for promise in PROMISES
    }
