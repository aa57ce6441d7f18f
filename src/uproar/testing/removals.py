"""The contract of removals as a check, for our own and for those that live elsewhere."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from uproar.dataset import Data, Split, Vocabulary
from uproar.remove.removal import Imputer, Removal, apply, removed_values
from uproar.testing.requirement import require
from uproar.types import Kind

EXAMPLES = 40
ROUNDING = 1e-6  # products of float64 matrices may differ in their last digits
SHARES = (0.4, 0.9, 2.0)  # of the features that are removed; the last removes them all
_PAIRS = (0, 0, 1, 1, 2, 3)  # columns 0 and 1 are one feature, and 2 and 3
_SQUARES = np.arange(4).reshape(2, 2).repeat(2, 0).repeat(2, 1)  # 4 × 4 pixels, patches of 2 × 2


@dataclass(frozen=True)
class RemovalLayout:
    """A kind of data, the shapes of an input and of its features, and the feature of each value."""

    kind: Kind
    input_shape: tuple[int, ...]
    feature_shape: tuple[int, ...]
    groups: tuple[int, ...] = ()


REMOVAL_LAYOUTS = {
    "table": RemovalLayout("table", (6,), (6,)),
    "one-hot": RemovalLayout("table", (6,), (4,), _PAIRS),
    "grey": RemovalLayout("image", (1, 4, 3), (4, 3)),
    "colour": RemovalLayout("image", (3, 5, 4), (5, 4)),
    "patches": RemovalLayout("image", (3, 4, 4), (4,), (*_SQUARES.ravel().tolist() * 3,)),
    "steps": RemovalLayout("series", (2, 9), (9,)),
    "channels-and-steps": RemovalLayout("series", (3, 7), (3, 7)),
    "text": RemovalLayout("text", (12,), (12,)),
}


def toy_data(layout: str, *, shift: float = 0.0) -> Data:
    """Return random data of a layout, with labels that mean nothing.

    :param layout: a key of :data:`REMOVAL_LAYOUTS`.
    :param shift: what is added to numbers.

    >>> toy_data("patches").feature_shape, toy_data("patches").train.inputs.shape
    ((4,), (40, 3, 4, 4))
    """
    of, numbers = REMOVAL_LAYOUTS[layout], np.random.default_rng(0)

    def split() -> Split:
        labels = np.arange(EXAMPLES) % 2
        if of.kind == "text":
            tokens = numbers.integers(3, 20, (EXAMPLES, *of.input_shape))
            lengths = numbers.integers(4, of.input_shape[0] + 1, (EXAMPLES, 1))
            return Split(np.where(np.arange(of.input_shape[0]) < lengths, tokens, 0), labels)
        inputs = numbers.standard_normal((EXAMPLES, *of.input_shape)) + shift
        return Split(inputs.astype(np.float32), labels)

    words = Vocabulary(tuple(f"word{token}" for token in range(20))) if of.kind == "text" else None
    return Data(
        name=layout,
        kind=of.kind,
        train=split(),
        validation=split(),
        test=split(),
        feature_shape=of.feature_shape,
        class_names=("a", "b"),
        feature_of_value=np.array(of.groups) if of.groups else None,
        vocabulary=words,
    )


def check_removal(
    fit: Callable[[Data], Removal], layout: str, *, shows_through: bool = False
) -> None:
    """Check that a removal keeps its contract on a layout of data.

    It is fitted on the training inputs alone, and goes to another process. What is removed changes,
    all its values do, and what is kept stays as it was; inputs and masks are not changed. What
    stands in belongs to the generator and to the example: other examples of a batch, and how much
    is removed, make no difference, nor do the removed values themselves.

    :param fit: a function of the data that returns a fitted removal.
    :param layout: a key of :data:`REMOVAL_LAYOUTS`.
    :param shows_through: whether the removed values have a say in what stands in for them.
    :raises AssertionError: with what was broken.

    >>> from uproar.remove.fill import mean
    >>> check_removal(mean, "patches")
    >>> check_removal(mean, "patches", shows_through=True)
    Traceback (most recent call last):
    AssertionError: removed values have no say in what stands in for them; shows_through is wrong
    """
    data = toy_data(layout)
    fitted = fit(data)
    require(
        isinstance(fitted, Removal),
        f"expected a fitted removal with values(inputs, generator), got {type(fitted).__name__}",
    )
    _check_values(fitted, data)
    _check_what_changes(fitted, data)
    _check_fit(fit, fitted, data)
    _check_hidden(fitted, data, shows_through=shows_through)
    if isinstance(fitted, Imputer):
        _check_batches(fitted, data)


def _check_fit(fit: Callable[[Data], Removal], fitted: Removal, data: Data) -> None:
    removed, first = _mask(data), _without(fitted, data, _mask(data))
    few = Split(data.test.inputs[:3], data.test.labels[:3])
    for other in (replace(data, test=few), replace(data, validation=few)):
        require(
            np.array_equal(first, _without(fit(other), data, removed)),
            "a removal must be fitted on the training inputs alone",
        )
    labels = replace(data, train=Split(data.train.inputs, 1 - data.train.labels))
    require(
        np.array_equal(first, _without(fit(labels), data, removed)),
        "a removal must not look at labels",
    )
    try:
        again = pickle.loads(pickle.dumps(fitted))  # noqa: S301 - what was pickled here
    except (AttributeError, TypeError, pickle.PicklingError) as error:
        message = f"a removal must be pickled, to go to another process: {error}"
        raise AssertionError(message) from error
    require(
        np.array_equal(first, _without(again, data, removed)),
        "a removal must be the same in another process",
    )


def _check_what_changes(fitted: Removal, data: Data) -> None:
    inputs, removed = data.test.inputs, _mask(data)
    before, mask_before = inputs.copy(), removed.copy()
    result = _without(fitted, data, removed)
    require(
        result.dtype == inputs.dtype and result.shape == inputs.shape,
        f"expected {inputs.dtype} of shape {inputs.shape}, got {result.dtype} of {result.shape}",
    )
    require(np.array_equal(inputs, before), "the removal has changed its inputs")
    require(np.array_equal(removed, mask_before), "the removal has changed its mask")
    require(not np.shares_memory(result, inputs), "the result must be a new array")
    gone = removed_values(data, removed)
    require(np.array_equal(result[~gone], inputs[~gone]), "what is kept must stay as it is")
    require(
        bool((result[gone] != inputs[gone]).all()),
        "every value of a removed feature must be replaced",
    )
    nothing = np.zeros_like(removed)
    require(
        np.array_equal(_without(fitted, data, nothing), inputs),
        "where nothing is removed nothing must change",
    )


def _check_values(fitted: Removal, data: Data) -> None:
    inputs = data.test.inputs
    values = fitted.values(inputs, _generator())
    shapes = {inputs.shape, (1, *inputs.shape[1:])}
    require(
        values.shape in shapes,
        f"values must be for every example, {inputs.shape}, or one for all, got {values.shape}",
    )
    require(values.dtype == inputs.dtype, f"values must be {inputs.dtype}, got {values.dtype}")
    require(
        np.array_equal(values, fitted.values(inputs, _generator())),
        "the same generator must give the same values",
    )
    if isinstance(fitted, Imputer):
        return
    gone = removed_values(data, _mask(data, 0.2))
    few, many = (_without(fitted, data, _mask(data, share)) for share in (0.2, 0.8))
    require(
        np.array_equal(few[gone], many[gone])
        and np.array_equal(few[gone], np.broadcast_to(values, inputs.shape)[gone]),
        "what stands in must not depend on how much is removed",
    )


def _check_hidden(fitted: Removal, data: Data, *, shows_through: bool) -> None:
    inputs = data.test.inputs
    for share in SHARES:
        removed = _mask(data, share)
        gone = removed_values(data, removed)
        other = np.where(gone, np.roll(inputs, 1, 0) + 3, inputs).astype(inputs.dtype)
        first, second = (_without(fitted, data, removed, each) for each in (inputs, other))
        hidden = np.array_equal(first, second)
        require(hidden or shows_through, "removed values must have no say in what stands in")
        require(
            not (hidden and shows_through),
            "removed values have no say in what stands in for them; shows_through is wrong",
        )


def _check_batches(fitted: Imputer, data: Data) -> None:
    inputs = data.test.inputs
    kept = torch.from_numpy(~removed_values(data, _mask(data))).float()
    values = torch.from_numpy(fitted.values(inputs, _generator())).expand(inputs.shape)
    rows = torch.from_numpy(inputs)
    together = fitted.impute(rows, kept, values)
    for part in (slice(0, 1), slice(3, 20), slice(39, 40)):
        alone = fitted.impute(rows[part], kept[part], values[part])
        require(
            torch.allclose(alone, together[part], rtol=0, atol=ROUNDING),
            "an example must not depend on the others of its batch",
        )
    require(
        fitted.impute(rows[:0], kept[:0], values[:0]).shape == rows[:0].shape,
        "no examples must give no examples",
    )


def _mask(data: Data, share: float = 0.4) -> NDArray[np.bool_]:
    """Return which features are removed; of text, some of those that are there."""
    removed = np.random.default_rng(1).random((EXAMPLES, *data.feature_shape)) < share
    present = data.present(data.test)
    return removed if present is None else removed & present


def _without(
    fitted: Removal, data: Data, removed: NDArray[np.bool_], inputs: NDArray[Any] | None = None
) -> NDArray[Any]:
    given = data.test.inputs if inputs is None else inputs
    return apply(fitted, data, given, removed, generator=_generator())


def _generator() -> np.random.Generator:
    return np.random.default_rng(7)
