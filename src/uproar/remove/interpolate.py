"""Removal by interpolation: removed steps of a series lie on a line between kept ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from uproar.dataset import Data
from uproar.remove.fill import mean
from uproar.remove.removal import Undrawn


@dataclass(frozen=True)
class Interpolate(Undrawn):
    """A fitted removal: lines in time; ``centre`` (channels, 1) where nothing is kept."""

    centre: NDArray[np.float32]

    def impute(
        self,
        inputs: Float[Tensor, "rows *shape"],
        kept: Float[Tensor, "rows *shape"],
        values: Float[Tensor, "#rows *shape"],
    ) -> Float[Tensor, "rows *shape"]:
        """Return the inputs, with interpolated steps where ``kept`` is 0."""
        steps = inputs.shape[-1]
        time = torch.arange(steps, device=inputs.device).expand(inputs.shape)
        known = kept > 0
        # The nearest kept step on either side; -1 and ``steps`` say that there is none.
        before = torch.where(known, time, -1).cummax(-1).values
        mirrored = torch.where(known, steps - 1 - time, -1).flip(-1)
        after = steps - 1 - mirrored.cummax(-1).values.flip(-1)
        nothing, first, last = (before < 0) & (after == steps), before < 0, after == steps
        left = inputs.gather(-1, torch.where(first, after, before).clamp(max=steps - 1))
        right = inputs.gather(-1, torch.where(last, before, after).clamp(min=0))
        share = (time - before) / (after - before).clamp(min=1)
        centre = torch.from_numpy(self.centre).to(inputs.device)
        line = torch.where(nothing, centre, torch.lerp(left, right, share.to(inputs.dtype)))
        return torch.where(known, inputs, line)


def interpolate(data: Data) -> Interpolate:
    """Fit a linear interpolation in time, channel by channel.

    Step t between the nearest kept steps a < t < b of the same channel becomes
    x_a + (t - a) / (b - a) · (x_b - x_a). Before the first kept step and after the last, the series
    stays constant; a channel that keeps nothing becomes its training mean.

    :param data: series (channels, time); features are steps, or channels by steps.

    Schlegel et al. 2019, arXiv 1909.07082.

    >>> fitted = Interpolate(np.zeros((1, 1), dtype=np.float32))
    >>> series = torch.tensor([[[2.0, 9.0, 9.0, 5.0]]])
    >>> kept = torch.tensor([[[1.0, 0.0, 0.0, 1.0]]])
    >>> fitted.impute(series, kept, torch.zeros(1, 1, 4))
    tensor([[[2., 3., 4., 5.]]])
    """
    return Interpolate(mean(data).centre.astype(np.float32))
