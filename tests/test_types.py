"""The vocabulary: what data know of themselves, and how names are looked up."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from tests.support.small_data import small
from uproar.dataset import Split
from uproar.registry import Entry, find, unknown
from uproar.types import Recipe, UproarError

REGISTRY = [
    Entry("mean", "the mean", "uproar.remove.fill:mean"),
    Entry("zero", "zero", "uproar.remove.fill:zero"),
]


def test_an_entry_is_found_and_loaded_by_its_name() -> None:
    from uproar.remove.fill import zero

    assert find("zero", REGISTRY, "removal").load() is zero


def test_an_unknown_name_lists_the_close_names_first_and_then_all() -> None:
    with pytest.raises(UproarError) as error:
        find("meen", REGISTRY, "removal")
    assert str(error.value) == "unknown removal 'meen': did you mean 'mean'? Known: mean, zero"


def test_an_unknown_name_that_is_close_to_nothing_lists_all_names() -> None:
    text = unknown("gaussian-blur", ["mean", "zero"], "removal")
    assert text == "unknown removal 'gaussian-blur'. Known: mean, zero"


@pytest.mark.parametrize(
    ("layout", "channels", "features", "input_shape"),
    [("table", 1, 6, (6,)), ("grey", 1, 12, (1, 4, 3)), ("colour", 3, 12, (3, 4, 3))],
)
def test_shapes_of_data(layout: str, channels: int, features: int, input_shape: tuple) -> None:
    data = small(layout)
    assert (data.channels, data.features, data.input_shape) == (channels, features, input_shape)


def test_images_without_a_channel_axis_have_one_channel() -> None:
    data = replace(small("table"), feature_shape=(6,))
    assert data.channels == 1


def test_the_majority_class_is_that_of_train_and_its_rate_that_of_test() -> None:
    inputs = np.zeros((10, 2), dtype=np.float32)
    train = Split(inputs, np.array([1, 1, 1, 1, 1, 1, 0, 0, 0, 2]))
    test = Split(inputs, np.array([0, 0, 0, 0, 0, 0, 0, 1, 1, 2]))
    data = replace(small("table"), train=train, test=test)
    assert data.majority_rate == pytest.approx(0.2)
    assert data.majority_scores.tolist() == [False] * 7 + [True] * 2 + [False]


def test_equal_majorities_are_settled_by_the_smaller_label() -> None:
    inputs = np.zeros((4, 2), dtype=np.float32)
    data = replace(
        small("table"),
        train=Split(inputs, np.array([2, 2, 1, 1])),
        test=Split(inputs, np.array([1, 2, 2, 2])),
    )
    assert data.majority_rate == pytest.approx(0.25)


def test_the_digest_depends_on_every_value_and_on_the_shape_of_features() -> None:
    data = small("grey")
    assert data.digest() == small("grey").digest()
    assert len(data.digest()) == 16
    changed = [
        replace(data, feature_shape=(12,)),
        replace(data, class_names=("a", "b", "d")),
        replace(data, train=replace(data.train, labels=data.train.labels[::-1])),
        replace(data, validation=replace(data.validation, inputs=data.validation.inputs + 1)),
        replace(data, test=replace(data.test, inputs=-data.test.inputs)),
    ]
    assert len({data.digest(), *(other.digest() for other in changed)}) == 6


def test_the_digest_does_not_depend_on_the_name_or_on_the_layout_in_memory() -> None:
    data = small("grey")
    fortran = replace(data.train, inputs=np.asfortranarray(data.train.inputs))
    assert replace(data, name="other", train=fortran).digest() == data.digest()


def test_a_recipe_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Recipe().epochs = 3  # type: ignore[misc]
