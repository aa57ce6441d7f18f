"""Explain a base model with a family of explainers, and rank what they say."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from uproar.bench.consumers import (
    EXPLAINED,
    Consumer,
    Keeper,
    Meter,
    RankedExplanation,
    Ranker,
    ranked,
)
from uproar.dataset import Data, Split
from uproar.explain.aggregation import transform_of
from uproar.explain.chunks import in_chunks, rows_per_pass
from uproar.explain.family import ExplainerOfDecisions, Explanation, explain_family
from uproar.explain.importance import ExplainerOfFunction, Importance, mean_absolute
from uproar.explain.names import ExplainerName
from uproar.models.trained import TrainedModel
from uproar.ranking import ties
from uproar.seeding import seed_of
from uproar.types import KINDS, Skipped

FUNCTION = "function/"  # (importance, standard error, p-value) of every feature
BLOCKS = 8  # passes of examples that are explained before they are ranked


def explain(
    model: TrainedModel,
    data: Data,
    names: Sequence[ExplainerName],
    *,
    targets: Mapping[str, NDArray[np.int64]],
    explainers: Mapping[str, ExplainerOfDecisions],
    seed: int,
    lots: int,
    kept: Sequence[int],
) -> dict[str, RankedExplanation]:
    """Explain train and test with one family and return the rankings by name.

    Consumers take the importance block by block, and what none of them keeps is gone: of large data
    all of it takes far more memory than the data. An explanation of the function stands for all
    examples.

    :param targets: the output that is explained, for ``train`` and ``test``.
    :param explainers: those that no registry knows, by name.
    :param kept: test examples whose importance is kept.
    :raises Skipped: when the explainer is not for this kind of data, or not for the model.
    """
    known = data.known_importance.get(names[0].base)
    if known is not None:
        return {name.name: _ranked(data, known, lots, kept) for name in names}
    _require_kind(names[0], data)
    base = explainers.get(names[0].base) or names[0].load()
    if names[0].of_function or isinstance(base, ExplainerOfFunction):
        return _of_function(model, data, names, base, seed, lots, kept)
    makers = {name.name: (Ranker(data, lots), Keeper(data, kept), Meter(data)) for name in names}
    generators = _Generators(seed)
    for part in EXPLAINED:
        split: Split = getattr(data, part)
        for block, one in _explained(model, split, names, base, targets[part], generators):
            consumers: tuple[Consumer, ...] = makers[one.name.name]
            for consumer in consumers:
                consumer.take(part, block, one)
    return {
        name: RankedExplanation(
            *(ranker.ranks["train"], ranker.ranks["test"], keeper.kept, ranker.ties),
            seconds=meter.seconds,
            passes=meter.passes,
        )
        for name, (ranker, keeper, meter) in makers.items()
    }


def _require_kind(name: ExplainerName, data: Data) -> None:
    entry = name.entry()
    if not entry.fits(data.kind):
        wanted = " or ".join(KINDS[kind].plural for kind in entry.data_kinds)
        raise Skipped(f"{name.base} is for {wanted}, and these data are {KINDS[data.kind].plural}")


def _explained(
    model: TrainedModel,
    split: Split,
    names: Sequence[ExplainerName],
    base: ExplainerOfDecisions,
    targets: NDArray[np.int64],
    generators: _Generators,
) -> Iterator[tuple[slice, Explanation]]:
    """Yield the examples of a block and what each member says of them, block by block."""
    device = model.black.device
    step = _block_size(model, split, device)
    for start in range(0, len(split), step):
        block = slice(start, min(start + step, len(split)))
        inputs = model.seen(torch.from_numpy(split.inputs[block]).to(device))
        # A copy, since what comes from the store is read-only.
        wanted = torch.from_numpy(targets[block].copy()).to(device)
        for one in explain_family(base, names, model, inputs, wanted, generators):
            yield block, one


def _of_function(
    model: TrainedModel,
    data: Data,
    names: Sequence[ExplainerName],
    base: Any,
    seed: int,
    lots: int,
    kept: Sequence[int],
) -> dict[str, RankedExplanation]:
    """Explain the function, and rank the features of all examples alike."""
    if names[0].averaged:
        measured = _averaged(model, names, base, _Generators(seed))
    else:
        measured = _measured(model, names, base, seed)
    found = {}
    for name, (importance, seconds, passes) in measured.items():
        values = importance.values.reshape(1, *data.feature_shape).astype(np.float32)
        train, test = (np.repeat(values, len(part), axis=0) for part in (data.train, data.test))
        found[name] = replace(
            _ranked(data, (train, test), lots, kept),
            seconds=seconds,
            passes=passes,
            function=importance,
        )
    return found


Measured = tuple[Importance, float, float]  # with seconds, and passes for each held-out example


def _averaged(
    model: TrainedModel,
    names: Sequence[ExplainerName],
    base: ExplainerOfDecisions,
    generators: _Generators,
) -> dict[str, Measured]:
    """Return the mean absolute importance that explainers of decisions give held-out examples."""
    if model.held_out is None:
        raise Skipped("an explanation of the function needs held-out examples; there are none")
    inputs, labels = model.held_out
    with torch.no_grad():
        outputs = in_chunks(lambda part, _: model(part), inputs, labels, rows=rows_per_pass(inputs))
    targets = outputs.argmax(1)  # of a regression the only output
    return {
        one.name.name: (mean_absolute(one.importance), one.seconds, one.passes)
        for one in explain_family(base, names, model, inputs, targets, generators)
    }


def _measured(
    model: TrainedModel, names: Sequence[ExplainerName], base: ExplainerOfFunction, seed: int
) -> dict[str, Measured]:
    """Return what an explainer of the function measures, for each way to aggregate it."""
    family = names[0].family
    generator = torch.Generator().manual_seed(seed_of(seed, family))
    begun = time.perf_counter()
    with model.counting() as counted:
        importance = base.measure(model, generator)
    seconds = time.perf_counter() - begun
    examples = 1 if model.held_out is None else max(1, len(model.held_out[1]))
    found = {}
    for name in names:
        own = importance
        if name.aggregation:
            own = importance.aggregated(transform_of(name.aggregation))
        found[name.name] = (own, seconds, counted.examples / examples)
    return found


def _block_size(model: TrainedModel, split: Split, device: torch.device) -> int:
    """Return how many examples are explained at once: whole passes, so that draws stay the same."""
    sample = model.seen(torch.from_numpy(split.inputs[:1]).to(device))
    return rows_per_pass(sample) * BLOCKS


class _Generators:
    """One generator per label, which goes on from block to block."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._known: dict[str, torch.Generator] = {}

    def __call__(self, label: str) -> torch.Generator:
        if label not in self._known:
            self._known[label] = torch.Generator().manual_seed(seed_of(self._seed, label))
        return self._known[label]


def _ranked(
    data: Data,
    importance: tuple[NDArray[np.float32], NDArray[np.float32]],
    lots: int,
    kept: Sequence[int],
) -> RankedExplanation:
    """Rank importance that is there as a whole, for train and for test."""
    train, test = (
        ranked(values, data, part, lots) for part, values in zip(EXPLAINED, importance, strict=True)
    )
    chosen = np.asarray(importance[1][list(kept)], dtype=np.float32)
    return RankedExplanation(train, test, chosen, ties(importance[1], test))
