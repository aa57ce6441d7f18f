"""One estimator for one arm: copied, seeded, held to one thread, fitted, and asked."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Num, Shaped
from numpy.typing import NDArray
from sklearn.base import clone
from threadpoolctl import ThreadpoolController

from uproar.models.randomness import numpy_seeded
from uproar.models.training.batches import Batches

# How many draws of every example an estimator learns from where a network would see a new one in
# each epoch: estimators have no epochs.
COPIES = 10
PREDICTION_ROWS = 4096

_SEEDS = ("random_state", "seed")
_THREADS = ("n_jobs", "nthread", "num_threads", "thread_count")
_BOOSTED = ("xgboost", "lightgbm")


@dataclass(frozen=True)
class FittedEstimator:
    """A fitted estimator, and the class that each column of its answers is about.

    ``classes`` is empty for a regression.
    """

    estimator: Any
    classes: tuple[int, ...]


def method_of(estimator: Any) -> str:
    """Return the method that classes are scored with, of those that the estimator has.

    >>> from sklearn.linear_model import LogisticRegression, Perceptron
    >>> method_of(LogisticRegression()), method_of(Perceptron())
    ('predict_proba', 'decision_function')
    """
    if hasattr(estimator, "predict_proba"):
        return "predict_proba"
    parameters = estimator.get_params(deep=True).items()
    # One column for every pair of classes: with three classes these would pass for the classes.
    pairs = any(k.endswith("decision_function_shape") and v == "ovo" for k, v in parameters)
    return (
        "decision_function" if hasattr(estimator, "decision_function") and not pairs else "predict"
    )


def prepared(estimator: Any, seed: int) -> Any:
    """Return an unfitted copy whose draws come from ``seed`` and that keeps to one thread.

    Every part of a pipeline gets the seed, modulo 2**31: LightGBM reads larger ones as the largest.
    """
    copy = clone(estimator)
    parts = {"": copy}
    parts |= {
        f"{path}__": value
        for path, value in copy.get_params(deep=True).items()
        if hasattr(value, "get_params") and not isinstance(value, type)
    }
    settings: dict[str, Any] = {}
    for prefix, part in parts.items():
        own = part.get_params(deep=False)
        settings |= {f"{prefix}{key}": seed % 2**31 for key in _SEEDS if key in own}
        package = type(part).__module__.split(".")[0]
        # None means one thread to scientific Python, and all of them to boosted trees.
        threads = [k for k in _THREADS if k in own and (own[k] is not None or package in _BOOSTED)]
        settings |= {f"{prefix}{key}": 1 for key in threads}
        if package == "lightgbm":
            settings |= {f"{prefix}{key}": value for key, value in _repeatable(own).items()}
    return copy.set_params(**settings)


def _repeatable(own: dict[str, Any]) -> dict[str, Any]:
    """Return what makes LightGBM give the same trees each time, and print nothing."""
    settings: dict[str, Any] = {"deterministic": True}
    if not own.get("force_col_wise"):
        settings["force_row_wise"] = True
    if "verbose" not in own and "verbosity" not in own:
        settings["verbosity"] = -1
    return settings


def fit_arm(
    estimator: Any, batches: Batches, labels: NDArray[Any], arm: int, seed: int
) -> FittedEstimator:
    """Fit a copy of the estimator on the inputs of one arm.

    Where inputs are degraded anew each time, it is fitted on ``COPIES`` draws of every example.
    Classes are numbered without gaps for it, as XGBoost asks.

    :param labels: (examples,) int64 classes, or floating values for a regression.
    :raises Exception: what the estimator raises, as it is.
    """
    copies = COPIES if batches.fresh else 1
    generator = torch.Generator().manual_seed(seed)
    draws = [inputs_of_arm(batches, arm, generator) for _ in range(copies)]
    inputs = draws[0] if copies == 1 else np.concatenate(draws)
    del draws
    classes: tuple[int, ...] = ()
    if not np.issubdtype(labels.dtype, np.floating):
        present, labels = np.unique(labels, return_inverse=True)
        classes = tuple(present.tolist())
    copy = prepared(estimator, seed)
    # Splitters of a grid search may draw from the global generators.
    with _one_thread(), numpy_seeded(seed):
        copy.fit(inputs, np.tile(labels, copies))
    return FittedEstimator(copy, classes)


def _one_thread() -> AbstractContextManager[Any]:
    """Hold the libraries that compute in threads of their own to one, meanwhile."""
    limit: AbstractContextManager[Any] = _thread_pools(len(sys.modules)).limit(limits=1)
    return limit


@lru_cache(maxsize=1)
def _thread_pools(modules: int) -> ThreadpoolController:  # noqa: ARG001 - the key of the cache
    """Return the thread pools of the process; more of them may come with more modules.

    To look for them takes longer than most estimators take for a thousand answers.
    """
    return ThreadpoolController()


def inputs_of_arm(
    batches: Batches, arm: int, generator: torch.Generator | None = None
) -> Shaped[np.ndarray, "examples values"]:
    """Return all inputs of one arm; ``generator`` is needed where they are drawn anew."""
    generators = () if generator is None else (generator,)
    index = torch.arange(len(batches.shared))
    parts = [
        batches.batch(slice(arm, arm + 1), part[None], generators)[0]
        for part in index.split(PREDICTION_ROWS)
    ]
    return torch.cat(parts).numpy()


def answers_of_arm(
    fitted: FittedEstimator, batches: Batches, arm: int, classes: int
) -> Float32[np.ndarray, "examples outputs"]:
    """Return what the fitted estimator answers to the inputs of its arm."""
    inputs = inputs_of_arm(batches, arm)
    starts = range(0, len(inputs), PREDICTION_ROWS)
    parts = [answers(fitted, inputs[at : at + PREDICTION_ROWS], classes) for at in starts]
    return np.concatenate(parts)


def answers(
    fitted: FittedEstimator, inputs: Shaped[np.ndarray, "rows values"], classes: int
) -> Float32[np.ndarray, "rows outputs"]:
    """Return a score for each class, or the value that is predicted.

    Scores are probabilities, else values of the decision function (``-d/2`` and ``d/2`` of two
    classes), else 1 for the class that is predicted. A class that the estimator was not shown
    never has the largest score.

    :param inputs: (rows, values).
    :param classes: how many, 0 for a regression.
    :returns: (rows, classes), or (rows, 1).
    :raises ValueError: when the estimator answers with another shape.
    """
    method = method_of(fitted.estimator) if classes else "predict"
    with _one_thread():
        values = np.asarray(getattr(fitted.estimator, method)(inputs))
    rows, known = len(inputs), len(fitted.classes)
    if method == "predict":
        values = _checked(values.reshape(rows, -1), (rows, 1), fitted, method)
        return _one_hot(fitted, values[:, 0], classes) if classes else values.astype(np.float32)
    if method == "decision_function" and values.ndim == 1:
        values = np.stack([-values / 2, values / 2], axis=1)
    values = _checked(values, (rows, known), fitted, method)
    lowest = 0.0 if method == "predict_proba" else values.min(axis=1, keepdims=True) - 1
    scores = np.broadcast_to(lowest, (rows, classes)).astype(np.float32)
    scores[:, list(fitted.classes)] = values
    return scores


def _one_hot(
    fitted: FittedEstimator, predicted: Num[np.ndarray, "rows"], classes: int
) -> Float32[np.ndarray, "rows classes"]:
    scores = np.zeros((len(predicted), classes), np.float32)
    scores[np.arange(len(predicted)), np.take(fitted.classes, predicted.astype(np.int64))] = 1
    return scores


def _checked(
    values: NDArray[Any], shape: tuple[int, int], fitted: FittedEstimator, method: str
) -> NDArray[Any]:
    if values.shape != shape:
        raise ValueError(
            f"{method} of {type(fitted.estimator).__name__} must return an array of shape "
            f"{shape}, got {values.shape}"
        )
    return values
