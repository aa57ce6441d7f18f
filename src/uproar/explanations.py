"""Explain a base model with a family of explainers, and rank what they say."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from uproar.dataset import Data, Split
from uproar.explain.family import Explainer, explain_family
from uproar.explain.names import ExplainerName
from uproar.explain.passes import rows_per_pass
from uproar.explained import Explained
from uproar.ranking import rank
from uproar.seeding import seed_of

GALLERY = "gallery/"
BLOCKS = 8  # passes of examples that are explained before they are ranked


@dataclass
class Rankings:
    """What one explainer says of all examples: ranks, pictures for the gallery, seconds."""

    train: NDArray[np.unsignedinteger]
    test: NDArray[np.unsignedinteger]
    shown: NDArray[np.float32]
    seconds: float = 0.0

    def digest(self) -> str:
        """Hash of the ranks: equal rankings share everything that depends on them alone."""
        whole = hashlib.sha256(np.ascontiguousarray(self.train).tobytes())
        whole.update(np.ascontiguousarray(self.test).tobytes())
        return whole.hexdigest()[:32]


def explain(
    explained: Explained,
    data: Data,
    names: Sequence[ExplainerName],
    *,
    targets: Mapping[str, NDArray[np.int64]],
    explainers: Mapping[str, Explainer],
    seed: int,
    shown: Sequence[int],
) -> dict[str, Rankings]:
    """Explain train and test with one family and return the rankings by name.

    Importance is ranked block by block and not kept: of large data it takes far more memory than
    the data themselves.

    :param targets: the output that is explained, for ``train`` and ``test``.
    :param explainers: those that no registry knows, by name.
    :param shown: test examples whose importance is kept for pictures.
    """
    known = data.known_importance.get(names[0].base)
    if known is not None:
        return {name.name: _known(data, known, shown) for name in names}
    smallest = np.min_scalar_type(max(data.features - 1, 0))
    sizes = [(len(part), *data.feature_shape) for part in (data.train, data.test)]
    found = {
        name.name: Rankings(
            train=np.empty(sizes[0], smallest),
            test=np.empty(sizes[1], smallest),
            shown=np.zeros((len(shown), *data.feature_shape), np.float32),
        )
        for name in names
    }
    generators = _Generators(seed)
    for part in ("train", "test"):
        if _is_of_function(names, explainers):
            generators = _Generators(seed)  # the same draws: the same explanation of both
        blocks = _importance(explained, data, names, part, targets, explainers, generators)
        for block, name, importance, seconds in blocks:
            rankings = found[name]
            ranks = rank(_among_present(importance, data, getattr(data, part), block))
            (rankings.train if part == "train" else rankings.test)[block] = ranks
            rankings.seconds += seconds
            if part == "test":
                for position, example in enumerate(shown):
                    if block.start <= example < block.stop:
                        rankings.shown[position] = importance[example - block.start]
    return found


def _importance(
    explained: Explained,
    data: Data,
    names: Sequence[ExplainerName],
    part: str,
    targets: Mapping[str, NDArray[np.int64]],
    explainers: Mapping[str, Explainer],
    generators: _Generators,
) -> Iterator[tuple[slice, str, NDArray[np.float32], float]]:
    """Yield (examples, name, importance, seconds), block by block."""
    split: Split = getattr(data, part)
    device = explained.model.black.device
    base = explainers.get(names[0].base) or names[0].load()
    # One explanation of the whole function stands for all examples.
    of_function = _is_of_function(names, explainers)
    step = _block_size(explained, split, device)
    for start in range(0, len(split), step):
        block = slice(start, min(start + step, len(split)))
        size = 1 if of_function else block.stop - start
        if of_function and start:
            continue
        inputs = explained.seen(torch.from_numpy(split.inputs[start : start + size]).to(device))
        # A copy, since what comes from the store is read-only.
        wanted = torch.from_numpy(targets[part][start : start + size].copy()).to(device)
        for one in explain_family(base, names, explained.model, inputs, wanted, generators):
            importance, where = one.importance, block
            if of_function:
                where = slice(0, len(split))
                importance = np.broadcast_to(importance, (len(split), *importance.shape[1:]))
            yield where, one.name.name, importance, one.seconds


def _is_of_function(names: Sequence[ExplainerName], explainers: Mapping[str, Explainer]) -> bool:
    """Say whether the family explains the function as a whole, and no example by itself."""
    return names[0].base not in explainers and names[0].entry().scope == "global"


def _block_size(explained: Explained, split: Split, device: torch.device) -> int:
    """Return how many examples are explained at once: whole passes, so that draws stay the same."""
    sample = explained.seen(torch.from_numpy(split.inputs[:1]).to(device))
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
) -> Rankings:
    """Rank the known answer of the data."""
    splits = zip((data.train, data.test), known, strict=True)
    ranks = [rank(_among_present(v, data, s, slice(0, len(s)))) for s, v in splits]
    return Rankings(ranks[0], ranks[1], np.asarray(known[1][list(shown)], dtype=np.float32))


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
