"""The gallery in the form of each kind of data: pictures, patches, bars, tokens, gallery_series."""

from __future__ import annotations

import dataclasses
import re
from importlib.resources import files

import numpy as np
import pytest

from tests.report.test_page import Outline
from tests.support.report_content import EXPLAINERS, HOSTILE, make_content
from tests.support.report_galleries import EXAMPLES, WORDS, make_gallery
from uproar.report.cast import cast_of
from uproar.report.content import Gallery
from uproar.report.page import render
from uproar.report.records import report_of
from uproar.report.sections import gallery_series, pixels
from uproar.report.sections.gallery import GalleryView, gallery_view
from uproar.report.sections.gallery_tokens import tokens
from uproar.types import Kind

NAMES = EXPLAINERS[:6]


def view_of(gallery: Gallery) -> GalleryView:
    report = report_of(dataclasses.replace(make_content(explainers=NAMES), gallery=gallery))
    view = gallery_view(report, cast_of(report))
    assert view is not None
    return view


def section(gallery: Gallery) -> str:
    content = dataclasses.replace(make_content(explainers=NAMES, kind=gallery.kind))
    page = render(dataclasses.replace(content, gallery=gallery))
    return page[page.index('id="gallery"') : page.index('id="outcomes"')]


@pytest.mark.parametrize(
    ("kind", "mark"),
    [("image", "<td>"), ("table", "<td>"), ("text", '<p class="tokens'), ("series", "<use class=")],
)
def test_every_example_has_a_panel_per_explainer(kind: Kind, mark: str) -> None:
    part = section(make_gallery(NAMES, kind, ("no", "yes")))
    assert part.count(mark) == EXAMPLES * len(NAMES)
    assert part.count("<img") == (EXAMPLES * (len(NAMES) + 1) if kind == "image" else 0)
    assert part.count("<li") == (EXAMPLES * 5 * len(NAMES) if kind == "table" else 0)


@pytest.mark.parametrize("kind", ["image", "table", "text", "series"])
def test_maps_that_are_not_numbers_are_named(kind: Kind) -> None:
    gallery = make_gallery(NAMES, kind, ("no", "yes"))
    broken = {**gallery.importance, "ig": gallery.importance["ig"] * np.nan}
    part = section(dataclasses.replace(gallery, importance=broken))
    assert part.count("not a number") == EXAMPLES


def test_patches_are_squares_that_the_border_cuts() -> None:
    view = view_of(make_gallery(NAMES, "image", ("no", "yes"), side=10, patch=4))
    assert view.frame is not None
    assert (view.frame.height, view.frame.width) == (10, 10)
    assert (view.frame.across, view.frame.down) == (120.0, 120.0)
    corner = np.zeros((3, 3), dtype=bool)
    corner[2, 2] = True
    ends = pixels.patch_edges(3, 4, 10)
    assert pixels.outline(corner, rows=ends, columns=ends) == "M8,8h2M8,10h2M8,8v2M10,8v2"


def test_more_patches_than_pixels_are_reduced() -> None:
    view = view_of(make_gallery(NAMES, "image", ("no", "yes"), side=160, patch=2))
    assert view.frame is not None
    assert (view.frame.height, view.frame.across) == (64, 100.0)


def test_bars_show_the_values_that_people_wrote() -> None:
    row = view_of(make_gallery(NAMES, "table", ("no", "yes"))).rows[1]
    assert dict(row.values)["sex"] == "Male"
    shown = {bar.name: bar.entry for panel in row.panels for bar in panel.bars}
    assert shown["age"] == "26"


def test_one_hot_inputs_without_texts_leave_values_out() -> None:
    gallery = make_gallery(NAMES, "table", ("no", "yes"))
    wide = dataclasses.replace(gallery, texts=(), inputs=np.zeros((EXAMPLES, 30), np.float32))
    assert {entry for _, entry in view_of(wide).rows[0].values} == {""}
    narrow = dataclasses.replace(gallery, texts=(), inputs=np.ones((EXAMPLES, 11), np.float32))
    assert {entry for _, entry in view_of(narrow).rows[0].values} == {"1.00"}


def test_tokens_are_the_examples_own() -> None:
    gallery = make_gallery(NAMES, "text", ("no", "yes"))
    assert gallery.present is not None
    for row, own, maps in zip(
        view_of(gallery).rows, gallery.present, gallery.importance["ig"], strict=True
    ):
        found = next(panel for panel in row.panels if panel.explainer == "ig").tokens
        assert [token.text for token in found] == [w for w, o in zip(WORDS, own, strict=True) if o]
        assert found[0].note == f"{maps[own][0]:.3g}".replace("-", "\N{MINUS SIGN}")


def test_a_tenth_of_the_tokens_is_marked_and_scaled_by_the_largest() -> None:
    importance = np.linspace(-2.0, 1.0, 20)
    found = tokens(tuple("abcdefghijklmnopqrst"), importance, 0.1)
    assert [token.text for token in found if token.top] == ["s", "t"]
    assert (found[0].strength, found[0].negative, found[-1].strength) == (1.0, True, 0.5)


def test_blank_tokens_are_seen_and_zero_has_no_strength() -> None:
    found = tokens((" ", "\n", "word"), np.zeros(3), 0.1)
    assert [token.text for token in found] == ["␣", "␣", "word"]
    assert {token.strength for token in found} == {0.0}


def test_a_text_without_tokens_says_so() -> None:
    gallery = make_gallery(NAMES, "text", ("no", "yes"))
    assert gallery.present is not None
    present = gallery.present.copy()
    present[0] = False
    empty = dataclasses.replace(gallery, present=present, texts=((), *gallery.texts[1:]))
    assert view_of(empty).rows[0].panels[0].problem == "no tokens"


@pytest.mark.slow
def test_hostile_tokens_and_values_stay_text() -> None:
    outlines = [
        Outline(section(make_gallery(NAMES, "text", HOSTILE, words=("", *HOSTILE, *WORDS))))
    ]
    table = make_gallery(NAMES, "table", HOSTILE)
    texts = tuple((*HOSTILE, *HOSTILE[:5]) for _ in range(EXAMPLES))
    hostile = dataclasses.replace(table, texts=texts, feature_names=texts[0])
    outlines.append(Outline(section(hostile)))
    series_of = make_gallery(NAMES, "series", HOSTILE)
    outlines.append(
        Outline(section(dataclasses.replace(series_of, feature_names=tuple(HOSTILE[:3]))))
    )
    for outline in outlines:
        assert not [item for _, item in outline.elements if any(key[:2] == "on" for key in item)]
        assert not outline.named("script") + outline.named("img") + outline.named("a")


def test_steps_are_shaded_by_importance() -> None:
    rows = np.array([[0.0, 1.0, 1.0, -0.5]])
    assert gallery_series.shades(rows, 200) == (
        gallery_series.Shade("M3,0h1v200h-1z", 0.5, True),
        gallery_series.Shade("M1,0h2v200h-2z", 1.0, False),
    )


def test_channels_have_strips_of_their_own() -> None:
    rows = np.zeros((2, 20))
    rows[1, 3:7] = 1.0
    path, said = gallery_series.edges(rows, 200, 0.1)
    assert path == "M3,100h4M3,200h4M3,100v100M7,100v100"
    assert said == "most important step 4 of channel 2"
    assert gallery_series.shades(rows, 200)[0].path == "M3,100h4v100h-4z"


def test_lines_fill_their_strips_and_break_at_gaps() -> None:
    drawn = gallery_series.drawing(np.array([[0.0, 1.0, np.nan, 0.5]], np.float32), ("heart",))
    assert drawn.line == "M0.5,92L1.5,8M3.5,50"
    assert drawn.ranges == (("heart", "0", "1"),)
    assert gallery_series.drawing(np.ones((1, 2), np.float32), ()).line == "M0.5,50L1.5,50"


def test_long_series_keep_their_extremes() -> None:
    values = np.zeros((1, 5000), np.float32)
    values[0, 1234] = 1.0
    drawn = gallery_series.drawing(values, ())
    assert (drawn.width, drawn.steps) == (gallery_series.MOST_STEPS, 5000)
    assert drawn.line.count(",8L") + drawn.line.count(",8M") == 1
    gallery = make_gallery(NAMES, "series", ("no", "yes"))
    long = dataclasses.replace(
        gallery,
        inputs=np.zeros((EXAMPLES, 9, 5000), np.float32),
        importance={name: np.ones((EXAMPLES, 9, 5000), np.float32) for name in NAMES},
    )
    part = section(long)
    assert "5000 steps are drawn as 240" in part
    assert "first 6 of 9 channels" in part


@pytest.mark.parametrize("colour", ["for", "against", "much", "surface"])
@pytest.mark.parametrize("scheme", [0, 1])
def test_words_are_readable_on_the_strongest_background(colour: str, scheme: int) -> None:
    style = (files("uproar.report") / "assets" / "page.css").read_text()

    def luminance(name: str) -> float:
        found = re.search(rf"--{name}: light-dark\(#(\w+), #(\w+)\)", style)
        assert found is not None
        shares = np.array([int(found[scheme + 1][place : place + 2], 16) for place in (0, 2, 4)])
        linear = np.where(shares <= 10, shares / 3294.6, ((shares / 255 + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    low, high = sorted((luminance("ink"), luminance(colour)))
    assert (high + 0.05) / (low + 0.05) >= 4.5
