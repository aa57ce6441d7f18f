"""Modules of all kinds, trained many at a time, against one plain loop over one module at a time.

Stochastic gradient descent where parities are tight: Adam divides by the size of gradients, and so
makes numbers of the rounding of those that are zero (a bias before a normalisation).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from tests.support import training_oracles
from tests.support.small_data import Branching, Recurrent
from uproar.models.randomness import draws_random_numbers
from uproar.models.training import stacked
from uproar.models.training.batches import RemovedByRank, SharedInputs
from uproar.models.training.dense import fit_dense, score_dense
from uproar.models.training.sequential import fit_sequential, score_sequential
from uproar.models.training.stacked import fit_stacked, groups, refusal, score_stacked
from uproar.models.training.vectorised import Names
from uproar.types import Recipe

FIT = {"stacked": fit_stacked, "sequential": fit_sequential, "dense": fit_dense}
SCORE = {"stacked": score_stacked, "sequential": score_sequential, "dense": score_dense}
torch.set_num_threads(1)  # more threads only wait for each other over so little work
# Never all features: batch normalisation of equal inputs makes numbers of their rounding.
SEEDS, COUNTS = (1, 1, 2, 3, 2), (0, 2, 1, 5, 4)
CLOSE = {"rtol": 1e-4, "atol": 2e-5}
SGD = Recipe("sgd", learning_rate=0.05, epochs=3, batch_size=16, weight_decay=0.1)
PAPER = Recipe("sgd", 0.1, "steps", epochs=6, batch_size=16, weight_decay=0.05, label_smoothing=0.1)
EXAMPLES, WORDS = 40, 20
VALUES, IMAGE, TOKENS = (6,), (2, 4, 4), (6,)


def batches(
    shape: tuple[int, ...], *, ids: bool = False, examples: int = EXAMPLES
) -> RemovedByRank:
    """Inputs whose first features, a few more in each arm, are removed."""
    generator = torch.Generator().manual_seed(0)
    values = int(np.prod(shape))
    inputs = torch.randn(examples, values, generator=generator)
    fill = torch.full((1, values), 0.25)
    if ids:
        inputs = torch.randint(3, WORDS, (examples, values), generator=generator)
        fill = torch.full((1, values), 2)
    features = values if len(shape) == 1 else values // shape[0]
    ranks = torch.arange(features, dtype=torch.uint8).expand(examples, -1).clone()
    return RemovedByRank(SharedInputs(inputs, fill, features, shape), ranks, COUNTS)


def degraded(group: RemovedByRank, arm: int) -> np.ndarray:
    inputs = group.shared.inputs.clone().view(len(group.shared), -1, group.shared.features)
    inputs[..., : COUNTS[arm]] = group.shared.fill[0, 0]
    return inputs.view(-1, *group.shared.input_shape).numpy()


def class_labels(examples: int = EXAMPLES) -> torch.Tensor:
    return torch.randint(3, (examples,), generator=torch.Generator().manual_seed(1))


def value_labels() -> torch.Tensor:
    return torch.randn(EXAMPLES, generator=torch.Generator().manual_seed(1))


class Tied(nn.Module):
    """Uses layers twice, one of them a normalisation, and a weight in two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(6, 6), nn.BatchNorm1d(6)
        self.second, self.other_norm = self.first, self.norm
        self.third, self.fourth, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.fourth.weight = self.third.weight

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        hidden = self.norm(self.first(inputs)).tanh()
        hidden = self.other_norm(self.second(hidden))
        return self.head(self.fourth(self.third(hidden).tanh()))


class RunningMean(nn.Module):
    """Replaces a buffer, has one that no state keeps, and keeps what it computed."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 3)
        self.register_buffer("mean", torch.zeros(6))
        self.register_buffer("scale", torch.full((6,), 2.0), persistent=False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * inputs.mean(0)
        self.seen = (inputs - self.mean) * self.scale
        return self.head(self.seen)


class Encoder(nn.Module):
    """torch's own transformer layer on token ids, padding left out."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.token = nn.Embedding(WORDS, 8)
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(8, 3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.layers(self.token(ids), src_key_padding_mask=ids == 0).mean(1))


class Attention(nn.Module):
    """torch's attention, called by name."""

    def __init__(self) -> None:
        super().__init__()
        self.token, self.head = nn.Embedding(WORDS, 8), nn.Linear(8, 3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.token(ids)[:, None]
        dropout = 0.3 if self.training else 0.0
        seen = nn.functional.scaled_dot_product_attention(x, x, x, dropout_p=dropout)
        return self.head(seen[:, 0].mean(1))


def frozen() -> nn.Module:
    module = nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 3))
    module[0].requires_grad_(False)
    return module


def layers(*between: nn.Module, outputs: int = 3) -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), *between, nn.Linear(8, outputs))


def convolutions() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 6, 3),
        nn.BatchNorm2d(6),
        nn.ReLU(inplace=True),
        nn.Dropout2d(0.3),
        nn.GroupNorm(2, 6),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 3),
    )


Case = tuple[Callable[[], nn.Module], tuple[int, ...], str]
MODULES: dict[str, Case] = {
    "layer norm": (lambda: layers(nn.LayerNorm(8), nn.GELU()), VALUES, "classes"),
    "batch norm": (lambda: layers(nn.BatchNorm1d(8), nn.ReLU()), VALUES, "classes"),
    "batch norm without statistics": (
        lambda: layers(nn.BatchNorm1d(8, track_running_stats=False), nn.ReLU()),
        VALUES,
        "classes",
    ),
    "batch norm without parameters": (
        lambda: layers(nn.BatchNorm1d(8, affine=False), nn.ReLU()),
        VALUES,
        "classes",
    ),
    "dropout": (lambda: layers(nn.ReLU(), nn.Dropout(0.5)), VALUES, "classes"),
    "dropout, values": (lambda: layers(nn.Tanh(), nn.Dropout(), outputs=1), VALUES, "values"),
    "convolutions": (convolutions, IMAGE, "classes"),
    "frozen": (frozen, VALUES, "classes"),
    "tied": (Tied, VALUES, "classes"),
    "running mean": (RunningMean, VALUES, "classes"),
    "attention with dropout": (Attention, TOKENS, "tokens"),
    "transformer": (lambda: Encoder(0.0), TOKENS, "tokens"),
}


def material(case: Case) -> tuple[nn.Module, list[dict], RemovedByRank, torch.Tensor]:
    make, shape, task = case
    made = {}
    for seed in SEEDS:
        torch.manual_seed(seed)
        made[seed] = make()
    states = [
        {name: value.clone() for name, value in made[seed].state_dict().items()} for seed in SEEDS
    ]
    labels = value_labels() if task == "values" else class_labels()
    return made[SEEDS[0]], states, batches(shape, ids=task == "tokens"), labels


@cache
def trained_alone(what: str, recipe: Recipe) -> list[tuple[dict[str, torch.Tensor], torch.Tensor]]:
    """Return the parameters and the answers of each arm, trained by the plain loop."""
    group, labels = material(MODULES[what])[2:]
    found = []
    for arm, seed in enumerate(SEEDS):
        torch.manual_seed(seed)
        alone, inputs = MODULES[what][0](), degraded(group, arm)
        options = {"seed": seed, **asdict(recipe)}
        state = training_oracles.trained(alone, inputs, labels.numpy(), **options)
        with torch.no_grad():
            found.append((state, alone.eval()(torch.tensor(inputs))))
    return found


# Schedule and smoothing are the same for all modules; what decays and how long errors grow is not.
TRAINED = [*((what, SGD) for what in MODULES), ("batch norm", PAPER), ("tied", PAPER)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "recipe"), TRAINED, ids=[f"{what}, {recipe.schedule}" for what, recipe in TRAINED]
)
@pytest.mark.parametrize("training", ["stacked", "sequential"])
def test_all_ways_train_what_the_plain_loop_trains(
    what: str, training: str, recipe: Recipe
) -> None:
    module, states, group, labels = material(MODULES[what])
    trained = FIT[training](module, states, group, labels, recipe=recipe, seeds=SEEDS)
    answers = SCORE[training](module, trained, group)
    for arm, (expected, answered) in enumerate(trained_alone(what, recipe)):
        assert set(trained) == set(expected)
        for name, value in expected.items():
            assert trained[name].dtype == value.dtype
            torch.testing.assert_close(trained[name][arm], value, **CLOSE)
        torch.testing.assert_close(answers[arm], answered, **CLOSE)


@pytest.mark.parametrize("training", ["dense", "stacked", "sequential"])
@pytest.mark.parametrize("task", ["classes", "values"])
@pytest.mark.parametrize(
    "recipe",
    [SGD, PAPER, Recipe(learning_rate=0.01, epochs=3, batch_size=16, label_smoothing=0.3)],
    ids=["sgd", "paper", "adam"],
)
def test_classes_and_values_in_every_way(training: str, task: str, recipe: Recipe) -> None:
    outputs = 1 if task == "values" else 3
    case = (lambda: layers(nn.ReLU(), outputs=outputs), VALUES, task)
    module, states, group, labels = material(case)
    trained = FIT[training](module, states, group, labels, recipe=recipe, seeds=SEEDS)
    answers = SCORE[training](module, trained, group)
    assert answers.shape == (len(SEEDS), EXAMPLES, outputs)
    for arm, seed in enumerate(SEEDS):
        torch.manual_seed(seed)
        alone, inputs = case[0](), degraded(group, arm)
        expected = training_oracles.trained(
            alone, inputs, labels.numpy(), seed=seed, **asdict(recipe)
        )
        for name, value in expected.items():
            torch.testing.assert_close(trained[name][arm], value, **CLOSE)
        torch.testing.assert_close(answers[arm], alone(torch.tensor(inputs)).detach(), **CLOSE)


def test_running_statistics_are_those_of_the_data() -> None:
    identity = nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 3))
    group, labels = batches(VALUES), class_labels()
    recipe = Recipe("sgd", learning_rate=0.01, epochs=100, batch_size=EXAMPLES)
    states = [identity.state_dict()] * len(COUNTS)
    trained = fit_stacked(identity, states, group, labels, recipe=recipe, seeds=SEEDS)
    for arm in range(len(COUNTS)):
        inputs = torch.tensor(degraded(group, arm))
        torch.testing.assert_close(trained["0.running_mean"][arm], inputs.mean(0), **CLOSE)
        torch.testing.assert_close(trained["0.running_var"][arm], inputs.var(0), atol=1e-3, rtol=0)
    assert trained["0.num_batches_tracked"].tolist() == [100] * len(COUNTS)


@pytest.mark.parametrize("training", ["stacked", "sequential"])
@pytest.mark.parametrize("make", [lambda: Encoder(0.3), MODULES["dropout"][0]])
def test_arms_of_a_seed_share_their_dropout_and_repeats_do_not(make, training: str) -> None:
    ids = isinstance(make(), Encoder)
    group = batches(TOKENS, ids=ids)
    group = RemovedByRank(group.shared, group.ranks, (0,) * 4)  # alike, but for their seeds
    module = make()
    states, labels = [module.state_dict()] * 4, class_labels()
    fit = {"recipe": Recipe(epochs=1, batch_size=EXAMPLES)}  # one step: the order plays no part
    torch.manual_seed(8)
    before = torch.random.get_rng_state()
    trained = FIT[training](module, states, group, labels, seeds=(1, 2, 1, 2), **fit)
    assert torch.equal(torch.random.get_rng_state(), before)
    again = FIT[training](module, states, group, labels, seeds=(1, 2, 1, 2), **fit)
    for name, value in trained.items():
        assert torch.equal(value, again[name])
        assert torch.equal(value[0], value[2])
        assert torch.equal(value[1], value[3])
    assert any(not torch.allclose(value[0], value[1]) for value in trained.values())


@pytest.mark.slow
@pytest.mark.parametrize("what", ["batch norm", "dropout", "convolutions"])
def test_the_sizes_of_groups_change_nothing_but_rounding(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, states, group, labels = material(MODULES[what])
    fit = {"recipe": replace(SGD, epochs=1), "seeds": SEEDS}
    whole = fit_stacked(module, states, group, labels, **fit)
    answers = score_stacked(module, whole, group)
    for size in (1, 2, 3):
        monkeypatch.setattr(stacked, "arms_at_once", lambda *_, size=size: size)
        cut = fit_stacked(module, states, group, labels, **fit)
        for name, value in whole.items():
            torch.testing.assert_close(cut[name], value, **CLOSE)
        torch.testing.assert_close(score_stacked(module, whole, group), answers, **CLOSE)


def test_groups_hold_every_arm_once_and_are_of_about_equal_size() -> None:
    for by_seed in (False, True):
        for size in (1, 2, 3, 7, 100):
            seeds = [3, 1, 3, 3, 2, 1, 3, 3, 3, 3, 3]
            cut = list(groups(seeds, size, by_seed=by_seed))
            assert sorted(arm for arms in cut for arm in arms) == list(range(len(seeds)))
            assert max(map(len, cut)) <= size
            if by_seed:
                assert all(len({seeds[arm] for arm in arms}) == 1 for arms in cut)
            else:
                assert max(map(len, cut)) - min(map(len, cut)) <= 1


def test_the_size_of_groups_follows_from_the_module_and_the_batch() -> None:
    small, sample = layers(nn.ReLU()), torch.zeros(2, 6)
    large = nn.Sequential(nn.Linear(6, 4000), nn.ReLU(), nn.Linear(4000, 3))
    assert stacked.arms_at_once(small, sample, 64) > stacked.arms_at_once(small, sample, 6400)
    assert stacked.arms_at_once(large, sample, 64) < stacked.arms_at_once(small, sample, 64)
    assert stacked.arms_at_once(large, sample, 10**9) == 1
    # 6 inputs and 8 activations are kept for the backward pass, 83 parameters four times.
    per_arm = 4 * (4 * 83 + 2 * 14 * 64)
    assert stacked.arms_at_once(small, sample, 64) == stacked.CPU_BYTES // per_arm
    everything = torch.zeros(1000, 6)
    assert stacked.arms_at_once(small, everything[:2], 64) == stacked.CPU_BYTES // per_arm


@pytest.mark.parametrize("training", ["stacked", "sequential"])
def test_a_last_batch_of_one_joins_the_one_before_for_batch_normalisation(training: str) -> None:
    module, states, _, _ = material(MODULES["batch norm"])
    group, labels = batches(VALUES, examples=33), class_labels(33)
    trained = FIT[training](module, states, group, labels, recipe=SGD, seeds=SEEDS)
    assert trained["1.num_batches_tracked"].tolist() == [2 * SGD.epochs] * len(SEEDS)


@pytest.mark.slow
def test_training_leaves_its_arguments_as_they_were() -> None:
    once = replace(SGD, epochs=1)
    for what in ("convolutions", "running mean", "dropout"):
        module, states, group, labels = material(MODULES[what])
        module.eval()
        before = {name: value.clone() for name, value in module.state_dict().items()}
        copies = [{name: value.clone() for name, value in one.items()} for one in states]
        for training in ("stacked", "sequential"):
            trained = FIT[training](module, states, group, labels, recipe=once, seeds=SEEDS)
            SCORE[training](module, trained, group)
            assert not module.training
            assert all(torch.equal(v, before[n]) for n, v in module.state_dict().items())
            for state, copy in zip(states, copies, strict=True):
                assert all(torch.equal(value, copy[name]) for name, value in state.items())


def test_frozen_parameters_stay_as_they_were() -> None:
    module, states, group, labels = material(MODULES["frozen"])
    for training in ("stacked", "sequential"):
        trained = FIT[training](module, states, group, labels, recipe=SGD, seeds=SEEDS)
        for arm, state in enumerate(states):
            assert torch.equal(trained["0.weight"][arm], state["0.weight"])
            assert not torch.equal(trained["3.weight"][arm], state["3.weight"])


def test_names_of_layers_that_are_used_twice() -> None:
    names = Names.of(Tied())
    assert names.aliases["second.weight"] == "first.weight"
    assert "second.weight" not in {*names.trained, *names.slots}
    assert names.buffers == ("norm.running_mean", "norm.running_var", "norm.num_batches_tracked")
    assert set(names.aliases) == set(Tied().state_dict())


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "lstm": (Recurrent, "vmap has no vectorised form of recurrent layers"),
    "cumulative statistics": (
        lambda: layers(nn.BatchNorm1d(8, momentum=None)),
        "batch normalisation with momentum=None counts its batches in Python",
    ),
    "weight norm": (
        lambda: nn.utils.parametrizations.weight_norm(nn.Linear(6, 3)),
        "vmap has no vectorised form of aten::_weight_norm_interface",
    ),
    "spectral norm": (
        lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(6, 3)),
        "vmap raises RuntimeError: ",
    ),
    "branching": (Branching, "vmap raises RuntimeError: vmap: "),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_stacked_says_why(what: str) -> None:
    make, reason = REFUSED[what]
    found = refusal(make(), torch.randn(2, 6), torch.tensor([0, 1]))
    assert found is not None
    assert found.startswith(reason)
    assert "\n" not in found


@pytest.mark.parametrize("what", MODULES)
def test_everything_else_can(what: str) -> None:
    module, _, group, labels = material(MODULES[what])
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    sample = torch.tensor(degraded(group, 0)[:2])
    assert refusal(module, sample, labels[:2]) is None
    assert torch.equal(torch.random.get_rng_state(), before)
    assert draws_random_numbers(module, sample) == (
        what in {"dropout", "dropout, values", "convolutions", "attention with dropout"}
    )
    assert torch.equal(torch.random.get_rng_state(), before)
