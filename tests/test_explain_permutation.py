"""Permutation importance: slow references and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression, LogisticRegression
from torch import Tensor

import oracles
from test_explain_perturbation import SHAPES, every, make, seeded
from uproar.explain import passes
from uproar.explain.permutation import Permutation
from uproar.models.trained import TrainedModel
from uproar.types import Skipped


def test_fewer_than_one_shuffling_is_refused() -> None:
    with pytest.raises(ValueError, match="repeats must be at least 1"):
        Permutation(0)


def held_out(layout: str, *, regression: bool) -> tuple[TrainedModel, Tensor]:
    model, _, _ = make(layout)
    shape, axes, groups = SHAPES[layout]
    inputs = torch.tensor(np.random.default_rng(1).normal(size=(40, *shape)))
    outputs = model(inputs)
    noise = torch.tensor(np.random.default_rng(2).normal(size=40)) / 4
    labels = outputs[:, 0] + noise if regression else (outputs + noise[:, None]).argmax(1)
    module = (lambda x: model(x)[:, :1]) if regression else model.module
    return TrainedModel(
        module, *[model.black] * 3, axes, groups=groups, held_out=(inputs, labels)
    ), inputs


def r_squared(predicted: np.ndarray, labels: np.ndarray) -> float:
    return 1 - float(((predicted - labels) ** 2).sum() / ((labels - labels.mean()) ** 2).sum())


@every
@pytest.mark.parametrize("regression", [False, True])
def test_permutation_is_the_loop_over_features(
    layout: str, regression: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, inputs = held_out(layout, regression=regression)
    labels = model.held_out[1].numpy()
    drawing = seeded()
    orders = [torch.randperm(len(inputs), generator=drawing).tolist() for _ in range(3)]

    def score(values: np.ndarray) -> float:
        answers = model(torch.tensor(values)).numpy()
        if regression:
            return r_squared(answers[:, 0], labels)
        return float((answers.argmax(1) == labels).mean())

    groups = model.feature_of_value(inputs).numpy()
    expected = oracles.permutation_importance(score, inputs.numpy(), groups, orders)
    for rows in (7, 2048):  # a pass that ends within an example, and one that takes all
        monkeypatch.setattr(passes, "MOST_ROWS", rows)
        found = Permutation(repeats=3).measure(model, seeded()).values
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("regression", [False, True])
def test_scikit_learn_finds_the_same_on_average(regression: bool) -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(size=(400, 3)).astype(np.float32)
    signal = values @ np.array([2.0, -1.0, 0.0])
    labels = signal.astype(np.float32) if regression else (signal > 0).astype(np.int64)
    estimator = (LinearRegression() if regression else LogisticRegression()).fit(values, labels)

    def module(inputs: Tensor) -> Tensor:
        if regression:
            return torch.tensor(estimator.predict(inputs.numpy()))[:, None]
        return torch.tensor(estimator.predict_proba(inputs.numpy()))

    model = TrainedModel(
        module, *[torch.zeros(3)] * 3, 1, held_out=(torch.tensor(values), torch.tensor(labels))
    )
    found = Permutation(repeats=40).measure(model, seeded()).values
    theirs = permutation_importance(estimator, values, labels, n_repeats=40, random_state=0)
    errors = theirs.importances_std / np.sqrt(40) + 1e-3
    assert (np.abs(found - theirs.importances_mean) < 5 * errors).all()
    if regression:  # two variances over the variance of the labels: 2 * 4 / 5 and 2 * 1 / 5
        np.testing.assert_allclose(found, [1.6, 0.4, 0.0], atol=0.15)


def test_without_held_out_examples_it_is_skipped() -> None:
    model, inputs, _ = make("table")
    with pytest.raises(Skipped, match="needs held-out examples, and there are none"):
        Permutation().measure(model, seeded())
    empty = TrainedModel(
        model.module, *[model.black] * 3, 1, held_out=(inputs[:0], torch.zeros(0).long())
    )
    with pytest.raises(Skipped, match="needs held-out examples"):
        Permutation().measure(empty, seeded())
    constant = TrainedModel(
        model.module, *[model.black] * 3, 1, held_out=(inputs, torch.ones(len(inputs)))
    )
    with pytest.raises(Skipped, match="all held-out labels are equal"):
        Permutation().measure(constant, seeded())


def test_more_shufflings_and_other_seeds_change_the_estimate() -> None:
    model, _ = held_out("table", regression=True)
    once, again, other, more = (
        Permutation(repeats).measure(model, torch.Generator().manual_seed(seed)).values
        for repeats, seed in ((1, 0), (1, 0), (1, 1), (2, 0))
    )
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)
    assert not np.array_equal(once, more)
