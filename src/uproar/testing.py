"""Toy settings with known answers, for our own tests and for those of outside plug-ins."""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np
import torch

from uproar.data import load
from uproar.models import MODELS
from uproar.models.training import choose_way
from uproar.protocols.setting import Ranking, Setting, prepare
from uproar.remove.fill import mean
from uproar.seeding import generator_of
from uproar.types import Data, Recipe, find


def toy_setting(
    name: str,
    *,
    seed: int = 0,
    model: str = "linear",
    optimiser: Literal["adam", "sgd", "least-squares"] = "least-squares",
) -> tuple[Setting, Data]:
    """Return a data set under mean removal, ready for any protocol, and the data set itself.

    :param name: a registered data set.
    :param seed: what the data are drawn or split by.
    :param model: a registered model.

    >>> setting, data = toy_setting("hooker-toy")
    >>> setting.train.features, len(data.test)
    (16, 5000)
    """
    data = load(name, seed=seed)
    factory = partial(find(model, MODELS, "model").load(), data)
    way, _ = choose_way(factory, torch.from_numpy(data.train.inputs[:2]))
    setting = prepare(
        data,
        mean(data.train.inputs, feature_axes=len(data.feature_shape)),
        factory=factory,
        recipe=Recipe(optimiser=optimiser),
        way=way,
        device=torch.device("cpu"),
        generator=generator_of("toy", name, seed),
    )
    return setting, data


def known_ranking(data: Data, name: str) -> Ranking:
    """Return a ranking that comes with known-answer data, the same for every example.

    >>> _, data = toy_setting("hooker-toy")
    >>> sorted(known_ranking(data, "true-ranking").test[0][:4].tolist())
    [0, 1, 2, 3]
    """
    order = np.array(dict(data.known_rankings)[name])
    ranks = np.empty(len(order), dtype=np.min_scalar_type(len(order) - 1))
    ranks[order] = np.arange(len(order))
    parts = (
        np.broadcast_to(ranks.reshape(data.feature_shape), (len(part), *data.feature_shape))
        for part in (data.train, data.test)
    )
    return Ranking(*parts)
