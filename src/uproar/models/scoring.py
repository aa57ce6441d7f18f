"""From a model's answers to one score per test example: what every protocol returns."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor


def example_scores(
    outputs: Float[Tensor, "arms examples outputs"],
    labels: Int[Tensor, "examples"] | Float[Tensor, "examples"],
) -> Bool[np.ndarray, "arms examples"] | Float[np.ndarray, "arms examples"]:
    """Return how well every arm's model answers each test example; 1 is best.

    For classes, whether the largest output is that of the label (the first of equal ones counts),
    so that the mean over examples is the accuracy. For values y with answers ŷ,
    ``1 - (y - ŷ)² / variance of the labels``, whose mean over examples is R². The variance
    (population) is that of these very labels and taken as known. It is one factor common to all
    arms: no order, sign or p-value depends on it, but an interval of R² leaves out what the
    variance of other test examples would add, and speaks of this test set's scale.

    :param outputs: what every arm's model answers to its own inputs; one output for values.
    :param labels: int64 classes, or floating values, which make it a regression.
    :returns: (arms, examples), bool for classes and float32 for values.
    :raises ValueError: when shapes do not fit, when an output is no number (a diverged training),
        or when all labels of a regression are equal.

    >>> import torch
    >>> example_scores(torch.tensor([[[0.1, 0.9], [0.8, 0.2]]]), torch.tensor([1, 1])).tolist()
    [[True, False]]
    >>> example_scores(torch.tensor([[[0.0], [2.0]]]), torch.tensor([0.0, 4.0])).tolist()
    [[1.0, 0.0]]
    """
    regression = labels.is_floating_point()
    _check_shapes(outputs, labels, regression)
    if regression:
        return _squared_error_scores(outputs[..., 0], labels)
    # An infinite output is an answer: the logarithm of a probability of zero.
    _check_converged(outputs.isnan().any(dim=2).any(dim=1).cpu().numpy())
    right = outputs.argmax(dim=2) == labels.to(outputs.device)
    return np.asarray(right.cpu().numpy())


def _check_shapes(outputs: Tensor, labels: Tensor, regression: bool) -> None:
    fits = outputs.ndim == 3 and labels.ndim == 1 and outputs.shape[1] == len(labels)
    if not fits or (regression and outputs.shape[2] != 1):
        wanted = "1 output, as labels are values" if regression else "classes"
        raise ValueError(
            f"outputs must be (arms, examples, {wanted}) and labels (examples,), got "
            f"{tuple(outputs.shape)} and {tuple(labels.shape)}"
        )


def _squared_error_scores(
    answers: Float[Tensor, "arms examples"], labels: Float[Tensor, "examples"]
) -> Float[np.ndarray, "arms examples"]:
    truth = labels.cpu().double().numpy()
    if truth.min() == truth.max():
        raise ValueError(
            f"all {len(truth)} test labels are {truth[0]:g}, so that there is nothing to predict "
            "and no R²; choose another target or another split"
        )
    with np.errstate(over="ignore", invalid="ignore"):  # reported in the next line
        squared_errors = (truth - answers.cpu().double().numpy()) ** 2
        scores: NDArray[np.float32] = (1 - squared_errors / truth.var()).astype(np.float32)
    _check_converged(np.asarray(~np.isfinite(scores).all(axis=1)))
    return scores


def _check_converged(diverged: Bool[np.ndarray, "arms"]) -> None:
    if diverged.any():
        raise ValueError(
            f"{int(diverged.sum())} of {len(diverged)} models answer with NaN or infinity: their "
            "training diverged; lower the learning rate or scale the inputs"
        )
