"""The attention weights of a module's forward pass, wherever in torch they are computed."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

SOFTMAXES = (torch.softmax, Tensor.softmax, torch.special.softmax, functional.softmax)
MULTI_HEAD = functional.multi_head_attention_forward


class AttentionWeights(TorchFunctionMode):
    """Notes the attention weights that are computed within, those of this thread alone.

    Noted are: softmaxes over the last axis of (rows, tokens, tokens) or (rows, heads, tokens,
    tokens), and the weights within ``nn.functional.scaled_dot_product_attention`` and within
    ``nn.MultiheadAttention`` and what is built of it, which otherwise keep them to themselves.
    All of them are tensors that the outputs are computed from, so that gradients reach them.

    :param rows: of the inputs. :param tokens: attention among as many is noted, no other.

    >>> layer = torch.nn.TransformerEncoderLayer(4, 2, 8, batch_first=True).eval()
    >>> with torch.no_grad(), AttentionWeights(rows=3, tokens=5) as seen:
    ...     _ = layer(torch.zeros(3, 5, 4))
    >>> [tuple(weights.shape) for weights in seen.blocks()], bool((seen.noted[0] == 1 / 5).all())
    ([(3, 2, 5, 5)], True)
    """

    def __init__(self, *, rows: int, tokens: int) -> None:
        super().__init__()
        self.rows, self.tokens = rows, tokens
        self.noted: list[Tensor] = []  # (rows * heads, …) or (rows, …)
        self.others: set[int] = set()  # numbers of tokens of what was not noted

    def blocks(self, tensors: Iterable[Tensor] | None = None) -> list[Tensor]:
        """Return tensors like those noted, by default these, as (rows, heads, tokens, tokens)."""
        chosen = self.noted if tensors is None else tensors
        return [one.reshape(self.rows, -1, self.tokens, self.tokens) for one in chosen]

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Answer for a function of torch; what is called in here comes not back to here."""
        options = kwargs or {}
        if func is functional.scaled_dot_product_attention:
            return self._scaled_dot_product(*args, **options)
        if func is MULTI_HEAD:
            return self._multi_head(*args, **options)
        result = func(*args, **options)
        if func in SOFTMAXES and options.get("dim", args[1] if len(args) > 1 else None) in {
            -1,
            result.ndim - 1,
        }:
            self._note(result, rows=self.rows)
        return result

    def _note(self, weights: Tensor, *, rows: int) -> None:
        square = weights.ndim >= 3 and weights.shape[-1] == weights.shape[-2]
        if not square or weights.shape[0] != rows:
            return
        if weights.shape[-1] == self.tokens:
            self.noted.append(weights)
        else:
            self.others.add(weights.shape[-1])

    def _multi_head(self, *args: Any, **options: Any) -> tuple[Tensor, Tensor | None]:
        given = inspect.signature(MULTI_HEAD).bind(*args, **options)
        given.apply_defaults()
        wanted = given.arguments["need_weights"], given.arguments["average_attn_weights"]
        given.arguments |= {"need_weights": True, "average_attn_weights": False}
        output, weights = MULTI_HEAD(*given.args, **given.kwargs)
        assert weights is not None, "they are needed"
        # What is returned is a view of what the output was computed from.
        used = weights if weights._base is None else weights._base
        if weights.ndim == 4 and weights.shape[0] == self.rows:
            self._note(used, rows=self.rows * weights.shape[1])
        if not wanted[0]:
            return output, None
        return output, weights.mean(-3) if wanted[1] else weights

    def _scaled_dot_product(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        *,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        """Compute step by step what torch computes at once."""
        if enable_gqa:
            groups = query.shape[-3] // key.shape[-3]
            key, value = (part.repeat_interleave(groups, -3) for part in (key, value))
        factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
        scores = query @ key.transpose(-2, -1) * factor
        if is_causal:
            attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        if attn_mask is not None:
            visible = attn_mask.dtype == torch.bool
            scores = scores.masked_fill(~attn_mask, -math.inf) if visible else scores + attn_mask
        blind = (scores == -math.inf).all(-1, keepdim=True)  # see nothing, and gather zeros
        weights = scores.masked_fill(blind, 0).softmax(-1).masked_fill(blind, 0)
        self._note(weights, rows=self.rows)
        return functional.dropout(weights, dropout_p) @ value
