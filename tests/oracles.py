"""Slow and obvious references, written from the papers' formulas with loops and float64 numbers.

Nothing here is clever, and nothing here calls the package: each function is the formula itself.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import scipy.stats
import torch

# --- explainers -----------------------------------------------------------------------------------

Layers = Sequence[tuple[np.ndarray, np.ndarray]]  # (weight (out, in), bias (out,)) of each layer
Function = Callable[[np.ndarray], np.ndarray]


def perceptron(layers: Layers, x: np.ndarray) -> np.ndarray:
    """Logits of one example: linear layers with a ReLU between each two."""
    values = x
    for position, (weight, bias) in enumerate(layers):
        values = weight @ values + bias
        if position < len(layers) - 1:
            values = np.maximum(values, 0)
    return values


def finite_differences(logit: Callable[[np.ndarray], float], x: np.ndarray) -> np.ndarray:
    """Gradient of a scalar function by central differences, one input value at a time."""
    step = 1e-6
    slope = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        above, below = x.copy(), x.copy()
        above[index] += step
        below[index] -= step
        slope[index] = (logit(above) - logit(below)) / (2 * step)
    return slope


def guided_perceptron(layers: Layers, x: np.ndarray, target: int) -> np.ndarray:
    """Guided backpropagation through a perceptron, one unit at a time."""
    before = []  # values that enter each ReLU
    values = x
    for weight, bias in layers[:-1]:
        before.append(weight @ values + bias)
        values = np.maximum(before[-1], 0)
    slope = layers[-1][0][target].copy()
    for (weight, _), entering in zip(reversed(layers[:-1]), reversed(before), strict=True):
        for unit in range(len(slope)):
            if entering[unit] <= 0 or slope[unit] <= 0:
                slope[unit] = 0.0
        slope = weight.T @ slope
    return slope


def integrated_gradients(
    slope: Function, x: np.ndarray, start: np.ndarray, steps: int
) -> np.ndarray:
    """Right Riemann sum of the gradients from ``start`` to ``x``, times the way."""
    total = np.zeros_like(x)
    for step in range(1, steps + 1):
        total += slope(start + step / steps * (x - start))
    return (x - start) * total / steps


def smooth_grad(samples: Sequence[np.ndarray]) -> np.ndarray:
    """Mean of the attributions of the noisy inputs."""
    total = np.zeros_like(samples[0])
    for sample in samples:
        total += sample
    return total / len(samples)


def smooth_grad_squared(samples: Sequence[np.ndarray]) -> np.ndarray:
    """Mean of the squared attributions of the noisy inputs."""
    return smooth_grad([sample * sample for sample in samples])


def var_grad(samples: Sequence[np.ndarray]) -> np.ndarray:
    """Population variance of the attributions of the noisy inputs, in two passes."""
    centre = smooth_grad(samples)
    return smooth_grad([(sample - centre) * (sample - centre) for sample in samples])


def sobel(image: np.ndarray) -> np.ndarray:
    """Edge strength of one channel (height, width), pixel by pixel."""
    across = [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]
    height, width = image.shape
    strength = np.zeros_like(image)
    for y in range(height):
        for x in range(width):
            gx = gy = 0.0
            for i in range(3):
                for j in range(3):
                    row = min(max(y + i - 1, 0), height - 1)
                    column = min(max(x + j - 1, 0), width - 1)
                    gx += across[i][j] * image[row, column]
                    gy += across[j][i] * image[row, column]
            strength[y, x] = np.sqrt(gx * gx + gy * gy)
    return strength


def channel_sum(attribution: np.ndarray, transform: Callable[[float], float]) -> np.ndarray:
    """Importance of one example (channels, *features): the transformed values of all channels."""
    importance = np.zeros(attribution.shape[1:])
    for channel in attribution:
        for index in np.ndindex(channel.shape):
            importance[index] += transform(float(channel[index]))
    return importance


# --- statistics -----------------------------------------------------------------------------------


def area(fractions: list[float], values: list[float]) -> float:
    """Trapezoids from (0, 0) to the last point, one after another."""
    points = [(0.0, 0.0), *zip(fractions, values, strict=True)]
    total = 0.0
    for (left, before), (right, after) in itertools.pairwise(points):
        total += (right - left) * (before + after) / 2
    return total


def example_gains(correct, reference, fractions, direction):
    """Build both curves of every example and take the area between them."""
    base_models, _, repeats, examples = correct.shape
    gains = np.zeros((base_models, repeats, examples))
    for b, r, e in np.ndindex(gains.shape):
        ours = [float(value) for value in correct[b, :, r, e]]
        theirs = [float(value) for value in reference[b, :, r, e]]
        if direction == "lower":
            ours, theirs = theirs, ours
        gains[b, r, e] = area(fractions, [x - y for x, y in zip(ours, theirs, strict=True)])
    return gains


def holm(p_values: list[float]) -> list[float]:
    """For each test, the largest corrected p-value among those that are at most as large."""
    ordered = sorted(p_values)
    corrected = [min(1.0, (len(ordered) - k) * p) for k, p in enumerate(ordered)]
    return [max(c for c, q in zip(corrected, ordered, strict=True) if q <= p) for p in p_values]


def error_and_degrees(gains: np.ndarray) -> tuple[float, float]:
    """Sum the squared standard errors of one explainer's level means, as Welch does."""
    squares, weighted = 0.0, 0.0
    for axis in range(3):
        units = gains.shape[axis]
        if units == 1:
            continue
        means = [float(np.take(gains, unit, axis=axis).mean()) for unit in range(units)]
        square = statistics.variance(means) / units
        squares += square
        weighted += square**2 / (units - 1)
    return math.sqrt(squares), squares**2 / weighted


def student_bootstrap(gains: np.ndarray, generator: np.random.Generator, draws: int) -> np.ndarray:
    """Redraw one explainer's gain: every level by itself, then stretched to Student's t."""
    _, degrees = error_and_degrees(gains)
    result = np.zeros(draws)
    for draw in range(draws):
        deviation = 0.0
        for axis in range(3):
            units = gains.shape[axis]
            if units == 1:
                continue
            picked = [int(generator.integers(units)) for _ in range(units)]
            resampled = np.mean([np.take(gains, unit, axis=axis).mean() for unit in picked])
            deviation += math.sqrt(units / (units - 1)) * (resampled - gains.mean())
        result[draw] = gains.mean() + deviation * math.sqrt(degrees / generator.chisquare(degrees))
    return result


def accuracy_interval(correct: np.ndarray, level: float) -> tuple[float, float, float]:
    """Solve (p - x)² = q² x (1 - x) / n for x: Wilson's interval as the roots of a quadratic."""
    mean = float(correct.mean())
    examples = correct.shape[1]
    answers, degrees = float(examples), float(examples - 1)
    if 0 < mean < 1:
        error, degrees = error_and_degrees(correct[None].astype(float))
        answers = min(max(mean * (1 - mean) / error**2, 1.0), correct.size)
    square = float(scipy.stats.t.ppf(1 - level / 2, degrees)) ** 2 / answers
    low, high = sorted(np.roots([1 + square, -(2 * mean + square), mean**2]).real)
    return mean, float(low), float(high)


def spearman(first: list[float], second: list[float]) -> float:
    """Correlate mean ranks, each counted by comparing with all others."""

    def ranks(values: list[float]) -> list[float]:
        return [sum((w < v) + (w == v) / 2 for w in values) for v in values]

    return statistics.correlation(ranks(first), ranks(second))


def krippendorff_alpha(ratings: np.ndarray) -> float:
    """1 - observed / expected over all pairs of ratings (units, raters), interval scale."""
    units, raters = ratings.shape
    within = [
        (ratings[u, i] - ratings[u, j]) ** 2
        for u in range(units)
        for i, j in itertools.permutations(range(raters), 2)
    ]
    everything = [float(value) for value in ratings.ravel()]
    across = [(x - y) ** 2 for x, y in itertools.permutations(everything, 2)]
    return 1 - (sum(within) / len(within)) / (sum(across) / len(across))


def split_half(scores: np.ndarray, generator: np.random.Generator, splits: int) -> float:
    """Shuffle, cut, rank either half, and correct for the halved length."""
    rhos = []
    for _ in range(splits):
        order = [int(index) for index in generator.permutation(scores.shape[1])]
        half = len(order) // 2
        first = [float(row[order[:half]].mean()) for row in scores]
        second = [float(row[order[half : 2 * half]].mean()) for row in scores]
        rhos.append(spearman(first, second))
    rho = statistics.mean(rhos)
    return 2 * rho / (1 + rho)


# --- protocols and training -----------------------------------------------------------------------


def ranks(importance: Sequence[float]) -> list[int]:
    """Count what comes before each feature: all larger ones, and equal ones to its left."""
    return [
        sum(other > mine for other in importance)
        + sum(other == mine for other in importance[:position])
        for position, mine in enumerate(importance)
    ]


def top(importance: Sequence[float], fraction: float) -> set[int]:
    """Positions of the most important ``fraction`` of the features, half a feature rounded up."""
    exact = Fraction(str(fraction)) * len(importance)
    wanted = math.floor(exact + Fraction(1, 2))
    descending = sorted(range(len(importance)), key=lambda i: (-float(importance[i]), i))
    return set(descending[:wanted])


def degraded(
    inputs: np.ndarray,
    importance: np.ndarray,
    fill: np.ndarray,
    *,
    fraction: float,
    keep: bool = False,
) -> np.ndarray:
    """Copy the inputs and overwrite one feature of one example at a time, all its channels."""
    result = inputs.copy()
    features = importance.shape[1:]
    everything = set(range(math.prod(features)))
    for example in range(len(inputs)):
        best = top(importance[example].ravel().tolist(), fraction)
        for feature in everything - best if keep else best:
            place = np.unravel_index(feature, features)
            stand_in = fill[example] if len(fill) > 1 else fill[0]
            result[(example, ..., *place)] = stand_in[(..., *place)]
    return result


def data_order(examples: int, batch_size: int, epochs: int, seed: int) -> list[torch.Tensor]:
    """One permutation an epoch, cut into batches; the last one may be smaller."""
    generator = torch.Generator().manual_seed(seed)
    batches = []
    for _ in range(epochs):
        order = torch.randperm(examples, generator=generator)
        starts = range(0, examples, batch_size)
        batches += [order[start : start + batch_size] for start in starts]
    return batches


def trained(
    module: torch.nn.Module,
    inputs: np.ndarray,
    labels: np.ndarray,
    *,
    seed: int,
    optimiser: str,
    learning_rate: float,
    schedule: str,
    epochs: int,
    batch_size: int,
    weight_decay: float,
) -> dict[str, torch.Tensor]:
    """Train one module on inputs that are degraded already, as any tutorial does it."""
    x, y = torch.tensor(inputs), torch.tensor(labels)
    order = data_order(len(x), batch_size, epochs, seed)
    if optimiser == "sgd":
        update = torch.optim.SGD(
            module.parameters(),
            learning_rate,
            momentum=0.9,
            nesterov=True,
            weight_decay=weight_decay,
            foreach=False,
        )
    else:
        update = torch.optim.Adam(
            module.parameters(), learning_rate, weight_decay=weight_decay, foreach=False
        )
    criterion = torch.nn.CrossEntropyLoss()
    module.train()
    for step, batch in enumerate(order):
        share = 1.0 if schedule == "constant" else (1 + math.cos(math.pi * step / len(order))) / 2
        for group in update.param_groups:
            group["lr"] = learning_rate * share
        update.zero_grad()
        criterion(module(x[batch]), y[batch]).backward()
        update.step()
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def least_squares(inputs: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Weights (values + 1, classes) of the smallest norm but for the intercept, in the last row."""
    flat = inputs.reshape(len(inputs), -1).astype(np.float64)
    wanted = np.eye(classes)[labels]
    centre, level = flat.mean(0), wanted.mean(0)
    weights = np.linalg.lstsq(flat - centre, wanted - level, rcond=1e-6)[0]
    return np.vstack([weights, level - centre @ weights])


def least_squares_correct(
    weights: np.ndarray, inputs: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Whether the class of the largest score is the label."""
    flat = inputs.reshape(len(inputs), -1).astype(np.float64)
    scores = flat @ weights[:-1] + weights[-1]
    return np.asarray(scores.argmax(1) == labels)


def correct(module: torch.nn.Module, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether the class of the largest logit is the label, one example at a time."""
    module.eval()
    with torch.no_grad():
        answers = [int(module(torch.tensor(one[None]))[0].argmax()) for one in inputs]
    return np.array(answers) == labels
