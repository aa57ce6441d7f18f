"""Removal by regression: removed columns become what the kept ones lead one to expect."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from uproar.dataset import Data
from uproar.remove.removal import Undrawn

RIDGE = 1e-6  # of a column's variance: one-hot groups and copied columns make covariances singular
ENTRIES_AT_ONCE = 2**24  # of the matrices that are solved together: 128 MB


@dataclass(frozen=True)
class ConditionalMean(Undrawn):
    """A fitted removal: the expectation of a Gaussian, given the values that are kept.

    ``correlation`` (values, values) is that of train, plus :data:`RIDGE` on the diagonal;
    ``centre`` and ``deviation`` (values,) are those of the columns.
    """

    centre: NDArray[np.float64] = field(repr=False)
    deviation: NDArray[np.float64] = field(repr=False)
    correlation: NDArray[np.float64] = field(repr=False)

    def impute(
        self,
        inputs: Float[Tensor, "rows *shape"],
        kept: Float[Tensor, "rows *shape"],
        values: Float[Tensor, "#rows *shape"],
    ) -> Float[Tensor, "rows *shape"]:
        """Return the inputs, with conditional means where ``kept`` is 0."""
        if not len(inputs):
            return inputs
        at_once = max(1, ENTRIES_AT_ONCE // self.correlation.size)
        pairs = zip(inputs.flatten(1).split(at_once), kept.flatten(1).split(at_once), strict=True)
        return torch.cat([self._impute(rows, kept_rows) for rows, kept_rows in pairs]).view(
            inputs.shape
        )

    def _impute(
        self, inputs: Float[Tensor, "rows values"], kept: Float[Tensor, "rows values"]
    ) -> Float[Tensor, "rows values"]:
        centre, deviation, correlation = (
            torch.from_numpy(array).to(inputs.device)
            for array in (self.centre, self.deviation, self.correlation)
        )
        known = kept > 0
        # Products with zero would let through an infinite value that was removed.
        standard = torch.where(known, (inputs.double() - centre) / deviation, 0.0)
        # Removed rows and columns become those of the identity: every row of the table then has a
        # matrix of one size, whose inverse is that of its kept block, and one batch serves all.
        both = known[:, :, None] & known[:, None, :]
        identity = torch.eye(len(centre), dtype=torch.float64, device=inputs.device)
        weights = torch.linalg.solve(torch.where(both, correlation, identity), standard)
        expected = centre + deviation * (weights @ correlation)
        return torch.where(known, inputs, expected.to(inputs.dtype))


def conditional_mean(data: Data) -> ConditionalMean:
    """Fit the conditional mean of a Gaussian with the training mean μ and covariance Σ.

    With k for the values that are kept and r for those that are removed,

        x_r = μ_r + Σ_rk Σ_kk⁻¹ (x_k - μ_k):

    the linear regression of every removed column on all that are kept. Columns that never vary in
    train keep their mean. Where nothing is kept, this is the removal ``mean``.

    :param data: a table.

    Aas, Jullum and Løland 2021, arXiv 1903.10464.

    >>> from uproar.dataset import Split
    >>> x = np.arange(4, dtype=np.float32)
    >>> split = Split(np.stack([x, 2 * x], axis=1), np.array([0, 0, 1, 1]))
    >>> fitted = conditional_mean(Data("line", "table", split, split, split, (2,), ("a", "b")))
    >>> inputs, kept = torch.tensor([[5.0, 0.0]]), torch.tensor([[1.0, 0.0]])
    >>> fitted.impute(inputs, kept, torch.zeros(1, 2)).round(decimals=3)
    tensor([[ 5., 10.]])
    """
    rows = data.train.inputs.reshape(len(data.train), -1).astype(np.float64)
    centre = rows.mean(0)
    rows -= centre
    deviation = np.sqrt(np.square(rows).mean(0))
    deviation[deviation == 0] = 1
    rows /= deviation
    correlation = rows.T @ rows / len(rows)
    # A column that never varies has a row of zeros, and stays unrelated to all others.
    diagonal = np.where(np.diagonal(correlation) == 0, 1.0, np.diagonal(correlation) + RIDGE)
    np.fill_diagonal(correlation, diagonal)
    return ConditionalMean(centre, deviation, correlation)
