"""The table of protocols that a content has: the five that are built in, and one of an outsider."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from uproar.protocols import known
from uproar.results.content import protocol_table

KEEP_LEAST = {
    "protocol": "keep-least",
    "short": "keep-least",
    "meaning": "Keep only the least important features, retrain, see {score} fall.",
    "gain": "Area between the curves of random and of the explainer; positive is good",
    "question": "information",
    "compared": True,
    "reads_own_masks": True,
    "ordering": 5,
    "curve": "keep-least",
    "direction": "lower",
    "keeps": True,
    "title": "Keeping the least important",
    "reading": "Lower is better.",
}


def make_protocols(added: Sequence[dict[str, object]] = ()) -> pd.DataFrame:
    """Return a row for every curve; ``added`` are those of other protocols."""
    return pd.concat([protocol_table(known()), pd.DataFrame([*added])], ignore_index=True)
