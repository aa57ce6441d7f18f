"""The loss of single examples: the one yardstick of all explanations of the function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from uproar.explain.chunks import in_chunks, rows_per_pass
from uproar.explain.function import LOSS
from uproar.models.trained import TrainedModel
from uproar.types import Skipped

Form = Literal["value", "probabilities", "logits"]
Labels = Int[Tensor, "examples"] | Float[Tensor, "examples"]

TOLERANCE = 1e-4  # of a sum of probabilities in single precision
FEW_CLASSES = 32
CALLABLE_PASSES = 8  # estimators check their inputs and start threads in every call
LEAST_PROBABILITY = 1e-7  # what a class that was ruled out counts as: a loss of 16.1


@dataclass(frozen=True)
class Loss:
    """The loss of every example, and what outputs have to be turned into for it.

    ``(y - f(x))²`` of values; of classes the cross-entropy ``-log max(p_y, 1e-7)``, where ``p`` are
    the outputs themselves if they are probabilities, else their softmax. A network and its
    probabilities therefore have the same loss. With ``zero_one`` it is 1 for the examples whose
    largest output is not that of their class.

    >>> loss = Loss("probabilities")
    >>> loss(torch.tensor([[0.25, 0.75], [1.0, 0.0]]), torch.tensor([1, 1]))
    tensor([ 0.2877, 16.1181], dtype=torch.float64)
    """

    form: Form
    zero_one: bool = False

    def answers(self, outputs: Float[Tensor, "rows outputs"]) -> Float[Tensor, "rows outputs"]:
        """Return what can be averaged: values, or probabilities of the classes."""
        if self.form != "logits":
            return outputs
        if outputs.shape[1] > FEW_CLASSES:
            return torch.softmax(outputs, 1)
        # Over the first axis it runs vectorised: 6 times as fast on a CPU, for few classes.
        return torch.softmax(outputs.T, 0).T

    def of(self, answers: Float[Tensor, "examples outputs"], labels: Labels) -> Tensor:
        """Return the loss of every example (examples,), float64, from its :meth:`answers`."""
        if self.form == "value":
            return (answers[:, 0].double() - labels).square()
        if self.zero_one:
            return (answers.argmax(1) != labels).double()
        chosen = answers.gather(1, labels[:, None])[:, 0].double()
        return -chosen.clamp(min=LEAST_PROBABILITY).log()

    def __call__(self, outputs: Float[Tensor, "examples outputs"], labels: Labels) -> Tensor:
        """Return the loss of every example (examples,), float64."""
        return self.of(self.answers(outputs), labels)


def loss_for(outputs: Float[Tensor, "rows outputs"], labels: Labels, which: str = "auto") -> Loss:
    """Return the loss for labels and for the form that outputs come in.

    Outputs of classes are probabilities when none is negative and every row adds up to 1, within
    1e-4; all others are logits, scores of a decision function among them.

    :param outputs: of the whole model on examples, which the form is read from.
    :param labels: int64 classes, or floating values, which make it a regression.
    :param which: "auto", or "zero-one", for classes.
    :raises ValueError: when ``which`` is neither.
    :raises Skipped: when labels are values and ``which`` is for classes.

    >>> loss_for(torch.tensor([[0.2, 0.8], [0.5, 0.5]]), torch.tensor([0, 1])).form
    'probabilities'
    """
    LOSS.check(which)
    if labels.is_floating_point():
        if which == "zero-one":
            raise Skipped("the zero-one loss is for classes, and the labels are values; use 'auto'")
        return Loss("value")
    sums_to_one = (outputs.double().sum(1) - 1).abs() <= TOLERANCE
    probabilities = bool((outputs >= 0).all()) and bool(sums_to_one.all())
    return Loss("probabilities" if probabilities else "logits", which == "zero-one")


def held_out_of(model: TrainedModel, what: str) -> tuple[Tensor, Tensor]:
    """Return the held-out inputs and labels; ``what`` needs them.

    :raises Skipped: when there are none.
    """
    if model.held_out is None or len(model.held_out[1]) == 0:
        raise Skipped(f"{what} needs held-out examples, and there are none")
    return model.held_out


def rows_for(model: TrainedModel, inputs: Float[Tensor, "examples *shape"]) -> int:
    """Return how many inputs one pass takes: more where each call of the model costs something."""
    return rows_per_pass(inputs) * (1 if isinstance(model.module, nn.Module) else CALLABLE_PASSES)


def outputs_of(model: TrainedModel, inputs: Float[Tensor, "examples *shape"]) -> Tensor:
    """Return the outputs for all inputs, in passes of bounded memory."""
    # Copies, since models of others may write to what they are handed.
    rows = rows_for(model, inputs)
    return in_chunks(lambda part, _: model(part.clone()), inputs, inputs, rows=rows)
