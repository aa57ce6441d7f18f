"""Inputs as LIME takes them: tables with a column for each feature, and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from uproar.explain.perturbation.superpixels import segment_of_feature
from uproar.models.trained import TrainedModel
from uproar.types import Skipped

MOST_SQUARES = 64


@dataclass(frozen=True)
class Columns:
    """Columns of numbers for features of one value, and of categories for those of several.

    A feature of several values, such as a one-hot code, is a category, and its levels are what
    training examples have there, numbered. What an example has and none of them has is one more
    level.

    ``members`` are the values of every feature; ``levels`` (levels, values of the feature) those of
    features that have several, and None for the others.
    """

    members: Sequence[Tensor]
    levels: Sequence[Tensor | None]

    @classmethod
    def of(cls, rows: Float[Tensor, "rows values"], feature: Int[Tensor, "values"]) -> Columns:
        """Return the columns of training examples.

        >>> rows = torch.tensor([[5.0, 1.0, 0.0], [6.0, 0.0, 1.0], [7.0, 1.0, 0.0]])
        >>> columns = Columns.of(rows, torch.tensor([0, 1, 1]))
        >>> columns.coded(rows), columns.categorical
        (array([[5., 1.],
               [6., 0.],
               [7., 1.]]), [1])
        """
        members = [(feature == one).nonzero()[:, 0] for one in range(int(feature.max()) + 1)]
        levels = [rows[:, values].unique(dim=0) if len(values) > 1 else None for values in members]
        return cls(members, levels)

    @property
    def count(self) -> int:
        """How many columns."""
        return len(self.members)

    @property
    def categorical(self) -> list[int]:
        """Which columns are categories."""
        return [column for column, levels in enumerate(self.levels) if levels is not None]

    def coded(self, rows: Float[Tensor, "rows values"]) -> NDArray[np.float64]:
        """Return the columns of rows, (rows, columns)."""
        codes = np.empty((len(rows), self.count))
        for column, (values, levels) in enumerate(zip(self.members, self.levels, strict=True)):
            own = rows[:, values]
            if levels is None:
                codes[:, column] = own[:, 0].double().cpu().numpy()
                continue
            same = (own[:, None] == levels).all(2)
            unknown = torch.full((len(rows),), len(levels), device=rows.device)
            codes[:, column] = torch.where(same.any(1), same.int().argmax(1), unknown).cpu().numpy()
        return codes

    def decoded(
        self, codes: NDArray[np.float64], one: Float[Tensor, "1 values"]
    ) -> Float[Tensor, "rows values"]:
        """Return the rows of columns, where the level that training lacks is that of ``one``."""
        given = torch.from_numpy(codes).to(one.device)
        rows = one.repeat(len(codes), 1)
        for column, (values, levels) in enumerate(zip(self.members, self.levels, strict=True)):
            own = given[:, column]
            if levels is None:
                rows[:, values[0]] = own.to(rows)
            else:
                every = torch.cat([levels, one[:, values]])
                rows[:, values] = every[own.round().long()]
        return rows


@dataclass(frozen=True)
class Pictures:
    """Images as the package takes them, (height, width, 3), and what it has to know of them.

    ``inputs`` are as the model's; ``feature`` is the feature of every pixel, and ``square`` the
    square that it is in, of at most 64 (:mod:`uproar.explain.perturbation.superpixels`).
    """

    inputs: Tensor
    feature: NDArray[np.int64]
    square: NDArray[np.int64]
    black: NDArray[np.float64]
    spread: NDArray[np.float64]

    @classmethod
    def of(cls, model: TrainedModel, inputs: Float[Tensor, "examples *shape"]) -> Pictures:
        """Return what there is to know of the pictures of a model.

        :raises Skipped: when they have two channels, or more than three.
        """
        shape = inputs.shape[1:]
        channels = 1 if len(shape) == 2 else shape[0]
        if channels not in {1, 3}:
            raise Skipped(f"lime knows images of one or three channels, and these have {channels}")
        feature = model.feature_of_value(inputs).view(channels, *shape[-2:])[0]
        square = segment_of_feature(model, inputs, MOST_SQUARES)[feature]
        return cls(
            inputs[:1],
            feature.cpu().numpy(),
            square.cpu().numpy(),
            shown(model.baseline(inputs[:1])),
            shown(model.spread.expand_as(inputs[:1])),
        )

    @property
    def shape(self) -> torch.Size:
        """Shape of one example, as the model takes it."""
        return self.inputs.shape[1:]

    def read(self, pictures: NDArray[np.float64]) -> Tensor:
        """Return pictures as the model takes them."""
        channels = self.inputs[0].numel() // self.feature.size
        values = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)[:, :channels])
        return torch.from_numpy(values).to(self.inputs).view(-1, *self.shape)

    def scaled(self, picture: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return colours from 0 to 1."""
        return (picture - self.black) / np.where(self.spread > 0, self.spread, 1)

    def means(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean weight of the pixels of every feature."""
        feature = self.feature.ravel()
        return np.bincount(feature, weights.ravel()) / np.bincount(feature)


def shown(one: Float[Tensor, "1 *shape"]) -> NDArray[np.float64]:
    """Return an image as a picture; a grey one has three channels that are alike.

    >>> shown(torch.ones(1, 1, 2, 4)).shape
    (2, 4, 3)
    """
    height, width = one.shape[-2:]
    picture = one.reshape(-1, height, width).double().cpu().numpy()
    return np.broadcast_to(picture, (3, height, width)).transpose(1, 2, 0).copy()
