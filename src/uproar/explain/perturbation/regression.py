"""The regressions that coalitions and perturbations are summed up by, for many examples at once."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

PENALTY = 1.0  # of the ridge regression
RANK_TOLERANCE = 1e-10  # of eigenvalues, against the largest


def ridge(
    design: Float64[Tensor, "*examples rows features"],
    outputs: Float64[Tensor, "*examples rows columns"],
    weights: Float64[Tensor, "*examples rows"],
) -> Float64[Tensor, "*examples features columns"]:
    """Return the coefficients of weighted ridge regressions with intercepts.

    They minimise ``sum_i w_i (y_i - a - x_i b)^2 + |b|^2``, for every column of ``outputs``.

    >>> rows = torch.tensor([[1.0], [-1.0]]).double()
    >>> ridge(rows, 3 * rows + 5, torch.ones(2).double())  # 3 times 2 / (2 + 1)
    tensor([[2.]], dtype=torch.float64)
    """
    shares = (weights / weights.sum(-1, keepdim=True))[..., None]
    root = weights.sqrt()[..., None]
    centred = root * (design - (shares * design).sum(-2, keepdim=True))
    wanted = root * (outputs - (shares * outputs).sum(-2, keepdim=True))
    rows, features = centred.shape[-2:]
    by_rows = features > rows  # then the same comes of the smaller system, of the rows
    system = centred @ centred.mT if by_rows else centred.mT @ centred
    system.diagonal(dim1=-2, dim2=-1).add_(PENALTY)
    solved: Tensor = torch.linalg.solve(system, wanted if by_rows else centred.mT @ wanted)
    return centred.mT @ solved if by_rows else solved


def shapley_regression(
    coalitions: Bool[Tensor, "coalitions players"],
    weights: Float64[Tensor, "coalitions"],
    values: Float64[Tensor, "examples coalitions"],
    whole: Float64[Tensor, "examples"],
    empty: Float64[Tensor, "examples"],
    varying: Bool[Tensor, "examples players"],
) -> Float64[Tensor, "examples players"]:
    """Return the values of the players that explain those of the coalitions best.

    ``e`` minimises ``sum_S w(S) (v(S) - v({}) - sum_{f in S} e_f)^2``, where ``sum_f e_f = v(all) -
    v({})`` and ``e_f = 0`` for players that do not vary. Where the coalitions do not determine it,
    it is the smallest one.

    :param coalitions: who takes part.
    :param weights: of the coalitions, positive.
    :param values: v of the coalitions.
    :param whole: v of all players.
    :param empty: v of none.
    :param varying: players whose taking part may make a difference.

    >>> alone, weights = torch.eye(2, dtype=torch.bool), torch.ones(2).double()
    >>> values, whole, empty = torch.tensor([[5.0, 3.0], [15.0, 0.0], [1.0, 0.0]]).double()
    >>> shapley_regression(
    ...     alone, weights, values[None], whole[:1], empty[:1], values[None] > 0).round()
    tensor([[8., 6.]], dtype=torch.float64)
    """
    takes_part = coalitions.double()
    weighted = takes_part * weights[:, None]
    # Adding the constraint to both sides changes no solution, and makes the matrix regular.
    matrix = takes_part.T @ weighted + 1
    right = (values - empty[:, None]) @ weighted
    found = torch.zeros_like(right)
    # Of tables all features vary, and there is one system; of images every example has its own.
    patterns, pattern_of = varying.unique(dim=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        players, examples = pattern.nonzero()[:, 0], (pattern_of == number).nonzero()[:, 0]
        if not len(players):
            continue
        ones = right.new_ones(len(players), 1)
        sides = torch.cat([ones, right[examples[:, None], players].T], 1)
        constraint, free = _solved(matrix[players[:, None], players], sides).tensor_split([1], 1)
        excess = free.sum(0) - (whole - empty)[examples]
        found[examples[:, None], players] = (free - constraint * excess / constraint.sum()).T
    return found


def _solved(
    matrix: Float64[Tensor, "players players"], sides: Float64[Tensor, "players sides"]
) -> Float64[Tensor, "players sides"]:
    """Return the smallest solution of a symmetric system."""
    factor, failed = torch.linalg.cholesky_ex(matrix)
    pivots = factor.diagonal().square()
    if not bool(failed) and bool(pivots.min() > RANK_TOLERANCE * pivots.max()):
        return torch.cholesky_solve(sides, factor)
    inverse: Tensor = torch.linalg.pinv(matrix, hermitian=True, rtol=RANK_TOLERANCE)
    return inverse @ sides
