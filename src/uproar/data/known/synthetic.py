"""Data whose important features are known by construction."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uproar.dataset import Data, Split
from uproar.seeding import generator_of

COLUMNS = 16
INFORMATIVE = 4
EXAMPLES = {"train": 5000, "validation": 1000, "test": 5000}


def hooker_toy(*, seed: int) -> Data:
    """Return the toy data of Hooker et al. with one noise value per example.

    x = a z / 10 + d η + ε / 10 and y = 1[z > 0], where z, η, ε ~ N(0, 1) are drawn for every
    example and a, d ~ N(0, 1)^16 once; only the first 4 entries of a are not zero. The twelve
    other columns help only by cancelling η. ``known_importance`` orders the columns by descending
    \\|a\\| (``true-ranking``), the opposite way (``inverted-ranking``) and shuffled
    (``shuffled-ranking``), for all examples alike: 16 for the first, 1 for the last.

    Hooker et al. 2019, arXiv 1806.10758.

    >>> data = hooker_toy(seed=0)
    >>> train, _ = data.known_importance["true-ranking"]
    >>> train.shape, sorted(train[0, :4].tolist())
    ((5000, 16), [13.0, 14.0, 15.0, 16.0])
    """
    return _hooker_toy("hooker-toy", seed=seed, noise_columns=1)


def hooker_toy_independent(*, seed: int) -> Data:
    """Return the toy data of Hooker et al. with noise of its own in every column.

    As :func:`hooker_toy`, with ε ~ N(0, 1)^16 drawn for every example: no column is redundant, so
    that accuracy falls at every informative column that is removed.

    >>> hooker_toy_independent(seed=0).test.inputs.shape
    (5000, 16)
    """
    return _hooker_toy("hooker-toy-independent", seed=seed, noise_columns=COLUMNS)


def _hooker_toy(name: str, *, seed: int, noise_columns: int) -> Data:
    generator = generator_of("data", name, seed)
    signal, nuisance = generator.standard_normal((2, COLUMNS))
    signal[INFORMATIVE:] = 0
    splits = []
    for size in EXAMPLES.values():
        z, eta = generator.standard_normal((2, size, 1))
        epsilon = generator.standard_normal((size, noise_columns))
        inputs = (z * signal / 10 + eta * nuisance + epsilon / 10).astype(np.float32)
        splits.append(Split(inputs, (z[:, 0] > 0).astype(np.int64)))
    true = np.argsort(-np.abs(signal), kind="stable")
    shuffled = generator.permutation(COLUMNS)
    orders = {"true": true, "inverted": true[::-1], "shuffled": shuffled}
    return Data(
        name=name,
        kind="table",
        train=splits[0],
        validation=splits[1],
        test=splits[2],
        feature_shape=(COLUMNS,),
        class_names=("z <= 0", "z > 0"),
        feature_names=tuple(f"x{column}" for column in range(COLUMNS)),
        known_importance={f"{k}-ranking": _importance(v) for k, v in orders.items()},
    )


def _importance(order: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return an importance of train and of test that puts the columns in this order."""
    importance = np.empty(COLUMNS, dtype=np.float32)
    importance[order] = COLUMNS - np.arange(COLUMNS)
    shapes = ((EXAMPLES[part], COLUMNS) for part in ("train", "test"))
    train, test = (np.broadcast_to(importance, shape) for shape in shapes)
    return train, test
