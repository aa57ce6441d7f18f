"""Fill the holes of images so that every filled pixel is the weighted mean of its neighbours.

The system is that of a graph Laplacian with kept pixels for its border: symmetric and positive
definite, because the pixels of an image hang together. Conjugate gradients solve it for all planes
(images, channel by channel) at once. No plane feels the others: sums are taken plane by plane, and
a plane that has converged does not change any more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

TOLERANCE = 1e-6  # of the residual (its root of squares), as a share of the plane's largest value
STEPS_BETWEEN = 8  # looks at which planes have converged: each look waits for the device
VALUES_AT_ONCE = 2**17  # on a CPU, so that the planes of one step stay in its cache
STENCIL_SUM = 12.0  # weights 1/6 and 1/12 are handled as 2 and 1

Planes = Float[Tensor, "planes height width"]
Scalars = Float[Tensor, "planes"]


def fill_in(values: Planes, kept: Planes, otherwise: Scalars) -> Planes:
    """Return planes whose pixels that are not kept are the weighted means of their neighbours.

    Direct neighbours weigh twice as much as diagonal ones; at the border there are fewer.

    :param values: (planes, height, width), float32; pixels that are not kept are never looked at.
    :param kept: as ``values``, 1 where a pixel is kept and 0 where it is filled in.
    :param otherwise: (planes,), the value of planes that keep nothing.
    :returns: as ``values``; kept pixels may be off by a rounding error.

    >>> plane, kept = torch.tensor([[[0.0, 7.0, 4.0]]]), torch.tensor([[[1.0, 0.0, 1.0]]])
    >>> fill_in(plane, kept, torch.zeros(1))
    tensor([[[0., 2., 4.]]])
    """
    if values.is_cuda:
        return _fill_in(values, kept, otherwise)
    at_once = max(1, VALUES_AT_ONCE // values[0].numel())
    parts = (every.split(at_once) for every in (values, kept, otherwise))
    return torch.cat([_fill_in(*part) for part in zip(*parts, strict=True)])


def _fill_in(values: Planes, kept: Planes, otherwise: Scalars) -> Planes:
    known = kept > 0
    # Differences from a typical value, so that an offset costs no digits.
    counts = known.sum((1, 2))
    sums = _sum(torch.where(known, values, 0))
    level = torch.where(counts > 0, (sums / counts.clamp(min=1)).to(values.dtype), otherwise)
    level = level[:, None, None]
    differences = torch.where(known, values - level, 0)
    largest = differences.abs().amax((1, 2)).double()
    solution = _coarse(differences, known.to(values.dtype))
    weight = _neighbour_sums(torch.ones_like(solution[:1]))
    limit = (STENCIL_SUM * TOLERANCE * largest) ** 2
    search = _Search.begin(solution, ~known, weight, limit=limit)
    # In exact arithmetic one step for each pixel is enough.
    for _ in range(0, known[0].numel(), STEPS_BETWEEN):
        search = search.still_active(solution)
        if not len(search.planes):
            break
        for _ in range(STEPS_BETWEEN):
            search = search.step(weight)
    search.still_active(solution)
    return solution + level


@dataclass(frozen=True)
class _Search:
    """The state of conjugate gradients for the planes that have not converged yet.

    ``square`` is the squared norm of the residual; a plane is done when it is below ``limit``.
    ``planes`` are the places of these planes among all.
    """

    solution: Planes
    residual: Planes
    direction: Planes
    hole: Planes
    square: Scalars
    limit: Scalars
    planes: Tensor

    @classmethod
    def begin(
        cls, start: Planes, hole: Bool[Tensor, "..."], weight: Tensor, *, limit: Scalars
    ) -> _Search:
        inside = hole.to(start.dtype)
        residual = inside * (_neighbour_sums(start) - weight * start)
        planes = torch.arange(len(start), device=start.device)
        square = _inner(residual, residual)
        return cls(start.clone(), residual, residual, inside, square, limit, planes)

    def still_active(self, result: Planes) -> _Search:
        """Write all solutions into ``result`` and go on with the planes that are not done."""
        result[self.planes] = self.solution
        going = (self.square > self.limit).nonzero()[:, 0]
        if len(going) == len(self.planes):
            return self
        return _Search(*(getattr(self, name)[going] for name in self.__dataclass_fields__))

    def step(self, weight: Tensor) -> _Search:
        """Go one step, in which planes that are done do not move."""
        active = self.square > self.limit
        # The direction is zero outside the hole, so that only the sums need its mask.
        bent = torch.addcmul(
            weight * self.direction, self.hole, _neighbour_sums(self.direction), value=-1
        )
        far = torch.where(active, self.square / _inner(self.direction, bent), 0.0)
        far = far.to(bent.dtype)[:, None, None]
        residual = torch.addcmul(self.residual, far, bent, value=-1)
        square = _inner(residual, residual)
        turn = torch.where(active, square / self.square, 0.0).to(bent.dtype)[:, None, None]
        return replace(
            self,
            solution=torch.addcmul(self.solution, far, self.direction),
            residual=residual,
            direction=torch.addcmul(residual, turn, self.direction),
            square=square,
        )


def _neighbour_sums(planes: Planes) -> Planes:
    """Return 4 · itself + 2 · direct neighbours + diagonal neighbours, of every pixel.

    This is (1, 2, 1) along columns and then along rows. Used as a difference from the same sums of
    ones, itself drops out.
    """
    down = 2 * planes
    down[:, 1:] += planes[:, :-1]
    down[:, :-1] += planes[:, 1:]
    both = 2 * down
    both[:, :, 1:] += down[:, :, :-1]
    both[:, :, :-1] += down[:, :, 1:]
    return both


def _inner(first: Planes, second: Planes) -> Scalars:
    return _sum(first * second)


def _sum(planes: Planes) -> Scalars:
    # In two steps: threads share one long sum, and its digits then depend on how many there are.
    return planes.sum(2, dtype=torch.float64).sum(1)


def _coarse(values: Planes, kept: Planes) -> Planes:
    """Return a start: holes filled from means over squares of 2, 4, 8, … pixels, made smooth.

    Values that are not kept have to be zero.
    """
    if values.shape[1:] == (1, 1):
        return values
    filled, shares = (
        functional.avg_pool2d(planes[:, None], 2, ceil_mode=True)[:, 0] for planes in (values, kept)
    )
    known = (shares > 0).to(values.dtype)
    coarser = _coarse(filled / torch.where(shares > 0, shares, 1), known)
    finer = functional.interpolate(coarser[:, None], size=values.shape[1:], mode="bilinear")[:, 0]
    return torch.where(kept > 0, values, finer)
