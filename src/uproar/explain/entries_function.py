"""Explainers of the function: one importance for the whole model."""

from __future__ import annotations

from uproar.types import Entry

FUNCTION = (
    Entry(
        name="pfi",
        summary="fall of the score when the feature is shuffled among held-out examples",
        path="uproar.explain.permutation:Permutation",
        paper="Breiman 2001, doi 10.1023/A:1010933404324; Fisher et al. 2019, arXiv 1801.01489",
        needs="held-out examples",
        kind="estimator",
        signed=True,
        scope="global",
        parameters=(("repeats", 5),),
        passes="repeats * features + 1",
        draws="shared",
    ),
)
