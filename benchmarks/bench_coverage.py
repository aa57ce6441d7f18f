"""How often intervals over a recipe, by base models or by folds, hold the truth they speak of.

A small ROAR in NumPy and scikit-learn, fast enough to be run in thousands of worlds: 9 columns, of
which 3 tell the class; an explainer of each decision, ``|x| * importance`` of the base model,
against a random ranking; a third and two thirds of the features removed, and a model retrained.
Every number is a count over worlds; nothing is timed. `docs/validity.md` tells the story.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from uproar.stats.levels import Design, half_width, level_means, variances

COLUMNS, TOLD = 9, np.array([1.0, 1.0, 0.5])
REMOVED = (3, 6)
WORLDS, BASES_OF_TRUTH, TESTED = 300, 100, 2000
Array = NDArray[np.float64]
World = tuple[Array, NDArray[np.int64]]

MODELS: dict[str, Callable[[int], Any]] = {
    "ridge": lambda _: RidgeClassifier(),
    "tree": lambda seed: DecisionTreeClassifier(max_depth=5, max_features=0.5, random_state=seed),
    "nearest neighbour": lambda _: KNeighborsClassifier(1),
}


def world(random: np.random.Generator, examples: int) -> World:
    """Draw inputs and labels."""
    inputs = random.standard_normal((examples, COLUMNS))
    clear = inputs[:, : len(TOLD)] @ TOLD
    return inputs, (clear + 0.7 * random.standard_normal(examples) > 0).astype(np.int64)


def importance(model: Any, train: World) -> Array:
    """Return what the model makes of every column; of neighbours, what the data say."""
    if hasattr(model, "feature_importances_"):
        return np.asarray(model.feature_importances_)
    if hasattr(model, "coef_"):
        return np.abs(model.coef_[0])
    return np.abs(np.corrcoef(train[0].T, train[1])[-1, :-1])


def degraded(inputs: Array, ranking: Array, count: int, mean: Array) -> Array:
    """Return inputs without their ``count`` features of the highest rank."""
    gone = np.argsort(-ranking, axis=1)[:, :count]
    left = inputs.copy()
    np.put_along_axis(left, gone, mean[gone], axis=1)
    return left


def gains(kind: str, train: World, test: World, seed: int, repeats: int) -> Array:
    """Return the gains over random of one base model, (repeats, test examples)."""
    random, make = np.random.default_rng(seed), MODELS[kind]
    weight = importance(make(seed).fit(*train), train)
    mean, found = train[0].mean(axis=0), []
    rankings = [[np.abs(x) * weight, random.random(x.shape)] for x, _ in (train, test)]
    for repeat in range(repeats):
        right = np.zeros((2, len(test[1])))
        for which in range(2):
            for count in REMOVED:
                seen = degraded(train[0], rankings[0][which], count, mean)
                asked = degraded(test[0], rankings[1][which], count, mean)
                model = make(seed + 1 + repeat).fit(seen, train[1])
                right[which] += (model.predict(asked) == test[1]) / len(REMOVED)
        found.append(right[1] - right[0])
    return np.array(found)


def by_folds(kind: str, whole: World, folds: int, seed: int) -> tuple[Array, Design]:
    """Return the gains (1, 1, 1, examples) of a cross-validation, and its design."""
    random = np.random.default_rng(seed)
    parts = np.array_split(random.permutation(len(whole[1])), folds)
    found = []
    for fold, tested in enumerate(parts):
        trained = np.concatenate([part for at, part in enumerate(parts) if at != fold])
        train, test = ((whole[0][rows], whole[1][rows]) for rows in (trained, tested))
        found.append(gains(kind, train, test, seed + 1000 * fold, 1))
    return np.concatenate(found, axis=1)[None, None], Design(folds=tuple(map(len, parts)))


def interval(stack: Array, design: Design) -> tuple[float, float]:
    """Return the mean gain and half the width of its interval."""
    means = list(level_means(stack, design).values())
    half = half_width(variances(means), [values.shape[1] for values in means])
    return float(stack.mean()), float(half[0])


def covered(found: list[tuple[float, float]], truth: Array) -> float:
    """Return the share of intervals that hold their truth."""
    means, halves = np.array(found).T
    return float((np.abs(means - truth) <= halves).mean())


def fold_rows(examples: tuple[int, ...] = (100, 400), worlds: int = WORLDS) -> Iterator[Any]:
    """Yield coverage of the mean over data sets drawn anew: training sets, models and examples."""
    for kind in MODELS:
        row: dict[str, Any] = {"model": kind}
        for count in examples:
            for folds in (5, 10):
                random = np.random.default_rng(folds)
                found = [
                    interval(*by_folds(kind, world(random, count), folds, 10_000 * at))
                    for at in range(worlds)
                ]
                truth = np.mean([mean for mean, _ in found])
                row[f"{count} examples, {folds} folds"] = covered(found, np.asarray(truth))
        yield row


def seed_rows(bases: tuple[int, ...] = (3, 5), worlds: int = WORLDS) -> Iterator[Any]:
    """Yield coverage of the mean over base models and examples, for one training set each."""
    for count in (100, 400):
        row: dict[str, Any] = {"training examples": count}
        random = np.random.default_rng(count)
        drawn = [(world(random, count), world(random, TESTED)) for _ in range(worlds)]
        truths = np.array(
            [_truth(train, test, 100_000 * at) for at, (train, test) in enumerate(drawn)]
        )
        for number in bases:
            found = []
            for at, (train, _) in enumerate(drawn):
                test = world(random, 200)
                of_bases = [
                    gains("tree", train, test, 100_000 * at + 50_000 + 100 * base, 2)
                    for base in range(number)
                ]
                found.append(interval(np.array(of_bases)[None], Design(own_repeats=True)))
            row[f"{number} base models, 2 repeats"] = covered(found, truths)
        yield row


def _truth(train: World, test: World, seed: int) -> float:
    """Return the mean gain over many base models of one training set."""
    each = [
        gains("tree", train, test, seed + 100 * base, 1).mean() for base in range(BASES_OF_TRUTH)
    ]
    return float(np.mean(each))


def tables() -> dict[str, list[dict[str, Any]]]:
    """Return all tables by their titles."""
    return {
        "Coverage by folds, of data drawn anew": list(fold_rows()),
        "Coverage by base models, of trees on one training set": list(seed_rows()),
    }


if __name__ == "__main__":
    from run import markdown

    for title, table in tables().items():
        print(f"\n## {title}\n\n{markdown(table)}")
