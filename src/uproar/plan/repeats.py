"""Which repeats each base model has: they are shared out, so that no two base models have one.

A repeat is the whole experiment once more. Base models take turns: of three, the second has the
repeats 1, 4, 7, … By default there are as many base models as repeats.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from uproar.protocols.protocol import Protocol

if TYPE_CHECKING:
    from uproar.plan.spec import Spec


def base_models_of(values: Mapping[str, Any], *, folds: int, repeats: int) -> int:
    """Return how many base models there are where nobody says it: of each fold, or repeat, one.

    >>> base_models_of({"repeats": 3}, folds=1, repeats=5), base_models_of({}, folds=4, repeats=5)
    (3, 4)
    """
    return folds if folds > 1 else values.get("repeats", repeats)


def evenly_shared(spec: Spec) -> dict[str, int]:
    """Return numbers of repeats that the base models can share: as many for each.

    Of mask-only the first base models may have one each, but every fold has to have one.

    >>> from uproar.plan.spec import Spec
    >>> evenly_shared(Spec(repeats=5, base_models=2, mask_only_repeats=1))
    {'repeats': 6, 'mask_only_repeats': 1}
    """
    bases, masks = spec.base_models, spec.mask_only_repeats
    masks = max(masks, bases) if spec.source.folds > 1 else masks
    return {
        "repeats": bases * math.ceil(spec.repeats / bases),
        "mask_only_repeats": masks if masks < bases else bases * math.ceil(masks / bases),
    }


def numbers_of(spec: Spec, base: int, repeats: int) -> range:
    """Return the numbers of a base model's repeats.

    :param repeats: of all base models together.

    >>> from uproar.plan.spec import Spec
    >>> list(numbers_of(Spec(base_models=3), 1, 9))
    [1, 4, 7]
    """
    return range(base, repeats, spec.base_models)


def repeats_of(spec: Spec, protocol: Protocol) -> int:
    """Return the retrainings of every arm, of all base models together; 0 without any."""
    return 0 if protocol.asks == "base model" else int(getattr(spec, protocol.repeats))


def bases_of(spec: Spec, protocol: Protocol) -> range:
    """Return the base models that are measured: where repeats are fewer, as many."""
    return range(spec.base_models)[: repeats_of(spec, protocol) or spec.base_models]
