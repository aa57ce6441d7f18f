"""Which way of training is chosen for which module, and what the chosen way makes of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from tests.support.small_data import Branching, Recurrent, factory, ranked, small
from uproar.models.training import sequential
from uproar.models.training.ways import check_training, choose_training, fit_many, score_many
from uproar.types import Recipe, UproarError

SAMPLE = torch.randn(2, 6, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 2])


def normalised() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 3))


def batch_normalised() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def dropping() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))


def frozen() -> nn.Module:
    module = normalised()
    module[0].requires_grad_(False)
    return module


WAYS: dict[str, tuple[Callable[[], nn.Module], str, str]] = {
    "mlp": (
        factory("mlp", small("table")),
        "dense",
        "a stack of dense layers: one parameter buffer, backward written out",
    ),
    "layer norm": (normalised, "stacked", "parameters stacked and trained under vmap"),
    "batch norm": (batch_normalised, "stacked", "parameters stacked and trained under vmap"),
    "frozen": (frozen, "stacked", "parameters stacked and trained under vmap"),
    "dropout": (dropping, "stacked", "parameters stacked and trained under vmap"),
    "lstm": (
        Recurrent,
        "sequential",
        "cannot be stacked: vmap has no vectorised form of recurrent layers",
    ),
    "branching": (Branching, "sequential", "cannot be stacked: vmap raises RuntimeError: vmap: "),
}


@pytest.mark.parametrize("what", WAYS)
def test_the_way_is_chosen_with_a_reason(what: str) -> None:
    make, training, reason = WAYS[what]
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    chosen, why = choose_training(make, SAMPLE, LABELS)
    assert chosen == training
    assert why.startswith(reason)
    assert "\n" not in why
    assert torch.equal(torch.random.get_rng_state(), before)


def test_convolutions_train_one_after_another_on_a_cpu() -> None:
    data = small("grey")
    sample = torch.from_numpy(data.train.inputs[:2])
    chosen = choose_training(factory("cnn", data), sample, LABELS)
    assert chosen == ("sequential", "convolutions do not gain from stacking on a CPU")


@pytest.mark.parametrize("layer", [nn.Identity(), nn.Flatten(2), nn.Flatten(0)])
def test_a_dense_stack_must_flatten_all_of_an_input(layer: nn.Module) -> None:
    images = torch.zeros(2, 1, 1, 6)

    def chosen(*layers: nn.Module) -> str:
        return choose_training(lambda: nn.Sequential(*layers), images, LABELS)[0]

    assert chosen(layer, nn.Linear(6, 3)) != "dense"
    assert chosen(nn.Linear(6, 3)) != "dense"
    assert chosen(nn.Flatten(), nn.Linear(6, 3)) == "dense"


@pytest.mark.parametrize("what", WAYS)
def test_a_way_that_was_asked_for_is_checked(what: str) -> None:
    make, chosen, reason = WAYS[what]
    check_training(chosen, make, SAMPLE, LABELS)
    check_training("sequential", make, SAMPLE, LABELS)
    if chosen != "dense":
        with pytest.raises(UproarError, match=r"^training 'dense' needs a torch\.nn\.Sequential"):
            check_training("dense", make, SAMPLE, LABELS)
    if chosen == "sequential":
        with pytest.raises(UproarError) as error:
            check_training("stacked", make, SAMPLE, LABELS)
        why = reason.removeprefix("cannot be stacked: ")
        assert str(error.value).startswith(f"training 'stacked' is not possible: {why}")
        assert str(error.value).endswith("; use 'auto'")


@pytest.mark.slow
@pytest.mark.parametrize("what", WAYS)
def test_the_chosen_way_learns_and_repeats_itself(what: str) -> None:
    make, training, _ = WAYS[what]
    data = small("table")
    batches, labels = ranked(data, (0, 0, 6)), torch.from_numpy(data.train.labels)
    recipe = Recipe(learning_rate=0.05, epochs=12, batch_size=32)

    def run() -> tuple[dict, torch.Tensor]:
        state = fit_many(make, batches, labels, recipe=recipe, seeds=(0, 0, 1), training=training)
        return state, score_many(make, state, batches, training=training).argmax(2)

    (state, predicted), (again, repeated) = run(), run()
    assert all(torch.equal(value, again[name]) for name, value in state.items())
    assert torch.equal(predicted, repeated)  # dropout is off when predicting
    assert torch.equal(predicted[0], predicted[1])  # arms of equal seed and inputs
    right = (predicted == labels).float().mean(1)
    assert right[0] > 0.6
    assert right[2] < 0.5  # nothing is left to learn from


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["grey", "table"])
def test_processes_train_what_one_process_trains(
    layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = small(layout)
    labels = torch.from_numpy(data.train.labels)
    batches = ranked(data, (0, 3, 6))
    make = dropping if layout == "table" else factory("cnn", data)

    def run() -> dict[str, torch.Tensor]:
        return fit_many(
            make, batches, labels, recipe=Recipe(epochs=2), seeds=(0, 1, 2), training="sequential"
        )

    alone = run()
    monkeypatch.setattr(sequential.os, "cpu_count", lambda: 2)
    together = run()
    assert all(torch.equal(value, together[name]) for name, value in alone.items())
