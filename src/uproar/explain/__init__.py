"""Explainers, the ensembles and aggregations that wrap them, and the controls; imports no torch.

An explainer is a callable ``(model, inputs, targets, generator) -> attribution`` with the shape of
the inputs. A new one is a function (or a frozen dataclass with ``__call__``, when it has
parameters), an entry in the ``__init__`` of its folder, and an oracle in the tests.
"""

from __future__ import annotations

from uproar.explain.controls import CONTROLS
from uproar.explain.explainer import PROMISES, Prefix
from uproar.explain.function import FUNCTION
from uproar.explain.gradients import ATTENTION, GRADIENTS
from uproar.explain.packages import CAPTUM, PACKAGES
from uproar.explain.parameters import Parameter
from uproar.explain.perturbation import PERTURBATIONS
from uproar.explain.trees import TREES

EXPLAINERS = (
    *GRADIENTS,
    *ATTENTION,
    *PERTURBATIONS,
    *TREES,
    *CAPTUM,
    *PACKAGES,
    *FUNCTION,
    *CONTROLS,
)

# What may stand before all other parts of a name.
VARIANTS = (
    Prefix(
        name="untrained",
        summary="the same, of a model with random weights",
        path="",  # the work bench makes that model
        paper="Adebayo et al. 2018, arXiv 1810.03292",
        keeps=PROMISES,
    ),
    Prefix(
        name="global",
        summary="mean absolute importance over held-out examples",
        path="uproar.explain.importance:mean_absolute",
        paper="Lundberg et al. 2020, arXiv 1905.04610",
        estimand="how strongly the answers respond to it, on average",
    ),
)

# Ensembles reduce the same noisy passes, so they have the same parameters: how many samples, and
# the noise's standard deviation as a share of the range that an input can take.
NOISE = (Parameter("samples", 15, least=1), Parameter("noise", 0.15, least=0))
ENSEMBLES = (
    Prefix(
        name="sg",
        summary="mean over noisy inputs",
        path="uproar.explain.ensembles:mean",
        paper="Smilkov et al. 2017, arXiv 1706.03825",
        signed=True,
        parameters=NOISE,
    ),
    Prefix(
        name="sgsq",
        summary="mean of squares over noisy inputs",
        path="uproar.explain.ensembles:mean_of_squares",
        paper="Hooker et al. 2019, arXiv 1806.10758",
        parameters=NOISE,
    ),
    Prefix(
        name="var",
        summary="variance over noisy inputs",
        path="uproar.explain.ensembles:variance",
        paper="Adebayo et al. 2018, arXiv 1810.03292",
        parameters=NOISE,
    ),
)

AGGREGATIONS = (
    Prefix(
        name="abs",
        summary="absolute value",
        path="uproar.explain.aggregation:absolute",
    ),
    Prefix(
        name="sq",
        summary="square",
        path="uproar.explain.aggregation:squared",
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
