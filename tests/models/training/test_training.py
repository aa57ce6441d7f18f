"""Every way of training many arms against one plain PyTorch loop over inputs degraded beforehand.

Parameters agree to about seven digits after a step and a little less after several: the ways sum
the same products in different orders. For the same reason an arm alone equals the arm within a
group up to rounding, and not bit for bit.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from tests.support import oracles, training_oracles
from tests.support.small_data import factory, importances, ranked, small
from uproar.models.training import dense
from uproar.models.training.dense import Buffer, Workspace, dense_layers
from uproar.models.training.ways import choose_training, fit_many, initialise, score_many
from uproar.types import Recipe, UproarError

COUNTS, FRACTIONS = (0, 3, 6, 9, 12), (0.0, 0.25, 0.5, 0.75, 1.0)
SEEDS = (1, 1, 2, 3, 2)
CLOSE = {"rtol": 1e-4, "atol": 2e-5}
RATE = 0.01  # typed, so that other defaults change no test
RECIPES = {
    "whole batches": Recipe(epochs=3, batch_size=35),
    "partial batch": Recipe(learning_rate=RATE, epochs=3, batch_size=32),
    "batch larger than data": Recipe(epochs=4, batch_size=128, schedule="constant"),
    "adam with decay": Recipe(epochs=3, batch_size=32, weight_decay=0.1, schedule="constant"),
    "sgd": Recipe("sgd", epochs=3, batch_size=32, schedule="constant"),
    "sgd with decay": Recipe("sgd", learning_rate=0.05, epochs=3, batch_size=16, weight_decay=0.1),
}
WAYS = [
    *(
        (model, training)
        for model in ("mlp", "linear")
        for training in ("dense", "stacked", "sequential")
    ),
    ("cnn", "stacked"),
    ("cnn", "sequential"),
]


@cache
def expected(model: str, recipe: Recipe, *, fill_each: bool = False) -> list[dict]:
    data = small("grey")
    importance, _ = importances(data)
    fill = ranked(data, (), fill_each=fill_each).shared.fill.numpy().reshape(-1, 1, 4, 3)
    states = []
    for fraction, seed in zip(FRACTIONS, SEEDS, strict=True):
        inputs = oracles.degraded(data.train.inputs, importance, fill, fraction=fraction)
        torch.manual_seed(seed)
        module = factory(model, data)()
        labels = data.train.labels
        states.append(training_oracles.trained(module, inputs, labels, seed=seed, **asdict(recipe)))
    return states


def fitted(model: str, recipe: Recipe, training: str, *, fill_each: bool = False) -> dict:
    data = small("grey")
    batches = ranked(data, COUNTS, fill_each=fill_each)
    labels = torch.from_numpy(data.train.labels)
    return fit_many(
        factory(model, data), batches, labels, recipe=recipe, seeds=SEEDS, training=training
    )


# The ways that train convolutions train dense layers with every recipe.
TRAINED = [
    (model, training, name)
    for model, training in WAYS
    for name in RECIPES
    if model != "cnn" or name in {"partial batch", "sgd with decay"}
]


@pytest.mark.slow
@pytest.mark.parametrize(("model", "training", "name"), TRAINED)
def test_all_ways_train_what_the_plain_loop_trains(model: str, training: str, name: str) -> None:
    recipe = RECIPES[name]
    state = fitted(model, recipe, training)
    for arm, one in enumerate(expected(model, recipe)):
        assert set(state) == set(one)
        for weight, value in one.items():
            torch.testing.assert_close(state[weight][arm], value, **CLOSE)


@pytest.mark.parametrize("training", ["dense", "stacked", "sequential"])
def test_a_fill_of_its_own_for_every_example(training: str) -> None:
    recipe = RECIPES["partial batch"]
    state = fitted("mlp", recipe, training, fill_each=True)
    for arm, one in enumerate(expected("mlp", recipe, fill_each=True)):
        for name, value in one.items():
            torch.testing.assert_close(state[name][arm], value, **CLOSE)


@pytest.mark.parametrize("largest", [1, 2, 3, 4, 100])
def test_the_size_of_blocks_changes_nothing_but_rounding(
    largest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fitted("mlp", RECIPES["partial batch"], "dense")
    monkeypatch.setattr(dense, "CPU_ARMS", largest)
    for name, value in fitted("mlp", RECIPES["partial batch"], "dense").items():
        torch.testing.assert_close(value, whole[name], **CLOSE)


def test_blocks_cover_all_arms_once_and_are_of_about_equal_size() -> None:
    for arms in range(1, 60):
        cut = list(dense.blocks(arms, torch.device("cpu")))
        assert [i for block in cut for i in range(block.start, block.stop)] == list(range(arms))
        sizes = [block.stop - block.start for block in cut]
        assert max(sizes) <= dense.CPU_ARMS
        assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(("model", "training"), WAYS)
def test_training_again_gives_the_same_bits_and_leaves_torch_alone(
    model: str, training: str
) -> None:
    torch.manual_seed(5)
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    first, again = (fitted(model, RECIPES["partial batch"], training) for _ in range(2))
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(("model", "training"), WAYS)
def test_an_arm_alone_equals_the_arm_within_its_group(model: str, training: str) -> None:
    data, recipe = small("grey"), RECIPES["partial batch"]
    labels = torch.from_numpy(data.train.labels)
    group = fitted(model, recipe, training)
    for arm in (0, 2, 4):
        alone = fit_many(
            factory(model, data),
            ranked(data, COUNTS[arm : arm + 1]),
            labels,
            recipe=recipe,
            seeds=SEEDS[arm : arm + 1],
            training=training,
        )
        for name, value in alone.items():
            torch.testing.assert_close(value[0], group[name][arm], **CLOSE)


@pytest.mark.parametrize("training", ["dense", "stacked", "sequential"])
def test_equal_seeds_share_initial_weights_and_data_order(training: str) -> None:
    data = small("grey")
    still = Recipe("sgd", learning_rate=1e-30, epochs=1)
    labels = torch.from_numpy(data.train.labels)
    batches, make = ranked(data, (0, 6, 0, 0)), factory("mlp", data)
    state = fit_many(make, batches, labels, recipe=still, seeds=(4, 4, 5, 4), training=training)
    for value in state.values():
        assert torch.equal(value[0], value[1])
        assert not torch.equal(value[0], value[2])
    recipe = RECIPES["partial batch"]
    moving = fit_many(make, batches, labels, recipe=recipe, seeds=(4, 4, 5, 4), training=training)
    for value in moving.values():
        torch.testing.assert_close(value[0], value[3], **CLOSE)
        assert not torch.allclose(value[0], value[1], atol=1e-3)


def test_the_written_out_backward_is_autograd() -> None:
    torch.manual_seed(0)
    sizes, arms, batch = (5, 7, 6, 3), 4, 9
    modules = [
        nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 6), nn.ReLU(), nn.Linear(6, 3))
        for _ in range(arms)
    ]
    names, layers = zip(*dense_layers(modules[0]), strict=True)
    # A unit of exactly zero is where the slopes of a ReLU disagree: it passes none.
    for module in modules:
        module[0].weight.data[0], module[0].bias.data[0] = 0, 0
    buffer = Buffer.zeros(arms, layers, torch.device("cpu"))
    gradient = Buffer.zeros(arms, layers, torch.device("cpu"))
    buffer.load(names, [module.state_dict() for module in modules])
    inputs, labels = torch.randn(arms, batch, sizes[0]), torch.randint(3, (arms, batch))
    workspace = Workspace(buffer, batch)
    logits = workspace.forward(buffer, inputs).clone()
    workspace.backward(gradient, inputs, labels[:, None])
    slopes = gradient.state(names)
    for arm, module in enumerate(modules):
        output = module(inputs[arm])
        nn.functional.cross_entropy(output, labels[arm]).backward()
        torch.testing.assert_close(logits[arm].T, output.detach())
        for name, parameter in module.named_parameters():
            torch.testing.assert_close(slopes[name][arm], parameter.grad)
    assert buffer.flat.numel() == sum(p.numel() for module in modules for p in module.parameters())


@pytest.mark.parametrize("size", [1, 1023, 1024, 1025])
@pytest.mark.parametrize(("model", "training"), WAYS)
def test_predictions_are_those_of_the_modules(model: str, training: str, size: int) -> None:
    data = small("grey", train=size)
    make, batches = factory(model, data), ranked(data, (0, 6))
    modules = [initialise(make, seed) for seed in (0, 1)]
    states = [module.state_dict() for module in modules]
    state = {name: torch.stack([one[name] for one in states]) for name in states[0]}
    predicted = score_many(make, state, batches, training=training).argmax(2)
    assert predicted.shape == (2, size)
    for arm, module in enumerate(modules):
        inputs = batches.batch(slice(arm, arm + 1), torch.arange(size)[None], ())[0]
        alone = module(inputs.view(-1, 1, 4, 3)).argmax(1)
        assert (alone != predicted[arm]).sum() <= size // 500  # ties but for rounding


def test_initial_weights_depend_on_the_seed_alone() -> None:
    make = factory("mlp", small("grey"))
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    first = initialise(make, 7).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(4)
    again, other = initialise(make, 7).state_dict(), initialise(make, 8).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert not any(torch.equal(value, other[name]) for name, value in first.items())


def test_a_factory_must_return_a_module() -> None:
    text = r"^the model factory must return a torch.nn.Module, got str$"
    with pytest.raises(UproarError, match=text):
        initialise(lambda: "mlp", 0)
    sample = torch.zeros(2, 6)
    with pytest.raises(UproarError, match=text):
        choose_training(lambda: "mlp", sample, torch.zeros(2, dtype=torch.int64))


def test_more_arms_than_one_block_at_the_default_size() -> None:
    data, recipe = small("table"), Recipe(epochs=1)
    counts = tuple(arm % 7 for arm in range(2 * dense.CPU_ARMS + 3))
    labels = torch.from_numpy(data.train.labels)
    make = factory("linear", data)
    many = fit_many(
        make,
        ranked(data, counts),
        labels,
        recipe=recipe,
        seeds=(0,) * len(counts),
        training="dense",
    )
    for name, value in many.items():
        for arm in range(7, len(counts)):
            torch.testing.assert_close(value[arm], value[arm % 7], **CLOSE), name
    assert np.isfinite(many["1.weight"].numpy()).all()
