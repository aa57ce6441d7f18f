"""Leave one covariate out: how much worse models answer that were trained without a feature."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from uproar.explain.checks import check_parameters
from uproar.explain.function.losses import held_out_of, loss_for
from uproar.explain.importance import Importance
from uproar.models.trained import TrainedModel
from uproar.types import Skipped

SEEDS = 2**31


@dataclass(frozen=True)
class LeaveOneOut:
    """How much larger the loss of a model is that was trained without the feature.

    ``e_f = (1/n) sum_i (1/R) sum_r [ L(y_i, m_r without f (x_i)) - L(y_i, m_r(x_i)) ]``, over the
    ``n`` held-out examples. ``m_r`` is trained anew with all features, and once without each of
    them: the feature is a constant in training and held-out inputs. All trainings of a refit have
    the same seed, so that they differ in the feature alone. It is about what can be learned
    without the feature, and not about the model that was given: a feature whose information is in
    others too is worth nothing. For values ``y = b'x`` it is ``b_f² Var(x_f | the others)``.

    :param refits: trainings of every model, at least 1.
    :param loss: "auto", or "zero-one", for classes.
    :raises ValueError: when there are fewer, or no such loss.

    Lei et al. 2018, arXiv 1604.04173.

    >>> inputs = torch.tensor([[-1.0, 5.0], [1.0, 5.0]]).repeat(50, 1)
    >>> def refits(seed):  # of least squares on y = x: with all features, and without each
    ...     return torch.stack([inputs[:, :1], 0 * inputs[:, :1], inputs[:, :1]])
    >>> model = TrainedModel(lambda x: x[:, :1], *[torch.zeros(2)] * 3, 1,
    ...                      held_out=(inputs, inputs[:, 0]), refits=refits)
    >>> LeaveOneOut().measure(model, torch.Generator()).values
    array([1., 0.])
    """

    refits: int = 3
    loss: str = "auto"

    def __post_init__(self) -> None:
        check_parameters(self)

    def measure(self, model: TrainedModel, generator: torch.Generator) -> Importance:
        """Return the importance of every feature.

        :raises Skipped: when no examples are held out, when the model cannot be trained, or when
            the loss is not for the labels.
        """
        _, labels = held_out_of(model, "loco")
        if model.refits is None:
            raise Skipped("loco trains the model again, and this one cannot be trained")
        drawn = torch.randint(SEEDS, (self.refits,), generator=generator, device=generator.device)
        rises = []
        for seed in drawn.tolist():
            outputs = model.refits(seed).to(labels.device)
            arms, examples, _ = outputs.shape
            loss = loss_for(outputs.flatten(0, 1), labels, self.loss)
            losses = loss(outputs.flatten(0, 1), labels.repeat(arms)).view(arms, examples)
            rises.append(losses[1:] - losses[0])
        return Importance.of_differences(torch.stack(rises).mean(0).cpu().numpy())
