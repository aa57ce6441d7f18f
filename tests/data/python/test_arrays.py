"""Data from Python, whatever holds them, and archives of arrays."""

from __future__ import annotations

import pickle
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
import torch

from uproar.data.checks import check
from uproar.data.python.arrays import from_parts
from uproar.data.python.npz import from_npz, kind_of_archive
from uproar.data.split import split
from uproar.types import Source, UproarError

ROWS = 40
GENERATOR = np.random.default_rng(0)
INPUTS = {
    "table": GENERATOR.standard_normal((ROWS, 5)).astype(np.float32),
    "series": GENERATOR.standard_normal((ROWS, 2, 9)).astype(np.float32),
    "image": GENERATOR.random((ROWS, 3, 4, 6)).astype(np.float32),
}
TABLE = INPUTS["table"]
LABELS = np.arange(ROWS) % 2
AMOUNTS = TABLE[:, 0] * 3 + 10


OF_SOURCE = {field.name for field in fields(Source)}


def data_of(train, test=None, validation=None, **options):
    said = {key: options.pop(key) for key in OF_SOURCE & set(options)}
    options = {"name": "mine", "seed": 0, "source": Source(**said)} | options
    return check(from_parts(train, test, validation, **options))


def refused(*parts, **options) -> str:
    with pytest.raises(UproarError) as raised:
        data_of(*parts, **options)
    line = str(raised.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    ("kind", "feature_shape", "channels"),
    [("table", (5,), 1), ("series", (9,), 2), ("image", (4, 6), 3)],
)
def test_the_axes_tell_the_kind(kind, feature_shape, channels):
    data = data_of((INPUTS[kind], LABELS))
    assert (data.kind, data.feature_shape, data.channels) == (kind, feature_shape, channels)
    assert data.train.inputs.shape == (28, *INPUTS[kind].shape[1:])
    assert data.class_names == ("0", "1")
    assert (data.value_range is None) == (kind != "image")


def test_inputs_are_taken_as_they_are():
    train, validation, test = split(LABELS, name="mine", seed=0, shares=(0.1, 0.2))
    data = data_of((TABLE, LABELS))
    for places, part in ((train, data.train), (validation, data.validation), (test, data.test)):
        assert np.array_equal(part.inputs, TABLE[places])
        assert np.array_equal(part.labels, LABELS[places])
    given = data_of((TABLE[:20], LABELS[:20]), (TABLE[20:], LABELS[20:]), (TABLE[:6], LABELS[:6]))
    assert np.array_equal(given.train.inputs, TABLE[:20])
    assert np.shares_memory(given.train.inputs, TABLE)
    own = data_of((TABLE[:24], LABELS[:24]), (TABLE[24:], LABELS[24:]))
    rest, held, _ = split(LABELS[:24], name="mine", seed=0, shares=(0.125, 0.0))
    assert np.array_equal(own.train.inputs, TABLE[rest])
    assert np.array_equal(own.validation.inputs, TABLE[held])


@pytest.mark.parametrize(
    "held",
    [
        lambda array: array.tolist(),
        torch.tensor,
        lambda array: torch.tensor(array, dtype=torch.float64, requires_grad=True),
        lambda array: list(torch.tensor(array)),
        lambda array: array.astype(np.float64),
        lambda array: array.astype(object),
        tuple,
    ],
)
def test_what_holds_the_numbers_does_not_matter(held):
    expected = data_of((TABLE, LABELS)).digest()
    assert data_of((held(TABLE), LABELS)).digest() == expected
    assert data_of([TABLE, torch.tensor(LABELS)]).digest() == expected
    assert data_of((TABLE, LABELS.tolist())).digest() == expected
    assert data_of((TABLE, pd.Series(LABELS, index=range(ROWS)[::-1]))).digest() == expected
    assert data_of((TABLE, LABELS.astype(np.uint8))).digest() == expected


def test_an_axis_for_one_channel_can_be_left_out():
    grey, single = GENERATOR.random((ROWS, 4, 6)), GENERATOR.random((ROWS, 9))
    images = data_of((grey, LABELS), kind="image")
    assert (images.train.inputs.shape[1:], images.feature_shape) == ((1, 4, 6), (4, 6))
    series = data_of((single, LABELS), kind="series")
    assert (series.train.inputs.shape[1:], series.feature_shape) == ((1, 9), (9,))


def test_features_of_series_can_be_channels_by_themselves():
    data = data_of((INPUTS["series"], LABELS), features="channel-step")
    assert (data.feature_shape, data.channels) == ((2, 9), 1)


def test_features_of_images_can_be_patches():
    data = data_of((INPUTS["image"], LABELS), patch=2)
    assert data.feature_shape == (2, 3)
    assert data.feature_of_value.shape == (72,)


def test_names_and_ranges():
    names = data_of((TABLE, LABELS), feature_names="abcde", class_names=("no", "yes"))
    assert names.feature_names == ("a", "b", "c", "d", "e")
    assert names.class_names == ("no", "yes")
    assert data_of((TABLE, LABELS)).feature_names == ("x0", "x1", "x2", "x3", "x4")
    images = data_of((INPUTS["image"], LABELS), (INPUTS["image"] * 2, LABELS))
    assert images.value_range == (images.train.inputs.min(), images.train.inputs.max())
    assert data_of((INPUTS["image"], LABELS), value_range=(0.0, 255.0)).value_range == (0.0, 255.0)


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["no", "yes"])[LABELS],
        np.array(["no", "yes"])[LABELS].tolist(),
        np.array(["no", "yes"])[LABELS].astype(object),
        pd.Series(np.array(["no", "yes"])[LABELS], dtype="category"),
    ],
)
def test_labels_can_be_text(labels):
    data = data_of((TABLE, labels))
    assert data.class_names == ("no", "yes")
    assert np.array_equal(data.train.labels, data_of((TABLE, LABELS)).train.labels)
    parts = ((TABLE, labels),) * 3
    turned = data_of(*parts, class_names=("yes", "no"))
    assert turned.class_names == ("yes", "no")
    assert np.array_equal(turned.test.labels, 1 - LABELS)


def test_labels_can_be_truth_values():
    data = data_of((TABLE, LABELS.astype(bool)))
    assert data.class_names == ("False", "True")


@pytest.mark.parametrize("amounts", [AMOUNTS, AMOUNTS.tolist(), torch.tensor(AMOUNTS)])
def test_other_numbers_are_a_regression(amounts):
    data = data_of((TABLE, amounts))
    assert (data.task, data.outputs) == ("regression", 1)
    assert data.train.labels.std() == pytest.approx(1, abs=1e-5)
    assert data.train.labels * data.label_scale + data.label_centre == pytest.approx(
        data.train.inputs[:, 0] * 3 + 10, abs=1e-4
    )
    plain = data_of((TABLE, amounts), standardise_labels=False)
    assert plain.train.labels == pytest.approx(plain.train.inputs[:, 0] * 3 + 10, abs=1e-5)


def test_the_task_can_be_said():
    assert data_of((TABLE, np.arange(ROWS) % 7), task="regression").task == "regression"
    whole = LABELS.astype(np.float32)
    assert data_of((TABLE, whole), task="regression").task == "regression"
    assert data_of((TABLE, whole), task="classification").class_names == ("0", "1")


def test_fewer_examples_can_be_asked_for():
    data = data_of((TABLE, LABELS), examples=20)
    assert [len(data.train), len(data.validation), len(data.test)] == [14, 2, 4]
    both = data_of((TABLE, LABELS), (TABLE, LABELS), examples=32)
    assert [len(both.train) + len(both.validation), len(both.test)] == [16, 16]


FRAME = pd.DataFrame({"x": TABLE[:, 0], "city": ["Bonn", "Ulm", "Kiel", "Rom"] * 10})


@pytest.mark.parametrize(
    ("part", "options"),
    [
        (FRAME.assign(y=LABELS), {"target": "y"}),
        ((FRAME, LABELS), {}),
        ((FRAME, pd.Series(LABELS, name="x", index=range(ROWS)[::-1])), {}),
        ((FRAME, torch.tensor(LABELS)), {}),
        (FRAME.assign(y=LABELS, z=0), {"target": "y", "drop": ("z",)}),
    ],
)
def test_data_frames_are_encoded(part, options):
    data = data_of(part, **options)
    assert (data.kind, data.feature_names) == ("table", ("x", "city"))
    assert data.feature_of_value.tolist() == [0, 1, 1, 1, 1]
    assert data.digest() == data_of((FRAME, LABELS)).digest()


def test_data_frames_in_parts():
    train, test = (FRAME[:30], LABELS[:30]), (FRAME[30:], LABELS[30:])
    data = data_of(train, test, class_names=("no", "yes"))
    assert (len(data.test), data.class_names) == (10, ("no", "yes"))
    amounts = data_of((FRAME, AMOUNTS), standardise_labels=False)
    assert (amounts.task, amounts.label_scale) == ("regression", 1.0)


@pytest.mark.slow
def test_texts_go_to_their_loader():
    texts = ["a good film", "a bad film"] * 20
    data = data_of((texts, LABELS), class_names=("good", "bad"))
    assert (data.kind, data.class_names) == ("text", ("good", "bad"))
    assert len(data.train) + len(data.validation) + len(data.test) == ROWS
    assert data_of((pd.Series(texts), LABELS)).train.inputs.tolist() == data.train.inputs.tolist()


def test_texts_may_be_a_column():
    texts = ["a good film", "a bad film"] * 20
    frame = pd.DataFrame({"review": texts, "stars": LABELS, "other": 0})
    data = data_of(frame, text="review", target="stars")
    assert data.digest() == data_of((texts, LABELS)).digest()
    assert data.kind == "text"
    assert data_of((texts, LABELS), length=2).feature_shape == (2,)


def test_arguments_are_left_as_they_are():
    inputs, labels = TABLE.copy(), AMOUNTS.copy()
    data_of((inputs, labels))
    assert np.array_equal(inputs, TABLE)
    assert np.array_equal(labels, AMOUNTS)


ONE_NAN = np.where(np.arange(ROWS) == 3, np.nan, AMOUNTS)
REFUSED = [
    ((TABLE,), {}, "train must be (inputs, labels), or a DataFrame with a target; got ndarray"),
    (((TABLE, LABELS, LABELS),), {}, "got 3 things"),
    (((TABLE[0], LABELS),), {}, "train: inputs must be (examples, columns) or (examples, channels"),
    (((TABLE[None, None, None], LABELS),), {}, "got shape (1, 1, 1, 40, 5)"),
    (((TABLE, LABELS),), {"kind": "image"}, "inputs of kind 'image' must have 4 axes, got shape"),
    (((INPUTS["image"], LABELS),), {"kind": "table"}, "inputs of kind 'table' must have 2 axes"),
    (((np.full((ROWS, 4), "a"), LABELS),), {}, "train: inputs must be an array of numbers"),
    ((([[1, 2], [3]] * 20, LABELS),), {}, "inputs have unequal shapes, such as (2,) and (1,)"),
    ((([np.ones((2, 5)), np.ones((2, 4))], [0, 1]),), {}, "such as (2, 5) and (2, 4) (example 1)"),
    ((([[[1, 2], [3]]] * 4, [0, 1] * 2),), {}, "the rows of example 0 are of unequal length"),
    ((([torch.ones(2, 5), torch.ones(2, 4)], [0, 1]),), {}, "cut or pad them to one length"),
    (((np.array([[1, 2], [3]], dtype=object), [0, 1]),), {}, "inputs have unequal shapes"),
    (((TABLE, LABELS[:30]),), {}, "got 40 inputs (shape (40, 5)) and 30 labels"),
    (((np.full((ROWS, 5), np.inf), LABELS),), {}, "train: inputs have"),
    (((TABLE.astype(np.float64) * 1e200, LABELS),), {}, "NaN or infinite values"),
    (((TABLE, LABELS[:, None]),), {}, "labels must be a one-dimensional array of integers, got"),
    (((TABLE, AMOUNTS[:, None]),), {}, "got float32 of shape (40, 1)"),
    (((TABLE, LABELS.astype(float)),), {}, "for values to predict, say task='regression'"),
    (
        ((TABLE, AMOUNTS),),
        {"task": "classification"},
        "must be a one-dimensional array of integers",
    ),
    (
        ((TABLE, ONE_NAN),),
        {},
        "labels have 1 NaN or infinite values, the first in example 3",
    ),
    (((TABLE, ["a"] * ROWS),), {}, "label is 'a' in all 40 examples of train"),
    (((TABLE, ["a", "b"] * 20),), {"task": "regression"}, "must be numbers for a regression"),
    (((TABLE, AMOUNTS),), {"class_names": "ab"}, "class_names are for classes, but task is"),
    (((TABLE, ["a", "b"] * 20),), {"class_names": "ac"}, "the labels of train are 'a', 'b'"),
    (((TABLE, np.arange(ROWS) * 1000),), {}, "labels go up to 39000 in 40 training examples"),
    (((TABLE, LABELS), (TABLE, LABELS + 1)), {}, "class '2' (label 2) has no example in train"),
    (((TABLE, ["a", "b"] * 20), (TABLE, ["c"] * ROWS)), {}, "class 'c' has no example in train"),
    (((TABLE, LABELS), (TABLE[:, :3], LABELS)), {}, "test: one input has shape (3,)"),
    (((TABLE, LABELS), (INPUTS["image"], LABELS)), {}, "test: one input has shape (3, 4, 6)"),
    (((TABLE, LABELS),), {"feature_names": "abc"}, "feature_names has 3 names; they are one for"),
    (((TABLE, LABELS),), {"patch": 2}, "patch=2 is for images, but the inputs are a table"),
    (((TABLE, LABELS),), {"features": "channel-step"}, "is for series, but the inputs are a table"),
    (((TABLE, LABELS),), {"target": "y"}, "target and drop are columns of a DataFrame, but"),
    (((FRAME, LABELS),), {"feature_names": "ab"}, "feature_names are for arrays"),
    (((FRAME, LABELS),), {"class_names": "abc"}, "class_names has 3 names, but the labels have 2"),
    (((FRAME, LABELS),), {"kind": "series"}, "a DataFrame is a table, and cannot be of kind"),
    (((FRAME, LABELS),), {"target": "x"}, "so target='x' is one too many"),
    (((FRAME, LABELS[:9]),), {}, "got 40 inputs (shape (40, 2)) and 9 labels"),
    (
        ((FRAME, LABELS), (TABLE, LABELS)),
        {},
        "train is a DataFrame, so test must be one; got tuple",
    ),
    ((FRAME.assign(y=0),), {}, "say which column has the labels"),
    (((TABLE, LABELS),), {"size": 32}, "size=32 has no meaning for arrays"),
    (((TABLE, LABELS),), {"encoding": "latin-1"}, "encoding='latin-1' has no meaning for arr"),
    (((FRAME, LABELS),), {"patch": 2}, "patch=2 has no meaning for the columns of a DataFrame"),
    (((["a b"] * ROWS, LABELS),), {"patch": 2}, "patch=2 has no meaning for texts in memory"),
    ((FRAME,), {"text": "town", "target": "x"}, "unknown text 'town'"),
    (((TABLE, np.arange(ROWS) // 39),), {}, "label: class '1' has 1 example, and a split needs 3"),
]


@pytest.mark.parametrize(("parts", "options", "expected"), REFUSED)
def test_parts_that_are_refused(parts, options, expected):
    assert expected in refused(*parts, **options)


def archive(folder, **arrays):
    path = folder / "mine.npz"
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("kind", INPUTS)
def test_an_archive_is_its_arrays(kind, tmp_path):
    path = archive(tmp_path, inputs=INPUTS[kind], labels=LABELS, class_names=["no", "yes"])
    data = check(from_npz(path, seed=0, source=Source()))
    assert data.digest() == data_of((INPUTS[kind], LABELS), class_names=("no", "yes")).digest()
    assert kind_of_archive(path) == kind


def test_an_archive_can_have_all_parts(tmp_path):
    arrays = {"inputs": TABLE, "labels": AMOUNTS, "feature_names": list("abcde")}
    for part in ("test", "validation"):
        arrays |= {f"{part}_inputs": TABLE[:9], f"{part}_labels": AMOUNTS[:9]}
    data = check(from_npz(archive(tmp_path, **arrays), seed=0, source=Source()))
    assert [len(data.train), len(data.validation), len(data.test)] == [ROWS, 9, 9]
    assert (data.task, data.feature_names) == ("regression", tuple("abcde"))


def test_what_the_source_says_of_an_archive_is_heeded(tmp_path):
    path = archive(tmp_path, inputs=INPUTS["image"], labels=np.arange(ROWS) % 5)
    source = Source(task="regression", patch=2, examples=20)
    data = from_npz(path, seed=0, source=source)
    assert (data.task, data.feature_shape, len(data.train)) == ("regression", (2, 3), 14)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("something in the archive was run",))


BAD_ARCHIVES = [
    ({"inputs": np.array([Bomb()] * 4, dtype=object), "labels": LABELS[:4]}, {}, "Python objects"),
    ({"labels": LABELS}, {}, "has no array 'inputs'; it has labels"),
    ({"inputs": TABLE}, {}, "has no array 'labels'; it has inputs"),
    ({"inputs": TABLE, "labels": LABELS, "test_inputs": TABLE}, {}, "no array 'test_labels'"),
    ({"inputs": TABLE, "label": LABELS}, {}, "unknown array 'label': did you mean 'labels'"),
    (
        {"inputs": TABLE, "labels": LABELS},
        {"target": "y"},
        "target='y' has no meaning",
    ),
    ({"inputs": TABLE, "labels": LABELS}, {"test": "a.npz"}, "test='a.npz' has no meaning"),
    ({"inputs": TABLE, "labels": LABELS}, {"size": 9}, "size=9 has no meaning for arrays"),
    ({"inputs": TABLE, "labels": LABELS[:5]}, {}, "labels must match inputs in length"),
]


@pytest.mark.parametrize(("arrays", "source", "expected"), BAD_ARCHIVES)
def test_archives_that_are_refused(arrays, source, expected, tmp_path):
    path = archive(tmp_path, **arrays)
    with pytest.raises(UproarError) as raised:
        check(from_npz(path, seed=0, source=Source(**source)))
    assert expected in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04broken", pickle.dumps([1])])
def test_files_that_are_no_archives(content, tmp_path):
    path = tmp_path / "mine.npz"
    path.write_bytes(content)
    with pytest.raises(UproarError, match=r"mine\.npz cannot be read: "):
        from_npz(path, seed=0, source=Source())
    with pytest.raises(UproarError, match=r"mine\.npz is no \.npz archive: "):
        kind_of_archive(path)
    with pytest.raises(UproarError, match="there is no file"):
        from_npz(tmp_path / "none.npz", seed=0, source=Source())


def test_one_array_is_no_archive(tmp_path):
    path = tmp_path / "mine.npz"
    with path.open("wb") as file:
        np.save(file, TABLE)
    with pytest.raises(UproarError, match="holds one array, and no archive"):
        from_npz(path, seed=0, source=Source())
