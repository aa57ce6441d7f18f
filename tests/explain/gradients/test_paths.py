"""Path methods: typed answers, slow references, completeness, other libraries, and chunks."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from captum.attr import GradientShap
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from tests.explain.gradients.test_gradients import explain, random_perceptron, trained
from tests.models.architectures.test_transformer import texts
from tests.support import oracles
from uproar.explain import chunks
from uproar.explain.family import explain_family
from uproar.explain.gradients.blur_path import BlurIntegratedGradients
from uproar.explain.gradients.gradients import gradient, input_x_gradient
from uproar.explain.gradients.guided_path import GuidedIntegratedGradients
from uproar.explain.gradients.paths import ExpectedGradients, IntegratedGradients
from uproar.explain.names import parse
from uproar.models.architectures.transformer import transformer
from uproar.models.trained import TrainedModel
from uproar.models.training.ways import initialise
from uproar.models.view import view_of
from uproar.types import Skipped, UproarError

torch.set_num_threads(1)

CPU = torch.device("cpu")
SHAPES = {"table": (6,), "grey": (1, 5, 4), "colour": (3, 5, 4), "no channels": (5, 4)}
SHAPES |= {"series": (2, 7)}
KINDS = {"table": "table", "series": "series"}
PATHS = ("ig:steps=5", "expected-grad:references=7", "blur-ig:steps=5", "guided-ig:steps=5")


def make(layout: str, *, examples: int = 5) -> tuple[TrainedModel, Tensor, Tensor]:
    """Return a small smooth network in float64, inputs for it, and targets."""
    shape = SHAPES[layout]
    torch.manual_seed(0)
    values = int(np.prod(shape))
    module = nn.Sequential(nn.Flatten(), nn.Linear(values, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    generator = np.random.default_rng(0)
    inputs = torch.tensor(generator.normal(size=(examples, *shape)))
    model = TrainedModel(
        module.eval().requires_grad_(requires_grad=False),
        *(torch.full(shape, -0.5).double(), inputs.mean(0), torch.ones(shape).double()),
        feature_axes=min(2, len(shape)) if layout != "series" else 1,
        kind=KINDS.get(layout, "image"),
        background=torch.tensor(generator.normal(size=(30, *shape))),
    )
    return model, inputs, torch.arange(examples) % 3


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def change(model: TrainedModel, ends: Tensor, starts: Tensor, targets: Tensor) -> Tensor:
    """Return how much the explained output differs at the two ends of a way."""
    both = [model(points).gather(1, targets[:, None])[:, 0] for points in (ends, starts)]
    return both[0] - both[1]


def slope_of(model: TrainedModel, target: int, shape: tuple[int, ...]) -> oracles.Function:
    """Return the gradient of an output as a function of one flat array, by finite differences."""

    def output(x: np.ndarray) -> float:
        return float(model(torch.tensor(x.reshape(1, *shape)))[0, target])

    return lambda x: oracles.finite_differences(output, x)


# --- integrated gradients -------------------------------------------------------------------------


def square() -> TrainedModel:
    """``f = sum of x**2``, whose right Riemann sum over k steps is ``x**2 (1 + 1/k)``."""

    class Square(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            return inputs.square().sum(1, keepdim=True)

    return trained(Square(), black=0.0, mean=1.0)


@pytest.mark.parametrize(
    ("steps", "baseline", "expected"),
    [
        (1, "zero", 18.0),
        (2, "zero", 13.5),
        (10, "zero", 9.9),
        (2, "black", 13.5),
        (1, "mean", 12.0),  # (3 - 1) * 2 * 3
        (2, "mean", 10.0),  # (3 - 1) * (4 + 6) / 2
    ],
)
def test_right_riemann_sum(steps: int, baseline: str, expected: float) -> None:
    attribution = explain(
        IntegratedGradients(steps, baseline), square(), torch.tensor([[3.0]]), [0]
    )
    assert attribution.item() == pytest.approx(expected, abs=1e-6)


def test_black_baseline_is_the_models() -> None:
    model = trained(nn.Linear(3, 1), black=2.0)
    attribution = explain(IntegratedGradients(3, "black"), model, torch.full((1, 3), 2.0), [0])
    assert attribution.tolist() == [[0.0, 0.0, 0.0]]


def test_integrated_gradients_sum_to_the_change_of_the_logit() -> None:
    model, _ = random_perceptron(0)
    inputs = torch.tensor(np.random.default_rng(1).normal(size=(6, 5)))
    change = (model(inputs) - model(torch.zeros_like(inputs)))[:, 1]
    gaps = [
        (explain(IntegratedGradients(steps, "zero"), model, inputs, [1] * 6).sum(1) - change)
        .abs()
        .max()
        for steps in (10, 100, 1000)
    ]
    assert gaps[2] < gaps[1] < gaps[0]
    assert gaps[2] < 0.02


def test_steps_that_need_several_passes_equal_steps_in_one() -> None:
    model, _ = random_perceptron(3)
    inputs = torch.tensor(np.random.default_rng(2).normal(size=(900, 5)))  # two steps a pass
    together = explain(IntegratedGradients(5), model, inputs, [0] * 900)
    some = range(0, 900, 100)
    apart = torch.cat(
        [explain(IntegratedGradients(5), model, inputs[one : one + 1], [0]) for one in some]
    )
    torch.testing.assert_close(together[::100], apart)


def test_integrated_gradients_of_a_linear_model_are_input_times_gradient() -> None:
    model = trained(nn.Linear(4, 2).double())
    inputs = torch.tensor(np.random.default_rng(0).normal(size=(3, 4)))
    integrated = explain(IntegratedGradients(), model, inputs, [0, 1, 0])
    torch.testing.assert_close(integrated, explain(input_x_gradient, model, inputs, [0, 1, 0]))


# --- all of them ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("layout", SHAPES)
def test_results_depend_on_neither_chunks_nor_company(
    name: str, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name.startswith("blur") and layout == "table":
        pytest.skip("has no neighbours")
    model, inputs, targets = make(layout)
    parsed = parse(name)

    def run(part: slice = slice(None)) -> np.ndarray:
        (one,) = explain_family(
            *(parsed.load(), [parsed], model, inputs[part], targets[part], lambda _: seeded(3))
        )
        assert one.passes == dict(parsed.base_parameters).get("steps", 7)
        return one.importance

    whole = run()
    assert whole.any()
    alone = np.concatenate([run(slice(at, at + 1)) for at in range(len(inputs))])
    np.testing.assert_allclose(alone, whole, rtol=1e-5, atol=1e-7)
    example_bytes = inputs[0].numel() * 8
    for rows in (1, 2, 12):
        monkeypatch.setattr(chunks, "rows_per_pass", lambda *_, rows=rows, **__: rows)
        (one,) = explain_family(
            *(parsed.load(), [parsed], model, inputs, targets, lambda _: seeded(3)),
            chunk_bytes=rows * example_bytes,
        )
        np.testing.assert_allclose(one.importance, whole, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ig", ["steps=3", "baseline=mean"]),
        ("expected-grad", ["references=3"]),
        ("blur-ig", ["steps=3", "deviation=0.2"]),
        ("guided-ig", ["steps=3", "fraction=0.7", "distance=0.5", "baseline=zero"]),
    ],
)
def test_every_parameter_changes_the_outcome(name: str, options: list[str]) -> None:
    model, inputs, targets = make("grey")
    plain = parse(name).load()(model, inputs, targets, seeded())
    for option in options:
        explainer = parse(f"{name}:{option}").load()
        assert not torch.allclose(explainer(model, inputs, targets, seeded()), plain, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("guided-ig:fraction=1.5", "fraction must be a number of at least 0 and at most 1, got"),
        ("guided-ig:distance=-1", "distance must be a number of at least 0 and at most 1"),
        ("guided-ig:steps=0", "steps must be a whole number of at least 1"),
        ("blur-ig:deviation=-0.1", "deviation must be a number of at least 0, got"),
        ("expected-grad:references=0", "references must be a whole number of at least 1"),
    ],
)
def test_names_with_values_out_of_range_are_refused(name: str, message: str) -> None:
    with pytest.raises(UproarError, match=message):
        parse(name)


@pytest.mark.parametrize(
    ("explainer", "message"),
    [
        (partial(IntegratedGradients, 0), "steps must be at least 1"),
        (partial(IntegratedGradients, 1, "white"), "baseline must be one of"),
        (partial(ExpectedGradients, 0), "references must be at least 1, got 0"),
        (partial(BlurIntegratedGradients, 0), "steps must be at least 1"),
        (partial(BlurIntegratedGradients, 1, -1.0), "deviation must be at least 0"),
        (partial(GuidedIntegratedGradients, 0), "steps must be at least 1"),
        (partial(GuidedIntegratedGradients, 1, 1.1), r"fraction must be in \[0, 1\], got 1.1"),
        (partial(GuidedIntegratedGradients, 1, 1.0, -0.1), r"distance must be in \[0, 1\]"),
        (partial(GuidedIntegratedGradients, 1, 1.0, 0.1, "white"), "baseline must be one of"),
    ],
)
def test_values_out_of_range_are_refused(explainer: partial[object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        explainer()


@pytest.mark.parametrize("name", [name for name in PATHS if not name.startswith("expected")])
def test_of_a_linear_model_all_paths_with_an_end_are_the_slope_times_the_way(name: str) -> None:
    model, inputs, targets = make("series")
    linear = nn.Sequential(nn.Flatten(), nn.Linear(14, 3)).double().requires_grad_(False)
    model = replace(model, module=linear)
    if name.startswith("blur"):  # the end is the blurred input
        constant = inputs.mean(2, keepdim=True)
        explainer = parse("blur-ig:steps=5:deviation=9").load()
        ends = constant.expand_as(inputs)
    else:
        explainer, ends = parse(name).load(), model.black
    expected = (inputs - ends) * explain(gradient, model, inputs, targets.tolist())
    torch.testing.assert_close(explainer(model, inputs, targets, seeded()), expected)


# --- expected gradients ---------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("layout", SHAPES)
def test_expected_gradients_against_a_loop_over_the_same_draws(layout: str) -> None:
    model, inputs, targets = make(layout)
    got = ExpectedGradients(6)(model, inputs, targets, seeded(5))
    generator = seeded(5)
    drawn = torch.randint(30, (6,), generator=generator)
    shares = torch.rand(6, generator=generator, dtype=torch.float64).tolist()
    assert model.background is not None
    references = [model.background[place].numpy().ravel() for place in drawn]
    for x, target, one in zip(inputs, targets.tolist(), got, strict=True):
        slope = slope_of(model, target, SHAPES[layout])
        expected = oracles.expected_gradients(slope, x.numpy().ravel(), references, shares)
        np.testing.assert_allclose(one.ravel(), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_expected_gradients_are_complete_in_expectation_and_those_of_captum() -> None:
    model, inputs, targets = make("table", examples=3)
    assert model.background is not None
    draws = torch.stack(
        [ExpectedGradients(200)(model, inputs, targets, seeded(seed)) for seed in range(60)]
    )
    sums = draws.sum(2)
    wanted = torch.stack(
        [change(model, inputs, one.expand_as(inputs), targets) for one in model.background]
    ).mean(0)
    error = sums.std(0) / len(draws) ** 0.5
    assert (error < 0.05).all()
    assert ((sums.mean(0) - wanted).abs() < 4 * error).all()
    torch.manual_seed(0)
    theirs = GradientShap(model.network).attribute(
        inputs, baselines=model.background, n_samples=20_000, target=targets
    )
    error = draws.std(0) / len(draws) ** 0.5
    assert ((draws.mean(0) - theirs).abs() < 4 * error + 0.02).all()


def test_expected_gradients_from_one_reference_approach_integrated_gradients() -> None:
    model, inputs, targets = make("table")
    alone = replace(model, background=model.black[None])
    many = ExpectedGradients(4000)(alone, inputs, targets, seeded())
    integrated = IntegratedGradients(400)(model, inputs, targets, seeded())
    torch.testing.assert_close(many, integrated, rtol=0.05, atol=0.02)


def test_expected_gradients_of_text_leave_the_ids_and_give_padding_nothing() -> None:
    data = texts()
    explained = view_of(data, initialise(partial(transformer, data), 0).eval(), CPU)
    inputs = explained.seen(torch.from_numpy(data.test.inputs))
    targets = torch.arange(len(inputs)) % 3
    seen = []
    module = explained.network
    handle = module.register_forward_pre_hook(lambda _, given: seen.append(given[0][:, 0]))
    got = ExpectedGradients(5)(explained, inputs, targets, seeded())
    handle.remove()
    assert torch.equal(torch.cat(seen), inputs[:, 0].repeat(5, 1))
    assert not got[:, 0].any()
    padding = inputs[:, 0] == 0
    assert padding.any()
    importance = got.abs().sum(1)
    assert not importance[padding].any()
    assert importance[~padding].all()


def test_without_training_examples_expected_gradients_are_skipped() -> None:
    model, inputs, targets = make("table")
    with pytest.raises(Skipped, match="needs training examples to compare with; there are none"):
        ExpectedGradients()(replace(model, background=None), inputs, targets, seeded())


# --- blurred paths --------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["grey", "colour", "no channels", "series"])
@pytest.mark.parametrize("deviation", [0.1, 0.5, 2.0])
def test_blurred_paths_against_a_slow_reference(layout: str, deviation: float) -> None:
    model, inputs, targets = make(layout, examples=2)
    got = BlurIntegratedGradients(3, deviation)(model, inputs, targets, seeded())
    shape = SHAPES[layout]
    axes = 1 if layout == "series" else 2
    for x, target, one in zip(inputs.numpy(), targets.tolist(), got, strict=True):
        channels = x.reshape(-1, *shape[-axes:])
        paths = [oracles.blur_path(channel, 3, deviation) for channel in channels]
        path = [np.stack(points).ravel() for points in zip(*paths, strict=True)]
        expected = oracles.along(slope_of(model, target, shape), path)
        np.testing.assert_allclose(one.ravel(), expected, rtol=1e-5, atol=1e-7)


def test_blurs_are_those_of_scipy() -> None:
    ends: list[Tensor] = []

    class Noting(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            ends.append(images.detach())
            return images.flatten(1).sum(1, keepdim=True)

    image = torch.tensor(np.random.default_rng(0).normal(size=(1, 1, 9, 12)))
    model = TrainedModel(Noting(), *[torch.zeros(1, 9, 12)] * 3, 2, "image")
    BlurIntegratedGradients(1, 0.3)(model, image, torch.tensor([0]), seeded())
    sides = (0.3 * 9, 0.3 * 12)
    blurred = gaussian_filter(image[0, 0].numpy(), sides, mode="reflect", truncate=9)
    np.testing.assert_allclose(2 * ends[0][0, 0] - image[0, 0], blurred, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("layout", ["colour", "series"])
def test_blurred_paths_sum_to_the_change_of_the_output(layout: str) -> None:
    model, inputs, targets = make(layout)
    explainer = BlurIntegratedGradients(steps=1, deviation=30.0)  # in the end nothing but the mean
    flat = inputs.mean((2, 3) if layout == "colour" else 2, keepdim=True).expand_as(inputs)
    gaps = [
        (replace(explainer, steps=steps)(model, inputs, targets, seeded()).flatten(1).sum(1))
        .sub(change(model, inputs, flat, targets))
        .abs()
        .max()
        for steps in (4, 16, 64)
    ]
    assert gaps[2] < gaps[1] < gaps[0]
    assert gaps[2] < 2e-3


def test_a_typed_answer_of_two_steps_in_time() -> None:
    # f = x1 x2 at (4, 2), which ends at (3, 3): one step takes the gradient (2.5, 3.5) in between.
    class Product(nn.Module):
        def forward(self, series: Tensor) -> Tensor:
            return series.flatten(1).prod(1, keepdim=True)

    model = TrainedModel(Product(), *[torch.zeros(1, 2)] * 3, 1, "series")
    explainer = BlurIntegratedGradients(steps=1, deviation=9.0)
    got = explainer(model, torch.tensor([[[4.0, 2.0]]]), torch.tensor([0]), seeded())
    torch.testing.assert_close(got, torch.tensor([[[2.5, -3.5]]]))


def test_what_has_no_forms_gets_nothing_and_blurs_of_zero_change_nothing() -> None:
    model, inputs, targets = make("colour")
    flat = torch.ones_like(inputs) * torch.arange(3.0).view(3, 1, 1)
    nothing = BlurIntegratedGradients()(model, flat, targets, seeded())
    torch.testing.assert_close(nothing, torch.zeros_like(flat))
    assert not BlurIntegratedGradients(3, 0.0)(model, inputs, targets, seeded()).any()


def test_tables_cannot_be_blurred() -> None:
    with pytest.raises(Skipped, match="needs images or series: values are blurred with"):
        BlurIntegratedGradients()(*make("table"), seeded())


# --- guided paths ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layout", "fraction", "distance"),
    [
        *((layout, 0.25, 0.02) for layout in SHAPES),
        *(("grey", *way) for way in ((0.0, 1.0), (0.3, 0.3), (1.0, 0.5), (0.25, 0.0))),
    ],
)
def test_guided_paths_against_a_slow_reference(
    layout: str, fraction: float, distance: float
) -> None:
    model, inputs, targets = make(layout, examples=2)
    inputs[:, ..., :2] = -0.5  # some values have no way to go
    explainer = GuidedIntegratedGradients(4, fraction, distance)
    got = explainer(model, inputs, targets, seeded())
    start = model.black.numpy().ravel()
    for x, target, one in zip(inputs.numpy(), targets.tolist(), got, strict=True):
        slope = slope_of(model, target, SHAPES[layout])
        points = oracles.guided_path(
            *(slope, x.ravel(), start), steps=4, fraction=fraction, distance=distance
        )
        np.testing.assert_allclose(points[-1], x.ravel(), atol=1e-9)
        expected = sum((after - before) * slope(before) for before, after in pairwise(points))
        np.testing.assert_allclose(one.ravel(), expected, rtol=1e-4, atol=1e-6)


def test_a_guided_path_of_no_distance_is_the_straight_one() -> None:
    model, inputs, targets = make("grey")
    got = GuidedIntegratedGradients(5, distance=0.0)(model, inputs, targets, seeded())
    way = inputs - model.black
    slopes = [model.gradient(model.black + step / 5 * way, targets) for step in range(5)]
    torch.testing.assert_close(got, way * torch.stack(slopes).mean(0))


@pytest.mark.parametrize("distance", [0.02, 0.2, 1.0])
def test_guided_paths_sum_to_the_change_of_the_output(distance: float) -> None:
    model, inputs, targets = make("colour")
    wanted = change(model, inputs, model.black.expand_as(inputs), targets)
    gaps = [
        (GuidedIntegratedGradients(steps, distance=distance)(model, inputs, targets, seeded()))
        .flatten(1)
        .sum(1)
        .sub(wanted)
        .abs()
        .max()
        for steps in (5, 200)
    ]
    assert gaps[1] < gaps[0]
    assert gaps[1] < 0.05


def test_typed_answers_of_a_guided_path() -> None:
    # f = 3 x1 + x2 x2 from (0, 0) to (1, 2), a third of the distance 3 in each step. x2 goes first,
    # while its gradient 2 x2 is the smaller one: 0 to 1 with 0, then 1 to 2 with 2; then x1 with 3.
    class Mixed(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            return 3 * inputs[:, :1] + inputs[:, 1:] ** 2

    model = trained(Mixed())
    explainer = GuidedIntegratedGradients(3, fraction=0.0, distance=1.0, baseline="zero")
    assert explain(explainer, model, torch.tensor([[1.0, 2.0]]), [0]).tolist() == [[3.0, 2.0]]


def test_an_input_at_the_baseline_gets_nothing() -> None:
    model, inputs, targets = make("table")
    inputs = model.black.expand_as(inputs).clone()
    assert not GuidedIntegratedGradients(5)(model, inputs, targets, seeded()).any()


def test_vectors_of_words_have_no_values_to_go_first() -> None:
    data = texts()
    explained = view_of(data, initialise(partial(transformer, data), 0).eval(), CPU)
    inputs = explained.seen(torch.from_numpy(data.test.inputs))
    with pytest.raises(Skipped, match="values that mean something each, and vectors do not"):
        GuidedIntegratedGradients()(explained, inputs, torch.zeros(20).long(), seeded())
