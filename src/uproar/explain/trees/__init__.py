"""Explainers of decisions that need trees."""

from __future__ import annotations

from uproar.explain.explainer import Explainer

TREES = (
    Explainer(
        name="tree-shap",
        summary="contribution to the answer of trees, averaged over all orders",
        path="uproar.explain.trees.shapley:tree_shap",
        paper="Lundberg et al. 2020, arXiv 1905.04610",
        needs="tree model",
        signed=True,
        promises=("ignores idle features", "adds up"),
    ),
    Explainer(
        name="saabas",
        summary="change of the mean answer at the splits on the way to the leaf",
        path="uproar.explain.trees.shapley:saabas",
        paper="Saabas 2014, blog.datadive.net/interpreting-random-forests",
        needs="tree model",
        signed=True,
        promises=("ignores idle features", "adds up"),
    ),
)
