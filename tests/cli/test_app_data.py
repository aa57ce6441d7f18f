"""The command line with data and models of one's own."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.support.image_trees import encoded, zipped
from tests.support.small_runs import command, content, stamps
from uproar.data import DATA
from uproar.models import MODELS
from uproar.registry import Entry
from uproar.remove import REMOVALS
from uproar.results.result import Result

SHORT = ("--protocols", "roar", "--fractions", "0.5", "--repeats", "1", "--base-models", "1")
FAST = (*SHORT, "--explainers", "grad", "--learning-rate", "0.02", "--epochs", "8")


@pytest.fixture
def uproar(capsys, monkeypatch, tmp_path):
    """Run the command line in a folder with data of every kind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return lambda *arguments, columns=150: command(capsys, monkeypatch, arguments, columns)


def table(name: str = "table.csv", *, flipped: bool = False) -> str:
    generator = np.random.default_rng(0)
    values = generator.standard_normal((300, 3)).round(3)
    frame = pd.DataFrame(values, columns=["a", "b", "c"])
    frame["town"] = generator.choice(["Ulm", "Bern"], 300)
    frame["price"] = (3 * frame["a"] + 100 + generator.standard_normal(300)).round(2)
    frame["y"] = np.where((frame["b" if flipped else "a"] > 0), "yes", "no")
    if name.endswith(".parquet"):
        frame.to_parquet(name)
    else:
        frame.to_csv(name, index=False)
    return name


def reviews() -> str:
    rows = [f"{'fine' if i % 2 else 'poor'} film with word{i % 9}\t{i % 2}" for i in range(240)]
    Path("reviews.tsv").write_text("\n".join(["sentence\tlabel", *rows]) + "\n")
    return "reviews.tsv"


def pictures() -> str:
    bright = np.random.default_rng(0).integers(0, 90, (2, 60, 6, 6)).astype(np.uint8)
    bright[1, :, 2:4, 2:4] += 120
    files = {
        f"{name}/{number:03}.png": encoded(Image.fromarray(bright[label, number]))
        for label, name in enumerate(("dark", "bright"))
        for number in range(60)
    }
    return str(zipped(Path("images.zip"), files))


def waves() -> str:
    inputs = np.random.default_rng(0).standard_normal((200, 1, 12)).astype(np.float32)
    labels = np.arange(200) % 2
    inputs[labels == 1, :, 4:7] += 2
    np.savez("waves.npz", inputs=inputs, labels=labels)
    return "waves.npz"


def finished(ended, out: str) -> Result:
    assert ended.code == 0, ended.errors
    assert ended.output.splitlines()[-1] == f"report: {out}/report.html"
    result = Result.read(Path(out))
    assert result.complete
    assert result.failed == ()
    return result


@pytest.mark.slow
def test_a_table_with_an_estimator(uproar):
    ended = uproar(
        *("run", table(), "--target", "y", "--drop", "price"),
        *("--model", "sklearn:LogisticRegression", "--explainers", "occlusion", *SHORT),
    )
    result = finished(ended, "runs/table")
    assert "training: processes (one estimator for each arm)" in ended.errors
    assert result.spec.source.target == "y"
    assert result.data_facts.values["feature_names"] == ["a", "b", "c", "town"]
    assert result.base_accuracy[0] > 0.9
    assert "table, sklearn:LogisticRegression, removal mean" in ended.output


@pytest.mark.slow
@pytest.mark.parametrize("name", ["table.csv", "table.parquet"])
def test_a_table_by_path_with_the_default_model(name, uproar):
    result = finished(uproar("run", table(name), "--target", "y", *FAST), "runs/table")
    assert result.spec.model == "mlp"
    assert result.spec.data == name


@pytest.mark.slow
def test_a_table_of_values_is_a_regression(uproar):
    ended = uproar("run", table(), "--target", "price", "--drop", "y", *FAST)
    result = finished(ended, "runs/table")
    assert result.score == "R²"
    assert result.data_facts.values["label_centre"] == pytest.approx(100, abs=2)
    assert "Gains are in R² × fraction." in ended.output


@pytest.mark.slow
def test_texts(uproar):
    flags = ("--text", "sentence", "--target", "label", "--epochs", "20")
    result = finished(uproar("run", reviews(), *flags, *FAST), "runs/reviews")
    assert (result.spec.model, result.spec.removals) == ("transformer", ("mask-token",))
    assert result.data_facts.values["kind"] == "text"


@pytest.mark.slow
def test_a_zip_of_images_with_patches(uproar):
    result = finished(uproar("run", pictures(), "--patch", "2", *FAST), "runs/images")
    assert result.spec.model == "cnn"
    assert result.data_facts.values["features"] == 9
    assert result.data_facts.values["class_names"] == ["bright", "dark"]


@pytest.mark.slow
def test_an_archive_of_series(uproar):
    result = finished(uproar("run", waves(), *FAST), "runs/waves")
    assert result.data_facts.values["kind"] == "series"
    assert result.data_facts.values["feature_shape"] == [12]


@pytest.mark.slow
def test_a_spec_where_data_stand_and_the_same_again(uproar):
    Path("mine.toml").write_text(
        f'data = "{table()}"\nprotocols = ["roar"]\nfractions = [0.5]\n'
        "repeats = 1\nbase_models = 1\n"
        'explainers = ["grad"]\n[source]\ntarget = "y"\n[recipe]\nlearning_rate = 0.02\n'
    )
    finished(uproar("run", "mine.toml"), "runs/table")
    before = content(Path("runs")), stamps(Path("runs"))
    ended = uproar("run", "mine.toml")
    assert (ended.code, ended.errors) == (0, "already finished: runs/table\n")
    assert (content(Path("runs")), stamps(Path("runs"))) == before
    # The spec that the run wrote is the same run.
    ended = uproar("run", "runs/table/spec.toml")
    assert (ended.code, ended.errors) == (0, "already finished: runs/table\n")
    assert stamps(Path("runs")) == before[1]


@pytest.mark.slow
def test_other_content_under_the_same_name_is_noticed(uproar):
    flags = ("--target", "y", "--drop", "price", *FAST)
    first = finished(uproar("run", table(), *flags), "runs/table")
    assert uproar("run", "table.csv", *flags).errors == "already finished: runs/table\n"
    table(flipped=True)
    ended = uproar("run", "table.csv", *flags)
    second = finished(ended, "runs/table")
    assert "already finished" not in ended.errors
    assert first.spec.data_digest != second.spec.data_digest
    assert not first.table["value"].equals(second.table["value"])
    # The spec that the first run wrote would have given its digest: it is looked at again, too.
    table()
    ended = uproar("run", "runs/table/spec.toml")
    assert "already finished" not in ended.errors
    assert finished(ended, "runs/table").spec.data_digest == first.spec.data_digest


@pytest.mark.slow
def test_other_code_of_the_model_is_noticed(uproar, monkeypatch):
    code = (
        "from torch import nn\n\ndef factory(data):\n    return nn.Sequential(nn.Linear({}, 2))\n"
    )
    source = Path("own_model.py")
    source.write_text(code.format("data.features"))
    flags = (table(), "--target", "y", "--drop", "price,town", "--model", "own_model:factory")
    trained = ("--explainers", "grad", "--learning-rate", "0.1", "--epochs", "20")

    def run():
        monkeypatch.delitem(sys.modules, "own_model", raising=False)
        return uproar("run", *flags, *SHORT, *trained)

    first = finished(run(), "runs/table")
    assert first.spec.model_digest
    assert run().errors == "already finished: runs/table\n"
    source.write_text(f"{code.format('3')}\n# longer, so that it is compiled again\n")
    assert run().errors == "already finished: runs/table\n"  # it is the same module
    source.write_text(code.replace("(nn.Linear", "(nn.Tanh(), nn.Linear").format("data.features"))
    ended = run()
    assert "already finished" not in ended.errors
    assert finished(ended, "runs/table").spec.model_digest != first.spec.model_digest
    monkeypatch.delitem(sys.modules, "own_model", raising=False)


@pytest.mark.slow
def test_plan_says_what_data_of_ones_own_would_cost(uproar, tmp_path):
    ended = uproar("plan", table(), "--target", "y", *FAST)
    assert ended.code == 0, ended.errors
    for word in ("cells", "trainings", "time", "disk", "memory"):
        assert re.search(rf"│ {word} +│ +(about )?[\d,.]+", ended.output), ended.output
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


@pytest.mark.parametrize(
    ("what", "entries"), [("models", MODELS), ("removals", REMOVALS)], ids=["models", "removals"]
)
def test_lists_say_what_kinds_of_data_each_entry_is_for(what, entries: tuple[Entry, ...], uproar):
    rows = uproar("list", what, columns=250).output.splitlines()
    assert any("┃ data" in row for row in rows)
    for entry in entries:
        (row,) = (row for row in rows if row.startswith(f"│ {entry.name} "))
        assert ", ".join(entry.data_kinds) or "all" in row


def test_the_list_of_data_says_their_kinds(uproar):
    rows = uproar("list", "data", columns=250).output.splitlines()
    for entry in DATA:
        (row,) = (row for row in rows if row.startswith(f"│ {entry.name} "))
        assert entry.kind in row


def test_the_help_of_run_has_its_flags_in_panels_and_examples_of_each_kind(uproar):
    shown = uproar("run", "--help").output
    panels = re.findall(r"─ ([A-Z][\w ]+) ─", shown)
    assert panels == ["Arguments", "Options", "Data of your own", "Training"]
    own = shown[shown.index("Data of your own") : shown.index("─ Training")]
    assert set(re.findall(r"--[a-z-]+", own)) == {
        *("--target", "--text", "--drop", "--kind", "--task", "--test", "--validation"),
        *("--examples", "--folds", "--patch", "--size", "--length", "--encoding"),
    }
    for example in (
        "uproar run table.csv --target price",
        "uproar run images.zip --model resnet18 --patch 4",
        "uproar run reviews.tsv --text sentence --target label",
    ):
        assert example in " ".join(shown.split())
    for word in ("sklearn:NAME", "package.module:factory", "openml:ID", "spec.toml"):
        assert word in shown
