"""SmoothGrad, SmoothGrad-Squared and VarGrad: three reductions of one set of noisy passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from uproar.explain.chunks import in_chunks


@dataclass(frozen=True)
class Moments:
    """Running mean and summed squared deviations of the attributions seen so far."""

    count: int
    mean: Tensor
    deviations: Tensor

    @classmethod
    def of(cls, sample: Tensor) -> Moments:
        """Return the moments of a single sample."""
        return cls(1, sample, torch.zeros_like(sample))

    def updated(self, sample: Tensor) -> Moments:
        """Return the moments after one more sample (Welford's update, which does not cancel)."""
        count = self.count + 1
        before = sample - self.mean
        mean = torch.add(self.mean, before, alpha=1 / count)
        return Moments(count, mean, torch.addcmul(self.deviations, before, sample - mean))


def mean(moments: Moments) -> Tensor:
    """Return the mean of the samples: SmoothGrad.

    ``(1/J) sum_j e(x + n_j)``, with ``J`` samples of noise ``n_j``.

    Smilkov et al. 2017, arXiv 1706.03825.

    >>> mean(Moments.of(torch.tensor([1.0])).updated(torch.tensor([4.0])))
    tensor([2.5000])
    """
    return moments.mean


def mean_of_squares(moments: Moments) -> Tensor:
    """Return the mean of the squared samples: SmoothGrad-Squared.

    ``(1/J) sum_j e(x + n_j)**2``, computed as variance plus squared mean: a sum of two numbers
    that are never negative, so nothing cancels.

    Hooker et al. 2019, arXiv 1806.10758.

    >>> mean_of_squares(Moments.of(torch.tensor([1.0])).updated(torch.tensor([4.0])))
    tensor([8.5000])
    """
    return variance(moments) + moments.mean**2


def variance(moments: Moments) -> Tensor:
    """Return the population variance of the samples: VarGrad.

    ``(1/J) sum_j (e(x + n_j) - m)**2``, with ``m`` the mean of the samples.

    Adebayo et al. 2018, arXiv 1810.03292.

    >>> variance(Moments.of(torch.tensor([1.0])).updated(torch.tensor([4.0])))
    tensor([2.2500])
    """
    return moments.deviations / moments.count


def noisy_moments(
    attribute: Callable[[Tensor, Tensor], Tensor],
    inputs: Float[Tensor, "examples *shape"],
    targets: Int[Tensor, "examples"],
    *,
    samples: int,
    deviation: Tensor,
    rows: int,
    generator: torch.Generator,
) -> Moments:
    """Attribute noisy copies of the inputs and return the moments of the attributions.

    Sample ``j`` is ``inputs + deviation * n_j``, where ``n_j`` is the ``j``-th standard normal
    draw of the shape of ``inputs``: samples are drawn one after another, so that the noise does
    not depend on ``rows``.

    :param attribute: maps (rows, *input_shape) and (rows,) to attributions.
    :param inputs: (examples, *input_shape).
    :param targets: (examples,), the class explained.
    :param samples: how many noisy copies.
    :param deviation: standard deviation of the noise, broadcasts to one example.
    :param rows: how many noisy inputs are handed to ``attribute`` at once; several samples are
        pooled where the inputs are few, and split where they are many.
    :param generator: source of the noise.

    >>> moments = noisy_moments(
    ...     lambda inputs, targets: 2 * inputs, torch.ones(3, 2), torch.zeros(3, dtype=torch.int64),
    ...     samples=4, deviation=torch.zeros(2), rows=8, generator=torch.Generator())
    >>> moments.count, moments.mean[0]
    (4, tensor([2., 2.]))
    """
    moments: Moments | None = None
    together = max(1, rows // len(inputs))
    for first in range(0, samples, together):
        count = min(together, samples - first)
        noise = torch.stack([_normal(inputs, generator) for _ in range(count)])
        points = (inputs + deviation * noise).flatten(0, 1)  # (count * examples, *input_shape)
        attributions = in_chunks(attribute, points, targets.repeat(count), rows=rows)
        for sample in attributions.view(count, *inputs.shape):
            moments = Moments.of(sample) if moments is None else moments.updated(sample)
    if moments is None:
        raise ValueError(f"samples must be at least 1, got {samples!r}")
    return moments


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw on the generator's device, so that a seed means the same numbers everywhere."""
    draw = torch.randn(like.shape, generator=generator, device=generator.device, dtype=like.dtype)
    return draw.to(like.device)
