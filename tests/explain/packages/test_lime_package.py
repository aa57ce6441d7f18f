"""The lime package through the one contract: the same as a direct call, and known answers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from uproar.explain.packages.calls import quietly_imported, seed_from, seeded_and_quiet
from uproar.explain.packages.lime_package import LimePackage
from uproar.explain.perturbation.lime_inputs import Columns, Pictures
from uproar.models.trained import TrainedModel
from uproar.types import Skipped

tabular = quietly_imported("lime.lime_tabular", "lime")
image = quietly_imported("lime.lime_image", "lime")
text = quietly_imported("lime.lime_text", "lime")

DRAWS = np.random.default_rng(0)
ROWS = DRAWS.normal(size=(80, 6)).astype(np.float32)
CPU = torch.device("cpu")


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


SEED = seed_from(seeded())  # what the explainer draws from that generator


def state() -> Any:
    """Return the generator that the package draws from."""
    return np.random.RandomState(SEED)


def trained(module: Any, shape: tuple[int, ...], axes: int = 1, **options: Any) -> TrainedModel:
    ones = torch.ones(shape)
    return TrainedModel(module, 0 * ones, 0 * ones, ones, axes, **options)


def network(values: int, outputs: int = 3) -> nn.Module:
    torch.manual_seed(0)
    layers = (nn.Flatten(), nn.Linear(values, 9), nn.Tanh(), nn.Linear(9, outputs), nn.Softmax(1))
    return nn.Sequential(*layers).requires_grad_(False).eval()


def explained(
    model: TrainedModel, inputs: Any, targets: Any = (0, 2), **options: Any
) -> np.ndarray:
    values, wanted = torch.as_tensor(inputs), torch.tensor(targets)
    return LimePackage(**{"perturbations": 200, **options})(model, values, wanted, seeded()).numpy()


def weights(explanation: Any, label: int, features: int) -> list[float]:
    pairs = dict(explanation.local_exp[label])
    return [pairs[feature] for feature in range(features)]


# --- tables ---------------------------------------------------------------------------------------


def test_a_table_is_explained_as_by_a_direct_call() -> None:
    """Of a classifier, with the package's own choice of features: all there are."""
    module = network(6)
    found = explained(trained(module, (6,), background=torch.tensor(ROWS)), ROWS[:2])
    for example, target in enumerate((0, 2)):
        with seeded_and_quiet(0, CPU):
            explainer = tabular.LimeTabularExplainer(ROWS.astype(np.float64), random_state=state())
            theirs = explainer.explain_instance(
                ROWS[example].astype(np.float64),
                lambda rows: module(torch.tensor(rows, dtype=torch.float32)).numpy(),
                labels=(target,),
                num_features=6,
                num_samples=200,
            )
        np.testing.assert_allclose(found[example], weights(theirs, target, 6), atol=1e-5)
        assert np.abs(found[example]).max() > 0.01


def test_features_of_several_values_are_drawn_from_training_examples() -> None:
    codes = DRAWS.integers(3, size=60)
    rows = np.concatenate([ROWS[:60, :2], np.eye(3)[codes]], 1).astype(np.float32)
    seen = []

    def only_the_code_matters(inputs: Tensor) -> Tensor:
        seen.append(inputs)
        return inputs[:, 3:4]

    groups = torch.tensor([0, 1, 2, 2, 2])
    model = trained(
        only_the_code_matters,
        (5,),
        background=torch.tensor(rows),
        groups=groups,
        feature_shape=(3,),
    )
    example = rows[codes == 1][:1]
    found = explained(model, example, (0,), perturbations=400)
    assert (torch.cat(seen)[:, 2:].sum(1) == 1).all()  # always one of the codes
    assert np.abs(found[0, :2]).max() < 0.02
    np.testing.assert_allclose(found[0, 2:], found[0, 2])
    assert found[0, 2:].sum() == pytest.approx(1, abs=0.05)


def test_what_training_lacks_is_kept_as_it_is() -> None:
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    columns = Columns.of(rows, torch.tensor([0, 0]))
    unknown = torch.tensor([[0.5, 0.5]])
    assert columns.coded(torch.cat([rows, unknown])).ravel().tolist() == [1, 0, 2]
    decoded = columns.decoded(np.array([[2.0], [0.0], [1.0]]), unknown)
    assert decoded.tolist() == [[0.5, 0.5], [0.0, 1.0], [1.0, 0.0]]


def test_a_series_is_a_table_of_its_values() -> None:
    series = torch.tensor(DRAWS.normal(size=(30, 2, 4)).astype(np.float32))
    options: dict[str, Any] = {"background": series, "kind": "series"}
    model = trained(lambda inputs: inputs[:, 1, 1:3].sum(1)[:, None].tanh(), (2, 4), **options)
    found = explained(model, series[:2], (0, 0), perturbations=1000)
    flat = trained(lambda rows: model(rows.view(-1, 2, 4)), (8,), background=series.flatten(1))
    theirs = explained(flat, series[:2].flatten(1), (0, 0), perturbations=1000)
    np.testing.assert_array_equal(found.reshape(2, 8), theirs)
    matter = np.abs(found[:, 1, 1:3]).max(1)
    found[:, 1, 1:3] = 0
    assert (matter > 2 * np.abs(found).reshape(2, 8).max(1)).all()


# --- images ---------------------------------------------------------------------------------------


def picture(channels: int, side: int) -> np.ndarray:
    """Return two images of four flat quarters."""
    quarters = DRAWS.uniform(size=(2, channels, 2, 2))
    return quarters.repeat(side // 2, 2).repeat(side // 2, 3).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_is_explained_as_by_a_direct_call(channels: int) -> None:
    module, inputs = network(channels * 24 * 24), picture(channels, 24)
    model = trained(module, (channels, 24, 24), 2, kind="image")
    found = explained(model, inputs, superpixels="quickshift", perturbations=40)

    def answers(pictures: np.ndarray) -> np.ndarray:
        rows = torch.tensor(pictures.transpose(0, 3, 1, 2)[:, :channels], dtype=torch.float32)
        return module(rows).numpy()

    for example, target in enumerate((0, 2)):
        shown = inputs[example, 0] if channels == 1 else inputs[example].transpose(1, 2, 0)
        with seeded_and_quiet(0, CPU):
            explainer = image.LimeImageExplainer(random_state=state())
            theirs = explainer.explain_instance(
                shown.astype(np.float64),
                answers,
                labels=(target,),
                top_labels=None,
                num_samples=40,
                random_seed=SEED % 1000,
            )
        pairs = dict(theirs.local_exp[target])
        expected = np.vectorize(pairs.get)(theirs.segments)
        np.testing.assert_allclose(found[example].sum(0), expected, atol=1e-5)
        np.testing.assert_allclose(found[example], found[example][:1].repeat(channels, 0))


def test_colours_are_scaled_for_superpixels_alone() -> None:
    """The same picture in other units has the same superpixels, and the model sees its units."""
    inputs, module = picture(3, 24), network(3 * 24 * 24)
    options: dict[str, Any] = {"superpixels": "quickshift", "perturbations": 40}
    plain = explained(trained(module, (3, 24, 24), 2, kind="image"), inputs, **options)
    ones = torch.ones(3, 24, 24)
    scaled = TrainedModel(
        lambda rows: module((rows + 7) / 100), -7 * ones, ones, 100 * ones, 2, "image"
    )
    found = explained(scaled, 100 * inputs - 7, **options)
    np.testing.assert_allclose(found, plain, atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 6, 6), (3, 6, 6), (6, 6)])
def test_squares_are_found_that_matter(shape: tuple[int, ...]) -> None:
    """Small images have a square for each pixel, and what is covered is black."""

    def two_pixels(inputs: Tensor) -> Tensor:
        return (2 * inputs[..., 1, 2] - inputs[..., 4, 4]).reshape(len(inputs), -1).mean(1)[:, None]

    ones = torch.ones(shape)
    model = TrainedModel(two_pixels, 0.5 * ones, ones, ones, 2, "image")
    found = explained(model, 1.5 * ones[None].numpy(), (0,), perturbations=800)
    by_pixel = found.reshape(-1, 6, 6).sum(0)
    assert by_pixel[1, 2] == pytest.approx(2, abs=0.1)
    assert by_pixel[4, 4] == pytest.approx(-1, abs=0.1)
    by_pixel[[1, 4], [2, 4]] = 0
    assert np.abs(by_pixel).max() < 0.1


def test_patches_have_the_mean_weight_of_their_pixels() -> None:
    groups = torch.tensor([0, 0, 1, 1] * 2 + [2, 2, 3, 3] * 2)
    model = trained(nn.Flatten(), (1, 4, 4), 2, kind="image", groups=groups, feature_shape=(2, 2))
    pictures = Pictures.of(model, torch.zeros(1, 1, 4, 4))
    assert pictures.means(np.arange(16.0).reshape(4, 4)).tolist() == [2.5, 4.5, 10.5, 12.5]
    assert pictures.square.ravel().tolist() == groups.tolist()
    ones = torch.ones(1, 1, 4, 4)
    summed = TrainedModel(
        lambda rows: rows[:, 0, :2, 2:].sum((1, 2))[:, None],
        *(torch.zeros(1, 4, 4), ones[0], ones[0], 2, "image", groups, (2, 2)),
    )
    found = explained(summed, ones.numpy(), (0,))
    by_patch = np.bincount(groups, found.ravel())
    np.testing.assert_allclose(by_patch, [0, 4, 0, 0], atol=0.4)


def test_images_of_other_colours_are_skipped() -> None:
    model = trained(nn.Flatten(), (2, 6, 6), 2, kind="image")
    with pytest.raises(Skipped, match="images of one or three channels, and these have 2"):
        explained(model, np.zeros((1, 2, 6, 6), np.float32), (0,))


# --- text -----------------------------------------------------------------------------------------


def test_a_text_is_explained_as_by_a_direct_call() -> None:
    worth = np.array([1.0, -2.0, 0.0, 0.5, 3.0])

    def embedded(inputs: Tensor) -> Tensor:  # (rows, id and one dimension, length)
        assert (inputs[:, 0] == torch.tensor([7.0, 8.0, 7.0, 9.0, 4.0])).all()
        return (inputs[:, 1] @ torch.tensor(worth).float()).tanh()[:, None]

    inputs = torch.tensor([[[7.0, 8.0, 7.0, 9.0, 4.0], [1.0] * 5]])
    black, spread = torch.zeros(2, 1), torch.tensor([[0.0], [1.0]])
    model = TrainedModel(embedded, black, black, spread, 1, "text")
    found = explained(model, inputs, (0,))

    def answers(texts: list[str]) -> np.ndarray:
        there = np.array([[word != "gone" for word in one.split()] for one in texts])
        return np.tanh(there @ worth)[:, None]

    with seeded_and_quiet(0, CPU):
        explainer = text.LimeTextExplainer(bow=False, mask_string="gone", random_state=state())
        theirs = explainer.explain_instance(
            "good bad good so fine", answers, labels=(0,), num_features=5, num_samples=200
        )
    # A token that is there twice has two weights, of which the second is nothing.
    np.testing.assert_allclose(found.sum(1)[0], weights(theirs, 0, 5), atol=1e-5)
    assert abs(found.sum(1)[0, 2]) < 0.1 < found.sum(1)[0, 0]


def test_ids_of_tokens_are_words() -> None:
    mask = torch.full((4,), 2.0)
    model = TrainedModel(
        lambda ids: (ids == 8).float().sum(1)[:, None], mask, mask, 0 * mask, feature_axes=1
    )
    found = explained(model, np.array([[7.0, 8.0, 9.0, 9.0]], np.float32), (0,))
    np.testing.assert_allclose(found, [[0, 1, 0, 0]], atol=0.1)


# --- the contract ---------------------------------------------------------------------------------


def test_threads_do_not_draw_from_each_other(capfd: pytest.CaptureFixture[str]) -> None:
    table = trained(network(6), (6,), background=torch.tensor(ROWS)), ROWS[:2]
    images = trained(network(36), (1, 6, 6), 2, kind="image"), picture(1, 6)
    alone = [explained(*one) for one in (table, images)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda one: explained(*one), [table, images] * 2))
    for position, found in enumerate(together):
        np.testing.assert_array_equal(found, alone[position % 2])
    for one, whole in zip((table, images), alone, strict=True):
        np.testing.assert_array_equal(explained(one[0], one[1][1:], (2,)), whole[1:])
    assert capfd.readouterr() == ("", "")  # no bar of progress


def test_tables_without_training_examples_are_skipped() -> None:
    with pytest.raises(Skipped, match="it compares with training examples, and there are none"):
        explained(trained(network(6), (6,)), ROWS[:2])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (partial(LimePackage, perturbations=1), "perturbations must be at least 2, got 1"),
        (partial(LimePackage, superpixels="slic"), r"superpixels must be one of .*, got 'slic'"),
    ],
)
def test_parameters_out_of_range(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
