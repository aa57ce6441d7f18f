"""Batches made on the fly are what removing before training would have made."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support import oracles
from tests.support.small_data import importances, ranked, small
from uproar.models.training.batches import Batches, RandomlyRemoved, RemovedByRank
from uproar.protocols.experiment import arms
from uproar.protocols.ranks import Ranks
from uproar.ranking import rank

LAYOUTS = ["table", "grey", "colour"]
FRACTIONS = (0.0, 0.25, 0.5, 1.0)


def everything(batches: Batches, arm: int = 0) -> torch.Tensor:
    index = torch.arange(len(batches.shared))[None]
    return batches.batch(slice(arm, arm + 1), index, ())[0]


@pytest.mark.parametrize("fill_each", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_batches_equal_the_loop_over_examples_and_features(layout: str, fill_each: bool) -> None:
    data = small(layout)
    importance, _ = importances(data)
    counts = tuple(len(oracles.top([0.0] * data.features, f)) for f in FRACTIONS)
    batches = ranked(data, counts, fill_each=fill_each)
    fill = batches.shared.fill.numpy().reshape(-1, *data.input_shape)
    index = torch.tensor([[3, 1, 69, 3], [0, 0, 5, 6], [7, 8, 9, 1], [2, 4, 6, 8]])
    made = batches.batch(slice(0, 4), index, ())
    for arm, fraction in enumerate(FRACTIONS):
        expected = oracles.degraded(data.train.inputs, importance, fill, fraction=fraction)
        assert torch.equal(everything(batches, arm), torch.tensor(expected).flatten(1))
        assert torch.equal(made[arm], torch.tensor(expected).flatten(1)[index[arm]])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_keeping_is_removing_from_the_other_end(layout: str) -> None:
    data = small(layout)
    train, _ = importances(data)
    batches = ranked(data, ())
    mirrored = arms(batches.shared, Ranks(rank(train)), [0.25], keep=True)
    fill = batches.shared.fill.numpy().reshape(-1, *data.input_shape)
    expected = oracles.degraded(data.train.inputs, train, fill, fraction=0.25, keep=True)
    assert torch.equal(everything(mirrored), torch.tensor(expected).flatten(1))


def test_a_block_of_arms_gets_its_own_counts() -> None:
    batches = ranked(small("grey"), (0, 3, 6, 12))
    index = torch.arange(5).expand(2, 5)
    block = batches.batch(slice(1, 3), index, ())
    for position, arm in enumerate((1, 2)):
        assert torch.equal(block[position], everything(batches, arm)[:5])


@pytest.mark.parametrize("features", [256, 257, 300])
def test_more_features_than_8_bits_hold(features: int) -> None:
    generator = np.random.default_rng(0)
    importance = generator.standard_normal((4, features))
    inputs = generator.standard_normal((4, features)).astype(np.float32)
    batches = ranked(small("table"), ())
    shared = type(batches.shared)(
        torch.from_numpy(inputs), torch.zeros(1, features), features, (features,)
    )
    made = everything(arms(shared, Ranks(rank(importance)), [0.9]))
    expected = oracles.degraded(inputs, importance, np.zeros((1, features)), fraction=0.9)
    assert torch.equal(made, torch.tensor(expected))


def test_the_shared_inputs_are_not_changed() -> None:
    batches = ranked(small("colour"), (6,))
    before = batches.shared.inputs.clone()
    everything(batches).zero_()
    assert torch.equal(batches.shared.inputs, before)


def random_batches(layout: str = "grey") -> RandomlyRemoved:
    shared = ranked(small(layout), ()).shared
    marked = type(shared)(
        torch.ones_like(shared.inputs),
        torch.zeros_like(shared.fill),
        shared.features,
        shared.input_shape,
    )
    return RandomlyRemoved(marked, 2)


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def test_random_removal_takes_a_uniform_share_of_every_example() -> None:
    batches = random_batches()
    index = torch.zeros(2, 4000, dtype=torch.long)
    share = 1 - batches.batch(slice(0, 2), index, generators(0, 1)).mean(2)
    # A uniform share has mean 1/2 and variance 1/12; 12 features add E[u (1 - u)] / 12.
    assert share.mean() == pytest.approx(0.5, abs=0.02)
    assert share.var() == pytest.approx(1 / 12 + 1 / 6 / 12, abs=0.006)
    per_feature = 1 - batches.batch(slice(0, 2), index, generators(2, 3)).mean((0, 1))
    assert per_feature.numpy() == pytest.approx(0.5, abs=0.03)
    # All numbers of removed features, 0 to 12, are equally likely.
    counts = torch.bincount((share * 12).round().long().flatten(), minlength=13) / share.numel()
    assert counts.numpy() == pytest.approx(1 / 13, abs=0.015)


def test_random_removal_is_new_in_every_batch_and_fixed_by_the_generator() -> None:
    batches = random_batches()
    index = torch.arange(8).expand(2, 8)
    running = generators(0, 0)
    first = batches.batch(slice(0, 2), index, running)
    second = batches.batch(slice(0, 2), index, running)
    assert torch.equal(first, batches.batch(slice(0, 2), index, generators(0, 0)))
    assert not torch.equal(first, second)
    assert torch.equal(first[0], first[1])  # equal seeds, equal draws
    other = batches.batch(slice(0, 2), index, generators(0, 1))
    assert torch.equal(other[0], first[0])
    assert not torch.equal(other[1], first[1])
    assert len(torch.unique(first[0], dim=0)) > 4  # examples differ


def test_random_removal_takes_all_channels_of_a_pixel() -> None:
    batches = random_batches("colour")
    made = batches.batch(slice(0, 2), torch.arange(8).expand(2, 8), generators(0, 1))
    channels = made.view(2, 8, 3, 12)
    assert torch.equal(channels[:, :, :1].expand_as(channels), channels)


def test_both_kinds_of_batches_fulfil_the_protocol() -> None:
    assert isinstance(random_batches(), Batches)
    assert isinstance(ranked(small("grey"), (1,)), Batches)
    assert isinstance(ranked(small("grey"), (1, 2)), RemovedByRank)
    assert ranked(small("grey"), (1, 2)).arms == 2
