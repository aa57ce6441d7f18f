"""LIME against the lime package given the same samples, scikit-learn, and a slow regression."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.linear_model import Ridge
from torch import Tensor, nn

from tests.support import oracles
from uproar.explain import coalitions
from uproar.explain.cost import passes_of
from uproar.explain.names import parse
from uproar.explain.perturbation import lime
from uproar.explain.perturbation.lime import Lime
from uproar.explain.perturbation.lime_tables import Draws, table_draws, table_of
from uproar.explain.perturbation.neighbourhood import coin_flips, even_sizes
from uproar.explain.perturbation.regression import ridge
from uproar.explain.perturbation.superpixels import segment_of_feature
from uproar.models.trained import TrainedModel
from uproar.types import Skipped

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what the package imports
    from lime import lime_image, lime_tabular, lime_text


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(values: int) -> nn.Sequential:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(values, 9), nn.Tanh(), nn.Linear(9, 3)).double()
    return module.append(nn.Softmax(1)).requires_grad_(False).eval()


def as_callable(module: nn.Module, seen: list[Tensor] | None = None) -> Callable:
    def answers(values: Tensor) -> Tensor:
        if seen is not None:
            seen.append(values)
        return module(values)

    return answers


def coefficients(explanation: object, label: int, features: int) -> np.ndarray:
    """Return what the package says, feature by feature."""
    found = dict(explanation.local_exp[label])
    return np.array([found[feature] for feature in range(features)])


def per_feature(attribution: Tensor, model: TrainedModel, inputs: Tensor) -> Tensor:
    feature = model.feature_of_value(inputs)
    summed = torch.zeros(len(inputs), int(feature.max()) + 1, dtype=attribution.dtype)
    return summed.index_add(1, feature, attribution.flatten(1))


# --- tables ---------------------------------------------------------------------------------------

# Three columns of numbers, and one of three categories in one-hot code.
DISCRETIZERS = ("quartile", "decile", "none")
GROUPS = torch.tensor([0, 1, 2, 2, 2, 3])
CATEGORY = slice(2, 5)


def table(
    *, categories: bool, seen: list[Tensor] | None = None
) -> tuple[TrainedModel, Tensor, Tensor]:
    rows = torch.randn(50, 6, generator=seeded(1), dtype=torch.float64) * torch.arange(1, 7) + 2
    if categories:
        chosen = torch.randint(3, (50,), generator=seeded(2))
        rows[:, CATEGORY] = torch.eye(3, dtype=torch.float64)[chosen]
    model = TrainedModel(
        as_callable(network(6), seen),
        *[torch.zeros(6, dtype=torch.float64)] * 2,
        torch.ones(6),
        1,
        groups=GROUPS if categories else None,
        feature_shape=(4,) if categories else (),
        background=rows[:40],
    )
    return model, rows[40:44], torch.tensor([0, 1, 2, 0])


@dataclass
class ByPackage:
    """The package's coefficients, the rows that it asked about, and how it cut the columns."""

    coefficients: np.ndarray
    asked: np.ndarray
    cut: Any


def by_package(
    model: TrainedModel,
    row: np.ndarray,
    label: int,
    *,
    discretizer: str,
    categories: bool = False,
    samples: int = 60,
) -> ByPackage:
    known = model.background.numpy()
    if categories:  # the package has the category in one column
        codes = known[:, CATEGORY].argmax(1)
        known = np.column_stack([known[:, :2], codes, known[:, 5]])
        row = np.array([row[0], row[1], row[CATEGORY].argmax(), row[5]])
    asked = []

    def answers(values: np.ndarray) -> np.ndarray:
        asked.append(values.copy())
        if categories:
            codes = np.eye(3)[values[:, 2].astype(int)]
            values = np.column_stack([values[:, :2], codes, values[:, 3]])
        return model(torch.tensor(values)).numpy()

    package = lime_tabular.LimeTabularExplainer(
        known,
        categorical_features=[2] if categories else None,
        discretize_continuous=discretizer != "none",
        discretizer=discretizer,
        feature_selection="none",
        random_state=0,
    )
    found = package.explain_instance(row, answers, labels=(label,), num_samples=samples)
    return ByPackage(coefficients(found, label, len(row)), asked[0][1:], package.discretizer)


def draws_of(theirs: ByPackage, column: int, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return normal numbers and training rows that make a column what the package drew."""
    values = theirs.asked[:, column]
    if theirs.cut is None:
        deviation = known.std() or 1.0
        return (values - known.mean()) / deviation, np.zeros(len(values), np.int64)
    cut, part_of = theirs.cut, theirs.cut.lambdas[column]
    parts = part_of(values)
    means, deviations = (np.array(each[column])[parts] for each in (cut.means, cut.stds))
    low, high = (np.array(each[column])[parts] for each in (cut.mins, cut.maxs))
    ends = (low - means) / deviations, (high - means) / deviations
    shares = stats.truncnorm.cdf(values, *ends, loc=means, scale=deviations)
    first_in = {part: row for row, part in reversed(list(enumerate(part_of(known))))}
    return stats.norm.ppf(shares), np.array([first_in[part] for part in parts])


def given(theirs: ByPackage, model: TrainedModel, *, categories: bool = False) -> Draws:
    """Return the draws that make our rows those of the package."""
    rows = model.background.numpy()
    normal = np.zeros(theirs.asked.shape)
    source = np.zeros(theirs.asked.shape, np.int64)
    values = [0, 1, None, 5] if categories else range(6)
    for column, value in enumerate(values):
        if value is None:
            first_with = [rows[:, CATEGORY].argmax(1).tolist().index(code) for code in range(3)]
            source[:, column] = np.array(first_with)[theirs.asked[:, column].astype(int)]
        else:
            drawn = draws_of(theirs, column, rows[:, value])
            normal[:, column], source[:, column] = drawn
    return Draws(torch.tensor(normal), torch.tensor(source))


@pytest.mark.parametrize("discretizer", DISCRETIZERS)
@pytest.mark.parametrize("categories", [False, True])
def test_tables_have_the_packages_coefficients_given_its_samples(
    categories: bool, discretizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, inputs, targets = table(categories=categories)
    explainer = Lime(perturbations=60, discretizer=discretizer)
    for example, label in enumerate(targets.tolist()):
        theirs = by_package(
            *(model, inputs[example].numpy(), label),
            discretizer=discretizer,
            categories=categories,
        )
        draws = given(theirs, model, categories=categories)
        monkeypatch.setattr(lime, "table_draws", lambda *_, draws=draws: draws)
        shares = per_feature(explainer(model, inputs, targets, seeded()), model, inputs)
        np.testing.assert_allclose(shares[example], theirs.coefficients, rtol=1e-7, atol=1e-10)


# Zero is where the package puts what it cannot draw within a part.
@pytest.mark.parametrize(
    ("discretizer", "value"), [("none", 7.0), ("quartile", 0.0), ("decile", 0.0)]
)
def test_a_column_that_does_not_vary_is_as_in_the_package(
    discretizer: str, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, inputs, targets = table(categories=False)
    model.background[:, 3] = value
    theirs = by_package(model, inputs[0].numpy(), 0, discretizer=discretizer)
    draws = given(theirs, model)
    draws.normal.nan_to_num_(0.0)
    monkeypatch.setattr(lime, "table_draws", lambda *_: draws)
    found = Lime(perturbations=60, discretizer=discretizer)(model, inputs, targets, seeded())
    np.testing.assert_allclose(found[0], theirs.coefficients, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize(("discretizer", "parts"), [("quartile", 4), ("decile", 10)])
def test_values_of_a_part_are_normal_and_cut_off_at_its_borders(
    discretizer: str, parts: int
) -> None:
    rows = torch.randn(200, 2, generator=seeded(1), dtype=torch.float64).exp()
    rows[:100, 1] = 0.0  # where borders coincide
    cut = table_of(rows, torch.arange(2), discretizer)
    draws = table_draws(40_000, 2, len(rows), seeded())
    drawn, known = cut.drawn(draws)[:, 0].numpy(), rows[:, 0].numpy()
    borders = np.percentile(known, 100 * np.arange(1, parts) / parts)
    part, own = np.searchsorted(borders, drawn), np.searchsorted(borders, known)
    np.testing.assert_allclose(np.bincount(part) / len(part), 1 / parts, atol=0.01)
    ends = [known.min(), *borders, known.max()]
    for one in range(parts):
        inside, low, high = known[own == one], ends[one], ends[one + 1]
        mean, deviation = inside.mean(), inside.std()
        expected = stats.truncnorm(
            (low - mean) / deviation, (high - mean) / deviation, loc=mean, scale=deviation
        )
        assert stats.kstest(drawn[part == one], expected.cdf).pvalue > 0.001
    other = cut.drawn(draws)[:, 1]
    np.testing.assert_allclose((other == 0).double().mean(), 0.5, atol=0.01)
    assert ((other >= 0) & (other <= rows[:, 1].max())).all()


def test_the_part_that_an_example_is_in_is_what_it_contributes() -> None:
    """Of a step at the median, which quartiles can follow, and of an example beyond them all."""
    rows = torch.randn(400, 3, generator=seeded(1), dtype=torch.float64)
    median = rows[:, 0].median()
    model = TrainedModel(
        lambda values: (values[:, :1] > median).double(),
        *[torch.zeros(3)] * 2,
        torch.ones(3),
        1,
        background=rows,
    )
    inputs = torch.tensor([[9.0, 0.0, 0.0], [-9.0, 0.0, 0.0]], dtype=torch.float64)
    found = Lime(perturbations=12_000)(model, inputs, torch.tensor([0, 0]), seeded())
    # One for the example's quartile, and for the three others the mean of 1, 0 and 0.
    expected = torch.tensor([[2 / 3, 0, 0], [-2 / 3, 0, 0]], dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=0, atol=0.05)


def test_groups_are_drawn_from_training_examples_and_compared_with_the_example() -> None:
    seen: list[Tensor] = []
    model, inputs, targets = table(categories=True, seen=seen)
    Lime(perturbations=300)(model, inputs, targets, seeded())
    drawn = torch.cat(seen)[:299]
    assert drawn[:, CATEGORY].unique(dim=0).tolist() == [[0, 0, 1], [0, 1, 0], [1, 0, 0]]
    shares = drawn[:, CATEGORY].mean(0)
    np.testing.assert_allclose(shares, model.background[:, CATEGORY].mean(0), atol=0.1)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("discretizer", DISCRETIZERS)
def test_a_table_may_have_categories_alone(discretizer: str) -> None:
    """Of a sum, a level contributes its weight less the mean of what the others have."""
    codes = torch.arange(60) % 3, torch.arange(60) // 3 % 2
    rows = torch.cat([torch.eye(3)[codes[0]], torch.eye(2)[codes[1]]], 1).double()
    weights = torch.tensor([[1.0], [2.0], [6.0], [0.0], [5.0]], dtype=torch.float64)
    model = TrainedModel(
        lambda values: values @ weights,
        *[torch.zeros(5)] * 2,
        torch.ones(5),
        1,
        groups=torch.tensor([0, 0, 0, 1, 1]),
        feature_shape=(2,),
        background=rows,
    )
    explainer = Lime(perturbations=8000, discretizer=discretizer)
    found = per_feature(explainer(model, rows[:1], torch.tensor([0]), seeded()), model, rows[:1])
    expected = torch.tensor([[1 - (2 + 6) / 2, 0.0 - 5]], dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0.05)


def test_the_model_is_asked_once_about_the_rows_of_all_examples() -> None:
    model, inputs, targets = table(categories=True)
    with model.counting() as counted:
        Lime(perturbations=100)(model, inputs, targets, seeded())
    rows = len(inputs)
    predicted = passes_of(parse("lime:perturbations=100"), features=4, table_rows=rows)
    assert counted.examples == 99 + rows == rows * predicted


def test_slopes_of_a_linear_model_come_out_of_a_table() -> None:
    weights = torch.tensor([[2.0, 1.0], [-3.0, 0.5], [0.0, 4.0]], dtype=torch.float64)
    rows = torch.randn(40, 3, generator=seeded(1), dtype=torch.float64) * torch.tensor([1, 2, 5])
    model = TrainedModel(
        lambda values: values @ weights,
        *[torch.zeros(3)] * 2,
        torch.ones(3),
        1,
        background=rows,
    )
    explainer = Lime(perturbations=5000, discretizer="none")
    found = explainer(model, rows[:2], torch.tensor([0, 1]), seeded())
    torch.testing.assert_close(found, rows.std(0, correction=0) * weights.T, rtol=0.01, atol=0.01)


def test_tables_need_training_examples() -> None:
    zero = torch.zeros(3)
    model = TrainedModel(lambda values: values[:, :1], zero, zero, torch.ones(3), 1)
    with pytest.raises(Skipped, match="lime of tables draws from training examples"):
        Lime()(model, torch.ones(1, 3), torch.tensor([0]), seeded())


# --- images, series and text ----------------------------------------------------------------------


def image(*, side: int, examples: int = 2) -> tuple[TrainedModel, Tensor, Tensor]:
    inputs = torch.rand(examples, 1, side, side, generator=seeded(1), dtype=torch.float64)
    black = torch.full((1, side, side), 0.25, dtype=torch.float64)
    model = TrainedModel(
        as_callable(network(side * side)), black, inputs.mean(0), torch.ones(1), 2, kind="image"
    )
    return model, inputs, torch.arange(examples)


def test_images_have_the_packages_coefficients_given_its_samples(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, inputs, targets = image(side=6)
    segment = segment_of_feature(model, inputs, 9).view(6, 6).numpy()
    samples = np.random.RandomState(0).randint(0, 2, 80 * 9).reshape(80, 9)
    monkeypatch.setattr(lime_image, "tqdm", lambda rows: rows)
    monkeypatch.setattr(lime, "coin_flips", lambda *_: torch.tensor(samples[1:] > 0))
    found = Lime(perturbations=80, segments=9)(model, inputs, targets, seeded())
    package = lime_image.LimeImageExplainer(feature_selection="none")
    for example, label in enumerate(targets.tolist()):
        package.random_state = np.random.RandomState(0)
        theirs = package.explain_instance(
            inputs[example, 0].numpy(),
            lambda images: model(torch.tensor(images[:, None, :, :, 0])).numpy(),
            labels=(label,),
            top_labels=None,
            hide_color=0.25,
            num_samples=80,
            segmentation_fn=lambda _: segment,
            random_seed=0,
        )
        expected = coefficients(theirs, label, 9)[segment] / 4  # of the segment's four pixels each
        np.testing.assert_allclose(found[example, 0], expected, rtol=1e-7, atol=1e-10)


def text(*, length: int = 7) -> tuple[TrainedModel, Tensor, Tensor]:
    """Return a model of embedded tokens: their ids, and two dimensions."""
    module = network(2 * length)
    inputs = torch.randn(2, 3, length, generator=seeded(1), dtype=torch.float64)
    inputs[:, 0] = torch.arange(3, 3 + length)
    black = torch.tensor([[0.0], [0.5], [-0.5]], dtype=torch.float64)
    answers = as_callable(module)
    model = TrainedModel(lambda values: answers(values[:, 1:]), black, black, black, 1, kind="text")
    return model, inputs, torch.tensor([0, 2])


def test_texts_have_the_packages_coefficients_given_its_samples(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, inputs, targets = text()
    for example, label in enumerate(targets.tolist()):
        kept = []

        def answers(texts: list[str], example: int = example, kept: list = kept) -> np.ndarray:
            kept.append([[word != "[MASK]" for word in one.split()] for one in texts])
            stays = torch.tensor(kept[-1])[:, None]
            return model(torch.where(stays, inputs[example], model.black)).numpy()

        package = lime_text.LimeTextExplainer(
            bow=False,
            mask_string="[MASK]",
            split_expression=r"\s+",
            feature_selection="none",
            random_state=0,
        )
        theirs = package.explain_instance("a b c d e f g", answers, labels=(label,), num_samples=90)
        samples = torch.tensor(kept[0][1:])
        monkeypatch.setattr(lime, "even_sizes", lambda *_, samples=samples: samples)
        found = Lime(perturbations=90)(model, inputs, targets, seeded())
        assert not found[:, 0].isnan().any()
        np.testing.assert_allclose(
            per_feature(found, model, inputs)[example],
            coefficients(theirs, label, 7),
            rtol=1e-7,
            atol=1e-10,
        )


def test_images_are_the_slow_regression_whatever_the_width() -> None:
    model, inputs, targets = image(side=4)
    kept = coin_flips(39, 16, seeded()).numpy()
    kept = np.vstack([np.ones((1, 16), bool), kept])
    distances = np.array([1 - row.sum() / (np.linalg.norm(row * 1.0) * 4) for row in kept])
    for width in (0.05, 0.25, 3.0):
        found = Lime(perturbations=40, width=width)(model, inputs, targets, seeded())
        for example, label in enumerate(targets.tolist()):
            stays = torch.tensor(kept).view(40, 1, 4, 4)
            points = torch.where(stays, inputs[example], model.black)
            expected = oracles.lime(kept, model(points)[:, label].numpy(), distances, width)
            np.testing.assert_allclose(found[example].flatten(), expected, rtol=1e-7, atol=1e-10)
    default = Lime(perturbations=40)(model, inputs, targets, seeded())
    same = Lime(perturbations=40, width=0.25)(model, inputs, targets, seeded())
    assert torch.equal(default, same)


def test_what_a_linear_model_makes_of_a_pixel_comes_out() -> None:
    weights = torch.randn(16, 1, generator=seeded(3), dtype=torch.float64)
    model, inputs, _ = image(side=4)
    linear = TrainedModel(
        lambda values: values.flatten(1) @ weights,
        model.black,
        model.mean,
        model.spread,
        2,
        kind="image",
    )
    for baseline in ("black", "mean"):
        explainer = Lime(perturbations=8000, baseline=baseline)
        found = explainer(linear, inputs, torch.tensor([0, 0]), seeded())
        expected = weights.view(4, 4) * (inputs - linear.baseline(inputs, baseline))
        torch.testing.assert_close(found, expected, rtol=0.01, atol=0.002)


def test_ids_of_tokens_are_hidden_and_not_drawn() -> None:
    """Of models of ids nothing lies between two ids: they have no spread."""
    seen: list[Tensor] = []

    def answers(ids: Tensor) -> Tensor:
        seen.append(ids)
        return (ids == 5).double().sum(1, keepdim=True)

    mask = torch.full((4,), 2.0)
    model = TrainedModel(answers, mask, mask, torch.zeros(4), 1, kind="table")
    found = Lime()(model, torch.tensor([[5.0, 6.0, 7.0, 5.0]]), torch.tensor([0]), seeded())
    assert set(torch.cat(seen).unique().tolist()) == {2, 5, 6, 7}
    torch.testing.assert_close(found, torch.tensor([[1.0, 0.0, 0.0, 1.0]]), rtol=0.01, atol=0.01)


# --- segments -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "axes", "shape", "most", "segments"),
    [
        ("image", 2, (1, 8, 8), 64, 64),
        ("image", 2, (3, 32, 32), 64, 64),
        ("image", 2, (1, 28, 28), 64, 49),
        ("image", 2, (1, 28, 28), 1, 1),
        ("image", 2, (5, 7), 9, 6),
        ("series", 1, (3, 100), 64, 50),
        ("series", 2, (3, 100), 64, 60),
        ("series", 2, (3, 100), 2, 3),
        ("table", 1, (200,), 64, 200),
        ("text", 1, (4, 200), 64, 200),
    ],
)
def test_segments_are_blocks_of_neighbours(
    kind: str, axes: int, shape: tuple[int, ...], most: int, segments: int
) -> None:
    model = TrainedModel(nn.Flatten(), *[torch.zeros(shape)] * 3, axes, kind=kind)
    segment = segment_of_feature(model, torch.zeros(1, *shape), most)
    features = model.shape_of_features(torch.zeros(1, *shape))
    assert sorted(segment.unique().tolist()) == list(range(segments))
    for one in segment.unique():
        places = (segment.view(features) == one).nonzero()
        extent = places.amax(0) - places.amin(0) + 1
        assert int(extent.prod()) == len(places)  # a block without gaps
        assert len(extent) < 2 or kind == "image" or int(extent[0]) == 1


# --- draws ----------------------------------------------------------------------------------------


def test_draws_are_as_often_as_they_should_be() -> None:
    stays = coin_flips(20_000, 5, seeded())
    np.testing.assert_allclose(stays.double().mean(0), 0.5, atol=0.02)
    leaving = 6 - even_sizes(30_000, 6, seeded()).sum(1)
    shares = leaving.bincount(minlength=7) / 30_000
    assert shares[0] == 0
    np.testing.assert_allclose(shares[1:], 1 / 6, atol=0.01)
    np.testing.assert_allclose(
        even_sizes(30_000, 6, seeded()).double().mean(0), 1 - 3.5 / 6, atol=0.02
    )


# --- the regression -------------------------------------------------------------------------------


@pytest.mark.parametrize("features", [4, 25])  # fewer and more than there are rows
def test_ridge_is_that_of_scikit_learn(features: int) -> None:
    generator = np.random.default_rng(0)
    design, outputs = generator.normal(size=(3, 12, features)), generator.normal(size=(3, 12, 2))
    weights = generator.uniform(size=(3, 12))
    found = ridge(torch.tensor(design), torch.tensor(outputs), torch.tensor(weights))
    shared = ridge(torch.tensor(design[0]), torch.tensor(outputs[0]), torch.tensor(weights[0]))
    torch.testing.assert_close(found[0], shared)
    for one in range(3):
        fitted = Ridge(alpha=1).fit(design[one], outputs[one], sample_weight=weights[one])
        np.testing.assert_allclose(found[one], fitted.coef_.T, rtol=1e-7, atol=1e-10)


# --- the contract ---------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["table", "categories", "image", "text"])
def test_neither_other_examples_nor_passes_matter(
    layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    makers = {"image": lambda: image(side=4), "text": text}
    model, inputs, targets = makers.get(layout, lambda: table(categories=layout == "categories"))()
    explainer, before = Lime(perturbations=50), inputs.clone()
    whole = explainer(model, inputs, targets, seeded())
    assert torch.equal(inputs, before)
    torch.testing.assert_close(explainer(model, inputs[1:2], targets[1:2], seeded()), whole[1:2])
    assert not torch.allclose(explainer(model, inputs, targets, seeded(1)), whole)
    rows: list[int] = []
    original = model.module

    def counted(values: Tensor) -> Tensor:
        rows.append(len(values))
        return original(values)

    object.__setattr__(model, "module", counted)
    monkeypatch.setattr(coalitions, "FUNCTION_ROWS", 4)
    monkeypatch.setattr(coalitions, "ANSWERS", 100)
    monkeypatch.setattr(lime, "ENTRIES", 700)
    torch.testing.assert_close(explainer(model, inputs, targets, seeded()), whole)
    assert max(rows) <= 4


@pytest.mark.parametrize("layout", ["image", "text"])
def test_passes_are_those_predicted(layout: str) -> None:
    model, inputs, targets = text() if layout == "text" else image(side=3)
    name = parse("lime:perturbations=33")
    with model.counting() as counted:
        name.load()(model, inputs, targets, seeded())
    assert counted.examples == len(inputs) * passes_of(name, features=9) == 66


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"perturbations": 1}, "perturbations must be at least 2, got 1"),
        ({"segments": 0}, "segments must be at least 1, got 0"),
        ({"width": -0.5}, r"width must be at least 0, got -0\.5"),
        ({"width": float("nan")}, "width must be at least 0, got nan"),
        ({"baseline": "white"}, r"baseline must be one of .*, got 'white'"),
        ({"discretizer": "entropy"}, r"discretizer must be one of .*, got 'entropy'"),
    ],
)
def test_parameters_out_of_range(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Lime(**options)
