"""Permutation importance: how much worse the model answers when a feature is shuffled."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from uproar.explain.importance import Importance
from uproar.explain.passes import in_passes, rows_per_pass
from uproar.models.trained import TrainedModel
from uproar.types import Skipped


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
    >>> Permutation().measure(model, seeded).values.round(1)
    array([0.5, 0. ])
    """

    repeats: int = 5

    def __post_init__(self) -> None:
        if self.repeats < 1:
            raise ValueError(f"repeats must be at least 1, got {self.repeats!r}")

    def measure(self, model: TrainedModel, generator: torch.Generator) -> Importance:
        """Return the importance of every feature.

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
        return Importance.of(importance.cpu().numpy())


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
