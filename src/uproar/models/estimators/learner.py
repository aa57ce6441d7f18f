"""scikit-learn estimators and pipelines, XGBoost and LightGBM as models that uproar can train."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from numpy.typing import NDArray
from sklearn.base import clone, is_classifier, is_regressor
from torch import Tensor

from uproar.dataset import Data
from uproar.models.estimators.arms import (
    FittedEstimator,
    answers,
    answers_of_arm,
    fit_arm,
    method_of,
)
from uproar.models.training.batches import Batches
from uproar.types import Recipe, UproarError


@dataclass(frozen=True)
class EstimatorPredictor:
    """A fitted estimator as a function of tensors, which has no gradients.

    ``outputs`` is the number of classes, 0 for a regression; ``classes`` has those that the
    estimator was shown, one for each column of its answers.
    """

    estimator: Any
    classes: tuple[int, ...]
    outputs: int

    def __call__(self, inputs: Shaped[Tensor, "rows *shape"]) -> Float[Tensor, "rows outputs"]:
        """Return probabilities or other scores of the classes, or values, on the inputs' device."""
        fitted = FittedEstimator(self.estimator, self.classes)
        values = inputs.detach().flatten(1).cpu().numpy()
        return torch.from_numpy(answers(fitted, values, self.outputs)).to(inputs.device)


@dataclass(frozen=True)
class EstimatorLearner:
    """Fits copies of an estimator, one for every arm, in single-thread processes.

    Inputs are flattened to (examples, values). An arm depends on its inputs and its seed alone,
    bit for bit: neither on the other arms nor on the number of processors. Nothing is ever
    unpickled from a store: estimators are fitted again when a run resumes.

    :param estimator: anything with scikit-learn's ``fit``, ``predict`` and ``get_params``; never
        fitted itself.
    :param classes: how many classes the labels have, 0 for a regression.
    :param processes: how many arms at once; as many as there are processors, when 0.

    >>> from sklearn.linear_model import Ridge
    >>> from uproar.models.training.batches import RemovedByRank, SharedInputs
    >>> inputs = torch.tensor([[0.0], [1.0], [2.0]])
    >>> ranks = torch.zeros(3, 1, dtype=torch.uint8)
    >>> batches = RemovedByRank(SharedInputs(inputs, torch.zeros(1, 1), 1, (1,)), ranks, (0, 1))
    >>> learner = EstimatorLearner(Ridge(alpha=0.0), classes=0, processes=1)
    >>> fitted = learner.fit(batches, torch.tensor([1.0, 3.0, 5.0]), seeds=[0, 0], recipe=Recipe())
    >>> learner.outputs(fitted, batches)[..., 0].round(decimals=4)
    tensor([[1., 3., 5.],
            [3., 3., 3.]])
    """

    estimator: Any
    classes: int
    processes: int = 0

    @property
    def training(self) -> str:
        """How groups of arms are trained."""
        return "processes"

    @property
    def parallel(self) -> bool:
        """Whether fitting uses all processors by itself."""
        return True

    @property
    def note(self) -> str:
        """What stands in for probabilities, in one line; empty where nothing has to."""
        name, method = type(self.estimator).__name__, method_of(self.estimator)
        if not self.classes or method == "predict_proba":
            return ""
        if method == "decision_function":
            return f"{name} has no predict_proba: its decision function is used."
        return f"{name} gives no scores of the classes: the class that it predicts is used."

    def fit(
        self,
        batches: Batches,
        labels: Int[Tensor, "examples"] | Float[Tensor, "examples"],
        *,
        seeds: Sequence[int],
        recipe: Recipe,
    ) -> list[FittedEstimator]:
        """Fit one copy of the estimator for each arm; ``seeds[arm]`` sets every random state.

        :raises Exception: what the estimator raises, as it is.
        """
        wanted = labels.cpu().numpy()
        fitted: list[FittedEstimator] = self._pool(batches.arms)(
            joblib.delayed(fit_arm)(self.estimator, batches, wanted, arm, seeds[arm])
            for arm in range(batches.arms)
        )
        return fitted

    def outputs(
        self, fitted: list[FittedEstimator], batches: Batches
    ) -> Float[Tensor, "arms examples outputs"]:
        """Return scores of the classes, or values, for the inputs of every arm."""
        arms = self._pool(batches.arms)(
            joblib.delayed(answers_of_arm)(fitted[arm], batches, arm, self.classes)
            for arm in range(batches.arms)
        )
        return torch.from_numpy(np.stack(arms))

    def _pool(self, arms: int) -> Any:
        processes = min(self.processes or os.cpu_count() or 1, arms)
        # Copied on writing: torch warns of arrays that it must not write to.
        return joblib.Parallel(n_jobs=processes, mmap_mode="c")

    def size(self, fitted: list[FittedEstimator]) -> int:
        """Return the number of fitted estimators."""
        return len(fitted)

    def repeated(self, fitted: list[FittedEstimator], times: int) -> list[FittedEstimator]:
        """Return every fitted estimator ``times`` times, side by side."""
        return [one for one in fitted for _ in range(times)]

    def predictor(self, fitted: list[FittedEstimator]) -> EstimatorPredictor:
        """Return the first fitted estimator as a function of tensors."""
        return EstimatorPredictor(fitted[0].estimator, fitted[0].classes, self.classes)

    def untrained(
        self,
        batches: Batches,
        labels: Int[Tensor, "examples"] | Float[Tensor, "examples"],
        *,
        seed: int,
        recipe: Recipe,
    ) -> EstimatorPredictor:
        """Return an estimator that was fitted to the labels in random order."""
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
        shuffled = labels.cpu()[order]
        return self.predictor(self.fit(batches, shuffled, seeds=[seed], recipe=recipe))

    def to_arrays(self, fitted: list[FittedEstimator]) -> dict[str, NDArray[Any]]:
        """Return nothing: only code could bring an estimator back."""
        del fitted
        return {}

    def from_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> list[FittedEstimator] | None:
        """Return None: it has to be fitted again."""
        del arrays  # there are none
        return None


def check_estimator_fits(estimator: Any, data: Data) -> None:
    """Refuse what is no estimator, cannot be copied, or is for the other kind of labels.

    :raises UproarError: with what to give instead.

    >>> from sklearn.linear_model import Ridge
    >>> from uproar.data import load
    >>> check_estimator_fits(Ridge, load("planted-regression", seed=0))
    Traceback (most recent call last):
    uproar.types.UproarError: the model must be an estimator, got the class Ridge; write Ridge()
    """
    name = type(estimator).__name__
    if isinstance(estimator, type):
        raise UproarError(
            f"the model must be an estimator, got the class {estimator.__name__}; "
            f"write {estimator.__name__}()"
        )
    lacking = [m for m in ("fit", "predict", "get_params") if not hasattr(estimator, m)]
    if lacking:
        raise UproarError(f"the model must be an estimator, but {name} has no {lacking[0]}()")
    try:
        clone(estimator)
    except (TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise UproarError(
            f"{name} cannot be copied by sklearn.base.clone, which every retraining begins with: "
            f"{reason}"
        ) from error
    kind = _kind_of(estimator)
    if kind == "regressor" and data.task == "classification":
        raise UproarError(
            f"{name} is a regressor, but the labels of data {data.name!r} are classes; "
            "use a classifier"
        )
    if kind == "classifier" and data.task == "regression":
        raise UproarError(
            f"{name} is a classifier, but the labels of data {data.name!r} are values; "
            "use a regressor"
        )


def _kind_of(estimator: Any) -> str:
    """Return "classifier" or "regressor", or nothing for an estimator that does not say."""
    # scikit-learn asks for the tags from 1.6 on, and raises for estimators that have none.
    if not hasattr(estimator, "__sklearn_tags__") and not hasattr(estimator, "_estimator_type"):
        return ""
    if is_classifier(estimator):
        return "classifier"
    return "regressor" if is_regressor(estimator) else ""
