"""Importance from changing inputs and looking at the answers: for any model, without gradients."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from uproar.explain.parameters import BASELINES
from uproar.explain.passes import in_passes, rows_per_pass
from uproar.models.trained import TrainedModel


@dataclass(frozen=True)
class Occlusion:
    """How much the explained output falls when a feature is replaced by the baseline.

    ``e_f = f(x) - f(x with all values of feature f from the baseline)``, for one feature at a
    time. Zeiler and Fergus slide a grey square over an image; here what is covered is a feature,
    and data whose features are patches are covered patch by patch.

    :param baseline: "black" or "mean" (those of the model), or "zero"; black is the mask token of
        text.
    :raises ValueError: when the baseline is none of these.

    Zeiler and Fergus 2014, arXiv 1311.2901.

    >>> def model_of_one_output(inputs):
    ...     return inputs.prod(1, keepdim=True)
    >>> model = TrainedModel(model_of_one_output, torch.ones(2), torch.zeros(2), torch.ones(2), 1)
    >>> Occlusion()(model, torch.tensor([[3.0, 5.0]]), torch.tensor([0]), torch.Generator())
    tensor([[10., 12.]])
    """

    baseline: str = "black"

    def __post_init__(self) -> None:
        if self.baseline not in BASELINES:
            raise ValueError(f"baseline must be one of {BASELINES}, got {self.baseline!r}")

    def __call__(
        self,
        model: TrainedModel,
        inputs: Float[Tensor, "examples *shape"],
        targets: Int[Tensor, "examples"],
        generator: torch.Generator,  # noqa: ARG002 - part of the contract of explainers
    ) -> Float[Tensor, "examples *shape"]:
        """Return the attribution of the shape of ``inputs``, signed, a feature's values alike."""

        def importance(part: Tensor, wanted: Tensor) -> Tensor:
            return self._importance(model, part, wanted)

        with torch.no_grad():
            falls = in_passes(importance, inputs, targets, rows=rows_per_pass(inputs))
        return model.spread_over_values(falls, inputs)

    def _importance(self, model: TrainedModel, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the fall of the output, (examples, features), several features to a pass."""
        feature = model.feature_of_value(inputs)
        features, examples = int(feature.max()) + 1, len(inputs)
        flat, stand_in = inputs.flatten(1), model.baseline(inputs, self.baseline).flatten(1)
        whole = model(inputs).gather(1, targets[:, None])[:, 0]
        together = max(1, rows_per_pass(inputs) // examples)
        falls = []
        for covered in torch.arange(features, device=inputs.device).split(together):
            hidden = feature == covered[:, None, None]  # (covered, 1, values)
            points = torch.where(hidden, stand_in, flat).view(-1, *inputs.shape[1:])
            outputs = model(points).gather(1, targets.repeat(len(covered))[:, None])
            falls.append(whole - outputs.view(len(covered), examples))
        return torch.cat(falls).T
