"""The public check of removals finds every breach of the contract."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from uproar.dataset import Data
from uproar.remove.fill import mean
from uproar.remove.removal import Removal
from uproar.testing import REMOVAL_LAYOUTS, check_removal


@dataclass(frozen=True)
class Filled:
    """The same for all."""

    value: Any

    def values(self, inputs: Any, _: Any) -> Any:
        return np.full((1, *inputs.shape[1:]), self.value, dtype=inputs.dtype)


@dataclass(frozen=True)
class Calling(Filled):
    """Values that a function makes of the inputs and the generator."""

    def values(self, inputs: Any, generator: Any) -> Any:
        return self.value(inputs, generator)


@dataclass(frozen=True)
class Imputing(Filled):
    """What a function makes of inputs and of which values are kept."""

    def impute(self, inputs: Any, kept: Any, _: Any) -> Any:
        return self.value(inputs, kept)

    def values(self, inputs: Any, _: Any) -> Any:
        return np.zeros((1, *inputs.shape[1:]), dtype=np.float32)


COUNT = iter(range(10**6))


def halves(inputs: Any, _: Any) -> Any:
    return np.full(inputs.shape, 0.5)


def other_shape(inputs: Any, _: Any) -> Any:
    return inputs[:3]


def changed_inputs(inputs: Any, _: Any) -> Any:
    inputs += 1
    return np.full_like(inputs, 9)


def counted(inputs: Any, _: Any) -> Any:
    return np.full_like(inputs, next(COUNT))


def inputs_twice(inputs: Any, _: Any) -> Any:
    return 2 * inputs


def some_inputs(inputs: Any, _: Any) -> Any:
    """Leave a column as it was."""
    return np.where(np.arange(inputs.shape[-1]) == 0, inputs, 9).astype(inputs.dtype)


def kept_twice(inputs: Any, kept: Any) -> Any:
    return inputs * (1 + kept)


def mean_of_batch(inputs: Any, kept: Any) -> Any:
    middle = (inputs * kept).mean() + 9
    return torch.where(kept > 0, inputs, middle)


@pytest.mark.parametrize("layout", [one for one in REMOVAL_LAYOUTS if one != "text"])
def test_what_keeps_the_contract_passes(layout: str) -> None:
    check_removal(mean, layout)


@pytest.mark.parametrize(
    ("fit", "message"),
    [
        (lambda _: None, "expected a fitted removal .*, got NoneType"),
        (lambda data: Filled(data.test.inputs.mean()), "on the training inputs alone"),
        (lambda data: Filled(data.validation.inputs.mean()), "on the training inputs alone"),
        (lambda data: Filled(data.train.inputs[data.train.labels == 0].mean()), "look at labels"),
        (
            lambda _: Calling(lambda inputs, _: np.full_like(inputs, 9)),
            "pickled, to go to another process",
        ),
        (lambda _: Calling(changed_inputs), "has changed its inputs"),
        (lambda _: Calling(counted), "the same generator must give the same values"),
        (lambda _: Calling(other_shape), "values must be for every example, .* got"),
        (lambda _: Calling(halves), "values must be float32, got float64"),
        (lambda _: Calling(inputs_twice), "removed values must have no say"),
        (lambda _: Calling(some_inputs), "every value of a removed feature must be replaced"),
        (lambda _: Imputing(kept_twice), "what is kept must stay as it is"),
        (lambda _: Imputing(mean_of_batch), "must not depend on the others of its batch"),
    ],
)
def test_what_breaks_it_is_found(fit: Callable[[Data], Removal], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_removal(fit, "table")


def test_what_shows_through_has_to_say_so() -> None:
    def fit(_: Data) -> Removal:
        return Calling(inputs_twice)

    check_removal(fit, "table", shows_through=True)
    with pytest.raises(AssertionError, match="shows_through is wrong"):
        check_removal(mean, "table", shows_through=True)
