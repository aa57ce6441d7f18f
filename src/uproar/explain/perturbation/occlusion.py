"""Importance from changing inputs and looking at the answers: for any model, without gradients."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from uproar.explain.checks import check_parameters
from uproar.explain.chunks import in_chunks
from uproar.explain.coalitions import (
    MASK_ENTRIES,
    explained_outputs,
    outputs_where_changed,
    rows_per_forward,
)
from uproar.models.trained import TrainedModel
from uproar.types import Skipped


@dataclass(frozen=True)
class Occlusion:
    """How much the explained output falls when a window is replaced by the baseline.

    ``e_f``, the mean over the windows that cover feature ``f`` of ``f(x) - f(x with all values of
    the window's features from the baseline)``. Windows are squares of ``patch`` features of
    images, and ``patch`` steps of series (channel by channel where channels are features) and
    texts. They begin at multiples of ``stride``; the last ones end at the border, where they may
    be smaller. With a patch of 1, the default, every feature is replaced by itself: feature
    ablation. Zeiler and Fergus slide a grey square over an image. About windows where the example
    is as the baseline anyway the model is not asked.

    :param patch: side of the window, in features (which may be patches of pixels themselves).
    :param stride: features from one window to the next, at most ``patch``, so that all are covered.
    :param baseline: "black" or "mean" (those of the model), or "zero"; black is the mask token of
        text.
    :raises ValueError: when a parameter is out of its range.

    Zeiler and Fergus 2014, arXiv 1311.2901.

    >>> def model_of_one_output(inputs):
    ...     return inputs.prod(1, keepdim=True)
    >>> model = TrainedModel(model_of_one_output, torch.ones(2), torch.zeros(2), torch.ones(2), 1)
    >>> Occlusion()(model, torch.tensor([[3.0, 5.0]]), torch.tensor([0]), torch.Generator())
    tensor([[10., 12.]])
    """

    patch: int = 1
    stride: int = 1
    baseline: str = "black"

    def __post_init__(self) -> None:
        check_parameters(self)
        if self.stride > self.patch:
            raise ValueError(
                f"stride must be at least 1 and at most patch, {self.patch}, so that windows cover "
                f"every feature; got {self.stride!r}"
            )

    def __call__(
        self,
        model: TrainedModel,
        inputs: Float[Tensor, "examples *shape"],
        targets: Int[Tensor, "examples"],
        generator: torch.Generator,
    ) -> Float[Tensor, "examples *shape"]:
        """Return the attribution of the shape of ``inputs``, signed, a feature's values alike.

        :raises Skipped: when windows of several features are asked for of a table.
        """
        if self.patch > 1 and model.kind == "table":
            raise Skipped(
                f"occlusion by windows of {self.patch} features needs neighbours, which the "
                "columns of a table are not; use patch=1"
            )

        def importance(part: Tensor, wanted: Tensor) -> Tensor:
            return self._importance(model, part, wanted)

        with torch.no_grad():
            falls = in_chunks(importance, inputs, targets, rows=rows_per_forward(model, inputs))
        return model.spread_over_values(falls, inputs)

    def _importance(self, model: TrainedModel, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean fall of the output, (examples, features)."""
        shape, feature = model.shape_of_features(inputs), model.feature_of_value(inputs)
        features = math.prod(shape)
        spans = self._spans(model, shape, inputs.device)
        windows = math.prod(len(span) for span in spans)
        absent = model.baseline(inputs, self.baseline)
        whole = explained_outputs(model, inputs, targets)
        total, times = whole.new_zeros(len(inputs), features), whole.new_zeros(features)
        for block in torch.arange(windows, device=inputs.device).split(
            max(1, MASK_ENTRIES // features)
        ):
            hidden = _hidden(spans, block)
            outputs = outputs_where_changed(
                model,
                inputs,
                targets,
                absent=absent,
                kept=~hidden,
                player_of_value=feature,
                whole=whole,
            )
            covers = hidden.to(whole.dtype)
            total += (whole[:, None] - outputs) @ covers
            times += covers.sum(0)
        return total / times

    def _spans(
        self, model: TrainedModel, shape: tuple[int, ...], device: torch.device
    ) -> list[Bool[Tensor, "windows side"]]:
        """Return, for each axis of the features, what the windows along it cover."""
        axes = 2 if model.kind == "image" else 1
        spans = []
        for axis, side in enumerate(shape):
            cut = axis >= len(shape) - axes
            patch, stride = (self.patch, self.stride) if cut else (1, 1)
            windows = math.ceil(max(side - patch, 0) / stride) + 1
            start = stride * torch.arange(windows, device=device)[:, None]
            place = torch.arange(side, device=device)
            spans.append((place >= start) & (place < start + patch))
        return spans


def _hidden(
    spans: list[Bool[Tensor, "_ _"]], windows: Int[Tensor, "windows"]
) -> Bool[Tensor, "windows features"]:
    """Return what numbered windows cover: the product of what they cover along the axes."""
    covered = torch.ones(len(windows), 1, dtype=torch.bool, device=windows.device)
    places = torch.unravel_index(windows, [len(span) for span in spans])
    for span, place in zip(spans, places, strict=True):
        covered = (covered[:, :, None] & span[place][:, None]).flatten(1)
    return covered
