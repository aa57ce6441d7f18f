"""Degraded batches, made on the fly: no arm of a group ever holds a copy of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor


@dataclass(frozen=True)
class SharedInputs:
    """Inputs that all arms of a group share, and what stands in for removed values.

    ``inputs`` is (examples, values), one flattened example a row; ``fill`` is (1, values), or
    (examples, values) where every example has its own. ``features`` divides ``values``: the
    values of one feature (its channels) lie ``features`` apart and are removed together.
    """

    inputs: Float[Tensor, "examples values"]
    fill: Float[Tensor, "#examples values"]
    features: int
    input_shape: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.inputs)

    def degrade(
        self, index: Int[Tensor, "arms batch"], kept: Float[Tensor, "arms batch features"]
    ) -> Float[Tensor, "arms batch values"]:
        """Return the examples at ``index`` with the fill wherever ``kept`` is 0 instead of 1."""
        arms, size = index.shape
        flat = index.reshape(-1)
        inputs = self.inputs.index_select(0, flat).view(arms, size, -1, self.features)
        if len(self.fill) == 1:
            # A row for each example: broadcast over arms alone, lerp runs 4 times as fast.
            rows = self.fill.expand(size, -1).contiguous()
            fill = rows.view(1, size, -1, self.features)
        else:
            fill = self.fill.index_select(0, flat).view_as(inputs)
        # lerp on floats runs vectorised where a boolean torch.where does not (5 times as fast on
        # a CPU), and with weights of exactly 0 and 1 returns exactly the fill and the input.
        return torch.lerp(fill, inputs, kept[:, :, None]).flatten(2)


@runtime_checkable
class Batches(Protocol):
    """What training and prediction consume: batches of every arm's own inputs."""

    @property
    def shared(self) -> SharedInputs:
        """The inputs before they are degraded."""
        ...

    @property
    def arms(self) -> int:
        """Number of arms."""
        ...

    def batch(
        self, arms: slice, index: Int[Tensor, "arms batch"], generators: Sequence[torch.Generator]
    ) -> Float[Tensor, "arms batch values"]:
        """Return the degraded inputs at ``index``, one row of ``index`` for each arm of ``arms``.

        ``generators`` (one per arm) serve what is drawn anew in every batch.
        """
        ...


@dataclass(frozen=True)
class Ranked:
    """Every arm removes the features of the smallest ranks: ``counts[arm]`` of each example.

    The mask of an example is the same in every epoch. KAR removes the *least* important, which is
    this with the ranks reversed (:func:`keep_top`).
    """

    shared: SharedInputs
    ranks: UInt8[Tensor, "examples features"] | Int[Tensor, "examples features"]
    counts: tuple[int, ...]

    @property
    def arms(self) -> int:
        """Number of arms."""
        return len(self.counts)

    @cached_property
    def _counts(self) -> Tensor:
        return torch.tensor(self.counts, dtype=torch.float32, device=self.ranks.device)

    def batch(
        self,
        arms: slice,
        index: Int[Tensor, "arms batch"],
        generators: Sequence[torch.Generator],  # noqa: ARG002 - nothing is drawn here
    ) -> Float[Tensor, "arms batch values"]:
        """Return the degraded inputs at ``index``."""
        ranks = self.ranks.index_select(0, index.reshape(-1)).view(*index.shape, -1)
        counts = self._counts[arms]
        kept = torch.empty(ranks.shape, dtype=torch.float32, device=ranks.device)
        torch.ge(ranks.float(), counts[:, None, None], out=kept)
        return self.shared.degrade(index, kept)


@dataclass(frozen=True)
class RandomlyRemoved:
    """Every feature of every example goes with a probability that is drawn anew each time.

    The probability is uniform on [0, 1] per example and batch: the explanation-agnostic training
    of retrain-once.
    """

    shared: SharedInputs
    arms: int

    def batch(
        self, arms: slice, index: Int[Tensor, "arms batch"], generators: Sequence[torch.Generator]
    ) -> Float[Tensor, "arms batch values"]:
        """Return the degraded inputs at ``index``."""
        del arms  # all arms are alike
        draws = torch.stack(
            [
                torch.rand(index.shape[1], 1 + self.shared.features, generator=generator)
                for generator in generators
            ]
        ).to(index.device)
        kept = (draws[..., 1:] >= draws[..., :1]).float()
        return self.shared.degrade(index, kept)
