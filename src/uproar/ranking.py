"""Importance and fraction to removed mask: exact counts, stable order, ties broken at random.

Every explainer, the random control included, goes through these functions.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Int, Num, UInt
from numpy.typing import NDArray


def rank(
    importance: Num[np.ndarray, "examples *features"],
    lots: UInt[np.ndarray, "examples *features"] | None = None,
) -> UInt[np.ndarray, "examples *features"]:
    """Return the rank of every feature within its example, 0 for the most important.

    Of equal features the one with the smaller lot comes first; without lots the first of them.

    :param importance: (examples, *feature_shape), larger is more important; sign counts.
    :param lots: :func:`drawn_lots`, the same for all explainers.
    :returns: ranks of the same shape, in the smallest unsigned integer type that holds them.
    :raises ValueError: when an importance is NaN, since NaN has no rank.

    >>> rank(np.array([[0.1, 0.7, 0.7, -3.0]]))
    array([[2, 0, 1, 3]], dtype=uint8)
    >>> rank(np.array([[0.1, 0.7, 0.7, -3.0]]), np.array([[0, 9, 4, 0]], dtype=np.uint64))
    array([[2, 1, 0, 3]], dtype=uint8)
    """
    if np.isnan(importance).any():
        bad = int(np.isnan(importance).any(axis=tuple(range(1, importance.ndim))).sum())
        raise ValueError(
            f"importance has NaN in {bad} of {len(importance)} examples (shape "
            f"{importance.shape}); return a number for every feature"
        )
    flat = importance.reshape(len(importance), -1)
    features = flat.shape[1]
    negated = _negated(flat)
    # Sorting stably keeps the first of equal features first.
    order = np.argsort(negated, axis=1, kind="stable")
    if lots is not None:
        tied = _equal_neighbours(flat, order).any(axis=1)
        by_lot = lots.reshape(flat.shape)[tied], negated[tied]
        order[tied] = np.lexsort(by_lot, axis=1)
    ranks = np.empty(flat.shape, dtype=np.min_scalar_type(max(features - 1, 0)))
    np.put_along_axis(ranks, order, np.arange(features, dtype=ranks.dtype)[None], axis=1)
    return ranks.reshape(importance.shape)


def drawn_lots(
    seed: int, examples: slice, shape: tuple[int, ...]
) -> UInt[np.ndarray, "examples *features"]:
    """Return a lot for every feature of every example, which decides between equal features.

    An example's lots depend on the seed and on its place alone, in whatever block it is ranked: a
    hash of both, by the mixing function of SplitMix64.

    :param examples: which examples of a part, by their places.
    :param shape: feature_shape.
    :returns: (examples, *shape), all different in practice.

    Paper: Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators".

    >>> whole, part = drawn_lots(0, slice(0, 4), (3,)), drawn_lots(0, slice(2, 4), (3,))
    >>> bool((whole[2:] == part).all())
    True
    """
    features = math.prod(shape)
    places = np.arange(examples.start * features, examples.stop * features, dtype=np.uint64)
    mixed = (places + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (mixed ^ (mixed >> np.uint64(31))).reshape(-1, *shape)


def ties(
    importance: Num[np.ndarray, "examples *features"],
    ranks: UInt[np.ndarray, "examples *features"],
) -> Bool[np.ndarray, "examples cuts"]:
    """Return where a cut falls between equal features: which of them is removed is a lottery.

    :param ranks: of the importance.
    :returns: (examples, features - 1); the k-th cut is between the features of rank k and k + 1.

    >>> importance = np.array([[0.1, 0.7, 0.7, -3.0]])
    >>> ties(importance, rank(importance)).tolist()
    [[True, False, False]]
    """
    flat = importance.reshape(len(importance), -1)
    return _equal_neighbours(flat, np.argsort(ranks.reshape(flat.shape), axis=1))


def _equal_neighbours(values: NDArray[np.generic], order: NDArray[np.intp]) -> NDArray[np.bool_]:
    ordered = np.take_along_axis(values, order, axis=1)
    return np.asarray(ordered[:, 1:] == ordered[:, :-1])


def _negated(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """Negate without the wrap-around of unsigned integers."""
    widened = np.promote_types(values.dtype, np.float32)
    negated: NDArray[np.generic] = np.negative(values.astype(widened, copy=False))
    return negated


def count(fraction: float, features: int) -> int:
    """Return how many features a fraction means: ``round(fraction * features)``, half up.

    :raises ValueError: when ``fraction`` is outside [0, 1].

    >>> count(0.5, 5), count(0.1, 5), count(1.0, 64)
    (3, 1, 64)
    """
    if not 0 <= fraction <= 1:
        raise ValueError(f"fraction must lie in [0, 1], got {fraction!r}")
    # Half up, after cancelling the binary representation error of decimal fractions.
    return math.floor(round(fraction * features, 9) + 0.5)


def counts(fraction: float, lengths: Int[np.ndarray, "examples"]) -> Int[np.ndarray, "examples"]:
    """Return how many of its own features a fraction means for each example, as :func:`count`.

    :param lengths: number of features of every example.
    :raises ValueError: when ``fraction`` is outside [0, 1].

    >>> counts(0.5, np.array([5, 4, 1])).tolist()
    [3, 2, 1]
    """
    known, which = np.unique(lengths, return_inverse=True)
    each = np.array([count(fraction, int(length)) for length in known], dtype=np.int32)
    return np.asarray(each[which])


def removed_mask(
    ranks: UInt[np.ndarray, "examples *features"], fraction: float, *, keep: bool = False
) -> Bool[np.ndarray, "examples *features"]:
    """Return the mask of removed features: True where the information is gone.

    With ``keep=False`` (ROAR) the ``fraction`` of most important features is removed; with
    ``keep=True`` (KAR) it is what stays, and everything else is removed.

    :raises ValueError: when ``fraction`` is outside [0, 1].

    >>> removed_mask(np.array([[2, 0, 1, 3]], dtype=np.uint8), 0.5)
    array([[False,  True,  True, False]])
    >>> removed_mask(np.array([[2, 0, 1, 3]], dtype=np.uint8), 0.5, keep=True)
    array([[ True, False, False,  True]])
    """
    top = ranks < count(fraction, math.prod(ranks.shape[1:]))
    return ~top if keep else top
