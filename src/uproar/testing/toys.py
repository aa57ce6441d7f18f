"""Toy settings with known answers, for our own tests and for those of outside plug-ins."""

from __future__ import annotations

import math
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from uproar.data import load
from uproar.dataset import Data
from uproar.models import MODELS
from uproar.models.randomness import seeded
from uproar.models.trained import TrainedModel
from uproar.models.training.ways import TorchLearner, choose_training
from uproar.protocols.experiment import Experiment, prepare
from uproar.protocols.ranks import Ranking
from uproar.ranking import rank
from uproar.registry import find
from uproar.remove.fill import mean
from uproar.seeding import generator_of
from uproar.types import Kind, Recipe

# One example's shape, and how many of its axes are features.
LAYOUTS: dict[str, tuple[tuple[int, ...], int]] = {
    "table": ((7,), 1),
    "grey": ((1, 6, 5), 2),
    "colour": ((3, 6, 5), 2),
    "series": ((2, 9), 1),
}


def toy_model(layout: str, *, examples: int = 4) -> tuple[TrainedModel, Tensor, Tensor]:
    """Return a small random ReLU network, inputs of a layout for it, and targets.

    :param layout: a key of :data:`LAYOUTS`.

    >>> model, inputs, targets = toy_model("colour")
    >>> tuple(inputs.shape), tuple(model(inputs).shape)
    ((4, 3, 6, 5), (4, 3))
    """
    (shape, axes), generator = LAYOUTS[layout], torch.Generator().manual_seed(0)
    values = math.prod(shape)
    with seeded(0, torch.device("cpu")), torch.no_grad():
        module = nn.Sequential(nn.Flatten(), nn.Linear(values, 8), nn.ReLU(), nn.Linear(8, 3))
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / 2)
    inputs = torch.rand(examples, *shape, generator=generator)
    others = torch.rand(12, *shape, generator=generator)
    labels = torch.arange(len(others)) % 3
    kinds: dict[str, Kind] = {"table": "table", "series": "series"}
    features = math.prod(shape[len(shape) - axes :])

    def refits(seed: int) -> Tensor:
        """Return noisy scores of the labels in place of models that were trained anew."""
        drawn = torch.Generator().manual_seed(seed)
        return nn.functional.one_hot(labels, 3) + torch.rand(1 + features, 12, 3, generator=drawn)

    model = TrainedModel(
        module=module.eval().requires_grad_(False),
        black=torch.zeros(shape),
        mean=inputs.mean(0),
        spread=torch.ones(shape),
        feature_axes=axes,
        kind=kinds.get(layout, "image"),
        held_out=(others, labels),
        background=others.flip(0),
        refits=refits,
    )
    return model, inputs, torch.arange(examples) % 3


def toy_experiment(
    name: str,
    *,
    seed: int = 0,
    model: str = "linear",
    optimiser: Literal["adam", "sgd", "least-squares"] = "least-squares",
) -> tuple[Experiment, Data]:
    """Return a data set under mean removal, ready for any protocol, and the data set itself.

    :param name: a registered data set.
    :param seed: what the data are drawn or split by.
    :param model: a registered model.

    >>> experiment, data = toy_experiment("hooker-toy")
    >>> experiment.train.features, len(data.test)
    (16, 5000)
    """
    data = load(name, seed=seed)
    factory = partial(find(model, MODELS, "model").load(), data)
    sample = torch.from_numpy(data.train.inputs[:2]), torch.from_numpy(data.train.labels[:2])
    training, _ = choose_training(factory, *sample)
    experiment = prepare(
        data,
        mean(data),
        learner=TorchLearner(factory, training),
        recipe=Recipe(optimiser=optimiser),
        device=torch.device("cpu"),
        generator=generator_of("toy", name, seed),
    )
    return experiment, data


def known_ranking(data: Data, name: str) -> Ranking:
    """Return a ranking that comes with known-answer data.

    >>> _, data = toy_experiment("hooker-toy")
    >>> sorted(known_ranking(data, "true-ranking").test.values[0][:4].tolist())
    [0, 1, 2, 3]
    """
    train, test = data.known_importance[name]
    return Ranking.of(rank(train), rank(test))
