"""The rows that LIME draws to imitate a model of a table, and what its regression sees of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

# The package adds as much to every deviation within a part, which may be of one value.
LEAST_DEVIATION = 1e-11


@dataclass(frozen=True)
class Draws:
    """Random numbers of every perturbation and feature, (perturbations, features).

    ``normal`` are standard normal, and ``source`` are numbers of training rows.
    """

    normal: Float64[Tensor, "perturbations features"]
    source: Int[Tensor, "perturbations features"]

    def to(self, device: torch.device) -> Draws:
        """Return them on a device."""
        return Draws(self.normal.to(device), self.source.to(device))

    def of(self, features: Int[Tensor, "some"]) -> Draws:
        """Return those of some features."""
        return Draws(self.normal[:, features], self.source[:, features])


def table_draws(perturbations: int, features: int, rows: int, generator: torch.Generator) -> Draws:
    """Draw what the rows are made of."""
    size, device = (perturbations, features), generator.device
    normal = torch.randn(*size, generator=generator, device=device, dtype=torch.float64)
    return Draws(normal, torch.randint(rows, size, generator=generator, device=device))


@dataclass(frozen=True)
class Table(ABC):
    """Training rows, and how rows are drawn like them.

    Features of several values, such as one-hot codes, are drawn from training rows, and the
    regression sees whether they are as in the example. What is done with those of one value is for
    subclasses to say.

    ``rows`` are (rows, values), ``feature`` (values,) is the feature of every value.
    """

    rows: Float64[Tensor, "rows values"]
    feature: Int[Tensor, "values"]

    @cached_property
    def sizes(self) -> Int[Tensor, "features"]:
        """How many values features have."""
        return torch.bincount(self.feature)

    @cached_property
    def single(self) -> Int[Tensor, "singles"]:
        """The values that are a feature."""
        return (self.sizes[self.feature] == 1).nonzero()[:, 0]

    @cached_property
    def numbers(self) -> Float64[Tensor, "rows singles"]:
        """What training rows have of features of one value."""
        return self.rows[:, self.single]

    def drawn(self, draws: Draws) -> Float64[Tensor, "perturbations values"]:
        """Return the rows."""
        rows = self.rows.gather(0, draws.source[:, self.feature])
        rows[:, self.single] = self._drawn(draws.of(self.feature[self.single]))
        return rows

    def design(
        self, inputs: Float[Tensor, "examples values"], draws: Draws, drawn: Tensor
    ) -> Float64[Tensor, "examples rows features"]:
        """Return what the regression sees of the examples, their own row first."""
        features = self.feature[self.single]
        own, others = self._seen(inputs[:, self.single].double(), draws.of(features))
        seen = torch.cat([own[:, None], others.expand(len(inputs), -1, -1)], 1)
        if torch.equal(features, torch.arange(len(self.sizes), device=inputs.device)):
            return seen
        design = seen.new_ones(*seen.shape[:2], len(self.sizes))
        design[:, :, features] = seen
        for group in (self.sizes > 1).nonzero()[:, 0]:
            values = self.feature == group
            same = drawn[:, values].to(inputs.dtype) == inputs[:, None, values]
            design[:, 1:, group] = same.all(2).double()
        return design

    @abstractmethod
    def _drawn(self, draws: Draws) -> Float64[Tensor, "perturbations singles"]:
        """Return what is drawn of the features of one value."""

    @abstractmethod
    def _seen(
        self, own: Float64[Tensor, "examples singles"], draws: Draws
    ) -> tuple[Tensor, Tensor]:
        """Return what is seen of examples, and of rows: (examples, singles), (_, rows, singles)."""


class ScaledTable(Table):
    """Values from a normal distribution around the training mean, seen in standard deviations.

    >>> rows = torch.tensor([[1.0], [5.0]]).double()  # 3 plus or minus 2
    >>> draws = Draws(torch.tensor([[-1.0], [0.5]]).double(), torch.tensor([[0], [0]]))
    >>> table = ScaledTable(rows, torch.tensor([0]))
    >>> drawn = table.drawn(draws)
    >>> drawn.T.tolist(), table.design(torch.tensor([[3.0]]), draws, drawn)[0].T.tolist()
    ([[1.0, 4.0]], [[0.0, -1.0, 0.5]])
    """

    @cached_property
    def _mean(self) -> Float64[Tensor, "singles"]:
        return self.numbers.mean(0)

    @cached_property
    def _scale(self) -> Float64[Tensor, "singles"]:
        scale = (self.numbers - self._mean).square().mean(0).sqrt()
        # A column that does not vary is drawn with a deviation of 1, as scikit-learn scales it.
        return torch.where(scale > 0, scale, torch.ones_like(scale))

    def _drawn(self, draws: Draws) -> Tensor:
        return self._mean + self._scale * draws.normal

    def _seen(self, own: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        return (own - self._mean) / self._scale, draws.normal[None]


@dataclass(frozen=True)
class CutTable(Table):
    """Values from a part between two quantiles of training, seen as whether it is the example's.

    A part is drawn as often as training examples are in it, and in it a value from the normal
    distribution of the training values there, cut off at the part's borders.

    :param parts: into how many parts of equally many examples.

    >>> rows = torch.arange(8.0).double()[:, None]  # quartiles at 1.75, 3.5, 5.25
    >>> table = CutTable(rows, torch.tensor([0]), parts=4)
    >>> draws = Draws(torch.tensor([[0.0], [0.0]]).double(), torch.tensor([[1], [6]]))
    >>> drawn = table.drawn(draws)  # the middles of 0 to 1.75, and of 5.25 to 7
    >>> drawn.T.round(decimals=2).tolist()
    [[0.6, 6.4]]
    >>> table.design(torch.tensor([[7.0]]), draws, drawn)[0].T.tolist()  # 7 is where 6.4 is
    [[1.0, 0.0, 1.0]]
    """

    parts: int = 4

    def _drawn(self, draws: Draws) -> Tensor:
        known, borders, position = self.numbers, self._borders, torch.special.ndtr(draws.normal)
        taken, drawn = self._parts.gather(0, draws.source), torch.empty_like(draws.normal)
        lowest, highest = known.amin(0)[:, None], known.amax(0)[:, None]
        ends = torch.cat([lowest, borders, highest], 1)
        for part in range(borders.shape[1] + 1):
            mean, deviation = _moments(known, self._parts == part)
            low, high = ends[:, part], ends[:, part + 1]
            shares = [torch.special.ndtr((end - mean) / deviation) for end in (low, high)]
            share = shares[0] + position * (shares[1] - shares[0])
            values = (mean + deviation * torch.special.ndtri(share)).clamp(low, high)
            drawn = torch.where(taken == part, values, drawn)
        return drawn

    def _seen(self, own: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        taken = self._parts.gather(0, draws.source)
        return torch.ones_like(own), (taken == _part_of(own, self._borders)[:, None]).double()

    @cached_property
    def _parts(self) -> Int[Tensor, "rows singles"]:
        """The part that each training value is in."""
        return _part_of(self.numbers, self._borders)

    @cached_property
    def _borders(self) -> Float64[Tensor, "singles borders"]:
        # NumPy's, to the last bit: examples are on the borders.
        shares = 100 * np.arange(1, self.parts) / self.parts
        borders = np.percentile(self.numbers.cpu().numpy(), shares, axis=0).T
        return torch.from_numpy(np.ascontiguousarray(borders)).to(self.rows.device)


def _part_of(
    values: Float64[Tensor, "rows columns"], borders: Float64[Tensor, "columns borders"]
) -> Int[Tensor, "rows columns"]:
    """Return how many of a column's borders are below a value."""
    return torch.searchsorted(borders, values.T.contiguous()).T


def _moments(
    known: Float64[Tensor, "rows columns"], inside: Bool[Tensor, "rows columns"]
) -> tuple[Float64[Tensor, "columns"], Float64[Tensor, "columns"]]:
    """Return mean and deviation of the values inside, of each column."""
    count = inside.sum(0).clamp(min=1)
    mean = torch.where(inside, known, 0.0).sum(0) / count
    variance = torch.where(inside, (known - mean).square(), 0.0).sum(0) / count
    return mean, variance.sqrt() + LEAST_DEVIATION


PARTS = {"quartile": 4, "decile": 10}


def table_of(
    rows: Float[Tensor, "rows values"], feature: Int[Tensor, "values"], discretizer: str
) -> Table:
    """Return the table of training rows for one of the choices of ``discretizer``."""
    if discretizer == "none":
        return ScaledTable(rows.double(), feature)
    return CutTable(rows.double(), feature, PARTS[discretizer])
