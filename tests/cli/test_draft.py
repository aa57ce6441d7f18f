"""A first spec for data of one's own: it says what was seen, it is valid, and it runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tomlkit

from tests.support.image_trees import classes, folder, zipped
from tests.support.small_runs import command
from uproar.bench.checks import fitting_removals
from uproar.cli.draft import draft
from uproar.data import DATA, load
from uproar.plan.spec import Spec
from uproar.results.result import Result
from uproar.types import UproarError


@pytest.fixture
def table(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(generator.standard_normal((300, 3)).round(3), columns=["a", "b", "c"])
    frame.insert(0, "person", [f"p{row}" for row in range(300)])
    frame["town"] = generator.choice(["Ulm", "Bern", None], 300)
    frame["sick"] = np.where(frame["a"] > 0, "yes", "no")
    frame.to_csv("people.csv", index=False)
    return Path("people.csv")


@pytest.fixture
def reviews(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rows = [f"a {'fine' if i % 2 else 'poor'} film number {i}\t{i % 2}" for i in range(60)]
    Path("reviews.tsv").write_text("\n".join(["sentence\tlabel", *rows]) + "\n")
    return Path("reviews.tsv")


def read(text: str, folder: Path) -> Spec:
    """Read a draft as a spec, in the folder that its data are in."""
    path = folder / "drafted.toml"
    path.write_text(text, encoding="utf-8")
    return Spec.from_toml(path).checked()


def test_a_table_is_described(table, tmp_path):
    text = draft(str(table))
    lines = text.splitlines()
    assert lines[0] == "# people.csv: 300 rows, 6 columns"
    assert any(line.startswith("#   a: float64, 2") for line in lines)
    assert any("town:" in line and "missing" in line for line in lines)
    assert "# other candidates for the target: town" in text
    spec = read(text, tmp_path)
    assert spec.source.kind == "table"
    assert spec.source.target == "sick"
    assert spec.source.drop == ("person",)
    assert spec.model == "mlp"
    assert spec.removals == ("mean",)
    assert "sobel" not in spec.explainers
    assert load(spec.data, seed=0, source=spec.source).feature_names == ("a", "b", "c", "town")


@pytest.mark.slow
def test_texts_are_described(reviews, tmp_path):
    spec = read(draft(str(reviews)), tmp_path)
    assert (spec.source.kind, spec.source.text, spec.source.target) == ("text", "sentence", "label")
    assert (spec.model, spec.removals) == ("transformer", ("mask-token",))
    assert load(spec.data, seed=0, source=spec.source).kind == "text"


@pytest.mark.parametrize("packed", [False, True])
def test_images_are_described(packed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = {**classes("train/", each=12), **classes("test/", each=5, first=100)}
    name = zipped(Path("pets.zip"), files) if packed else folder(Path("pets"), files)
    text = draft(str(name))
    assert "train: 24 images in 2 classes" in text
    assert "test: 10 images in 2 classes" in text
    assert "sizes (width × height): 6 × 4" in text
    spec = read(text, tmp_path)
    assert (spec.source.kind, spec.source.patch, spec.model) == ("image", 1, "cnn")
    assert load(spec.data, seed=0, source=spec.source).input_shape == (3, 4, 6)


@pytest.mark.parametrize(
    ("shape", "kind", "model"), [((40, 2, 9), "series", "cnn"), ((40, 5), "table", "mlp")]
)
def test_archives_are_described(shape, kind, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inputs = np.random.default_rng(0).standard_normal(shape)
    np.savez("mine.npz", inputs=inputs, labels=np.arange(40) % 2)
    text = draft("mine.npz")
    assert text.startswith("# mine.npz: 2 arrays\n")
    assert f"#   inputs: float64 {shape}" in text
    spec = read(text, tmp_path)
    assert spec.model == model
    assert load(spec.data, seed=0, source=spec.source).kind == kind


def test_an_archive_of_objects_is_described_and_never_unpickled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("mine.npz", inputs=np.ones((4, 5)), labels=np.array([{}, [], (), 1], dtype=object))
    assert "labels: object (4,)" in draft("mine.npz")


@pytest.mark.parametrize("name", [*(entry.name for entry in DATA), "openml:40996"])
def test_every_registered_name_has_a_draft_that_is_valid(name, tmp_path):
    spec = read(draft(name), tmp_path)
    assert spec.data == name
    expected = Spec.from_mapping({"data": name}).checked()
    assert (spec.model, spec.removals, spec.explainers) == (
        expected.model, expected.removals, expected.explainers,
    )  # fmt: skip


def test_removals_that_fit_are_listed(table):
    line = next(line for line in draft(str(table)).splitlines() if line.startswith("removals"))
    assert line.endswith(f"# of {', '.join(fitting_removals('table'))}")


def test_names_and_values_do_no_harm(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    evil = 'x\nmodel = "os:system"\n# "'
    pd.DataFrame(
        {evil: [f"{i}\nrepeats=0" for i in range(40)], "b": range(40), "y": [0, 1] * 20}
    ).to_csv("evil.csv", index=False)
    text = draft("evil.csv")
    assert tomlkit.parse(text)["model"] == "mlp"
    assert tomlkit.parse(text)["repeats"] == 5
    assert read(text, tmp_path).source.drop == (evil, "b")


def test_another_encoding(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"Zürich,{i},{i % 2}\n" for i in range(40))
    Path("old.csv").write_bytes(f"town,a,y\n{rows}".encode("latin-1"))
    with pytest.raises(UproarError, match=r"is not utf-8: .* pass --encoding latin-1"):
        draft("old.csv")
    spec = read(draft("old.csv", encoding="latin-1"), tmp_path)
    assert spec.source.encoding == "latin-1"


@pytest.mark.parametrize("name", ["nothing.csv", "tabel.csv", "digit", "folder/x.npz"])
def test_data_that_are_not_there(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("table.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UproarError, match=r"there is no|unknown data"):
        draft(name)


def test_the_command_writes_the_file_once(table, capsys, monkeypatch):
    ended = command(capsys, monkeypatch, ("init", table))
    assert (ended.code, ended.errors) == (0, "")
    assert ended.output == "spec.toml: look it over, then `uproar run spec.toml`\n"
    before = Path("spec.toml").read_bytes()
    ended = command(capsys, monkeypatch, ("init", table))
    assert (ended.code, ended.output) == (2, "")
    assert ended.errors == "uproar: spec.toml is there already; choose another file with --out\n"
    assert Path("spec.toml").read_bytes() == before
    assert command(capsys, monkeypatch, ("init", table, "--out", "other.toml")).code == 0
    assert Path("other.toml").read_bytes() == before


@pytest.mark.slow
def test_the_draft_of_a_table_runs(table, capsys, monkeypatch):
    command(capsys, monkeypatch, ("init", table))
    flags = (
        "--explainers",
        "grad",
        "--protocols",
        "roar",
        "--fractions",
        "0.5",
        "--repeats",
        "1",
        "--base-models",
        "1",
    )
    ended = command(capsys, monkeypatch, ("run", "spec.toml", *flags, "--quiet"))
    assert (ended.code, ended.errors) == (0, "")
    assert Result.read(Path("runs/people")).complete
