"""Models that cannot be trained from scratch: asked as they are, or copies trained on."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.small_data import factory, ranked, small
from uproar.models.estimators.arms import inputs_of_arm
from uproar.models.frozen import FineTunedLearner, FrozenLearner, FunctionPredictor
from uproar.models.learner import Learner
from uproar.models.training.batches import RandomlyRemoved
from uproar.types import Recipe, Skipped, UproarError

DATA = small("colour")
BATCHES = ranked(DATA, (0, 3, 12))
LABELS = torch.from_numpy(DATA.train.labels)
WAYS = pytest.mark.parametrize("training", ["stacked", "sequential"])


def module(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return factory("mlp", DATA)()


def by_numpy(inputs: np.ndarray) -> np.ndarray:
    assert isinstance(inputs, np.ndarray)
    return inputs.reshape(len(inputs), -1)[:, :3].astype(np.float64)


def by_torch(inputs: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(inputs).flatten(1)[:, :3].requires_grad_()


# --- models that are only asked -------------------------------------------------------------------


@pytest.mark.parametrize("predict", [by_numpy, by_torch])
def test_functions_answer_to_the_inputs_of_every_arm(predict: Callable[..., Any]) -> None:
    learner = FrozenLearner(predict, answers=3)
    fitted = learner.repeated(learner.given(), 3)
    outputs = learner.outputs(fitted, BATCHES)
    assert outputs.dtype == torch.float32
    for arm in range(3):
        assert np.array_equal(outputs[arm].numpy(), inputs_of_arm(BATCHES, arm)[:, :3])
    inputs = torch.from_numpy(DATA.train.inputs)
    assert torch.equal(learner.predictor(fitted)(inputs), inputs.flatten(1)[:, :3])


def test_modules_answer_in_evaluation_mode_and_stay_as_they_are() -> None:
    model = nn.Sequential(module(), nn.Dropout(0.5)).train()
    learner = FrozenLearner(model, answers=3)
    outputs = learner.outputs(learner.repeated(learner.given(), 3), BATCHES)
    expected = model[0](torch.from_numpy(inputs_of_arm(BATCHES, 1)).view(-1, 3, 4, 3))
    torch.testing.assert_close(outputs[1], expected.detach())
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    predictor = learner.predictor(learner.given())
    assert isinstance(predictor, nn.Module)
    assert not predictor.training
    assert not any(parameter.requires_grad for parameter in predictor.parameters())


def test_a_frozen_model_cannot_be_trained_and_is_its_own_state() -> None:
    learner = FrozenLearner(by_numpy, answers=3)
    assert isinstance(learner, Learner)
    assert (learner.training, learner.parallel) == ("frozen", False)
    with pytest.raises(Skipped, match="the model cannot be trained from scratch"):
        learner.fit(BATCHES, LABELS, seeds=[0, 1, 2], recipe=Recipe())
    assert learner.to_arrays(learner.given()) == {}
    assert learner.from_arrays({}) == learner.given()
    assert learner.size(learner.repeated(learner.given(), 4)) == 4


def test_values_of_a_regression_need_no_second_axis() -> None:
    predictor = FunctionPredictor(lambda inputs: inputs.sum(1), 1)
    assert predictor(torch.ones(2, 3)).tolist() == [[3.0], [3.0]]


@pytest.mark.parametrize(
    ("outputs", "predict", "message"),
    [
        (2, lambda x: x, r"must return an array of shape \(4, 2\), one per class, .* \(4, 3\)"),
        (2, lambda x: x[:, 0], r"shape \(4, 2\), one per class, .* got shape \(4,\)"),
        (1, lambda x: x, r"shape \(4, 1\), the value, for inputs of shape \(4, 3\), got"),
    ],
)
def test_answers_of_another_shape(outputs: int, predict: Any, message: str) -> None:
    with pytest.raises(UproarError, match=message):
        FunctionPredictor(predict, outputs)(torch.ones(4, 3))


# --- models that are trained on -------------------------------------------------------------------


def expected(model: nn.Module, arm: int, recipe: Recipe, seed: int) -> dict[str, torch.Tensor]:
    """Train a copy by the plain loop over the arm's inputs."""
    model = copy.deepcopy(model)
    inputs = torch.from_numpy(inputs_of_arm(BATCHES, arm)).view(-1, 3, 4, 3)
    update = torch.optim.SGD(model.parameters(), recipe.learning_rate, momentum=0.9, nesterov=True)
    order = torch.Generator().manual_seed(seed)
    for _ in range(recipe.epochs):
        for batch in torch.randperm(len(inputs), generator=order).split(recipe.batch_size):
            update.zero_grad()
            nn.functional.cross_entropy(model(inputs[batch]), LABELS[batch]).backward()
            update.step()
    return model.state_dict()


@WAYS
def test_every_arm_begins_with_the_given_weights(training: Any) -> None:
    model = module()
    before = copy.deepcopy(model.state_dict())
    learner = FineTunedLearner(model, training)
    recipe = Recipe("sgd", learning_rate=0.05, schedule="constant", epochs=2, batch_size=32)
    fitted = learner.fit(BATCHES, LABELS, seeds=[4, 5, 4], recipe=recipe)
    for arm, seed in enumerate((4, 5, 4)):
        for name, value in expected(model, arm, recipe, seed).items():
            torch.testing.assert_close(fitted[name][arm], value, rtol=1e-4, atol=1e-5)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    standing = learner.fit(
        BATCHES, LABELS, seeds=[1, 2, 3], recipe=Recipe("sgd", learning_rate=0.0, epochs=1)
    )
    for name, value in standing.items():
        assert torch.equal(value, before[name].expand_as(value))


@WAYS
def test_fitted_copies_can_be_asked_kept_and_restored(training: Any) -> None:
    learner = FineTunedLearner(module(), training)
    assert isinstance(learner, Learner)
    assert learner.parallel == (training == "sequential")
    fitted = learner.fit(
        RandomlyRemoved(BATCHES.shared, 2), LABELS, seeds=[0, 1], recipe=Recipe(epochs=1)
    )
    assert learner.size(fitted) == 2
    restored = learner.from_arrays(learner.to_arrays(fitted))
    assert all(torch.equal(value, restored[name]) for name, value in fitted.items())
    twice = learner.repeated(fitted, 2)
    assert learner.size(twice) == 4
    outputs = learner.outputs(twice, ranked(DATA, (0, 12, 0, 12)))
    assert outputs.shape == (4, len(LABELS), 3)
    assert not torch.allclose(outputs[0], outputs[2])
    first = learner.predictor(fitted)
    torch.testing.assert_close(first(torch.from_numpy(DATA.train.inputs)), outputs[0])
    assert not first.training


@WAYS
def test_the_given_model_is_one_fitted_model(training: Any) -> None:
    model = module()
    learner = FineTunedLearner(model, training)
    given = learner.given()
    assert learner.size(given) == 1
    inputs = torch.from_numpy(DATA.train.inputs)
    torch.testing.assert_close(learner.predictor(given)(inputs), model(inputs).detach())


def test_what_cannot_be_fine_tuned() -> None:
    frozen = FineTunedLearner(module().requires_grad_(requires_grad=False), "sequential")
    with pytest.raises(Skipped, match="cannot be fine-tuned: all of its parameters are frozen"):
        frozen.fit(BATCHES, LABELS, seeds=[0, 1, 2], recipe=Recipe())
    with pytest.raises(Skipped, match="cannot be fine-tuned by least squares"):
        FineTunedLearner(module(), "stacked").fit(
            BATCHES, LABELS, seeds=[0, 1, 2], recipe=Recipe(optimiser="least-squares")
        )
