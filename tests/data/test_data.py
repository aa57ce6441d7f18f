"""What every registered data set must do, and what bad data are told; a new entry needs no test."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from tests.support.small_data import small
from uproar.data import DATA, kind_of, load
from uproar.data.checks import check
from uproar.data.known.synthetic import INFORMATIVE
from uproar.data.split import draw, split
from uproar.dataset import Data, Split, Vocabulary
from uproar.types import Source, UproarError

NAMES = [entry.name for entry in DATA]
STANDARDISED = {"breast-cancer"}
TOYS = {"hooker-toy", "hooker-toy-independent"}
PLANTED = {name for name in NAMES if name.startswith("planted-")}
DRAWN = TOYS | PLANTED  # not split, but drawn by the seed
PARTS = ("train", "validation", "test")
loaded = cache(lambda name, seed: load(name, seed=seed))


def examples(data: Data) -> np.ndarray:
    return np.concatenate([getattr(data, part).inputs for part in PARTS])


@pytest.mark.parametrize("name", NAMES)
def test_a_data_set_is_what_it_says(name: str) -> None:
    data = check(loaded(name, 0))
    assert data.name == name
    assert data.kind == kind_of(name)
    assert len(set(data.class_names)) == len(data.class_names) != 1
    if data.kind == "table":
        assert len(set(data.feature_names)) == data.features
    for part in PARTS:
        one = getattr(data, part)
        assert one.inputs.dtype == (np.int64 if data.kind == "text" else np.float32)
        assert len(one) >= 20
        if data.class_names:
            assert one.labels.dtype == np.int64
            assert set(np.unique(one.labels)) == set(range(len(data.class_names)))
        else:
            assert one.labels.dtype == np.float32
    if data.value_range is not None:
        low, high = data.value_range
        assert examples(data).min() >= low
        assert examples(data).max() <= high


@pytest.mark.parametrize("name", NAMES)
def test_no_example_is_in_two_splits(name: str) -> None:
    rows = examples(loaded(name, 0)).reshape(
        sum(len(getattr(loaded(name, 0), p)) for p in PARTS), -1
    )
    assert len(np.unique(rows, axis=0)) == len(rows)


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_decides_the_split_and_nothing_else_does(name: str) -> None:
    first = loaded(name, 0)
    assert load(name, seed=0).digest() == first.digest()
    other = loaded(name, 1)
    assert other.digest() != first.digest()
    assert not np.array_equal(other.test.inputs, first.test.inputs)
    assert [len(getattr(other, p)) for p in PARTS] == [len(getattr(first, p)) for p in PARTS]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in DRAWN])
def test_splits_have_the_classes_in_proportion(name: str) -> None:
    data = loaded(name, 0)
    everything = np.concatenate([getattr(data, part).labels for part in PARTS])
    share = np.bincount(everything) / len(everything)
    for part, size in zip(PARTS, (0.7, 0.1, 0.2), strict=True):
        labels = getattr(data, part).labels
        assert len(labels) == pytest.approx(size * len(everything), abs=1)
        assert np.bincount(labels) == pytest.approx(share * len(labels), abs=1.5)


@pytest.mark.parametrize("name", sorted(STANDARDISED))
def test_tables_are_standardised_by_their_training_split_alone(name: str) -> None:
    data = loaded(name, 0)
    train, test = data.train.inputs.astype(np.float64), data.test.inputs.astype(np.float64)
    assert train.mean(0) == pytest.approx(0, abs=1e-6)
    assert train.std(0) == pytest.approx(1, abs=1e-5)
    assert np.abs(test.mean(0)).max() > 0.02
    assert np.abs(np.concatenate([train, test]).mean(0)).max() > 1e-3


def test_digits_are_the_raw_images_over_16() -> None:
    from sklearn.datasets import load_digits

    raw = {
        image.tobytes(): label for image, label in zip(*load_digits(return_X_y=True), strict=True)
    }
    data = loaded("digits", 0)
    for image, label in zip(data.test.inputs, data.test.labels, strict=True):
        assert raw[(image * 16).astype(np.float64).tobytes()] == label


@pytest.mark.parametrize("name", sorted(TOYS))
def test_known_answers_rank_by_the_size_of_the_signal(name: str) -> None:
    data = loaded(name, 1)
    orders = {
        name: np.argsort(-test[0]).tolist() for name, (_, test) in data.known_importance.items()
    }
    assert set(orders) == {"true-ranking", "inverted-ranking", "shuffled-ranking"}
    assert set(orders["true-ranking"][:INFORMATIVE]) == {0, 1, 2, 3}
    assert orders["inverted-ranking"] == orders["true-ranking"][::-1]
    signal = np.abs(_signal(data))
    assert np.argsort(-signal)[:INFORMATIVE].tolist() == orders["true-ranking"][:INFORMATIVE]
    for train, test in data.known_importance.values():
        assert (train == test[0]).all()
        assert (test == test[0]).all()


def _signal(data: Data) -> np.ndarray:
    """Return what the class means differ by, less the part that η explains by chance."""
    inputs, labels = data.train.inputs.astype(np.float64), data.train.labels
    means = np.stack([inputs[labels == label].mean(0) for label in (0, 1)])
    difference = means[1] - means[0]
    nuisance = np.linalg.svd(inputs - means[labels], full_matrices=False)[2][0]  # d, nearly
    tail = slice(INFORMATIVE, None)
    chance = difference[tail] @ nuisance[tail] / (nuisance[tail] @ nuisance[tail])
    return np.asarray(difference - chance * nuisance)


def test_noise_is_shared_in_one_toy_and_not_in_the_other() -> None:
    # x = a z / 10 + d η + ε / 10: with one ε per example only three directions have any variance.
    for name, directions in (("hooker-toy", 3), ("hooker-toy-independent", 16)):
        spectrum = np.linalg.svd(loaded(name, 0).train.inputs.astype(np.float64), compute_uv=False)
        assert (spectrum > 1e-3 * spectrum[0]).sum() == directions


def test_every_split_has_its_own_draws_of_one_signal() -> None:
    data = loaded("hooker-toy", 0)
    covariances = [np.cov(getattr(data, part).inputs.T) for part in PARTS]
    scale = np.abs(covariances[0]).max()
    assert np.abs(covariances[0] - covariances[2]).max() < 0.1 * scale


def test_an_unknown_data_set_lists_close_names() -> None:
    with pytest.raises(UproarError, match="unknown data 'digit': did you mean 'digits'"):
        load("digit", seed=0)


def test_splits_and_draws_depend_on_labels_and_seed_and_not_on_the_name() -> None:
    labels = np.arange(60) % 3
    settings = {"shares": (0.1, 0.2)}
    one, other = (split(labels, name=name, seed=0, **settings) for name in ("a", "b"))
    for part, same in zip(one, other, strict=True):
        assert np.array_equal(part, same)
    assert not np.array_equal(one[2], split(labels, name="a", seed=1, **settings)[2])
    assert not np.array_equal(one[2], split(labels[::-1], name="a", seed=0, **settings)[2])
    few = [draw(labels, examples=30, name=name, part="train", seed=0) for name in ("a", "b")]
    assert np.array_equal(*few)


def test_a_class_with_too_few_examples_cannot_be_split() -> None:
    with pytest.raises(UproarError, match="'mine' cannot be split with every class in every part"):
        split(np.array([0] * 30 + [1]), name="mine", seed=0, shares=(0.1, 0.2))


def test_a_share_of_zero_is_an_empty_part() -> None:
    train, validation, test = split(np.arange(20) % 2, name="mine", seed=0, shares=(0.0, 0.5))
    assert (len(train), len(validation), len(test)) == (10, 0, 10)
    assert validation.dtype == np.int64
    assert sorted([*train, *test]) == list(range(20))


def test_values_are_split_without_regard_to_classes() -> None:
    values = np.linspace(0, 1, 50)
    train, validation, test = split(values, name="mine", seed=0, shares=(0.1, 0.2))
    assert (len(train), len(validation), len(test)) == (35, 5, 10)
    assert sorted([*train, *validation, *test]) == list(range(50))


def test_examples_are_drawn_with_the_classes_in_proportion() -> None:
    labels = np.repeat([0, 1], [90, 30])
    kept = draw(labels, examples=40, name="mine", part="train", seed=0)
    assert np.bincount(labels[kept]).tolist() == [30, 10]
    assert (np.diff(kept) > 0).all()
    other = draw(labels, examples=40, name="mine", part="test", seed=0)
    assert not np.array_equal(kept, other)
    for examples in (0, 120, 500):
        everything = draw(labels, examples=examples, name="mine", part="train", seed=0)
        assert everything.tolist() == list(range(120))
    with pytest.raises(UproarError, match="'mine', cut to 5 examples of train, cannot be split"):
        draw(np.array([0] * 30 + [1]), examples=5, name="mine", part="train", seed=0)


GOOD = small("grey")


def changed(part: str, **values: np.ndarray) -> Data:
    return replace(GOOD, **{part: replace(getattr(GOOD, part), **values)})


def with_value(part: str, value: float) -> Data:
    inputs = getattr(GOOD, part).inputs.copy()
    inputs[3, 0, 1, 1] = inputs[5, 0, 0, 0] = value
    return changed(part, inputs=inputs)


def one_feature() -> Data:
    parts = {part: getattr(GOOD, part) for part in PARTS}
    narrow = {part: replace(one, inputs=one.inputs[:, 0, :1, 0]) for part, one in parts.items()}
    return replace(GOOD, feature_shape=(1,), **narrow)


EMPTY = Split(np.zeros((0, 1, 4, 3), dtype=np.float32), np.zeros(0, dtype=np.int64))
BAD = {
    "nan": (
        with_value("test", np.nan),
        "test: inputs have 2 NaN or infinite values, the first in example 3; fill or drop them "
        "first",
    ),
    "infinite": (
        with_value("train", -np.inf),
        "train: inputs have 2 NaN or infinite values, the first in example 3; fill or drop them "
        "first",
    ),
    "length": (
        changed("train", labels=GOOD.train.labels[:-2]),
        "train: labels must match inputs in length, got 70 inputs (shape (70, 1, 4, 3)) and 68 "
        "labels",
    ),
    "missing-class": (
        changed("train", labels=np.minimum(GOOD.train.labels, 1)),
        "class 'c' (label 2) has no example in train; every class needs some",
    ),
    "constant": (
        changed("train", inputs=np.full_like(GOOD.train.inputs, 0.5)),
        "all training inputs are 0.5: nothing can be learned from constants",
    ),
    "feature-shape": (
        replace(GOOD, feature_shape=(3, 4)),
        "the shape of one input, (1, 4, 3), must end in feature_shape (3, 4)",
    ),
    "other-shape": (
        changed("validation", inputs=GOOD.validation.inputs[:, :, :2]),
        "validation: one input has shape (1, 2, 3), in train it has (1, 4, 3)",
    ),
    "label-too-large": (
        changed("validation", labels=GOOD.validation.labels + 1),
        "validation: labels must be integers from 0 to 2 (one per class name), got 1 to 3",
    ),
    "label-negative": (
        changed("test", labels=GOOD.test.labels - 1),
        "test: labels must be integers from 0 to 2 (one per class name), got -1 to 1",
    ),
    "one-feature": (
        replace(
            GOOD,
            feature_shape=(1,),
            **{
                p: replace(getattr(GOOD, p), inputs=getattr(GOOD, p).inputs[:, 0, :1, 0])
                for p in PARTS
            },
        ),
        "feature_shape (1,) has fewer than 2 features to rank",
    ),
    "empty": (
        replace(GOOD, test=EMPTY),
        "test: there are no examples; at least one of every class is needed",
    ),
}


GROUPS = np.arange(12) // 2
VALUES = replace(
    GOOD,
    class_names=(),
    **{
        part: replace(getattr(GOOD, part), labels=getattr(GOOD, part).labels.astype(np.float32))
        for part in PARTS
    },
)


def valued(part: str, labels: np.ndarray) -> Data:
    return replace(VALUES, **{part: replace(getattr(VALUES, part), labels=labels)})


def text(part: str = "train", **changes: np.ndarray) -> Data:
    ids = np.array([[1, 2, 3], [3, 3, 0]] * 5, dtype=np.int64)
    one = Split(ids, np.arange(10) % 2)
    parts = {name: replace(one, **(changes if name == part else {})) for name in PARTS}
    return Data(
        name="text",
        kind="text",
        feature_shape=(3,),
        class_names=("a", "b"),
        vocabulary=Vocabulary(("", "?", "_", "word")),
        **parts,
    )


def one_value() -> np.ndarray:
    labels = VALUES.test.labels.copy()
    labels[:] = 2.5
    return labels


def not_finite() -> np.ndarray:
    labels = VALUES.train.labels.copy()
    labels[4:6] = np.nan
    return labels


BAD |= {
    "other-dtype": (
        changed("train", inputs=GOOD.train.inputs.astype(np.float64)),
        "train: inputs must be float32, got float64",
    ),
    "groups-length": (
        replace(GOOD, feature_shape=(6,), feature_of_value=GROUPS[:-1]),
        "feature_of_value must have one feature for each of the 12 values of an input, got shape "
        "(11,)",
    ),
    "groups-lacking": (
        replace(GOOD, feature_shape=(7,), feature_of_value=GROUPS),
        "feature_of_value must have every feature from 0 to 6, got 6 from 0 to 5",
    ),
    "groups-beyond": (
        replace(GOOD, feature_shape=(6,), feature_of_value=GROUPS + 1),
        "feature_of_value must have every feature from 0 to 5, got 6 from 1 to 6",
    ),
    "values-integer": (
        replace(GOOD, class_names=()),
        "train: labels must be float32 values where there are no class names, got int64",
    ),
    "classes-floating": (
        changed("train", labels=GOOD.train.labels.astype(np.float32)),
        "train: labels must be integers from 0 to 2 (one per class name), got 0 to 2",
    ),
    "values-not-finite": (
        valued("train", not_finite()),
        "train: labels have 2 NaN or infinite values, the first in example 4; drop those examples "
        "first",
    ),
    "values-constant": (
        valued("test", one_value()),
        "test: all labels are 2.5; without differences R² means nothing",
    ),
    "tokens-unknown": (
        text(inputs=np.full((10, 3), 4)),
        "train: token ids must be from 0 to 3, one per token of the vocabulary, got 4 to 4",
    ),
    "tokens-negative": (
        text("test", inputs=np.full((10, 3), -1)),
        "test: token ids must be from 0 to 3, one per token of the vocabulary, got -1 to -1",
    ),
    "tokens-floating": (
        text(inputs=np.ones((10, 3), dtype=np.float32)),
        "train: inputs of text must be int64 token ids, got float32",
    ),
    "text-empty": (
        text("test", inputs=np.array([[1, 2, 3], [0, 0, 0]] * 5)),
        "test: 5 examples have no tokens, the first is example 1; leave empty texts out",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_data_are_refused_in_one_line(what: str) -> None:
    data, expected = BAD[what]
    with pytest.raises(UproarError) as error:
        check(data)
    assert str(error.value) == expected


def test_good_data_come_back_as_they_are_also_without_validation() -> None:
    assert check(GOOD) is GOOD
    check(replace(GOOD, validation=EMPTY))
    for data in (VALUES, text(), replace(GOOD, feature_shape=(6,), feature_of_value=GROUPS)):
        assert check(data) is data


TABLE = "x,word,y\n" + "".join(f"{row % 7},film {'ab'[row % 2]},{row % 2}\n" for row in range(60))


def test_a_path_is_loaded_by_its_kind(tmp_path) -> None:
    table, archive = tmp_path / "mine.csv", tmp_path / "arrays.npz"
    table.write_text(TABLE)
    inputs = np.random.default_rng(0).standard_normal((40, 2, 9))
    np.savez(archive, inputs=inputs, labels=np.arange(40) % 2)
    with_target, with_text = Source(target="y"), Source(target="y", text="word")
    for path, source, kind in (
        (table, with_target, "table"),
        (table, with_text, "text"),
        (archive, Source(), "series"),
    ):
        assert kind_of(str(path), source) == kind
        data = check(load(str(path), seed=0, source=source))
        assert (data.name, data.kind) == (path.stem, kind)
        assert load(str(path), seed=0, source=source).digest() == data.digest()
        assert load(str(path), seed=1, source=source).digest() != data.digest()
    assert kind_of(str(tmp_path)) == "image"
    assert kind_of("openml:61") == "table"
    assert kind_of("datasets:glue/sst2") == "text"
    assert kind_of(str(archive), Source(kind="image")) == "image"


REFUSED_NAMES = [
    ("digit", {}, "did you mean 'digits'?"),
    ("digit", {}, "and there is no file or folder of that name"),
    ("tabel.csv", {}, "there is no file 'tabel.csv'; did you mean 'table.csv'?"),
    ("none/table.csv", {}, "there is no folder 'none' for 'table.csv'"),
    ("openml:iris", {}, "OpenML tables are named openml:NUMBER"),
    ("digits", {"target": "y"}, "data 'digits' is ready as it is, and takes no target ('y')"),
    ("table.csv", {"kind": "image"}, "is read as table, and cannot be of kind 'image'"),
    ("table.csv", {"kind": "series", "target": "y"}, "cannot be of kind 'series'"),
    ("table.csv", {"kind": "table", "text": "word"}, "is read as text, and cannot be of kind"),
    ("notes.xyz", {}, "notes.xyz: data are a folder or .zip of images, an .npz archive, or a"),
]


@pytest.mark.parametrize(("name", "source", "expected"), REFUSED_NAMES)
def test_names_that_stand_for_nothing(name, source, expected, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for file in ("table.csv", "notes.xyz"):
        (tmp_path / file).write_text(TABLE)
    with pytest.raises(UproarError) as raised:
        load(name, seed=0, source=Source(**source))
    assert expected in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["digit", "tabel.csv", "notes.xyz", "bad.npz", "flat.npz"])
def test_the_kind_of_nothing(name, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.xyz").write_text(TABLE)
    (tmp_path / "bad.npz").write_text("nothing")
    np.savez(tmp_path / "flat.npz", inputs=np.zeros((2,) * 6))
    with pytest.raises(UproarError):
        kind_of(name)
