"""Trainings per second: our groups of arms against a careful plain loop, and against the machine.

Both train the same models on the same degraded inputs with the same recipe. The plain loop holds
each arm's degraded data in memory and trains one model after another with torch.optim, on one core
or on all, whichever is faster; ours runs groups side by side, as a run does. The machine's own rate
is a large single precision matrix product on all cores, measured in the same minute.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from uproar.data import load
from uproar.dataset import Data, Split
from uproar.models.architectures.small import cnn, mlp
from uproar.models.training.ways import TorchLearner, Training, choose_training, initialise
from uproar.protocols.experiment import Experiment, prepare
from uproar.protocols.ranks import Ranking
from uproar.protocols.roar import roar
from uproar.ranking import rank, removed_mask
from uproar.remove.fill import mean
from uproar.remove.removal import apply
from uproar.types import Recipe

FRACTIONS = (0.1, 0.3, 0.5, 0.7, 0.9)
SEEDS = (0, 1, 2, 3, 4)
MATRIX = 2048
CORES = os.cpu_count() or 1


def matrix_rate() -> float:
    """Return floating point operations a second of a large matrix product on all cores."""
    torch.set_num_threads(CORES)
    first, second = torch.randn(2, MATRIX, MATRIX)
    seconds = []
    for _ in range(6):
        begun = time.perf_counter()
        torch.mm(first, second)
        seconds.append(time.perf_counter() - begun)
    return 2 * MATRIX**3 / statistics.median(seconds[1:])


def operations(module: nn.Module, examples: int, recipe: Recipe) -> float:
    """Return the multiplications and additions of one training of a dense stack.

    Two for each weight and example forward, two for the gradient of the weight, and two for the
    gradient of its input, which the first layer does not need.
    """
    weights = [layer.weight.numel() for layer in module.modules() if isinstance(layer, nn.Linear)]
    return 2.0 * recipe.epochs * examples * (3 * sum(weights) - weights[0])


def random_ranking(data: Data, seed: int) -> Ranking:
    generator = np.random.default_rng(seed)
    return Ranking.of(
        *(
            rank(generator.random((len(part), *data.feature_shape), dtype=np.float32))
            for part in (data.train, data.test)
        )
    )


def setting_of(data: Data, architecture: Callable[[Data], nn.Module], recipe: Recipe) -> Experiment:
    factory = partial(architecture, data)
    sample = torch.from_numpy(data.train.inputs[:2]), torch.from_numpy(data.train.labels[:2])
    return prepare(
        data,
        mean(data),
        learner=TorchLearner(factory, choose_training(factory, *sample)[0]),
        recipe=recipe,
        device=torch.device("cpu"),
        generator=np.random.default_rng(0),
    )


def plain_loop(
    data: Data, experiment: Experiment, ranking: Ranking, fractions: tuple[float, ...], seed: int
) -> tuple[float, list[float]]:
    """Train one model per fraction as one would write it; return seconds and test accuracies.

    Small products do not always gain from a second core, so the better setting is kept.
    """
    return min(_plain_loop(data, experiment, ranking, fractions, seed, n) for n in {1, CORES})


def _plain_loop(
    data: Data,
    experiment: Experiment,
    ranking: Ranking,
    fractions: tuple[float, ...],
    seed: int,
    threads: int,
) -> tuple[float, list[float]]:
    torch.set_num_threads(threads)
    fill = mean(data)
    generator = np.random.default_rng(0)
    begun, accuracies = time.perf_counter(), []
    for fraction in fractions:
        train, test = (
            torch.from_numpy(
                apply(
                    *(fill, data, part.inputs, removed_mask(ranks.values, fraction)),
                    generator=generator,
                )
            )
            for part, ranks in ((data.train, ranking.train), (data.test, ranking.test))
        )
        model = train_plainly(experiment, train, torch.from_numpy(data.train.labels), seed)
        with torch.no_grad():
            right = model(test).argmax(1) == torch.from_numpy(data.test.labels)
        accuracies.append(float(right.float().mean()))
    return time.perf_counter() - begun, accuracies


def train_plainly(
    experiment: Experiment, inputs: torch.Tensor, labels: torch.Tensor, seed: int
) -> nn.Module:
    recipe, model = experiment.recipe, initialise(experiment.learner.factory, seed)
    optimiser = torch.optim.Adam(model.parameters(), recipe.learning_rate)
    steps = recipe.epochs * -(-len(labels) // recipe.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    loss_of, generator = nn.CrossEntropyLoss(), torch.Generator().manual_seed(seed)
    for _ in range(recipe.epochs):
        for index in torch.randperm(len(labels), generator=generator).split(recipe.batch_size):
            loss = loss_of(model(inputs[index]), labels[index])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return model


def ours(experiment: Experiment, rankings: list[Ranking]) -> tuple[float, list[np.ndarray]]:
    """Train fractions × seeds of every ranking, groups side by side as a run does."""
    workers = 1 if experiment.learner.training == "sequential" else CORES

    def group(ranking: Ranking) -> np.ndarray:
        torch.set_num_threads(1)
        return roar(experiment, ranking, fractions=FRACTIONS, seeds=SEEDS)

    begun = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        correct = list(pool.map(group, rankings))
    return time.perf_counter() - begun, [c.mean((1, 2)) for c in correct]


def dense_row(data: Data, recipe: Recipe, repeats: int) -> dict[str, Any]:
    """Compare for one recipe of the MLP, the three measurements in turn, and take medians."""
    experiment = setting_of(data, mlp, recipe)
    rankings = [random_ranking(data, seed) for seed in range(2 * CORES)]
    work = operations(initialise(experiment.learner.factory, 0), len(data.train), recipe)
    trainings = len(rankings) * len(FRACTIONS) * len(SEEDS)
    ratios, shares, plain_ms, our_ms, gaps = [], [], [], [], []
    for repeat in range(repeats + 1):
        rate = matrix_rate()
        plain_seconds, plain_accuracy = plain_loop(data, experiment, rankings[0], FRACTIONS, 0)
        our_seconds, our_accuracy = ours(experiment, rankings)
        if repeat == 0:
            continue  # everything warms up
        plain_each, our_each = plain_seconds / len(FRACTIONS), our_seconds / trainings
        ratios.append(plain_each / our_each)
        shares.append(work / our_each / rate)
        plain_ms.append(1e3 * plain_each)
        our_ms.append(1e3 * our_each)
        gaps.append(float(np.mean(our_accuracy[0]) - np.mean(plain_accuracy)))
    return {
        "batch": recipe.batch_size,
        "plain loop, ms a training": round(statistics.median(plain_ms), 1),
        "uproar, ms a training": round(statistics.median(our_ms), 1),
        "times faster": round(statistics.median(ratios), 1),
        "share of the matrix rate": round(statistics.median(shares), 2),
        "accuracy less the loop's": round(statistics.median(gaps), 3),
    }


def dense_rows(repeats: int = 5) -> list[dict[str, Any]]:
    """Return one row per batch size; the recipe of the demo is the one at 64."""
    data = load("digits", seed=0)
    return [dense_row(data, Recipe(batch_size=size), repeats) for size in (64, 128, 256)]


def images(side: int, channels: int, examples: int) -> Data:
    """Return random images, for timing alone."""
    generator = np.random.default_rng(0)
    inputs = generator.random((examples, channels, side, side), dtype=np.float32)
    labels = np.arange(examples) % 10
    split = Split(inputs, labels)
    small = Split(inputs[:100], labels[:100])
    names = tuple("0123456789")
    return Data("images", "image", split, small, small, (side, side), names, (), (0.0, 1.0))


def convolution_rows(repeats: int = 3) -> list[dict[str, Any]]:
    """Compare the ways of training the CNN at two image sizes; all in the same minute."""
    rows = []
    for side, channels, examples in ((8, 1, 1280), (32, 3, 512)):
        data, recipe = images(side, channels, examples), Recipe(epochs=2)
        experiment = setting_of(data, cnn, recipe)
        ranking, count = random_ranking(data, 0), len(FRACTIONS) * len(SEEDS)
        plain, ways = [], {training: [] for training in ("stacked", "sequential")}
        for repeat in range(repeats + 1):
            seconds, _ = plain_loop(data, experiment, ranking, FRACTIONS, 0)
            measured = {training: _one_way(experiment, ranking, training) for training in ways}
            if repeat:
                plain.append(seconds / len(FRACTIONS))
                for training, spent in measured.items():
                    ways[training].append(spent / count)
        base = statistics.median(plain)
        row = {"images": f"{side} × {side} × {channels}", "plain loop, ms": round(1e3 * base, 1)}
        for training, spent in ways.items():
            row[f"{training}, times faster"] = round(base / statistics.median(spent), 2)
        rows.append(row | {"chosen": experiment.learner.training})
    return rows


def _one_way(experiment: Experiment, ranking: Ranking, training: Training) -> float:
    torch.set_num_threads(CORES)
    begun = time.perf_counter()
    learner = replace(experiment.learner, training=training)
    roar(replace(experiment, learner=learner), ranking, fractions=FRACTIONS, seeds=SEEDS)
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    for row in [*dense_rows(repeats), *convolution_rows(repeats)]:
        print(row)


if __name__ == "__main__":
    main()
