"""Relevance propagation by Captum; GradientSHAP and sampled Shapley values as Captum defines them.

The last two have draws that all examples share, and passes of bounded memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from uproar.explain.checks import check_parameters
from uproar.explain.chunks import in_chunks, rows_per_pass, sum_along
from uproar.explain.coalitions import (
    MASK_ENTRIES,
    examples_at_once,
    explained_outputs,
    mixed_outputs,
)
from uproar.explain.packages.calls import background_of
from uproar.explain.packages.captum_support import as_baseline, once_each
from uproar.explain.packages.relevance import with_rules
from uproar.models.trained import TrainedModel

MOST_REFERENCES = 1000  # training examples that may be drawn


@dataclass(frozen=True)
class GradientShap:
    """Gradients at random places between training examples and noisy inputs, times the way.

    ``e = (1/R) sum_r (x + n_r - b_r) * df/dx(b_r + a_r (x + n_r - b_r))``, with training examples
    ``b_r``, ``a_r`` uniform on [0, 1) and normal noise ``n_r``; the draws are the same for all
    examples. Without noise these are expected gradients, and in expectation add up to
    ``f(x) - E f(b)``.

    :param references: number of draws ``R``, at least 1.
    :param smoothing: standard deviation of the noise as a share of the range of an input.
    :raises ValueError: when a parameter is out of its range.

    Lundberg and Lee 2017, arXiv 1705.07874.

    >>> from torch import nn
    >>> module = nn.Linear(2, 1, bias=False).requires_grad_(False)
    >>> _ = module.weight.copy_(torch.tensor([[2.0, -3.0]]))
    >>> background = torch.tensor([[1.0, 2.0]])
    >>> model = TrainedModel(module, *[torch.zeros(2)] * 3, 1, background=background)
    >>> explainer, targets = GradientShap(smoothing=0.0), torch.tensor([0])
    >>> explainer(model, torch.tensor([[4.0, 5.0]]), targets, torch.Generator().manual_seed(0))
    tensor([[ 6., -9.]])
    """

    references: int = 20
    smoothing: float = 0.1

    def __post_init__(self) -> None:
        check_parameters(self)

    def __call__(
        self,
        model: TrainedModel,
        inputs: Float[Tensor, "examples *shape"],
        targets: Int[Tensor, "examples"],
        generator: torch.Generator,
    ) -> Float[Tensor, "examples *shape"]:
        """Return the attribution of the shape of ``inputs``, signed.

        :raises Skipped: without gradients, or training examples to compare with.
        """
        background, device = background_of(model, MOST_REFERENCES), generator.device

        def noisy_way(start: Tensor) -> Tensor:
            noise = torch.randn(inputs.shape[1:], generator=generator, device=device)
            return inputs + self.smoothing * model.spread * noise.to(inputs) - start

        def path(steps: slice) -> tuple[Tensor, Tensor]:
            points, ways = list[Tensor](), list[Tensor]()
            for _ in range(steps.start, steps.stop):
                chosen = torch.randint(len(background), (), generator=generator, device=device)
                share = torch.rand((), generator=generator, device=device).to(inputs)
                start = as_baseline(model, background[int(chosen)], inputs)
                ways.append(noisy_way(start))
                points.append(start + share * ways[-1])
            return torch.stack(points), torch.stack(ways)

        total = sum_along(path, self.references, model, inputs, targets)
        return total / self.references


def layerwise_relevance(
    model: TrainedModel,
    inputs: Float[Tensor, "examples *shape"],
    targets: Int[Tensor, "examples"],
    generator: torch.Generator,
) -> Float[Tensor, "examples *shape"]:
    """Return the explained output, passed back to the inputs layer by layer.

    ``R_j = sum_k z_jk / (sum_j z_jk + b_k) R_k`` with ``z_jk = x_j w_jk``, from the layer above
    with relevance ``R_k`` to the one below, with ``1e-9`` of the sum's sign added to it (the
    epsilon rule). Non-linearities pass relevance on. What goes to biases ``b`` is lost; without
    them, the relevance of an input adds up to the output.

    :param inputs: (examples, *input_shape).
    :param targets: (examples,), the class explained.
    :returns: attribution of the shape of ``inputs``, signed.
    :raises Skipped: when the model has no gradients, has layers without a rule, computes outside
        of layers, or uses a layer twice.

    Bach et al. 2015, doi 10.1371/journal.pone.0130140.

    >>> from torch import nn
    >>> module = nn.Linear(2, 1, bias=False).requires_grad_(False)
    >>> _ = module.weight.copy_(torch.tensor([[2.0, -3.0]]))
    >>> model = TrainedModel(module, *[torch.zeros(2)] * 3, 1)
    >>> targets = torch.tensor([0])
    >>> layerwise_relevance(model, torch.tensor([[4.0, 5.0]]), targets, torch.Generator()).round()
    tensor([[  8., -15.]])
    """
    from captum.attr import LRP

    with_rules(model, inputs[:1])  # refuses before anything is computed

    def relevance(part: Tensor, wanted: Tensor) -> Tensor:
        method = LRP(with_rules(model, None))
        return once_each("LRP", method, part, wanted)

    return in_chunks(relevance, inputs, targets, rows=rows_per_pass(inputs))


@dataclass(frozen=True)
class ShapleySampling:
    """Shapley values of the features, from random orders in which they replace the baseline's.

    ``e_f = (1/P) sum_p f(x with the features up to f from the input, the rest from the baseline) -
    f(the same without f)``, over ``P`` orders ``p``, which are the same for all examples.
    The importance of an example's features adds up to ``f(x) - f(x0)``.

    :param permutations: number of orders, at least 1.
    :param baseline: "black" or "mean" (those of the model), or "zero"; black is the mask token of
        text.
    :raises ValueError: when a parameter is out of its range.

    Castro et al. 2009, doi 10.1016/j.cor.2008.04.004.

    >>> def product(inputs):
    ...     return inputs.prod(1, keepdim=True)
    >>> model = TrainedModel(product, torch.ones(2), torch.zeros(2), torch.ones(2), 1)
    >>> explainer, seeded = ShapleySampling(permutations=100), torch.Generator().manual_seed(0)
    >>> values = explainer(model, torch.tensor([[3.0, 5.0]]), torch.tensor([0]), seeded)
    >>> values.sum().item(), [5 < value < 9 for value in values[0].tolist()]  # exactly 6 and 8
    (14.0, [True, True])
    """

    permutations: int = 25
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
        """Return the attribution of the shape of ``inputs``, signed, a feature's values alike."""
        features = int(model.feature_of_value(inputs).max()) + 1
        orders = torch.stack(
            [
                torch.randperm(features, generator=generator, device=generator.device)
                for _ in range(self.permutations)
            ]
        ).to(inputs.device)

        def importance(part: Tensor, wanted: Tensor) -> Tensor:
            return self._importance(model, part, wanted, orders)

        with torch.no_grad():
            rows = examples_at_once(model, inputs, self.permutations * features)
            values = in_chunks(importance, inputs, targets, rows=rows)
        return model.spread_over_values(values, inputs)

    def _importance(
        self,
        model: TrainedModel,
        inputs: Float[Tensor, "examples *shape"],
        targets: Int[Tensor, "examples"],
        orders: Int[Tensor, "orders features"],
    ) -> Float[Tensor, "examples features"]:
        """Return the mean gain of every feature."""
        places, (count, features) = orders.argsort(1), orders.shape
        absent, feature = model.baseline(inputs, self.baseline), model.feature_of_value(inputs)
        nobody = explained_outputs(model, absent, targets)
        found = []
        steps = torch.arange(count * features, device=inputs.device)
        for some in steps.split(max(1, MASK_ENTRIES // features)):
            kept = places[some // features] <= (some % features)[:, None]  # (steps, features)
            found.append(
                mixed_outputs(
                    model, inputs, targets, absent=absent, kept=kept, player_of_value=feature
                )
            )
        answers = torch.cat(found, 1).view(len(inputs), count, features)
        before = nobody[:, None, None].expand(-1, count, 1)
        gains = torch.cat([before, answers], 2).diff(dim=2)  # features as they come
        total = torch.zeros_like(gains[:, 0])
        return total.index_add_(1, orders.flatten(), gains.flatten(1)) / count
