"""Protocols against references that copy the data, degrade the copies and train plain modules."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
import torch

from tests.support import oracles, training_oracles
from tests.support.small_data import experiment, factory, importances, ranking, small
from uproar.dataset import Data
from uproar.protocols.experiment import Experiment, arms
from uproar.protocols.leakage import mask_only
from uproar.protocols.no_retrain import no_retrain
from uproar.protocols.retrain_once import retrain_once, train_once
from uproar.protocols.roar import kar, roar
from uproar.types import Recipe

FRACTIONS = (0.0, 0.25, 0.5, 0.9, 1.0)
SOME_FRACTIONS = (0.25, 0.9)  # where training takes its time
SEEDS = (3, 4)
RATE = 0.01
LEAST_SQUARES = Recipe("least-squares")
ADAM = Recipe("adam", learning_rate=RATE, epochs=3, batch_size=32)
PARTS = ("train", "test")
protocols = pytest.mark.parametrize(("protocol", "keep"), [(roar, False), (kar, True)])


def inputs_of(
    data: Data, subject: Experiment, fraction: float, *, keep: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Degrade train and test with the fill that the experiment holds."""
    return tuple(
        oracles.degraded(
            getattr(data, part).inputs,
            importance,
            getattr(subject, part).fill.numpy().reshape(-1, *data.input_shape),
            fraction=fraction,
            keep=keep,
        )
        for part, importance in zip(PARTS, importances(data), strict=True)
    )


def retrained(
    data: Data, model: str, train: np.ndarray, test: np.ndarray, *, seed: int
) -> np.ndarray:
    """Train one module in the plain loop and return what it gets right."""
    torch.manual_seed(seed)
    module = factory(model, data)()
    state = training_oracles.trained(module, train, data.train.labels, seed=seed, **asdict(ADAM))
    module.load_state_dict(state)
    return training_oracles.correct(module, test, data.test.labels)


@pytest.mark.parametrize("removal", ["mean", "zero", "noise"])
@pytest.mark.parametrize("layout", ["table", "grey", "colour"])
@protocols
def test_retraining_by_least_squares(protocol, keep: bool, layout: str, removal: str) -> None:
    data = small(layout)
    subject = experiment(data, model="linear", recipe=LEAST_SQUARES, removal=removal)
    correct = protocol(subject, ranking(data), fractions=FRACTIONS, seeds=SEEDS)
    assert correct.shape == (5, 2, 40)
    for fraction, by_repeat in zip(FRACTIONS, correct, strict=True):
        train, test = inputs_of(data, subject, fraction, keep=keep)
        weights = training_oracles.least_squares(train, data.train.labels, 3)
        expected = training_oracles.least_squares_correct(weights, test, data.test.labels)
        for one in by_repeat:  # the closed form has no seed
            assert (one == expected).all()


@pytest.mark.slow
@pytest.mark.parametrize(("model", "training"), [("mlp", "dense"), ("cnn", "stacked")])
@pytest.mark.parametrize("removal", ["mean", "noise"])
@protocols
def test_retraining_by_adam(protocol, keep: bool, removal: str, model: str, training: str) -> None:
    data = small("grey")
    subject = experiment(data, model=model, recipe=ADAM, training=training, removal=removal)
    correct = protocol(subject, ranking(data), fractions=SOME_FRACTIONS, seeds=SEEDS)
    for fraction, by_repeat in zip(SOME_FRACTIONS, correct, strict=True):
        train, test = inputs_of(data, subject, fraction, keep=keep)
        for seed, one in zip(SEEDS, by_repeat, strict=True):
            assert (one == retrained(data, model, train, test, seed=seed)).all()


@pytest.mark.parametrize("layout", ["table", "colour"])
def test_mask_only_sees_ones_and_zeros(layout: str) -> None:
    data = small(layout)
    subject = experiment(data, recipe=ADAM, removal="noise")
    correct = mask_only(subject, ranking(data), fractions=FRACTIONS, seeds=SEEDS)
    zero = np.zeros((1, *data.input_shape), dtype=np.float32)
    masks = {
        fraction: [
            oracles.degraded(np.ones_like(getattr(data, part).inputs), one, zero, fraction=fraction)
            for part, one in zip(PARTS, importances(data), strict=True)
        ]
        for fraction in FRACTIONS
    }
    for fraction, by_repeat in zip(FRACTIONS, correct, strict=True):
        for seed, one in zip(SEEDS, by_repeat, strict=True):
            assert (one == retrained(data, "mlp", *masks[fraction], seed=seed)).all()


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("removal", ["mean", "noise"])
def test_no_retrain_asks_the_given_models(removal: str, keep: bool) -> None:
    data = small("grey")
    subject = experiment(data, recipe=ADAM, removal=removal)
    ranks = ranking(data)
    states = subject.fit(arms(subject.train, ranks.train, [0.0, 0.0]), SEEDS)
    correct = no_retrain(subject, states, ranks, fractions=FRACTIONS, keep=keep)
    for fraction, by_model in zip(FRACTIONS, correct, strict=True):
        _, test = inputs_of(data, subject, fraction, keep=keep)
        for model, one in enumerate(by_model):
            module = factory("mlp", data)()
            module.load_state_dict({name: value[model] for name, value in states.items()})
            assert (one == training_oracles.correct(module, test, data.test.labels)).all()


def test_retrain_once_is_no_retrain_of_removing_and_of_keeping() -> None:
    data = small("grey")
    subject, ranks = experiment(data, recipe=ADAM), ranking(data)
    states = train_once(subject, seeds=SEEDS, epochs=2)
    removed, kept = retrain_once(subject, states, ranks, fractions=FRACTIONS)
    assert (removed == no_retrain(subject, states, ranks, fractions=FRACTIONS)).all()
    assert (kept == no_retrain(subject, states, ranks, fractions=FRACTIONS, keep=True)).all()


def test_train_once_is_the_plain_loop_with_masks_drawn_for_every_batch() -> None:
    data, epochs = small("grey"), 3
    subject = experiment(data, recipe=ADAM)
    states = train_once(subject, seeds=SEEDS, epochs=epochs)
    fill, inputs = subject.train.fill[0], torch.tensor(data.train.inputs).flatten(1)
    labels = torch.tensor(data.train.labels)
    for model, seed in enumerate(SEEDS):
        torch.manual_seed(seed)
        module = factory("mlp", data)()
        update = torch.optim.Adam(module.parameters(), ADAM.learning_rate)
        draws = torch.Generator().manual_seed(seed)
        order = training_oracles.data_order(len(inputs), ADAM.batch_size, epochs, seed)
        for step, batch in enumerate(order):
            uniform = torch.rand(len(batch), 1 + data.features, generator=draws)
            removed = uniform[:, 1:] < uniform[:, :1]
            update.param_groups[0]["lr"] = RATE * (1 + np.cos(np.pi * step / len(order))) / 2
            update.zero_grad()
            logits = module(torch.where(removed, fill, inputs[batch]))
            torch.nn.functional.cross_entropy(logits, labels[batch]).backward()
            update.step()
        for name, value in module.state_dict().items():
            torch.testing.assert_close(states[name][model], value, rtol=1e-4, atol=2e-5)
