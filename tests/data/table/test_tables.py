"""Tables of one's own: what is a feature, what is a label, and who may see what."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from uproar.data.checks import check
from uproar.data.table import tables
from uproar.data.table.tables import candidates, from_frame, from_path
from uproar.types import Source, UproarError

ROWS = 200
GENERATOR = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "age": GENERATOR.normal(40, 9, ROWS),
        "city": GENERATOR.choice(["Bonn", "Ulm", "Kiel"], ROWS),
        "visits": GENERATOR.integers(0, 9, ROWS),
        "paid": GENERATOR.normal(100, 20, ROWS),
        "back": GENERATOR.choice(["yes", "no"], ROWS, p=[0.3, 0.7]),
    }
)
BACK, PAID = Source(target="back"), Source(target="paid")


def table(frame=FRAME, *others, source=BACK, seed=0, **options):
    return check(from_frame(frame, *others, name="mine", seed=seed, source=source, **options))


def refused(frame=FRAME, *others, source=BACK) -> str:
    with pytest.raises(UproarError) as raised:
        table(frame, *others, source=source)
    line = str(raised.value)
    assert "\n" not in line
    return line


def test_a_classification():
    data = table()
    assert (data.kind, data.task, data.class_names) == ("table", "classification", ("no", "yes"))
    assert data.feature_names == ("age", "city", "visits", "paid")
    assert data.feature_shape == (4,)
    assert data.feature_of_value.tolist() == [0, 1, 1, 1, 2, 3]
    sizes = [len(part) for part in (data.train, data.validation, data.test)]
    assert sizes == [140, 20, 40]
    share = (FRAME["back"] == "yes").mean()
    for part in (data.train, data.validation, data.test):
        assert part.labels.mean() == pytest.approx(share, abs=0.03)
    assert data.train.inputs[:, 0].mean() == pytest.approx(0, abs=1e-6)
    assert data.notes == ()


def test_a_regression():
    data = table(source=PAID)
    assert (data.task, data.class_names, data.outputs) == ("regression", (), 1)
    assert data.train.labels.dtype == np.float32
    assert data.train.labels.mean() == pytest.approx(0, abs=1e-6)
    assert data.train.labels.std() == pytest.approx(1, abs=1e-6)
    everything = np.concatenate([one.labels for one in (data.train, data.validation, data.test)])
    restored = np.sort(everything * data.label_scale + data.label_centre)
    assert restored == pytest.approx(np.sort(FRAME["paid"].to_numpy()), rel=1e-5)
    assert data.notes[0].startswith("Label 'paid' has 200 distinct numbers: regression;")
    plain = table(source=PAID, standardise_labels=False)
    assert (plain.label_centre, plain.label_scale) == (0.0, 1.0)
    assert set(plain.test.labels) <= set(FRAME["paid"].astype(np.float32))


def test_the_task_can_be_said():
    visits = replace(BACK, target="visits")
    assert table(source=visits).task == "classification"
    assert table(source=replace(visits, task="regression")).task == "regression"


def test_the_seed_alone_decides_the_split():
    assert table().digest() == table().digest()
    assert table().digest() != table(seed=1).digest()
    assert len(table(seed=1).test) == len(table().test)


def test_nothing_of_the_test_rows_is_in_the_encoding():
    train, test = FRAME.iloc[:150], FRAME.iloc[150:]
    first = table(train, test)
    wild = table(train, test.assign(age=1e6, visits=np.nan, city="Rom"))
    assert np.array_equal(first.train.inputs, wild.train.inputs)
    assert np.array_equal(first.validation.inputs, wild.validation.inputs)
    assert len(first.train) + len(first.validation) == 150
    assert len(first.test) == 50


def test_parts_that_are_given_are_not_split():
    data = table(FRAME.iloc[:100], FRAME.iloc[100:150], FRAME.iloc[150:])
    assert [len(part) for part in (data.train, data.validation, data.test)] == [100, 50, 50]
    only_validation = table(FRAME.iloc[:150], None, FRAME.iloc[150:])
    assert [len(only_validation.train), len(only_validation.test)] == [120, 30]


def test_what_is_dropped_is_no_feature():
    data = table(source=replace(BACK, drop=("age", "paid")))
    assert data.feature_names == ("city", "visits")


def test_a_test_table_may_lack_what_is_dropped_and_have_more():
    test = FRAME.iloc[150:].drop(columns="age").assign(more=1)
    data = table(FRAME.iloc[:150], test, source=replace(BACK, drop=("age",)))
    assert data.feature_names == ("city", "visits", "paid")


def test_rows_without_label_are_left_out_and_told():
    gaps = FRAME.assign(back=FRAME["back"].where(np.arange(ROWS) % 10 > 0))
    data = table(gaps)
    assert len(data.train) + len(data.validation) + len(data.test) == 180
    assert data.notes == ("20 of 200 rows of train have no label 'back'; they were left out.",)


def test_fewer_examples_can_be_asked_for():
    data = table(source=replace(BACK, examples=100))
    assert [len(part) for part in (data.train, data.validation, data.test)] == [70, 10, 20]
    both = table(FRAME.iloc[:120], FRAME.iloc[120:], source=replace(BACK, examples=50))
    assert [len(both.train) + len(both.validation), len(both.test)] == [30, 20]
    assert table(source=replace(PAID, examples=100)).task == "regression"


def test_texts_show_the_test_rows_before_encoding():
    data = table()
    assert data.test_texts.shape == (40, 4)
    assert set(data.test_texts[:, 1]) <= {"Bonn", "Ulm", "Kiel"}
    assert (data.test_texts[:, 2].astype(int) >= 0).all()


def test_texts_of_many_cells_are_left_out(monkeypatch):
    monkeypatch.setattr(tables, "MOST_CELLS", 159)
    assert table().test_texts is None
    monkeypatch.setattr(tables, "MOST_CELLS", 160)
    assert table().test_texts is not None


def test_names_of_columns_become_text():
    frame = FRAME.set_axis(range(5), axis=1)
    assert table(frame, source=Source(target="4")).feature_names == ("0", "1", "2", "3")


def test_the_index_of_a_table_means_nothing():
    shuffled = FRAME.set_axis(GENERATOR.permutation(ROWS) // 3)
    assert table(shuffled).digest() == table().digest()


def test_a_table_comes_back_unchanged():
    before = FRAME.copy(deep=True)
    table(source=replace(BACK, drop=("age",)))
    pd.testing.assert_frame_equal(FRAME, before)


REFUSED = [
    (FRAME, Source(), "say which column has the labels with --target (target under [source]"),
    (FRAME, Source(), "it could be 'back', 'city', 'visits'"),
    (FRAME, Source(target="bcak"), "unknown target 'bcak': did you mean 'back'? Known: 'age'"),
    (FRAME, replace(BACK, drop=("agee",)), "unknown column in drop 'agee': did you mean 'age'?"),
    (FRAME, replace(BACK, drop=("back",)), "'back' is the target, and cannot be in drop as well"),
    (FRAME.assign(back="yes"), BACK, "label 'back' is 'yes' in all 140 examples of train"),
    (FRAME.assign(back=None), BACK, "label 'back' has no"),
    (
        FRAME.assign(back=["never"] + ["no", "yes"] * 99 + ["no"]),
        BACK,
        "class 'never' has 1 example, and a split needs 3 of every class",
    ),
    (FRAME.replace({"paid": {FRAME["paid"][3]: np.inf}}), PAID, "label 'paid' is infinite"),
    (FRAME[["back"]], BACK, "there is no column left to rank"),
    (FRAME[["back", "age"]], BACK, "feature_shape (1,) has fewer than 2 features to rank"),
    (FRAME.set_axis(["a", "a", "b", "c", "back"], axis=1), BACK, "more than one column called 'a'"),
    (FRAME.assign(city=[f"c{i}" for i in range(ROWS)]), BACK, "more than 100 levels in 'city'"),
    (FRAME.iloc[:6], BACK, "needs 3 of every class"),
]


@pytest.mark.parametrize(("frame", "source", "expected"), REFUSED)
def test_tables_that_are_refused(frame, source, expected):
    assert expected in refused(frame, source=source)


def test_other_parts_that_are_refused():
    train, test = FRAME.iloc[:150], FRAME.iloc[150:]
    assert "test: there is no column 'back' with the labels; it has 'age'" in refused(
        train, test.drop(columns="back")
    )
    assert "test: there is no column 'age', which train has" in refused(
        train, test.drop(columns="age")
    )
    assert "class 'maybe' has no example in train, but 50 in another part" in refused(
        train, test.assign(back="maybe")
    )
    assert "validation: column 'age' holds numbers in train" in refused(
        train, test, test.assign(age="old")
    )


def test_candidates_for_the_target():
    assert candidates(FRAME) == ("back", "city", "visits")
    assert candidates(FRAME.assign(Label=1.5, day=pd.Timestamp("2020-01-01")))[0] == "Label"


def test_files(tmp_path):
    for name, part in (("train", FRAME.iloc[:120]), ("test", FRAME.iloc[120:])):
        part.to_csv(tmp_path / f"{name}.csv", index=False)
    source = replace(BACK, test=str(tmp_path / "test.csv"))
    data = check(from_path(tmp_path / "train.csv", seed=0, source=source))
    frames = pd.read_csv(tmp_path / "train.csv"), pd.read_csv(tmp_path / "test.csv")
    expected = from_frame(*frames, name="train", seed=0, source=BACK)
    assert data.name == "train"
    assert data.digest() == expected.digest()


def test_what_reading_tells_comes_with_the_data(tmp_path):
    path = tmp_path / "mine.csv"
    FRAME.to_csv(path)  # with its index
    data = from_path(path, seed=0, source=BACK)
    assert data.notes == ("The first column of mine.csv only counts the rows; it was left out.",)
    assert "column 1" not in data.feature_names


def test_a_file_without_header(tmp_path):
    path = tmp_path / "mine.csv"
    FRAME.to_csv(path, index=False, header=False)
    data = from_path(path, seed=0, source=Source(target="4", drop=("0",)))
    assert data.feature_names == ("1", "2", "3")
