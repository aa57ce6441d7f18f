"""What every registered removal must do, on every layout it is for; a new entry needs no test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from uproar.dataset import Data, Split, Vocabulary
from uproar.registry import find
from uproar.remove import REMOVALS, Operator
from uproar.remove.removal import Removal, apply, removed_values
from uproar.testing import REMOVAL_LAYOUTS, check_removal, toy_data
from uproar.types import KINDS, UproarError

EXAMPLES = 40
CASES = [
    (entry, layout)
    for entry in REMOVALS
    for layout, of in REMOVAL_LAYOUTS.items()
    if entry.fits(of.kind)
]


def fitted(name: str, data: Data) -> Removal:
    removal = find(name, REMOVALS, "removal").load()(data)
    assert isinstance(removal, Removal)
    return removal


def mask(data: Data, share: float = 0.4) -> np.ndarray:
    removed = np.random.default_rng(1).random((EXAMPLES, *data.feature_shape)) < share
    present = data.present(data.test)
    return removed if present is None else removed & present


def generator() -> np.random.Generator:
    return np.random.default_rng(7)


def without(removal: Removal, data: Data, inputs: np.ndarray, removed: np.ndarray) -> np.ndarray:
    return apply(removal, data, inputs, removed, generator=generator())


def test_every_removal_says_what_it_is_for() -> None:
    assert all(entry.data_kinds for entry in REMOVALS)
    assert {of.kind for of in REMOVAL_LAYOUTS.values()} == set(KINDS)


@pytest.mark.parametrize(
    ("entry", "layout"), CASES, ids=[f"{entry.name}-{layout}" for entry, layout in CASES]
)
def test_every_removal_passes_the_public_check(entry: Operator, layout: str) -> None:
    check_removal(entry.load(), layout, shows_through=entry.shows_through)


@pytest.mark.parametrize("layout", [one for one in REMOVAL_LAYOUTS if one != "text"])
def test_the_mean_is_that_of_a_loop_over_channels_or_columns(layout: str) -> None:
    data = toy_data(layout, shift=1.0)
    values = fitted("mean", data).values(data.test.inputs, generator())
    kind, groups = data.kind, data.input_shape[0]
    for group in range(groups):  # columns, or channels
        numbers = [float(value) for row in data.train.inputs for value in row[group].ravel()]
        assert values[0, group] == pytest.approx(sum(numbers) / len(numbers), abs=1e-6)
    assert kind != "table" or len(np.unique(values)) == groups


def test_zero_is_zero() -> None:
    data = toy_data("colour")
    everything = np.ones((EXAMPLES, 5, 4), dtype=bool)
    assert not without(fitted("zero", data), data, data.test.inputs, everything).any()


@pytest.mark.parametrize("layout", ["table", "grey", "colour", "steps"])
def test_noise_has_the_training_mean_and_deviation(layout: str) -> None:
    data = toy_data(layout)
    train = data.train.inputs * 3 + 1
    removal = fitted("noise", replace(data, train=Split(train, data.train.labels)))
    many = np.zeros((4000, *train.shape[1:]), dtype=np.float32)
    values = removal.values(many, generator())
    for group in range(train.shape[1]):  # columns, or channels
        ours, theirs = values[:, group], train[:, group]
        error = theirs.std() / np.sqrt(ours.size)
        assert ours.mean() == pytest.approx(theirs.mean(), abs=5 * error)
        assert ours.std() == pytest.approx(theirs.std(), abs=5 * error)


def test_noise_is_fitted_in_blocks_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    data = toy_data("colour", shift=2.0)
    whole = fitted("noise", data)
    monkeypatch.setattr("uproar.remove.fill.BLOCK", 7)
    parts = fitted("noise", data)
    assert np.allclose(whole.deviation, parts.deviation, rtol=1e-6)
    assert np.allclose(whole.deviation.ravel(), data.train.inputs.std((0, 2, 3)), rtol=1e-5)


def test_noise_belongs_to_example_and_generator() -> None:
    data = toy_data("colour")
    removal, inputs = fitted("noise", data), data.test.inputs
    first = removal.values(inputs, generator())
    assert not np.array_equal(first, removal.values(inputs, np.random.default_rng(8)))
    assert len(np.unique(first)) > 0.99 * first.size  # no two examples, channels, pixels share


def test_constant_fills_are_one_array_for_all_examples() -> None:
    data = toy_data("colour")
    assert fitted("mean", data).values(data.test.inputs, generator()).shape == (1, 3, 5, 4)


def test_a_marginal_example_has_one_donor_for_all_that_it_loses() -> None:
    data = toy_data("one-hot")
    everything = np.ones((EXAMPLES, 4), dtype=bool)
    result = without(fitted("marginal", data), data, data.test.inputs, everything)
    donors = [int(np.flatnonzero((data.train.inputs == row).all(1))[0]) for row in result]
    assert len(set(donors)) > EXAMPLES / 3
    some = mask(data)
    gone = removed_values(data, some)
    partly = without(fitted("marginal", data), data, data.test.inputs, some)
    assert np.array_equal(partly[gone], data.train.inputs[donors][gone])


def test_all_training_rows_are_donors_equally_often() -> None:
    data = toy_data("table")
    many = np.zeros((20_000, 6), dtype=np.float32)
    first = fitted("marginal", data).values(many, generator())[:, 0]
    _, counts = np.unique(first, return_counts=True)
    assert len(counts) == EXAMPLES
    assert np.square(counts - 500).sum() / 500 < 80  # chi-squared with 39 degrees: p = 1e-4


def test_the_mask_token_stands_for_removed_words_and_needs_a_vocabulary() -> None:
    data, removed = toy_data("text"), mask(toy_data("text"))
    words = Vocabulary(data.vocabulary.tokens, mask=7)
    result = without(
        fitted("mask-token", replace(data, vocabulary=words)), data, data.test.inputs, removed
    )
    assert set(result[removed].tolist()) == {7}
    assert result.dtype == np.int64
    with pytest.raises(UproarError, match=r"needs a vocabulary, and data 'grey' \(image\) have no"):
        fitted("mask-token", toy_data("grey"))


def test_features_that_are_groups_lose_all_their_values() -> None:
    table, patches = toy_data("one-hot"), toy_data("patches")
    gone = removed_values(table, np.array([[True, False, False, True]]))
    assert gone.tolist() == [[True, True, False, False, False, True]]
    gone = removed_values(patches, np.array([[False, True, False, False]]))
    assert gone.shape == (1, 3, 4, 4)
    assert gone[0, :, :2, 2:].all()
    assert gone.sum() == 12


@pytest.mark.parametrize("shape", [(40, 3, 4), (40, 4), (40, 1, 1, 4, 3)])
def test_a_mask_that_does_not_fit_is_refused(shape: tuple[int, ...]) -> None:
    data = toy_data("grey")
    with pytest.raises(ValueError, match="removed must be") as error:
        without(fitted("mean", data), data, data.test.inputs, np.zeros(shape, dtype=bool))
    assert str(error.value) == (
        f"removed must be (examples, *feature_shape) with feature_shape (4, 3), got {shape}"
    )


def test_a_mask_for_other_examples_is_refused_by_the_checked_shapes() -> None:
    data = toy_data("grey")
    with pytest.raises(TypeCheckError):
        without(fitted("mean", data), data, data.test.inputs, mask(data)[:-1])
