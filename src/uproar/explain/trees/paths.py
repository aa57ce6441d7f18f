"""What the paths to the leaves of trees say of features, many examples and leaves at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from scipy import sparse

from uproar.explain.trees.arrays import Trees, share_of

MOST_EXAMPLES = 512  # at once: the arrays of a block stay in the processor's cache
MOST_NUMBERS = 2**17
MOST_PLACES = 2**14
SMALLEST_SHARE = 1e-30


@dataclass(frozen=True)
class Paths:
    """What it takes to get to leaves whose paths ask for equally many features.

    An example satisfies an element of a path when its value of ``feature`` is above ``low`` and at
    most ``high``, or missing and ``missing`` says so. ``share`` is the share of the training
    examples that go the way of the path where it asks for the feature.
    """

    feature: Int[np.ndarray, "leaves elements"]
    low: Float[np.ndarray, "leaves elements"]
    high: Float[np.ndarray, "leaves elements"]
    missing: Bool[np.ndarray, "leaves elements"]
    share: Float[np.ndarray, "leaves elements"]
    value: Float[np.ndarray, "leaves columns"]

    @property
    def size(self) -> int:
        """How many features each path asks for."""
        return int(self.feature.shape[1])

    def block(self, start: int, leaves: int) -> Paths:
        """Return some of the leaves."""
        part = slice(start, start + leaves)
        return Paths(
            self.feature[part],
            self.low[part],
            self.high[part],
            self.missing[part],
            self.share[part],
            self.value[part],
        )


def shapley_values(
    trees: Trees,
    values: Float[np.ndarray, "examples features"],
    column: Int[np.ndarray, "examples"],
) -> Float[np.ndarray, "examples features"]:
    """Return the path-dependent SHAP values of one column of the answer for each example.

    A leaf of value ``v`` that asks for the features of ``D`` adds, when ``S`` is known, the product
    of ``o_f`` over ``D`` within ``S``, whether the example satisfies what the path asks of ``f``,
    and of ``z_f``, the share of the training examples that do, over the rest of ``D``. Owen's
    integral of such a product gives its Shapley values,

    ``e_f = v (o_f - z_f) int_0^1 prod_(g in D, not f) (t o_g + (1 - t) z_g) dt``,

    of a polynomial in ``t`` of degree ``|D| - 1``, for which ``ceil(|D| / 2)`` points of Gauss and
    Legendre are exact. All factors are positive, and their logarithms a matrix product.

    Lundberg et al. 2020, arXiv 1905.04610; Owen 1972, doi 10.1287/mnsc.18.5.64.

    >>> from uproar.explain.trees.arrays import Nodes
    >>> stump = Trees.of([Nodes([1, -1, -1], [2, -1, -1], [0, 0, 0], [0.5, 0, 0], [False] * 3,
    ...                         [[0.0], [2.0], [6.0]], [4.0, 3.0, 1.0])])
    >>> shapley_values(stump, np.array([[0.0], [1.0]]), np.array([0, 0]))  # the mean is 3
    array([[-1.],
           [ 3.]])
    """
    found = np.empty(values.shape)
    parts = list(paths_of(trees))
    for start in range(0, len(values), MOST_EXAMPLES):
        some = slice(start, start + MOST_EXAMPLES)
        rows = np.ascontiguousarray(values[some].T, np.float64)
        total = np.zeros(rows.shape)
        for paths in parts:
            leaves = max(1, MOST_NUMBERS // (paths.size * rows.shape[1]))
            for first in range(0, len(paths.feature), leaves):
                total += _of_leaves(paths.block(first, leaves), rows, column[some])
        found[some] = total.T
    return found


def _of_leaves(
    paths: Paths, rows: Float[np.ndarray, "features examples"], column: Int[np.ndarray, "examples"]
) -> Float[np.ndarray, "features examples"]:
    """Return what some leaves contribute to the features."""
    leaves, size, examples = len(paths.feature), paths.size, rows.shape[1]
    satisfied = _satisfied(paths, rows).astype(np.float64).reshape(leaves, size, examples)
    points, weights = np.polynomial.legendre.leggauss((size + 1) // 2)
    points, weights = (points + 1) / 2, weights / 2
    share = np.maximum(paths.share, SMALLEST_SHARE)[:, None, :]
    absent = (1 - points)[:, None] * share  # (leaves, points, elements): the factor where o is 0,
    present = points[:, None] + absent  # and where it is 1
    products = np.log(present / absent) @ satisfied
    products += np.log(absent).sum(2, keepdims=True)
    np.exp(products, out=products)  # (leaves, points, examples)
    # What an element that is not satisfied gets does not depend on the element: the last row.
    weighted = np.empty((leaves, size + 1, len(points)))
    weighted[:, size:] = weights / (1 - points)
    weighted[:, :size] = ((1 - share) / present).swapaxes(1, 2) * weights + weighted[:, size:]
    if paths.value.shape[1] == 1:
        weighted *= paths.value[:, :, None]
    else:
        products *= paths.value[:, column][:, None, :]
    sums = weighted @ products
    satisfied *= sums[:, :size]
    satisfied -= sums[:, size:]
    elements = leaves * size
    places = paths.feature.ravel(), np.arange(elements)
    by_feature = sparse.csr_array((np.ones(elements), places), shape=(len(rows), elements))
    return np.asarray(by_feature @ satisfied.reshape(elements, examples))


def _satisfied(
    paths: Paths, rows: Float[np.ndarray, "features examples"]
) -> Bool[np.ndarray, "elements examples"]:
    values = rows[paths.feature.ravel()]
    within = (values > paths.low.reshape(-1, 1)) & (values <= paths.high.reshape(-1, 1))
    if np.isnan(rows).any():
        within |= np.isnan(values) & paths.missing.reshape(-1, 1)
    return np.asarray(within)


def paths_of(trees: Trees) -> Iterator[Paths]:
    """Yield the paths to all leaves that can be reached, by how many features they ask for.

    Splits on the same feature are one element: the values that satisfy all of them.

    >>> from uproar.explain.trees.arrays import Nodes
    >>> twice = Trees.of([Nodes([1, -1, 3, -1, -1], [2, -1, 4, -1, -1], [0] * 5,
    ...                         [1.0, 0, 5.0, 0, 0], [False] * 5, [[0.0]] * 5, [8, 2, 6, 3, 3])])
    >>> (paths,) = paths_of(twice)
    >>> paths.low.T, paths.high.T, paths.share.T
    (array([[-inf,   1.,   5.]]), array([[ 1.,  5., inf]]), array([[0.25 , 0.375, 0.375]]))
    """
    leaves, leaf, node, parent = _ways_up(trees)
    split = parent[node]
    order = np.lexsort((trees.feature[split], leaf))
    leaf, node, split = leaf[order], node[order], split[order]
    feature, threshold = trees.feature[split], trees.threshold[split]
    went_left = trees.left[split] == node
    new = (np.diff(leaf, prepend=-1) != 0) | (np.diff(feature, prepend=-1) != 0)
    starts = np.flatnonzero(new)
    if not len(starts):  # leaves alone
        return
    low = np.maximum.reduceat(np.where(went_left, -np.inf, threshold), starts)
    high = np.minimum.reduceat(np.where(went_left, threshold, np.inf), starts)
    missing = np.logical_and.reduceat(trees.missing_left[split] == went_left, starts)
    beside = np.where(went_left, trees.right[split], trees.left[split])
    covers = trees.cover[node], trees.cover[node] + trees.cover[beside]
    share = np.multiply.reduceat(share_of(*covers), starts)
    leaf, feature = leaf[starts], feature[starts]
    sizes = np.bincount(leaf, minlength=len(leaves))
    for size in np.unique(sizes[sizes > 0]):
        chosen, shape = sizes[leaf] == size, (-1, size)
        yield Paths(
            feature=feature[chosen].reshape(shape),
            low=low[chosen].reshape(shape),
            high=high[chosen].reshape(shape),
            missing=missing[chosen].reshape(shape),
            share=share[chosen].reshape(shape),
            value=trees.value[leaves[sizes == size]],
        )


Nodes = NDArray[np.int64]


def _ways_up(trees: Trees) -> tuple[Nodes, Nodes, Nodes, Nodes]:
    """Return the leaves, every node below a root on the way up from each, and all parents.

    :returns: (leaves,) nodes; (steps,) positions of leaves, and as many nodes that are passed from
        there; and (nodes,) the parent of each node, -1 for roots.
    """
    nodes = np.concatenate(list(trees.levels()))
    parent = np.full(len(trees.left), -1)
    inner = nodes[trees.left[nodes] >= 0]
    parent[trees.left[inner]] = parent[trees.right[inner]] = inner
    leaves = np.sort(nodes[trees.left[nodes] < 0])
    leaf, node = np.arange(len(leaves)), leaves
    steps = []
    while len(leaf):  # one step up from all leaves at once
        below = parent[node] >= 0
        leaf, node = leaf[below], node[below]
        steps.append((leaf, node))
        node = parent[node]
    leaf, node = (np.concatenate(part) for part in zip(*steps, strict=True))
    return leaves, leaf, node, parent


def path_changes(
    trees: Trees,
    values: Float[np.ndarray, "examples features"],
    column: Int[np.ndarray, "examples"],
) -> Float[np.ndarray, "examples features"]:
    """Return the sums over splits of how much the mean of the leaves below changes."""
    children, means = np.stack([trees.left, trees.right], 1), trees.means()
    inner = np.where(trees.left.take(children) >= 0, children, -1).ravel()
    found = np.empty(values.shape)
    step = max(1, MOST_PLACES // len(trees.roots))
    for own in np.unique(column):
        examples, mean = np.flatnonzero(column == own), means[:, own]
        # From every node to its left and to its right child.
        changes = np.where(children >= 0, mean.take(children) - mean[:, None], 0.0).ravel()
        for start in range(0, len(examples), step):
            some = examples[start : start + step]
            found[some] = _changes_on_the_way(trees, inner, changes, values[some])
    return found


def _changes_on_the_way(
    trees: Trees,
    children: Int[np.ndarray, "children"],
    changes: Float[np.ndarray, "children"],
    rows: Float[np.ndarray, "examples features"],
) -> Float[np.ndarray, "examples features"]:
    """Let every example begin at every root, and go on until it is at a leaf.

    Tree by tree, so that the nodes of one stay in the processor's cache.

    :param children: the left and the right child of every node that split on, -1 for leaves.
    :param changes: how much the mean changes from the node to each child.
    """
    roots = trees.roots[trees.left[trees.roots] >= 0]
    node = np.repeat(roots, len(rows))
    first = np.tile(np.arange(len(rows)) * rows.shape[1], len(roots))
    missing, total = bool(np.isnan(rows).any()), np.zeros(rows.size)
    while len(node):
        place = first + trees.feature.take(node)
        value = rows.take(place)
        right = value > trees.threshold.take(node)
        if missing:
            right |= np.isnan(value) & ~trees.missing_left.take(node)
        child = 2 * node + right
        total += np.bincount(place, changes.take(child), minlength=rows.size)
        node = children.take(child)
        inner = np.flatnonzero(node >= 0)
        node, first = node.take(inner), first.take(inner)
    return total.reshape(rows.shape)
