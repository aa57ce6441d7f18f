"""Least squares against NumPy's, columns that removal made constant included."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tests.support import oracles, training_oracles
from tests.support.small_data import factory, importances, ranked, small
from uproar.models.training.batches import RandomlyRemoved
from uproar.models.training.ways import fit_many
from uproar.types import Recipe, UproarError

RECIPE = Recipe("least-squares")


@pytest.mark.parametrize("layout", ["table", "grey", "colour"])
@pytest.mark.parametrize("ranking", ["each its own", "one for all"])
def test_weights_are_those_of_lstsq(layout: str, ranking: str) -> None:
    data = small(layout)
    importance, _ = importances(data)
    if ranking == "one for all":  # whole columns become constant
        importance = np.broadcast_to(importance[:1], importance.shape)
    batches = ranked(data, (0, data.features // 2, data.features))
    if ranking == "one for all":
        batches = type(batches)(
            batches.shared, batches.ranks[:1].expand_as(batches.ranks).clone(), batches.counts
        )
    labels = torch.from_numpy(data.train.labels)
    state = fit_many(
        factory("linear", data), batches, labels, recipe=RECIPE, seeds=(0, 0, 1), training="dense"
    )
    fill = batches.shared.fill.numpy().reshape(-1, *data.input_shape)
    for arm, fraction in enumerate((0.0, 0.5, 1.0)):
        inputs = oracles.degraded(data.train.inputs, importance, fill, fraction=fraction)
        expected = training_oracles.least_squares(inputs, data.train.labels, 3)
        assert state["1.weight"][arm].numpy() == pytest.approx(expected[:-1].T, abs=1e-5)
        assert state["1.bias"][arm].numpy() == pytest.approx(expected[-1], abs=1e-5)
        assert state["1.weight"].dtype == torch.float32


def test_constant_columns_get_no_weight_and_the_level_is_the_share_of_classes() -> None:
    data = small("table")
    labels = torch.from_numpy(data.train.labels)
    batches = ranked(data, (6,))
    state = fit_many(
        factory("linear", data), batches, labels, recipe=RECIPE, seeds=(0,), training="dense"
    )
    share = np.bincount(data.train.labels) / len(labels)
    assert not state["1.weight"].any()
    assert state["1.bias"][0].numpy() == pytest.approx(share)


def test_values_are_fitted_as_they_are() -> None:
    data = small("table")
    inputs = torch.from_numpy(data.train.inputs)
    true = torch.tensor([1.0, -2.0, 0.0, 3.0, 0.5, 0.0])
    labels = inputs @ true + 4  # exactly linear, so that the weights are known
    state = fit_many(
        lambda: nn.Sequential(nn.Linear(6, 1)),
        ranked(data, (0, 3)),
        labels,
        recipe=RECIPE,
        seeds=(0, 0),
        training="dense",
    )
    torch.testing.assert_close(state["0.weight"][0, 0], true, atol=1e-5, rtol=0)
    torch.testing.assert_close(state["0.bias"][0], torch.tensor([4.0]), atol=1e-5, rtol=0)
    importance, _ = importances(data)
    degraded = oracles.degraded(
        data.train.inputs, importance, np.full((1, 6), 0.25, np.float32), fraction=0.5
    )
    expected = training_oracles.least_squares(degraded, labels.numpy(), 1)
    assert state["0.weight"][1].numpy() == pytest.approx(expected[:-1].T, abs=1e-5)
    assert state["0.bias"][1].numpy() == pytest.approx(expected[-1], abs=1e-5)


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_more_than_one_layer_is_refused(model: str) -> None:
    data = small("grey")
    labels = torch.from_numpy(data.train.labels)
    with pytest.raises(UproarError) as error:
        fit_many(
            factory(model, data),
            ranked(data, (0,)),
            labels,
            recipe=RECIPE,
            seeds=(0,),
            training="dense",
        )
    assert str(error.value) == (
        "optimiser 'least-squares' fits one linear layer, and the model has more; use model "
        "'linear', or optimiser 'adam' or 'sgd'"
    )


def test_what_batches_draw_is_drawn_once_by_the_seed_of_the_arm() -> None:
    data = small("table")
    labels, make = torch.from_numpy(data.train.labels), factory("linear", data)
    batches = RandomlyRemoved(ranked(data, ()).shared, 3)
    state = fit_many(make, batches, labels, recipe=RECIPE, seeds=(1, 2, 1), training="dense")
    assert torch.equal(state["1.weight"][0], state["1.weight"][2])
    assert not torch.equal(state["1.weight"][0], state["1.weight"][1])
    everything = torch.arange(len(labels))[None]
    drawn = batches.batch(slice(1), everything, [torch.Generator().manual_seed(2)])[0].numpy()
    expected = training_oracles.least_squares(drawn, data.train.labels, 3)
    assert state["1.weight"][1].numpy() == pytest.approx(expected[:-1].T, abs=1e-5)
