"""RISE: what the model answers, on average, while a feature is shown by random smooth masks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from uproar.explain.checks import check_parameters
from uproar.explain.chunks import in_chunks
from uproar.explain.coalitions import MASK_ENTRIES, mixed_outputs, rows_per_forward
from uproar.models.trained import TrainedModel
from uproar.types import Skipped

SHOWN = 0.5  # probability that a cell of the grid is shown


@dataclass(frozen=True)
class Rise:
    """How much higher the explained output is while a feature is shown, over random masks.

    ``e_f = sum_i (y_i - mean(y)) m_if / sum_i m_if``, with ``y_i = f(m_i x + (1 - m_i) x0)`` and
    masks ``m_i`` in [0, 1]: grids of cells that are shown with probability 1/2, enlarged
    bilinearly to one cell more than covers the features, and cut out at a random place. Images
    have grids of two dimensions, series of one (of each channel, where channels are features).

    Two things differ from the paper's ``sum_i y_i m_if / (N E[m])``, so that adding a constant to
    the output, which means nothing to a logit, changes nothing: the sum of the masks is the one
    drawn, not the one expected, and the mean output is taken off, which is the same for all
    features of an example. The paper explains probabilities; here it is the output of the model,
    the logit where it is a module.

    :param masks: number of masks, the same for all examples. The paper has 4,000 to 8,000, for
        images of 224 pixels.
    :param cells: of the grid, along each axis; cells have ``ceil(side / cells)`` features.
    :param baseline: "black" or "mean" (those of the model), or "zero".
    :raises ValueError: when a parameter is out of its range.

    Petsiuk et al. 2018, arXiv 1806.07421.

    >>> def brightest(inputs):
    ...     return inputs.flatten(1).amax(1, keepdim=True)
    >>> model = TrainedModel(brightest, *[torch.zeros(1, 8, 8)] * 3, 2, kind="image")
    >>> image = torch.zeros(1, 1, 8, 8)
    >>> image[0, 0, 2, 5] = 1.0
    >>> attribution = Rise()(model, image, torch.tensor([0]), torch.Generator().manual_seed(0))
    >>> divmod(int(attribution.argmax()), 8)
    (2, 5)
    """

    masks: int = 1000
    cells: int = 7
    baseline: str = "black"

    def __post_init__(self) -> None:
        check_parameters(self)

    def __call__(
        self,
        model: TrainedModel,
        inputs: Float[Tensor, "examples *shape"],
        targets: Int[Tensor, "examples"],
        generator: torch.Generator,
    ) -> Float[Tensor, "examples *shape"]:
        """Return the attribution of the shape of ``inputs``, signed, a feature's values alike.

        :raises Skipped: when the inputs are neither images nor series.
        """
        if model.kind not in {"image", "series"}:
            raise Skipped(
                "rise needs images or series, whose neighbouring features its smooth masks show "
                f"together; this is {model.kind}"
            )
        masks = _Masks.draw(
            model.shape_of_features(inputs),
            count=self.masks,
            cells=self.cells,
            axes=2 if model.kind == "image" else 1,
            generator=generator,
        )

        def importance(part: Tensor, wanted: Tensor) -> Tensor:
            return self._importance(model, part, wanted, masks)

        with torch.no_grad():
            found = in_chunks(importance, inputs, targets, rows=rows_per_forward(model, inputs))
        return model.spread_over_values(found.to(inputs.dtype), inputs)

    def _importance(
        self, model: TrainedModel, inputs: Tensor, targets: Tensor, masks: _Masks
    ) -> Tensor:
        """Return the importance, (examples, features), float64, from masks made block by block."""
        features, count = math.prod(masks.shape), len(masks.grids)
        weighted = inputs.new_zeros(len(inputs), features, dtype=torch.float64)
        shown, total = weighted.new_zeros(features), weighted.new_zeros(len(inputs), 1)
        for block in torch.arange(count).split(max(1, MASK_ENTRIES // features)):
            shares = masks.spelt_out(block).to(inputs)
            outputs = mixed_outputs(
                model,
                inputs,
                targets,
                absent=model.baseline(inputs, self.baseline),
                kept=shares,
                player_of_value=model.feature_of_value(inputs),
            ).double()
            weighted += outputs @ shares.double()
            shown += shares.double().sum(0)
            total += outputs.sum(1, keepdim=True)
        # A feature that no mask shows has no sums to speak of, and no importance.
        return (weighted - total / count * shown) / shown.clamp_min(torch.finfo(shown.dtype).tiny)


@dataclass(frozen=True)
class _Masks:
    """Random masks as the grids that they are enlarged from and the places of their cut-outs.

    ``grids`` are (masks, channels, *cells), ``shifts`` (masks, axes), and ``shape`` is that of the
    features.
    """

    grids: Float[Tensor, "masks channels ..."]
    shifts: Int[Tensor, "masks axes"]
    shape: tuple[int, ...]

    @classmethod
    def draw(
        cls,
        shape: tuple[int, ...],
        *,
        count: int,
        cells: int,
        axes: int,
        generator: torch.Generator,
    ) -> _Masks:
        """Draw all masks at once, so that they do not depend on how they are used."""
        device, channels = generator.device, math.prod(shape[: len(shape) - axes])
        uniform = torch.rand(count, channels, *[cells] * axes, generator=generator, device=device)
        shifts = [
            torch.randint(math.ceil(side / cells), (count,), generator=generator, device=device)
            for side in shape[len(shape) - axes :]
        ]
        return cls((uniform < SHOWN).float().cpu(), torch.stack(shifts, 1).cpu(), shape)

    def spelt_out(self, which: Int[Tensor, "block"]) -> Float[Tensor, "block features"]:
        """Return some of the masks, of all features."""
        grids, shifts = self.grids[which], self.shifts[which]
        axes = shifts.shape[1]
        for axis, side in enumerate(reversed(self.shape[len(self.shape) - axes :])):
            weights = _enlargement(side, grids.shape[-1])[shifts[:, axes - 1 - axis]]
            enlarged = torch.einsum("m...c,msc->m...s", grids, weights)
            grids = enlarged.mT if axes == 2 else enlarged
        return grids.flatten(1)


def _enlargement(side: int, cells: int) -> Float[Tensor, "shifts side cells"]:
    """Return the bilinear weights of the cells for every place of a cut-out, by its shift.

    ``cells`` are enlarged to ``(cells + 1) * ceil(side / cells)`` features, of which ``side`` are
    cut out.
    """
    size = math.ceil(side / cells)
    place = torch.arange(size)[:, None] + torch.arange(side)
    centre = ((place + 0.5) * cells / ((cells + 1) * size) - 0.5).clamp(0, cells - 1)
    low = centre.floor().long()
    high, share = (low + 1).clamp(max=cells - 1), (centre - low)[..., None]
    choose = torch.eye(cells)
    return (1 - share) * choose[low] + share * choose[high]
