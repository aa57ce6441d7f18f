"""Controls: importance that does not look at the model, to tell what a good score is worth."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from uproar.explain.checks import check_parameters
from uproar.models.trained import TrainedModel
from uproar.seeding import seed_of
from uproar.types import Skipped


@dataclass(frozen=True)
class Random:
    """Importance drawn from the uniform distribution on [0, 1), anew for every value.

    :param draw: another number is another, independent random importance, at least 0.
    :raises ValueError: when ``draw`` is negative.

    >>> model = TrainedModel(torch.nn.Flatten(), torch.zeros(3), torch.zeros(3), torch.ones(3), 1)
    >>> seeded = torch.Generator().manual_seed(0)
    >>> values = Random(draw=1)(model, torch.zeros(2, 3), torch.tensor([0, 0]), seeded)
    >>> values.shape, bool((values >= 0).all() and (values < 1).all())
    (torch.Size([2, 3]), True)
    """

    draw: int = 0

    def __post_init__(self) -> None:
        check_parameters(self)

    def __call__(
        self,
        model: TrainedModel,
        inputs: Float[Tensor, "examples *shape"],
        targets: Int[Tensor, "examples"],
        generator: torch.Generator,
    ) -> Float[Tensor, "examples *shape"]:
        """Return random values of the shape of ``inputs``."""
        drawn = torch.randint(2**62, (), generator=generator, device=generator.device)
        own = torch.Generator().manual_seed(seed_of("random", self.draw, int(drawn)))
        return torch.rand(inputs.shape, generator=own, dtype=inputs.dtype).to(inputs.device)


def sobel(
    model: TrainedModel,
    inputs: Float[Tensor, "examples *shape"],
    targets: Int[Tensor, "examples"],
    generator: torch.Generator,
) -> Float[Tensor, "examples *shape"]:
    """Return how strong the edge is at each pixel, for each channel on its own.

    ``e = sqrt(gx**2 + gy**2)``, with the two Sobel derivatives ``gx`` (kernel ``[1 2 1]`` down
    times ``[-1 0 1]`` across) and ``gy`` (its transpose); the border pixels are repeated outwards.

    :param inputs: (examples, channels, height, width) or (examples, height, width).
    :returns: attribution of the shape of ``inputs``, never negative.
    :raises Skipped: when the features are not pixels.

    >>> model = TrainedModel(torch.nn.Flatten(), *[torch.zeros(1, 2, 2)] * 3, 2, "image")
    >>> image = torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]])  # a vertical edge
    >>> sobel(model, image, torch.tensor([0]), torch.Generator())
    tensor([[[[4., 4.],
              [4., 4.]]]])
    """
    if model.kind != "image":
        raise Skipped("sobel needs images: an edge is defined between neighbouring pixels")
    images = inputs.flatten(0, -3)[:, None]  # (examples * channels, 1, height, width)
    padded = functional.pad(images, (1, 1, 1, 1), mode="replicate")
    across = padded[..., 2:] - padded[..., :-2]
    down = padded[..., 2:, :] - padded[..., :-2, :]
    gx = across[..., :-2, :] + 2 * across[..., 1:-1, :] + across[..., 2:, :]
    gy = down[..., :-2] + 2 * down[..., 1:-1] + down[..., 2:]
    return torch.hypot(gx, gy).view(inputs.shape)


def input_magnitude(
    model: TrainedModel,
    inputs: Float[Tensor, "examples *shape"],
    targets: Int[Tensor, "examples"],
    generator: torch.Generator,
) -> Float[Tensor, "examples *shape"]:
    """Return how far each value is from black.

    ``e = |x - black|``, where black is the input that shows nothing.

    :param inputs: (examples, *input_shape).
    :returns: attribution of the shape of ``inputs``, never negative.

    >>> model = TrainedModel(torch.nn.Flatten(), torch.ones(2), torch.zeros(2), torch.ones(2), 1)
    >>> input_magnitude(model, torch.tensor([[0.0, 3.0]]), torch.tensor([0]), torch.Generator())
    tensor([[1., 2.]])
    """
    return (inputs - model.baseline(inputs)).abs()
