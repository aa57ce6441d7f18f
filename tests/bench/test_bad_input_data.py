"""Data and models of one's own that are wrong: one line, exit code 2, and nothing is stored."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.support.image_trees import classes, encoded, folder
from tests.support.small_runs import command
from uproar.results.result import Result

ROWS = 240
SHORT = (
    *("--explainers", "input-magnitude", "--protocols", "no-retrain", "--fractions", "0.5"),
    *("--repeats", "1", "--base-models", "1", "--epochs", "3", "--learning-rate", "0.1"),
)

CODE = """
from torch import nn

def number():
    return 3

def two_outputs():
    return nn.Linear(3, 2)

def five_columns():
    return nn.Linear(5, 3)

def needs(width):
    return nn.Linear(3, width)

def raises():
    raise ArithmeticError("no\\nmodel")
"""


def frame() -> pd.DataFrame:
    values = np.random.default_rng(0).standard_normal((ROWS, 3)).round(3)
    return pd.DataFrame(values, columns=["age", "height", "weight"])


@pytest.fixture
def tables(tmp_path, monkeypatch) -> pd.DataFrame:
    """Work in a folder with tables, and return the first."""
    monkeypatch.chdir(tmp_path)
    table = frame().assign(outcome=lambda t: np.where(t["age"] > 0, "yes", "no"))
    table.to_csv("table.csv", index=False)
    return table


@pytest.fixture
def uproar(capsys, monkeypatch):
    return lambda *arguments: command(capsys, monkeypatch, arguments, columns=60)


@pytest.fixture
def refused(uproar, tmp_path):
    """Run a command that is refused, and return the one line that says why."""

    def call(*arguments) -> str:
        ended = uproar("run", *arguments, "--out", tmp_path / "out")
        assert ended.code == 2, ended.errors
        assert ended.output == ""
        assert "Traceback" not in ended.errors
        lines = ended.errors.splitlines()
        assert len(lines) == 1, lines
        assert not (tmp_path / "out").exists()
        return lines[0].removeprefix("uproar: ")

    return call


@pytest.fixture
def told(uproar, tmp_path):
    """Run a command that goes on, and return the lines with which it began."""

    def call(*arguments) -> list[str]:
        ended = uproar("run", *SHORT, *arguments, "--out", tmp_path / "out")
        assert ended.code == 0, ended.errors
        assert "Traceback" not in ended.errors
        assert Result.read(tmp_path / "out").complete
        return ended.errors.splitlines()

    return call


# Tables.


def test_a_wrong_target_offers_the_closest(tables, refused):
    assert refused("table.csv", "--target", "outcom").startswith(
        "unknown target 'outcom': did you mean 'outcome'? Known: "
    )


def test_no_target_names_candidates(tables, refused):
    line = refused("table.csv")
    assert line.startswith("say which column has the labels with --target")
    assert line.endswith("it could be 'outcome'")


def test_a_target_of_one_class(tables, refused):
    tables.assign(outcome="yes").to_csv("table.csv", index=False)
    line = refused("table.csv", "--target", "outcome")
    assert "'outcome'" in line
    assert "'yes'" in line
    assert "nothing to tell apart" in line


def test_a_wrong_column_in_drop(tables, refused):
    line = refused("table.csv", "--target", "outcome", "--drop", "aeg")
    assert line.startswith("unknown column in drop 'aeg': did you mean 'age'?")


def test_columns_of_one_name_with_different_values(tables, refused):
    rows = "".join(f"{i},{i % 5},{i % 2}\n" for i in range(40))
    Path("twice.csv").write_text(f"age,age,y\n{rows}")
    line = refused("twice.csv", "--target", "y")
    assert "2 columns called 'age' (columns 1 and 2) with different values; rename one" in line


@pytest.mark.slow
def test_another_encoding_names_the_byte_and_the_flag(tables, refused, told):
    towns = tables.assign(town=np.where(tables["height"] > 0, "Zürich", "Genève"))
    towns.to_csv("old.csv", index=False, encoding="latin-1")
    line = refused("old.csv", "--target", "outcome")
    assert "old.csv is not utf-8: byte 0x" in line
    assert "pass --encoding latin-1" in line
    line = refused("old.csv", "--target", "outcome", "--encoding", "latin-3000")
    assert "unknown encoding 'latin-3000'; try utf-8 or latin-1" in line
    assert told("old.csv", "--target", "outcome", "--encoding", "latin-1")


@pytest.mark.slow
def test_a_level_that_train_lacks_is_told_and_the_run_goes_on(tables, told):
    tables.assign(town=np.where(tables["height"] > 0, "Ulm", "Bern")).to_csv(
        "train.csv", index=False
    )
    other = tables.assign(town=["Oslo", "Ulm", "Bern"] * 80)
    other.to_csv("test.csv", index=False)
    lines = told("train.csv", "--target", "outcome", "--test", "test.csv")
    (line,) = (line for line in lines if "Oslo" in line)
    assert "80" in line
    assert "town" in line


def test_missing_files_offer_close_names(tables, refused):
    assert refused("tabel.csv", "--target", "y") == (
        "there is no file 'tabel.csv'; did you mean 'table.csv'?"
    )
    line = refused("table.csv", "--target", "outcome", "--test", "tset.csv")
    assert line.startswith("there is no file 'tset.csv'")
    assert "and there is no file or folder of that name" in refused("tabel")
    assert "there is no folder 'nowhere'" in refused("nowhere/table.csv")


def test_rows_of_unequal_length(tables, refused):
    Path("ragged.csv").write_text("a,b,y\n1,2,0\n1,2\n")
    assert "ragged.csv, line 3: 2 cells, but the first line has 3" in refused(
        "ragged.csv", "--target", "y"
    )


def test_flags_that_registered_data_do_not_heed(refused):
    assert refused("digits", "--target", "y") == (
        "data 'digits' is ready as it is, and takes no target ('y')"
    )


def test_a_removal_that_does_not_fit(tables, refused):
    line = refused("table.csv", "--target", "outcome", "--removals", "blur")
    assert line == (
        "removal 'blur' does not fit tables; choose from mean, zero, noise, marginal, "
        "conditional-mean"
    )
    assert "does not fit images; choose from mean, zero, noise, blur, linear" in refused(
        "digits", "--removals", "mask-token"
    )


def test_openml_offline(refused, monkeypatch):
    import urllib.request

    def offline(*arguments, **options):
        raise OSError("[Errno -3] Temporary failure in name resolution")

    monkeypatch.setattr(urllib.request, "urlopen", offline)
    monkeypatch.setattr("sklearn.datasets._openml.urlopen", offline)
    monkeypatch.setattr("time.sleep", len, raising=False)  # between attempts
    line = refused("openml:40996", "--target", "class")
    assert "OpenML table 40996" in line
    assert "Temporary failure in name resolution" in line
    assert "openml:NUMBER" in refused("openml:iris")


# Models.


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("sklearn:LogisticRegresion", "did you mean 'LogisticRegression'"),
        ("sklearn:Ridge", "Ridge is a regressor, but the labels of data 'table' are classes"),
        ("sklearn:StandardScaler", "unknown estimator of scikit-learn 'StandardScaler'"),
        ("sklearn:", "unknown model 'sklearn:'"),
        ("xgboost:XGBClasifier", "did you mean 'XGBClassifier'"),
        ("mpl", "unknown model 'mpl': did you mean 'mlp'"),
        ("cnn", "model 'cnn' needs images or series, but data 'table' are tables"),
        ("nowhere:factory", "there is no module 'nowhere' in"),
        ("mine:nothing", "module 'mine' has no 'nothing'"),
        ("mine:number", "the model factory must return a torch.nn.Module, got int"),
        ("mine:two_outputs", "shape (64, 3), one per class"),
        ("mine:five_columns", "the model does not accept torch.float32 inputs of shape (64, 3)"),
        ("mine:needs", "a factory has no parameter without default, or 'data' alone"),
        ("mine:raises", "making the model failed: ArithmeticError: no model (mine.py, line 17)"),
    ],
)
def test_models_that_do_not_fit(model, expected, tables, refused, monkeypatch):
    three = tables.assign(outcome=pd.cut(tables["age"], [-9, -0.5, 0.5, 9], labels=list("lmh")))
    three.to_csv("table.csv", index=False)
    Path("mine.py").write_text(CODE)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    try:
        assert expected in refused("table.csv", "--target", "outcome", "--model", model)
    finally:
        sys.modules.pop("mine", None)


@pytest.mark.slow  # starts processes
def test_an_estimator_without_probabilities_is_told(tables, told):
    lines = told("table.csv", "--target", "outcome", "--model", "sklearn:LinearSVC")
    assert "LinearSVC has no predict_proba: its decision function is used." in lines


@pytest.mark.parametrize(
    ("package", "model", "extra"),
    [
        ("xgboost", "xgboost:XGBClassifier", "trees"),
        ("lightgbm", "lightgbm:LGBMClassifier", "trees"),
        ("transformers", "transformers:tiny", "text"),
    ],
)
def test_a_missing_extra_says_what_to_install(package, model, extra, tables, refused, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    if extra == "text":
        texts = tables.assign(sentence=[f"word{i % 7} word{i % 3} more" for i in range(ROWS)])
        texts[["sentence", "outcome"]].to_csv("table.csv", index=False)
    flags = ("--text", "sentence") if extra == "text" else ()
    line = refused("table.csv", "--target", "outcome", "--model", model, *flags)
    assert f'pip install "uproar[{extra}]"' in line
    assert package in line


@pytest.mark.slow
def test_explainers_that_need_gradients_are_skipped_with_the_reason(tables, uproar, tmp_path):
    ended = uproar(
        *("run", "table.csv", "--target", "outcome", "--model", "sklearn:LogisticRegression"),
        *(*SHORT, "--explainers", "grad,occlusion", "--out", tmp_path / "out"),
    )
    assert ended.code == 0
    assert "skipped explain: grad: it needs gradients" in ended.output


# Text.


def texts(rows: list[str], name: str = "reviews.tsv") -> str:
    Path(name).write_text("\n".join(["sentence\tlabel", *rows]) + "\n", encoding="utf-8")
    return name


SENTENCES = [f"{'fine' if i % 2 else 'poor'} film with word{i % 9}\t{i % 2}" for i in range(ROWS)]
TEXT = ("--text", "sentence", "--target", "label")


@pytest.mark.slow
def test_an_empty_text_is_named(tables, refused):
    line = refused(texts([*SENTENCES[:7], "\t1", *SENTENCES[7:], "\t0"]), *TEXT)
    assert line == ("reviews.tsv, row 8: the text is empty, as are 1 more; leave such examples out")


def test_a_wrong_text_column_offers_the_closest(tables, refused):
    line = refused(texts(SENTENCES), "--text", "sentance", "--target", "label")
    assert "unknown text column 'sentance': did you mean 'sentence'?" in line


@pytest.mark.slow
def test_long_texts_are_cut_and_told(tables, told):
    lines = told(texts(SENTENCES), *TEXT, "--length", "3", "--learning-rate", "0.01")
    cut = [line for line in lines if "are longer than 3 tokens and were cut there" in line]
    assert len(cut) == 3  # train, validation, test
    assert "the length that was asked for" in cut[0]


# Images.


@pytest.mark.slow
def test_unreadable_images_are_named_and_counted_and_the_rest_goes_on(tables, told):
    bright = np.random.default_rng(0).integers(0, 90, (2, 40, 4, 4)).astype(np.uint8)
    bright[1] += 120
    files = {
        f"{name}/{number:03}.png": encoded(Image.fromarray(bright[label, number]))
        for label, name in enumerate(("cat", "dog"))
        for number in range(40)
    }
    files["cat/003.png"] = b"no image"
    files["dog/007.png"] = files["dog/007.png"][:40]
    folder(Path("pets"), files)
    assert told("pets", "--model", "mlp", "--epochs", "60", "--learning-rate", "0.01")[1] == (
        "2 of 80 images could not be read: 'cat/003.png' (not an image), 'dog/007.png' (not an "
        "image)."
    )


def test_a_folder_without_images(tables, refused):
    Path("empty").mkdir()
    assert "empty" in refused("empty")
    Path("broken.zip").write_bytes(b"no zip")
    assert "broken.zip" in refused("broken.zip")


def test_images_of_a_single_class(tables, refused):
    folder(Path("pets"), {n: f for n, f in classes(each=12).items() if n.startswith("cat")})
    assert "cat" in refused("pets")


# Series.


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        (
            {"inputs": np.array([np.zeros(n) for n in (3, 4)] * 20, dtype=object)},
            "Python objects",
        ),
        ({"inputs": np.zeros((40, 2, 9)) * np.nan}, "NaN"),
        ({"labels": np.arange(40) % 2}, "has no array 'inputs'; it has labels"),
        ({"inputs": np.zeros((40, 2, 9)), "labels": np.zeros(30)}, "40"),
        ({"inputs": np.zeros((2, 2, 2, 2, 2, 2))}, "which is no kind of data"),
        ({"inputs": np.zeros((40, 2, 9)), "lables": np.zeros(40)}, "did you mean 'labels'"),
    ],
)
def test_series_that_cannot_be_read(arrays, expected, tables, refused):
    given = (
        arrays
        if "labels" in arrays or "lables" in arrays
        else {
            **arrays,
            "labels": np.arange(40) % 2,
        }
    )
    np.savez("waves.npz", **given)
    line = refused("waves.npz")
    assert expected in line
    assert "waves.npz" in line or expected in {"NaN", "40"}
