"""Data with known answers: the features that are said to matter do, and no others."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from uproar.data import DATA
from uproar.data.known.planted import planted_words
from uproar.data.known.synthetic import hooker_toy, hooker_toy_independent
from uproar.dataset import Data
from uproar.registry import find
from uproar.remove import REMOVALS
from uproar.remove.removal import apply

torch.set_num_threads(1)  # more threads only wait for each other over so little work

PLANTED = [entry.name for entry in DATA if entry.name.startswith("planted")]
FEATURES = {  # planted features of one example
    "planted-table": {3},
    "planted-regression": {3},
    "planted-window": {8},
    "planted-patch": {16},
    "planted-words": {1, 2},
}
REMOVAL = {"planted-words": "mask-token"}
every = pytest.mark.parametrize("name", PLANTED)


def drawn(name: str, seed: int) -> Data:
    data: Data = find(name, DATA, "data").load()(seed=seed)
    return data


@cache
def data_of(name: str) -> Data:
    return drawn(name, 0)


class Largest(nn.Module):
    """The largest value over all axes but examples and channels."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values.flatten(2).amax(2)


class Words(nn.Module):
    """The sum of a vector for each word, and a linear layer."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.vectors, self.layer = nn.Embedding(words, 16, padding_idx=0), nn.Linear(16, 2)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.layer(self.vectors(tokens).sum(1))


def network(data: Data) -> nn.Module:
    torch.manual_seed(0)
    if data.vocabulary:
        return Words(len(data.vocabulary.tokens))
    if data.kind == "table":
        hidden = nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU()
        return nn.Sequential(*hidden, nn.Linear(64, data.outputs))
    if data.kind == "series":
        return nn.Sequential(nn.Conv1d(2, 16, 7), nn.ReLU(), Largest(), nn.Linear(16, 2))
    first, second = nn.Conv2d(1, 8, 3, stride=2), nn.Conv2d(8, 8, 3)
    last = nn.Flatten(), nn.Linear(200, 2)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), *last)


def score(data: Data, train: np.ndarray, test: np.ndarray, epochs: int = 4) -> float:
    """Train a small network in the plainest way, and return its accuracy or R²."""
    module = network(data)
    update = torch.optim.Adam(module.parameters(), 1e-2)
    inputs, labels = torch.from_numpy(train), torch.from_numpy(data.train.labels)
    order = torch.Generator().manual_seed(0)
    for epoch in range(epochs):
        update.param_groups[0]["lr"] = 1e-2 * (1 - epoch / epochs)
        for batch in torch.randperm(len(inputs), generator=order).split(64):
            answers = module(inputs[batch])
            if data.class_names:
                loss = nn.functional.cross_entropy(answers, labels[batch])
            else:
                loss = (answers[:, 0] - labels[batch]).square().mean()
            update.zero_grad()
            loss.backward()
            update.step()
    with torch.no_grad():
        answers = module(torch.from_numpy(test)).numpy()
    if data.class_names:
        return float((answers.argmax(1) == data.test.labels).mean())
    wrong = np.square(answers[:, 0] - data.test.labels).mean()
    return float(1 - wrong / data.test.labels.var())


def without(data: Data, *, planted: bool) -> tuple[np.ndarray, np.ndarray]:
    """Remove the planted features of train and test, or all others."""
    removal = find(REMOVAL.get(data.name, "mean"), REMOVALS, "removal").load()(data)
    results = []
    for split, importance in zip(
        (data.train, data.test), data.known_importance["true-ranking"], strict=True
    ):
        gone = (importance == 1) == planted
        present = data.present(split)
        if present is not None:
            gone &= present
        results.append(apply(removal, data, split.inputs, gone, generator=np.random.default_rng(0)))
    return results[0], results[1]


@pytest.mark.slow
def test_there_is_one_for_every_kind_of_data_and_task() -> None:
    assert set(PLANTED) == set(FEATURES)
    kinds = {(data_of(name).kind, data_of(name).task) for name in PLANTED}
    assert kinds == {
        ("table", "classification"),
        ("table", "regression"),
        ("series", "classification"),
        ("image", "classification"),
        ("text", "classification"),
    }


@pytest.mark.parametrize("entry", DATA, ids=lambda entry: entry.name)
def test_the_registry_tells_the_kind_and_the_rankings_of_data(entry) -> None:
    data = entry.load()(seed=0)
    assert (data.name, data.kind) == (entry.name, entry.kind)
    assert tuple(data.known_importance) == entry.known_answers
    for train, test in data.known_importance.values():
        assert train.shape == (len(data.train), *data.feature_shape)
        assert test.shape == (len(data.test), *data.feature_shape)
        assert train.dtype == test.dtype == np.float32


@every
def test_known_importance_is_one_for_planted_features_and_the_opposite(name: str) -> None:
    data = data_of(name)
    for true, inverted in zip(*data.known_importance.values(), strict=True):
        assert np.array_equal(inverted, -true)
        assert set(np.unique(true)) == {0.0, 1.0}
        assert set(np.unique(true.reshape(len(true), -1).sum(1))) == FEATURES[name]


@pytest.mark.slow
@every
def test_the_seed_makes_the_data(name: str) -> None:
    first, again, other = (drawn(name, seed).digest() for seed in (3, 3, 4))
    assert first == again
    assert first != other


@every
def test_data_are_small_and_of_the_declared_types(name: str) -> None:
    data = data_of(name)
    assert (len(data.train), len(data.validation), len(data.test)) == (2000, 300, 800)
    assert data.train.inputs.dtype == (np.int64 if data.vocabulary else np.float32)
    assert data.train.labels.dtype == (np.int64 if data.class_names else np.float32)
    assert len(np.unique(data.train.inputs, axis=0)) == 2000
    if data.value_range:
        low, high = data.value_range
        assert low <= data.train.inputs.min() < data.train.inputs.max() <= high


@every
def test_where_features_are_planted_is_independent_of_the_label(name: str) -> None:
    data = data_of(name)
    importance = data.known_importance["true-ranking"][0]
    flat = importance.reshape(len(importance), -1).astype(np.float64)
    labels = data.train.labels.astype(np.float64)
    labels = (labels - labels.mean()) / labels.std()
    spread = flat.std(0)
    moves = spread > 1e-3
    correlation = labels @ (flat - flat.mean(0))[:, moves] / len(flat) / spread[moves]
    assert np.abs(correlation).max(initial=0) * np.sqrt(len(flat)) < 4.2  # of some 250 at 1e-2


@pytest.mark.slow
@every
def test_a_small_network_learns_from_planted_features_and_from_nothing_else(name: str) -> None:
    data = data_of(name)
    chance = 0.5 if data.class_names else 0.0
    assert score(data, data.train.inputs, data.test.inputs) > 0.9
    assert score(data, *without(data, planted=False)) > 0.9
    assert score(data, *without(data, planted=True)) < chance + 0.07


def test_labels_of_the_regression_are_standardised_by_train() -> None:
    data = data_of("planted-regression")
    columns = np.flatnonzero(data.known_importance["true-ranking"][0][0])
    assert data.train.labels.mean() == pytest.approx(0, abs=1e-5)
    assert data.train.labels.std() == pytest.approx(1, abs=1e-5)
    assert data.test.labels.std() != 1
    values = data.test.labels * data.label_scale + data.label_centre
    rest = []
    for a, b, c in np.array(np.meshgrid(*[columns] * 3)).reshape(3, -1).T:
        x = data.test.inputs
        rest.append((values - (x[:, a] - x[:, b] + x[:, a] * x[:, c])).std())
    assert min(rest) == pytest.approx(0.1, rel=0.1)


def test_planted_words_are_of_the_class_and_texts_end_in_padding() -> None:
    data = planted_words(seed=1)
    tokens, labels = data.train.inputs, data.train.labels
    planted = data.known_importance["true-ranking"][0] == 1
    words = [set(tokens[planted & (labels == label)[:, None]].tolist()) for label in (0, 1)]
    assert len(words[0]) == len(words[1]) == 5
    assert not words[0] & words[1]
    assert not (words[0] | words[1]) & set(tokens[~planted].tolist())
    present = data.present(data.train)
    lengths = present.sum(1)
    assert (lengths.min(), lengths.max()) == (8, 30)
    assert np.array_equal(present, np.arange(30) < lengths[:, None])
    assert not (planted & ~present).any()
    assert len(set(data.vocabulary.tokens)) == 203
    assert tokens.max() < 203


@pytest.mark.parametrize("load", [hooker_toy, hooker_toy_independent])
def test_the_toy_orders_its_columns_by_their_signal(load) -> None:
    data = load(seed=2)
    true, inverted, shuffled = (train[0] for train, _ in data.known_importance.values())
    assert sorted(true) == sorted(inverted) == sorted(shuffled) == list(range(1, 17))
    assert set(np.argsort(-true)[:4]) == {0, 1, 2, 3}
    assert np.array_equal(inverted, 17 - true)
    for train, test in data.known_importance.values():
        assert (train == train[0]).all()
        assert (test == train[0]).all()
