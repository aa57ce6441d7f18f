"""Linear functions of correlated Gaussians, whose importances are known in closed form."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from uproar.explain.importance import ExplainerOfFunction
from uproar.models.trained import TrainedModel

Array = NDArray[np.float64]

COVARIANCE = np.array(
    [[1.0, 0.6, 0.0, 0.3], [0.6, 2.0, -0.4, 0.0], [0.0, -0.4, 0.5, 0.0], [0.3, 0.0, 0.0, 1.0]]
)
SLOPES = np.array([1.0, -0.5, 2.0, 0.7])
CONDITIONAL = 1 / np.diag(np.linalg.inv(COVARIANCE))  # variance of each, given all others


def inputs_of(examples: int, covariance: Array, generator: np.random.Generator) -> Array:
    root = np.linalg.cholesky(covariance)
    return generator.standard_normal((examples, len(covariance))) @ root.T


def least_squares(inputs: Array, labels: Array) -> tuple[Array, float]:
    """Return slopes and intercept."""
    centre, level = inputs.mean(0), labels.mean()
    slopes = np.linalg.lstsq(inputs - centre, labels - level, rcond=None)[0]
    return slopes, float(level - centre @ slopes)


def model_of(
    slopes: Array,
    intercept: float,
    held_out: tuple[Array, Array],
    background: Array,
    refits: Callable[[int], torch.Tensor] | None = None,
) -> TrainedModel:
    """Return a linear function as a trained model."""
    weights = torch.tensor(slopes)
    values = len(slopes)
    return TrainedModel(
        lambda inputs: (inputs @ weights + intercept)[:, None],
        *[torch.zeros(values, dtype=torch.float64)] * 3,
        feature_axes=1,
        held_out=(torch.tensor(held_out[0]), torch.tensor(held_out[1])),
        background=torch.tensor(background),
        refits=refits,
    )


def fitted(
    slopes: Array,
    covariance: Array,
    generator: np.random.Generator,
    *,
    train: int,
    held_out: int,
    background: int = 300,
    noise: float = 1.0,
) -> TrainedModel:
    """Return least squares on examples of a linear function with noise, and others held out."""
    inputs = inputs_of(train + held_out, covariance, generator)
    labels = inputs @ slopes + noise * generator.standard_normal(len(inputs))
    seen, new = slice(train), slice(train, None)

    def refits(seed: int) -> torch.Tensor:
        answers = []
        for left_out in range(-1, len(slopes)):
            kept = [value for value in range(len(slopes)) if value != left_out]
            own, level = least_squares(inputs[seen][:, kept], labels[seen])
            answers.append(inputs[new][:, kept] @ own + level)
        return torch.tensor(np.stack(answers))[..., None]

    found = least_squares(inputs[seen], labels[seen])
    return model_of(*found, (inputs[new], labels[new]), inputs[seen][:background], refits)


def null_rejections(
    explainer: ExplainerOfFunction, covariance: Array, slopes: Array, *, runs: int
) -> float:
    """Return how often features without a slope of their own are found important at 5 %."""
    p_values = []
    for run in range(runs):
        generator = np.random.default_rng(run)
        model = fitted(slopes, covariance, generator, train=600, held_out=150)
        importance = explainer.measure(model, torch.Generator().manual_seed(run))
        p_values.append(importance.p_values[slopes == 0])
    return float((np.concatenate(p_values) < 0.05).mean())
