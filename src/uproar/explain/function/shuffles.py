"""The loss of a model whose features are replaced by those of other examples, one at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from uproar.explain.coalitions import rows_per_forward
from uproar.explain.function.losses import Labels, Loss, loss_for, outputs_of
from uproar.explain.importance import Importance
from uproar.models.trained import TrainedModel


@dataclass(frozen=True)
class Stand:
    """What stands in for the values of example i when example j is shuffled into its place.

    ``expected[i] + material[j]``, both (examples, values), or ``material[j]`` alone.
    """

    material: Tensor
    expected: Tensor | None = None

    def values(self, rows: slice, sources: Tensor, columns: Tensor) -> Tensor:
        """Return what stands in, (shuffles, rows, columns).

        :param rows: the examples. :param sources: (shuffles, rows), which of them stand
            in. :param columns: (shuffles, columns), the values that are replaced.
        """
        values = self.material[sources[:, :, None], columns[:, None]]
        if self.expected is None:
            return values
        return values + self.expected[rows][:, columns].transpose(0, 1)


def orders_of(examples: int, repeats: int, generator: torch.Generator) -> Tensor:
    """Return random orders of the examples, (repeats, examples)."""
    device = generator.device
    orders = [torch.randperm(examples, generator=generator, device=device) for _ in range(repeats)]
    return torch.stack(orders)


def values_of_features(feature: Int[Tensor, "values"]) -> Int[Tensor, "features most"]:
    """Return the values of every feature; smaller features repeat their last one.

    >>> values_of_features(torch.tensor([0, 1, 1])).tolist()
    [[0, 0], [1, 2]]
    """
    sizes = torch.bincount(feature)
    starts = sizes.cumsum(0) - sizes
    place = torch.arange(int(sizes.max()), device=feature.device)
    place = torch.minimum(place, sizes[:, None] - 1)
    return feature.argsort(stable=True)[starts[:, None] + place]


@dataclass(frozen=True)
class Rises:
    """How much losses rise when a feature is replaced: ``h(i, j)`` where j stands in for i.

    ``receiving[f, i]`` is the mean of h(i, j) over the shufflings, ``giving[f, j]`` that over the
    examples that j stood in for, ``variance[f]`` that of all h.
    """

    receiving: Float[Tensor, "features examples"]
    giving: Float[Tensor, "features examples"]
    variance: Float[Tensor, "features"]
    repeats: int

    def importance(self) -> Importance:
        """Return the mean rise of every feature, with the error of a U-statistic and a test.

        An example counts twice in the mean: as one whose loss rises, and as one whose values
        stand in for others. With ``s = receiving + giving``, R shufflings and n examples,

            ``error² = (Var(s) - Var(h) / R) / n``,

        where the second term is what the noise of single pairs adds to the variance of s and not
        to that of the mean. More shufflings do not narrow it below ``Var(E[s]) / n``. The test of
        zero is that of :meth:`uproar.explain.importance.Importance.of_differences`: a feature that
        the model does not need has nothing to give.

        Hoeffding 1948, "A class of statistics with asymptotically normal distribution".
        """
        received = self.receiving.cpu().numpy()
        found = Importance.of_differences(received)
        examples = received.shape[1]
        if examples == 1:
            return found
        both = (self.receiving + self.giving).var(1)
        squared = (both - self.variance / self.repeats).cpu().numpy() / examples
        # Of few examples the difference may be below zero.
        errors = np.where(squared > 0, np.sqrt(np.maximum(squared, 0.0)), found.errors)
        return replace(found, errors=errors)


@torch.no_grad()
def increases_of_loss(
    model: TrainedModel,
    inputs: Float[Tensor, "examples *shape"],
    labels: Labels,
    *,
    order: Int[Tensor, "repeats examples"],
    stand: Stand,
    which: str,
) -> Rises:
    """Return how much the loss of every example rises when a feature is replaced.

    In the rows of ``order``, example i gets the values of ``order[r, i]``; all features see the
    same orders. All values of a feature move together.
    """
    outputs = outputs_of(model, inputs)
    loss = loss_for(outputs, labels, which)
    members = values_of_features(model.feature_of_value(inputs))
    repeats, examples = order.shape
    before = loss(outputs, labels)
    received = torch.zeros(len(members), examples, dtype=torch.float64, device=inputs.device)
    given, squares = torch.zeros_like(received), torch.zeros_like(received[:, 0])
    rows = rows_per_forward(model, inputs)
    # Pairs of a feature and an order: several in one pass where there are few examples.
    pairs = torch.arange(len(members) * repeats, device=inputs.device)
    for some in pairs.split(math.ceil(rows / examples)):
        features, sources = some // repeats, order[some % repeats]
        columns = members[features]
        for start in range(0, examples, rows):
            part = slice(start, start + rows)
            values = stand.values(part, sources[:, part], columns)
            losses = _losses(model, loss, inputs[part], labels[part], columns, values)
            rises = losses - before[part]
            received[:, part].index_add_(0, features, rises)
            givers = features[:, None] * examples + sources[:, part]
            given.view(-1).index_add_(0, givers.flatten(), rises.flatten())
            squares.index_add_(0, features, rises.square().sum(1))
    received, given = received / repeats, given / repeats
    variance = squares / (repeats * examples) - received.mean(1).square()
    return Rises(received, given, variance, repeats)


def _losses(
    model: TrainedModel,
    loss: Loss,
    inputs: Float[Tensor, "examples *shape"],
    labels: Labels,
    columns: Int[Tensor, "shuffles columns"],
    values: Float[Tensor, "shuffles examples columns"],
) -> Float[Tensor, "shuffles examples"]:
    """Return the losses of copies of the examples with ``values`` in ``columns``."""
    shuffles = len(columns)
    points = inputs.flatten(1).repeat(shuffles, 1, 1)
    points.scatter_(2, columns[:, None].expand_as(values), values)
    outputs = model(points.view(-1, *inputs.shape[1:]))
    return loss(outputs, labels.repeat(shuffles)).view(shuffles, len(inputs))
