"""Models on token ids as explainers see them: through the embedding, where gradients reach."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from uproar.types import Skipped


class OnEmbeddings(nn.Module):
    """A module on token ids, called with embedded tokens instead.

    Inputs are (rows, 1 + dimensions, length): channel 0 holds the ids as floats, the others what
    the module's embedding makes of them. The module runs on the ids of channel 0 (padding masks
    and positions follow from them), with the output of its embedding replaced by the other
    channels, so that ``forward(embed(ids)) == module(ids)`` and gradients reach every token.

    :param module: (rows, length) int64 ids to (rows, outputs); it is not changed.
    :param sample: a few ids, to find the embedding: the first ``nn.Embedding`` that is called
        with the ids themselves.
    :raises Skipped: when there is none, as where a module uses ``nn.functional.embedding``.

    >>> module = nn.Sequential(nn.Embedding(3, 2), nn.Flatten(), nn.Linear(8, 5))
    >>> ids = torch.tensor([[0, 1, 2, 1]])
    >>> model = OnEmbeddings(module, ids)
    >>> model.embed(ids).shape, torch.equal(model(model.embed(ids)), module(ids))
    (torch.Size([1, 3, 4]), True)
    """

    def __init__(self, module: nn.Module, sample: Int[Tensor, "rows length"]) -> None:
        super().__init__()
        self.module = module
        self.name = _embedding_called_with(module, sample)

    @property
    def embedding(self) -> nn.Embedding:
        """The embedding of the module whose output stands for the tokens."""
        found = self.module.get_submodule(self.name)
        assert isinstance(found, nn.Embedding)
        return found

    @torch.no_grad()
    def embed(self, ids: Int[Tensor, "rows length"]) -> Float[Tensor, "rows channels length"]:
        """Return the embedded tokens, (rows, 1 + dimensions, length), float32."""
        vectors = self.embedding(ids).float().transpose(1, 2)
        return torch.cat([ids[:, None].float(), vectors], 1)

    def forward(
        self, embedded: Float[Tensor, "rows channels length"]
    ) -> Float[Tensor, "rows outputs"]:
        """Return the module's outputs for embedded tokens."""
        ids = embedded[:, 0].detach().round().long()
        with self._replaced(ids, embedded[:, 1:].transpose(1, 2).contiguous()):
            outputs: Tensor = self.module(ids)
        return outputs

    def of_token(self, token: int) -> Float[Tensor, "channels 1"]:
        """Return the embedding of one token (the mask token: what shows nothing), channel 0 zero.

        :raises Skipped: when the embedding has no such token.
        """
        if not 0 <= token < self.embedding.num_embeddings:
            raise Skipped(
                f"the model's embedding has {self.embedding.num_embeddings} tokens, and token "
                f"{token}, which stands for removed ones, is none of them"
            )
        embedded = self.embed(torch.tensor([[token]], device=self.embedding.weight.device))[0]
        return _without_ids(embedded)

    def mean(
        self, ids: Int[Tensor, "rows length"], *, without: Sequence[int] = ()
    ) -> Float[Tensor, "channels 1"]:
        """Return the mean embedding of all tokens in ``ids`` but those in ``without`` (padding)."""
        weight = self._all_tokens()
        counts = torch.bincount(ids.reshape(-1).cpu(), minlength=weight.shape[1]).to(weight)
        counts[list(without)] = 0
        return _without_ids(weight @ (counts / counts.sum().clamp(min=1))[:, None])

    def spread(self) -> Float[Tensor, "channels 1"]:
        """Return the largest less the smallest value of every dimension over all tokens."""
        weight = self._all_tokens()
        return _without_ids(weight.amax(1, keepdim=True) - weight.amin(1, keepdim=True))

    def _all_tokens(self) -> Tensor:
        """Return all tokens as one embedded text, (1 + dimensions, tokens)."""
        table = self.embedding
        return self.embed(torch.arange(table.num_embeddings, device=table.weight.device)[None])[0]

    @contextmanager
    def _replaced(self, ids: Tensor, vectors: Tensor) -> Iterator[None]:
        """Let the embedding answer with ``vectors`` where it is called with ``ids``.

        By this thread alone: others may run the same module on texts of their own meanwhile.
        """
        thread = threading.get_ident()

        def answer(
            _: nn.Module, arguments: tuple[Any, ...], options: Mapping[str, Any], output: Tensor
        ) -> Tensor | None:
            mine = threading.get_ident() == thread and _called_with(ids, arguments, options)
            return vectors.to(output.dtype) if mine else None

        handle = self.embedding.register_forward_hook(answer, with_kwargs=True)
        try:
            yield
        finally:
            handle.remove()


def _without_ids(embedded: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(embedded[:1]), embedded[1:]])


def _called_with(ids: Tensor, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> bool:
    """Say whether the input of an embedding is the ids themselves."""
    given = arguments[0] if arguments else options.get("input")
    return isinstance(given, Tensor) and given.shape == ids.shape and bool((given == ids).all())


@torch.no_grad()
def _embedding_called_with(module: nn.Module, ids: Tensor) -> str:
    """Return the name of the first embedding that the module calls with the ids themselves."""
    found: list[nn.Module] = []

    def note(
        part: nn.Module, arguments: tuple[Any, ...], options: Mapping[str, Any], _: object
    ) -> None:
        if _called_with(ids, arguments, options):
            found.append(part)

    tables: dict[nn.Module, str] = {
        part: name for name, part in module.named_modules() if isinstance(part, nn.Embedding)
    }
    handles = [table.register_forward_hook(note, with_kwargs=True) for table in tables]
    try:
        module(ids)
    finally:
        for handle in handles:
            handle.remove()
    if not found:
        raise Skipped(
            f"no nn.Embedding of {type(module).__name__} is called with the token ids themselves "
            f"(it has {len(tables)} nn.Embedding modules), so that gradients cannot reach tokens; "
            "embed the ids (rows, length) with one, not with nn.functional.embedding"
        )
    return tables[found[0]]
