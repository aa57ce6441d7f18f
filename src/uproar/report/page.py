"""The report page: one file of HTML that opens offline, its sections drawn by their templates."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from uproar.report.cast import cast_of
from uproar.report.content import ReportContent
from uproar.report.plotly_text import embedded_json
from uproar.report.records import report_of
from uproar.report.score import score_of
from uproar.report.section import Context, Section
from uproar.report.sections import SECTIONS
from uproar.report.wording import duration

_SCRIPTS = ("theme.js", "tables.js", "figures.js", "controls.js")
_STYLES = ("page.css", "tables.css", "gallery.css")


def render(content: ReportContent, *, sections: Iterable[Section] = SECTIONS) -> str:
    """Return the report as one self-contained page of HTML.

    The page loads nothing: style, scripts, figures and pictures are all inside, and its content
    security policy admits only the scripts that are named by their hash.

    :param content: tables, arrays and texts of one run; empty tables are shown as not run.
    :param sections: what the page is made of, in this order; those with nothing to say are left
        out.
    :returns: a complete HTML document.
    :raises ValueError: when a name in the tables breaks the contract of ``ReportContent``.

    >>> from uproar.report.content import ReportContent
    >>> import pandas as pd
    >>> none = pd.DataFrame()
    >>> content = ReportContent(
    ...     spec_toml="", command="uproar run", data={"name": "digits"}, model={"name": "mlp"},
    ...     protocols=none, leaderboard=none, gains=none, curves=none, leaks=none, pairs=none,
    ...     agreement=none, error=none, detectable={}, explainers=none, gallery=None,
    ...     skipped=(), failed=(), notes=(), provenance={}, timings=none,
    ... )
    >>> render(content)[:15]
    '<!doctype html>'
    """
    report = report_of(content)
    context = Context(report, cast_of(report), score_of(content.data), figures={})
    drawn = [found for section in sections if (found := _drawn(section, context))]
    scripts = [Markup(_plotly()), *(Markup(_asset(name)) for name in _SCRIPTS)]  # noqa: S704 - ours
    page: str = (
        _environment()
        .get_template("page.html.j2")
        .render(
            title=f"{content.data.get('name', 'report')}, {content.model.get('name', '')}",
            above=[section for section in drawn if not section.title],
            sections=[section for section in drawn if section.title],
            styles=[Markup(_asset(name)) for name in _STYLES],  # noqa: S704 - our own files
            scripts=scripts,
            policy=_policy(scripts),
            figures=Markup(embedded_json(context.figures)),  # noqa: S704 - all markup is escaped
        )
    )
    return page


@dataclass(frozen=True)
class _Drawn:
    """A section as the page has it."""

    name: str
    title: str
    html: Markup


def _drawn(section: Section, context: Context) -> _Drawn | None:
    """Return the section drawn by its template; None where it has nothing to say."""
    view = section.view(context)
    if view is None:
        return None
    template = _environment().get_template(f"sections/{section.name}.html.j2")
    text = template.render(view, cast=context.cast, score=context.score)
    return _Drawn(section.name, section.title, Markup(text))  # noqa: S704 - escaped by its template


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("uproar.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["duration"] = duration
    return environment


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
