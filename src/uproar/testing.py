"""Toy settings with known answers, for our own tests and for those of outside plug-ins."""

from __future__ import annotations

import math
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from uproar.data import load
from uproar.dataset import Data
from uproar.explain.family import Explainer
from uproar.explain.importance import ExplainerOfFunction
from uproar.models import MODELS
from uproar.models.trained import TrainedModel
from uproar.models.training import TorchLearner, choose_way
from uproar.protocols.setting import Ranking, Setting, prepare
from uproar.ranking import rank
from uproar.remove.fill import mean
from uproar.seeding import generator_of
from uproar.types import Recipe, find

# One example's shape, and how many of its axes are features.
LAYOUTS = {"table": ((7,), 1), "grey": ((1, 6, 5), 2), "colour": ((3, 6, 5), 2)}


def toy_model(layout: str, *, examples: int = 4) -> tuple[TrainedModel, Tensor, Tensor]:
    """Return a small random ReLU network, inputs of a layout for it, and targets.

    :param layout: a key of :data:`LAYOUTS`.

    >>> model, inputs, targets = toy_model("colour")
    >>> tuple(inputs.shape), tuple(model(inputs).shape)
    ((4, 3, 6, 5), (4, 3))
    """
    (shape, axes), generator = LAYOUTS[layout], torch.Generator().manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), 8), nn.ReLU(), nn.Linear(8, 3))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / 2)
    inputs = torch.rand(examples, *shape, generator=generator)
    others = torch.rand(12, *shape, generator=generator)
    model = TrainedModel(
        module=module.eval().requires_grad_(False),
        black=torch.zeros(shape),
        mean=inputs.mean(0),
        spread=torch.ones(shape),
        feature_axes=axes,
        kind="table" if layout == "table" else "image",
        held_out=(others, torch.arange(len(others)) % 3),
        background=others.flip(0),
    )
    return model, inputs, torch.arange(examples) % 3


def check_explainer(explainer: Explainer | ExplainerOfFunction, layout: str) -> None:
    """Check that an explainer keeps its contract on a layout of inputs.

    The attribution is a finite tensor of the inputs' shape, also for a single example; inputs are
    not changed; and the same generator gives the same values.

    :param explainer: ``(model, inputs, targets, generator) -> attribution``, or of the function.
    :param layout: a key of :data:`LAYOUTS`.
    :raises AssertionError: with what was broken.

    >>> check_explainer(lambda model, inputs, targets, generator: inputs * 2, "grey")
    >>> check_explainer(lambda model, inputs, targets, generator: inputs.sum(1), "grey")
    Traceback (most recent call last):
    AssertionError: the attribution must have the shape of the inputs, (4, 1, 6, 5), got (4, 6, 5)
    """
    for examples in (4, 1):
        model, inputs, targets = toy_model(layout, examples=examples)
        before = inputs.clone()
        first, again = (_attribution(explainer, model, inputs, targets) for _ in range(2))
        _require(isinstance(first, Tensor), f"expected a torch.Tensor, got {type(first).__name__}")
        _require(
            first.shape == inputs.shape,
            f"the attribution must have the shape of the inputs, {tuple(inputs.shape)}, "
            f"got {tuple(first.shape)}",
        )
        _require(bool(torch.isfinite(first).all()), "the attribution has NaN or infinity")
        _require(torch.equal(inputs, before), "the explainer has changed its inputs")
        _require(torch.equal(first, again), "the same generator must give the same attribution")


def _attribution(
    explainer: Explainer | ExplainerOfFunction, model: TrainedModel, inputs: Tensor, targets: Tensor
) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    if isinstance(explainer, ExplainerOfFunction):
        return explainer.measure(model, generator).like(model, inputs)
    return explainer(model, inputs, targets, generator)


def _require(condition: bool, message: str) -> None:
    # Not the statement, which python -O leaves out.
    if not condition:
        raise AssertionError(message)


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
    sample = torch.from_numpy(data.train.inputs[:2]), torch.from_numpy(data.train.labels[:2])
    way, _ = choose_way(factory, *sample)
    setting = prepare(
        data,
        mean(data),
        learner=TorchLearner(factory, way),
        recipe=Recipe(optimiser=optimiser),
        device=torch.device("cpu"),
        generator=generator_of("toy", name, seed),
    )
    return setting, data


def known_ranking(data: Data, name: str) -> Ranking:
    """Return a ranking that comes with known-answer data.

    >>> _, data = toy_setting("hooker-toy")
    >>> sorted(known_ranking(data, "true-ranking").test.values[0][:4].tolist())
    [0, 1, 2, 3]
    """
    train, test = data.known_importance[name]
    return Ranking.of(rank(train), rank(test))
