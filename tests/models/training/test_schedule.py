"""Learning rates, batches, decay and losses, with the numbers of the paper typed in."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.support import training_oracles
from uproar.models.training.loss import mean_loss
from uproar.models.training.optimisers import module_optimiser, without_decay
from uproar.models.training.schedule import (
    batch_indices,
    batch_sizes,
    learning_rate,
    prediction_batches,
    smallest_batch,
    steps_of,
)
from uproar.types import Recipe

STEPS = Recipe(learning_rate=0.7, schedule="steps")


def test_the_steps_of_the_paper() -> None:
    share = {0: 0, 1: 0.2, 4: 0.8, 5: 1, 29: 1, 30: 0.1, 59: 0.1, 60: 0.01, 79: 0.01, 80: 0.001}
    for epoch, value in share.items():  # one step for each of 90 epochs
        assert learning_rate(STEPS, epoch, 90) == pytest.approx(0.7 * value)
    # By step within an epoch, and in proportion for fewer epochs.
    assert learning_rate(STEPS, 5, 900) == pytest.approx(0.7 * 0.1)
    assert [round(learning_rate(STEPS, s, 9), 6) for s in range(9)] == [
        *(0, 0.7, 0.7, 0.07, 0.07, 0.07, 0.007, 0.007, 0.0007)
    ]


@pytest.mark.parametrize("schedule", ["constant", "cosine", "steps"])
def test_rates_are_those_of_the_formula(schedule: str) -> None:
    recipe = Recipe(learning_rate=0.3, schedule=schedule)
    for steps in (1, 7, 90, 100):
        for step in range(steps):
            expected = 0.3 * training_oracles.rate(schedule, step, steps)
            assert learning_rate(recipe, step, steps) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("examples", "smallest", "sizes"),
    [
        (64, 1, [32, 32]),
        (65, 1, [32, 32, 1]),
        (65, 2, [32, 33]),
        (66, 2, [32, 32, 2]),
        (33, 2, [33]),
        (1, 2, [1]),
        (31, 2, [31]),
    ],
)
def test_sizes_of_batches(examples: int, smallest: int, sizes: list[int]) -> None:
    recipe = Recipe(epochs=3, batch_size=32)
    assert batch_sizes(recipe, examples, smallest) == sizes
    assert steps_of(recipe, examples, smallest) == 3 * len(sizes)
    parts = list(batch_indices(recipe, examples, [4, 5], smallest))
    assert [part.shape for part in parts] == 3 * [(2, size) for size in sizes]
    epoch = torch.cat(parts[: len(sizes)], 1)
    assert torch.equal(epoch.sort(1).values, torch.arange(examples).expand(2, -1))


def test_batch_normalisation_alone_needs_two_examples() -> None:
    assert smallest_batch(nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))) == 1
    assert smallest_batch(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))) == 2


@pytest.mark.parametrize(("values", "size"), [(1, 1024), (1024, 1024), (3072, 341), (150_528, 16)])
def test_predictions_take_fewer_examples_the_larger_they_are(values: int, size: int) -> None:
    parts = list(prediction_batches(2000, values, torch.device("cpu")))
    assert len(parts[0]) == size
    assert torch.equal(torch.cat(parts), torch.arange(2000))


def test_parameters_of_normalisation_layers_do_not_decay() -> None:
    module = nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.GroupNorm(2, 4),
        nn.InstanceNorm2d(4, affine=True),
        nn.Flatten(),
        nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)),
        nn.RMSNorm(4),
    )
    spared = {"1.weight", "1.bias", "2.weight", "2.bias", "3.weight", "3.bias"}
    assert without_decay(module) == spared | {"5.1.weight", "5.1.bias", "6.weight"}
    named = dict(module.named_parameters())
    update = module_optimiser(module, named, Recipe(weight_decay=0.1))
    assert [group["weight_decay"] for group in update.param_groups] == [0.1, 0.0]
    assert [len(group["params"]) for group in update.param_groups] == [4, 9]
    alone = module_optimiser(module, named, Recipe())
    assert [len(group["params"]) for group in alone.param_groups] == [13]
    only = nn.LayerNorm(3)
    groups = module_optimiser(only, dict(only.named_parameters()), Recipe(weight_decay=0.1))
    assert [group["weight_decay"] for group in groups.param_groups] == [0.0]


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_losses_are_those_of_the_formulas(smoothing: float) -> None:
    torch.manual_seed(0)
    recipe = Recipe(label_smoothing=smoothing)
    outputs, classes = torch.randn(5, 4), torch.tensor([0, 3, 1, 1, 2])
    torch.testing.assert_close(
        mean_loss(outputs, classes, recipe), training_oracles.loss(outputs, classes, smoothing)
    )
    value, wanted = torch.randn(5, 1), torch.randn(5)
    torch.testing.assert_close(
        mean_loss(value, wanted, recipe), training_oracles.loss(value, wanted, smoothing)
    )
