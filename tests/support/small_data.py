"""Small data sets and settings of every layout, for the tests of models and protocols."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from types import ModuleType

import numpy as np
import torch
from torch import nn

from uproar.dataset import Data, Split
from uproar.models.architectures import small as architectures
from uproar.models.training.batches import RemovedByRank, SharedInputs
from uproar.models.training.ways import TorchLearner
from uproar.protocols.experiment import Experiment, prepare
from uproar.protocols.ranks import Ranking
from uproar.ranking import rank
from uproar.remove import fill
from uproar.types import Recipe

torch.set_num_threads(1)  # more threads only wait for each other over so little work

LAYOUTS = {"table": (6,), "grey": (1, 4, 3), "colour": (3, 4, 3)}
FEATURES = {"table": (6,), "grey": (4, 3), "colour": (4, 3)}
CLASSES = 3


def small(layout: str, *, train: int = 70, test: int = 40, seed: int = 0) -> Data:
    """Draw three classes that differ in their centres, plus noise: easy, but not too easy."""
    generator = np.random.default_rng(seed)
    centres = generator.standard_normal((CLASSES, *LAYOUTS[layout]))

    def split(size: int) -> Split:
        labels = np.arange(size) % CLASSES
        noise = generator.standard_normal((size, *LAYOUTS[layout]))
        return Split((centres[labels] + 0.7 * noise).astype(np.float32), labels.astype(np.int64))

    return Data(
        name=f"small-{layout}",
        kind="table" if layout == "table" else "image",
        train=split(train),
        validation=split(12),
        test=split(test),
        feature_shape=FEATURES[layout],
        class_names=("a", "b", "c"),
    )


def importances(data: Data, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw importance for train and test, with ties."""
    generator = np.random.default_rng(seed)
    shapes = [(len(part), *data.feature_shape) for part in (data.train, data.test)]
    train, test = (generator.integers(-3, 4, shape).astype(np.float32) for shape in shapes)
    return train, test


def ranking(data: Data, seed: int = 0) -> Ranking:
    return Ranking.of(*(rank(values) for values in importances(data, seed)))


def experiment(
    data: Data,
    *,
    model: str = "mlp",
    recipe: Recipe | None = None,
    training: str = "dense",
    removal: str = "mean",
) -> Experiment:
    return prepare(
        data,
        getattr(fill, removal)(data),
        learner=TorchLearner(factory(model, data), training),
        recipe=recipe or Recipe(epochs=2),
        device=torch.device("cpu"),
        generator=np.random.default_rng(5),
    )


def factory(model: str, data: Data) -> Callable[[], nn.Module]:
    return partial(getattr(architectures, model), data)


def ranked(data: Data, counts: tuple[int, ...], *, fill_each: bool = False) -> RemovedByRank:
    """Batches of the training inputs, filled with one value, or with noise of each example."""
    values = len(data.train), math.prod(data.input_shape)
    fill = torch.full((1, values[1]), 0.25)
    if fill_each:
        fill = torch.randn(values, generator=torch.Generator().manual_seed(9))
    ranks = ranking(data).train.values.reshape(len(data.train), -1)
    inputs = torch.from_numpy(data.train.inputs.reshape(values))
    shared = SharedInputs(inputs, fill, data.features, data.input_shape)
    return RemovedByRank(shared, torch.from_numpy(ranks), counts)


def public(module: ModuleType) -> set[str]:
    """Names that are defined in the module itself and do not begin with an underscore."""
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
    }


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.LSTM(1, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.head(self.cell(inputs[..., None])[0][:, -1])


class Branching(nn.Module):
    """Looks at values in Python, which vmap cannot."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.head(inputs if inputs.sum() > -1e9 else -inputs)
