"""Explainers, the ensembles and aggregations that wrap them, and the controls; imports no torch.

An explainer is a callable ``(model, inputs, targets, generator) -> attribution`` with the shape of
the inputs. A new one is a function (or a frozen dataclass with ``__call__``, when it has
parameters), a line in ``EXPLAINERS``, and an oracle in the tests.
"""

from __future__ import annotations

from uproar.types import Entry

BASELINES = ("black", "mean", "zero")

EXPLAINERS = (
    Entry(
        name="grad",
        summary="gradient of the explained logit",
        path="uproar.explain.gradients:gradient",
        paper="Simonyan et al. 2014, arXiv 1312.6034",
        needs="gradients",
        kind="estimator",
        signed=True,
        scope="local",
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
    ),
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
    ),
    Entry(
        name="tree-shap",
        summary="contribution to the margin of boosted trees, averaged over all orders",
        path="uproar.explain.trees:tree_shap",
        paper="Lundberg et al. 2020, arXiv 1905.04610",
        needs="tree model",
        kind="estimator",
        signed=True,
        scope="local",
    ),
    Entry(
        name="permutation",
        summary="fall of the score when the feature is shuffled among held-out examples",
        path="uproar.explain.perturbation:Permutation",
        paper="Breiman 2001, doi 10.1023/A:1010933404324; Fisher et al. 2019, arXiv 1801.01489",
        needs="held-out examples",
        kind="estimator",
        signed=True,
        scope="global",
        parameters=(("repeats", 5),),
    ),
    Entry(
        name="random",
        summary="random importance",
        path="uproar.explain.controls:Random",
        kind="control",
        scope="local",
        parameters=(("draw", 0),),
    ),
    Entry(
        name="sobel",
        summary="strength of the edges of the image",
        path="uproar.explain.controls:sobel",
        needs="images",
        kind="control",
        scope="local",
    ),
    Entry(
        name="input-magnitude",
        summary="distance of the input from black",
        path="uproar.explain.controls:input_magnitude",
        kind="control",
        scope="local",
    ),
)

# The three reduce the same noisy passes, so they have the same parameters: how many samples, and
# the noise's standard deviation as a share of the range that an input can take.
ENSEMBLES = (
    Entry(
        name="sg",
        summary="mean over noisy inputs",
        path="uproar.explain.ensembles:mean",
        paper="Smilkov et al. 2017, arXiv 1706.03825",
        kind="ensemble",
        signed=True,
        parameters=(("samples", 15), ("noise", 0.15)),
    ),
    Entry(
        name="sgsq",
        summary="mean of squares over noisy inputs",
        path="uproar.explain.ensembles:mean_of_squares",
        paper="Hooker et al. 2019, arXiv 1806.10758",
        kind="ensemble",
        parameters=(("samples", 15), ("noise", 0.15)),
    ),
    Entry(
        name="var",
        summary="variance over noisy inputs",
        path="uproar.explain.ensembles:variance",
        paper="Adebayo et al. 2018, arXiv 1810.03292",
        kind="ensemble",
        parameters=(("samples", 15), ("noise", 0.15)),
    ),
)

AGGREGATIONS = (
    Entry(
        name="abs",
        summary="absolute value",
        path="uproar.explain.aggregation:absolute",
        kind="aggregation",
    ),
    Entry(
        name="sq",
        summary="square",
        path="uproar.explain.aggregation:squared",
        kind="aggregation",
    ),
)

_PAPER_BASES = ("grad", "ig", "gb")

DEFAULT_EXPLAINERS = (
    *(f"{ensemble}{base}" for ensemble in ("", "sg-", "sgsq-", "var-") for base in _PAPER_BASES),
    *(f"{aggregation}-{base}" for aggregation in ("abs", "sq") for base in _PAPER_BASES),
    "input-x-grad",
    "random",
    "sobel",
    "input-magnitude",
)
