"""What every registered data set must do, and what bad data are told; a new entry needs no test."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from small_data import small
from uproar.data import DATA, load
from uproar.data.checks import check
from uproar.data.split import split
from uproar.data.synthetic import INFORMATIVE
from uproar.types import Data, Split, UproarError

NAMES = [entry.name for entry in DATA]
STANDARDISED = {"breast-cancer"}
DRAWN = {"hooker-toy", "hooker-toy-independent"}  # not split, but drawn by the seed
PARTS = ("train", "validation", "test")
loaded = cache(lambda name, seed: load(name, seed=seed))


def examples(data: Data) -> np.ndarray:
    return np.concatenate([getattr(data, part).inputs for part in PARTS])


@pytest.mark.parametrize("name", NAMES)
def test_a_data_set_is_what_it_says(name: str) -> None:
    data = check(loaded(name, 0))
    assert data.name == name
    assert data.kind in {"image", "table"}
    assert len(set(data.class_names)) == len(data.class_names) >= 2
    if data.kind == "table":
        assert len(set(data.feature_names)) == data.features
    for part in PARTS:
        one = getattr(data, part)
        assert one.inputs.dtype == np.float32
        assert one.labels.dtype == np.int64
        assert len(one) >= 20
        assert set(np.unique(one.labels)) == set(range(len(data.class_names)))
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


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_known_answers_rank_by_the_size_of_the_signal(name: str) -> None:
    data = loaded(name, 1)
    rankings = dict(data.known_rankings)
    assert set(rankings) == {"true-ranking", "inverted-ranking", "shuffled-ranking"}
    assert all(sorted(order) == list(range(16)) for order in rankings.values())
    assert set(rankings["true-ranking"][:INFORMATIVE]) == {0, 1, 2, 3}
    assert rankings["inverted-ranking"] == rankings["true-ranking"][::-1]
    signal = np.abs(_signal(data))
    assert tuple(np.argsort(-signal)[:INFORMATIVE]) == rankings["true-ranking"][:INFORMATIVE]


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


def test_a_class_with_too_few_examples_cannot_be_split() -> None:
    with pytest.raises(UproarError, match="'mine' cannot be split with every class in every part"):
        split(np.array([0] * 30 + [1]), name="mine", seed=0, shares=(0.1, 0.2))


def test_a_share_of_zero_is_an_empty_part() -> None:
    train, validation, test = split(np.arange(20) % 2, name="mine", seed=0, shares=(0.0, 0.5))
    assert (len(train), len(validation), len(test)) == (10, 0, 10)
    assert validation.dtype == np.int64
    assert sorted([*train, *test]) == list(range(20))


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


@pytest.mark.parametrize("what", BAD)
def test_bad_data_are_refused_in_one_line(what: str) -> None:
    data, text = BAD[what]
    with pytest.raises(UproarError) as error:
        check(data)
    assert str(error.value) == text


def test_good_data_come_back_as_they_are_also_without_validation() -> None:
    assert check(GOOD) is GOOD
    check(replace(GOOD, validation=EMPTY))
