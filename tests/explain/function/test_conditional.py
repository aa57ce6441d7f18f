"""Conditional permutation importance: slow references, closed forms, degenerate cases, nulls."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.explain.function.test_permutation import held_out
from tests.explain.perturbation.test_occlusion import every, make, seeded
from tests.support import gaussians, oracles
from uproar.explain import coalitions
from uproar.explain.function.conditional import RIDGE, ConditionalPermutation
from uproar.explain.function.permutation import Permutation
from uproar.types import Skipped


def test_fewer_than_one_shuffling_is_refused() -> None:
    with pytest.raises(ValueError, match="repeats must be at least 1"):
        ConditionalPermutation(repeats=0)
    with pytest.raises(ValueError, match="loss must be one of"):
        ConditionalPermutation(loss="hinge")


@every
@pytest.mark.parametrize("regression", [False, True])
def test_it_is_the_loop_over_features(
    layout: str, regression: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, inputs = held_out(layout, regression=regression)
    labels, groups = model.held_out[1].numpy(), model.feature_of_value(inputs).numpy()
    flat = inputs.flatten(1).numpy()
    residuals = oracles.conditional_residuals(
        flat, model.background.flatten(1).numpy(), groups, RIDGE
    )
    drawing = seeded()
    orders = [torch.randperm(len(inputs), generator=drawing).numpy() for _ in range(2)]

    def mean_loss(values: np.ndarray) -> float:
        answers = model(torch.tensor(values).view(inputs.shape)).numpy()
        pairs = zip(answers, labels, strict=True)
        return float(np.mean([oracles.example_loss(one, label) for one, label in pairs]))

    expected = []
    for feature in range(int(groups.max()) + 1):
        rises = []
        for order in orders:
            own, drawn = groups == feature, flat.copy()
            drawn[:, own] = flat[:, own] - residuals[:, own] + residuals[order][:, own]
            rises.append(mean_loss(drawn) - mean_loss(flat))
        expected.append(np.mean(rises))
    for rows in (7, 2048):
        for limit in ("ROWS", "CONVOLUTION_ROWS", "FUNCTION_ROWS"):
            monkeypatch.setattr(coalitions, limit, rows)
        found = ConditionalPermutation(repeats=2).measure(model, seeded()).values
        np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-10)


def test_the_closed_form() -> None:
    generator = np.random.default_rng(0)
    inputs = gaussians.inputs_of(20_000, gaussians.COVARIANCE, generator)
    labels = inputs @ gaussians.SLOPES + generator.standard_normal(len(inputs)) / 2
    background = gaussians.inputs_of(5_000, gaussians.COVARIANCE, generator)
    model = gaussians.model_of(gaussians.SLOPES, 0.0, (inputs, labels), background)
    found = ConditionalPermutation().measure(model, seeded())
    expected = 2 * gaussians.SLOPES**2 * gaussians.CONDITIONAL
    np.testing.assert_allclose(found.values, expected, rtol=0.05)
    shuffled = Permutation().measure(model, seeded()).values
    assert (shuffled > 1.1 * found.values).all()  # every column is related to another


def test_a_copied_column_is_worth_nothing_and_unrelated_ones_as_in_pfi() -> None:
    generator = np.random.default_rng(0)
    inputs = generator.standard_normal((2_000, 3))
    inputs[:, 1] = inputs[:, 0]
    whole = inputs @ np.array([1.0, 1.0, 1.0])
    model = gaussians.model_of(np.ones(3), 0.0, (inputs, whole), inputs)
    found = ConditionalPermutation().measure(model, seeded()).values
    shuffled = Permutation().measure(model, seeded()).values
    np.testing.assert_allclose(shuffled, 2.0, rtol=0.1)
    np.testing.assert_allclose(found, [0.0, 0.0, shuffled[2]], atol=0.01)


def test_of_a_single_training_example_nothing_is_learned() -> None:
    model, _ = held_out("table", regression=True)
    few = replace(model, background=model.background[:1])
    np.testing.assert_allclose(
        ConditionalPermutation().measure(few, seeded()).values,
        Permutation().measure(few, seeded()).values,
        rtol=1e-9,
    )


def test_scale_and_shift_of_columns_change_nothing() -> None:
    model, _ = held_out("table", regression=True)
    scales = torch.tensor([1.0, 10.0, 0.1, 3.0, 1.0]).double()
    shifted = replace(
        model,
        module=lambda inputs: model.module((inputs - 5.0) / scales),
        held_out=(model.held_out[0] * scales + 5.0, model.held_out[1]),
        background=model.background * scales + 5.0,
    )
    expected = ConditionalPermutation().measure(model, seeded())
    found = ConditionalPermutation().measure(shifted, seeded())
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-7)
    np.testing.assert_allclose(found.p_values, expected.p_values, rtol=1e-6)


@pytest.mark.slow
def test_true_nulls_are_rejected_as_often_as_they_should_be() -> None:
    """Columns that the label does not depend on, and that are correlated with those it does."""
    nulls = np.array([1.0, -0.5, 0.0, 0.0])
    rate = gaussians.null_rejections(
        ConditionalPermutation(), gaussians.COVARIANCE, nulls, runs=300
    )
    assert 0.02 <= rate <= 0.09


def test_without_examples_and_of_words_it_is_skipped() -> None:
    model, _ = held_out("table", regression=True)
    with pytest.raises(Skipped, match="makes numbers between those of training examples"):
        ConditionalPermutation().measure(replace(model, kind="text"), seeded())
    with pytest.raises(Skipped, match="learns what features tell of each other from training"):
        ConditionalPermutation().measure(replace(model, background=None), seeded())
    with pytest.raises(Skipped, match="conditional permutation importance needs held-out"):
        ConditionalPermutation().measure(make("table")[0], seeded())
