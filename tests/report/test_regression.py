"""A page of a regression: R² in place of accuracy, everywhere, and nothing of classes."""

from __future__ import annotations

import dataclasses
import re

import pytest

from tests.report.test_page import figures_of
from tests.support.report_content import EXPLAINERS, FEW, make_content, plain_page
from uproar.report.page import render
from uproar.report.records import report_of
from uproar.report.sections.header import facts
from uproar.types import Kind, Task


def visible(page: str) -> str:
    """Return what people read: texts, titles and labels, without references and scripts."""
    body = page[page.index("<body>") : page.index('<script type="application/json"')]
    body = body[: body.index("<h3>References</h3>")]
    told = " ".join(re.findall(r'(?:title|aria-label|alt)="([^"]*)"', body))
    return re.sub(r"<[^>]*>", " ", body) + told


def facts_of(task: Task, kind: Kind, patch: int = 1) -> dict[str, tuple[str, str]]:
    found = facts(report_of(make_content(task=task, kind=kind, patch=patch, side=30)))
    spaced = [(t, v, n.replace("\N{NO-BREAK SPACE}", " ")) for t, v, n in found]
    return {term: (value, note) for term, value, note in spaced}


@pytest.mark.parametrize("kind", ["image", "table", "text", "series"])
def test_no_word_of_classification_is_left(kind: Kind) -> None:
    said = visible(render(make_content(explainers=FEW, task="regression", kind=kind)))
    assert not re.search(r"accura|\bclass|percent\b|majority|frequent", said, re.IGNORECASE)
    # Of intervals, of what masks may tell, and parts of the error: no score is in percent.
    assert set(re.findall(r"([\d.]+).%", said)) == {"95", "5", *("20", "80"), *("10", "50")}
    assert "R² × fraction" in said
    assert "true -2.00" in " ".join(said.split())


@pytest.mark.slow
def test_classification_does_not_speak_of_r_squared() -> None:
    page = plain_page()
    assert "R²" not in visible(page)
    assert "R²" not in str(figures_of(page))


def test_charts_are_in_numbers_and_cope_with_values_below_zero() -> None:
    drawn = figures_of(render(make_content(explainers=FEW, task="regression")))
    axes = {key: figure["layout"]["yaxis"] for key, figure in drawn.items() if "curve" in key}
    assert not any("tickformat" in axis for axis in axes.values())
    assert {axis["title"]["text"] for axis in axes.values()} == {"test R²"}
    shared = {tuple(axis["range"]) for key, axis in axes.items() if "no-retrain" not in key}
    assert len(shared) == 1
    assert min(shared)[0] > -1
    assert axes["curve-0-no-retrain"]["range"][0] < -2
    assert "R² %{y:.3f}" in drawn["curve-0-roar"]["data"][1]["hovertemplate"]


def test_accuracies_share_one_scale() -> None:
    drawn = figures_of(plain_page())
    assert len({str(f["layout"]["yaxis"]["range"]) for k, f in drawn.items() if "curve" in k}) == 1


def test_facts_of_a_regression() -> None:
    found = facts_of("regression", "table")
    assert found["R² of the mean"] == ("0.00", "always the same answer")
    assert found["Model"][1] == (
        "R² 0.81 (0.79 to 0.83), mean squared error 12.3, 26,122 parameters"
    )
    assert found["Data"][1].endswith("11 columns, encoded as 19 values, a value to predict")


@pytest.mark.parametrize(
    ("kind", "patch", "part"),
    [
        ("image", 1, "30 × 30 pixels, 900 features, 10 classes"),
        ("image", 4, "30 × 30 pixels, 64 features, patches of 4 × 4, 10 classes"),
        ("text", 1, "up to 64 tokens, vocabulary of 9,000, 10 classes"),
        ("series", 1, "3 channels × 120 steps, 120 features, 10 classes"),
    ],
)
def test_facts_say_what_an_example_is(kind: Kind, patch: int, part: str) -> None:
    assert facts_of("classification", kind, patch)["Data"][1].endswith(part)


def test_an_unknown_score_is_refused() -> None:
    content = make_content(explainers=EXPLAINERS[:3])
    wrong = dataclasses.replace(content, data={**content.data, "score": "r2"})
    with pytest.raises(ValueError, match="'accuracy' or 'R²', got 'r2'"):
        render(wrong)
