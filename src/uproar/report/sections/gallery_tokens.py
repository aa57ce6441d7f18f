"""Text as its tokens, each as strong as an explainer calls it important."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from uproar import ranking
from uproar.report.wording import compact

BLANK = "␣"  # in place of tokens that would not be seen


@dataclass(frozen=True)
class Token:
    """One token: ``strength`` is its importance as a share of the example's largest absolute one.

    ``top`` says that it is among the most important, those that are removed first.
    """

    text: str
    strength: float
    negative: bool
    top: bool
    note: str


def tokens(
    texts: tuple[str, ...], importance: Float[np.ndarray, " tokens"], share: float
) -> tuple[Token, ...]:
    """Return the tokens of one example, the ``share`` of most important ones marked.

    At least one is marked, since a tenth of a short text is less than a token.

    >>> [token.top for token in tokens(("not", "bad"), np.array([0.5, -1.0]), 0.1)]
    [True, False]
    """
    ranks = ranking.rank(importance[None])[0]
    marked = max(ranking.count(share, len(texts)), 1)
    largest = float(np.abs(importance).max()) or 1.0
    return tuple(
        Token(
            text if text.strip() else BLANK,
            round(abs(float(value)) / largest, 2),
            bool(value < 0),
            bool(rank < marked),
            compact(value),
        )
        for text, value, rank in zip(texts, importance, ranks, strict=True)
    )
