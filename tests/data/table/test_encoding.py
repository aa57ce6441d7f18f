"""A column is one feature whatever it holds, and train alone says how it is encoded."""

from __future__ import annotations

import decimal

import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from uproar.data.columns import column_kind, listed
from uproar.data.table.encoding import MOST_LEVELS, Level, Number, TableEncoder
from uproar.types import UproarError

GENERATOR = np.random.default_rng(0)


def with_gaps(values: np.ndarray, every: int) -> pd.Series:
    return pd.Series(values).where(np.arange(len(values)) % every > 0)


TRAIN = pd.DataFrame(
    {
        "age": GENERATOR.normal(40, 9, 60),
        "income": with_gaps(GENERATOR.lognormal(8, 1, 60), 7),
        "city": with_gaps(GENERATOR.choice(["Bonn", "Ulm", "Kiel"], 60).astype(object), 11),
        "member": GENERATOR.random(60) < 0.5,
        "size": pd.Categorical(GENERATOR.choice(["s", "m"], 60), ["s", "m", "l"]),
    }
)


def encoded(train: pd.DataFrame, other: pd.DataFrame | None = None, part: str = "test"):
    return TableEncoder.fit(train).encode(train if other is None else other, part=part)


def test_every_column_is_one_feature():
    encoder = TableEncoder.fit(TRAIN)
    assert encoder.feature_names == tuple(TRAIN.columns)
    assert encoder.feature_of_value.tolist() == [0, 1, 1, 2, 2, 2, 2, 3, 4, 4]
    assert TableEncoder.fit(TRAIN[["age", "member"]]).feature_of_value is None


def test_the_values_are_those_of_scikit_learn():
    values, notes = encoded(TRAIN)
    assert values.dtype == np.float32
    assert notes == ()
    imputed = SimpleImputer(strategy="median").fit_transform(TRAIN[["age", "income"]])
    standardised = StandardScaler().fit_transform(imputed)
    assert values[:, :2] == pytest.approx(standardised, abs=1e-5)
    assert values[:, 2].tolist() == TRAIN["income"].isna().tolist()
    one_hot = OneHotEncoder(sparse_output=False).fit_transform(TRAIN[["city"]].fillna("~"))
    assert np.array_equal(values[:, 3:7], one_hot)  # missing is the last level in both
    assert np.array_equal(values[:, 7], TRAIN["member"])
    assert values[:, 8:].sum(1).tolist() == [1] * 60


def test_other_parts_say_nothing_about_the_encoding():
    other = TRAIN.assign(age=TRAIN["age"] + 100, income=np.nan)
    values, _ = encoded(TRAIN, other)
    assert values[:, 0] == pytest.approx(encoded(TRAIN)[0][:, 0] + 100 / TRAIN["age"].std(ddof=0))
    assert len(np.unique(values[:, 1])) == 1
    assert values[:, 2].all()


def test_encoding_leaves_the_table_as_it_was():
    before = TRAIN.copy(deep=True)
    encoded(TRAIN)
    pd.testing.assert_frame_equal(TRAIN, before)


def test_a_level_that_train_lacks_is_no_level_and_is_told():
    train = pd.DataFrame({"city": ["Bonn", "Ulm"] * 5, "x": range(10)})
    other = pd.DataFrame({"city": ["Rom", "Ulm", "Rom", "Oslo", "Paris", "Wien", None], "x": 1})
    values, notes = encoded(train, other)
    assert values[:, :2].tolist() == [[0, 0], [0, 1]] + [[0, 0]] * 5
    assert notes == (
        "Column 'city': 6 values of test are levels that train does not have ('Rom', 'Oslo', "
        "'Paris' and 2 more); they are encoded as no level.",
    )


def test_missing_values_that_train_lacks_are_filled_and_told():
    train = pd.DataFrame({"x": [1.0, 2.0, 9.0]})
    values, notes = encoded(train, pd.DataFrame({"x": [np.nan, 2.0]}), "validation")
    assert values[0] == values[1]
    assert notes == (
        "Column 'x' lacks 1 values in validation and none in train; they were filled with the "
        "median of train, 2.",
    )


def test_numbers_and_text_of_the_same_spelling_are_one_level():
    train = pd.DataFrame({"code": ["1", "2", "x"] * 3})
    values, notes = encoded(train, pd.DataFrame({"code": [1, 2.0]}))
    assert values.tolist() == [[1, 0, 0], [0, 1, 0]]
    assert notes == ()


def test_truth_values_with_gaps_stay_zero_and_one():
    column = pd.Series([True, None, False, True], dtype=object)
    values, _ = encoded(pd.DataFrame({"x": column}))
    assert values.tolist() == [[1, 0], [1, 1], [0, 0], [1, 0]]


def test_a_column_whose_gaps_alone_tell_something():
    values, _ = encoded(pd.DataFrame({"x": [5.0, np.nan, 5.0], "y": ["a", None, "a"]}))
    assert values.tolist() == [[0, 1, 0], [1, 0, 1], [0, 1, 0]]


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "boolean", "string", "category", object])
def test_types_of_pandas_give_the_same(dtype):
    given = pd.Series([1, 0, 1, None])
    values, _ = encoded(pd.DataFrame({"x": given.astype(dtype)}))
    assert len(np.unique(values, axis=0)) == 3
    assert np.array_equal(values[0], values[2])


@pytest.mark.parametrize("backend", ["numpy_nullable", "pyarrow"])
def test_backends_of_pandas_give_the_same(backend):
    other = TRAIN.drop(columns="size").convert_dtypes(dtype_backend=backend)
    assert encoded(other)[0] == pytest.approx(encoded(TRAIN.drop(columns="size"))[0], abs=1e-6)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2], "number"),
        ([decimal.Decimal("1.5"), None], "number"),
        ([1 + 2j], "other"),
        ([[1], [2]], "other"),
        ([b"a", b"b"], "other"),
        ([None, None], "empty"),
        ([np.nan, np.nan], "number"),
        (["a", None], "level"),
        (["a", 3], "level"),
        (pd.to_datetime(["2020-01-01"]), "date"),
        ([pd.Timestamp("2020-01-01").date()], "date"),
        (pd.to_timedelta([1, 2], unit="D"), "date"),
    ],
)
def test_what_a_column_holds(values, kind):
    assert column_kind(pd.Series(values)) == kind


def test_what_is_left_out_or_odd_is_told():
    frame = pd.DataFrame(
        {"id": range(200), "one": 1, "none": None, "a": "a", "x": [0.5, None] * 100}
    )
    encoder = TableEncoder.fit(frame)
    assert encoder.feature_names == ("id", "x")
    assert encoder.notes == (
        "Constant in train, and left out: 'one', 'none', 'a'.",
        "Missing values have a value of their own in 'x'.",
        "If these only number the rows, drop them: 'id'.",
    )


def test_columns_that_cannot_be_features_are_named_at_once():
    frame = pd.DataFrame(
        {
            "name": [f"n{row}" for row in range(MOST_LEVELS + 1)],
            "born": pd.date_range("2000-01-01", periods=MOST_LEVELS + 1),
            "x": range(MOST_LEVELS + 1),
            "both": [[1]] * (MOST_LEVELS + 1),
        }
    )
    with pytest.raises(UproarError) as raised:
        TableEncoder.fit(frame)
    assert str(raised.value) == (
        "some columns cannot be features (more than 100 levels in 'name'; dates or times in "
        "'born'; neither numbers nor text in 'both'): turn them into numbers or a few levels, or "
        'leave them out with drop = ["name", "born", "both"]'
    )
    most = frame[["name", "x"]].iloc[:MOST_LEVELS]
    assert TableEncoder.fit(most).columns[0].width == MOST_LEVELS


REFUSED = [
    (pd.DataFrame({"x": [1.0, np.inf]}), None, "train: column 'x' has 1 infinite values"),
    (pd.DataFrame({"x": [1, 1]}), None, "there is no column left to rank: 'x' are constant"),
    (pd.DataFrame(index=range(3)), None, "there is no column left to rank"),
    (TRAIN, TRAIN.drop(columns=["age", "city"]), "test: there is no column 'age', 'city', which"),
    (TRAIN, TRAIN.assign(age=np.inf), "test: column 'age' has 60 infinite values"),
    (TRAIN, TRAIN.assign(age="old"), "test: column 'age' holds numbers in train, but here also"),
]


@pytest.mark.parametrize(("train", "other", "expected"), REFUSED)
def test_tables_that_are_refused(train, other, expected):
    with pytest.raises(UproarError) as raised:
        encoded(train, other)
    assert expected in str(raised.value)
    assert "\n" not in str(raised.value)


def test_numbers_written_as_text_in_another_part_are_numbers():
    values, _ = encoded(pd.DataFrame({"x": [1.0, 3.0]}), pd.DataFrame({"x": ["2", "3"]}))
    assert values.tolist() == [[0], [1]]


def test_texts_are_what_people_read():
    frame = pd.DataFrame(
        {"x": [1 / 3, 2.0], "n": [7, 8], "city": ["Bonn", None], "long": ["a" * 50, "b"]}
    )
    texts = TableEncoder.fit(frame).texts(frame)
    assert texts.tolist() == [
        ["0.333333", "7", "Bonn", "a" * 39 + "…"],
        ["2", "8", "missing", "b"],
    ]


def test_encoded_columns_are_of_two_kinds():
    kinds = [type(column) for column in TableEncoder.fit(TRAIN).columns]
    assert kinds == [Number, Number, Level, Number, Level]


def test_names_are_listed_up_to_a_number():
    assert listed(["a"]) == "'a'"
    assert listed(list("abc"), 2) == "'a', 'b' and 1 more"
