"""Models that have learned nothing: what `untrained-` explains, for every kind of learner."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from tests.support import kinds
from tests.support.small_data import factory, ranked, small
from uproar.models.estimators.learner import EstimatorLearner
from uproar.models.frozen import FineTunedLearner, FrozenLearner
from uproar.models.learner import Learner
from uproar.models.randomness import reinitialised
from uproar.models.training.ways import TorchLearner, initialise
from uproar.types import Recipe, Skipped

DATA = small("table")
BATCHES = ranked(DATA, (0,))
LABELS = torch.from_numpy(DATA.train.labels)
INPUTS = torch.from_numpy(DATA.train.inputs)
VALUES = INPUTS[:, 0] - 2 * INPUTS[:, 1]
RECIPE = Recipe(epochs=2)


class OfOnesOwn(nn.Module):
    """Parameters of its own, which only their author knows how to draw."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.arange(18.0).view(6, 3))
        self.register_buffer("scale", torch.tensor(7.0))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs @ self.weight * self.scale


def trained(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return factory("mlp", DATA)()


def weights(module: nn.Module) -> list[Tensor]:
    return [value.detach().clone() for value in module.state_dict().values()]


def same(first: nn.Module, second: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(first), weights(second), strict=True))


# --- weights that are drawn anew ------------------------------------------------------------------


def test_every_layer_draws_anew_as_when_it_was_made() -> None:
    module = nn.Sequential(
        *(nn.Conv1d(1, 4, 3), nn.BatchNorm1d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)),
    )
    with torch.no_grad():
        for value in module.parameters():
            value.fill_(100.0)
        module[1].running_mean.fill_(5.0)
    before = weights(module)
    fresh = reinitialised(module.requires_grad_(requires_grad=False), 0)
    assert all(torch.equal(a, b) for a, b in zip(before, weights(module), strict=True))
    for part in (fresh[0], fresh[4]):
        bound = 1 / part.weight[0].numel() ** 0.5
        assert part.weight.abs().max() <= bound
        assert part.weight.std() == pytest.approx(bound / 3**0.5, rel=0.3)
    assert fresh[1].weight.tolist() == [1.0] * 4
    assert not fresh[1].running_mean.any()


def test_seeds_decide_and_global_generators_are_put_back() -> None:
    module, state = trained(), torch.get_rng_state()
    first, again, other = (reinitialised(module, seed) for seed in (1, 1, 2))
    assert same(first, again)
    assert not same(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_parameters_of_ones_own_are_shuffled_and_buffers_kept() -> None:
    module = OfOnesOwn()
    fresh = reinitialised(module, 0)
    assert not torch.equal(fresh.weight, module.weight)
    assert sorted(fresh.weight.flatten().tolist()) == list(range(18))
    assert fresh.scale == 7.0


class Gated(nn.Linear):
    """A layer whose reset leaves one of its parameters out."""

    def __init__(self) -> None:
        super().__init__(6, 3)
        self.gate = nn.Parameter(torch.arange(6.0))

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs * self.gate)


def test_what_a_reset_leaves_as_it_is_is_shuffled() -> None:
    module = Gated()
    fresh = reinitialised(module, 1)
    assert not torch.equal(fresh.weight, module.weight)
    assert not torch.equal(fresh.gate, module.gate)
    assert sorted(fresh.gate.tolist()) == list(range(6))


def test_weights_that_are_computed_are_other_ones() -> None:
    module = nn.utils.parametrizations.weight_norm(nn.Linear(6, 3))
    fresh = reinitialised(module, 0)
    assert not torch.allclose(fresh.weight, module.weight)


def test_what_has_no_weights_is_skipped() -> None:
    with pytest.raises(Skipped, match="Flatten has no weights that could be random"):
        reinitialised(nn.Flatten(), 0)


# --- every kind of learner ------------------------------------------------------------------------

LEARNERS: dict[str, Learner] = {
    "scratch": TorchLearner(factory("mlp", DATA), "dense"),
    "linear": EstimatorLearner(LogisticRegression(), 3, 1),
    "forest": EstimatorLearner(make_pipeline(StandardScaler(), RandomForestClassifier(10)), 3, 1),
    "trained": FrozenLearner(trained(), 3),
    "trained further": FineTunedLearner(trained(), "stacked"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LEARNERS)
def test_an_untrained_model_answers_by_its_seed_and_knows_nothing(name: str) -> None:
    learner = LEARNERS[name]
    models = [
        learner.untrained(BATCHES, LABELS, seed=seed, recipe=RECIPE) for seed in (1, 1, *range(20))
    ]
    with torch.no_grad():
        first, again, *others = (model(INPUTS) for model in models)
    assert first.shape == (len(INPUTS), 3)
    assert torch.equal(first, again)
    assert not torch.allclose(others[0], others[1])
    right = [float((answers.argmax(1) == LABELS).float().mean()) for answers in others]
    # The forest has seen the labels of these inputs, shuffled; the centres are one draw of data.
    assert np.mean(right) == pytest.approx(1 / 3, abs=0.12)
    if isinstance(models[0], nn.Module):
        assert not models[0].training
        assert not any(value.requires_grad for value in models[0].parameters())


def test_an_untrained_module_is_a_new_one_and_not_the_trained() -> None:
    learner = LEARNERS["scratch"]
    fitted = learner.predictor(learner.fit(BATCHES, LABELS, seeds=[1], recipe=RECIPE))
    untrained = learner.untrained(BATCHES, LABELS, seed=1, recipe=RECIPE)
    assert same(untrained, initialise(factory("mlp", DATA), 1))
    assert not same(untrained, fitted)


def test_the_trained_module_stays_as_it_is() -> None:
    module = trained()
    before = copy.deepcopy(module)
    for learner in (FrozenLearner(module, 3), FineTunedLearner(module, "stacked")):
        untrained = learner.untrained(BATCHES, LABELS, seed=0, recipe=RECIPE)
        assert isinstance(untrained, nn.Module)
        assert not same(untrained, module)
    assert same(module, before)
    assert all(value.requires_grad for value in module.parameters())


@pytest.mark.parametrize(("labels", "classes"), [(LABELS, 3), (VALUES, 0)])
def test_an_untrained_estimator_was_fitted_to_shuffled_labels(labels: Tensor, classes: int) -> None:
    made = LogisticRegression() if classes else Ridge()
    model = EstimatorLearner(made, classes, 1).untrained(BATCHES, labels, seed=5, recipe=RECIPE)
    shuffled = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(5))]
    expected = made.fit(INPUTS.numpy(), shuffled.numpy())
    np.testing.assert_allclose(model.estimator.coef_, expected.coef_, rtol=1e-4)
    assert not torch.equal(shuffled, labels)


def test_a_function_has_no_weights() -> None:
    learner = FrozenLearner(lambda inputs: inputs[:, :3], 3)
    with pytest.raises(Skipped, match="a function has no weights that could be random"):
        learner.untrained(BATCHES, LABELS, seed=0, recipe=RECIPE)


# --- from end to end ------------------------------------------------------------------------------


def scores(inputs: np.ndarray) -> np.ndarray:
    value = inputs[:, :3].sum(1)
    return np.stack([-value, value], 1)


def module() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))


def trained_by_hand() -> nn.Module:
    made = module()
    with torch.no_grad():
        for value in made.parameters():
            value.zero_()
        made[0].weight[0, :3], made[0].weight[1, :3] = 1.0, -1.0
        made[2].weight[:, :2] = torch.tensor([[-1.0, 1.0], [1.0, -1.0]])
    return made


MODELS = {
    "from scratch": module,
    "estimator": LogisticRegression(),
    "trained": trained_by_hand(),
    "function": scores,
}
NAMES = ["abs-occlusion", "untrained-abs-occlusion", "untrained-global-occlusion"]


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_untrained_variants_from_end_to_end(name: str, tmp_path: Path) -> None:
    gradients = [] if name in {"estimator", "function"} else ["untrained-grad"]
    explainers = [*NAMES, *gradients]
    result = kinds.measured(
        MODELS[name], kinds.table(), tmp_path, explainers=explainers, protocols=["no-retrain"]
    )
    assert result.failed == ()
    skipped = dict(result.skipped)
    expected = [one for one in explainers if "untrained" in one]
    if name == "function":
        assert skipped == {
            f"explain: {one}": "a function has no weights that could be random"
            for one in ("untrained-occlusion", "untrained-global-occlusion")
        }
        expected = []
    else:
        assert skipped == {}
    verdicts = {one: kinds.verdicts(result, one)["no-retrain"] for one in expected}
    assert kinds.verdicts(result, "abs-occlusion") == {"no-retrain": "better"}
    gains = result.conclusions.gains.set_index("explainer")["gain"]
    for one in verdicts:
        assert gains[one] < gains["abs-occlusion"] - 0.02
