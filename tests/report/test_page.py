"""The page's structure, its behaviour on odd contents, and its atomic writing."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from tests.support.report_content import (
    EXPLAINERS,
    FEW,
    HOSTILE,
    JUDGED,
    make_content,
    plain_page,
)
from uproar.report.content import ReportContent
from uproar.report.page import render
from uproar.report.sections import SECTIONS

DONE = ("removed", "kept")
PROTOCOL_TEXTS = ("short", "meaning", "gain", "title", "reading")


class Outline(HTMLParser):
    """Collects elements with their attributes, and the texts of scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag == "script"

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.scripts.append(data)
            self._inside = False

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def figures_of(page: str) -> dict[str, dict]:
    return json.loads(Outline(page).scripts[0])


def empty_content() -> ReportContent:
    none = pd.DataFrame()
    return dataclasses.replace(
        make_content(),
        **dict.fromkeys(("leaderboard", "gains", "curves", "leaks"), none),
        **dict.fromkeys(("pairs", "agreement", "error", "explainers"), none),
        timings=none,
        detectable={},
        gallery=None,
        skipped=(),
        failed=(),
        notes=(),
        provenance={},
    )


def test_has_every_section_and_landmark() -> None:
    outline = Outline(plain_page())
    shown = [section.name for section in SECTIONS if section.title and section.name != "function"]
    assert [attributes.get("id") for attributes in outline.named("section")] == shown
    assert [len(outline.named(tag)) for tag in ("main", "header", "nav", "h1")] == [1, 1, 1, 1]
    assert all(attributes.get("alt") for attributes in outline.named("img"))
    assert len(outline.named("caption")) == len(outline.named("table"))


@pytest.mark.slow
def test_loads_nothing_from_outside() -> None:
    outline = Outline(plain_page())
    assert not outline.named("link")
    assert not any("src" in attributes for attributes in outline.named("script"))
    assert all(
        str(item["src"]).startswith("data:image/png;base64,") for item in outline.named("img")
    )
    assert all(str(item["href"]).startswith("#") for item in outline.named("a"))
    policy = next(item for item in outline.named("meta") if "http-equiv" in item)
    assert str(policy["content"]).startswith("default-src 'none'")


def test_plotly_is_inside_once() -> None:
    assert plain_page().count("* plotly.js v") == 1


@pytest.mark.slow
@pytest.mark.parametrize("names", [(*EXPLAINERS[:4], *HOSTILE), EXPLAINERS[4:5]])
def test_plotly_accepts_every_figure(names: tuple[str, ...]) -> None:
    drawn = figures_of(render(make_content(explainers=names)))
    assert {key.split("-")[0] for key in drawn} >= {"curve", "cost"}
    for figure in drawn.values():
        go.Figure(figure)


@pytest.mark.slow
def test_starts_with_random_the_extremes_and_the_bases() -> None:
    figure = figures_of(plain_page())["curve-0-roar"]
    shown = {trace["name"] for trace in figure["data"] if trace["visible"]}
    assert {"random", "ig", "sg-ig", "abs-ig", "grad", "gb", "sg-grad"} <= shown
    assert len(shown) <= 9
    assert figure["data"][0]["name"] == "random"
    assert figure["data"][1]["line"]["dash"] == "dash"


@pytest.mark.slow
def test_styles_of_explainers_differ_and_agree_across_charts() -> None:
    names = tuple(f"explainer-{number}" for number in range(60))
    curves = [section for section in SECTIONS if section.name == "curves"]
    drawn = figures_of(render(make_content(explainers=("random", *names)), sections=curves))
    looks = []
    for key in ("curve-0-roar", "curve-0-kar"):
        lines = [trace for trace in drawn[key]["data"] if trace["meta"]["part"] == "line"]
        looks.append(
            {trace["name"]: (trace["meta"]["slot"], trace["line"]["dash"]) for trace in lines}
        )
    assert looks[0] == looks[1]
    assert len(set(looks[0].values())) == 61


def test_protocols_that_were_not_run_are_said() -> None:
    page = render(make_content(explainers=FEW, protocols=("roar",)))
    assert "Not run: KAR; Retrain-once, removing; Retrain-once, keeping; No retraining." in page
    assert "no explainer was compared with random" in render(empty_content())


def test_missing_numbers_are_shown_as_missing() -> None:
    content = make_content(explainers=FEW)
    tables = {}
    for name in ("gains", "curves", "leaks", "leaderboard", "pairs", "agreement"):
        table = getattr(content, name).copy()
        numeric = table.select_dtypes("float").columns
        table[numeric] = (
            np.nan if name != "curves" else table[numeric].mask(table["fraction"] == 0.5)
        )
        tables[name] = table
    tables["leaks"]["fraction"] = content.leaks["fraction"]
    tables["curves"]["fraction"] = content.curves["fraction"]
    model = {**content.model, "accuracy": float("nan")}
    page = render(dataclasses.replace(content, **tables, model=model))
    assert not re.search(r"\bnan\b", page.split("<script", maxsplit=1)[0], re.IGNORECASE)
    assert None in figures_of(page)["curve-0-roar"]["data"][1]["y"]


def test_maps_that_are_not_numbers_are_named() -> None:
    content = make_content(explainers=FEW)
    assert content.gallery is not None
    broken = {**content.gallery.importance, "ig": content.gallery.importance["ig"] * np.nan}
    gallery = dataclasses.replace(content.gallery, importance=broken)
    assert "not a number" in render(dataclasses.replace(content, gallery=gallery))


def test_large_pictures_are_reduced() -> None:
    page = render(make_content(explainers=EXPLAINERS[:2], side=160))
    assert re.search("160 . 160 pixels are reduced to 64 . 64", page)


@pytest.mark.parametrize(
    ("protocols", "keys"),
    [
        (("roar",), ["roar_verdict", "roar_gain"]),
        (("kar",), ["kar_verdict", "kar_gain"]),
        (("retrain-once-removed", "no-retrain"), ["retrain-once_gain", "retrain-once_verdict"]),
        (("no-retrain",), ["no-retrain_gain", "no-retrain_verdict"]),
    ],
)
def test_the_leaderboard_has_columns_for_what_was_run(
    protocols: tuple[str, ...], keys: list[str]
) -> None:
    page = render(make_content(explainers=FEW, protocols=protocols))
    headings = [item for item in Outline(page).named("th") if "data-key" in item]
    assert [item["data-key"] for item in headings] == [
        *("name", "kind", *keys, "mask", "rank", "seconds")
    ]
    sorted_by = [item["data-key"] for item in headings if item["aria-sort"] != "none"]
    assert sorted_by == [key for key in keys if "verdict" not in key]


def test_equal_reasons_for_skipping_are_told_once() -> None:
    skipped = (("grad", "it needs gradients"), ("ig", "it needs gradients"), ("lime", "slow"))
    page = render(dataclasses.replace(make_content(explainers=FEW), skipped=skipped))
    assert page.count("it needs gradients") == 1
    assert "Skipped (3)" in page


def test_many_notes_are_folded() -> None:
    notes = tuple(f"note number {number}" for number in range(30))
    page = render(dataclasses.replace(make_content(explainers=FEW), notes=notes))
    assert all(page.count(f"<li>{note}</li>") == 1 for note in notes)
    assert "<summary>22 more</summary>" in page


@pytest.mark.slow
def test_several_removals_get_a_block_each() -> None:
    page = render(make_content(explainers=EXPLAINERS[:5], removals=("mean", "blur")))
    assert {"curve-0-roar", "curve-1-roar", "cost-1"} <= set(figures_of(page))
    assert 'id="removal"' in page
    assert 'id="removal"' not in plain_page()


def test_hostile_names_stay_text() -> None:
    names = (*EXPLAINERS[:4], *HOSTILE)
    content = make_content(explainers=names, class_names=HOSTILE, removals=HOSTILE[:2])
    hostile = dataclasses.replace(
        content,
        command=HOSTILE[2],
        spec_toml=HOSTILE[3],
        data={**content.data, "name": HOSTILE[0]},
        model={**content.model, "name": HOSTILE[1]},
        skipped=((HOSTILE[1], HOSTILE[0]),),
        failed=((HOSTILE[0], HOSTILE[1], HOSTILE[2]),),
        notes=HOSTILE,
        provenance={HOSTILE[0]: HOSTILE[1]},
        protocols=content.protocols.assign(**dict(zip(PROTOCOL_TEXTS, HOSTILE, strict=False))),
    )
    page = render(renamed_protocols(hostile, dict(zip(JUDGED, HOSTILE, strict=False))))
    outline = Outline(page)
    assert not [item for _, item in outline.elements if any(key.startswith("on") for key in item)]
    assert len(outline.named("script")) == 6
    assert all(str(item["src"]).startswith("data:") for item in outline.named("img"))
    assert all(str(item["href"]).startswith("#") for item in outline.named("a"))


def renamed_protocols(content: ReportContent, names: dict[str, str]) -> ReportContent:
    """Return the content with other names of protocols; their curves are called like them."""
    curves = names | {f"retrain-once-{what}": names["retrain-once"] + what for what in DONE}
    agreement = {"first": names, "second": names}
    return dataclasses.replace(
        content,
        protocols=content.protocols.replace({"protocol": names, "curve": curves}),
        gains=content.gains.replace({"protocol": names}),
        curves=content.curves.replace({"protocol": curves}),
        pairs=content.pairs.replace({"protocol": names}),
        agreement=content.agreement.replace(agreement),
        error=content.error.replace({"protocol": names}),
        detectable={names[name]: gain for name, gain in content.detectable.items()},
    )


def test_figures_hold_no_markup_of_names() -> None:
    page = render(make_content(explainers=(*EXPLAINERS[:4], *HOSTILE)))
    block = page.split('id="figures">')[1].split("</script>")[0]
    assert not re.search("[<>&\u2028\u2029]", block)
    for figure in json.loads(block).values():
        labels = [trace.get("name", "") for trace in figure["data"]]
        labels += figure["layout"]["xaxis"].get("ticktext", [])
        assert not any("<" in label for label in labels)


@pytest.mark.slow
def test_hundred_classes_and_sixty_explainers() -> None:
    names = ("random", *(f"{'very-' * 12}long-{number}" for number in range(59)))
    classes = tuple(f"class {number}" for number in range(100))
    page = render(make_content(explainers=names, class_names=classes))
    assert "60 explainers" in page


@pytest.mark.slow
def test_rendering_is_quick() -> None:
    """Half a second where a million squares take 60 milliseconds: whatever the machine is."""
    content = make_content()
    render(content)
    rendering = min(seconds(lambda: render(content)) for _ in range(3))
    squaring = min(seconds(lambda: sum(n * n for n in range(1_000_000))) for _ in range(3))
    assert rendering < 8 * squaring


def seconds(act: Callable[[], object]) -> float:
    """Return the processor's time, which other processes do not take."""
    start = time.process_time()
    act()
    return time.process_time() - start


@pytest.mark.slow
def test_rendering_imports_no_heavy_package() -> None:
    code = (
        "import sys, uproar.report.page\n"
        "heavy = {'torch', 'scipy', 'sklearn', 'matplotlib', 'plotly'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
