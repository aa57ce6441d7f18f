"""Degraded batches, made on the fly: no arm of a group ever holds a copy of the data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int, Shaped, UInt8
from numpy.typing import NDArray
from torch import Tensor

Impute = Callable[[Tensor, Tensor, Tensor], Tensor]


class MappedOnPickling:
    """Goes to other processes as NumPy arrays, the same objects each time.

    joblib writes an array that it has not seen before to a file which all processes map into
    their memory; tensors it would send whole, once for every arm.
    """

    @cached_property
    def _parts(self) -> tuple[Any, ...]:
        return tuple(
            _Mapped.of(value) if isinstance(value, Tensor) else value
            for value in (getattr(self, field.name) for field in fields(self))  # type: ignore[arg-type]
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self._parts)


@dataclass(frozen=True)
class _Mapped:
    """A tensor as an array; ``repeats`` is how often its only row stands for a whole tensor."""

    array: NDArray[Any]
    repeats: int = 0

    @classmethod
    def of(cls, tensor: Tensor) -> _Mapped:
        if len(tensor) > 1 and tensor.stride(0) == 0:
            return cls(tensor[:1].numpy(), len(tensor))
        return cls(tensor.numpy())

    def tensor(self) -> Tensor:
        tensor = torch.from_numpy(self.array)
        return tensor.expand(self.repeats, *tensor.shape[1:]) if self.repeats else tensor


Restored = TypeVar("Restored")


def _restored(kind: type[Restored], parts: Sequence[Any]) -> Restored:
    return kind(*(part.tensor() if isinstance(part, _Mapped) else part for part in parts))


@dataclass(frozen=True)
class SharedInputs(MappedOnPickling):
    """Inputs that all arms of a group share, and what stands in for removed values.

    ``inputs`` is (examples, values), one flattened example a row; ``fill`` is (1, values), or
    (examples, values) where every example has its own. ``features`` divides ``values``: the
    values of one feature (its channels) lie ``features`` apart and are removed together, unless
    ``groups`` has the feature of every value. With ``impute`` what stands in depends on what is
    left, and ``fill`` is what it is made of. ``present`` says which features an example has, where
    some lack any.
    """

    inputs: Shaped[Tensor, "examples values"]
    fill: Shaped[Tensor, "#examples values"]
    features: int
    input_shape: tuple[int, ...]
    impute: Impute | None = None
    groups: Int[Tensor, "values"] | None = None
    present: Bool[Tensor, "examples features"] | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    def degrade(
        self, index: Int[Tensor, "arms batch"], kept: Float[Tensor, "arms batch features"]
    ) -> Shaped[Tensor, "arms batch values"]:
        """Return the examples at ``index`` with the fill wherever ``kept`` is 0 instead of 1."""
        if self.impute is not None or not self.inputs.is_floating_point():
            return self._replaced(index, kept)
        arms, size = index.shape
        flat = index.reshape(-1)
        # (arms, batch, channels, features), or a single channel where every value has its weight.
        width = self.features if self.groups is None else self.inputs.shape[1]
        inputs = self.inputs.index_select(0, flat).view(arms, size, -1, width)
        if len(self.fill) == 1:
            # A row for each example: broadcast over arms alone, lerp runs 4 times as fast.
            rows = self.fill.expand(size, -1).contiguous()
            fill = rows.view(1, size, -1, width)
        else:
            fill = self.fill.index_select(0, flat).view_as(inputs)
        weights = kept if self.groups is None else kept.index_select(2, self.groups)
        # lerp on floats runs vectorised where a boolean torch.where does not (5 times as fast on
        # a CPU), and with weights of exactly 0 and 1 returns exactly the fill and the input.
        return torch.lerp(fill, inputs, weights[:, :, None]).flatten(2)

    def _replaced(self, index: Tensor, kept: Tensor) -> Tensor:
        """Degrade what cannot be interpolated: token ids, and values that are imputed."""
        flat = index.reshape(-1)
        rows = self.inputs.index_select(0, flat)
        fill = self.fill if len(self.fill) == 1 else self.fill.index_select(0, flat)
        weights = self._per_value(kept.flatten(0, 1))
        if self.impute is not None:
            shape = self.input_shape
            imputed = self.impute(
                rows.view(-1, *shape), weights.reshape(-1, *shape), fill.view(-1, *shape)
            )
            return imputed.reshape(*index.shape, -1)
        return torch.where(weights > 0, rows, fill).view(*index.shape, -1)

    def _per_value(self, kept: Tensor) -> Tensor:
        """Return a weight for each value instead of each feature, (rows, values)."""
        if self.groups is not None:
            return kept.index_select(1, self.groups)
        return kept.repeat(1, self.inputs.shape[1] // self.features)


@runtime_checkable
class Batches(Protocol):
    """What training and prediction consume: batches of every arm's own inputs.

    ``fresh`` says whether inputs are degraded anew each time.
    """

    @property
    def shared(self) -> SharedInputs:
        """The inputs before they are degraded."""
        ...

    @property
    def arms(self) -> int:
        """Number of arms."""
        ...

    @property
    def fresh(self) -> bool:
        """Whether the same index gives other inputs the next time."""
        ...

    def batch(
        self, arms: slice, index: Int[Tensor, "arms batch"], generators: Sequence[torch.Generator]
    ) -> Shaped[Tensor, "arms batch values"]:
        """Return the degraded inputs at ``index``, one row of ``index`` for each arm of ``arms``.

        ``generators`` (one per arm) serve what is drawn anew in every batch.
        """
        ...


@dataclass(frozen=True)
class RemovedByRank(MappedOnPickling):
    """Every arm removes the features of the smallest ranks of each example.

    ``counts`` says how many: one number for each arm, or one for each arm and example. The mask
    of an example is the same in every epoch. KAR removes the *least* important, which is this with
    the ranks reversed.
    """

    shared: SharedInputs
    ranks: UInt8[Tensor, "examples features"] | Int[Tensor, "examples features"]
    counts: tuple[int, ...] | Int[Tensor, "arms examples"]

    @property
    def arms(self) -> int:
        """Number of arms."""
        return len(self.counts)

    @property
    def fresh(self) -> bool:
        """Never: masks are fixed."""
        return False

    @cached_property
    def _counts(self) -> Tensor:
        """The counts as (arms, 1), or (arms, examples)."""
        if isinstance(self.counts, Tensor):
            return self.counts.float()
        return torch.tensor(self.counts, dtype=torch.float32, device=self.ranks.device)[:, None]

    def batch(
        self,
        arms: slice,
        index: Int[Tensor, "arms batch"],
        generators: Sequence[torch.Generator],
    ) -> Shaped[Tensor, "arms batch values"]:
        """Return the degraded inputs at ``index``."""
        ranks = self.ranks.index_select(0, index.reshape(-1)).view(*index.shape, -1)
        counts = self._counts[arms]
        if counts.shape[1] > 1:
            counts = counts.gather(1, index)
        kept = torch.empty(ranks.shape, dtype=torch.float32, device=ranks.device)
        torch.ge(ranks.float(), counts[:, :, None], out=kept)
        return self.shared.degrade(index, kept)


@dataclass(frozen=True)
class WithoutOne(MappedOnPickling):
    """Every arm removes one feature, the same of all examples, or none.

    ``removed`` has the feature of every arm, -1 for none.
    """

    shared: SharedInputs
    removed: tuple[int, ...]

    @property
    def arms(self) -> int:
        """Number of arms."""
        return len(self.removed)

    @property
    def fresh(self) -> bool:
        """Never: masks are fixed."""
        return False

    def batch(
        self,
        arms: slice,
        index: Int[Tensor, "arms batch"],
        generators: Sequence[torch.Generator],
    ) -> Shaped[Tensor, "arms batch values"]:
        """Return the degraded inputs at ``index``."""
        kept = torch.ones(*index.shape, self.shared.features, device=index.device)
        for arm, feature in enumerate(self.removed[arms]):
            if feature >= 0:
                kept[arm, :, feature] = 0
        return self.shared.degrade(index, kept)


@dataclass(frozen=True)
class RandomlyRemoved(MappedOnPickling):
    """Every feature of every example goes with a probability that is drawn anew each time.

    The probability is uniform on [0, 1] per example and batch: the explanation-agnostic training
    of retrain-once.
    """

    shared: SharedInputs
    arms: int

    @property
    def fresh(self) -> bool:
        """Always: masks are drawn anew."""
        return True

    def batch(
        self, arms: slice, index: Int[Tensor, "arms batch"], generators: Sequence[torch.Generator]
    ) -> Shaped[Tensor, "arms batch values"]:
        """Return the degraded inputs at ``index``."""
        del arms  # all arms are alike
        draws = torch.stack(
            [
                torch.rand(index.shape[1], 1 + self.shared.features, generator=generator)
                for generator in generators
            ]
        ).to(index.device)
        kept = (draws[..., 1:] >= draws[..., :1]).float()
        if self.shared.present is not None:
            absent = ~self.shared.present.index_select(0, index.reshape(-1))
            kept = torch.maximum(kept, absent.view_as(kept).float())
        return self.shared.degrade(index, kept)
