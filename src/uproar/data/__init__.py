"""Data sets by name; nothing is loaded, and scikit-learn not imported, before it is asked for."""

from __future__ import annotations

from uproar.types import Data, Entry, find

RANKINGS = "true-ranking,inverted-ranking,shuffled-ranking"

DATA = (
    Entry(
        name="digits",
        summary="1,797 hand-written digits, 8 × 8 grey, 10 classes",
        path="uproar.data.digits:digits",
        paper="Alpaydin and Kaynak 1998, UCI Optical Recognition of Handwritten Digits",
        kind="image",
        parameters=(("model", "mlp"),),
    ),
    Entry(
        name="breast-cancer",
        summary="569 tumours, 30 measured columns, 2 classes",
        path="uproar.data.tabular:breast_cancer",
        paper="Street, Wolberg and Mangasarian 1993, UCI Breast Cancer Wisconsin (Diagnostic)",
        kind="table",
        parameters=(("model", "mlp"),),
    ),
    Entry(
        name="hooker-toy",
        summary="known answer: 4 of 16 columns are informative, the noise is shared",
        path="uproar.data.synthetic:hooker_toy",
        paper="Hooker et al. 2019, arXiv 1806.10758, section 3",
        kind="table",
        parameters=(("model", "linear"), ("optimiser", "least-squares"), ("rankings", RANKINGS)),
    ),
    Entry(
        name="hooker-toy-independent",
        summary="known answer: the same with noise of its own in every column",
        path="uproar.data.synthetic:hooker_toy_independent",
        paper="Hooker et al. 2019, arXiv 1806.10758, section 3",
        kind="table",
        parameters=(("model", "linear"), ("optimiser", "least-squares"), ("rankings", RANKINGS)),
    ),
)


def load(name: str, *, seed: int) -> Data:
    """Return the data set called ``name``, split (or drawn) by ``seed``.

    :raises UproarError: when there is no such data set; the message lists the close names.
    """
    data: Data = find(name, DATA, "data").load()(seed=seed)
    return data
