"""What every registered removal must do, on every layout it is for; a new entry needs no test."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError

from uproar.dataset import Data, Split, Vocabulary
from uproar.registry import find
from uproar.remove import REMOVALS
from uproar.remove.removal import Imputer, Removal, apply, removed_values
from uproar.types import UproarError

EXAMPLES = 40
PAIRS = np.array([0, 0, 1, 1, 2, 3])  # columns 0 and 1 are one feature, and 2 and 3
SQUARES = np.arange(4).reshape(2, 2).repeat(2, 0).repeat(2, 1)  # 4 × 4 pixels in patches of 2 × 2
# Kind, shape of an input, shape of its features, and the feature of each value.
LAYOUTS = {
    "table": ("table", (6,), (6,), None),
    "one-hot": ("table", (6,), (4,), PAIRS),
    "grey": ("image", (1, 4, 3), (4, 3), None),
    "colour": ("image", (3, 5, 4), (5, 4), None),
    "patches": ("image", (3, 4, 4), (4,), np.tile(SQUARES.ravel(), 3)),
    "steps": ("series", (2, 9), (9,), None),
    "channels-and-steps": ("series", (3, 7), (3, 7), None),
    "text": ("text", (12,), (12,), None),
}
# What shows through of the removed values, and why.
SHOWS_THROUGH = {"blur": "it blurs what it replaces"}
CASES = [
    (entry.name, layout)
    for entry in REMOVALS
    for layout, (kind, *_) in LAYOUTS.items()
    if kind in entry.data_kinds
]
everywhere = pytest.mark.parametrize(("name", "layout"), CASES, ids=map("-".join, CASES))


def data_of(layout: str, *, shift: float = 0.0) -> Data:
    kind, shape, features, groups = LAYOUTS[layout]
    numbers = np.random.default_rng(0)

    def split() -> Split:
        labels = np.arange(EXAMPLES) % 2
        if kind == "text":
            tokens = numbers.integers(3, 20, (EXAMPLES, *shape))
            lengths = numbers.integers(4, shape[0] + 1, (EXAMPLES, 1))
            return Split(np.where(np.arange(shape[0]) < lengths, tokens, 0), labels)
        inputs = numbers.standard_normal((EXAMPLES, *shape)) + shift
        return Split(inputs.astype(np.float32), labels)

    words = Vocabulary(tuple(f"word{token}" for token in range(20))) if kind == "text" else None
    return Data(
        name=layout,
        kind=kind,
        train=split(),
        validation=split(),
        test=split(),
        feature_shape=features,
        class_names=("a", "b"),
        feature_of_value=groups,
        vocabulary=words,
    )


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
    assert {kind for entry in REMOVALS for kind in entry.data_kinds} == {
        kind for kind, *_ in LAYOUTS.values()
    }
    assert set(SHOWS_THROUGH) <= {entry.name for entry in REMOVALS}


@everywhere
def test_only_removed_features_change_and_all_their_values_do(name: str, layout: str) -> None:
    data = data_of(layout)
    removal, inputs, removed = fitted(name, data), data.test.inputs, mask(data)
    before, mask_before = inputs.copy(), removed.copy()
    result = without(removal, data, inputs, removed)
    assert result.dtype == inputs.dtype
    assert result.shape == inputs.shape
    assert np.array_equal(inputs, before)
    assert np.array_equal(removed, mask_before)
    assert not np.shares_memory(result, inputs)
    gone = removed_values(data, removed)
    assert np.array_equal(result[~gone], inputs[~gone])
    assert (result[gone] != inputs[gone]).all()


@everywhere
def test_removed_values_have_no_say_in_what_stands_in_for_them(name: str, layout: str) -> None:
    data = data_of(layout)
    removal, inputs = fitted(name, data), data.test.inputs
    for share in (0.4, 0.9, 2.0):
        removed = mask(data, share)
        gone = removed_values(data, removed)
        other = np.where(gone, np.roll(inputs, 1, 0) + 3, inputs).astype(inputs.dtype)
        first, second = (without(removal, data, each, removed) for each in (inputs, other))
        assert np.array_equal(first, second) == (name not in SHOWS_THROUGH)


@everywhere
def test_fraction_0_changes_nothing(name: str, layout: str) -> None:
    data = data_of(layout)
    nothing = np.zeros((EXAMPLES, *data.feature_shape), dtype=bool)
    result = without(fitted(name, data), data, data.test.inputs, nothing)
    assert np.array_equal(result, data.test.inputs)


@everywhere
def test_draws_belong_to_the_generator_and_to_examples_alone(name: str, layout: str) -> None:
    data = data_of(layout)
    removal, inputs = fitted(name, data), data.test.inputs
    values = removal.values(inputs, generator())
    assert values.shape in {inputs.shape, (1, *inputs.shape[1:])}
    assert values.dtype == inputs.dtype
    assert np.array_equal(values, removal.values(inputs, generator()))
    few, many = (without(removal, data, inputs, mask(data, share)) for share in (0.2, 0.8))
    gone = removed_values(data, mask(data, 0.2))
    if not isinstance(removal, Imputer):
        assert np.array_equal(few[gone], many[gone])
        assert np.array_equal(few[gone], np.broadcast_to(values, inputs.shape)[gone])


@everywhere
def test_fitting_sees_the_training_inputs_alone(name: str, layout: str) -> None:
    data = data_of(layout)
    other = replace(data, test=Split(data.test.inputs[:3], data.test.labels[:3]))
    results = [
        without(fitted(name, each), data, data.test.inputs, mask(data)) for each in (data, other)
    ]
    assert np.array_equal(*results)


@everywhere
def test_a_removal_goes_to_another_process(name: str, layout: str) -> None:
    data = data_of(layout)
    removal = fitted(name, data)
    again = pickle.loads(pickle.dumps(removal))
    results = [without(each, data, data.test.inputs, mask(data)) for each in (removal, again)]
    assert np.array_equal(*results)


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        (name, layout)
        for name, layout in CASES
        if isinstance(fitted(name, data_of(layout)), Imputer)
    ],
)
def test_an_example_does_not_depend_on_the_others_of_its_batch(name: str, layout: str) -> None:
    data = data_of(layout)
    removal, inputs, removed = fitted(name, data), data.test.inputs, mask(data)
    assert isinstance(removal, Imputer)
    kept = torch.from_numpy(~removed_values(data, removed)).float()
    values = torch.from_numpy(removal.values(inputs, generator())).expand(inputs.shape)
    rows = torch.from_numpy(inputs)
    together = removal.impute(rows, kept, values)
    for part in (slice(0, 1), slice(3, 20), slice(39, 40)):
        alone = removal.impute(rows[part], kept[part], values[part])
        # Products of float64 matrices may differ in their last digits.
        tolerance = 1e-6 if name == "conditional-mean" else 0.0
        assert torch.allclose(alone, together[part], rtol=0, atol=tolerance)
    assert removal.impute(rows[:0], kept[:0], values[:0]).shape == rows[:0].shape


@pytest.mark.parametrize("layout", [one for one in LAYOUTS if one != "text"])
def test_the_mean_is_that_of_a_loop_over_channels_or_columns(layout: str) -> None:
    data = data_of(layout, shift=1.0)
    values = fitted("mean", data).values(data.test.inputs, generator())
    kind, (groups, *_), *_ = LAYOUTS[layout]
    for group in range(groups):  # columns, or channels
        numbers = [float(value) for row in data.train.inputs for value in row[group].ravel()]
        assert values[0, group] == pytest.approx(sum(numbers) / len(numbers), abs=1e-6)
    assert kind != "table" or len(np.unique(values)) == groups


def test_zero_is_zero() -> None:
    data = data_of("colour")
    everything = np.ones((EXAMPLES, 5, 4), dtype=bool)
    assert not without(fitted("zero", data), data, data.test.inputs, everything).any()


@pytest.mark.parametrize("layout", ["table", "grey", "colour", "steps"])
def test_noise_has_the_training_mean_and_deviation(layout: str) -> None:
    data = data_of(layout)
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
    data = data_of("colour", shift=2.0)
    whole = fitted("noise", data)
    monkeypatch.setattr("uproar.remove.fill.BLOCK", 7)
    parts = fitted("noise", data)
    assert np.allclose(whole.deviation, parts.deviation, rtol=1e-6)
    assert np.allclose(whole.deviation.ravel(), data.train.inputs.std((0, 2, 3)), rtol=1e-5)


def test_noise_belongs_to_example_and_generator() -> None:
    data = data_of("colour")
    removal, inputs = fitted("noise", data), data.test.inputs
    first = removal.values(inputs, generator())
    assert not np.array_equal(first, removal.values(inputs, np.random.default_rng(8)))
    assert len(np.unique(first)) > 0.99 * first.size  # no two examples, channels, pixels share


def test_constant_fills_are_one_array_for_all_examples() -> None:
    data = data_of("colour")
    assert fitted("mean", data).values(data.test.inputs, generator()).shape == (1, 3, 5, 4)


def test_a_marginal_example_has_one_donor_for_all_that_it_loses() -> None:
    data = data_of("one-hot")
    everything = np.ones((EXAMPLES, 4), dtype=bool)
    result = without(fitted("marginal", data), data, data.test.inputs, everything)
    donors = [int(np.flatnonzero((data.train.inputs == row).all(1))[0]) for row in result]
    assert len(set(donors)) > EXAMPLES / 3
    some = mask(data)
    gone = removed_values(data, some)
    partly = without(fitted("marginal", data), data, data.test.inputs, some)
    assert np.array_equal(partly[gone], data.train.inputs[donors][gone])


def test_all_training_rows_are_donors_equally_often() -> None:
    data = data_of("table")
    many = np.zeros((20_000, 6), dtype=np.float32)
    first = fitted("marginal", data).values(many, generator())[:, 0]
    _, counts = np.unique(first, return_counts=True)
    assert len(counts) == EXAMPLES
    assert np.square(counts - 500).sum() / 500 < 80  # chi-squared with 39 degrees: p = 1e-4


def test_the_mask_token_stands_for_removed_words_and_needs_a_vocabulary() -> None:
    data, removed = data_of("text"), mask(data_of("text"))
    words = Vocabulary(data.vocabulary.tokens, mask=7)
    result = without(
        fitted("mask-token", replace(data, vocabulary=words)), data, data.test.inputs, removed
    )
    assert set(result[removed].tolist()) == {7}
    assert result.dtype == np.int64
    with pytest.raises(UproarError, match=r"needs a vocabulary, and data 'grey' \(image\) have no"):
        fitted("mask-token", data_of("grey"))


def test_features_that_are_groups_lose_all_their_values() -> None:
    table, patches = data_of("one-hot"), data_of("patches")
    gone = removed_values(table, np.array([[True, False, False, True]]))
    assert gone.tolist() == [[True, True, False, False, False, True]]
    gone = removed_values(patches, np.array([[False, True, False, False]]))
    assert gone.shape == (1, 3, 4, 4)
    assert gone[0, :, :2, 2:].all()
    assert gone.sum() == 12


@pytest.mark.parametrize("shape", [(40, 3, 4), (40, 4), (40, 1, 1, 4, 3)])
def test_a_mask_that_does_not_fit_is_refused(shape: tuple[int, ...]) -> None:
    data = data_of("grey")
    with pytest.raises(ValueError, match="removed must be") as error:
        without(fitted("mean", data), data, data.test.inputs, np.zeros(shape, dtype=bool))
    assert str(error.value) == (
        f"removed must be (examples, *feature_shape) with feature_shape (4, 3), got {shape}"
    )


def test_a_mask_for_other_examples_is_refused_by_the_checked_shapes() -> None:
    data = data_of("grey")
    with pytest.raises(TypeCheckError):
        without(fitted("mean", data), data, data.test.inputs, mask(data)[:-1])
