"""Which coalitions KernelSHAP asks about, and what they weigh; imports no torch."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float64, Int64


def drawn_coalitions(
    players: int, count: int, generator: np.random.Generator
) -> tuple[Bool[np.ndarray, "coalitions players"], Float64[np.ndarray, "coalitions"]]:
    """Return coalitions, neither empty nor full, and their weights, which add up to 1.

    All coalitions of a size ``s`` weigh ``(M - 1) / (s (M - s))`` together, up to a constant.
    Sizes are gone through in pairs, 1 and M - 1, then 2 and M - 2: as long as the share of
    ``count`` that their weight asks for suffices for all their coalitions, these are enumerated.
    Of the other sizes pairs of complements are drawn until there are enough different ones; each
    weighs as much as it was drawn often.

    :param players: M, at least 1.
    :param count: how many; all ``2^M - 2``, where that is less.
    :param generator: source of the draws.

    Lundberg and Lee 2017, arXiv 1705.07874; Covert and Lee 2021, arXiv 2012.01536, for the pairs.

    >>> kept, weights = drawn_coalitions(3, 100, np.random.default_rng(0))
    >>> kept.astype(int).tolist()
    [[1, 0, 0], [0, 1, 1], [0, 1, 0], [1, 0, 1], [0, 0, 1], [1, 1, 0]]
    >>> weights.round(3).tolist()
    [0.167, 0.167, 0.167, 0.167, 0.167, 0.167]
    """
    left = min(count, 2**players - 2)
    sizes = np.arange(1, players // 2 + 1)
    both = np.where(2 * sizes == players, 1, 2)  # half of the players are their own complement
    weights = both * (players - 1) / (sizes * (players - sizes))
    weights /= max(weights.sum(), 1e-300)
    kept, shares = [np.zeros((0, players), bool)], [np.zeros(0)]
    for position, size in enumerate(sizes.tolist()):
        subsets = int(both[position]) * math.comb(players, size)
        if left * (weights[position] / weights[position:].sum()) < subsets * (1 - 1e-8):
            rest = _drawn(players, left, sizes[position:], weights[position:], generator)
            kept.append(rest[0])
            shares.append(rest[1])
            break
        kept.append(_enumerated(players, size))
        shares.append(np.full(subsets, weights[position] / subsets))
        left -= subsets
    return np.concatenate(kept), np.concatenate(shares)


def _enumerated(players: int, size: int) -> Bool[np.ndarray, "coalitions players"]:
    """Return all coalitions of a size, each followed by its complement where that is another."""
    members = np.array(list(combinations(range(players), size)))
    kept = np.zeros((len(members), players), bool)
    np.put_along_axis(kept, members, values=True, axis=1)
    return kept if 2 * size == players else _with_complements(kept)


def _drawn(
    players: int,
    count: int,
    sizes: Int64[np.ndarray, "sizes"],
    weights: Float64[np.ndarray, "sizes"],
    generator: np.random.Generator,
) -> tuple[Bool[np.ndarray, "coalitions players"], Float64[np.ndarray, "coalitions"]]:
    """Draw pairs of complements until there are ``count`` different coalitions.

    Their weights add up to those of the sizes.
    """
    pairs = math.ceil(count / 2)
    drawn = np.zeros((0, players), bool)
    first = np.zeros(0, np.int64)
    while len(first) < pairs:
        size = generator.choice(sizes, pairs, p=weights / weights.sum())
        place = generator.random((pairs, players)).argsort(1).argsort(1)
        drawn = np.concatenate([drawn, place < size[:, None]])
        told = np.packbits(drawn ^ ~drawn[:, :1], axis=1)  # alike for the two of a pair
        _, first, pair = np.unique(told, axis=0, return_index=True, return_inverse=True)
    chosen = np.sort(first)[:pairs]
    times = np.bincount(pair.reshape(-1)[: chosen[-1] + 1])[pair.reshape(-1)[chosen]]
    shares = np.repeat(times, 2)[:count] * 1.0
    kept = _with_complements(drawn[chosen])[:count]
    return kept, shares * (weights.sum() / shares.sum())


def _with_complements(
    kept: Bool[np.ndarray, "pairs players"],
) -> Bool[np.ndarray, "coalitions players"]:
    return np.stack([kept, ~kept], 1).reshape(-1, kept.shape[1])
