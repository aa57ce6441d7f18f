"""What a result looks like in papers and pages."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from tests.support.small_runs import TUMOURS, finished, run
from uproar.results.conclusions import Conclusions
from uproar.results.content import command_of, content_of
from uproar.results.paper import figure, latex
from uproar.results.result import Result
from uproar.types import UproarError


@pytest.fixture
def result() -> Result:
    return Result.read(finished("digits"))


def test_latex_is_a_table_with_one_row_per_explainer(result):
    text = result.to_latex()
    assert text.count("{") == text.count("}")
    begun = re.findall(r"\\begin{(\w+)}", text)
    assert begun == ["table", "tabular"]
    assert re.findall(r"\\end{(\w+)}", text) == begun[::-1]
    body = text.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
    columns = re.search(r"\\begin{tabular}{(\w+)}", text)[1]
    assert [line.count(" & ") for line in body] == [len(columns) - 1] * 4
    assert {line.split(" & ")[0] for line in body} == {"grad", "ig", "random", "sobel"}
    ig = next(line for line in body if line.startswith("ig"))
    row = result.leaderboard().set_index("explainer").loc["ig"]
    assert f"${row.roar_gain:+.3f}$ [${row.roar_low:+.3f}$, ${row.roar_high:+.3f}$]" in ig
    assert "withheld: mask leaks" in ig
    assert "2 repeats, 1 base model, split seed 0; 95\\,\\% intervals for this model," in text
    header = text.split(r"\toprule")[1].split(r"\\")[0].strip()
    columns = "explainer & ROAR & KAR & retrain-once & no-retrain & mask only & verdict"
    assert header == columns


def test_latex_escapes_what_latex_would_take_for_commands(result, monkeypatch):
    named = result.leaderboard().assign(explainer=["a_b", "50%", "{x}", "~^\\#$&"])
    monkeypatch.setattr(Result, "leaderboard", lambda *_: named)
    text = latex(result)
    for escaped in (r"a\_b", r"50\%", r"\{x\}", r"\textasciitilde{}\textasciicircum{}"):
        assert escaped in text
    assert r"\textbackslash{}\#\$\&" in text
    assert text.count("{") == text.count("}")


@pytest.mark.slow
def test_latex_leaves_out_what_was_not_run(tmp_path):
    text = run({**TUMOURS, "protocols": "roar"}, tmp_path / "run").to_latex()
    header = text.split(r"\toprule")[1].split(r"\\")[0]
    assert header.strip() == "explainer & ROAR & verdict"


def test_the_figure_has_a_panel_per_protocol_and_a_line_per_explainer(result):
    drawn = figure(result)
    assert len(drawn.axes) == 5
    for panel in drawn.axes:
        labels = [line.get_label() for line in panel.get_lines()]
        assert sorted(labels) == ["grad", "ig", "random", "sobel"]
        for line in panel.get_lines():
            assert list(line.get_xdata()) == [0.0, 0.3, 0.7, 1.0]
    assert drawn.axes[0].get_title().startswith("ROAR")


def test_lines_of_more_explainers_than_colours_differ_in_their_dashes(result, monkeypatch):
    curves = result.conclusions.curves
    one = curves[(curves["explainer"] == "grad") & (curves["protocol"] == "roar")]
    names = [f"number {n}" for n in range(23)]
    many = [one.assign(explainer=name) for name in [*names, "random"]]
    fake = Conclusions(**{**vars(result.conclusions), "curves": pd.concat(many)})
    monkeypatch.setattr(Result, "conclusions", fake)
    board = pd.DataFrame({"explainer": [*names, "random"]})
    monkeypatch.setattr(Result, "leaderboard", lambda *_: board)
    lines = figure(result).axes[0].get_lines()
    looks = {(line.get_color(), line.get_linestyle(), line.get_linewidth()) for line in lines}
    assert len(looks) == 24


def test_a_figure_without_curves_is_refused(tmp_path, result):
    only_masks = run({**TUMOURS, "protocols": "mask-only"}, tmp_path / "run")
    with pytest.raises(UproarError, match="there are no curves to plot for removal 'mean'"):
        only_masks.plot()
    with pytest.raises(UproarError, match="removal 'blur'"):
        result.plot("blur")


def test_the_content_of_the_page(result):
    content = content_of(result)
    assert content.data["name"] == "digits"
    assert content.data["train"] == 1258
    assert len(content.data["classes"]) == 10
    assert content.model["parameters"] == 64 * 128 + 128 + 128 * 128 + 128 + 128 * 10 + 10
    assert content.model["low"] <= content.model["accuracy"] <= content.model["high"]
    assert content.spec_toml == (result.out / "spec.toml").read_text()
    assert set(content.explainers["name"]) == {"grad", "ig", "random", "sobel"}
    assert {"uproar", "torch", "numpy", "python", "device", "seed"} <= set(content.provenance)
    assert list(content.detectable) == ["roar", "kar", "retrain-once", "no-retrain"]


@pytest.mark.slow
def test_the_content_tells_what_explaining_took_and_was_predicted_to_take():
    result = Result.read(finished("function"))
    content = content_of(result)
    described = content.explainers.set_index("name")
    board = content.leaderboard.set_index("explainer")
    assert described["predicted"].to_dict() == board.loc[described.index, "passes"].to_dict()
    assert described.loc["pfi", "formula"] == "repeats * features + 1"
    assert described.loc["pfi", "parameters"].startswith("repeats=5")
    assert described.loc["pfi", "promises"] == "ignores idle features"
    assert described["scope"].to_dict() == board.loc[described.index, "scope"].to_dict()
    pd.testing.assert_frame_equal(content.function, result.function())
    assert len(content.function_agreement) == 3
    assert content.data["feature_shape"] == [30]
    page = result.to_html(result.out / "again.html").read_text()
    (result.out / "again.html").unlink()
    assert "Leaderboard for function" in page
    assert "151 = repeats * features + 1" in page


def test_the_gallery_shows_ten_examples_of_all_classes(result):
    gallery = content_of(result).gallery
    assert gallery.inputs.shape == (10, 1, 8, 8)
    assert sorted(gallery.labels) == list("0123456789")
    assert set(gallery.importance) == {"grad", "ig", "random", "sobel"}
    assert {maps.shape for maps in gallery.importance.values()} == {(10, 8, 8)}
    assert gallery.value_range == (0.0, 1.0)


def test_the_page_says_how_to_repeat_the_run(result):
    assert command_of(result) == "uproar run --config spec.toml --out digits"
    assert "uproar run --config spec.toml --out digits" in result.to_html().read_text()
