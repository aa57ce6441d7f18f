"""What LIME perturbs an example to: segments that leave, or rows drawn around the training mean."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor


@dataclass(frozen=True)
class Table:
    """Training rows, and what is drawn around their mean: columns from a normal distribution each.

    ``rows`` are (rows, values), and ``mean`` and ``scale`` (values,) are theirs, float64, as
    ``feature`` is the feature of every value. ``sizes`` (features,) is how many values features
    have: those with several are drawn from the rows.
    """

    rows: Float64[Tensor, "rows values"]
    mean: Float64[Tensor, "values"]
    scale: Float64[Tensor, "values"]
    feature: Int[Tensor, "values"]
    sizes: Int[Tensor, "features"]

    @classmethod
    def of(cls, rows: Float[Tensor, "rows values"], feature: Int[Tensor, "values"]) -> Table:
        """Return the training rows with what the draws need of them."""
        values = rows.double()
        scale = values.std(0, correction=0)
        # A column that does not vary is drawn with a deviation of 1, as scikit-learn scales it.
        scale = torch.where(scale > 0, scale, torch.ones_like(scale))
        return cls(values, values.mean(0), scale, feature, torch.bincount(feature))

    def drawn(self, normal: Tensor, source: Tensor) -> Float64[Tensor, "perturbations values"]:
        """Return rows drawn around the mean, or group by group from training rows."""
        around = self.mean + self.scale * normal[:, self.feature]
        taken = self.rows.gather(0, source[:, self.feature])
        return torch.where(self.sizes[self.feature] == 1, around, taken)

    def design(
        self, inputs: Tensor, normal: Tensor, drawn: Tensor
    ) -> Float64[Tensor, "examples rows features"]:
        """Return what the regression sees of the examples, their own row first."""
        scaled = (inputs.double() - self.mean) / self.scale
        first = torch.ones(len(inputs), len(self.sizes), dtype=torch.float64, device=inputs.device)
        first[:, self.feature] = torch.where(self.sizes[self.feature] == 1, scaled, 1.0)
        design = torch.cat([first[:, None], normal.expand(len(inputs), -1, -1)], 1)
        for group in (self.sizes > 1).nonzero()[:, 0]:
            values = self.feature == group
            same = drawn[:, values].to(inputs.dtype) == inputs[:, None, values]
            design[:, 1:, group] = same.all(2).double()
        return design


def coin_flips(
    perturbations: int, segments: int, generator: torch.Generator
) -> Bool[Tensor, "perturbations segments"]:
    """Draw which segments stay: each with probability 1/2."""
    uniform = torch.rand(perturbations, segments, generator=generator, device=generator.device)
    return uniform < 0.5


def even_sizes(
    perturbations: int, segments: int, generator: torch.Generator
) -> Bool[Tensor, "perturbations segments"]:
    """Draw which segments stay: 1 to all of them leave, each number as often as any other."""
    device = generator.device
    leaving = torch.randint(1, segments + 1, (perturbations, 1), generator=generator, device=device)
    uniform = torch.rand(perturbations, segments, generator=generator, device=device)
    return uniform.argsort(1).argsort(1) >= leaving


def table_draws(
    perturbations: int, features: int, rows: int, generator: torch.Generator
) -> tuple[Float64[Tensor, "perturbations features"], Int[Tensor, "perturbations features"]]:
    """Draw standard normal numbers, and the training rows that groups are taken from."""
    size, device = (perturbations, features), generator.device
    normal = torch.randn(*size, generator=generator, device=device, dtype=torch.float64)
    return normal, torch.randint(rows, size, generator=generator, device=device)


def kernel(distances: Float64[Tensor, "*size"], width: float) -> Float64[Tensor, "*size"]:
    """Return the weights of perturbations at distances ``d``, ``exp(-d^2 / (2 w^2))``.

    >>> kernel(torch.tensor([0.0, 2.0]).double(), 1.0)
    tensor([1.0000, 0.1353], dtype=torch.float64)
    """
    return torch.exp(-distances.square() / (2 * width**2))
