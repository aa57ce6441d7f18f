"""Removal by drawing: removed columns take the values of another training row."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from uproar.dataset import Data


@dataclass(frozen=True)
class Marginal:
    """A fitted removal: each example has one donor, a training row, for all that it loses."""

    donors: NDArray[np.float32] = field(repr=False)

    def values(
        self, inputs: Float[np.ndarray, "examples *shape"], generator: np.random.Generator
    ) -> Float[np.ndarray, "examples *shape"]:
        """Return the row of each example's donor, drawn uniformly and with replacement."""
        return self.donors[generator.integers(len(self.donors), size=len(inputs))]


def marginal(data: Data) -> Marginal:
    """Fit a draw from the joint distribution of the training rows.

    All removed columns of an example come from one row, so that they fit each other as they do in
    train, and one-hot groups stay one-hot; they are independent of the columns that are kept.

    :param data: a table.

    Lundberg and Lee 2017, arXiv 1705.07874.

    >>> from uproar.data import load
    >>> data = load("breast-cancer", seed=0)
    >>> values = marginal(data).values(data.test.inputs, np.random.default_rng(0))
    >>> bool((data.train.inputs == values[0]).all(1).any())
    True
    """
    return Marginal(data.train.inputs.astype(np.float32, copy=False))
