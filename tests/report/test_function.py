"""What the page says of explainers of the function, and of every explainer's cost."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest

from tests.report.test_page import Outline, figures_of
from tests.report.test_quote import sentence
from tests.support.report_content import HOSTILE, plain_page
from tests.support.report_functions import (
    ESTIMANDS,
    LOSS,
    RESPONSE,
    function_page,
    make_function_content,
)
from uproar.report.cast import cast_of
from uproar.report.content import ReportContent
from uproar.report.page import render
from uproar.report.records import report_of
from uproar.report.sections import SECTIONS
from uproar.report.sections.estimands import disagreements, estimands
from uproar.report.sections.function import importances
from uproar.report.sections.methods import cards
from uproar.report.sections.scopes import Found, local_against_global
from uproar.types import Kind


def alone(content: ReportContent, name: str = "function") -> str:
    """Return a page of one section."""
    return render(content, sections=[section for section in SECTIONS if section.name == name])


def section(page: str, name: str) -> str:
    """Return one section of the page, as text with its markup."""
    return page[page.index(f'<section id="{name}"') :].partition("</section>")[0]


def names_in(page: str, board: str) -> list[str]:
    rows = page[page.index(f'id="{board}"') :].partition("</table>")[0]
    return re.findall(r'<th scope="row" data-value="([^"]*)"', rows)


def with_gains(content: ReportContent, gains: dict[str, float], **changes: Any) -> ReportContent:
    """Return the content with these retrain-once gains, which were all told apart."""
    table = content.gains.set_index("explainer")
    for name, gain in gains.items():
        table.loc[(table.index == name) & (table["protocol"] == "retrain-once"), "gain"] = gain
    return dataclasses.replace(content, gains=table.reset_index(), **changes)


def test_each_explainer_is_in_one_of_the_leaderboards() -> None:
    content = make_function_content()
    page = function_page()
    assert sorted(names_in(page, "function-board-0")) == sorted(ESTIMANDS)
    decisions = names_in(page, "board-0")
    assert not set(decisions) & set(ESTIMANDS)
    assert sorted([*decisions, *ESTIMANDS]) == sorted(content.explainers["name"])
    assert "Leaderboard for decisions" in page
    assert "nothing to leak" in section(page, "function")
    headings = re.findall(r'data-key="([\w-]+)"', section(page, "function"))
    assert headings == [
        *("name", "estimand", "roar_verdict", "roar_gain", "kar_gain", "retrain-once_gain"),
        *("retrain-once_verdict", "passes", "seconds"),
    ]


def test_both_leaderboards_are_sorted_by_gain() -> None:
    content = make_function_content()
    gains = content.gains.query("protocol == 'retrain-once'").set_index("explainer")["gain"]
    for board in ("board-0", "function-board-0"):
        shown = names_in(function_page(), board)
        values = [gains.get(name, 0.0) for name in shown]
        assert values == sorted(values, reverse=True)


def test_curves_have_every_explainer_and_start_with_the_best_of_the_function() -> None:
    content = make_function_content()
    figure = figures_of(function_page())["curve-0-roar"]
    assert {trace["name"] for trace in figure["data"]} == set(content.explainers["name"])
    roles = cast_of(report_of(content))
    best = next(name for name in roles.ordered if name in ESTIMANDS)
    assert best in roles.shown
    assert len(roles.shown) <= 9


def test_without_explainers_of_the_function_nothing_is_said_of_them() -> None:
    page = plain_page()
    assert 'id="function"' not in page
    assert "#function" not in page
    assert "Leaderboard</h2>" in section(page, "leaderboard")


def compared(content: ReportContent) -> Found:
    return local_against_global(report_of(content), "mean")


def apart(content: ReportContent, one: str, other: str, *, told: bool) -> ReportContent:
    pairs = content.pairs.copy()
    pair = pairs["first"].isin([one, other]) & pairs["second"].isin([one, other])
    pairs.loc[pair, ["distinguishable", "p_holm"]] = [told, 0.0004 if told else 0.3]
    return dataclasses.replace(content, pairs=pairs)


@pytest.mark.parametrize(
    ("gains", "told", "state", "words"),
    [
        ({"ig": 0.4, "pfi": 0.3}, True, "local", "ig beats pfi"),
        ({"ig": 0.3, "pfi": 0.4}, True, "global", "pfi beats ig"),
        ({"ig": 0.4, "pfi": 0.39}, False, "alike", "ig and pfi cannot be told apart"),
    ],
)
def test_the_best_of_decisions_is_compared_with_the_best_of_the_function(
    gains: dict[str, float], told: bool, state: str, words: str
) -> None:
    found = compared(apart(with_gains(make_function_content(), gains), "ig", "pfi", told=told))
    assert found.state == state
    assert words in found.said
    gap = f"{gains['ig'] - gains['pfi']:+.3f}".replace("-", "\N{MINUS SIGN}")
    assert f"ig less pfi is {gap}" in found.detail
    assert ("p < 0.001" if told else "p = 0.3") in found.detail
    # Of the fixture's explainers only random and the edge filter do not leak.
    assert ("part of the lead may be due to this" in found.detail) == (state == "local")


def test_beating_the_other_is_little_where_random_is_not_beaten() -> None:
    content = with_gains(make_function_content(), {"ig": 0.3, "pfi": 0.4})
    verdicts = {"better": False, "alike": True}
    for verdict, told in verdicts.items():
        gains = content.gains.assign(verdict=verdict)
        detail = compared(dataclasses.replace(content, gains=gains)).detail
        assert detail.endswith("But pfi is not shown better than random.") == told


def test_controls_and_withheld_explainers_are_not_compared() -> None:
    content = with_gains(
        make_function_content(),
        {"edge": 0.9, "untrained-global-ig": 0.8, "gb": 0.7, "ig": 0.4, "pfi": 0.3},
    )
    gains = content.gains.copy()
    gains.loc[gains["explainer"] == "gb", "verdict"] = "withheld"
    found = compared(dataclasses.replace(content, gains=gains))
    assert "ig beats pfi" in found.said


@pytest.mark.parametrize(
    ("kept", "lacking"), [(("random", "pfi"), "decisions"), (("random", "ig"), "the function")]
)
def test_with_one_side_alone_there_is_nothing_to_compare(
    kept: tuple[str, ...], lacking: str
) -> None:
    content = make_function_content()
    gains = content.gains[content.gains["explainer"].isin(kept)]
    found = compared(dataclasses.replace(content, gains=gains))
    assert found.state == "unknown"
    assert found.said == f"There is no gain of an explainer of {lacking} to compare with."


def test_pairs_that_were_not_tested_are_not_judged() -> None:
    content = dataclasses.replace(make_function_content(), pairs=pd.DataFrame())
    assert compared(content).state == "unknown"
    both = dataclasses.replace(
        make_function_content(),
        gains=pd.concat([make_function_content().gains.assign(removal=r) for r in ("mean", "x")]),
    )
    second = local_against_global(report_of(both), "x")
    assert second.said == "Pairs of explainers are compared under removal by mean only."
    assert render(both).count("data-scopes") == 2


def test_what_is_estimated_is_listed_and_differences_are_explained() -> None:
    content = make_function_content()
    agreement = pd.DataFrame(
        [
            ("pfi", "global-ig", 0.2),
            ("pfi", "untrained-global-ig", -0.9),
            ("pfi", "own", 0.1),
            ("global-ig", "own", 0.9),
            ("global-ig", "untrained-global-ig", 0.0),
            ("untrained-global-ig", "own", float("nan")),
        ],
        columns=["first", "second", "spearman"],
    )
    report = report_of(dataclasses.replace(content, function_agreement=agreement))
    roles = cast_of(report)
    listed = dict(estimands(report, roles))
    assert sorted(listed[RESPONSE]) == ["global-ig", "untrained-global-ig"]
    assert (listed[LOSS], listed["not declared"]) == (("pfi",), ("own",))
    low = disagreements(report, roles)
    assert [(one.first, one.second, one.spearman) for one in low] == [
        ("pfi", "own", "+0.10"),
        ("pfi", "global-ig", "+0.20"),
    ]
    assert low[0].why == "what is estimated is not declared by own"
    assert low[1].why == f"pfi estimates {LOSS}; global-ig estimates {RESPONSE}"
    assert [one.question for one in low] == ["not declared", "different"]
    page = section(alone(report.content), "function")
    assert "answer 3 different questions" in page
    assert "This may rightly be so" in page


def test_equal_estimands_have_no_excuse() -> None:
    content = make_function_content(estimands={"pfi": LOSS, "sage": LOSS})
    agreement = pd.DataFrame([("pfi", "sage", -0.5)], columns=["first", "second", "spearman"])
    report = report_of(dataclasses.replace(content, function_agreement=agreement))
    (one,) = disagreements(report, cast_of(report))
    assert one.why.startswith(f"both estimate {LOSS}, so that chance")
    assert one.question == "same"
    page = section(alone(report.content), "function")
    assert "different questions" not in page
    assert "correlations" not in str(figures_of(render(report.content)))  # two have no matrix


@pytest.mark.parametrize("bases", [1, 3])
def test_tables_have_a_dot_per_feature_and_base_model(bases: int) -> None:
    content = make_function_content(bases=bases)
    drawn = {k: f for k, f in figures_of(alone(content)).items() if k.startswith("function")}
    assert len(drawn) == len(ESTIMANDS) + 1  # and the matrix of correlations
    for figure in drawn.values():
        go.Figure(figure)
    of_first = content.function.query("explainer == 'pfi' and base_model == 0")
    rows = of_first.set_index("feature")
    told = {
        trace["customdata"][0][1]: trace
        for figure in drawn.values()
        for trace in figure["data"]
        if trace["meta"]["part"] == "importance"
    }
    (pfi,) = [t for t in told.values() if "Holm" in t["customdata"][0][3]]
    assert len(pfi["x"]) == 11 * bases
    first = rows.loc[pfi["customdata"][0][0]]
    assert pfi["x"][0] == pytest.approx(first["importance"], rel=1e-5)
    assert pfi["error_x"]["array"][0] == pytest.approx(
        first["high"] - first["importance"], rel=1e-5
    )
    assert (pfi["marker"]["symbol"][0] == "circle") == (first["verdict"] == "above zero")
    assert "circle-open" in pfi["marker"]["symbol"]
    assert ("base model 0" in pfi["customdata"][0][3]) == (bases > 1)


def test_the_same_features_are_drawn_for_all_and_everyones_first_is_among_them() -> None:
    content = make_function_content(shape=(40,))
    view = importances(report_of(content), cast_of(report_of(content)))
    assert view is not None
    assert (view.features, view.listed) == (40, 12)
    ticks = {str(figure["layout"]["yaxis"]["ticktext"]) for figure in view.figures.values()}
    assert len(ticks) == 1
    for name in ("pfi", "global-ig", "own"):
        rows = content.function[content.function["explainer"] == name]
        best = rows.loc[rows["importance"].idxmax(), "feature"]
        assert f"'{best}'" in next(iter(ticks))
    assert "Of 40 features the 12 are drawn" in section(alone(content), "function")


def test_images_have_a_map_each() -> None:
    page = section(alone(make_function_content("image")), "function")
    pictures = Outline(page).named("img")
    assert len(pictures) == len(ESTIMANDS)
    assert all("most important pixel in row" in str(item["alt"]) for item in pictures)
    patched = make_function_content("image", shape=(2, 2))
    content = dataclasses.replace(patched, data={**patched.data, "patch": 4})
    page = section(alone(content), "function")
    assert "most important patch in row" in page


@pytest.mark.parametrize(
    ("kind", "shape", "lines"),
    [("series", (120,), 1), ("series", (3, 30), 3), ("text", (), 1)],
)
def test_series_and_texts_have_lines(kind: Kind, shape: tuple[int, ...], lines: int) -> None:
    drawn = figures_of(alone(make_function_content(kind, shape=shape)))
    figures = [f for key, f in drawn.items() if re.fullmatch(r"function-\d", key)]
    assert len(figures) == len(ESTIMANDS)
    for figure in figures:
        go.Figure(figure)
        parts = [trace["meta"]["part"] for trace in figure["data"]]
        assert parts.count("line") == lines
    # Errors are known of one of them, and bands of several lines would hide each other.
    bands = sum(trace["meta"]["part"] == "band" for f in figures for trace in f["data"])
    assert bands == (1 if lines == 1 else 0)


def test_channels_beyond_count_are_drawn_as_features() -> None:
    drawn = figures_of(alone(make_function_content("series", shape=(9, 5))))
    assert drawn["function-0"]["data"][0]["meta"]["part"] == "importance"
    assert "channel 9, step" in str(drawn["function-0"]) or "channel" in str(drawn["function-0"])


def test_the_gallery_leaves_them_out() -> None:
    page = section(alone(make_function_content("image"), "gallery"), "gallery")
    assert "global-ig" not in page
    assert "say the same of every example" in page


def test_method_cards_say_what_each_is_needs_and_costs() -> None:
    content = make_function_content()
    board = content.leaderboard.set_index("explainer")
    board[["seconds", "passes"]] = None
    board.loc["pfi"] = {"kind": "", "seconds": 1.5, "passes": 54.9}
    board.loc["ig", "passes"] = 25.0
    report = report_of(dataclasses.replace(content, leaderboard=board.reset_index()))
    found = {card.name: dict(card.facts) for card in cards(report, cast_of(report))}
    assert set(found) == set(content.explainers["name"])
    assert found["pfi"] == {
        "Explains": "the function: one importance for every feature, the same for all examples",
        "Estimates": LOSS,
        "Sign": "unsigned",
        "Needs": "any model",
        "Promises": "ignores idle features",
        "Parameters": "steps=25",
        "Passes, predicted": "55 = 5 * features",
        "Passes, counted": "54.9 for each held-out example",
        "Time": "1.5\N{NO-BREAK SPACE}s",
        "Reference": "Sundararajan et al. 2017, arXiv 1703.01365",
    }
    assert found["ig"]["Passes, counted"] == "25 for each example"
    assert found["ig"]["Sign"] == "signed: for and against"
    assert found["untrained-global-ig"]["Kind"].startswith("control")
    page = section(render(content), "methods")
    assert page.count("<details") == len(content.explainers)


def test_an_extra_package_is_named_with_its_command() -> None:
    content = make_function_content()
    described = content.explainers.assign(extra="shap", data_kinds="table", formula="")
    page = render(dataclasses.replace(content, explainers=described))
    assert "pip install &#34;uproar[shap]&#34;" in section(page, "methods")
    assert "Passes, predicted" not in page


def test_cost_is_told_with_passes() -> None:
    page = function_page()
    points = figures_of(page)["cost-0"]["data"][1]
    told = {label[0]: label[3] for label in points["customdata"]}
    assert told["ig"] == "55 passes per example"
    assert told["pfi"] == "55 passes per held-out example"
    assert "<small>55 passes</small>" in section(page, "leaderboard")


def test_an_older_content_without_passes_is_shown_without() -> None:
    page = plain_page()
    assert "passes not counted" in str(figures_of(page)["cost-0"])
    assert "passes</small>" not in section(page, "leaderboard")


@pytest.mark.parametrize(
    ("best", "said"),
    [
        ("ig", "; ig is best ("),
        ("pfi", "; pfi, one ranking for all examples, is best ("),
        ("edge", "; edge, a control, is best ("),
        (
            "untrained-global-ig",
            "; untrained-global-ig, a control that explains random weights and one ranking for "
            "all examples, is best (",
        ),
    ],
)
def test_the_quote_says_what_kind_the_best_is(best: str, said: str) -> None:
    assert said in sentence(with_gains(make_function_content(), {best: 0.9}))


def test_hostile_names_and_estimands_stay_text() -> None:
    names = {"pfi": HOSTILE[0], HOSTILE[1]: HOSTILE[2], HOSTILE[3]: "", HOSTILE[4]: HOSTILE[5]}
    content = make_function_content(estimands=names)
    table = content.function.assign(feature=HOSTILE[0] + content.function["feature"])
    page = render(dataclasses.replace(content, function=table))
    outline = Outline(page)
    assert len(outline.named("script")) == 6
    assert all(str(item["href"]).startswith("#") for item in outline.named("a"))
    assert not [item for _, item in outline.elements if any(key.startswith("on") for key in item)]
    block = page.split('id="figures">')[1].split("</script>")[0]
    assert not re.search("[<>&\u2028\u2029]", block)


def test_many_disagreements_are_folded_into_a_table() -> None:
    names = {f"global-{number}": f"estimand {number}" for number in range(8)}
    page = section(alone(make_function_content(estimands=names)), "function")
    cards_, _, folded = page.partition("more pairs rank the features differently")
    assert cards_.count('class="agree unclear"') >= 4
    assert folded.count("<td>different</td>") > 4
