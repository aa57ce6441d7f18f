"""Removals that make what stands in from what is kept, against slow and obvious references."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support import oracles
from uproar.dataset import Data, Kind, Split
from uproar.remove import conditional
from uproar.remove.blur import Blur, blur
from uproar.remove.conditional import conditional_mean
from uproar.remove.interpolate import interpolate
from uproar.remove.linear import Linear, linear
from uproar.remove.removal import apply


def numbers(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def data_of(
    inputs: np.ndarray, *, kind: Kind = "table", value_range: tuple[float, float] | None = None
) -> Data:
    split = Split(inputs.astype(np.float32), np.arange(len(inputs)) % 2)
    features = inputs.shape[1:] if kind == "table" else inputs.shape[2:]
    return Data(
        name=f"some {kind}",
        kind=kind,
        train=split,
        validation=split,
        test=split,
        feature_shape=features,
        class_names=("a", "b"),
        value_range=value_range,
    )


def tensors(*arrays: np.ndarray) -> list[torch.Tensor]:
    return [torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)) for array in arrays]


# --- conditional mean -----------------------------------------------------------------------------


def mixed_table() -> np.ndarray:
    """Correlated columns of very different sizes, one that is constant, and a one-hot group."""
    columns = numbers().standard_normal((200, 4)) @ numbers(1).standard_normal((4, 4))
    columns *= [1, 100, 0.01, 5]
    columns += [0, 1000, 0, -3]
    one_hot = np.eye(3)[numbers(2).integers(0, 3, 200)]
    return np.hstack([columns, np.full((200, 1), 7.0), one_hot]).astype(np.float32)


def test_the_conditional_mean_is_that_of_the_formula_row_by_row() -> None:
    table = mixed_table()
    fitted = conditional_mean(data_of(table))
    removed = numbers(3).random(table.shape) < numbers(4).random((200, 1))
    removed[0], removed[1] = True, False
    got = fitted.impute(*tensors(table, ~removed, np.zeros((1, 8)))).numpy()
    deviation = np.where(table.std(0) > 0, table.std(0), 1)
    wanted = [
        oracles.conditional_mean(table.astype(float), row.astype(float), gone)
        for row, gone in zip(table, removed, strict=True)
    ]
    assert np.abs((got - wanted) / deviation).max() < 2e-4
    assert np.allclose(got[0], table.mean(0), rtol=1e-5)


def test_a_column_that_follows_from_another_comes_back() -> None:
    first = numbers().standard_normal(50)
    table = np.stack([first, 3 * first + 1, numbers(1).standard_normal(50)], 1)
    removed = np.tile([False, True, False], (50, 1))
    result = apply(
        conditional_mean(data_of(table)),
        data_of(table),
        table.astype(np.float32),
        removed,
        generator=numbers(),
    )
    assert np.allclose(result[:, 1], table[:, 1], atol=1e-4)


def test_many_rows_are_solved_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    table = mixed_table()
    fitted = conditional_mean(data_of(table))
    arguments = tensors(table, numbers(3).random(table.shape) < 0.5, np.zeros((1, 8)))
    whole = fitted.impute(*arguments)
    monkeypatch.setattr(conditional, "ENTRIES_AT_ONCE", 7 * 64)
    assert torch.allclose(fitted.impute(*arguments), whole, rtol=1e-6)


def test_columns_that_are_independent_become_their_mean() -> None:
    table = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]], dtype=float) + 5
    fitted = conditional_mean(data_of(table))
    kept = np.array([[1, 0]])
    assert fitted.impute(*tensors(table[:1], kept, np.zeros((1, 2)))).tolist() == [[6.0, 5.0]]


# --- noisy linear imputation ----------------------------------------------------------------------


def images(height: int, width: int, *, count: int = 6, channels: int = 2) -> np.ndarray:
    return numbers(height * width).random((count, channels, height, width)).astype(np.float32)


def holes(shape: tuple[int, ...]) -> np.ndarray:
    """Masks of all kinds, one for each of six images: scattered, blocks, almost everything."""
    removed = numbers(1).random(shape) < np.array([0.3, 0.6, 0.9, 0.0, 0.0, 0.0])[:, None, None]
    _, height, width = shape
    removed[3, height // 4 :, : 3 * width // 4] = True
    removed[4] = True
    removed[4, 0, 0] = False
    removed[5] = True
    removed[5, :, -1] = False
    return removed


@pytest.mark.slow
@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 12), (20, 20), (1, 9), (2, 2)])
def test_linear_is_the_solution_of_the_dense_system(height: int, width: int) -> None:
    pixels = images(height, width) * 4 - 1
    removed = holes((6, height, width))
    spread = np.broadcast_to(~removed[:, None], pixels.shape)
    fitted = Linear(np.full((2, 1, 1), 0.5, dtype=np.float32), deviation=0.0)
    got = fitted.impute(*tensors(pixels, spread, np.zeros((1, *pixels.shape[1:])))).numpy()
    for example, channel in np.ndindex(6, 2):
        if removed[example].all():
            assert (got[example, channel] == 0.5).all()
            continue
        wanted = oracles.neighbour_means(pixels[example, channel], removed[example])
        assert np.abs(got[example, channel] - wanted).max() < 5e-5
        kept = ~removed[example]
        assert np.array_equal(got[example, channel][kept], pixels[example, channel][kept])


def test_an_offset_costs_linear_no_digits() -> None:
    pixels = images(12, 12, channels=1)
    kept = ~holes((6, 12, 12))[:, None]
    fitted = Linear(np.zeros((1, 1, 1), dtype=np.float32), deviation=0.0)
    near = fitted.impute(*tensors(pixels, kept, np.zeros((1, 1, 12, 12)))).numpy()
    far = fitted.impute(*tensors(pixels + 64, kept, np.zeros((1, 1, 12, 12)))).numpy()
    assert np.abs(far - 64 - near).max() < 5e-5


def test_a_large_hole_in_a_large_image_is_filled_to_the_same_accuracy() -> None:
    down, across = np.mgrid[:150, :150] / 150
    smooth = (np.sin(5 * down) * across + down**2).astype(np.float32)
    removed = np.hypot(down - 0.5, across - 0.4) < 0.39
    fitted = Linear(np.zeros((1, 1, 1), dtype=np.float32), deviation=0.0)
    arguments = tensors(smooth[None, None], ~removed[None, None], np.zeros((1, 1, 150, 150)))
    filled = fitted.impute(*arguments)[0, 0].double().numpy()
    weights = np.array([[1, 2, 1], [2, 0, 2], [1, 2, 1]]) / 12
    inner = removed[1:-1, 1:-1]
    mean = sum(weights[i, j] * filled[i : 148 + i, j : 148 + j] for i in range(3) for j in range(3))
    assert np.abs(mean - filled[1:-1, 1:-1])[inner].max() < 1e-6
    assert (filled[removed].min(), filled[removed].max()) > (smooth[~removed].min(), 0)
    assert filled[removed].max() < smooth[~removed].max()  # the maximum principle


def test_an_image_is_filled_alike_in_any_company() -> None:
    pixels, removed = images(33, 29, channels=3), holes((6, 33, 29))
    kept = np.broadcast_to(~removed[:, None], pixels.shape)
    rows, kept_rows, none = tensors(pixels, kept, np.zeros((1, 3, 33, 29)))
    fitted = Linear(np.zeros((3, 1, 1), dtype=np.float32), deviation=0.0)
    together = fitted.impute(rows, kept_rows, none)
    for order in ([0], [5, 2], [4, 3, 2, 1, 0], [2] * 37):
        company = fitted.impute(rows[order], kept_rows[order], none)
        assert torch.equal(company, together[order])
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2 if threads == 1 else 1)
        assert torch.equal(fitted.impute(rows, kept_rows, none), together)
    finally:
        torch.set_num_threads(threads)


def test_channels_may_keep_other_pixels() -> None:
    pixels, removed = images(9, 9), holes((6, 9, 9))
    kept = np.stack([~removed, removed], 1)
    fitted = Linear(np.zeros((2, 1, 1), dtype=np.float32), deviation=0.0)
    got = fitted.impute(*tensors(pixels, kept, np.zeros((1, 2, 9, 9)))).numpy()
    wanted = oracles.neighbour_means(pixels[0, 1], ~removed[0])
    assert np.abs(got[0, 1] - wanted).max() < 5e-5


def test_the_noise_of_linear_is_added_to_removed_pixels_alone() -> None:
    pixels = images(8, 8)
    data = data_of(pixels, kind="image", value_range=(0.0, 2.0))
    fitted, removed = linear(data), holes((6, 8, 8))
    assert fitted.deviation == pytest.approx(0.02)
    many = np.zeros((500, 2, 8, 8), dtype=np.float32)
    values = fitted.values(many, numbers())
    assert values.std() == pytest.approx(0.02, rel=0.02)
    noisy = apply(fitted, data, pixels, removed, generator=numbers(5))
    calm = apply(Linear(fitted.centre, 0.0), data, pixels, removed, generator=numbers(5))
    gone = np.broadcast_to(removed[:, None], pixels.shape)
    noise = fitted.values(pixels, numbers(5))
    assert np.allclose((noisy - calm)[gone], noise[gone], atol=1e-6)
    assert np.array_equal(noisy[~gone], pixels[~gone])


def test_without_a_value_range_the_noise_of_linear_follows_train() -> None:
    pixels = images(8, 8)
    pixels[0, 0, 0, 0], pixels[1, 0, 0, 0] = -1, 3
    assert linear(data_of(pixels, kind="image")).deviation == pytest.approx(0.04)


def test_an_image_that_keeps_nothing_becomes_the_channel_means() -> None:
    pixels = images(5, 6) + np.array([0, 10])[:, None, None]
    data = data_of(pixels, kind="image", value_range=(0.0, 0.0))
    everything = np.ones((6, 5, 6), dtype=bool)
    result = apply(linear(data), data, pixels.astype(np.float32), everything, generator=numbers())
    assert np.allclose(result, pixels.mean((0, 2, 3))[None, :, None, None], rtol=1e-6)


# --- blur -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(8, 8), (6, 9), (3, 1)])
def test_the_blur_is_a_sum_over_all_pixels_nearby(height: int, width: int) -> None:
    pixels = images(height, width, count=2)
    got = Blur(0.3).values(pixels, numbers())
    for example, channel in np.ndindex(2, 2):
        wanted = oracles.gaussian_blur(pixels[example, channel], 0.3)
        assert np.abs(got[example, channel] - wanted).max() < 1e-5


def test_a_blurred_image_keeps_its_mean_and_an_even_one_everything() -> None:
    pixels = images(16, 16)
    fitted = blur(data_of(pixels, kind="image"))
    blurred = fitted.values(pixels, numbers())
    assert np.allclose(blurred.mean((2, 3)), pixels.mean((2, 3)), atol=1e-5)
    even = np.full((3, 1, 16, 16), 0.7, dtype=np.float32)
    assert np.allclose(fitted.values(even, numbers()), even, atol=1e-6)


def test_images_are_blurred_in_blocks_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = images(6, 5, count=11)
    whole = Blur(0.2).values(pixels, numbers())
    monkeypatch.setattr("uproar.remove.blur.BLOCK", 4)
    assert np.array_equal(Blur(0.2).values(pixels, numbers()), whole)


# --- interpolation --------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 2, 17])
def test_series_are_interpolated_as_by_walking(steps: int) -> None:
    series = numbers().standard_normal((60, 3, steps)).astype(np.float32)
    removed = numbers(1).random(series.shape) < numbers(2).random((60, 3, 1)) * 1.3
    fitted = interpolate(data_of(series, kind="series"))
    got = fitted.impute(*tensors(series, ~removed, np.zeros((1, 3, steps)))).numpy()
    for example, channel in np.ndindex(60, 3):
        mean = float(series[:, channel].mean(dtype=np.float64))
        gone = removed[example, channel]
        wanted = oracles.interpolated(series[example, channel], gone, mean)
        assert np.abs(got[example, channel] - wanted).max() < 1e-6
        assert np.array_equal(got[example, channel][~gone], series[example, channel][~gone])


def test_a_channel_without_steps_does_not_borrow_from_another() -> None:
    series = np.stack([np.full((4, 6), 2.0), np.arange(24).reshape(4, 6)], 1).astype(np.float32)
    kept = np.ones((4, 2, 6))
    kept[:, 0] = 0
    kept[:, 1, 2:4] = 0
    fitted = interpolate(data_of(series, kind="series"))
    assert np.allclose(fitted.impute(*tensors(series, kept, np.zeros((1, 2, 6)))).numpy(), series)
