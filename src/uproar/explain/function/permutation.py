"""Permutation importance: how much worse the model answers when a feature is shuffled."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from uproar.explain.checks import check_parameters
from uproar.explain.function.losses import held_out_of
from uproar.explain.function.shuffles import Stand, increases_of_loss, orders_of
from uproar.explain.importance import Importance
from uproar.models.trained import TrainedModel


@dataclass(frozen=True)
class Permutation:
    """How much the loss rises when a feature is shuffled among held-out examples.

    ``e_f = (1/n) sum_i [ (1/R) sum_r L(y_i, m(x_i with the values of f from another)) - L(y_i,
    m(x_i)) ]``, over ``R`` shufflings of the ``n`` held-out examples. The loss ``L`` is the squared
    error of values and the cross-entropy of classes, see
    :class:`uproar.explain.function.losses.Loss`. All values of a feature move together, and every
    feature sees the same shufflings, so that features differ by what they are worth and not by how
    they were shuffled. For values that depend linearly on the features, ``y = b'x``, it is ``2 b_f²
    Var(x_f)``: what the model loses without the feature's link to the label, and to the other
    features.

    :param repeats: number of shufflings, at least 1. More of them make the estimate for these
        examples more precise; how it varies between examples is in its error.
    :param loss: "auto", or "zero-one", for classes.
    :raises ValueError: when there are fewer, or no such loss.

    Breiman 2001, doi 10.1023/A:1010933404324; Fisher et al. 2019, arXiv 1801.01489.

    >>> def first_column(inputs):
    ...     return torch.stack([-inputs[:, 0], inputs[:, 0]], 1)
    >>> held_out = torch.tensor([[-1.0, 7.0], [1.0, 8.0]]).repeat(50, 1), torch.tensor([0, 1] * 50)
    >>> model = TrainedModel(first_column, *[torch.zeros(2)] * 3, 1, held_out=held_out)
    >>> seeded = torch.Generator().manual_seed(0)
    >>> Permutation(loss="zero-one").measure(model, seeded).values.round(1)
    array([0.5, 0. ])
    """

    repeats: int = 5
    loss: str = "auto"

    def __post_init__(self) -> None:
        check_parameters(self)

    def measure(self, model: TrainedModel, generator: torch.Generator) -> Importance:
        """Return the importance of every feature.

        :raises Skipped: when no examples are held out, or the loss is not for their labels.
        """
        inputs, labels = held_out_of(model, "permutation importance")
        order = orders_of(len(inputs), self.repeats, generator).to(inputs.device)
        rises = increases_of_loss(
            model, inputs, labels, order=order, stand=Stand(inputs.flatten(1)), which=self.loss
        )
        return rises.importance()
