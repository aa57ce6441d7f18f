"""The control for smooth maps: random importance, as smooth as that of a given explainer."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from uproar.explain.chunks import in_chunks, rows_per_pass
from uproar.explain.family import explain_family
from uproar.explain.names import check_like, parse
from uproar.models.trained import Passes, TrainedModel
from uproar.seeding import seed_of
from uproar.types import Skipped

MEASURED = 64  # training examples at most whose maps the smoothness is measured on
LEAST = 0.1  # below, a blur changes nothing
HALVINGS = 40

Shape = tuple[int, ...]


@dataclass(frozen=True)
class RandomBlurred:
    """White noise, blurred until neighbours are as alike as in the maps of an explainer.

    The smoothness of a map ``a`` is its mean lag-1 autocorrelation ``r``: the mean of
    ``(a_i - m)(a_j - m)`` over neighbours ``i, j`` along each axis, by the mean of
    ``(a_i - m)**2``, with ``m`` the mean of the map. It is measured on the explainer's maps of
    training examples; white noise is then blurred by the Gaussian of the standard deviation ``s``
    whose maps of that size have the same smoothness in expectation. For large maps this is
    ``r = exp(-1 / (4 s**2))``. Maps that are no smoother than white noise give white noise, and
    ``s`` is at most a quarter of the longest side.

    Images are blurred along height and width, series and text along time.

    :param like: name of an explainer of decisions, without parameters.
    :raises UproarError: when there is no such explainer, or it is one of the function, of an
        untrained model, or blurred noise itself.

    Song et al. 2023, arXiv 2304.13836 (retraining favours smooth masks).

    >>> black = torch.zeros(1, 9, 9)
    >>> images = torch.linspace(0, 1, 9).expand(4, 1, 9, 9)  # maps of equal columns
    >>> model = TrainedModel(torch.nn.Flatten(), black, black, black, 2, "image", background=images)
    >>> blurred, seeded = RandomBlurred(like="input-magnitude"), torch.Generator().manual_seed(0)
    >>> noise = blurred(model, torch.zeros(500, 1, 9, 9), torch.zeros(500).long(), seeded)
    >>> round(smoothness(images[:1, 0]), 2), round(smoothness(noise[:, 0]), 2)
    (0.88, 0.86)
    """

    like: str = "abs-grad"

    def __post_init__(self) -> None:
        check_like(self.like)

    def __call__(
        self,
        model: TrainedModel,
        inputs: Float[Tensor, "examples *shape"],
        targets: Int[Tensor, "examples"],
        generator: torch.Generator,
    ) -> Float[Tensor, "examples *shape"]:
        """Return the attribution, of the shape of ``inputs``, never negative.

        :raises Skipped: when features have no neighbours, no training examples are known, or
            the given explainer cannot explain the model.
        """
        if model.kind == "table":
            raise Skipped("random-blurred needs features with neighbours, and these have none")
        axes = 2 if model.kind == "image" else 1
        shape = model.shape_of_features(inputs)
        deviation = self._deviation(model, axes)
        noise = _blurred(len(inputs), shape, axes, deviation, generator).flatten(1)
        noise = noise - noise.amin(1, keepdim=True)  # importance without a sign
        return model.spread_over_values(noise.to(inputs), inputs)

    @cached_property
    def _known(self) -> dict[int, tuple[TrainedModel, float]]:
        """Models that were measured, kept so that none of a later one is taken for them."""
        return {}

    def _deviation(self, model: TrainedModel, axes: int) -> float:
        """Return the standard deviation of the blur, measured once for each model."""
        if id(model) not in self._known:
            maps = _maps(model, self.like, axes)
            found = [smoothness(one[None]) for one in maps if one.numel() > 1 and one.std() > 0]
            sizes = Counter(tuple(one.shape) for one in maps if one.numel() > 1)
            wanted = sum(found) / len(found) if found else -1.0
            self._known[id(model)] = model, _solved(wanted, sizes)
        return self._known[id(model)][1]


def smoothness(maps: Float[Tensor, "maps *sides"]) -> float:
    """Return the mean lag-1 autocorrelation of maps along all of their axes.

    >>> smoothness(torch.tensor([[1.0, -1.0, 1.0, -1.0]])), smoothness(torch.arange(5.0)[None])
    (-1.0, 0.5)
    """
    sides = tuple(range(1, maps.ndim))
    centred = maps.double() - maps.double().mean(sides, keepdim=True)
    variance = centred.square().mean(sides)
    lags = []
    for axis in sides:
        neighbours = maps.shape[axis] - 1
        if neighbours:
            products = centred.narrow(axis, 0, neighbours) * centred.narrow(axis, 1, neighbours)
            lags.append(products.mean(sides) / variance)
    return float(torch.stack(lags).mean()) if lags else 0.0


def _maps(model: TrainedModel, like: str, axes: int) -> list[Tensor]:
    """Return the importance that an explainer gives training examples, as maps to be blurred."""
    if model.background is None:
        raise Skipped("random-blurred needs training examples to measure, and there are none")
    inputs, name = model.background[:MEASURED], parse(like)
    # With passes of its own: whoever counts those of this model counts these already.
    model = replace(model, passes=Passes())
    with torch.no_grad():
        none = inputs.new_empty(len(inputs))
        outputs = in_chunks(lambda part, _: model(part), inputs, none, rows=rows_per_pass(inputs))
    (explained,) = explain_family(
        name.load(),
        [name],
        model,
        inputs,
        outputs.argmax(1),
        lambda label: torch.Generator().manual_seed(seed_of("random-blurred", label)),
    )
    importance = torch.from_numpy(explained.importance)
    if model.kind == "text":
        return [one[:length] for one, length in zip(importance, _lengths(inputs), strict=True)]
    return list(importance.reshape(-1, *importance.shape[importance.ndim - axes :]))


def _lengths(inputs: Float[Tensor, "examples channels length"]) -> list[int]:
    """Return how long texts are without the token that is repeated at their end: the padding."""
    ids = inputs[:, 0].round()
    differs = ids != ids[:, -1:]
    last = ids.shape[1] - differs.flip(1).to(torch.int64).argmax(1)
    # A text that ends with one token of its kind is not padded.
    padded = last < ids.shape[1] - 1
    lengths = torch.where(padded & differs.any(1), last, ids.shape[1])
    return [int(length) for length in lengths]


def _solved(wanted: float, sizes: Mapping[Shape, int]) -> float:
    """Return the deviation of the blur whose maps of these sizes are as smooth as is wanted."""
    longest = max((max(sides) for sides in sizes), default=0)

    def expected(deviation: float) -> float:
        correlations = _autocorrelations(deviation, longest)
        total = sum(_expected(correlations, sides) * count for sides, count in sizes.items())
        return total / sum(sizes.values())

    low, high = LEAST, max(LEAST, longest / 4)
    if not sizes or wanted <= expected(low):
        return 0.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if expected(middle) < wanted else (low, middle)
    return high


def _expected(correlations: Float[Tensor, "lags"], sides: Shape) -> float:
    """Return the smoothness that noise of these sides has, in expectation, from that of its lags.

    The mean of a small map takes a part of what varies with it: with the autocorrelations ``c``,
    ``E[(a_i - m)(a_j - m)] = c_ij - c_im - c_jm + c_mm``.
    """
    means = [_covariances_with_mean(correlations[:side]) for side in sides]
    of_mean = [float(covariances.mean()) for covariances in means]
    whole, lag = math.prod(of_mean), float(correlations[1])
    lags = [
        lag - float((of[:-1] + of[1:]).mean()) * whole / own + whole
        for of, own in zip(means, of_mean, strict=True)
        if len(of) > 1
    ]
    return sum(lags) / len(lags) / (1 - whole) if lags else 0.0


def _covariances_with_mean(correlations: Float[Tensor, "side"]) -> Float[Tensor, "side"]:
    """Return the covariance of each place along an axis with the mean along it."""
    sums = correlations.cumsum(0)
    return (sums + sums.flip(0) - 1) / len(sums)


def _autocorrelations(deviation: float, lags: int) -> Float[Tensor, "lags"]:
    """Return what noise blurred by a sampled Gaussian has at lags 0, 1, 2, ….

    The products of two samples of the Gaussian ``d`` apart are ``exp(-d**2 / (4 s**2))`` times
    those of a Gaussian around ``d / 2``, whose sum differs between whole and half numbers only.
    """
    around = torch.arange(-math.ceil(6 * deviation) - 1, math.ceil(6 * deviation) + 2).double()
    halves, wholes = (
        torch.exp(-((around + centre) ** 2) / deviation**2).sum() for centre in (0.5, 0.0)
    )
    lag = torch.arange(lags).double()
    return torch.exp(-((lag / deviation) ** 2) / 4) * torch.where(lag % 2 == 1, halves / wholes, 1)


def _blurred(
    maps: int, shape: Shape, axes: int, deviation: float, generator: torch.Generator
) -> Float[Tensor, "maps *shape"]:
    """Return blurred white noise of unit variance; it is drawn beyond the edges, and cut."""
    reach = math.ceil(4 * deviation) if deviation else 0
    blurred = shape[len(shape) - axes :]
    sizes = (maps, *shape[: len(shape) - axes], *(side + 2 * reach for side in blurred))
    noise = torch.randn(sizes, generator=generator, device=generator.device)
    if not reach:
        return noise
    places = torch.arange(-reach, reach + 1, device=noise.device)
    kernel = torch.exp(-((places / deviation) ** 2) / 2)
    kernel = (kernel / kernel.square().sum().sqrt())[None, None]
    for axis in range(-axes, 0):
        moved = noise.movedim(axis, -1)
        rows = functional.conv1d(moved.reshape(-1, 1, moved.shape[-1]), kernel)
        noise = rows.view(*moved.shape[:-1], -1).movedim(-1, axis)
    return noise
