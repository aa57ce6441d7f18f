"""Explain a base model with a family of explainers, and rank what they say."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uproar.explain.controls import KnownRanking
from uproar.explain.family import Explainer, explain_family
from uproar.explain.names import ExplainerName
from uproar.models.trained import TrainedModel
from uproar.models.training import Factory, initialise
from uproar.ranking import rank
from uproar.run.cell import Outcome
from uproar.seeding import seed_of
from uproar.types import Data

RANKS = "ranks/"
GALLERY = "gallery/"


def as_trained(
    data: Data, factory: Factory, state: Mapping[str, Tensor], device: torch.device
) -> TrainedModel:
    """Return the first model of a stacked state as explainers see it, its parameters frozen."""
    module = initialise(factory, 0).to(device)
    module.load_state_dict({name: value[0] for name, value in state.items()})
    train = torch.from_numpy(data.train.inputs)
    low, high = train.amin(0), train.amax(0)
    if data.value_range is not None:
        low, high = (torch.full(data.input_shape, value) for value in data.value_range)
    return TrainedModel(
        module=module.eval().requires_grad_(False),
        # A table has no black: zero is its training mean, once standardised.
        black=(low if data.value_range else torch.zeros(data.input_shape)).to(device),
        mean=train.mean(0).to(device),
        spread=(high - low).to(device),
        feature_axes=len(data.feature_shape),
    )


def explain(
    model: TrainedModel,
    data: Data,
    names: Sequence[ExplainerName],
    *,
    targets: Mapping[str, NDArray[np.int64]],
    explainers: Mapping[str, Explainer],
    seed: int,
    gallery: int,
) -> Outcome:
    """Explain train and test with one family and return its rankings.

    :param targets: the class that the base model predicts, for ``train`` and ``test``.
    :param explainers: those that no registry knows, by name.
    :param gallery: number of test examples whose importance is kept for pictures.
    :returns: arrays ``ranks/train/NAME``, ``ranks/test/NAME`` and ``gallery/NAME``, values
        ``digests`` by name and ``gallery`` (indices of test examples), seconds by name.
    """
    device = model.black.device
    inputs = np.concatenate([data.train.inputs, data.test.inputs])
    wanted = np.concatenate([targets["train"], targets["test"]])
    shown = gallery_examples(data, gallery)

    def generator_for(label: str) -> torch.Generator:
        return torch.Generator().manual_seed(seed_of(seed, label))

    explained = explain_family(
        _base_explainer(names[0], data, explainers),
        names,
        model,
        torch.from_numpy(inputs).to(device),
        torch.from_numpy(wanted).to(device),
        generator_for,
    )
    arrays: dict[str, NDArray[Any]] = {}
    digests, seconds = {}, {}
    for one in explained:
        name, (train, test) = one.name.name, _ranks(one.importance, len(data.train))
        arrays |= {f"{RANKS}train/{name}": train, f"{RANKS}test/{name}": test}
        arrays[f"{GALLERY}{name}"] = one.importance[len(data.train) :][shown]
        digests[name] = hashlib.sha256(train.tobytes() + test.tobytes()).hexdigest()[:32]
        seconds[name] = one.seconds
    return Outcome({"digests": digests, "gallery": shown}, arrays, seconds)


def _ranks(
    importance: NDArray[np.float32], boundary: int
) -> tuple[NDArray[np.unsignedinteger], NDArray[np.unsignedinteger]]:
    ranks = rank(importance)
    return ranks[:boundary], ranks[boundary:]


def _base_explainer(
    name: ExplainerName, data: Data, explainers: Mapping[str, Explainer]
) -> Explainer:
    """Return what was handed over, a known answer of the data, or what is registered."""
    if name.base in explainers:
        return explainers[name.base]
    known = dict(data.known_rankings)
    if name.base in known:
        return KnownRanking(known[name.base])
    registered: Explainer = name.load()
    return registered


def gallery_examples(data: Data, count: int) -> list[int]:
    """Return test examples to show: the first of each class, then the second of each, and so on."""
    labels = data.test.labels
    turn = np.zeros(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        turn[of_class] = np.arange(len(of_class))
    order = np.lexsort((labels, turn))
    return [int(example) for example in order[:count]]
