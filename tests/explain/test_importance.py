"""Importance of the function: tests of differences, and means of local explanations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import ttest_1samp
from torch import nn

from tests.support.kinds import measured, table
from tests.support.small_data import small
from uproar.bench.consumers import RankedExplanation
from uproar.bench.explaining import explain
from uproar.dataset import Data, Split
from uproar.explain import EXPLAINERS
from uproar.explain.family import explain_family
from uproar.explain.importance import Importance, mean_absolute
from uproar.explain.names import parse
from uproar.models.architectures.small import mlp
from uproar.models.trained import TrainedModel
from uproar.models.view import view_of
from uproar.ranking import rank
from uproar.types import Recipe, Skipped

CPU = torch.device("cpu")


# --- tests ----------------------------------------------------------------------------------------


def test_the_test_of_differences_is_students() -> None:
    differences = np.random.default_rng(0).normal(0.1, 1.0, (6, 25))
    found = Importance.of_differences(differences)
    test = ttest_1samp(differences, 0.0, axis=1, alternative="greater")
    np.testing.assert_allclose(found.p_values, test.pvalue)
    np.testing.assert_allclose(found.values / found.errors, test.statistic)
    np.testing.assert_allclose(found.values, differences.mean(1))


def test_equal_differences_speak_for_themselves() -> None:
    found = Importance.of_differences(np.array([[0.0, 0.0], [0.5, 0.5], [-0.5, -0.5]]))
    assert found.p_values.tolist() == [1.0, 0.0, 1.0]
    assert found.errors.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_differences_that_are_no_numbers_are_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="differences of losses must be finite numbers"):
        Importance.of_differences(np.array([[0.0, wrong]]))


def test_an_importance_stands_for_every_input_and_every_value() -> None:
    model = TrainedModel(nn.Flatten(), *[torch.zeros(2, 3)] * 3, feature_axes=1)
    found = Importance.of(np.array([2.0, 4.0, -6.0])).like(model, torch.zeros(5, 2, 3))
    assert found.tolist() == [[[1.0, 2.0, -3.0]] * 2] * 5


@pytest.mark.parametrize(
    "entry", [e for e in EXPLAINERS if e.scope == "global"], ids=lambda e: e.name
)
def test_explainers_of_the_function_say_what_they_estimate(entry: Any) -> None:
    assert entry.estimand
    assert entry.estimand[0].islower()
    assert not entry.estimand.endswith(".")
    assert entry.draws != "each"


# --- local explanations, averaged -----------------------------------------------------------------


def made(layout: str) -> tuple[TrainedModel, Data]:
    data = small(layout)
    torch.manual_seed(0)
    module = mlp(data).eval().requires_grad_(requires_grad=False)
    return view_of(data, module, CPU), data


def explained(layout: str, *names: str) -> dict[str, RankedExplanation]:
    seen, data = made(layout)
    zeros = {part: np.zeros(len(getattr(data, part)), np.int64) for part in ("train", "test")}
    return explain(
        *(seen, data, [parse(name) for name in names]),
        targets=zeros,
        explainers={},
        seed=7,
        lots=0,
        kept=[0, 2],
    )


@pytest.mark.parametrize("layout", ["table", "colour"])
@pytest.mark.parametrize(
    ("name", "local"),
    [
        ("global-grad", "grad"),
        ("global-abs-grad", "abs-grad"),
        ("global-sq-ig:steps=3", "sq-ig:steps=3"),
        ("global-occlusion", "occlusion"),
    ],
)
def test_global_is_the_mean_absolute_importance_of_held_out_examples(
    layout: str, name: str, local: str
) -> None:
    seen, data = made(layout)
    inputs, _ = seen.held_out
    predicted = seen(inputs).argmax(1)
    base = parse(local)
    (one,) = explain_family(
        *(base.load(), [base], seen, inputs, predicted), lambda _: torch.Generator()
    )
    sizes = np.abs(one.importance.reshape(len(inputs), -1).astype(np.float64))
    found = explained(layout, name)[name]
    np.testing.assert_allclose(found.function.values, sizes.mean(0), rtol=1e-5)
    errors = sizes.std(0, ddof=1) / len(inputs) ** 0.5
    np.testing.assert_allclose(found.function.errors, errors, rtol=1e-5)
    assert np.isnan(found.function.p_values).all()
    shape = data.feature_shape
    ranks = rank(found.function.values.astype(np.float32).reshape(1, *shape))
    np.testing.assert_array_equal(found.train, np.broadcast_to(ranks, (70, *shape)))
    np.testing.assert_array_equal(found.test, np.broadcast_to(ranks, (40, *shape)))


def test_channels_that_cancel_do_so_before_and_not_after_absolute_values() -> None:
    """``global-grad`` is of each feature's sum over channels, ``global-abs-grad`` of each value."""
    found = explained("colour", "global-grad", "global-abs-grad")
    plain, absolute = (found[name].function.values for name in found)
    assert (plain <= absolute + 1e-7).all()
    assert (plain < 0.9 * absolute).any()


def test_global_of_noisy_members_is_of_the_same_passes() -> None:
    found = explained("table", "global-sg-grad:samples=3", "global-abs-sg-grad:samples=3")
    plain, absolute = (found[name].function.values for name in found)
    np.testing.assert_allclose(plain, absolute)  # a column has one value


@pytest.mark.slow
def test_untrained_global_explains_a_model_that_has_learned_nothing(tmp_path: Path) -> None:
    names = ["global-grad", "global-abs-grad", "untrained-global-grad"]
    recipe = Recipe(epochs=30, learning_rate=5e-2)
    result = measured(
        "linear", table(), tmp_path, protocols=["no-retrain"], explainers=names, recipe=recipe
    )
    found = result.function().pivot_table(index="explainer", columns="feature", values="importance")
    assert (found > 0).all(axis=None)
    informative = found[["x0", "x1", "x2"]].sum(axis=1) / found.sum(axis=1)
    assert informative["global-grad"] > 0.7
    assert informative["untrained-global-grad"] < 0.6  # three of eight columns
    np.testing.assert_allclose(found.loc["global-grad"], found.loc["global-abs-grad"])


def test_global_needs_held_out_examples() -> None:
    _, data = made("table")
    empty = Split(data.train.inputs[:0], data.train.labels[:0])
    torch.manual_seed(0)
    module = mlp(data).eval().requires_grad_(requires_grad=False)
    seen = view_of(replace(data, validation=empty), module, CPU)
    with pytest.raises(Skipped, match="an explanation of the function needs held-out examples"):
        explain(
            *(seen, data, [parse("global-grad")]),
            targets={},
            explainers={},
            seed=0,
            lots=0,
            kept=[0],
        )


def test_explainers_are_skipped_where_they_are_for_other_data() -> None:
    with pytest.raises(Skipped, match="cfi is for tables, and these data are images"):
        explained("grey", "cfi")
    assert explained("table", "cfi")["cfi"].function.values.any()


def test_of_one_example_there_is_no_error() -> None:
    found = mean_absolute(np.array([[1.0, -2.0]]))
    assert found.values.tolist() == [1.0, 2.0]
    assert np.isnan(found.errors).all()


@pytest.mark.parametrize("prefix", ["abs", "sq"])
def test_aggregations_of_the_function_have_errors_of_their_own_and_no_test(prefix: str) -> None:
    found = explained("table", "pfi", f"{prefix}-pfi")
    plain, other = found["pfi"].function, found[f"{prefix}-pfi"].function
    sizes, errors = np.abs(plain.values), plain.errors
    assert (errors > 0).any()
    expected = (sizes, errors) if prefix == "abs" else (sizes**2, 2 * sizes * errors + errors**2)
    np.testing.assert_allclose(other.values, expected[0])
    np.testing.assert_allclose(other.errors, expected[1])
    assert np.isnan(other.p_values).all()
