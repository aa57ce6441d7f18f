"""A base model as explainers see it: what it answers, what its inputs look like, and as what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from uproar.dataset import Data
from uproar.models.embedded import OnEmbeddings
from uproar.models.learner import Predictor
from uproar.models.trained import TrainedModel
from uproar.seeding import generator_of

HELD_OUT = 1000  # validation examples at most that explanations of the function are made from
BACKGROUND = 1000  # training examples at most that explanations compare with
Refits = Callable[[int], Tensor]


@dataclass(frozen=True)
class OnIds:
    """A function of token ids as one of floats; what else is known of it, such as its trees, stays.

    >>> OnIds(lambda ids: ids * 2)(torch.tensor([[1.0, 2.0]])).tolist()
    [[2, 4]]
    """

    predictor: Predictor

    def __call__(self, ids: Tensor) -> Tensor:
        """Return the answers."""
        return self.predictor(ids.round().long())

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "predictor":
            raise AttributeError(name)
        return getattr(self.predictor, name)


def view_of(
    data: Data, predictor: Predictor, device: torch.device, refits: Refits | None = None
) -> TrainedModel:
    """Return a fitted model as explainers see it: text through its embedding.

    :param refits: see :class:`uproar.models.trained.TrainedModel`.
    """
    model = _view_of(data, predictor, device)
    return replace(model, background=model.seen(_background(data, device)), refits=refits)


def _background(data: Data, device: torch.device) -> Tensor:
    """Return training examples in an order of their own, since files are often sorted."""
    generator = generator_of("background", len(data.train))
    chosen = generator.permutation(len(data.train))[:BACKGROUND]
    return torch.from_numpy(data.train.inputs[chosen]).to(device)


def _view_of(data: Data, predictor: Predictor, device: torch.device) -> TrainedModel:
    if data.kind == "text":
        if isinstance(predictor, nn.Module):
            return _embedded(data, predictor, device)
        return _on_ids(data, predictor, device)
    train = torch.from_numpy(data.train.inputs)
    low, high = train.amin(0), train.amax(0)
    if data.value_range is not None:
        low, high = (torch.full(data.input_shape, float(value)) for value in data.value_range)
    return TrainedModel(
        module=predictor,
        # Where there is no black, zero is the training mean, once standardised.
        black=(low if data.value_range else torch.zeros(data.input_shape)).to(device),
        mean=train.mean(0).to(device),
        spread=(high - low).to(device),
        feature_axes=len(data.feature_shape),
        kind=data.kind,
        groups=_groups(data, device),
        feature_shape=data.feature_shape,
        held_out=_held_out(data, device),
    )


def _embedded(data: Data, module: nn.Module, device: torch.device) -> TrainedModel:
    assert data.vocabulary is not None, "text has a vocabulary"
    sample = torch.from_numpy(data.train.inputs[:HELD_OUT]).to(device)
    wrapped = OnEmbeddings(module, sample[:2])
    held_out = _held_out(data, device)
    if held_out is not None:
        held_out = wrapped.embed(held_out[0]), held_out[1]
    return TrainedModel(
        module=wrapped,
        black=wrapped.of_token(data.vocabulary.mask),
        mean=wrapped.mean(sample, without=data.vocabulary.special),
        spread=wrapped.spread(),
        feature_axes=1,
        kind="text",
        feature_shape=data.feature_shape,
        held_out=held_out,
        seen=wrapped.embed,
    )


def _on_ids(data: Data, predictor: Predictor, device: torch.device) -> TrainedModel:
    """Return a function of token ids as explainers see it: ids as floats, to be covered."""
    assert data.vocabulary is not None, "text has a vocabulary"
    mask = torch.full(data.input_shape, float(data.vocabulary.mask), device=device)
    held_out = _held_out(data, device)
    return TrainedModel(
        module=OnIds(predictor),
        black=mask,
        mean=mask,
        spread=torch.zeros_like(mask),  # noise would make other words of ids
        feature_axes=1,
        # Not "text", which has vectors beside its ids.
        kind="table",
        feature_shape=data.feature_shape,
        held_out=None if held_out is None else (held_out[0].float(), held_out[1]),
        seen=torch.Tensor.float,
    )


def _groups(data: Data, device: torch.device) -> Tensor | None:
    groups = data.feature_of_value
    return None if groups is None else torch.from_numpy(groups).to(device)


def _held_out(data: Data, device: torch.device) -> tuple[Tensor, Tensor] | None:
    part = data.validation
    if not len(part):
        return None
    inputs, labels = part.inputs[:HELD_OUT], part.labels[:HELD_OUT]
    return torch.from_numpy(inputs).to(device), torch.from_numpy(labels).to(device)
