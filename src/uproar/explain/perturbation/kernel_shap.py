"""KernelSHAP: Shapley values from a weighted regression on random coalitions, batched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from uproar.explain.checks import check_parameters
from uproar.explain.chunks import in_chunks
from uproar.explain.coalitions import (
    differs,
    examples_at_once,
    explained_outputs,
    mixed_outputs,
)
from uproar.explain.perturbation.regression import shapley_regression
from uproar.explain.perturbation.shapley_coalitions import drawn_coalitions
from uproar.explain.perturbation.superpixels import segment_of_feature
from uproar.models.trained import TrainedModel
from uproar.types import Skipped


@dataclass(frozen=True)
class KernelShap:
    """Shapley values of the features, estimated by a weighted least-squares regression.

    ``e`` minimises ``sum_S w(S) (v(S) - v({}) - sum_{f in S} e_f)^2`` over coalitions ``S`` of the
    features, with ``w(S) = (M - 1) / (C(M, |S|) |S| (M - |S|))``, subject to ``sum_f e_f = f(x) -
    v({})``, where ``v(S)`` is the explained output with the features outside ``S`` replaced. As in
    the ``shap`` package, coalitions of the smallest and the largest sizes are enumerated as far as
    there are enough for it, and the others are drawn in pairs of complements, with the sizes as
    frequent as their weights. With ``2^M - 2`` coalitions or more the values are exact. All
    examples have the same coalitions. Features that are as in the baseline have no importance.

    :param coalitions: how many, without the empty and the full one.
    :param segments: most players of an image or a series: squares of pixels or stretches of time
        leave together, and share their value (:mod:`uproar.explain.perturbation.superpixels`).
    :param background: how many training examples the replaced features come from, of which ``v``
        is the mean; 0 for the baseline alone. Users of the package take 100, at 100 times the cost.
    :param baseline: "black" or "mean" (those of the model), or "zero"; black is the mask token of
        text. It is not used where there is a background.
    :raises ValueError: when a parameter is out of its range.

    Lundberg and Lee 2017, arXiv 1705.07874.

    >>> def model_of_one_output(inputs):
    ...     return inputs.prod(1, keepdim=True)
    >>> model = TrainedModel(model_of_one_output, torch.ones(2), torch.zeros(2), torch.ones(2), 1)
    >>> KernelShap()(model, torch.tensor([[3.0, 5.0]]), torch.tensor([0]), torch.Generator())
    tensor([[6., 8.]])
    """

    coalitions: int = 2048
    segments: int = 64
    background: int = 0
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

        :raises Skipped: when a background is asked for that the model does not have, or of text.
        """
        background = self._background(model)
        segment = segment_of_feature(model, inputs, self.segments)
        seed = int(torch.randint(2**62, (1,), generator=generator, device=generator.device))
        kept, weights = drawn_coalitions(
            int(segment.max()) + 1, self.coalitions, np.random.default_rng(seed)
        )
        coalitions = torch.from_numpy(kept).to(inputs.device)
        shares = torch.from_numpy(weights).to(inputs.device)

        def importance(part: Tensor, wanted: Tensor) -> Tensor:
            values = self._values(model, part, wanted, background, segment, coalitions)
            players = shapley_regression(coalitions, shares, *values)
            return players[:, segment] / torch.bincount(segment)[segment]

        with torch.no_grad():
            rows = examples_at_once(model, inputs, len(kept))
            found = in_chunks(importance, inputs, targets, rows=rows)
        return model.spread_over_values(found.to(inputs.dtype), inputs)

    def _background(self, model: TrainedModel) -> Tensor | None:
        """Return the training examples that replaced features come from; None for the baseline."""
        if not self.background:
            return None
        if model.kind == "text":
            raise Skipped(
                "kernel-shap takes no background of texts, whose tokens have nothing to do with "
                "those at the same places of another; leave the background out, for the mask token"
            )
        if model.background is None or len(model.background) < self.background:
            known = 0 if model.background is None else len(model.background)
            raise Skipped(
                f"kernel-shap with a background of {self.background} needs as many training "
                f"examples, and there are {known}"
            )
        return model.background[: self.background]

    def _values(
        self,
        model: TrainedModel,
        inputs: Tensor,
        targets: Tensor,
        background: Tensor | None,
        segment: Tensor,
        coalitions: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return v of the coalitions, of the full and of the empty one, and who varies."""
        player_of_value = segment[model.feature_of_value(inputs)]
        nobody = coalitions.new_zeros(1, coalitions.shape[1])
        asked = torch.cat([nobody, coalitions])
        stand_ins = [model.baseline(inputs, self.baseline)] if background is None else background
        total = inputs.new_zeros(len(inputs), len(asked), dtype=torch.float64)
        varying = coalitions.new_zeros(len(inputs), coalitions.shape[1])
        for stand_in in stand_ins:
            absent = stand_in.expand_as(inputs)
            total += mixed_outputs(
                model, inputs, targets, absent=absent, kept=asked, player_of_value=player_of_value
            )
            varying |= differs(inputs, absent, player_of_value)
        total /= len(stand_ins)
        whole = explained_outputs(model, inputs, targets).double()
        return total[:, 1:], whole, total[:, 0], varying
