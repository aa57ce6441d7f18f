"""Train again without each of the features in turn: what leave-one-covariate-out asks for."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from uproar.models.training.batches import WithoutOne
from uproar.protocols.experiment import Experiment

ARMS = 256  # models that are kept at once


def without_each(
    experiment: Experiment, inputs: Shaped[Tensor, "examples *shape"], *, seed: int
) -> Float[Tensor, "arms examples outputs"]:
    """Return what models answer that were trained with all features, and without each of them.

    The feature that a model lacks is the removal's constant in train and in ``inputs``. All models
    have the initial weights and the data order of ``seed``.

    :param experiment: under a removal that fills with one value for all examples.
    :param inputs: (examples, *input_shape), not trained on.
    :returns: (1 + features, examples, outputs), the model with all features first.
    :raises Skipped: when the model cannot be trained.

    >>> from uproar.testing import toy_experiment
    >>> experiment, data = toy_experiment("hooker-toy")
    >>> without_each(experiment, torch.from_numpy(data.validation.inputs[:5]), seed=0).shape
    torch.Size([17, 5, 2])
    """
    asked = replace(
        experiment.train,
        inputs=inputs.to(experiment.train.inputs).view(len(inputs), -1),
        present=None,  # says of training examples what they have
    )
    removed = tuple(range(-1, experiment.train.features))
    outputs = []
    for start in range(0, len(removed), ARMS):
        some = removed[start : start + ARMS]
        fitted = experiment.fit(WithoutOne(experiment.train, some), [seed] * len(some))
        outputs.append(experiment.learner.outputs(fitted, WithoutOne(asked, some)))
    return torch.cat(outputs)
