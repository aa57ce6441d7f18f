"""Conditional permutation importance: what a feature is worth beyond what the others tell of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from uproar.explain.checks import check_parameters
from uproar.explain.function.losses import held_out_of
from uproar.explain.function.shuffles import Stand, increases_of_loss, orders_of
from uproar.explain.importance import Importance
from uproar.models.trained import TrainedModel
from uproar.types import Skipped

RIDGE = 1e-3  # of a value's variance: one-hot groups and copied columns make covariances singular


@dataclass(frozen=True)
class ConditionalPermutation:
    """How much the loss rises when what the others do not tell of a feature is shuffled.

    As permutation importance, with ``x_f`` replaced by a draw from what it could be, given the
    other features of the example:

        x_f' = E[x_f | the others] + the residual of another example.

    The expectation is that of a Gaussian, a ridge regression of the feature's values on all others,
    fitted on training examples; residuals are those of the held-out examples. Where features are
    not related it is permutation importance. For values ``y = b'x`` it is
    ``2 b_f² Var(x_f | the others)``. One-hot groups move together, and get values between 0 and 1.

    :param repeats: number of shufflings, at least 1.
    :param loss: "auto", or "zero-one", for classes.
    :raises ValueError: when there are fewer, or no such loss.

    Strobl et al. 2008, doi 10.1186/1471-2105-9-307; Hooker et al. 2021, arXiv 1905.03151;
    Watson and Wright 2021, arXiv 1901.09917.

    >>> twice = torch.randn(1000, 1, generator=torch.Generator().manual_seed(0)).repeat(1, 2)
    >>> model = TrainedModel(lambda inputs: inputs[:, :1], *[torch.zeros(2)] * 3, 1,
    ...                      held_out=(twice[:500], twice[:500, 0]), background=twice[500:])
    >>> found = ConditionalPermutation().measure(model, torch.Generator().manual_seed(0)).values
    >>> found.round(2)  # the second column has a copy of the first
    array([0., 0.])
    """

    repeats: int = 5
    loss: str = "auto"

    def __post_init__(self) -> None:
        check_parameters(self)

    def measure(self, model: TrainedModel, generator: torch.Generator) -> Importance:
        """Return the importance of every feature.

        :raises Skipped: when inputs are embedded words, when no examples are held out, when there
            are no training examples to learn from, or when the loss is not for the labels.
        """
        what = "conditional permutation importance"
        if model.kind == "text":
            raise Skipped(f"{what} makes numbers between those of training examples, and no words")
        inputs, labels = held_out_of(model, what)
        if model.background is None or len(model.background) == 0:
            raise Skipped(f"{what} learns what features tell of each other from training examples")
        order = orders_of(len(inputs), self.repeats, generator).to(inputs.device)
        feature = model.feature_of_value(inputs)
        flat = inputs.flatten(1)
        residual = _residuals(flat, model.background.flatten(1), feature).to(flat.dtype)
        rises = increases_of_loss(
            *(model, inputs, labels),
            order=order,
            stand=Stand(residual, flat - residual),
            which=self.loss,
        )
        return rises.importance()


def _residuals(
    inputs: Float[Tensor, "examples values"],
    background: Float[Tensor, "background values"],
    feature: Int[Tensor, "values"],
) -> Float[Tensor, "examples values"]:
    """Return every value less what the values of the other features lead one to expect.

    With ``K = (C + RIDGE)⁻¹`` for the correlation ``C`` of the background, the regression of the
    values ``f`` on all others leaves the residual ``K_ff⁻¹ (K x)_f`` of a standardised ``x``: one
    inverse serves all features.
    """
    train = background.double()
    centre = train.mean(0)
    deviation = (train - centre).square().mean(0).sqrt()
    deviation[deviation == 0] = 1.0
    train = (train - centre) / deviation
    correlation = train.T @ train / len(train)
    # A value that never varies has a row of zeros, and stays unrelated to all others.
    correlation.diagonal().add_(torch.where(correlation.diagonal() == 0, 1.0, RIDGE))
    inverse = torch.linalg.inv(correlation)
    residual: Tensor = (inputs.double() - centre) / deviation @ inverse
    sizes = torch.bincount(feature)
    alone = sizes[feature] == 1
    residual[:, alone] /= inverse.diagonal()[alone]
    for one in torch.nonzero(sizes > 1)[:, 0]:
        own = torch.nonzero(feature == one)[:, 0]
        block = inverse[own[:, None], own]
        residual[:, own] = torch.linalg.solve(block, residual[:, own].T).T
    return residual * deviation
