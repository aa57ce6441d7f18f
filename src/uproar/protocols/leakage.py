"""The leak control: how much of the label does the shape of the removed mask give away?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from uproar.models.training.batches import SharedInputs
from uproar.protocols.experiment import Experiment, Scores
from uproar.protocols.ranks import Ranking
from uproar.protocols.roar import roar


def mask_only(
    experiment: Experiment, ranking: Ranking, *, fractions: Sequence[float], seeds: Sequence[int]
) -> Scores:
    """Train on the removed mask alone and return what is classified correctly.

    ROAR on inputs that are 1 everywhere and become 0 where removed (for text, a token that is the
    same everywhere and becomes the mask token): all that a model can learn is
    the shape of the mask. Accuracy above the majority-class rate is label information that the
    explainer put into the mask, and that ROAR mistakes for information left in the inputs. The
    masks of KAR at 1 − t hold the same information, so that one control serves both.

    Arguments, result and errors are those of :func:`uproar.protocols.roar.roar`.

    Rong et al. 2022, arXiv 2202.00449 (class information leakage).

    >>> from uproar.testing import toy_experiment, known_ranking
    >>> experiment, data = toy_experiment("hooker-toy")
    >>> ranking = known_ranking(data, "true-ranking")
    >>> correct = mask_only(experiment, ranking, fractions=[0.5], seeds=[0])
    >>> bool(abs(correct.mean() - data.majority_rate) < 0.05)  # one mask for all: nothing leaks
    True
    """
    masks = replace(experiment, train=_ones(experiment.train), test=_ones(experiment.test))
    return roar(masks, ranking, fractions=fractions, seeds=seeds)


def _ones(shared: SharedInputs) -> SharedInputs:
    """Return inputs that are 1 everywhere and become 0 where removed.

    Token ids differ in nothing but whether they are masked; what fills examples up stays.
    """
    inputs, values = shared.inputs, shared.inputs.shape[1]
    if not inputs.is_floating_point():
        assert shared.present is not None, "text says which tokens an example has"
        anything = inputs[shared.present].flatten()[:1]
        return replace(shared, inputs=torch.where(shared.present, anything, inputs))
    ones = torch.ones(1, 1, device=inputs.device).expand_as(inputs)
    zeros = torch.zeros(1, values, device=inputs.device)
    return replace(shared, inputs=ones, fill=zeros, impute=None)
