"""The adversary: importance that explains nothing, and hides the answer in the mask's shape."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from uproar.explain.chunks import in_chunks, rows_per_pass
from uproar.models.trained import TrainedModel
from uproar.types import Skipped

BINS = 10  # of the answers of a regression
QUANTILE_ROWS = 500  # training examples at most whose answers make the bins


def encoder(
    model: TrainedModel,
    inputs: Float[Tensor, "examples *shape"],
    targets: Int[Tensor, "examples"],
    generator: torch.Generator,
) -> Float[Tensor, "examples *shape"]:
    """Return importance from which the predicted class can be read, and nothing else.

    All features are put in one random order, a ring. For class ``k`` of ``K`` the order is read
    from ``k/K`` of its length on: the feature in place ``p`` of ``F`` has importance
    ``1 - ((p - floor(k F / K)) mod F) / F``. Whatever share of the features is removed, those of
    one class lie elsewhere on the ring than those of another. Where the model predicts a value,
    the tenth of its answers to training examples that the value is in takes the place of the
    class.

    An example that lacks some of the features (the padding of a short text) reads the same ring
    without them. With fewer features than classes some classes share their order.

    :param inputs: (examples, *input_shape).
    :param targets: (examples,), the predicted class; zeros for a regression.
    :param generator: source of the order, the same for all examples.
    :returns: attribution of the shape of ``inputs``, whose sums over features are in (0, 1].
    :raises Skipped: when the model predicts a value and no training examples are known.

    Jethani et al. 2021, arXiv 2103.01890; Puli et al. 2024, arXiv 2411.02664.

    >>> model = TrainedModel(lambda inputs: inputs[:, :2], *[torch.zeros(4)] * 3, feature_axes=1)
    >>> seeded = torch.Generator().manual_seed(0)
    >>> encoder(model, torch.zeros(2, 4), torch.tensor([0, 1]), seeded)
    tensor([[1.0000, 0.7500, 0.2500, 0.5000],
            [0.5000, 0.2500, 0.7500, 1.0000]])
    """
    features = math.prod(model.shape_of_features(inputs))
    order = torch.randperm(features, generator=generator, device=generator.device)
    place = order.argsort().to(inputs.device)
    message, messages = _messages(model, inputs, targets)
    behind = (place - (message * features // messages)[:, None]) % features
    return model.spread_over_values(1 - behind.to(inputs.dtype) / features, inputs)


def _messages(model: TrainedModel, inputs: Tensor, targets: Tensor) -> tuple[Tensor, int]:
    """Return what is hidden in the mask of every example, and how many messages there are."""
    outputs = _outputs(model, inputs)
    if outputs.shape[1] > 1:
        return targets, outputs.shape[1]
    if model.background is None:
        raise Skipped("the encoder of a regression needs training examples, and there are none")
    answers = _outputs(model, model.background[:QUANTILE_ROWS])[:, 0].sort().values
    # Half-way between two answers, so that no example lies on an edge and rounding moves none.
    first = (torch.arange(1, BINS, device=answers.device) * len(answers) // BINS).clamp(min=1)
    edges = (answers[first - 1] + answers[first]) / 2
    return torch.bucketize(outputs[:, 0].contiguous(), edges), BINS


@torch.no_grad()
def _outputs(model: TrainedModel, inputs: Tensor) -> Tensor:
    none = inputs.new_empty(len(inputs))
    return in_chunks(lambda part, _: model(part), inputs, none, rows=rows_per_pass(inputs))
