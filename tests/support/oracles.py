"""Slow and obvious references, written from the papers' formulas with loops and float64 numbers.

Nothing here is clever, and nothing here calls the package: each function is the formula itself.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

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


def occlusion(
    output: Callable[[np.ndarray], float], x: np.ndarray, baseline: np.ndarray, groups: np.ndarray
) -> np.ndarray:
    """Fall of the output when the values of one feature come from the baseline, one by one."""
    falls = []
    for feature in range(int(groups.max()) + 1):
        hidden = x.ravel().copy()
        for value in range(len(hidden)):
            if groups[value] == feature:
                hidden[value] = baseline.ravel()[value]
        falls.append(output(x) - output(hidden.reshape(x.shape)))
    return np.array(falls)


def permutation_importance(
    score: Callable[[np.ndarray], float],
    inputs: np.ndarray,
    groups: np.ndarray,
    orders: Sequence[Sequence[int]],
) -> np.ndarray:
    """Score of the inputs less the mean score after each reordering of one feature's values."""
    falls = []
    for feature in range(int(groups.max()) + 1):
        scores = []
        for order in orders:
            shuffled = inputs.reshape(len(inputs), -1).copy()
            for example, source in enumerate(order):
                for value in range(len(groups)):
                    if groups[value] == feature:
                        given = inputs.reshape(len(inputs), -1)
                        shuffled[example, value] = given[source, value]
            scores.append(score(shuffled.reshape(inputs.shape)))
        falls.append(score(inputs) - statistics.mean(scores))
    return np.array(falls)


def rises(
    loss: Callable[[np.ndarray, int], float],
    inputs: np.ndarray,
    stand_in: Callable[[int, int, int], np.ndarray],
    orders: Sequence[Sequence[int]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What examples lose and give when j stands in for i: (feature, example) twice, variance.

    ``stand_in(feature, i, j)`` is example i with that feature of j.
    """
    features, examples = inputs.shape[1], len(inputs)
    receiving, giving = np.zeros((features, examples)), np.zeros((features, examples))
    variance = np.zeros(features)
    for feature in range(features):
        found = []
        for order in orders:
            for i, j in enumerate(order):
                found.append(loss(stand_in(feature, i, j), i) - loss(inputs[i], i))
                receiving[feature, i] += found[-1] / len(orders)
                giving[feature, j] += found[-1] / len(orders)
        variance[feature] = statistics.pvariance(found)
    return receiving, giving, variance


def tree_answer(node: dict, x: np.ndarray, known: set[int]) -> float:
    """Answer of a tree that knows some values; at other splits both sides, by their cover."""
    if "leaf" in node:
        return float(node["leaf"])
    yes, no = (
        next(child for child in node["children"] if child["nodeid"] == node[side])
        for side in ("yes", "no")
    )
    feature = int(node["split"].removeprefix("f"))
    if feature in known:
        return tree_answer(yes if x[feature] < node["split_condition"] else no, x, known)
    sides = [tree_answer(child, x, known) * child["cover"] for child in (yes, no)]
    return sum(sides) / (yes["cover"] + no["cover"])


def shapley_values(answer: Callable[[set[int]], float], players: int) -> np.ndarray:
    """Mean contribution of every player over all orders in which they may come."""
    total = np.zeros(players)
    for order in itertools.permutations(range(players)):
        for position, player in enumerate(order):
            before = set(order[:position])
            total[player] += answer(before | {player}) - answer(before)
    return total / math.factorial(players)


# --- statistics -----------------------------------------------------------------------------------


def area(fractions: list[float], values: list[float]) -> float:
    """Trapezoids from (0, 0) to the last point, one after another."""
    points = [(0.0, 0.0), *zip(fractions, values, strict=True)]
    total = 0.0
    for (left, before), (right, after) in itertools.pairwise(points):
        total += (right - left) * (before + after) / 2
    return total


def example_gains(scores, reference, fractions, direction):
    """Build both curves of every example and take the area between them."""
    base_models, _, repeats, examples = scores.shape
    gains = np.zeros((base_models, repeats, examples))
    for b, r, e in np.ndindex(gains.shape):
        ours = [float(value) for value in scores[b, :, r, e]]
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


def level_errors(gains: np.ndarray, *, once: bool = True) -> list[tuple[float, int]]:
    """Return the standard error of the means, and how many there are, at levels of two or more.

    Of two levels, that of the examples is without the interaction, which the other one has.
    """
    found = []
    for axis in range(3):
        units = gains.shape[axis]
        if units > 1:
            means = [float(np.take(gains, unit, axis=axis).mean()) for unit in range(units)]
            found.append((statistics.stdev(means) / math.sqrt(units), units))
    if once and len(found) == 2 and gains.shape[2] > 1:
        (outer, units), (error, examples) = found
        interaction = interaction_variance(gains.reshape(units, examples))
        squared = max(error**2 - interaction / (units * examples), 0.0)
        found = [(outer, units), (math.sqrt(squared), examples)]
    return found


def interaction_variance(grid: np.ndarray) -> float:
    """Return the mean square of what rows and columns leave of a table, number by number."""
    rows, columns = grid.shape
    whole = float(grid.mean())
    left = 0.0
    for row in range(rows):
        for column in range(columns):
            fitted = float(grid[row].mean()) + float(grid[:, column].mean()) - whole
            left += (float(grid[row, column]) - fitted) ** 2
    return left / ((rows - 1) * (columns - 1))


def student_density(x: float, freedom: int) -> float:
    """Density of Student's t."""
    half = (freedom + 1) / 2
    size = math.exp(math.lgamma(half) - math.lgamma(freedom / 2)) / math.sqrt(math.pi * freedom)
    return size * (1 + x * x / freedom) ** -half


def behrens_fisher(difference: float, levels: Sequence[tuple[float, int]]) -> float:
    """Probability that a sum of Student's t's, each times its error, is as far from zero."""
    from scipy.integrate import quad
    from scipy.special import stdtr

    def above(bound: float, rest: Sequence[tuple[float, int]]) -> float:
        (error, units), *others = rest
        if not others:
            return float(stdtr(units - 1, -bound / error))

        def both(angle: float) -> float:  # of x = tan(angle), so that the range is finite
            x = math.tan(angle)
            density = student_density(x, units - 1) / math.cos(angle) ** 2
            return density * above(bound - error * x, others)

        # No peak is overlooked: one factor has it at 0, the other one rises at the bound.
        width = 10 * math.hypot(*(other for other, _ in others)) / error
        ends = [-10.0, 0.0, 10.0, *(bound / error + side * width for side in (-1, 0, 1))]
        pieces = itertools.pairwise([-math.pi / 2, *sorted(map(math.atan, ends)), math.pi / 2])
        return sum(quad(both, *piece, limit=200)[0] for piece in pieces)

    return 2 * above(abs(difference), sorted(level for level in levels if level[0] > 0))


def half_width(levels: Sequence[tuple[float, int]], level: float) -> float:
    """Search for the difference that is as unlikely as the level."""
    from scipy.optimize import brentq

    most = sum(error for error, _ in levels)
    while behrens_fisher(most, levels) > level:
        most *= 2
    return float(brentq(lambda far: behrens_fisher(far, levels) - level, 0, most))


def accuracy_interval(correct: np.ndarray, level: float) -> tuple[float, float, float]:
    """Solve (p - x)² = q² x (1 - x) / n for x: Wilson's interval as the roots of a quadratic."""
    from scipy.stats import t  # takes a second, which tests of ranking need not wait for

    mean = float(correct.mean())
    examples = correct.shape[1]
    square = float(t.ppf(1 - level / 2, examples - 1)) ** 2
    ratio = square / examples
    if 0 < mean < 1:
        half = half_width(level_errors(correct[None].astype(float), once=False), level)
        ratio = max(half**2 / (mean * (1 - mean)), square / correct.size)
    low, high = sorted(np.roots([1 + ratio, -(2 * mean + ratio), mean**2]).real)
    return mean, float(low), float(high)


def real_interval(scores: np.ndarray, level: float) -> tuple[float, float, float]:
    """Interval of the mean of scores (repeats, examples) that never exceed 1."""
    mean = statistics.mean(float(score) for score in scores.ravel())
    half = half_width(level_errors(scores[None].astype(float), once=False), level)
    return mean, mean - half, min(mean + half, 1.0)


def mask(
    ours: np.ndarray,
    theirs: np.ndarray,
    *,
    majority: Sequence[float],
    clean_score: float,
    bar: float,
    level: float,
) -> str:
    """Say what is proven of one mask by its scores (repeats, examples) and those of random's."""
    from scipy.stats import t  # takes a second, which tests of ranking need not wait for

    mine, random = (
        [statistics.mean(map(float, column)) for column in arm.T] for arm in (ours, theirs)
    )
    known = random if statistics.mean(random) > statistics.mean(majority) else list(majority)
    left = clean_score - statistics.mean(known)
    if left <= 0:
        return "unclear"
    differences = [x - m for x, m in zip(mine, known, strict=True)]
    share = statistics.mean(differences)
    if ours.dtype == bool:
        differences += [1.0, -1.0]
    count, centre = len(differences), statistics.mean(differences)
    half = float(t.ppf(1 - level / 2, count - 1)) * statistics.stdev(differences) / math.sqrt(count)
    if max(centre + half, share) / left < bar:
        return "clear"
    return "leaks" if min(centre - half, share) / left > bar else "unclear"


def example_scores(outputs: np.ndarray, labels: np.ndarray) -> list[list[float | bool]]:
    """Score one answer at a time: right or wrong, or one less its share of the variance."""
    found: list[list[float | bool]] = []
    for arm in outputs:
        if labels.dtype == np.int64:
            found.append([list(o).index(max(o)) == y for o, y in zip(arm, labels, strict=True)])
            continue
        values = [float(label) for label in labels]
        variance = statistics.pvariance(values)
        errors = [float(o[0]) - y for o, y in zip(arm, values, strict=True)]
        found.append([1 - error * error / variance for error in errors])
    return found


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


# --- protocols ------------------------------------------------------------------------------------


def ranks(importance: Sequence[float], lots: Sequence[int] | None = None) -> list[int]:
    """Count what comes before each feature: larger ones, and equal ones of a smaller lot.

    Without lots, of equal features those to its left come before.
    """
    drawn = range(len(importance)) if lots is None else lots
    features = list(zip(importance, drawn, strict=True))
    return [
        sum(other > mine or (other == mine and theirs < own) for other, theirs in features)
        for mine, own in features
    ]


def ties(importance: Sequence[float]) -> list[bool]:
    """Whether each cut of the features in descending order is between two that are equal."""
    return [one == other for one, other in itertools.pairwise(sorted(importance, reverse=True))]


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


# --- removals -------------------------------------------------------------------------------------


def neighbour_means(image: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """Solve, for one channel, that each removed pixel is the weighted mean of its neighbours."""
    height, width = image.shape
    unknowns = [place for place in np.ndindex(height, width) if removed[place]]
    matrix, right = np.zeros((len(unknowns), len(unknowns))), np.zeros(len(unknowns))
    for line, (y, x) in enumerate(unknowns):
        neighbours = [
            ((y + i, x + j), 1 / 12 if i and j else 1 / 6)
            for i, j in itertools.product((-1, 0, 1), repeat=2)
            if (i or j) and 0 <= y + i < height and 0 <= x + j < width
        ]
        total = sum(weight for _, weight in neighbours)
        matrix[line, line] = 1
        for place, weight in neighbours:
            if removed[place]:
                matrix[line, unknowns.index(place)] -= weight / total
            else:
                right[line] += weight / total * float(image[place])
    result = image.astype(float)
    for place, value in zip(unknowns, np.linalg.solve(matrix, right), strict=True):
        result[place] = value
    return result


def conditional_mean(train: np.ndarray, row: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """Regress the removed values of one row on the kept ones, with the covariance of train."""
    mean, covariance = train.mean(0), np.cov(train.T, bias=True)
    gone, kept = np.flatnonzero(removed), np.flatnonzero(~removed)
    result = row.astype(float)
    result[gone] = mean[gone]
    if len(kept):
        weights = np.linalg.pinv(covariance[np.ix_(kept, kept)], rcond=1e-9) @ (row - mean)[kept]
        result[gone] += covariance[np.ix_(gone, kept)] @ weights
    return result


def interpolated(series: np.ndarray, removed: np.ndarray, otherwise: float) -> np.ndarray:
    """Walk from each removed step of one channel to the nearest kept ones on either side."""
    kept = [step for step in range(len(series)) if not removed[step]]
    result = series.astype(float)
    for step in range(len(series)):
        if not removed[step]:
            continue
        before = [other for other in kept if other < step][-1:]
        after = [other for other in kept if other > step][:1]
        if before and after:
            (a,), (b,) = before, after
            share = (step - a) / (b - a)
            result[step] = (1 - share) * float(series[a]) + share * float(series[b])
        else:
            nearest = before or after
            result[step] = float(series[nearest[0]]) if nearest else otherwise
    return result


def gaussian_blur(image: np.ndarray, deviation: float) -> np.ndarray:
    """Blur one channel by a sum over all pixels within four deviations, mirrored at the border."""

    def mirrored(place: int, side: int) -> int:
        place %= 2 * side
        return place if place < side else 2 * side - 1 - place

    height, width = image.shape
    down, across = (int(4 * deviation * side + 0.5) for side in image.shape)
    result = np.zeros(image.shape)
    for y, x in np.ndindex(height, width):
        total = 0.0
        for i, j in itertools.product(range(-down, down + 1), range(-across, across + 1)):
            squares = (i / (deviation * height)) ** 2 + (j / (deviation * width)) ** 2
            weight = math.exp(-squares / 2)
            total += weight
            result[y, x] += weight * float(image[mirrored(y + i, height), mirrored(x + j, width)])
        result[y, x] /= total
    return result


def blurred_noise(
    shape: tuple[int, ...], deviation: float, generator: np.random.Generator
) -> np.ndarray:
    """White noise on a larger grid, and at every place the sum of all of it, by Gaussian weight."""
    reach = int(np.ceil(4 * deviation))
    noise = generator.standard_normal([side + 2 * reach for side in shape])
    if not deviation:
        return noise
    squares = sum(np.square(axis - reach) for axis in np.indices([2 * reach + 1] * len(shape)))
    weights = np.exp(-squares / (2 * deviation**2))
    blurred = np.zeros(shape)
    for place in np.ndindex(shape):
        window = noise[tuple(slice(at, at + 2 * reach + 1) for at in place)]
        blurred[place] = (weights * window).sum() / np.sqrt(np.square(weights).sum())
    return blurred


def lag_one(values: np.ndarray) -> float:
    """The mean over axes of: products of neighbours' distances from the mean, by the variance."""
    centred = values - values.mean()
    lags = []
    for axis in range(values.ndim):
        products = []
        for place in np.ndindex(values.shape):
            beside = list(place)
            beside[axis] += 1
            if beside[axis] < values.shape[axis]:
                products.append(centred[place] * centred[tuple(beside)])
        lags.append(np.mean(products) / np.square(centred).mean())
    return float(np.mean(lags))


# --- trees, whose splits are {"feature", "threshold", "children": (left, right), "cover"} ---------


def split_mean(node: dict) -> float:
    """Mean of the leaves below, by their cover; of children that nobody went to, the plain mean."""
    if "leaf" in node:
        return node["leaf"]
    covers = [child["cover"] for child in node["children"]]
    if sum(covers) == 0:
        covers = [1, 1]
    sides = [split_mean(child) * c for child, c in zip(node["children"], covers, strict=True)]
    return sum(sides) / sum(covers)


def next_node(node: dict, x: np.ndarray) -> dict:
    """Child that an example goes to."""
    value = x[node["feature"]]
    left = node["missing_left"] if math.isnan(value) else value <= node["threshold"]
    return node["children"][0 if left else 1]


def split_answer(node: dict, x: np.ndarray, known: set[int]) -> float:
    """Answer of a tree that knows some values; at other splits both sides, by their cover."""
    if "leaf" in node:
        return node["leaf"]
    if node["feature"] in known:
        return split_answer(next_node(node, x), x, known)
    answers = [split_answer(child, x, known) for child in node["children"]]
    covers = [child["cover"] for child in node["children"]]
    if sum(covers) == 0:
        covers = [1, 1]
    return sum(a * c for a, c in zip(answers, covers, strict=True)) / sum(covers)


def saabas(node: dict, x: np.ndarray) -> np.ndarray:
    """Changes of the mean below on the way to the leaf, each for the feature of its split."""
    changes = np.zeros(len(x))
    while "leaf" not in node:
        child = next_node(node, x)
        changes[node["feature"]] += split_mean(child) - split_mean(node)
        node = child
    return changes


# --- what Captum computes -------------------------------------------------------------------------


def _entering(layers: Layers, x: np.ndarray) -> list[np.ndarray]:
    """Values that enter each ReLU of a perceptron."""
    found, values = [], x
    for weight, bias in layers[:-1]:
        found.append(weight @ values + bias)
        values = np.maximum(found[-1], 0)
    return found


def deep_lift(layers: Layers, x: np.ndarray, x0: np.ndarray, target: int) -> np.ndarray:
    """Multipliers of the rescale rule through a perceptron, one unit at a time, times the way."""
    multiplier = layers[-1][0][target].copy()
    ways = zip(_entering(layers, x), _entering(layers, x0), strict=True)
    for (weight, _), (z, z0) in zip(reversed(layers[:-1]), reversed(list(ways)), strict=True):
        for unit in range(len(multiplier)):
            change = max(z[unit], 0) - max(z0[unit], 0)
            multiplier[unit] *= change / (z[unit] - z0[unit])
        multiplier = weight.T @ multiplier
    return (x - x0) * multiplier


def layerwise_relevance(layers: Layers, x: np.ndarray, target: int) -> np.ndarray:
    """Relevance of the inputs of a perceptron, shared out in proportion to the products."""
    activations = [x, *(np.maximum(z, 0) for z in _entering(layers, x))]
    found = np.zeros(len(layers[-1][1]))
    found[target] = perceptron(layers, x)[target]
    for (weight, bias), below in zip(reversed(layers), reversed(activations), strict=True):
        shared = np.zeros(len(below))
        for unit in range(len(bias)):
            products = weight[unit] * below
            shared += products / (products.sum() + bias[unit]) * found[unit]
        found = shared
    return found


def grad_cam(activation: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Map of one example, from a layer's (channels, *places) and the gradient there."""
    total = np.zeros(activation.shape[1:])
    for channel, values in enumerate(activation):
        total += slope[channel].mean() * values
    return np.maximum(total, 0)


def occlusion_windows(
    output: Callable[[np.ndarray], float],
    x: np.ndarray,
    baseline: np.ndarray,
    groups: np.ndarray,
    shape: tuple[int, ...],
    *,
    axes: int,
    patch: int,
    stride: int,
) -> np.ndarray:
    """Slide a window over the last ``axes`` axes of the features, and average what it uncovers."""
    falls: list[list[float]] = [[] for _ in range(math.prod(shape))]
    starts = []
    for axis, side in enumerate(shape):
        if axis < len(shape) - axes:
            starts.append(list(range(side)))
            continue
        begun = [0]
        while begun[-1] + patch < side:
            begun.append(begun[-1] + stride)
        starts.append(begun)
    for corner in itertools.product(*starts):
        sizes = [1 if axis < len(shape) - axes else patch for axis in range(len(shape))]
        covered = [
            int(np.ravel_multi_index(place, shape))
            for place in itertools.product(
                *(range(c, min(c + n, s)) for c, n, s in zip(corner, sizes, shape, strict=True))
            )
        ]
        hidden = x.ravel().copy()
        for value, feature in enumerate(groups):
            if int(feature) in covered:
                hidden[value] = baseline.ravel()[value]
        for feature in covered:
            falls[feature].append(output(x) - output(hidden.reshape(x.shape)))
    return np.array([statistics.mean(fall) for fall in falls])


def exact_shapley(answer: Callable[[frozenset[int]], float], players: int) -> np.ndarray:
    """Shapley values as the weighted sum over coalitions, for more players than have few orders."""
    known = {
        frozenset(coalition): answer(frozenset(coalition))
        for size in range(players + 1)
        for coalition in itertools.combinations(range(players), size)
    }
    found = np.zeros(players)
    for coalition, value in known.items():
        for player in set(range(players)) - coalition:
            weight = Fraction(
                math.factorial(len(coalition)) * math.factorial(players - len(coalition) - 1),
                math.factorial(players),
            )
            found[player] += float(weight) * (known[coalition | {player}] - value)
    return found


def kernel_shap(
    coalitions: np.ndarray, weights: np.ndarray, values: np.ndarray, whole: float, empty: float
) -> np.ndarray:
    """Weighted least squares with the last player's value from the sum; the smallest solution."""
    players = coalitions.shape[1]
    rows, wanted = coalitions.astype(float), values - empty
    root = np.sqrt(weights)
    # Values that add up to the whole: an even share each, and a part that adds up to zero.
    even = np.full(players, (whole - empty) / players)
    centring = np.eye(players) - 1 / players
    part = np.linalg.lstsq(root[:, None] * (rows @ centring), root * (wanted - rows @ even), 1e-9)
    return even + centring @ part[0]


def lime(
    design: np.ndarray, outputs: np.ndarray, distances: np.ndarray, width: float
) -> np.ndarray:
    """Solve the normal equations of a weighted ridge regression with an unpunished intercept."""
    weights = np.sqrt(np.exp(-(distances**2) / width**2))
    rows = np.column_stack([design, np.ones(len(design))])
    matrix = np.diag([1.0] * design.shape[1] + [0.0])
    right = np.zeros(len(matrix))
    for row, output, weight in zip(rows, outputs, weights, strict=True):
        matrix += weight * np.outer(row, row)
        right += weight * output * row
    return np.linalg.solve(matrix, right)[:-1]


def enlarged(grid: np.ndarray, sides: tuple[int, ...], shifts: Sequence[int]) -> np.ndarray:
    """Enlarge a grid bilinearly to one cell more than the sides, and cut it out."""
    result = np.zeros(sides)
    for place in np.ndindex(*sides):
        total = 0.0
        for corner in itertools.product((0, 1), repeat=len(sides)):
            share, cell = 1.0, []
            for axis, (at, shift, up) in enumerate(zip(place, shifts, corner, strict=True)):
                cells = grid.shape[axis]
                scale = (cells + 1) * math.ceil(sides[axis] / cells) / cells
                centre = min(max((at + shift + 0.5) / scale - 0.5, 0), cells - 1)
                low = math.floor(centre)
                share *= centre - low if up else 1 - (centre - low)
                cell.append(min(low + up, cells - 1))
            total += share * float(grid[tuple(cell)])
        result[place] = total
    return result


def rise(masks: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Mean output of the masks by how much they show a feature, less the mean of all."""
    found = np.zeros(masks.shape[1:])
    for place in np.ndindex(*found.shape):
        shown = masks[(slice(None), *place)]
        found[place] = sum(shown * outputs) / sum(shown) - statistics.mean(outputs)
    return found


# --- the whole function ---------------------------------------------------------------------------


def example_loss(output: np.ndarray, label: float, *, probabilities: bool = False) -> float:
    """Squared error of one value, or minus the log-probability of the class."""
    if len(output) == 1:
        return float(output[0] - label) ** 2
    exponents = [math.exp(value - max(output)) for value in output]
    chosen = output[int(label)] if probabilities else exponents[int(label)] / sum(exponents)
    return -math.log(max(chosen, 1e-7))


def conditional_residuals(
    inputs: np.ndarray, background: np.ndarray, groups: np.ndarray, ridge: float
) -> np.ndarray:
    """What a ridge regression on all other features, fitted on the background, does not explain."""
    centre, deviation = background.mean(0), background.std(0)
    deviation[deviation == 0] = 1.0
    known, asked = (background - centre) / deviation, (inputs - centre) / deviation
    residuals = np.zeros_like(inputs)
    for feature in range(int(groups.max()) + 1):
        own, others = groups == feature, groups != feature
        penalty = np.sqrt(ridge * len(known)) * np.eye(others.sum())
        design = np.concatenate([known[:, others], penalty])
        wanted = np.concatenate([known[:, own], np.zeros((others.sum(), own.sum()))])
        slopes = np.linalg.lstsq(design, wanted, rcond=None)[0]
        residuals[:, own] = (asked[:, own] - asked[:, others] @ slopes) * deviation[own]
    return residuals


def sage_gains(
    answers: Callable[[np.ndarray], np.ndarray],
    loss: Callable[[np.ndarray, float], float],
    x: np.ndarray,
    label: float,
    background: np.ndarray,
    groups: np.ndarray,
    order: Sequence[int],
) -> np.ndarray:
    """Fall of one example's loss as its features become known in an order, one after another."""

    def loss_knowing(known: set[int]) -> float:
        rows = background.reshape(len(background), -1).copy()
        for value, feature in enumerate(groups):
            if feature in known:
                rows[:, value] = x.ravel()[value]
        return loss(answers(rows.reshape(background.shape)).mean(0), label)

    gains = np.zeros(int(groups.max()) + 1)
    for place, feature in enumerate(order):
        before = set(order[:place])
        gains[feature] = loss_knowing(before) - loss_knowing(before | {feature})
    return gains


def impurity_importance(tree: Any, features: int) -> np.ndarray:
    """Weighted falls of the impurity at the splits of one tree of scikit-learn, summing to one."""
    falls = np.zeros(features)
    for node, (left, right) in enumerate(zip(tree.children_left, tree.children_right, strict=True)):
        if left < 0:
            continue
        weighted = [tree.weighted_n_node_samples[n] * tree.impurity[n] for n in (node, left, right)]
        falls[tree.feature[node]] += weighted[0] - weighted[1] - weighted[2]
    return falls / falls.sum()


def coefficient_importance(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Mean absolute difference of the coefficients of all pairs of classes, times deviations."""
    pairs = list(itertools.combinations(range(len(weights)), 2))
    return np.array(
        [
            statistics.mean(abs(weights[a, v] - weights[b, v]) for a, b in pairs)
            * statistics.pstdev(values[:, v].tolist())
            for v in range(values.shape[1])
        ]
    )


def correlation_ratio(values: Sequence[float], labels: Sequence[int]) -> float:
    """Root of the share of a value's variance that lies between the classes."""
    centre, between = statistics.mean(values), 0.0
    for label in set(labels):
        own = [value for value, other in zip(values, labels, strict=True) if other == label]
        between += len(own) * (statistics.mean(own) - centre) ** 2
    return math.sqrt(between / sum((value - centre) ** 2 for value in values))


# --- paths, deconvnets and attention --------------------------------------------------------------


def deconvolved_perceptron(layers: Layers, target: int) -> np.ndarray:
    """Backpropagation through a perceptron whose ReLUs look at the gradient alone."""
    slope = layers[-1][0][target].copy()
    for weight, _ in reversed(layers[:-1]):
        for unit in range(len(slope)):
            if slope[unit] <= 0:
                slope[unit] = 0.0
        slope = weight.T @ slope
    return slope


def expected_gradients(
    slope: Function, x: np.ndarray, references: Sequence[np.ndarray], shares: Sequence[float]
) -> np.ndarray:
    """Mean over references of the way from them times the gradient at a share of it."""
    total = np.zeros_like(x)
    for reference, share in zip(references, shares, strict=True):
        total += (x - reference) * slope(reference + share * (x - reference))
    return total / len(references)


def mirrored_blur(line: np.ndarray, deviation: float) -> np.ndarray:
    """Blur a line by a sum over all places within eight deviations, mirrored at both ends."""
    side = len(line)
    result = np.zeros(side)
    if deviation == 0:
        return line.astype(float)
    reach = int(8 * deviation) + 1
    weights = [math.exp(-((step / deviation) ** 2) / 2) for step in range(-reach, reach + 1)]
    for place in range(side):
        for weight, step in zip(weights, range(-reach, reach + 1), strict=True):
            at = (place + step) % (2 * side)
            result[place] += weight * float(line[at if at < side else 2 * side - 1 - at])
    return result / sum(weights)


def blur_path(x: np.ndarray, steps: int, deviation: float) -> list[np.ndarray]:
    """A line or an image (height, width), blurred by ever more of each side."""
    path = []
    for step in range(steps + 1):
        blurred = x.astype(float)
        share = deviation * (step / steps) ** 2
        for axis in range(x.ndim):
            side = x.shape[axis]
            blurred = np.apply_along_axis(mirrored_blur, axis, blurred, share * side)
        path.append(blurred)
    return path


def along(slope: Function, path: Sequence[np.ndarray]) -> np.ndarray:
    """Sum over the pieces of a path, ends first, of the gradient in the middle times the piece."""
    total = np.zeros_like(path[0])
    for sharper, blurred in itertools.pairwise(path):
        total += (sharper - blurred) * slope((sharper + blurred) / 2)
    return total


def guided_path(
    slope: Function,
    x: np.ndarray,
    start: np.ndarray,
    *,
    steps: int,
    fraction: float,
    distance: float,
) -> list[np.ndarray]:
    """The points of guided integrated gradients, value by value and group by group."""
    whole = sum(abs(float(a) - float(b)) for a, b in zip(x, start, strict=True))
    size = int(fraction * (len(x) - 1)) + 1
    points, share = [start.astype(float)], [0.0] * len(x)
    for step in range(1, steps + 1):
        steepness = np.abs(slope(points[-1]))
        stop = min(step / steps + distance, 1)
        share = [max(one, step / steps - distance, 0) for one in share]
        left = whole * step / steps - sum(
            one * abs(float(a) - float(b)) for one, a, b in zip(share, x, start, strict=True)
        )
        movable = [v for v in range(len(x)) if x[v] != start[v] and share[v] < stop]
        movable.sort(key=lambda value: float(steepness[value]))
        while movable and left > 1e-12:
            group, movable = movable[:size], movable[size:]
            reach = sum((stop - share[v]) * abs(float(x[v] - start[v])) for v in group)
            part = min(1.0, left / reach)
            for value in group:
                share[value] += part * (stop - share[value])
            left -= part * reach
        points.append(start + np.array(share) * (x - start))
    return points


def rolled_out(blocks: Sequence[np.ndarray]) -> np.ndarray:
    """Attention rollout (tokens, tokens) of one example: blocks are (heads, tokens, tokens)."""
    reaches = np.eye(blocks[0].shape[-1])
    for block in blocks:
        mixed = 0.5 * sum(block) / len(block) + 0.5 * np.eye(len(reaches))
        reaches = np.array([row / row.sum() for row in mixed]) @ reaches
    return reaches


def relevance(blocks: Sequence[np.ndarray], slopes: Sequence[np.ndarray]) -> np.ndarray:
    """Relevance (tokens, tokens) of one example, from attention and its gradient."""
    relevant = np.eye(blocks[0].shape[-1])
    for block, slope in zip(blocks, slopes, strict=True):
        raising = sum(np.maximum(a * g, 0) for a, g in zip(block, slope, strict=True)) / len(block)
        relevant = relevant + raising @ relevant
    return relevant
