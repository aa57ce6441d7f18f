"""Explainers of decisions that need gradients."""

from __future__ import annotations

from uproar.types import Entry

GRADIENTS = (
    Entry(
        name="grad",
        summary="gradient of the explained logit",
        path="uproar.explain.gradients:gradient",
        paper="Simonyan et al. 2014, arXiv 1312.6034",
        needs="gradients",
        kind="estimator",
        signed=True,
        scope="local",
        passes="1",
    ),
    Entry(
        name="input-x-grad",
        summary="input times gradient",
        path="uproar.explain.gradients:input_x_gradient",
        paper="Shrikumar et al. 2016, arXiv 1605.01713",
        needs="gradients",
        kind="estimator",
        signed=True,
        scope="local",
        passes="1",
    ),
    Entry(
        name="ig",
        summary="integrated gradients",
        path="uproar.explain.gradients:IntegratedGradients",
        paper="Sundararajan et al. 2017, arXiv 1703.01365",
        needs="gradients",
        kind="estimator",
        signed=True,
        scope="local",
        parameters=(("steps", 25), ("baseline", "black")),
        passes="steps",
    ),
    Entry(
        name="gb",
        summary="guided backpropagation",
        path="uproar.explain.gradients:guided_backpropagation",
        paper="Springenberg et al. 2015, arXiv 1412.6806",
        needs="gradients, ReLU modules",
        kind="estimator",
        signed=True,
        scope="local",
        passes="1",
    ),
)
