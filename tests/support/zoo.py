"""Every kind of data with every kind of model, tiny, as explainers see them, made once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from torch import Tensor, nn
from xgboost import XGBClassifier, XGBRegressor

from uproar.dataset import Data, Split, Vocabulary
from uproar.models.architectures.transformer import Transformer
from uproar.models.estimators.learner import EstimatorPredictor
from uproar.models.frozen import FunctionPredictor
from uproar.models.trained import TrainedModel
from uproar.models.view import view_of
from uproar.types import Kind

torch.set_num_threads(1)  # more threads only wait for each other over so little work

CPU = torch.device("cpu")
EXAMPLES = {"train": 60, "validation": 30, "test": 4}
CLASSES = 3
TOKENS, LENGTH, PAD = 12, 7, 0


@dataclass(frozen=True)
class Layout:
    """What inputs of a kind of data look like."""

    kind: Kind
    input_shape: tuple[int, ...]
    feature_shape: tuple[int, ...]
    groups: tuple[int, ...] = ()


PATCHES = tuple(3 * (row // 2) + column // 2 for row in range(6) for column in range(6))
LAYOUTS = {
    "grey": Layout("image", (1, 6, 5), (6, 5)),
    "colour": Layout("image", (3, 5, 6), (5, 6)),
    "no channels": Layout("image", (5, 6), (5, 6)),
    "patches": Layout("image", (1, 6, 6), (3, 3), PATCHES),
    "table": Layout("table", (6,), (6,)),
    "one-hot": Layout("table", (6,), (4,), (0, 1, 2, 2, 2, 3)),
    "series": Layout("series", (2, 9), (9,)),
    "channel steps": Layout("series", (2, 5), (2, 5)),
    "text": Layout("text", (LENGTH,), (LENGTH,)),
}
ESTIMATORS: dict[str, tuple[Any, Any]] = {  # for classes, and for values
    "linear": (LogisticRegression(), Ridge()),
    "forest": (
        RandomForestClassifier(4, max_depth=3, random_state=0),
        RandomForestRegressor(4, max_depth=3, random_state=0),
    ),
    "xgboost": (
        XGBClassifier(n_estimators=4, max_depth=3, n_jobs=1),
        XGBRegressor(n_estimators=4, max_depth=3, n_jobs=1),
    ),
    "lightgbm": (
        LGBMClassifier(n_estimators=4, min_child_samples=5, n_jobs=1, verbosity=-1),
        LGBMRegressor(n_estimators=4, min_child_samples=5, n_jobs=1, verbosity=-1),
    ),
}
MODULES = ("dense", "convolutions", "transformer")
TREES = ("forest", "xgboost", "lightgbm")
MODELS = (*MODULES, *ESTIMATORS, "function")


@dataclass(frozen=True)
class Case:
    """A kind of data with a kind of model."""

    data: str
    model: str
    regression: bool = False

    def __str__(self) -> str:
        return f"{self.data}, {self.model}{', regression' * self.regression}"

    @property
    def kinds(self) -> set[Kind]:
        """The kind of the data, and what explainers take it for: without vectors, text is ids."""
        ids = self.data == "text" and self.model not in MODULES
        return {LAYOUTS[self.data].kind, *(["table"] if ids else [])}


CASES = (
    *(Case("grey", model) for model in ("dense", "convolutions", "forest", "function")),
    *(Case("colour", model) for model in ("convolutions", "xgboost")),
    *(Case("no channels", model) for model in ("dense", "function")),
    *(Case("patches", model) for model in ("convolutions", "lightgbm")),
    *(Case("table", model) for model in ("dense", *ESTIMATORS, "function")),
    *(Case("one-hot", model) for model in ("dense", "forest", "xgboost")),
    *(Case("series", model) for model in ("convolutions", "dense", "function")),
    Case("channel steps", "convolutions"),
    *(Case("text", model) for model in ("transformer", "forest", "function")),
    *(Case("table", model, True) for model in ("dense", *ESTIMATORS, "function")),
    Case("grey", "convolutions", True),
    Case("text", "transformer", True),
)


@dataclass(frozen=True)
class Made:
    """A trained model as explainers see it, and a few inputs to explain."""

    model: TrainedModel
    inputs: Tensor
    targets: Tensor


@cache
def made(case: Case) -> Made:
    """Return the model of a case, trained as little as its kind allows."""
    data = data_of(case)
    return _made(data, _predictor(case, data))


def made_without(case: Case, feature: int) -> Made:
    """Return a module or an estimator that does not look at one of the features.

    Nothing leads from it into the dense module, others blind it out where values come in; to the
    estimator it was a constant.
    """
    data = data_of(case)
    groups = data.feature_of_value
    values = np.arange(data.features) if groups is None else groups
    if case.model == "dense":
        predictor = _predictor(case, data)
        predictor[1].weight[:, torch.from_numpy(values == feature)] = 0
        return _made(data, predictor)
    ignored = np.resize(values == feature, data.input_shape)
    if case.model == "convolutions":
        return _made(data, nn.Sequential(Blind(ignored), *_predictor(case, data)))
    if case.model == "transformer":
        predictor = _predictor(case, data)
        predictor.dropout = Blind(ignored[:, None])  # behind the embedding
        return _made(data, predictor)
    train, held_out = (
        Split(np.where(ignored, np.float32(0), part.inputs), part.labels)
        for part in (data.train, data.validation)
    )
    data = replace(data, train=train, validation=held_out)
    return _made(data, _predictor(case, data))


class Blind(nn.Module):
    """Zeros in place of some values."""

    def __init__(self, ignored: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("kept", torch.from_numpy(~ignored).float())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.kept


def _made(data: Data, predictor: Any) -> Made:
    explained = view_of(data, predictor, CPU, refits=_refits(data))
    inputs = explained.seen(torch.from_numpy(data.test.inputs))
    return Made(explained, inputs, targets_of(explained, inputs))


def targets_of(model: TrainedModel, inputs: Tensor) -> Tensor:
    """Return what is explained: classes in turn, or the only output."""
    with torch.no_grad():
        outputs = model(inputs).shape[1]
    return torch.arange(len(inputs)) % outputs


@cache
def data_of(case: Case) -> Data:
    """Draw inputs of the layout, and labels that depend on them."""
    layout, generator = LAYOUTS[case.data], np.random.default_rng(0)
    splits = [_split(case, layout, size, generator) for size in EXAMPLES.values()]
    text = layout.kind == "text"
    return Data(
        *(str(case), layout.kind, *splits, layout.feature_shape),
        class_names=() if case.regression else tuple("abc"),
        feature_of_value=np.array(layout.groups) if layout.groups else None,
        value_range=(0.0, 1.0) if layout.kind == "image" else None,
        vocabulary=Vocabulary(tuple("pumdefghijkl"), pad=PAD) if text else None,
    )


def _split(case: Case, layout: Layout, size: int, generator: np.random.Generator) -> Split:
    shape = (size, *layout.input_shape)
    inputs: Any
    if layout.kind == "text":
        inputs = generator.integers(3, TOKENS, shape)
        lengths = generator.integers(3, LENGTH + 1, size)
        inputs[np.arange(LENGTH) >= lengths[:, None]] = PAD
    elif layout.kind == "image":
        inputs = generator.uniform(size=shape).astype(np.float32)
    else:
        inputs = generator.standard_normal(shape).astype(np.float32)
    if case.data == "one-hot":
        inputs[:, 2:5] = np.eye(3)[generator.integers(3, size=size)]
    flat = inputs.reshape(size, -1).astype(np.float64)
    values = flat @ np.cos(np.arange(flat.shape[1])) + flat[:, 0] * flat[:, 1]
    values = ((values - values.mean()) / values.std()).astype(np.float32)
    if case.regression:
        return Split(inputs, values)
    ranks = values.argsort().argsort()
    return Split(inputs, (ranks * CLASSES // size).astype(np.int64))


def _predictor(case: Case, data: Data) -> Any:
    if case.model in MODULES:
        return module_of(case.model, data)
    if case.model == "function":
        return FunctionPredictor(_function(data), data.outputs)
    estimator = ESTIMATORS[case.model][case.regression]
    inputs = data.train.inputs.reshape(len(data.train), -1)
    fitted = type(estimator)(**estimator.get_params()).fit(inputs, data.train.labels)
    classes = () if case.regression else tuple(range(CLASSES))
    return EstimatorPredictor(fitted, classes, len(classes))


def module_of(name: str, data: Data) -> nn.Module:
    """Return a module with random weights of a size at which all of it matters."""
    torch.manual_seed(0)
    if name == "transformer":
        module: nn.Module = Transformer(tokens=TOKENS, length=LENGTH, outputs=data.outputs, pad=PAD)
    elif name == "dense":
        module = nn.Sequential(
            *(nn.Flatten(), nn.Linear(math.prod(data.input_shape), 8), nn.ReLU()),
            nn.Linear(8, data.outputs),
        )
    else:
        convolution = nn.Conv2d if data.kind == "image" else nn.Conv1d
        channels, *sides = data.input_shape
        module = nn.Sequential(
            *(convolution(channels, 4, 3, padding=1), nn.ReLU(), nn.Flatten()),
            nn.Linear(4 * math.prod(sides), data.outputs),
        )
    return module.eval().requires_grad_(requires_grad=False)


def _function(data: Data) -> Callable[[Any], Any]:
    values = math.prod(data.input_shape)
    weights = np.random.default_rng(1).standard_normal((values, data.outputs)) / values**0.5

    def predict(inputs: Any) -> Any:
        return np.tanh(inputs.reshape(len(inputs), -1) @ weights)

    return predict


def _refits(data: Data) -> Callable[[int], Tensor]:
    """Return what stands for training anew without each feature: noisy scores of the labels."""
    labels = torch.from_numpy(data.validation.labels)
    truth = nn.functional.one_hot(labels, CLASSES) if data.class_names else labels[:, None]

    def refits(seed: int) -> Tensor:
        shape = (1 + data.features, *truth.shape)
        generator = torch.Generator().manual_seed(seed)
        return truth + torch.rand(shape, generator=generator)

    return refits
