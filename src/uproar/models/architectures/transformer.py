"""A small transformer encoder for token ids, in plain torch."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from uproar.dataset import Data
from uproar.types import UproarError

WIDTH = 64
HEADS = 4
BLOCKS = 2
HIDDEN_UNITS = 128
DROPOUT = 0.1
DEVIATION = 0.1  # of the first embeddings: with 1, they drown what attention adds to them


class Attention(nn.Module):
    """Multi-head self-attention.

    ``softmax(Q K^T / sqrt(d)) V`` for each head, written with matrix products, which ``vmap`` and
    every kind of gradient take.

    Vaswani et al. 2017, arXiv 1706.03762.
    """

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(
        self, x: Float[Tensor, "rows length width"], present: Bool[Tensor, "rows length"]
    ) -> Float[Tensor, "rows length width"]:
        """Return what every token gathers from those that are present."""
        rows, length, _ = x.shape
        heads = self.project(x).view(rows, length, 3, HEADS, WIDTH // HEADS)
        queries, keys, values = heads.permute(2, 0, 3, 1, 4)  # each (rows, heads, length, depth)
        scores = queries @ keys.transpose(-2, -1) / math.sqrt(WIDTH // HEADS)
        # Finite, so that a text of padding alone attends evenly instead of to NaN.
        lowest = torch.finfo(scores.dtype).min
        scores = scores.masked_fill(~present[:, None, None], lowest)
        gathered = self.dropout(scores.softmax(-1)) @ values
        out: Tensor = self.out(gathered.transpose(1, 2).reshape(rows, length, WIDTH))
        return out


class Block(nn.Module):
    """Attention and two dense layers, each on normalised inputs and added to them (pre-norm)."""

    def __init__(self) -> None:
        super().__init__()
        self.attention_norm, self.attention = nn.LayerNorm(WIDTH), Attention()
        self.dense = nn.Sequential(
            nn.LayerNorm(WIDTH),
            nn.Linear(WIDTH, HIDDEN_UNITS),
            nn.ReLU(),
            nn.Linear(HIDDEN_UNITS, WIDTH),
            nn.Dropout(DROPOUT),
        )
        self.dropout = nn.Dropout(DROPOUT)

    def forward(
        self, x: Float[Tensor, "rows length width"], present: Bool[Tensor, "rows length"]
    ) -> Float[Tensor, "rows length width"]:
        """Return the tokens with what they gathered and made of it."""
        x = x + self.dropout(self.attention(self.attention_norm(x), present))
        added: Tensor = x + self.dense(x)
        return added


class Transformer(nn.Module):
    """Token and position embeddings, encoder blocks, the mean over the tokens, and a linear layer.

    Padding takes no part: no token attends to it, and the mean leaves it out. Ids may be cut to the
    longest text of a batch, which changes nothing but the time it takes.
    """

    def __init__(self, *, tokens: int, length: int, outputs: int, pad: int) -> None:
        super().__init__()
        self.pad = pad
        self.token = nn.Embedding(tokens, WIDTH)
        self.position = nn.Parameter(torch.empty(length, WIDTH))
        self.dropout = nn.Dropout(DROPOUT)
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, outputs)
        nn.init.normal_(self.token.weight, std=DEVIATION)
        nn.init.normal_(self.position, std=DEVIATION)

    def forward(self, ids: Int[Tensor, "rows length"]) -> Float[Tensor, "rows outputs"]:
        """Return the outputs for token ids."""
        present = ids != self.pad
        x = self.dropout(self.token(ids) + self.position[: ids.shape[1]])
        for block in self.blocks:
            x = block(x, present)
        weights = present.to(x.dtype)[..., None]
        pooled = (self.norm(x) * weights).sum(1) / weights.sum(1).clamp(min=1)
        outputs: Tensor = self.head(pooled)
        return outputs


def transformer(data: Data) -> Transformer:
    """Return a transformer encoder of two blocks, width 64, with four heads and dropout 0.1.

    It takes token ids (examples, length), int64, and answers with (examples, outputs).

    :raises UproarError: when the data are not text.
    """
    if data.vocabulary is None:
        raise UproarError(
            f"model 'transformer' needs text, but data {data.name!r} are of kind {data.kind!r}; "
            "use 'mlp'"
        )
    return Transformer(
        tokens=len(data.vocabulary.tokens),
        length=data.feature_shape[-1],
        outputs=data.outputs,
        pad=data.vocabulary.pad,
    )
