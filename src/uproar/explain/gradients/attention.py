"""What transformers attend to: importance of tokens from attention weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from uproar.explain.chunks import in_chunks, rows_per_pass
from uproar.explain.gradients.attention_weights import AttentionWeights
from uproar.models.trained import TrainedModel
from uproar.types import Skipped


def attention(
    model: TrainedModel,
    inputs: Float[Tensor, "examples *shape"],
    targets: Int[Tensor, "examples"],
    generator: torch.Generator,
) -> Float[Tensor, "examples *shape"]:
    """Return how much attention a token gets in the last block.

    ``e_j = mean over heads h and tokens q of A_hqj``, the share of attention that token ``q`` pays
    to token ``j``. ``q`` are the tokens of the last block that the output is read from: all where
    it is their mean, the first alone where it is read from that one. They are those on whose
    attention the explained output depends. Padding neither pays attention nor gets any.

    :param inputs: (examples, *input_shape), where each feature is one token of the model.
    :param targets: (examples,), the class explained.
    :returns: attribution of the shape of ``inputs``, never negative, alike for a token's values.
    :raises Skipped: when the model has no attention among the features.

    Jain and Wallace 2019, arXiv 1902.10186.

    >>> class Reader(torch.nn.Module):  # attends by the values
    ...     def forward(self, inputs):
    ...         scores = inputs[:, None] * torch.ones(2, 1)
    ...         return (scores.softmax(-1) @ inputs[..., None]).mean(1)
    >>> model = TrainedModel(Reader(), *[torch.zeros(2)] * 3, 1)
    >>> inputs = torch.tensor([[1.0, 3.0]]).log()
    >>> attention(model, inputs, torch.tensor([0]), torch.Generator())
    tensor([[0.2500, 0.7500]])
    """

    def last(blocks: Sequence[Tensor], slopes: Sequence[Tensor]) -> Tensor:
        return _where_read(blocks[-1].mean(1), blocks, slopes[-1])

    return _of_tokens(last, model, inputs, targets, all_slopes=False)


def attention_rollout(
    model: TrainedModel,
    inputs: Float[Tensor, "examples *shape"],
    targets: Int[Tensor, "examples"],
    generator: torch.Generator,
) -> Float[Tensor, "examples *shape"]:
    """Return how much of a token reaches the last block, if attention were all that carries it.

    ``R = M_L ... M_1``, with ``M_l = (A_l + I) / 2`` of every block, rows scaled to sum to one,
    where ``A_l`` is the mean over heads and ``I`` stands for the residual connection. Then
    ``e_j = mean over q of R_qj``, over the tokens ``q`` as in :func:`attention`.

    :param inputs: (examples, *input_shape), where each feature is one token of the model.
    :param targets: (examples,), the class explained.
    :returns: attribution of the shape of ``inputs``, never negative, alike for a token's values.
    :raises Skipped: when the model has no attention among the features.

    Abnar and Zuidema 2020, arXiv 2005.00928.

    >>> class Reader(torch.nn.Module):  # attends by the values
    ...     def forward(self, inputs):
    ...         scores = inputs[:, None] * torch.ones(2, 1)
    ...         return (scores.softmax(-1) @ inputs[..., None]).mean(1)
    >>> model = TrainedModel(Reader(), *[torch.zeros(2)] * 3, 1)
    >>> inputs = torch.tensor([[1.0, 3.0]]).log()
    >>> attention_rollout(model, inputs, torch.tensor([0]), torch.Generator())
    tensor([[0.3750, 0.6250]])
    """

    def product(blocks: Sequence[Tensor], slopes: Sequence[Tensor]) -> Tensor:
        reaches = _identity(blocks[0])
        for weights in blocks:
            mixed = (weights.mean(1) + _identity(weights)) / 2
            reaches = mixed / mixed.sum(-1, keepdim=True) @ reaches
        return _where_read(reaches, blocks, slopes[-1])

    return _of_tokens(product, model, inputs, targets, all_slopes=False)


def attention_x_gradient(
    model: TrainedModel,
    inputs: Float[Tensor, "examples *shape"],
    targets: Int[Tensor, "examples"],
    generator: torch.Generator,
) -> Float[Tensor, "examples *shape"]:
    """Return how relevant a token is by attention that raises the explained output.

    ``R <- R + mean over heads of (A_l * df/dA_l)^+ R`` from the first block to the last, starting
    with the identity, where ``( )^+`` takes negative values as zero. Then ``e_j = mean over q of
    R_qj``, over the tokens ``q`` as in :func:`attention`.

    :param inputs: (examples, *input_shape), where each feature is one token of the model.
    :param targets: (examples,), the class explained.
    :returns: attribution of the shape of ``inputs``, never negative, alike for a token's values.
    :raises Skipped: when the model has no attention among the features.

    Chefer et al. 2021, arXiv 2103.15679.

    >>> class Reader(torch.nn.Module):  # attends by the values
    ...     def forward(self, inputs):
    ...         scores = inputs[:, None] * torch.ones(2, 1)
    ...         return (scores.softmax(-1) @ inputs[..., None]).mean(1)
    >>> model = TrainedModel(Reader(), *[torch.zeros(2)] * 3, 1)
    >>> inputs = torch.tensor([[1.0, 3.0]]).log()  # df/dA is x / 2, log(3) / 2 of the second
    >>> attention_x_gradient(model, inputs, torch.tensor([0]), torch.Generator())
    tensor([[0.5000, 0.9120]])
    """

    def relevance(blocks: Sequence[Tensor], slopes: Sequence[Tensor]) -> Tensor:
        relevant = _identity(blocks[0])
        for weights, slope in zip(blocks, slopes, strict=True):
            relevant = relevant + (weights * slope).clamp(min=0).mean(1) @ relevant
        return _where_read(relevant, blocks, slopes[-1])

    return _of_tokens(relevance, model, inputs, targets, all_slopes=True)


# The weights of the blocks, (rows, heads, tokens, tokens) each, from the first to the last, and the
# slopes of the explained output with respect to them, in one number for each token of each row.
Reduction = Callable[[Sequence[Tensor], Sequence[Tensor]], Tensor]


def _of_tokens(
    reduce: Reduction, model: TrainedModel, inputs: Tensor, targets: Tensor, *, all_slopes: bool
) -> Tensor:
    """Return the importance of tokens as an attribution; without all slopes, the last one's."""
    tokens = math.prod(model.shape_of_features(inputs))

    def of_part(part: Tensor, wanted: Tensor) -> Tensor:
        with torch.enable_grad(), AttentionWeights(rows=len(part), tokens=tokens) as seen:
            outputs = model.network(part.detach().requires_grad_())
        _check(seen, model)
        explained = outputs.gather(1, wanted[:, None]).sum()
        noted = seen.noted if all_slopes else seen.noted[-1:]
        slopes = torch.autograd.grad(explained, noted, materialize_grads=True)
        blocks = [block.detach() for block in seen.blocks()]
        return model.spread_over_values(reduce(blocks, seen.blocks(slopes)), part)

    # As many rows as also bound the weights of a head, of which there are more than inputs.
    rows = min(rows_per_pass(inputs), rows_per_pass(inputs.new_empty(0, tokens, tokens)))
    return in_chunks(of_part, inputs, targets, rows=rows)


def _check(seen: AttentionWeights, model: TrainedModel) -> None:
    if seen.noted:
        return
    module = getattr(model.network, "module", model.network)  # not what embeds tokens for it
    others = ", ".join(map(str, sorted(seen.others)))
    found = f"has it among {others} tokens" if others else "computes none"
    raise Skipped(
        f"it needs a model with attention among the {seen.tokens} features, each of them one "
        f"token; {type(module).__name__} {found}"
    )


def _where_read(matrix: Tensor, blocks: Sequence[Tensor], slope: Tensor) -> Tensor:
    """Return the mean of the rows of (rows, tokens, tokens) that the output is read from.

    Padding, which no token attends to, is none of them, even where a model reads it.

    :param slope: of the explained output with respect to the weights of the last block.
    """
    present = torch.stack([weights.amax((1, 2)) for weights in blocks]).amax(0) > 0
    read = (present & (slope != 0).any(-1).any(1)).to(matrix.dtype)  # (rows, tokens)
    return (read[:, None] @ matrix)[:, 0] / read.sum(1, keepdim=True).clamp(min=1)


def _identity(weights: Tensor) -> Tensor:
    return torch.eye(weights.shape[-1], dtype=weights.dtype, device=weights.device)
