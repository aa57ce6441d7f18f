"""Families: ensembles against explicit loops over the same noise, aggregation, sharing, checks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor, nn

from tests.support import oracles
from uproar.explain import family
from uproar.explain.aggregation import aggregate
from uproar.explain.chunks import rows_per_pass
from uproar.explain.family import explain_family
from uproar.explain.gradients.gradients import gradient
from uproar.explain.names import parse
from uproar.models.trained import TrainedModel
from uproar.ranking import rank

SPREAD = torch.tensor([2.0, 0.5, 1.0, 4.0])


def table_model() -> TrainedModel:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3)).requires_grad_(False)
    return TrainedModel(module, torch.zeros(4), torch.full((4,), 0.3), SPREAD, 1)


def inputs_of(examples: int) -> tuple[Tensor, Tensor]:
    inputs = torch.tensor(np.random.default_rng(0).normal(size=(examples, 4)), dtype=torch.float32)
    return inputs, torch.arange(examples) % 3


def generator_for(label: str) -> torch.Generator:
    return torch.Generator().manual_seed(sum(label.encode()))


def explain(
    names: Sequence[str],
    *,
    examples: int = 6,
    explainer: object = None,
    chunk_bytes: int = 2**20,
) -> dict[str, np.ndarray]:
    parsed = [parse(name, ["mine"]) for name in names]
    used = explainer or parsed[0].load()
    assert callable(used)
    explained = explain_family(
        used, parsed, table_model(), *inputs_of(examples), generator_for, chunk_bytes=chunk_bytes
    )
    return {one.name.name: one.importance for one in explained}


@pytest.mark.parametrize("base", ["grad", "ig", "gb", "input-x-grad"])
def test_ensembles_against_loops_over_the_same_noise(base: str) -> None:
    got = explain([f"{prefix}-{base}:samples=5:noise=0.3" for prefix in ("sg", "sgsq", "var")])
    model, (inputs, targets) = table_model(), inputs_of(6)
    generator = generator_for(f"{base}:samples=5:noise=0.3 noise")
    samples = []
    for _ in range(5):
        noisy = inputs + 0.3 * SPREAD * torch.randn(6, 4, generator=generator)
        attribution = parse(base).load()(model, noisy, targets, torch.Generator())
        samples.append(attribution.double().numpy())
    expected = [oracles.smooth_grad, oracles.smooth_grad_squared, oracles.var_grad]
    for importance, oracle in zip(got.values(), expected, strict=True):
        np.testing.assert_allclose(importance, oracle(samples), rtol=1e-4, atol=1e-6)


def test_variance_does_not_cancel() -> None:
    def far_from_zero(
        model: TrainedModel, inputs: Tensor, targets: Tensor, generator: torch.Generator
    ) -> Tensor:
        return 1e4 + inputs  # the square of 1e4 leaves no digits for a variance of 0.01

    got = explain(["var-mine:samples=200:noise=0.1"], explainer=far_from_zero, examples=50)
    np.testing.assert_allclose(
        got["var-mine:samples=200:noise=0.1"].mean(0), 0.01 * SPREAD**2, rtol=0.1
    )


@pytest.mark.parametrize("base", ["grad", "ig", "gb"])
def test_one_sample_without_noise_is_the_base(base: str) -> None:
    options = ":samples=1:noise=0"
    plain = explain([base, f"abs-{base}"])[base]
    got = explain([f"{prefix}-{base}{options}" for prefix in ("sg", "sgsq", "var")])
    mean, squares, variance = got.values()
    assert np.array_equal(mean, plain)
    np.testing.assert_allclose(squares, plain**2, rtol=1e-6)
    assert not variance.any()


def test_variance_of_one_noisy_sample_is_zero() -> None:
    assert not explain(["var-grad:samples=1"])["var-grad:samples=1"].any()


@pytest.mark.parametrize("option", ["samples=3", "noise=0.5", "steps=3", "baseline=mean"])
def test_every_parameter_changes_the_outcome(option: str) -> None:
    parsed = parse(f"sg-ig:{option}")
    model, data = table_model(), inputs_of(6)
    same_seed = [
        next(
            explain_family(
                name.load(), [name], model, *data, lambda _: torch.Generator().manual_seed(0)
            )
        ).importance
        for name in (parsed, parse("sg-ig"))
    ]
    assert not np.allclose(*same_seed, atol=1e-4)


def test_members_do_not_depend_on_who_else_is_asked_for() -> None:
    names = ["grad", "abs-grad", "sg-grad", "sq-sg-grad", "sgsq-grad", "var-grad", "abs-var-grad"]
    together = explain(names)
    assert list(together) == names
    for name in names:
        assert np.array_equal(explain([name])[name], together[name])


@pytest.mark.parametrize("chunk_bytes", [1, 50, 16 * 8, 2**22])
def test_chunks_change_results_by_rounding_only(chunk_bytes: int) -> None:
    names = ["ig", "sg-ig:samples=3", "var-ig:samples=3"]
    for members in (names[:1], names[1:]):
        whole = explain(members, examples=7)
        for name, importance in explain(members, examples=7, chunk_bytes=chunk_bytes).items():
            np.testing.assert_allclose(importance, whole[name], rtol=1e-4, atol=1e-6)


def test_many_examples_are_taken_in_blocks() -> None:
    def rows_seen(
        model: TrainedModel, inputs: Tensor, targets: Tensor, generator: torch.Generator
    ) -> Tensor:
        sizes.append(len(inputs))
        return inputs

    sizes: list[int] = []
    size = rows_per_pass(torch.zeros(1, 4))
    explain(["mine"], explainer=rows_seen, examples=size + 5)
    assert sizes == [size, 5]
    sizes.clear()
    explain(["sg-mine:samples=3"], explainer=rows_seen, examples=size // 2)
    assert sizes == [size, size // 2]
    sizes.clear()
    explain(["sg-mine:samples=2"], explainer=rows_seen, examples=7, chunk_bytes=5 * 16)
    assert sizes == [5, 2, 5, 2]


@pytest.mark.parametrize(
    ("shape", "chunk_bytes", "rows"),
    [((9, 64), 2**20, 2048), ((9, 64), 1000, 3), ((9, 64), 1, 1), ((9, 3, 224, 224), 2**20, 1)],
)
def test_rows_of_a_pass(shape: tuple[int, ...], chunk_bytes: int, rows: int) -> None:
    assert rows_per_pass(torch.zeros(shape), chunk_bytes=chunk_bytes) == rows


def test_no_examples_give_empty_importance() -> None:
    assert {name: got.shape for name, got in explain(["grad", "sg-grad"], examples=0).items()} == {
        "grad": (0, 4),
        "sg-grad": (0, 4),
    }


def test_one_example() -> None:
    assert explain(["ig", "sg-ig"], examples=1)["sg-ig"].shape == (1, 4)


def test_explainers_get_copies() -> None:
    def careless(
        model: TrainedModel, inputs: Tensor, targets: Tensor, generator: torch.Generator
    ) -> Tensor:
        targets.zero_()
        return inputs.zero_()

    model, (inputs, targets) = table_model(), inputs_of(3)
    before = inputs.clone(), targets.clone()
    names = [parse("mine", ["mine"]), parse("sg-mine", ["mine"])]
    list(explain_family(careless, names, model, inputs, targets, generator_for))
    assert torch.equal(inputs, before[0])
    assert torch.equal(targets, before[1])


def test_seconds_are_those_of_the_members_own_passes(monkeypatch) -> None:
    names = [parse("ig"), parse("sg-ig"), parse("var-ig")]
    explainer, passed = names[0].load(), 0

    def counted(model, inputs, targets, generator):
        nonlocal passed
        passed += len(inputs)
        return explainer(model, inputs, targets, generator)

    # A clock that other work on the machine does not turn.
    monkeypatch.setattr(family, "_now", lambda _: float(passed))
    plain, *noisy = explain_family(counted, names, table_model(), *inputs_of(200), generator_for)
    assert 0 < plain.seconds < min(one.seconds for one in noisy)
    shared = max(one.seconds for one in noisy)
    assert (
        sum(one.seconds for one in noisy) > 1.5 * shared
    )  # each tells the whole cost of the passes


@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 3), st.just(1), st.integers(1, 6)),
        elements=st.floats(-(2.0**40), 2.0**40, width=32).filter(
            lambda x: x == 0 or abs(x) > 2.0**-40
        ),
    )
)
def test_squared_and_absolute_rank_one_channel_identically(attribution: np.ndarray) -> None:
    absolute, squared = (aggregate(attribution, name, feature_axes=1) for name in ("abs", "sq"))
    assert np.array_equal(rank(absolute), rank(squared))


@pytest.mark.parametrize(
    ("aggregation", "transform"), [("", float), ("abs", abs), ("sq", lambda value: value * value)]
)
def test_aggregation_sums_channels(aggregation: str, transform: object) -> None:
    assert callable(transform)
    attribution = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    got = aggregate(attribution, aggregation, feature_axes=2)
    assert got.dtype == np.float32
    for one, wanted in zip(got, attribution, strict=True):
        np.testing.assert_allclose(one, oracles.channel_sum(wanted, transform), rtol=1e-6)


def test_aggregation_refuses() -> None:
    with pytest.raises(ValueError, match=r"1 feature axes .* got shape \(1, 2, 3, 4\)"):
        aggregate(np.zeros((1, 2, 3, 4)), "abs", feature_axes=1)
    with pytest.raises(ValueError, match=r"too large for float32: 1e\+60"):
        aggregate(np.full((1, 2), 1e30), "sq", feature_axes=1)


@pytest.mark.parametrize(
    ("outcome", "error", "message"),
    [
        (torch.zeros(6, 3), ValueError, r"explainer 'mine' .* inputs, \(6, 4\), got \(6, 3\)"),
        (torch.full((6, 4), math.nan), ValueError, "NaN or infinity in 24 of 24 values"),
        (torch.full((6, 4), -math.inf), ValueError, "'mine' must return finite numbers"),
        (np.zeros((6, 3)), ValueError, r"explainer 'mine' .* inputs, \(6, 4\), got \(6, 3\)"),
        ([[0.0]], TypeError, r"must return a torch.Tensor or an array .* \(6, 4\), got list"),
    ],
)
def test_outcomes_are_checked(outcome: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        explain(["mine"], explainer=lambda *_: outcome)


def test_arrays_are_a_valid_outcome() -> None:
    outcome = np.arange(24, dtype=np.float64).reshape(6, 4)
    outcome.flags.writeable = False
    assert explain(["mine"], explainer=lambda *_: outcome)["mine"].tolist() == outcome.tolist()


def test_whole_numbers_are_a_valid_outcome() -> None:
    outcome = torch.arange(24).view(6, 4)
    assert explain(["mine"], explainer=lambda *_: outcome)["mine"].tolist() == outcome.tolist()


@pytest.mark.parametrize("names", [[], ["grad", "ig"], ["sg-grad", "sg-grad:samples=3"]])
def test_names_of_other_than_one_family_are_refused(names: list[str]) -> None:
    with pytest.raises(ValueError, match="expected names of one family"):
        explain(names, explainer=gradient)


def test_targets_must_be_as_many_as_inputs() -> None:
    inputs, targets = inputs_of(4)
    # The shape checks of the test run find it first, where they are switched on.
    with pytest.raises((ValueError, TypeError), match="targets"):
        explain_family(gradient, [parse("grad")], table_model(), inputs, targets[:3], generator_for)
