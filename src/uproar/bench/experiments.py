"""What protocols work on: the experiment under every removal, and the rankings that are stored."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from uproar.dataset import Data
from uproar.models.learner import Learner
from uproar.plan.job import ALL, ranking_cell
from uproar.plan.spec import Spec
from uproar.protocols.experiment import Experiment, prepare, refilled
from uproar.protocols.ranks import Ranking
from uproar.registry import find
from uproar.remove import REMOVALS
from uproar.run.store import Store
from uproar.seeding import generator_of
from uproar.types import KINDS


@dataclass(frozen=True)
class Experiments:
    """Prepares the settings of all removals together, when the first is asked for."""

    spec: Spec
    data: Data
    learner: Learner
    store: Store
    device: torch.device

    @cached_property
    def _prepared(self) -> dict[str, Experiment]:
        settings: dict[str, Experiment] = {}
        for name in dict.fromkeys((*self.spec.removals, self._plain)):
            removal = find(name, REMOVALS, "removal").load()(self.data)
            generator = generator_of("removal", name, self.data.digest(), self.spec.seed)
            first = next(iter(settings.values()), None)
            settings[name] = (
                refilled(first, self.data, removal, generator=generator)
                if first is not None
                else prepare(
                    self.data,
                    removal,
                    learner=self.learner,
                    recipe=self.spec.recipe,
                    device=self.device,
                    generator=generator,
                )
            )
        return settings

    @property
    def _plain(self) -> str:
        """A removal for where nothing is ever removed, or only the mask is looked at."""
        return KINDS[self.data.kind].plain

    def of(self, removal: str) -> Experiment:
        """Return the experiment under a removal; without one, one for whole inputs."""
        return self._prepared[removal or self._plain]

    def ranking(self, digest: str) -> Ranking:
        """Return the ranking of a digest; for :data:`ALL`, where no rank matters, feature order.

        :raises RuntimeError: when the store has no such ranking any more.
        """
        if digest == ALL:
            train, test = map(self._feature_order, (len(self.data.train), len(self.data.test)))
            return Ranking.of(train, test, self._lengths)
        outcome = self.store.read(ranking_cell(digest))
        if outcome is None:
            raise RuntimeError(
                "a ranking has gone from the store, or is damaged, since it was made; run the "
                "same command again to recompute it"
            )
        return Ranking.of(outcome.arrays["train"], outcome.arrays["test"], self._lengths)

    def _feature_order(self, examples: int) -> NDArray[np.unsignedinteger]:
        smallest = np.min_scalar_type(self.data.features - 1)
        order = np.arange(self.data.features, dtype=smallest).reshape(self.data.feature_shape)
        return np.broadcast_to(order, (examples, *self.data.feature_shape))

    @cached_property
    def _lengths(self) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """The number of features of every example of train and test, where they differ."""
        present = [self.data.present(part) for part in (self.data.train, self.data.test)]
        lengths = [p.reshape(len(p), -1).sum(1) for p in present if p is not None]
        return (lengths[0], lengths[1]) if lengths else None
