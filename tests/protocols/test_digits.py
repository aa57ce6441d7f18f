"""Protocols on real images: what must hold whatever the numbers are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from uproar.dataset import Data
from uproar.explain.gradients.paths import IntegratedGradients
from uproar.models.view import view_of
from uproar.protocols.experiment import Experiment, arms
from uproar.protocols.leakage import mask_only
from uproar.protocols.ranks import Ranking
from uproar.protocols.retrain_once import retrain_once, train_once
from uproar.protocols.roar import kar, roar
from uproar.ranking import rank
from uproar.testing import toy_experiment

pytestmark = pytest.mark.slow
FRACTIONS = (0.1, 0.5, 0.9)
SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def digits() -> tuple[Experiment, Data]:
    torch.set_num_threads(1)
    return toy_experiment("digits", model="mlp", optimiser="adam")


def random_ranking(data: Data) -> Ranking:
    generator = np.random.default_rng(0)
    shapes = [(len(part), *data.feature_shape) for part in (data.train, data.test)]
    return Ranking.of(*(rank(generator.random(shape)) for shape in shapes))


def integrated_gradients(experiment: Experiment, data: Data) -> Ranking:
    """Explain what a base model predicts, and rank by absolute importance."""
    state = experiment.fit(arms(experiment.train, random_ranking(data).train, [0.0]), [7])
    predictor = experiment.learner.predictor(state)
    model = view_of(data, predictor, torch.device("cpu"))
    parts = []
    for part in (data.train, data.test):
        inputs = torch.from_numpy(part.inputs)
        explain = IntegratedGradients()
        attribution = explain(model, inputs, model(inputs).argmax(1), torch.Generator())
        parts.append(rank(attribution.abs().sum(1).numpy()))
    return Ranking.of(*parts)


def test_random_keeping_is_random_removing_of_the_rest(digits: tuple[Experiment, Data]) -> None:
    experiment, data = digits
    ranking = random_ranking(data)
    removing = roar(experiment, ranking, fractions=FRACTIONS, seeds=SEEDS).mean((1, 2))
    keeping = kar(experiment, ranking, fractions=FRACTIONS, seeds=SEEDS).mean((1, 2))
    # 3 models on 359 test examples: the difference has a standard error of up to 0.02.
    assert keeping[::-1] == pytest.approx(removing, abs=0.07)
    assert (np.diff(removing) < 0.01).all()
    assert removing[0] > 0.9
    assert removing[-1] < 0.6


def test_the_shape_of_a_random_mask_says_nothing(digits: tuple[Experiment, Data]) -> None:
    experiment, data = digits
    accuracy = mask_only(experiment, random_ranking(data), fractions=(0.3, 0.7), seeds=SEEDS[:2])
    assert accuracy.mean((1, 2)) == pytest.approx(data.majority_rate, abs=0.05)


def test_retrain_once_tells_gradients_from_random_both_ways(
    digits: tuple[Experiment, Data],
) -> None:
    experiment, data = digits
    states = train_once(experiment, seeds=SEEDS[:2], epochs=60)
    ours = retrain_once(
        experiment, states, integrated_gradients(experiment, data), fractions=FRACTIONS
    )
    random = retrain_once(experiment, states, random_ranking(data), fractions=FRACTIONS)
    removed, kept = (
        mine.mean((1, 2)) - theirs.mean((1, 2)) for mine, theirs in zip(ours, random, strict=True)
    )
    assert removed.mean() < -0.05
    assert kept.mean() > 0.05
    assert random[0].mean((1, 2)) == pytest.approx(random[1].mean((1, 2))[::-1], abs=0.1)
