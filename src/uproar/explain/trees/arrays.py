"""Fitted trees as arrays over their nodes, whichever library has grown them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray


@dataclass(frozen=True)
class Nodes:
    """The nodes of one tree, counted from 0, its root; the fields are those of :class:`Trees`."""

    left: Any
    right: Any
    feature: Any
    threshold: Any
    missing_left: Any
    value: Any
    cover: Any


@dataclass(frozen=True)
class Trees:
    """Trees whose answers are added up, with all of their nodes one after another.

    An example goes from a root to the left where its value of the node's feature is at most the
    threshold, or is missing and ``missing_left``, until it is at a leaf, which has no ``left``
    (-1). ``value`` is what leaves answer, one column for each output; ``cover`` is how many
    training examples went through a node, weighted as the library weights them.
    """

    left: Int[np.ndarray, "nodes"]
    right: Int[np.ndarray, "nodes"]
    feature: Int[np.ndarray, "nodes"]
    threshold: Float[np.ndarray, "nodes"]
    missing_left: Bool[np.ndarray, "nodes"]
    value: Float[np.ndarray, "nodes columns"]
    cover: Float[np.ndarray, "nodes"]
    roots: Int[np.ndarray, "trees"]

    @classmethod
    def of(cls, parts: Sequence[Nodes]) -> Trees:
        """Put trees, each of which counts its nodes from 0, one after another.

        >>> leaf = Nodes([-1], [-1], [0], [0.0], [False], [[5.0]], [1.0])
        >>> Trees.of([leaf, leaf]).roots
        array([0, 1])
        """
        sizes = [len(part.left) for part in parts]
        roots = np.cumsum([0, *sizes[:-1]])
        first = np.repeat(roots, sizes)

        def joined(name: str, kind: type) -> NDArray[Any]:
            return np.concatenate([np.asarray(getattr(part, name), kind) for part in parts])

        left, right = joined("left", np.int64), joined("right", np.int64)
        return cls(
            left=np.where(left < 0, -1, left + first),
            right=np.where(left < 0, -1, right + first),
            feature=joined("feature", np.int64),
            threshold=joined("threshold", np.float64),
            missing_left=joined("missing_left", np.bool_),
            value=joined("value", np.float64),
            cover=joined("cover", np.float64),
            roots=roots,
        )

    def levels(self) -> Iterator[Int[np.ndarray, "of_level"]]:
        """Yield the nodes that can be reached, from the roots downwards."""
        nodes = self.roots
        while len(nodes):
            yield nodes
            inner = nodes[self.left[nodes] >= 0]
            nodes = np.concatenate([self.left[inner], self.right[inner]])

    def means(self) -> Float[np.ndarray, "nodes columns"]:
        """Return what each node answers on average: the mean of its leaves, by their cover."""
        means = self.value.copy()
        for nodes in reversed(list(self.levels())):
            inner = nodes[self.left[nodes] >= 0]
            left, right = self.left[inner], self.right[inner]
            share = share_of(self.cover[left], self.cover[left] + self.cover[right])[:, None]
            means[inner] = share * means[left] + (1 - share) * means[right]
        return means


def share_of(
    part: Float[np.ndarray, "nodes"], whole: Float[np.ndarray, "nodes"]
) -> Float[np.ndarray, "nodes"]:
    """Return the share of a node's examples that a child has: half where there are none."""
    shares = np.full(len(part), 0.5)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares
