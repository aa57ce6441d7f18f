"""Labels of every kind become classes or values, and the choice is told."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from uproar.data.labels import check_enough, encode_labels, task_of
from uproar.types import UproarError

WHAT = "label 'y'"


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["no", "yes"] * 5, "classification"),
        ([True, False] * 5, "classification"),
        (pd.Series(["a", "b"], dtype="category"), "classification"),
        (pd.Series([1, "a", 2.5], dtype=object), "classification"),
        ([0, 1] * 5, "classification"),
        ([0.5, 1.5] * 5, "classification"),
        (np.arange(20), "classification"),
        (np.arange(20.0), "classification"),
        (np.arange(21), "regression"),
        ([1.0, 1.5, 2.0], "regression"),
        (np.linspace(0, 1, 500), "regression"),
    ],
)
def test_what_is_made_of_labels(values, task):
    assert task_of(values, task="auto", what=WHAT)[0] == task
    assert task_of(values, task="regression", what=WHAT) == ("regression", ())
    assert task_of(values, task="classification", what=WHAT) == ("classification", ())


def test_a_choice_that_could_be_another_is_told():
    assert task_of([0.5, 1.5, 2.5], task="auto", what=WHAT)[1] == (
        "Label 'y' has 3 distinct numbers: regression; say task = \"classification\" if they are "
        "classes.",
    )
    assert task_of([1, 2, 3], task="auto", what=WHAT)[1] == (
        "Label 'y' has 3 distinct whole numbers: classes; say task = \"regression\" if they are "
        "amounts.",
    )
    assert task_of([1, 2], task="auto", what=WHAT)[1] == ()


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["no", "yes", "no"], ("no", "yes")),
        ([10, 9, 10], ("9", "10")),
        ([1.0, 0.0, 1.0], ("0", "1")),
        ([0.5, 0.25], ("0.25", "0.5")),
        ([True, False], ("False", "True")),
        (pd.Series(["low", "high"], dtype=pd.CategoricalDtype(["low", "mid", "high"])), None),
    ],
)
def test_classes_are_in_order(values, names):
    labels = encode_labels(values, task="auto", what=WHAT)
    assert labels.class_names == (names or ("low", "high"))
    assert labels.values[0].dtype == np.int64
    shown = [labels.class_names[code] for code in labels.values[0]]
    assert shown == [str(v) if not isinstance(v, float) else f"{v:g}" for v in values]
    assert (labels.centre, labels.scale) == (0.0, 1.0)


def test_the_same_class_in_another_type():
    labels = encode_labels([0, 1, 1], [[1.0, 0.0], ["1"], []], task="auto", what=WHAT)
    assert [part.tolist() for part in labels.values] == [[0, 1, 1], [1, 0], [1], []]


def test_values_are_standardised_by_train_alone():
    labels = encode_labels([1.0, 2.0, 6.0], [[3.0, 13.0]], task="regression", what=WHAT)
    scale = np.std([1.0, 2.0, 6.0])
    assert (labels.centre, labels.scale) == (3.0, pytest.approx(scale))
    assert labels.values[0].dtype == labels.values[1].dtype == np.float32
    assert labels.values[1] == pytest.approx([0, 10 / scale])
    plain = encode_labels([1.0, 2.0, 6.0], [[3.0]], task="regression", what=WHAT, standardise=False)
    assert (plain.centre, plain.scale) == (0.0, 1.0)
    assert plain.values[1].tolist() == [3.0]


REFUSED = [
    (["a"] * 4, [], "auto", "label 'y' is 'a' in all 4 examples of train"),
    ([3.5] * 4, [], "regression", "label 'y' is 3.5 in all examples of train"),
    (["a", "b"], [["b", "c", "c"]], "auto", "class 'c' has no example in train, but 2 in another"),
    (["a", None], [], "auto", "label 'y' is missing in 1 examples"),
    ([0.5, 1.0, 2.0], [[np.nan]], "auto", "label 'y' is missing in 1 examples"),
    ([0.5, np.inf, 2.0], [], "auto", "label 'y' is infinite in 1 examples"),
    ([0.5, 1.5, 2.0], [[-np.inf]], "auto", "label 'y' is infinite in 1 examples"),
    (["1", "two"], [], "regression", "must hold numbers for a regression, got 'two'"),
    ([0.5, 1.5, 2.0], [["x"]], "auto", "must hold numbers for a regression, got 'x'"),
    ([], [], "auto", "label 'y' has no"),
    (pd.to_datetime(["2020-01-01", "2020-01-02"]), [], "auto", "label 'y' has dates or times"),
    ([[1, 2], [3, 4]], [], "auto", "must be one value for each example, got shape (2, 2)"),
]


@pytest.mark.parametrize(("train", "others", "task", "expected"), REFUSED)
def test_labels_that_are_refused(train, others, task, expected):
    with pytest.raises(UproarError) as raised:
        encode_labels(train, others, task=task, what=WHAT)
    assert expected in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_class_with_too_few_examples_is_named():
    check_enough(["a", "a", "b", "b"], needed=2, what=WHAT)
    with pytest.raises(UproarError, match=r"class 'b' has 1 example, and a split needs 2 of every"):
        check_enough(["a", "a", "b"], needed=2, what=WHAT)
