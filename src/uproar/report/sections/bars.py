"""The row of a table: its values, and bars of the columns that an explainer calls important."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from uproar import ranking
from uproar.report.content import Gallery
from uproar.report.wording import number

LISTED = 5  # features that are listed


@dataclass(frozen=True)
class FeatureBar:
    """One feature of a table: ``width`` is its importance in percent of the largest shown."""

    name: str
    entry: str
    text: str
    width: float
    negative: bool


def entries(gallery: Gallery, index: int) -> tuple[tuple[str, str], ...]:
    """Return the columns of one example with their values, as people wrote them where known.

    A value that neither texts nor inputs tell (inputs hold one-hot groups) is left empty.
    """
    features = next(iter(gallery.importance.values())).shape[1]
    names = gallery.feature_names or tuple(f"feature {place}" for place in range(features))
    if gallery.texts:
        values = gallery.texts[index]
    elif len(gallery.inputs[index]) == features:
        values = tuple(number(entry, 2) for entry in gallery.inputs[index])
    else:
        values = ("",) * features
    return tuple(zip(names, values, strict=True))


def bars(
    importance: Float[np.ndarray, " columns"], values: tuple[tuple[str, str], ...]
) -> tuple[FeatureBar, ...]:
    """Return the most important columns, most important first."""
    top = np.argsort(ranking.rank(importance[None])[0])[:LISTED]
    largest = float(np.abs(importance[top]).max()) or 1.0
    return tuple(
        FeatureBar(
            values[place][0],
            values[place][1],
            number(importance[place], 3),
            round(100 * abs(float(importance[place])) / largest, 1),
            bool(importance[place] < 0),
        )
        for place in top.tolist()
    )
