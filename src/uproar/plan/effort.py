"""How much work explaining is, before it is done: passes through the model, and retrainings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from uproar.explain.cost import passes_of
from uproar.explain.names import ExplainerName

MOST_HELD_OUT = 1000  # examples that explanations of the function are made from


@dataclass(frozen=True)
class Sizes:
    """What estimates know of the data; the defaults stand for data that are not known yet.

    ``explained`` is the number of training and test examples; ``table`` says whether they are rows
    of one.
    """

    features: int = 64
    outputs: int = 2
    explained: int = 1000
    validation: int = 100
    table: bool = False

    def passes(self, name: ExplainerName) -> float:
        """Return how many times an example goes through the model to be explained.

        Each training and test example; of an explainer of the function each held-out example.

        >>> from uproar.explain.names import parse
        >>> Sizes(features=30).passes(parse("pfi:repeats=2"))
        61.0
        """
        # Training and test examples are explained apart.
        rows = self.explained / 2 if self.table else 1
        return passes_of(name, features=self.features, outputs=self.outputs, table_rows=rows)

    def all_passes(self, members: Sequence[ExplainerName]) -> float:
        """Return how many single examples a family of explainers sends through one base model.

        Members share their passes: one set for the plain ones, one for those that average over
        noise.

        >>> from uproar.explain.names import parse
        >>> Sizes().all_passes([parse("grad"), parse("abs-grad"), parse("sg-grad")])
        16000.0
        """
        passes = {bool(member.ensemble): self.passes(member) for member in members}
        held_out = min(self.validation, MOST_HELD_OUT)
        return sum(passes.values()) * (held_out if members[0].of_function else self.explained)

    def trainings(self, members: Sequence[ExplainerName]) -> int:
        """Return how many models are trained to explain one base model: mostly none.

        >>> from uproar.explain.names import parse
        >>> Sizes(features=30).trainings([parse("loco:refits=2")])
        62
        """
        if "retraining" not in members[0].entry().needs:
            return 0
        # With all features, and without each of them.
        return int(dict(members[0].parameters).get("refits", 1)) * (1 + self.features)
