"""Leave one covariate out: refits on the bench against slow loops, closed forms, nulls."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression
from torch import Tensor

from tests.support import gaussians, oracles
from tests.support.kinds import measured, table
from tests.support.small_data import LAYOUTS, experiment, small
from uproar.bench import refits
from uproar.bench.refits import without_each
from uproar.dataset import Data
from uproar.explain.function.loco import LeaveOneOut
from uproar.models.estimators.learner import EstimatorLearner
from uproar.models.frozen import FrozenLearner
from uproar.models.training.batches import SharedInputs, WithoutOne
from uproar.types import Recipe, Skipped


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_wrong_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="refits must be at least 1"):
        LeaveOneOut(refits=0)
    with pytest.raises(ValueError, match="loss must be one of"):
        LeaveOneOut(loss="hinge")


# --- the estimate ---------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["auto", "zero-one"])
def test_losses_are_averaged_over_refits_before_they_are_tested(loss: str) -> None:
    labels, outputs = torch.tensor([0, 1, 1]), {}

    def refits(seed: int) -> Tensor:
        drawing = torch.Generator().manual_seed(seed)
        outputs[seed] = torch.randn(3, 3, 2, generator=drawing)
        return outputs[seed]

    model = replace(
        gaussians.model_of(np.ones(2), 0.0, (np.zeros((3, 2)), np.zeros(3)), np.zeros((3, 2))),
        held_out=(torch.zeros(3, 2), labels),
        refits=refits,
    )
    found = LeaveOneOut(refits=4, loss=loss).measure(model, seeded())
    assert len(outputs) == 4  # seeds differ

    def example(output: np.ndarray, label: int) -> float:
        if loss == "zero-one":
            return float(output.argmax() != label)
        return oracles.example_loss(output, label)

    for feature in range(2):
        rises = [
            np.mean(
                [
                    example(arms[1 + feature, one].numpy(), label)
                    - example(arms[0, one].numpy(), label)
                    for arms in outputs.values()
                ]
            )
            for one, label in enumerate(labels.tolist())
        ]
        assert found.values[feature] == pytest.approx(np.mean(rises), abs=1e-5)
        assert found.errors[feature] == pytest.approx(np.std(rises, ddof=1) / 3**0.5, abs=1e-5)


def test_the_closed_form() -> None:
    generator = np.random.default_rng(0)
    model = gaussians.fitted(
        *(gaussians.SLOPES, gaussians.COVARIANCE, generator),
        train=5_000,
        held_out=20_000,
        noise=0.5,
    )
    found = LeaveOneOut(refits=1).measure(model, seeded())
    expected = gaussians.SLOPES**2 * gaussians.CONDITIONAL
    np.testing.assert_allclose(found.values, expected, rtol=0.05)


@pytest.mark.slow
def test_true_nulls_are_rejected_as_often_as_they_should_be() -> None:
    nulls = np.array([1.0, -0.5, 0.0, 0.0])
    rate = gaussians.null_rejections(LeaveOneOut(refits=1), gaussians.COVARIANCE, nulls, runs=300)
    assert 0.02 <= rate <= 0.09


def test_what_cannot_be_trained_is_skipped() -> None:
    held_out = np.zeros((4, 2)), np.zeros(4)
    model = gaussians.model_of(np.ones(2), 0.0, held_out, np.zeros((4, 2)))
    with pytest.raises(Skipped, match="loco trains the model again, and this one cannot"):
        LeaveOneOut().measure(model, seeded())
    with pytest.raises(Skipped, match="loco needs held-out examples"):
        LeaveOneOut().measure(replace(model, held_out=None), seeded())


# --- refits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [*LAYOUTS, "groups"])
def test_every_arm_lacks_one_feature(layout: str) -> None:
    groups = torch.tensor([0, 1, 1, 0, 2]) if layout == "groups" else None
    shape = (5,) if layout == "groups" else LAYOUTS[layout]
    features = 3 if layout == "groups" else small(layout).features
    inputs = torch.randn(6, *shape, generator=seeded())
    flat = inputs.flatten(1)
    shared = SharedInputs(flat, torch.full((1, flat.shape[1]), 0.5), features, shape, groups=groups)
    batches = WithoutOne(shared, (-1, *range(features)))
    index = torch.tensor([4, 0, 2]).expand(batches.arms, -1)
    whole = batches.batch(slice(0, batches.arms), index, ())
    some = batches.batch(slice(1, 3), index[1:3], ())
    assert torch.equal(some, whole[1:3])
    assert not batches.fresh
    of_value = groups if groups is not None else torch.arange(flat.shape[1]) % features
    assert torch.equal(whole[0], flat[[4, 0, 2]])
    for feature in range(features):
        expected = torch.where(of_value == feature, 0.5, flat[[4, 0, 2]])
        assert torch.equal(whole[1 + feature], expected)


def without(data: Data, feature: int) -> Data:
    """Return the data with zeros in a column."""
    parts = {}
    for name in ("train", "validation"):
        part = getattr(data, name)
        inputs = part.inputs.copy()
        inputs[:, feature] = 0
        parts[name] = replace(part, inputs=inputs)
    return replace(data, **parts)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["dense", "stacked"])
def test_models_are_those_of_data_without_the_column(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, recipe = small("table"), Recipe(epochs=3)
    held_out = torch.from_numpy(data.validation.inputs)
    worker = experiment(data, recipe=recipe, training=way, removal="zero")
    found = without_each(worker, held_out, seed=3)
    assert found.shape == (7, 12, 3)
    for feature in (0, 4):
        alone = without(data, feature)
        own = experiment(alone, recipe=recipe, training=way, removal="zero")
        expected = without_each(own, torch.from_numpy(alone.validation.inputs), seed=3)[0]
        torch.testing.assert_close(found[1 + feature], expected, rtol=1e-3, atol=1e-4)
    monkeypatch.setattr(refits, "ARMS", 3)  # fewer models at once are the same models
    torch.testing.assert_close(without_each(worker, held_out, seed=3), found, rtol=1e-3, atol=1e-4)


def test_estimators_are_fitted_without_the_column() -> None:
    data = small("table")
    values = np.random.default_rng(0).standard_normal(len(data.train)).astype(np.float32)
    data = replace(data, class_names=(), train=replace(data.train, labels=values))
    worker = replace(
        experiment(data, removal="zero"),
        learner=EstimatorLearner(LinearRegression(), classes=0, processes=1),
    )
    found = without_each(worker, torch.from_numpy(data.validation.inputs), seed=0)
    for feature in range(-1, 6):
        kept = [value for value in range(6) if value != feature]
        fitted = LinearRegression().fit(data.train.inputs[:, kept], values)
        expected = fitted.predict(data.validation.inputs[:, kept])
        np.testing.assert_allclose(found[1 + feature, :, 0], expected, atol=1e-4)


def test_frozen_models_are_skipped() -> None:
    data = small("table")
    frozen = FrozenLearner(lambda inputs: inputs[:, :3], answers=3)
    worker = replace(experiment(data, removal="zero"), learner=frozen)
    with pytest.raises(Skipped, match="cannot be trained from scratch"):
        without_each(worker, torch.from_numpy(data.validation.inputs), seed=0)


@pytest.mark.slow
def test_from_end_to_end_it_finds_the_columns_that_matter(tmp_path: Path) -> None:
    names = ["loco:refits=1", "untrained-loco"]
    result = measured("linear", table(), tmp_path, protocols=["no-retrain"], explainers=names)
    found = result.function().query("explainer == 'loco:refits=1'")
    assert set(found["feature"][found["p_value"] < 0.01]) == {"x0", "x1", "x2"}
    assert "cannot be trained" in str(result.skipped)
