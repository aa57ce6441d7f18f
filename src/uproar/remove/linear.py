"""Removal by noisy linear imputation: the removed pixels of an image are smoothly filled in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from uproar.dataset import Data
from uproar.remove.fill import mean
from uproar.remove.harmonic import fill_in

DEVIATION = 0.01  # of the noise, as a share of the range of values, as in the authors' code


@dataclass(frozen=True)
class Linear:
    """A fitted removal: the means of neighbours plus noise.

    ``centre`` (channels, 1, 1) stands in where a channel keeps nothing; ``deviation`` is that of
    the noise, in units of the inputs.
    """

    centre: NDArray[np.float32]
    deviation: float

    def values(
        self, inputs: Float[np.ndarray, "examples *shape"], generator: np.random.Generator
    ) -> Float[np.ndarray, "examples *shape"]:
        """Return the noise, drawn once for each example, that is added to what is imputed."""
        noise = generator.standard_normal(inputs.shape, dtype=np.float32)
        noise *= np.float32(self.deviation)
        return noise

    def impute(
        self,
        inputs: Float[Tensor, "rows *shape"],
        kept: Float[Tensor, "rows *shape"],
        values: Float[Tensor, "#rows *shape"],
    ) -> Float[Tensor, "rows *shape"]:
        """Return the inputs, with imputed pixels where ``kept`` is 0."""
        if not len(inputs):
            return inputs
        side = inputs.shape[-2:]
        centre = torch.from_numpy(self.centre).to(inputs.device)
        planes = fill_in(
            inputs.reshape(-1, *side),
            kept.reshape(-1, *side),
            centre.expand_as(inputs)[..., 0, 0].reshape(-1),
        )
        return torch.where(kept > 0, inputs, planes.view(inputs.shape) + values)


def linear(data: Data) -> Linear:
    """Fit the noisy linear imputation of ROAD.

    Every removed pixel is the weighted mean of its 8 neighbours, removed ones included:

        u_i = Σ_j w_ij u_j / Σ_j w_ij,

    with w = 1/6 for the four direct neighbours and 1/12 for the four diagonal ones; pixels at the
    border have fewer. The sparse system of all removed pixels is solved at once, channel by
    channel, to 1e-4 of the largest value or better; then noise with a deviation of 1 % of the
    range of values is added. A channel that keeps nothing becomes its training mean, plus noise.

    :param data: images (channels, height, width).

    Rong et al. 2022, arXiv 2202.00449.

    >>> fitted = Linear(np.zeros((1, 1, 1), dtype=np.float32), deviation=0.0)
    >>> ramp, kept = torch.arange(5.0).expand(1, 1, 3, 5), torch.ones(1, 1, 3, 5)
    >>> kept[:, :, :, 1:4] = 0
    >>> fitted.impute(ramp, kept, torch.zeros(1, 1, 3, 5))[0, 0, 1].round(decimals=4)
    tensor([0., 1., 2., 3., 4.])
    """
    inputs = data.train.inputs
    low, high = data.value_range or (float(inputs.min()), float(inputs.max()))
    return Linear(mean(data).centre.astype(np.float32), DEVIATION * (high - low))
