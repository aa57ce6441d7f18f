"""Removal of examples' own features, of groups of values, and of token ids."""

from __future__ import annotations

import pickle
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from hypothesis import given, strategies
from hypothesis.extra.numpy import arrays

from uproar.models.training.batches import RandomlyRemoved, RemovedByRank, SharedInputs
from uproar.protocols.experiment import arms
from uproar.protocols.ranks import Ranks
from uproar.ranking import count, rank

PAD, MASK = 0, 2
IDS = np.array([[5, 6, 7, 8], [9, 4, PAD, PAD], [3, PAD, PAD, PAD]])
PRESENT = IDS != PAD
LENGTHS = PRESENT.sum(1)
# The second token of the first text and the first of the others are the most important.
IMPORTANCE = np.array([[1.0, 9.0, 3.0, 2.0], [5.0, 4.0, 9.0, 9.0], [-1.0, 0.0, 0.0, 0.0]])


def texts() -> SharedInputs:
    return SharedInputs(
        torch.from_numpy(IDS),
        torch.full((1, 4), MASK),
        4,
        (4,),
        present=torch.from_numpy(PRESENT),
    )


def ranks() -> Ranks:
    return Ranks(rank(np.where(PRESENT, IMPORTANCE, -np.inf)), LENGTHS)


def everything(batches: RemovedByRank, arm: int = 0) -> list[list[int]]:
    index = torch.arange(len(batches.shared))[None]
    return batches.batch(slice(arm, arm + 1), index, ())[0].int().tolist()


def test_a_fraction_of_a_text_is_one_of_its_own_tokens() -> None:
    batches = arms(texts(), ranks(), [0.0, 0.5, 1.0])
    assert everything(batches, 0) == IDS.tolist()
    assert everything(batches, 1) == [[5, 2, 2, 8], [2, 4, 0, 0], [2, 0, 0, 0]]  # half up
    assert everything(batches, 2) == [[2, 2, 2, 2], [2, 2, 0, 0], [2, 0, 0, 0]]


def test_keeping_a_fraction_of_a_text_masks_the_rest_of_its_tokens() -> None:
    batches = arms(texts(), ranks(), [0.0, 0.5, 1.0], keep=True)
    assert everything(batches, 0) == [[2, 2, 2, 2], [2, 2, 0, 0], [2, 0, 0, 0]]
    assert everything(batches, 1) == [[2, 6, 7, 2], [9, 2, 0, 0], [3, 0, 0, 0]]
    assert everything(batches, 2) == IDS.tolist()


def test_random_removal_leaves_the_padding() -> None:
    batches = RandomlyRemoved(texts(), 1)
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        made = batches.batch(slice(0, 1), torch.arange(3)[None], (generator,))[0]
        assert (made[~torch.from_numpy(PRESENT)] == PAD).all()
        assert set(made[1, :2].tolist()) <= {9, 4, MASK}


@pytest.mark.slow
@given(
    lengths=arrays(np.int64, 6, elements=strategies.integers(1, 8)),
    fraction=strategies.floats(0, 1),
    seed=strategies.integers(0, 99),
)
def test_every_example_loses_exactly_its_own_count(
    lengths: np.ndarray, fraction: float, seed: int
) -> None:
    present = np.arange(8) < lengths[:, None]
    importance = np.random.default_rng(seed).standard_normal((6, 8))
    own = Ranks(rank(np.where(present, importance, -np.inf)), lengths)
    shared = SharedInputs(torch.ones(6, 8), torch.zeros(1, 8), 8, (8,))
    for keep in (False, True):
        (batch,) = arms(shared, own, [fraction], keep=keep).batch(
            slice(0, 1), torch.arange(6)[None], ()
        )
        wanted = [count(fraction, int(length)) for length in lengths]
        gone = [length - n if keep else n for length, n in zip(lengths, wanted, strict=True)]
        assert (batch == 0).sum(1).tolist() == gone
        assert (batch[torch.from_numpy(~present)] == 1).all()


def test_reversing_twice_changes_nothing() -> None:
    again = ranks().reversed().reversed()
    assert (again.values == ranks().values).all()


def test_all_values_of_a_group_go_together() -> None:
    # Feature 0 is the values 0 and 3, feature 1 is value 1, feature 2 the others.
    groups = torch.tensor([0, 1, 2, 0, 2])
    shared = SharedInputs(torch.ones(1, 5), torch.zeros(1, 5), 3, (5,), groups=groups)
    order = Ranks(np.array([[1, 2, 0]], dtype=np.uint8))
    assert everything(arms(shared, order, [1 / 3])) == [[1, 1, 0, 1, 0]]
    assert everything(arms(shared, order, [2 / 3])) == [[0, 1, 0, 0, 0]]


def test_what_is_imputed_sees_what_is_kept_and_its_own_material() -> None:
    def impute(inputs: torch.Tensor, kept: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        assert inputs.shape == kept.shape == (2, 2, 3)
        means = (inputs * kept).sum((1, 2), keepdim=True)
        return torch.where(kept > 0, inputs, means + values)

    inputs = torch.arange(12.0).view(2, 6)
    shared = SharedInputs(inputs, torch.tensor([[0.5] * 6, [100.0] * 6]), 3, (2, 3), impute)
    order = Ranks(np.array([[0, 1, 2], [2, 1, 0]], dtype=np.uint8))
    made = arms(shared, order, [1 / 3]).batch(slice(0, 1), torch.tensor([[0, 1]]), ())[0]
    assert made[0].tolist() == [12.5, 1, 2, 12.5, 4, 5]  # 1 + 2 + 4 + 5 and a half
    assert made[1].tolist() == [6, 7, 132, 9, 10, 132]  # 6 + 7 + 9 + 10 and a hundred


@pytest.mark.parametrize("features", [200, 300, 40_000])
def test_ranks_go_to_torch_in_few_bytes(features: int) -> None:
    order = Ranks(rank(np.random.default_rng(0).random((3, features))))
    shared = SharedInputs(torch.ones(3, features), torch.zeros(1, features), features, (features,))
    batches = arms(shared, order, [0.25])
    assert batches.ranks.element_size() == {200: 1, 300: 2, 40_000: 4}[features]
    assert (torch.tensor(everything(batches)) == 0).sum(1).tolist() == [features // 4] * 3


def test_batches_travel_as_the_same_arrays_each_time() -> None:
    batches = arms(texts(), ranks(), [0.5])
    first, second = (batches.__reduce__()[1][1] for _ in range(2))
    assert first[1].array is second[1].array
    assert isinstance(first[1].array, np.ndarray)
    again = pickle.loads(pickle.dumps(batches))
    assert everything(again) == everything(batches)


def test_a_row_that_stands_for_all_travels_once() -> None:
    ones = torch.ones(1, 1).expand(1000, 500)
    shared = SharedInputs(ones, torch.zeros(1, 500), 500, (500,))
    raw = pickle.dumps(shared)
    assert len(raw) < 10_000
    assert torch.equal(pickle.loads(raw).inputs, ones)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux tells what is mapped")
def test_large_batches_are_mapped_not_copied_into_processes() -> None:
    shared = SharedInputs(torch.ones(500, 1000), torch.zeros(1, 1000), 1000, (1000,))
    batches = RandomlyRemoved(shared, 2)
    found = joblib.Parallel(n_jobs=2, mmap_mode="c")(
        joblib.delayed(mapped_files)(batches) for _ in range(2)
    )
    assert [len(files) for files in found] == [1, 1]
    assert found[0] == found[1]


def mapped_files(batches: RandomlyRemoved) -> set[str]:
    """Return the files of joblib that this process has mapped."""
    assert batches.shared.inputs.sum() == 500_000
    lines = Path("/proc/self/maps").read_text().splitlines()
    return {line.split()[-1] for line in lines if "joblib_memmapping" in line}
