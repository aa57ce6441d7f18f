"""Integrated gradients on the way that sharpens: from a blurred input to the input."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from uproar.explain.checks import check_parameters
from uproar.explain.chunks import sum_along
from uproar.models.trained import TrainedModel
from uproar.types import Skipped

AXES = {"image": 2, "series": 1}  # how many of the last axes are blurred, by the kind of data
REACH = 8  # standard deviations, beyond which a Gaussian is nothing
SHARPEST = 1e-3  # standard deviation, in places, that changes no number


@dataclass(frozen=True)
class BlurIntegratedGradients:
    """Gradients gathered while the input is blurred more and more, each times what that changes.

    ``e = sum_{i=1..k} (L_{i-1} - L_i) * df((L_{i-1} + L_i) / 2)/dx``, where ``L_i`` is the input
    after a Gaussian blur of standard deviation ``d (i/k)**2`` times each side: the path integral
    of the gradient from the strongest blur to none. Images are blurred along height and width,
    series along time, mirrored at the border, so that in the end little more is left than the mean.
    The sum over values approaches ``f(x) - f(L_k)``.

    The integral does not depend on how fast the path is gone. The paper's steps are equally long in
    the deviation; here they are short where the input is sharp, and the gradient is taken in their
    middle, which comes nearer to the integral with as many gradients.

    :param steps: number of gradients along the way, at least 1.
    :param deviation: the largest standard deviation of the blur, a share of the side, at least 0.
    :raises ValueError: when a parameter is out of its range.
    :raises Skipped: when the data are neither images nor series.

    Xu et al. 2020, arXiv 2004.03383.

    >>> module = torch.nn.Linear(2, 1, bias=False).requires_grad_(False)
    >>> _ = module.weight.copy_(torch.tensor([[2.0, -3.0]]))
    >>> model = TrainedModel(module, *[torch.zeros(1, 2)] * 3, 1, "series")
    >>> explainer = BlurIntegratedGradients(steps=4, deviation=9.0)  # in the end both are 3
    >>> explainer(model, torch.tensor([[4.0, 2.0]]), torch.tensor([0]), torch.Generator()).round()
    tensor([[2., 3.]])
    """

    steps: int = 25
    deviation: float = 0.5

    def __post_init__(self) -> None:
        check_parameters(self)

    def __call__(
        self,
        model: TrainedModel,
        inputs: Float[Tensor, "examples *shape"],
        targets: Int[Tensor, "examples"],
        generator: torch.Generator,
    ) -> Float[Tensor, "examples *shape"]:
        """Return the attribution, of the shape of ``inputs``, signed."""
        if model.kind not in AXES:
            raise Skipped("blur-ig needs images or series: values are blurred with neighbours")
        axes = AXES[model.kind]
        deviations = self.deviation * (torch.arange(self.steps + 1).to(inputs) / self.steps) ** 2

        def path(part: slice) -> tuple[Tensor, Tensor]:
            blurred = _blurred(inputs, deviations[part.start : part.stop + 1], axes)
            return (blurred[:-1] + blurred[1:]) / 2, blurred[:-1] - blurred[1:]

        return sum_along(path, self.steps, model, inputs, targets)


def _blurred(inputs: Tensor, deviations: Tensor, axes: int) -> Tensor:
    """Return inputs blurred by every deviation, (deviations, *inputs), along the last axes."""
    along = _blurs(inputs.shape[-1], deviations)
    blurred = torch.einsum("...x,jzx->j...z", inputs, along)
    if axes == 2:
        down = _blurs(inputs.shape[-2], deviations)
        blurred = torch.einsum("j...yx,jzy->j...zx", blurred, down)
    return blurred


def _blurs(side: int, deviations: Tensor) -> Tensor:
    """Return Gaussian blurs of a line as matrices (deviations, side, side), whose rows sum to one.

    Mirrored at both ends, a line goes on with a period of twice its length: each distance stands
    for all that differ from it by periods.
    """
    period = 2 * side
    scale = (deviations * side).clamp(min=SHARPEST)[:, None, None]
    turns = int(REACH * float(scale.max()) / period) + 1
    distance = torch.arange(period, device=deviations.device)
    turn = torch.arange(-turns, turns + 1, device=deviations.device)
    weights = (-0.5 * ((distance + period * turn[:, None]) / scale) ** 2).exp().sum(1)
    weights = weights / weights.sum(1, keepdim=True)  # (deviations, period)
    place = torch.arange(side, device=deviations.device)
    direct, mirrored = place[:, None] - place, place[:, None] + place + 1
    return weights[:, direct % period] + weights[:, mirrored % period]
