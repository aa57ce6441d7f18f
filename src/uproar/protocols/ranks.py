"""What protocols are given of an explanation: the ranks of every example's features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int, UInt
from numpy.typing import NDArray
from torch import Tensor

from uproar.ranking import count, counts


@dataclass(frozen=True)
class Ranks:
    """Ranks of the features of every example of one split, 0 for the most important.

    ``lengths`` is the number of features of each example where some have fewer than others; those
    that an example lacks come last.
    """

    values: UInt[np.ndarray, "examples *features"]
    lengths: Int[np.ndarray, "examples"] | None = None

    def reversed(self) -> Ranks:
        """Return the ranks with the least important feature first."""
        values = self.values
        if self.lengths is None:
            return Ranks(values.dtype.type(values[0].size - 1) - values)
        last = self.lengths.reshape(-1, *(1,) * (values.ndim - 1)).astype(values.dtype)
        return Ranks(np.where(values < last, last - 1 - values, values), self.lengths)

    def removed(self, fractions: Sequence[float], *, keep: bool) -> list[int] | list[Tensor]:
        """Return how many features of the smallest ranks go, for each fraction.

        With ``keep`` the fraction is what stays. Where examples differ in length, there is one
        number for each example.
        """
        if self.lengths is None:
            features = self.values[0].size
            gone = [count(fraction, features) for fraction in fractions]
            return [features - kept for kept in gone] if keep else gone
        each = [counts(fraction, self.lengths) for fraction in fractions]
        lengths = self.lengths
        return [torch.from_numpy(lengths - kept if keep else kept).int() for kept in each]


@dataclass(frozen=True)
class Ranking:
    """Ranks of the features of every train and test example."""

    train: Ranks
    test: Ranks

    @classmethod
    def of(
        cls,
        train: UInt[np.ndarray, "train_examples *features"],
        test: UInt[np.ndarray, "test_examples *features"],
        lengths: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
    ) -> Ranking:
        """Make a ranking from arrays of ranks, and the lengths of train and test examples."""
        own = lengths or (None, None)
        return cls(Ranks(train, own[0]), Ranks(test, own[1]))
