"""What every registered removal must do, on every layout; a new entry needs no test."""

from __future__ import annotations

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from small_data import FEATURES, small
from uproar.remove import REMOVALS
from uproar.remove.fill import Fill
from uproar.types import find

NAMES = [entry.name for entry in REMOVALS]
LAYOUTS = list(FEATURES)
everywhere = pytest.mark.parametrize("layout", LAYOUTS)
every = pytest.mark.parametrize("name", NAMES)


def fitted(name: str, train: np.ndarray, layout: str) -> Fill:
    fill = find(name, REMOVALS, "removal").load()(train, feature_axes=len(FEATURES[layout]))
    assert isinstance(fill, Fill)
    return fill


def inputs_and_mask(layout: str) -> tuple[np.ndarray, np.ndarray]:
    data = small(layout)
    removed = np.random.default_rng(1).random((len(data.test), *data.feature_shape)) < 0.4
    return data.test.inputs, removed


def whole_mask(removed: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    spread = removed[:, None] if inputs.ndim > removed.ndim else removed
    return np.broadcast_to(spread, inputs.shape)


def generator() -> np.random.Generator:
    return np.random.default_rng(7)


@everywhere
@every
def test_only_removed_features_change_and_all_their_channels_do(name: str, layout: str) -> None:
    fill = fitted(name, small(layout).train.inputs, layout)
    inputs, removed = inputs_and_mask(layout)
    before, mask_before = inputs.copy(), removed.copy()
    result = fill(inputs, removed, generator())
    assert result.dtype == np.float32
    assert result.shape == inputs.shape
    assert np.array_equal(inputs, before)
    assert np.array_equal(removed, mask_before)
    assert not np.shares_memory(result, inputs)
    whole = np.broadcast_to(
        removed[:, None] if inputs.ndim > removed.ndim else removed, inputs.shape
    )
    assert np.array_equal(result[~whole], inputs[~whole])
    assert (result[whole] != inputs[whole]).all()


@everywhere
@every
def test_fraction_0_changes_nothing_and_fraction_1_leaves_nothing(name: str, layout: str) -> None:
    fill = fitted(name, small(layout).train.inputs, layout)
    inputs, removed = inputs_and_mask(layout)
    nothing, everything = np.zeros_like(removed), np.ones_like(removed)
    assert np.array_equal(fill(inputs, nothing, generator()), inputs)
    blank = fill(inputs, everything, generator())
    assert np.array_equal(blank, fill(inputs + 1, everything, generator()))


@everywhere
@every
def test_an_example_has_the_same_fill_whatever_is_removed(name: str, layout: str) -> None:
    fill = fitted(name, small(layout).train.inputs, layout)
    inputs, removed = inputs_and_mask(layout)
    values = np.broadcast_to(fill.values(inputs, generator()), inputs.shape)
    whole = np.broadcast_to(
        removed[:, None] if inputs.ndim > removed.ndim else removed, inputs.shape
    )
    assert np.array_equal(fill(inputs, removed, generator()), np.where(whole, values, inputs))


@everywhere
@every
def test_fitting_sees_the_training_inputs_alone(name: str, layout: str) -> None:
    train = small(layout).train.inputs
    first, again = fitted(name, train, layout), fitted(name, train.copy(), layout)
    assert np.array_equal(first.centre, again.centre)
    assert np.array_equal(first.deviation, again.deviation)
    moved = fitted(name, train + 2, layout)
    assert np.allclose(moved.centre, first.centre + (0 if name == "zero" else 2), atol=1e-5)


@everywhere
def test_the_mean_is_that_of_a_loop_over_channels_or_columns(layout: str) -> None:
    train = small(layout).train.inputs
    fill = fitted("mean", train, layout)
    inputs, removed = inputs_and_mask(layout)
    result = fill(inputs, removed, generator())
    for index in zip(*np.nonzero(removed), strict=True):
        example, place = index[0], index[1:]
        if layout == "table":
            (column,) = place
            total = sum(float(row[column]) for row in train)
            assert result[example, column] == pytest.approx(total / len(train), abs=1e-6)
            continue
        for channel in range(inputs.shape[1]):
            total = sum(float(value) for image in train for value in image[channel].ravel())
            expected = total / (len(train) * 12)
            assert result[(example, channel, *place)] == pytest.approx(expected, abs=1e-6)


@everywhere
def test_zero_is_zero(layout: str) -> None:
    fill = fitted("zero", small(layout).train.inputs, layout)
    inputs, removed = inputs_and_mask(layout)
    assert not fill(inputs, np.ones_like(removed), generator()).any()


@everywhere
def test_noise_has_the_training_mean_and_deviation(layout: str) -> None:
    train = small(layout).train.inputs * 3 + 1
    fill = fitted("noise", train, layout)
    many = np.zeros((4000, *train.shape[1:]), dtype=np.float32)
    noise = fill.values(many, generator())
    assert noise.shape == many.shape
    groups = range(train.shape[1])  # columns, or channels
    for group in groups:
        ours, theirs = noise[:, group], train[:, group]
        error = theirs.std() / np.sqrt(ours.size)
        assert ours.mean() == pytest.approx(theirs.mean(), abs=5 * error)
        assert ours.std() == pytest.approx(theirs.std(), abs=5 * error)


def test_noise_belongs_to_example_and_generator() -> None:
    fill = fitted("noise", small("colour").train.inputs, "colour")
    inputs, removed = inputs_and_mask("colour")
    first = fill(inputs, removed, generator())
    assert np.array_equal(first, fill(inputs, removed, generator()))
    assert not np.array_equal(first, fill(inputs, removed, np.random.default_rng(8)))
    values = fill.values(inputs, generator())
    assert len(np.unique(values)) > 0.99 * values.size  # no two examples, channels, pixels share


def test_constant_fills_are_one_array_for_all_examples() -> None:
    fill = fitted("mean", small("colour").train.inputs, "colour")
    assert fill.values(small("colour").test.inputs, generator()).shape == (1, 3, 4, 3)


@pytest.mark.parametrize("shape", [(40, 3, 4), (40, 4), (40, 1, 1, 4, 3)])
def test_a_mask_that_does_not_fit_is_refused(shape: tuple[int, ...]) -> None:
    fill = fitted("mean", small("grey").train.inputs, "grey")
    inputs, _ = inputs_and_mask("grey")
    with pytest.raises(ValueError, match="removed must be") as error:
        fill(inputs, np.zeros(shape, dtype=bool), generator())
    assert str(error.value) == (
        f"removed must be (examples, *feature_shape) for inputs of shape (40, 1, 4, 3), got {shape}"
    )


def test_a_mask_for_other_examples_is_refused_by_the_checked_shapes() -> None:
    fill = fitted("mean", small("grey").train.inputs, "grey")
    inputs, removed = inputs_and_mask("grey")
    with pytest.raises(TypeCheckError):
        fill(inputs, removed[:-1], generator())
