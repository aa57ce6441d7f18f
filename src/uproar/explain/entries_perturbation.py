"""Explainers of decisions that ask the model about changed inputs."""

from __future__ import annotations

from uproar.types import Entry

PERTURBATIONS = (
    Entry(
        name="occlusion",
        summary="fall of the explained output when the feature is replaced",
        path="uproar.explain.perturbation:Occlusion",
        paper="Zeiler and Fergus 2014, arXiv 1311.2901",
        needs="any model",
        kind="estimator",
        signed=True,
        scope="local",
        parameters=(("baseline", "black"),),
        passes="features + 1",
    ),
)
