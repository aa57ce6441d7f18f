"""Which test examples a report shows, and whose importance is kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uproar.dataset import Data


def gallery_examples(data: Data, count: int) -> list[int]:
    """Return test examples to show: the first of each class, then the second of each, and so on.

    Of values, the examples at equally spaced ranks of the value.

    >>> from uproar.data import load
    >>> data = load("digits", seed=0)
    >>> data.test.labels[gallery_examples(data, 12)].tolist()
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    """
    return _spread(data, _in_order(data), count)


def kept_examples(data: Data, count: int, *, gallery: int) -> list[int]:
    """Return test examples whose importance is kept: first those that the gallery shows.

    The others are chosen as those of the gallery are, from what these leave; of classes, they are
    the next of each class.

    >>> from uproar.data import load
    >>> data = load("digits", seed=0)
    >>> kept = kept_examples(data, 256, gallery=10)
    >>> len(kept), kept[:10] == gallery_examples(data, 10)
    (256, True)
    """
    shown = gallery_examples(data, gallery)
    order = _in_order(data)
    rest = order[~np.isin(order, shown)]
    return [*shown, *_spread(data, rest, count - len(shown))]


def _in_order(data: Data) -> NDArray[np.int64]:
    """Return all test examples: the classes in turn, or in the order of their values."""
    labels = data.test.labels
    if data.task == "regression":
        return np.argsort(labels, kind="stable")
    turn = np.zeros(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        turn[of_class] = np.arange(len(of_class))
    return np.lexsort((labels, turn))


def _spread(data: Data, order: NDArray[np.int64], count: int) -> list[int]:
    """Return the first examples of an order by class, or evenly spaced ones of one by value."""
    if data.task == "regression":
        places = np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)
        order = order[places]
    return [int(example) for example in order[:count]]
