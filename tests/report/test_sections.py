"""The page is a loop over sections, and speaks of the protocols that its table names."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from jinja2 import ChoiceLoader, DictLoader

from tests.report.test_page import Outline, empty_content, figures_of
from tests.report.test_quote import sentence
from tests.report.test_regression import visible
from tests.support.report_content import EXPLAINERS, FEW, make_content
from tests.support.report_functions import function_page, make_function_content
from tests.support.report_protocols import KEEP_LEAST, make_protocols
from uproar.report import page as page_module
from uproar.report import sections as package
from uproar.report.content import ReportContent
from uproar.report.page import render
from uproar.report.section import Context, Section
from uproar.report.sections import SECTIONS
from uproar.report.verdicts import NOT_RUN, VERDICTS, verdict_called

NAMES = [section.name for section in SECTIONS]
FOLDER = Path(package.__file__).parent


def ids(page: str) -> list[str | None]:
    return [attributes.get("id") for attributes in Outline(page).named("section")]


def links(page: str) -> list[str]:
    nav = page[page.index('<div class="links">') : page.index("</nav>")]
    return re.findall(r'href="#([^"]+)"', nav)


def alone(added: dict[str, Any] = KEEP_LEAST) -> ReportContent:
    """Return a content of one protocol that nobody has heard of."""
    content = make_content(protocols=("keep-least",))
    return dataclasses.replace(content, protocols=pd.DataFrame([added]))


def test_every_section_has_its_module_and_its_template() -> None:
    for section in SECTIONS:
        module = importlib.import_module(f"{package.__name__}.{section.name}")
        assert section.view is module.view
        assert (FOLDER / f"{section.name}.html.j2").is_file()


def test_every_view_and_every_template_belongs_to_a_section() -> None:
    modules = [module.name for module in pkgutil.iter_modules(package.__path__)]
    views = {
        name
        for name in modules
        if hasattr(importlib.import_module(f"{package.__name__}.{name}"), "view")
    }
    assert views == set(NAMES)
    templates = {path.name.removesuffix(".html.j2") for path in FOLDER.glob("*.html.j2")}
    parts = {name for name in templates if any(name.startswith(f"{own}_") for own in NAMES)}
    assert templates - parts == set(NAMES)


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> Section:
    """A new section: a view, a template of the same name, and this line."""
    environment = page_module._environment()
    template = '<section id="echo"><h2>Echo</h2><p>{{ said }} {{ cast.ordered[0] }}</p></section>'
    own = DictLoader({"sections/echo.html.j2": template})
    monkeypatch.setattr(environment, "loader", ChoiceLoader([environment.loader, own]))

    def view(context: Context) -> Mapping[str, Any]:
        context.draw("echo-0", {"data": [], "layout": {}})
        return {"said": f"<b>{context.report.content.command}</b>"}

    return Section("echo", "Echoes", view)


def test_a_new_section_is_a_view_a_template_and_a_line(echo: Section) -> None:
    place = NAMES.index("curves")
    page = render(
        make_content(explainers=FEW), sections=(*SECTIONS[:place], echo, *SECTIONS[place:])
    )
    shown = ids(page)
    assert shown[shown.index("echo") - 1 : shown.index("echo") + 2] == [
        *("leaderboard", "echo", "curves")
    ]
    assert links(page) == shown
    assert '<a href="#echo">Echoes</a>' in page
    assert "&lt;b&gt;uproar run digits" in page
    assert "echo-0" in figures_of(page)


def test_a_section_with_nothing_to_say_is_left_out(echo: Section) -> None:
    silent = dataclasses.replace(echo, view=lambda _: None)
    content = make_content(explainers=EXPLAINERS[:4])
    page = render(content, sections=(*SECTIONS[:2], silent, *SECTIONS[2:]))
    assert page == render(content)
    assert "echo" not in page.split("<script", maxsplit=1)[0].lower()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lost", "left_out"),
    [
        ({"curves": pd.DataFrame()}, {"curves"}),
        ({"leaks": pd.DataFrame()}, {"leaks"}),
        (
            {name: pd.DataFrame() for name in ("pairs", "agreement", "error")} | {"detectable": {}},
            {"agreement"},
        ),
        ({"leaderboard": pd.DataFrame()}, {"cost"}),
        ({"gallery": None}, {"gallery"}),
    ],
)
def test_what_was_not_measured_has_no_section(lost: dict[str, Any], left_out: set[str]) -> None:
    content = make_function_content()
    assert ids(function_page()) == [name for name in NAMES if name != "header"]
    page = render(dataclasses.replace(content, **lost))
    assert ids(page) == [name for name in NAMES if name not in {"header", *left_out}]
    assert links(page) == ids(page)


def test_an_empty_run_says_what_was_not_measured_and_how_to_repeat_it() -> None:
    page = render(empty_content())
    assert ids(page) == ["outcomes", "reproduce"]
    known = {item["id"] for _, item in Outline(page).elements if item.get("id")}
    assert {str(link["href"])[1:] for link in Outline(page).named("a")} <= known


def test_a_protocol_that_nobody_has_heard_of_is_everywhere() -> None:
    content = make_content(protocols=("roar", "keep-least", "no-retrain"))
    agreed = pd.DataFrame(
        [("roar", "keep-least", 0.8, 0.6, 0.9, 22)],
        columns=["first", "second", "spearman", "low", "high", "explainers"],
    )
    page = render(dataclasses.replace(content, agreement=agreed))
    headings = [str(item.get("data-key")) for item in Outline(page).named("th")]
    assert {"keep-least_gain", "keep-least_verdict"} <= set(headings)
    assert "<dt>Keep-least</dt><dd>Keep only the least important features, retrain, see " in page
    assert "see accuracy fall.</dd>" in page
    assert '<span class="tally-name">Keep-least</span>' in page
    assert "<h3>Keeping the least important <a" in page  # its masks leak
    axis = figures_of(page)["curve-0-keep-least"]["layout"]["xaxis"]
    assert axis["title"]["text"] == "fraction of features kept"
    assert "told apart by keep-least" in page
    assert "ROAR and keep-least agree." in page
    assert '<th scope="row">keep-least</th>' in page


def test_a_protocol_that_was_run_alone_is_what_the_page_speaks_of() -> None:
    content = alone()
    said = sentence(content)
    assert "18 of 21 explainers were shown better than random by keep-least, 2 indist" in said
    assert "By keep-least, ig is best (gain 0.16, " in said
    page = render(content)
    assert not re.search(r"\b(roar|kar|retrain-once|no-retrain)\b", visible(page), re.IGNORECASE)
    assert "Not run" not in page.split('id="agreement"')[0]
    assert "keep-least's verdict is withheld" in page
    assert "keep-least removes these first" in page
    assert figures_of(page)["cost-0"]["layout"]["yaxis"]["title"]["text"] == "keep-least gain"


def test_a_judge_that_sees_no_masks_needs_no_word_on_leaks() -> None:
    content = alone({**KEEP_LEAST, "reads_own_masks": False})
    assert sentence(content).startswith(
        "On digits (mlp, 97.1 % accurate; split seed 0, 1 base model, 5 repeats, removal by "
        "mean), 18 of 21 beat random under keep-least; ig is best ("
    )
    page = render(content)
    assert "verdict is withheld" not in page
    assert "these are removed first" in page
    keys = re.findall(r'data-key="(keep-least_\w+)"', page)
    assert keys == ["keep-least_gain", "keep-least_verdict"]
    assert 'class="interval"' in page


def test_reliance_orders_nothing_where_information_was_asked_for() -> None:
    table = make_protocols([{**KEEP_LEAST, "ordering": 9}])
    content = make_content(explainers=FEW, protocols=("keep-least", "no-retrain"))
    page = render(dataclasses.replace(content, protocols=table))
    assert "Rank by keep-least gain" in page
    assert "no-retrain_gain" not in page


def test_texts_of_protocols_speak_of_what_models_are_judged_by() -> None:
    page = render(make_content(explainers=FEW, task="regression", kind="table"))
    assert "see how much R² is lost" in page
    assert "{score}" not in page


@pytest.mark.parametrize("table", ["gains", "curves", "pairs", "agreement", "error", "detectable"])
def test_a_protocol_that_the_table_lacks_is_refused(table: str) -> None:
    content = make_content(explainers=EXPLAINERS[:3])
    column = {"agreement": "second"}.get(table, "protocol")
    wrong: Any = {"roaar": 0.1}
    if table != "detectable":
        wrong = getattr(content, table).replace({column: {"kar": "roaar"}})
    with pytest.raises(ValueError, match=f"{table}: 'roaar' is not in the table of protocols"):
        render(dataclasses.replace(content, **{table: wrong}))


def test_verdicts_are_known_by_their_keys() -> None:
    assert [verdict_called(verdict.key) for verdict in VERDICTS] == list(VERDICTS)
    assert [verdict.phrase for verdict in VERDICTS] == [
        "better than random",
        "indistinguishable from random",
        "worse than random",
        "withheld",
        "not tested",
    ]
    assert verdict_called("withheld", "unclear").phrase == "withheld: mask unclear"
    assert verdict_called("untested", "no leak control").phrase == "not tested: no leak control"
    assert verdict_called("reference").phrase == "reference"
    assert verdict_called(float("nan")) is NOT_RUN
