"""Explainers of decisions that ask the model about changed inputs."""

from __future__ import annotations

from uproar.explain.explainer import Explainer
from uproar.explain.parameters import BASELINE, Parameter

PERTURBATIONS = (
    Explainer(
        name="occlusion",
        summary="mean fall of the explained output when a window with the feature is replaced",
        path="uproar.explain.perturbation.occlusion:Occlusion",
        paper="Zeiler and Fergus 2014, arXiv 1311.2901",
        needs="any model",
        signed=True,
        parameters=(Parameter("patch", 1, least=1), Parameter("stride", 1, least=1), BASELINE),
        # Of images, at most: the last of windows that overlap ends at the border, and those that
        # change nothing are not asked about.
        passes="ceil(features / stride ** 2) + 1",
        promises=("ignores idle features",),
    ),
    Explainer(
        name="rise",
        summary="rise of the explained output while random smooth masks show the feature",
        path="uproar.explain.perturbation.rise:Rise",
        paper="Petsiuk et al. 2018, arXiv 1806.07421",
        needs="any model",
        signed=True,
        parameters=(Parameter("masks", 1000, least=1), Parameter("cells", 7, least=2), BASELINE),
        data_kinds=("image", "series"),
        passes="masks",
        draws="shared",
        test=(("masks", 20),),
    ),
    Explainer(
        name="lime",
        summary="coefficient of a linear model of the answers near the example",
        path="uproar.explain.perturbation.lime:Lime",
        paper="Ribeiro et al. 2016, arXiv 1602.04938",
        needs="any model",
        signed=True,
        parameters=(
            Parameter("perturbations", 1000, least=2),
            Parameter("segments", 64, least=1),
            Parameter("width", 0.0, least=0),
            BASELINE,
            Parameter("discretizer", "quartile", choices=("quartile", "decile", "none")),
        ),
        version=2,
        # Of tables all but one are the same for all examples.
        passes="(perturbations - 1) / table_rows + 1",
        draws="shared",
        promises=("nearly ignores idle features",),
        test=(("perturbations", 60),),
        promised_at=(("perturbations", 2000), ("discretizer", "none")),
    ),
    Explainer(
        name="kernel-shap",
        summary="estimated Shapley value, by a regression of the output on coalitions of features",
        path="uproar.explain.perturbation.kernel_shap:KernelShap",
        paper="Lundberg and Lee 2017, arXiv 1705.07874",
        needs="any model",
        signed=True,
        parameters=(
            Parameter("coalitions", 2048, least=2),
            Parameter("segments", 64, least=1),
            Parameter("background", 0, least=0),
            BASELINE,
        ),
        passes="(min(coalitions, 2 ** min(features, 30) - 2) + 1) * max(1, background) + 1",
        draws="shared",
        promises=("ignores idle features", "adds up"),
        test=(("coalitions", 40),),
        promised_at=(("coalitions", 64),),
    ),
)
