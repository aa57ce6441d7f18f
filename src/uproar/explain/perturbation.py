"""Importance from changing inputs and looking at the answers: for any model, without gradients."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from uproar.explain import BASELINES
from uproar.explain.passes import in_passes, rows_per_pass
from uproar.models.trained import TrainedModel
from uproar.types import Skipped


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


@dataclass(frozen=True)
class Permutation:
    """How much worse the model answers when a feature is shuffled among held-out examples.

    ``e_f = s(X, y) - (1/R) sum_r s(X with the values of f from other examples, y)``, where the
    score ``s`` is the accuracy, or R² of a regression, and ``R`` the number of shufflings. All
    values of a feature move together. Every feature sees the same shufflings, so that features
    differ by what they are worth and not by how they were shuffled. It explains the function: it
    is the same for all examples and targets.

    :param repeats: number of shufflings, at least 1.
    :raises ValueError: when there are fewer.

    Breiman 2001, doi 10.1023/A:1010933404324; Fisher et al. 2019, arXiv 1801.01489.

    >>> def first_column(inputs):
    ...     return torch.stack([-inputs[:, 0], inputs[:, 0]], 1)
    >>> held_out = torch.tensor([[-1.0, 7.0], [1.0, 8.0]]).repeat(50, 1), torch.tensor([0, 1] * 50)
    >>> model = TrainedModel(first_column, *[torch.zeros(2)] * 3, 1, held_out=held_out)
    >>> seeded = torch.Generator().manual_seed(0)
    >>> Permutation()(model, torch.zeros(1, 2), torch.tensor([0]), seeded).round(decimals=1)
    tensor([[0.5000, 0.0000]])
    """

    repeats: int = 5

    def __post_init__(self) -> None:
        if self.repeats < 1:
            raise ValueError(f"repeats must be at least 1, got {self.repeats!r}")

    def __call__(
        self,
        model: TrainedModel,
        inputs: Float[Tensor, "examples *shape"],
        targets: Int[Tensor, "examples"],  # noqa: ARG002 - the labels are what counts here
        generator: torch.Generator,
    ) -> Float[Tensor, "examples *shape"]:
        """Return the attribution of the shape of ``inputs``, signed, the same for each example.

        :raises Skipped: when no examples are held out, or R² has no meaning for their labels.
        """
        held_out, labels = _held_out(model)
        examples = len(held_out)
        order = torch.stack(
            [
                torch.randperm(examples, generator=generator, device=generator.device)
                for _ in range(self.repeats)
            ]
        ).to(held_out.device)
        with torch.no_grad():
            importance = _increase(model, held_out, labels, order)
        return model.spread_over_values(importance.to(inputs.dtype).expand(len(inputs), -1), inputs)


def _held_out(model: TrainedModel) -> tuple[Tensor, Tensor]:
    if model.held_out is None or len(model.held_out[1]) == 0:
        raise Skipped("permutation importance needs held-out examples, and there are none")
    inputs, labels = model.held_out
    if labels.is_floating_point() and bool((labels == labels[0]).all()):
        raise Skipped("permutation importance needs R², and all held-out labels are equal")
    return inputs, labels


def _increase(
    model: TrainedModel,
    inputs: Float[Tensor, "examples *shape"],
    labels: Tensor,
    order: Int[Tensor, "repeats examples"],
) -> Float[Tensor, "features"]:
    """Return the mean loss after shuffling less that before, in passes of bounded memory."""
    feature = model.feature_of_value(inputs)
    features, (repeats, examples) = int(feature.max()) + 1, order.shape
    flat = inputs.flatten(1)
    whole = in_passes(
        lambda part, wanted: _losses(model(part), wanted, labels),
        inputs,
        labels,
        rows=rows_per_pass(inputs),
    ).mean()
    totals = torch.zeros(features, dtype=torch.float64, device=inputs.device)
    # One row for each feature, shuffling and example; all of them at once would not fit.
    every, step = features * repeats * examples, rows_per_pass(inputs)
    for start in range(0, every, step):
        rows = torch.arange(start, min(start + step, every), device=inputs.device)
        shuffled, row = rows // (repeats * examples), rows % examples
        source = order[rows // examples % repeats, row]
        moved = feature == shuffled[:, None]  # (rows, values)
        points = torch.where(moved, flat[source], flat[row]).view(-1, *inputs.shape[1:])
        totals.index_add_(0, shuffled, _losses(model(points), labels[row], labels))
    return totals / (repeats * examples) - whole


def _losses(outputs: Tensor, labels: Tensor, every: Tensor) -> Float[Tensor, "rows"]:
    """Return what each example takes from the score: its error, or its share of 1 - R²."""
    if labels.is_floating_point():
        return (outputs[:, 0] - labels).double().square() / every.double().var(correction=0)
    return (outputs.argmax(1) != labels).double()
