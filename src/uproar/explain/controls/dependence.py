"""Controls that look at the data alone: how a feature depends on the label by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray

from uproar.explain.checks import check_parameters
from uproar.explain.function.losses import held_out_of
from uproar.explain.importance import Importance
from uproar.models.trained import TrainedModel
from uproar.types import Skipped

FEWEST = 5  # examples: neighbours are looked for among them


@dataclass(frozen=True)
class MutualInformation:
    """Mutual information of a feature and the label, in nats, on held-out examples.

    ``e_f = E[ log p(x_f, y) / (p(x_f) p(y)) ]``, estimated from distances to the nearest
    neighbours, as scikit-learn does; values that have no more than two levels are counted. That
    of a feature is the largest of its values. The model plays no part, and equal distances are
    told apart by numbers that are always the same.

    :param neighbours: how many, at least 1; more of them vary less and err more to one side.
    :raises ValueError: when there are fewer.

    Kraskov et al. 2004, doi 10.1103/PhysRevE.69.066138; Ross 2014,
    doi 10.1371/journal.pone.0087357.

    >>> inputs = torch.tensor([[0.0, 5.0], [1.0, 5.0]]).repeat(50, 1)
    >>> held_out = inputs, inputs[:, 0].long()
    >>> model = TrainedModel(lambda x: x, *[torch.zeros(2)] * 3, 1, held_out=held_out)
    >>> MutualInformation().measure(model, torch.Generator()).values.round(3)  # log 2
    array([0.693, 0.   ])
    """

    neighbours: int = 3

    def __post_init__(self) -> None:
        check_parameters(self)

    def measure(
        self,
        model: TrainedModel,
        generator: torch.Generator,
    ) -> Importance:
        """Return the importance of every feature.

        :raises Skipped: when too few examples are held out, or inputs are embedded words.
        """
        from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

        values, labels, feature = _values(model, "mutual information")
        if len(labels) < max(FEWEST, self.neighbours + 2):
            raise Skipped(
                f"mutual information from {self.neighbours} neighbours needs more than the "
                f"{len(labels)} examples that are held out"
            )
        regression = np.issubdtype(labels.dtype, np.floating)
        estimate = mutual_info_regression if regression else mutual_info_classif
        levels = np.array([len(np.unique(column)) for column in values.T])
        found = estimate(
            *(values, labels),
            discrete_features=levels <= 2,
            n_neighbors=self.neighbours,
            random_state=0,
        )
        return Importance.of(_largest(found, feature))


@dataclass(frozen=True)
class Correlation:
    """How closely a feature follows the label in a straight line, on held-out examples.

    Of values the absolute correlation ``|cov(x_f, y)| / (sd(x_f) sd(y))``. Of classes the
    correlation ratio ``sqrt(variance of the classes' means of x_f / variance of x_f)``, which of
    two classes is the absolute correlation with either. That of a feature is the largest of its
    values, and 0 where nothing varies. The model plays no part.

    Fisher 1925, Statistical Methods for Research Workers.

    >>> inputs = torch.tensor([[0.0, 5.0], [1.0, 5.0]]).repeat(50, 1)
    >>> held_out = inputs, inputs[:, 0].long()
    >>> model = TrainedModel(lambda x: x, *[torch.zeros(2)] * 3, 1, held_out=held_out)
    >>> Correlation().measure(model, torch.Generator()).values
    array([1., 0.])
    """

    def measure(
        self,
        model: TrainedModel,
        generator: torch.Generator,
    ) -> Importance:
        """Return the importance of every feature.

        :raises Skipped: when no examples are held out, or inputs are embedded words.
        """
        values, labels, feature = _values(model, "correlation")
        wanted = labels.astype(np.float64)[:, None]
        if not np.issubdtype(labels.dtype, np.floating):
            wanted = (labels[:, None] == np.unique(labels)).astype(np.float64)
        return Importance.of(_largest(np.sqrt(_explained(values, wanted)), feature))


def _explained(
    values: Float[np.ndarray, "examples values"], wanted: Float[np.ndarray, "examples labels"]
) -> Float[np.ndarray, "values"]:
    """Return the share of the variance of every value that a linear function of labels explains."""
    values, wanted = values - values.mean(0), wanted - wanted.mean(0)
    covariance = wanted.T @ values
    explained = (covariance * (np.linalg.pinv(wanted.T @ wanted) @ covariance)).sum(0)
    variances = np.square(values).sum(0)
    # Means of equal numbers differ from them in the last digits.
    varies = variances > len(values) * np.square(1e-9 * (1 + np.abs(values).max(0)))
    return np.where(varies, explained / np.where(varies, variances, 1.0), 0.0).clip(0.0, 1.0)


def _values(
    model: TrainedModel, what: str
) -> tuple[NDArray[np.float64], NDArray[Any], NDArray[np.int64]]:
    """Return held-out inputs, flattened, their labels, and the feature of every value."""
    inputs, labels = held_out_of(model, what)
    if model.kind == "text":
        raise Skipped(f"{what} compares numbers with labels, and words are none")
    flat = inputs.flatten(1).double().cpu().numpy()
    return flat, labels.cpu().numpy(), model.feature_of_value(inputs).cpu().numpy()


def _largest(
    values: Float[np.ndarray, "values"], feature: Int[np.ndarray, "values"]
) -> NDArray[np.float64]:
    """Return the largest of the values of every feature."""
    largest = np.full(int(feature.max()) + 1, -np.inf)
    np.maximum.at(largest, feature, values)
    return largest
