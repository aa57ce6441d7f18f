"""SAGE: how much each feature adds to what the model knows, averaged over orders of features."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from uproar.explain.checks import check_parameters
from uproar.explain.function.losses import (
    Labels,
    Loss,
    held_out_of,
    loss_for,
    outputs_of,
    rows_for,
)
from uproar.explain.function.shuffles import values_of_features
from uproar.explain.importance import Importance, one_sided
from uproar.models.trained import TrainedModel
from uproar.types import Skipped

ORDERS = 256  # orders of features between two looks at whether the estimate has converged
SAMPLE = 32  # examples that are compared with as many others, for how many values they share
ALL_DIFFER = 0.9  # from this share of changed inputs on, it is not worth to look which they are
FEWEST_DIFFER = 1 / 8  # how far passes are enlarged by what does not have to be asked


@dataclass(frozen=True)
class Sage:
    """How much each feature takes from the loss when it becomes known, averaged over orders.

    ``e_f = E[ v(S + f) - v(S) ]``, where ``S`` are the features before ``f`` in a random order and
    ``v(S) = -E[ L(y, E_b[ m(x with the features not in S from b) ]) ]``: what is not known is drawn
    from training examples ``b``, whose answers (values, or probabilities of classes) are averaged
    before the loss is taken. Importances add up to what the whole model takes from the loss of
    answering without features. Each order is for one held-out example; all examples come once
    before any comes again. For values ``y = b'x`` with covariance ``C`` it is ``b_f (C b)_f``,
    plus a share of the order of 1 / ``background``.

    :param permutations: orders for each held-out example, at most.
    :param background: training examples that are averaged over, at most; what the estimate is too
        large by falls with their number.
    :param threshold: stop when the largest standard error is below this share of the range of the
        importances; 0 for never. Standard errors are here of the estimate for these held-out
        examples, and not, as those that are returned, for new ones.
    :param loss: "auto", or "zero-one", for classes.
    :raises ValueError: when a number is too small, or there is no such loss.

    Covert et al. 2020, arXiv 2004.00668.

    >>> inputs = torch.tensor([[-1.0, 5.0], [1.0, 5.0]]).repeat(50, 1)
    >>> model = TrainedModel(lambda x: x[:, :1], *[torch.zeros(2)] * 3, 1, background=inputs,
    ...                      held_out=(inputs, inputs[:, 0]))
    >>> Sage().measure(model, torch.Generator().manual_seed(0)).values
    array([1., 0.])
    """

    permutations: int = 4
    background: int = 64
    threshold: float = 0.025
    loss: str = "auto"

    def __post_init__(self) -> None:
        check_parameters(self)

    def measure(self, model: TrainedModel, generator: torch.Generator) -> Importance:
        """Return the importance of every feature.

        :raises Skipped: when no examples are held out, when there are no training examples, or
            when the loss is not for the labels.
        """
        inputs, labels = held_out_of(model, "sage")
        if model.background is None or len(model.background) == 0:
            raise Skipped("sage draws what is not known from training examples, and has none")
        with torch.no_grad():
            game = _Game.of(model, inputs, labels, model.background[: self.background], self.loss)
            gains = _Gains.none(len(inputs), game.features, inputs.device)
            for rows, orders in _draws(len(inputs), game.features, self.permutations, generator):
                drawn = rows.to(inputs.device)
                gains.add(drawn, game.gains(drawn, orders.to(inputs.device)))
                if gains.ratio() < self.threshold:
                    break
        return gains.importance()


def _draws(
    examples: int, features: int, permutations: int, generator: torch.Generator
) -> Iterator[tuple[Int[Tensor, "draws"], Int[Tensor, "draws features"]]]:
    """Yield held-out examples and an order of the features for each, ``ORDERS`` at a time."""
    device = generator.device
    for _ in range(permutations):
        order = torch.randperm(examples, generator=generator, device=device)
        for rows in order.split(ORDERS):
            size = (len(rows), features)
            places = torch.rand(size, generator=generator, dtype=torch.float64, device=device)
            yield rows, places.argsort(1)


@dataclass(frozen=True)
class _Game:
    """What the features play for: the model's loss on held-out examples."""

    model: TrainedModel
    loss: Loss
    inputs: Float[Tensor, "examples *shape"]
    labels: Labels
    background: Float[Tensor, "background *shape"]
    full: Float[Tensor, "examples outputs"]  # answers with all features
    empty: Float[Tensor, "background outputs"]  # and with none
    members: Int[Tensor, "features most"]
    differ: float  # share of pairs of examples that a feature differs in

    @classmethod
    def of(
        cls, model: TrainedModel, inputs: Tensor, labels: Tensor, background: Tensor, which: str
    ) -> _Game:
        outputs = outputs_of(model, inputs)
        loss = loss_for(outputs, labels, which)
        full, empty = loss.answers(outputs), loss.answers(outputs_of(model, background))
        members = values_of_features(model.feature_of_value(inputs))
        differ = _differ(inputs[:SAMPLE].flatten(1), background[:SAMPLE].flatten(1), members)
        return cls(model, loss, inputs, labels, background, full, empty, members, differ)

    @property
    def features(self) -> int:
        return len(self.members)

    def gains(
        self, rows: Int[Tensor, "draws"], orders: Int[Tensor, "draws features"]
    ) -> Float[Tensor, "draws features"]:
        """Return what every feature takes from the loss of its example when its turn comes."""
        rows_asked = len(self.background) * max(self.differ, FEWEST_DIFFER)
        at_once = max(1, int(rows_for(self.model, self.inputs) / rows_asked))
        blocks = zip(rows.split(at_once), orders.split(at_once), strict=True)
        losses = torch.cat([self._losses(some, their) for some, their in blocks])
        # (draws, features): the place in the order is the step.
        return torch.zeros_like(losses[:, 1:]).scatter_(1, orders, losses[:, :-1] - losses[:, 1:])

    def _losses(
        self, rows: Int[Tensor, "draws"], orders: Int[Tensor, "draws features"]
    ) -> Float[Tensor, "draws steps"]:
        """Return the loss of each example with none of the features known, one, two, … and all."""
        full, empty = self.full[rows], self.empty.mean(0).expand(len(rows), -1)
        sums = full.new_zeros(self.features - 1, *full.shape)
        size = rows_for(self.model, self.inputs)
        parts = zip(self.background.split(size), self.empty.split(size), strict=True)
        for background, start in parts:
            for step, answers in enumerate(self._answers(rows, orders, background, start)):
                sums[step] += answers.sum(1)
        steps = torch.cat([empty[None], sums / len(self.background), full[None]])
        labels = self.labels[rows].repeat(len(steps))
        return self.loss.of(steps.flatten(0, 1), labels).view(len(steps), len(rows)).T

    def _answers(
        self,
        rows: Int[Tensor, "draws"],
        orders: Int[Tensor, "draws features"],
        background: Float[Tensor, "background *shape"],
        empty: Float[Tensor, "background outputs"],
    ) -> Iterator[Float[Tensor, "draws background outputs"]]:
        """Yield the answers with one feature known, two, … and all but one.

        One array serves all steps: only the values of one feature are written for each, where to
        put every input together anew would take longer than small models need to answer. Where the
        example and the other have these values in common (levels of a category, dark pixels), the
        input is that of the step before, and so is the answer.
        """
        points = background.flatten(1).repeat(len(rows), 1, 1)
        answers = empty.repeat(len(rows), 1, 1)
        places = self.members[orders]  # (draws, steps, most)
        known = self.inputs[rows].flatten(1).gather(1, places.flatten(1)).view_as(places)
        for step in range(self.features - 1):
            columns = places[:, step, None].expand(-1, len(background), -1)
            values = known[:, step, None].expand(-1, len(background), -1)
            changed = None
            if self.differ < ALL_DIFFER:
                changed = (points.gather(2, columns) != values).any(2)
            points.scatter_(2, columns, values)
            if changed is None:
                answers = self._asked(points.flatten(0, 1)).reshape(answers.shape)
            elif bool(changed.any()):
                answers[changed] = self._asked(points[changed])
            yield answers

    def _asked(self, flat: Float[Tensor, "rows values"]) -> Float[Tensor, "rows outputs"]:
        # A copy, since models of others may write to what they are handed.
        return self.loss.answers(self.model(flat.clone().view(-1, *self.inputs.shape[1:])))


def _differ(
    some: Float[Tensor, "examples values"],
    others: Float[Tensor, "others values"],
    members: Int[Tensor, "features most"],
) -> float:
    """Return the share of pairs of examples that a feature differs in, over all features."""
    shares = [(others != one)[:, members].any(2).double().mean() for one in some]
    return float(torch.stack(shares).mean())


@dataclass
class _Gains:
    """Sums of what features gained: over draws for convergence, and by example for errors."""

    by_example: Float[Tensor, "examples features"]
    counts: Int[Tensor, "examples"]
    squares: Float[Tensor, "features"]

    @classmethod
    def none(cls, examples: int, features: int, device: torch.device) -> _Gains:
        sums = torch.zeros(examples, features, dtype=torch.float64, device=device)
        counts = torch.zeros(examples, dtype=torch.int64, device=device)
        return cls(sums, counts, sums.new_zeros(features))

    def add(self, rows: Int[Tensor, "draws"], gains: Float[Tensor, "draws features"]) -> None:
        self.by_example.index_add_(0, rows, gains)
        self.counts.index_add_(0, rows, torch.ones_like(rows))
        self.squares += gains.square().sum(0)

    @property
    def draws(self) -> int:
        return int(self.counts.sum())

    def ratio(self) -> float:
        """Return the largest standard error over draws, as a share of the importances' range."""
        means = self.by_example.sum(0) / self.draws
        errors = ((self.squares / self.draws - means.square()).clamp(min=0) / self.draws).sqrt()
        return float(errors.max() / (means.max() - means.min()).clamp(min=1e-12))

    def importance(self) -> Importance:
        """Return the means over draws, whose errors are by example: each has its mean gain."""
        means = self.by_example.sum(0) / self.draws
        if not bool(means.isfinite().all()):
            raise ValueError(
                "gains must be finite numbers; the model answers with NaN or infinity, to inputs "
                "that are part training example or to those as they are"
            )
        values, examples = means.cpu().numpy(), int((self.counts > 0).sum())
        if examples == 1:
            return Importance.of(values)
        apart = (self.by_example - self.counts[:, None] * means).square().sum(0)
        errors = (apart * examples / (examples - 1)).sqrt().cpu().numpy() / self.draws
        return Importance(values, errors, one_sided(values, np.asarray(errors), examples))
