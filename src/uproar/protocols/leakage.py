"""The leak control: how much of the label does the shape of the removed mask give away?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool

from uproar.models.batches import SharedInputs
from uproar.protocols.roar import roar
from uproar.protocols.setting import Ranking, Setting


def mask_only(
    setting: Setting, ranking: Ranking, *, fractions: Sequence[float], seeds: Sequence[int]
) -> Bool[np.ndarray, "fractions repeats examples"]:
    """Train on the removed mask alone and return what is classified correctly.

    ROAR on inputs that are 1 everywhere and become 0 where removed: all that a model can learn is
    the shape of the mask. Accuracy above the majority-class rate is label information that the
    explainer put into the mask, and that ROAR mistakes for information left in the inputs. The
    masks of KAR at 1 − t hold the same information, so that one control serves both.

    Arguments, result and errors are those of :func:`uproar.protocols.roar.roar`.

    Rong et al. 2022, arXiv 2202.00449 (class information leakage).

    >>> from uproar.testing import toy_setting, known_ranking
    >>> setting, data = toy_setting("hooker-toy")
    >>> ranking = known_ranking(data, "true-ranking")
    >>> correct = mask_only(setting, ranking, fractions=[0.5], seeds=[0])
    >>> bool(abs(correct.mean() - data.majority_rate) < 0.05)  # one mask for all: nothing leaks
    True
    """
    masks = replace(setting, train=_ones(setting.train), test=_ones(setting.test))
    return roar(masks, ranking, fractions=fractions, seeds=seeds)


def _ones(shared: SharedInputs) -> SharedInputs:
    ones = torch.ones(1, 1, device=shared.inputs.device).expand_as(shared.inputs)
    fill = torch.zeros(1, shared.inputs.shape[1], device=shared.inputs.device)
    return replace(shared, inputs=ones, fill=fill)
