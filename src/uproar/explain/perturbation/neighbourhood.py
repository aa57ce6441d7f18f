"""Which segments of an example LIME lets stay, and how perturbations are weighted."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float64
from torch import Tensor


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


def kernel(distances: Float64[Tensor, "*size"], width: float) -> Float64[Tensor, "*size"]:
    """Return the weights of perturbations at distances ``d``, ``exp(-d^2 / (2 w^2))``.

    >>> kernel(torch.tensor([0.0, 2.0]).double(), 1.0)
    tensor([1.0000, 0.1353], dtype=torch.float64)
    """
    return torch.exp(-distances.square() / (2 * width**2))
