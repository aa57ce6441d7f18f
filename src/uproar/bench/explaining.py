"""Explain a base model with a family of explainers, and rank what they say."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from uproar.dataset import Data, Split
from uproar.explain.aggregation import transform_of
from uproar.explain.chunks import in_chunks, rows_per_pass
from uproar.explain.family import ExplainerOfDecisions, Explanation, explain_family
from uproar.explain.importance import ExplainerOfFunction, Importance, mean_absolute
from uproar.explain.names import ExplainerName
from uproar.models.trained import TrainedModel
from uproar.ranking import rank
from uproar.seeding import seed_of
from uproar.types import KINDS, Skipped

GALLERY = "gallery/"
FUNCTION = "function/"  # (importance, standard error, p-value) of every feature
BLOCKS = 8  # passes of examples that are explained before they are ranked


@dataclass
class RankedExplanation:
    """What one explainer says of all examples: ranks, pictures for the gallery, and its cost.

    ``passes`` is how many times an example went through the model: a training or test example, or
    of an explanation of the function a held-out one, whose ``function`` is what was measured.
    """

    train: NDArray[np.unsignedinteger]
    test: NDArray[np.unsignedinteger]
    shown: NDArray[np.float32]
    seconds: float = 0.0
    passes: float = 0.0
    function: Importance | None = None

    def digest(self) -> str:
        """Hash of the ranks: equal rankings share everything that depends on them alone."""
        whole = hashlib.sha256(np.ascontiguousarray(self.train).tobytes())
        whole.update(np.ascontiguousarray(self.test).tobytes())
        return whole.hexdigest()[:32]


def explain(
    model: TrainedModel,
    data: Data,
    names: Sequence[ExplainerName],
    *,
    targets: Mapping[str, NDArray[np.int64]],
    explainers: Mapping[str, ExplainerOfDecisions],
    seed: int,
    shown: Sequence[int],
) -> dict[str, RankedExplanation]:
    """Explain train and test with one family and return the rankings by name.

    Importance is ranked block by block and not kept: of large data it takes far more memory than
    the data themselves. An explanation of the function stands for all examples.

    :param targets: the output that is explained, for ``train`` and ``test``.
    :param explainers: those that no registry knows, by name.
    :param shown: test examples whose importance is kept for pictures.
    :raises Skipped: when the explainer is not for this kind of data, or not for the model.
    """
    known = data.known_importance.get(names[0].base)
    if known is not None:
        return {name.name: _known(data, known, shown) for name in names}
    _require_kind(names[0], data)
    base = explainers.get(names[0].base) or names[0].load()
    if names[0].of_function or isinstance(base, ExplainerOfFunction):
        return _of_function(model, data, names, base, seed, shown)
    smallest = np.min_scalar_type(max(data.features - 1, 0))
    sizes = [(len(part), *data.feature_shape) for part in (data.train, data.test)]
    found = {
        name.name: RankedExplanation(
            train=np.empty(sizes[0], smallest),
            test=np.empty(sizes[1], smallest),
            shown=np.zeros((len(shown), *data.feature_shape), np.float32),
        )
        for name in names
    }
    generators = _Generators(seed)
    for part in ("train", "test"):
        split: Split = getattr(data, part)
        for block, one in _explained(model, split, names, base, targets[part], generators):
            rankings = found[one.name.name]
            ranks = rank(_among_present(one.importance, data, split, block))
            (rankings.train if part == "train" else rankings.test)[block] = ranks
            rankings.seconds += one.seconds
            rankings.passes += one.passes * len(ranks) / (len(data.train) + len(data.test))
            if part == "test":
                for position, example in enumerate(shown):
                    if block.start <= example < block.stop:
                        rankings.shown[position] = one.importance[example - block.start]
    return found


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
    shown: Sequence[int],
) -> dict[str, RankedExplanation]:
    """Explain the function, and rank the features of all examples alike."""
    if names[0].averaged:
        measured = _averaged(model, names, base, _Generators(seed))
    else:
        measured = _measured(model, names, base, seed)
    found = {}
    for name, (importance, seconds, passes) in measured.items():
        values = importance.values.reshape(1, *data.feature_shape).astype(np.float32)
        ranks = []
        for split in (data.train, data.test):
            alike = np.broadcast_to(values, (len(split), *data.feature_shape))
            if data.present(split) is None:
                ranks.append(np.broadcast_to(rank(values), alike.shape))
            else:
                ranks.append(rank(_among_present(alike, data, split, slice(0, len(split)))))
        pictures = np.repeat(values, len(shown), axis=0)
        found[name] = RankedExplanation(ranks[0], ranks[1], pictures, seconds, passes, importance)
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


def _among_present(
    importance: NDArray[np.float32], data: Data, split: Split, block: slice
) -> NDArray[np.float32]:
    """Put the features that an example lacks behind all others."""
    part = Split(split.inputs[block], split.labels[block])
    present = data.present(part)
    return importance if present is None else np.where(present, importance, -np.inf)


def _known(
    data: Data, known: tuple[NDArray[np.float32], NDArray[np.float32]], shown: Sequence[int]
) -> RankedExplanation:
    """Rank the known answer of the data."""
    splits = zip((data.train, data.test), known, strict=True)
    ranks = [rank(_among_present(v, data, s, slice(0, len(s)))) for s, v in splits]
    return RankedExplanation(
        ranks[0], ranks[1], np.asarray(known[1][list(shown)], dtype=np.float32)
    )


def gallery_examples(data: Data, count: int) -> list[int]:
    """Return test examples to show: the first of each class, then the second of each, and so on.

    Of values, the examples at equally spaced ranks of the value.
    """
    labels = data.test.labels
    if data.task == "regression":
        order = np.argsort(labels, kind="stable")
        places = np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)
        return [int(example) for example in order[places]]
    turn = np.zeros(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        turn[of_class] = np.arange(len(of_class))
    order = np.lexsort((labels, turn))
    return [int(example) for example in order[:count]]
