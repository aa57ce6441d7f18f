"""The page in a real browser, from disk and offline."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.report_content import EXPLAINERS, HOSTILE, make_content
from tests.support.report_functions import make_function_content
from tests.support.report_galleries import make_gallery
from uproar.report.page import render

pytestmark = pytest.mark.slow

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
)


@dataclass
class Opened:
    """A page with all that it said, asked for, or popped up."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def assert_quiet(self) -> None:
        assert self.complaints == []
        assert self.dialogs == []
        assert [
            url for url in self.requests if not url.startswith(("file:", "data:", "blob:"))
        ] == []


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or "/usr/bin/chromium"
    if not Path(path).exists():
        pytest.fail(f"no chromium at {path}: install Debian's package chromium to run this test")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield started
        started.close()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plain") / "report.html"
    path.write_bytes(render(make_content()).encode())
    return path


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hostile") / "report.html"
    names = (*EXPLAINERS[:6], *HOSTILE, "long-" * 30)
    path.write_bytes(
        render(
            make_content(explainers=names, class_names=HOSTILE, removals=("mean", "blur"))
        ).encode()
    )
    return path


def opened(browser: Browser, path: Path, *, width: int = 1280) -> Opened:
    context = browser.new_context(
        offline=True, viewport={"width": width, "height": 850}, color_scheme="light"
    )
    result = Opened(context.new_page())
    page = result.page
    page.on("console", lambda message: result.complaints.append(message.text))
    page.on("pageerror", lambda error: result.complaints.append(str(error)))
    page.on("request", lambda request: result.requests.append(request.url))

    def note(dialog: object) -> None:
        result.dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", note)
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]", timeout=120_000)
    return result


@pytest.fixture(scope="module")
def wide(browser: Browser, plain: Path) -> Iterator[Opened]:
    """One page for tests that leave it as they found it: drawing it takes seconds."""
    tab = opened(browser, plain)
    yield tab
    tab.page.context.close()


@pytest.fixture(scope="module")
def of_function(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """A page of explainers of the function on a phone; what tests do to it they undo."""
    path = tmp_path_factory.mktemp("function") / "report.html"
    names = {f"global-explainer-{number}": f"estimand {number % 3}" for number in range(9)}
    content = make_function_content(estimands={"pfi": HOSTILE[0], **names}, bases=2)
    path.write_bytes(render(content).encode())
    tab = opened(browser, path, width=390)
    yield tab
    tab.page.context.close()


@pytest.fixture(scope="module")
def of_texts(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """A page of long texts with hostile tokens on a phone; what tests do to it they undo."""
    path = tmp_path_factory.mktemp("texts") / "report.html"
    words = ("", *HOSTILE, "x" * 400, *(f"word{number}" for number in range(300)))
    gallery = make_gallery(EXPLAINERS[:5], "text", HOSTILE, words=words)
    content = make_content(kind="text", explainers=EXPLAINERS[:5])
    path.write_bytes(render(dataclasses.replace(content, gallery=gallery)).encode())
    tab = opened(browser, path, width=390)
    yield tab
    tab.page.context.close()


def assert_inside(page: Page) -> None:
    """Require that nothing is wider than a phone, where the page was loaded, and a screen."""
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 850})
        page.wait_for_timeout(500)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_viewport_size({"width": 390, "height": 850})


def first_names(page: Page, amount: int = 3) -> list[str]:
    cells = page.locator("#board-0 tbody tr:not([hidden]) th .name")
    return cells.all_inner_texts()[:amount]


def test_sorts_by_click_and_by_keyboard(wide: Opened) -> None:
    tab, page = wide, wide.page
    heading = page.locator('#board-0 th[data-key="name"]')
    once = page.locator('#board-0 th[data-key="retrain-once_gain"]')
    assert once.get_attribute("aria-sort") == "descending"
    assert first_names(page) == ["ig", "sg-ig", "abs-ig"]
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert once.get_attribute("aria-sort") == "none"
    assert first_names(page) == ["abs-gb", "abs-grad", "abs-ig"]
    once.locator("button").focus()
    page.keyboard.press("Enter")
    assert first_names(page) == ["ig", "sg-ig", "abs-ig"]
    page.keyboard.press("Space")
    assert once.get_attribute("aria-sort") == "ascending"
    assert first_names(page, 1) == ["sg-grad"]
    page.keyboard.press("Space")
    assert once.get_attribute("aria-sort") == "descending"
    tab.assert_quiet()


def test_filters(wide: Opened) -> None:
    tab = wide
    tab.page.locator(".filter").first.fill("control")
    assert sorted(first_names(tab.page, 9)) == ["edge", "magnitude", "random"]
    assert tab.page.locator(".found").first.inner_text() == "3 of 22 shown"
    tab.page.locator(".filter").first.fill("")
    assert len(first_names(tab.page, 99)) == 22
    tab.assert_quiet()


def test_hovering_a_curve_shows_its_label(wide: Opened) -> None:
    tab = wide
    chart = tab.page.locator('[data-figure="curve-0-kar"]')
    chart.scroll_into_view_if_needed()
    chart.locator(".scatterlayer .trace .point").nth(3).hover(force=True)
    label = chart.locator(".hoverlayer .hovertext")
    label.wait_for(timeout=60_000)
    said = str(label.first.text_content())
    assert all(word in said for word in ("fraction", "accuracy", "95 % interval", "repeats 5"))
    tab.assert_quiet()


def test_a_key_hides_its_explainer_in_all_charts(wide: Opened) -> None:
    tab = wide
    key = tab.page.locator('.key[title="ig"]')
    shown = (
        "key => [...document.querySelectorAll('.figure')].flatMap(chart => chart.data ?? [])"
        ".filter(trace => trace.name === key && trace.visible === true).length"
    )
    assert tab.page.evaluate(shown, "ig") == 10
    key.click()
    assert key.get_attribute("aria-pressed") == "false"
    tab.page.wait_for_function(f"({shown})('ig') === 0")
    key.click()
    tab.page.wait_for_function(f"({shown})('ig') === 10")
    tab.assert_quiet()


def test_the_switch_turns_page_and_figures_dark(wide: Opened) -> None:
    tab, page = wide, wide.page
    background = "getComputedStyle(document.body).backgroundColor"
    line = "document.querySelector('[data-figure=\"curve-0-kar\"]').data.at(-1).line.color"
    before = page.evaluate(f"[{background}, {line}]")
    page.locator("#theme").click()
    page.wait_for_function(f"{line} !== {before[1]!r}")
    after = page.evaluate(f"[{background}, {line}]")
    assert before[0] == "rgb(251, 251, 249)"
    assert after[0] == "rgb(18, 21, 26)"
    page.locator("#theme").click()
    page.wait_for_function(f"{line} === {before[1]!r}")
    tab.assert_quiet()


def test_hostile_names_do_nothing_and_nothing_overflows(browser: Browser, hostile: Path) -> None:
    tab = opened(browser, hostile, width=390)
    page = tab.page
    page.locator('input[name="removal"]').nth(1).check()
    page.locator("[data-show=all]").click()
    assert_inside(page)
    assert page.locator("svg a").count() == 0
    assert page.locator('#board-1 .name:text-is("<script>alert(1)</script>")').count() == 1
    assert page.locator("text=<script>alert(1)</script>").count() > 1
    tab.assert_quiet()
    page.context.close()


def test_no_overflow_on_a_phone(browser: Browser, plain: Path) -> None:
    tab = opened(browser, plain, width=390)
    assert tab.page.evaluate("document.documentElement.scrollWidth") == 390
    tab.assert_quiet()
    tab.page.context.close()


def test_long_texts_with_hostile_tokens_stay_inside(of_texts: Opened) -> None:
    tab = of_texts
    tokens = tab.page.locator(".example").first.locator(".tokens").first
    assert tokens.locator(".token").all_inner_texts()[: len(HOSTILE) - 1] == list(HOSTILE[:-1])
    assert_inside(tab.page)
    tab.assert_quiet()


def test_the_outlines_of_tokens_can_be_switched_off(of_texts: Opened) -> None:
    tab = of_texts
    line = "getComputedStyle(document.querySelector('.token.top')).textDecorationLine"
    assert tab.page.evaluate(line) == "underline"
    tab.page.locator("#outlines").uncheck()
    assert tab.page.evaluate(line) == "none"
    tab.page.locator("#outlines").check()
    assert tab.page.evaluate(line) == "underline"
    tab.assert_quiet()


def test_series_are_drawn_from_end_to_end(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_bytes(
        render(make_content(kind="series", task="regression", explainers=EXPLAINERS[:5])).encode()
    )
    tab = opened(browser, path, width=390)
    for width in (390, 1280):
        tab.page.set_viewport_size({"width": width, "height": 850})
        chart = tab.page.locator(".series").first
        box = chart.bounding_box()
        line = chart.locator("use").bounding_box()
        assert box is not None
        assert line is not None
        assert line["width"] > 0.95 * box["width"]
        assert line["height"] > 0.8 * box["height"]
    assert_inside(tab.page)
    tab.assert_quiet()
    tab.page.context.close()


def test_importances_of_the_function_are_drawn_also_when_unfolded(of_function: Opened) -> None:
    tab, page = of_function, of_function.page
    drawn = "document.querySelectorAll('#function .importance .main-svg').length > {}"
    folded = page.locator("#function details:has(.importance)")
    assert folded.locator(".main-svg").count() == 0
    folded.locator("summary").click()
    page.wait_for_function(drawn.format(9))
    chart = page.locator("#function .importance .figure").first
    assert chart.locator(".scatterlayer .point").count() == 22  # 11 features, 2 base models
    assert_inside(page)
    assert page.locator("#function h4").first.inner_text() != ""
    tab.assert_quiet()


def test_both_leaderboards_sort_and_filter_by_themselves(of_function: Opened) -> None:
    tab, page = of_function, of_function.page
    rows = page.locator("#function-board-0 tbody tr:not([hidden])")
    assert rows.count() == 10
    page.locator('.filter[data-table="function-board-0"]').fill("estimand 2")
    assert rows.count() == 3
    assert page.locator("#board-0 tbody tr:not([hidden])").count() == 6
    page.locator('#function-board-0 th[data-key="name"] button').click()
    names = page.locator("#function-board-0 tbody tr:not([hidden]) .name").all_inner_texts()
    assert names == sorted(names)
    assert page.locator('#board-0 th[data-key="name"]').get_attribute("aria-sort") == "none"
    page.locator('.filter[data-table="function-board-0"]').fill("")
    assert rows.count() == 10
    tab.assert_quiet()


def test_method_cards_open(of_function: Opened) -> None:
    tab = of_function
    card = tab.page.locator(".method").first
    assert not card.locator("dl").is_visible()
    card.locator("summary").click()
    assert card.locator("dl").is_visible()
    assert "Passes, predicted" in card.inner_text()
    assert tab.page.evaluate("document.documentElement.scrollWidth") == 390
    card.locator("summary").click()
    assert not card.locator("dl").is_visible()
    tab.assert_quiet()
