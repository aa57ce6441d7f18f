"""The report page: one file of HTML that opens offline, composed here and drawn by the template."""

from __future__ import annotations

import base64
import functools
import hashlib
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from uproar.report import cast
from uproar.report.content import ReportContent
from uproar.report.plotly_text import embedded_json
from uproar.report.records import Report, removals, report_of
from uproar.report.score import Score, score_of
from uproar.report.sections import agreement as pairs
from uproar.report.sections import cost, estimands, gallery, outcomes, quote, scopes
from uproar.report.sections import curves as figures
from uproar.report.sections import function as importances
from uproar.report.sections import gallery_series as series
from uproar.report.sections import header as facts
from uproar.report.sections import leaderboard as board
from uproar.report.sections import leaks as evidence
from uproar.report.sections import methods as cards
from uproar.report.verdicts import VERDICTS
from uproar.report.wording import duration, is_missing

CURVES = (
    ("roar", "ROAR", "Most important features removed, model retrained. Lower is better."),
    ("kar", "KAR", "Only the most important features kept, model retrained. Higher is better."),
    (
        "retrain-once-removed",
        "Retrain-once, removing",
        "One model, trained on random removal, judges all. Lower is better.",
    ),
    (
        "retrain-once-kept",
        "Retrain-once, keeping",
        "The same model, only important features kept. Higher is better.",
    ),
    (
        "no-retrain",
        "No retraining",
        "The explained model itself, on inputs unlike its training data. Lower is better.",
    ),
)
_SCRIPTS = ("theme.js", "tables.js", "figures.js", "controls.js")
_STYLES = ("page.css", "tables.css", "gallery.css")


def render(content: ReportContent) -> str:
    """Return the report as one self-contained page of HTML.

    The page loads nothing: style, scripts, figures and pictures are all inside, and its content
    security policy admits only the scripts that are named by their hash.

    :param content: tables, arrays and texts of one run; empty tables are shown as not run.
    :returns: a complete HTML document.
    :raises ValueError: when a name in the tables breaks the contract of ``ReportContent``.

    >>> from uproar.report.content import ReportContent
    >>> import pandas as pd
    >>> none = pd.DataFrame()
    >>> content = ReportContent(
    ...     spec_toml="", command="uproar run", data={"name": "digits"}, model={"name": "mlp"},
    ...     protocols=none, leaderboard=none, gains=none, curves=none, leaks=none, pairs=none,
    ...     agreement=none, detectable={}, explainers=none, gallery=None, skipped=(), failed=(),
    ...     notes=(), provenance={}, timings=none,
    ... )
    >>> render(content)[:15]
    '<!doctype html>'
    """
    report = report_of(content)
    drawn: dict[str, figures.Figure] = {}
    roles = cast.cast_of(report)
    blocks = [
        _block(report, roles, number, removal, drawn)
        for number, removal in enumerate(removals(report))
    ]
    matrices = _matrices(report, roles, drawn)
    function = _function(report, roles, drawn)
    score = score_of(content.data)
    scripts = [Markup(_plotly()), *(Markup(_asset(name)) for name in _SCRIPTS)]  # noqa: S704 - ours
    page: str = _template().render(
        content=content,
        cast=roles,
        quote=quote.quote(report),
        facts=facts.facts(report),
        blocks=blocks,
        matrices=matrices,
        function=function,
        agreements=evidence.agreements(report),
        detectable=evidence.detectable_gains(report),
        gallery=gallery.gallery_view(report, roles),
        series=series,
        score=score,
        majority=_majority(report, score),
        skipped=outcomes.grouped(content.skipped),
        cards=cards.cards(
            report, roles, board.seconds_to_explain(report), board.passes_to_explain(report)
        ),
        times=evidence.stage_times(report),
        verdicts=VERDICTS,
        styles=[Markup(_asset(name)) for name in _STYLES],  # noqa: S704 - our own files
        scripts=scripts,
        policy=_policy(scripts),
        figures=Markup(embedded_json(drawn)),  # noqa: S704 - every character of markup is escaped
    )
    return page


def _majority(report: Report, score: Score) -> str:
    rate = report.content.data.get("majority_rate")
    return "" if is_missing(rate) else score.text(rate)


def _block(
    report: Report,
    roles: cast.Cast,
    number: int,
    removal: str,
    drawn: dict[str, figures.Figure],
) -> dict[str, Any]:
    """Compose what depends on the removal operator, and add its figures to those drawn."""
    seconds, passes = board.seconds_to_explain(report), board.passes_to_explain(report)
    leaks = evidence.leak_table(report, roles, removal)
    charts = []
    for protocol, title, reading in CURVES:
        figure = figures.curve_figure(report, roles, protocol, removal)
        key = _kept(drawn, f"curve-{number}-{protocol}", figure)
        # Retraining per explainer is what a leak misleads; the other protocols see no masks.
        leaking = protocol == "roar" and leaks is not None and leaks["leaking"] > 0
        charts.append({"key": key, "title": title, "reading": reading, "leaking": leaking})
    rows = board.leaderboard(report, removal, seconds, passes)
    drawing = cost.cost_figure(report, roles, removal, seconds, passes)
    return {
        "removal": removal,
        "rows": [row for row in rows if not row["of_function"]],
        "function_rows": [row for row in rows if row["of_function"]],
        "scopes": scopes.local_against_global(report, removal) if report.of_function else None,
        "protocol": cast.ranking_protocol(report, removal),
        "columns": cast.shown_protocols(report, removal),
        "tallies": facts.tallies(report, removal),
        "charts": charts,
        "leaks": leaks,
        "cost": _kept(drawn, f"cost-{number}", drawing),
    }


def _function(
    report: Report, roles: cast.Cast, drawn: dict[str, figures.Figure]
) -> dict[str, Any] | None:
    """Compose what is said of explainers of the function; None where there are none."""
    if not report.of_function:
        return None
    found = importances.importances(report, roles)
    drawn.update(found.figures if found else {})
    matrix = estimands.agreement_figure(report, roles)
    return {
        "importances": found,
        "estimands": estimands.estimands(report, roles),
        "disagreements": estimands.disagreements(report, roles),
        "matrix": _kept(drawn, "function-agreement", matrix),
        "low": estimands.LOW,
    }


def _matrices(
    report: Report, roles: cast.Cast, drawn: dict[str, figures.Figure]
) -> list[dict[str, str | None]]:
    first = cast.ranking_protocol(report)
    protocols = dict.fromkeys(str(row["protocol"]) for row in report.pairs)
    return [
        {
            "title": evidence.protocol_name(protocol),
            "key": _kept(drawn, f"pairs-{number}", pairs.pair_figure(report, roles, protocol)),
        }
        for number, protocol in enumerate(sorted(protocols, key=lambda name: name != first))
    ]


def _kept(drawn: dict[str, figures.Figure], key: str, figure: figures.Figure | None) -> str | None:
    """Add a figure to those drawn and return its key; None for a figure that there is not."""
    if figure is None:
        return None
    drawn[key] = figure
    return key


@functools.cache
def _template() -> Any:
    environment = Environment(
        loader=PackageLoader("uproar.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["duration"] = duration
    return environment.get_template("page.html.j2")


@functools.cache
def _asset(name: str) -> str:
    return (files("uproar.report") / "assets" / name).read_text(encoding="utf-8")


@functools.cache
def _plotly() -> str:
    return (files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8")


def _policy(scripts: list[Markup]) -> str:
    """Return the content security policy: nothing from outside, and no script but these."""
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


@functools.lru_cache(maxsize=16)
def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
