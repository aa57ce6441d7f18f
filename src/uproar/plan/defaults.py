"""What is chosen where the user does not: model, recipe, removal and explainers of a data set."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from uproar.data import DATA, DataSet, kind_of
from uproar.explain import DEFAULT_EXPLAINERS
from uproar.models import ESTIMATORS, MODELS, PRETRAINED
from uproar.registry import unknown
from uproar.types import KINDS, Kind, Recipe, Source, UproarError

MOST_ONCE_EPOCHS = 100
# What pre-trained language models are fine-tuned with, Devlin et al. 2019 (arXiv 1810.04805).
FINE_TUNING = {"learning_rate": 2e-5, "epochs": 3, "batch_size": 32}
# Estimators of trees, after the libraries that have few others.
TREES = re.compile(
    r"(xgboost|lightgbm):|sklearn:\w*(Tree|Trees|Forest|GradientBoosting)(Classifier|Regressor)$"
)
LIBRARIES = (*ESTIMATORS, PRETRAINED)
# Explainers of models that have no gradients, after those that ask about every feature.
OF_ESTIMATORS = ("abs-occlusion", "pfi", "input-magnitude", "random")


@dataclass(frozen=True)
class Defaults:
    """What a data set and a model choose where the user does not."""

    model: str = "mlp"
    recipe: Mapping[str, Any] = field(default_factory=dict)
    removals: tuple[str, ...] = ("mean",)
    explainers: tuple[str, ...] = DEFAULT_EXPLAINERS
    known_answers: tuple[str, ...] = ()  # that come with the data, usable as explainers


def defaults(data: str, source: Source, model: str = "") -> Defaults:
    """Return the defaults of a data set, for the model that was asked for if any was.

    >>> defaults("reviews.tsv", Source(kind="text")).removals
    ('mask-token',)
    """
    # Objects of a Python program are looked at by the program.
    kind = "table" if data.startswith("python:") else kind_of(data, source)
    registered = [entry for entry in DATA if entry.name == data]
    own = registered[0] if registered else DataSet(data, "", path="", kind=kind)
    name = model or own.model or KINDS[kind].model
    return Defaults(
        model=name,
        recipe={**dict(own.recipe), **_recipe(name)},
        removals=(KINDS[kind].removal,),
        explainers=explainers_of(kind, name),
        known_answers=own.known_answers,
    )


def explainers_of(kind: Kind, model: str, *, gradients: bool = True) -> tuple[str, ...]:
    """Return the explainers that make sense for a kind of data and a model.

    >>> explainers_of("table", "sklearn:RandomForestClassifier")[:3]
    ('tree-shap', 'abs-tree-shap', 'occlusion')
    """
    # What asks the model about every feature is cheap where there are few of them.
    asked = ("occlusion", "lime") if kind == "table" else ("occlusion",)
    if model.partition(":")[0] in ESTIMATORS or not gradients:
        trees = ("tree-shap", "abs-tree-shap") if TREES.match(model) else ()
        return (*trees, *asked, *OF_ESTIMATORS)
    if kind == "image":
        return DEFAULT_EXPLAINERS
    return (*(name for name in DEFAULT_EXPLAINERS if name != "sobel"), *asked)


def once_epochs(recipe: Mapping[str, Any]) -> int:
    """Return how many epochs the models of retrain-once train by default.

    They learn to cope with every fraction at once, which takes some 7 times as long; those of
    long recipes cope within a hundred epochs.

    >>> once_epochs({}), once_epochs({"epochs": 3}), once_epochs({"epochs": 90})
    (100, 20, 100)
    """
    epochs = recipe.get("epochs", Recipe().epochs)
    return max(1, min(MOST_ONCE_EPOCHS, round(epochs * 20 / 3))) if isinstance(epochs, int) else 1


def _recipe(model: str) -> dict[str, Any]:
    if model.startswith(f"{PRETRAINED}:"):
        return FINE_TUNING
    for entry in MODELS:
        if entry.name == model:
            return dict(entry.recipe)
    return {}


def check_model_name(name: str) -> None:
    """Refuse a model that is neither registered nor the name of something to import.

    :raises UproarError: with the close names.

    >>> check_model_name("sklearn:Ridge")
    >>> check_model_name("resnet")
    Traceback (most recent call last):
    uproar.types.UproarError: unknown model 'resnet': did you mean ...
    """
    place, colon, thing = name.partition(":")
    if colon and thing and (place in {*LIBRARIES, "python"} or _is_dotted(place)):
        return
    names = [entry.name for entry in MODELS]
    if name not in names:
        imported = (*(f"{place}:NAME" for place in LIBRARIES), "package.module:object")
        listed = ", ".join([*names, *imported])
        raise UproarError(unknown(name, names, "model", listed=listed))


def _is_dotted(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))
