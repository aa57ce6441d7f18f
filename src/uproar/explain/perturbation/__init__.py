"""Explainers of decisions that ask the model about changed inputs."""

from __future__ import annotations

from uproar.registry import Entry

PERTURBATIONS = (
    Entry(
        name="occlusion",
        summary="mean fall of the explained output when a window with the feature is replaced",
        path="uproar.explain.perturbation.occlusion:Occlusion",
        paper="Zeiler and Fergus 2014, arXiv 1311.2901",
        needs="any model",
        kind="estimator",
        signed=True,
        scope="local",
        parameters=(("patch", 1), ("stride", 1), ("baseline", "black")),
        # Of images, at most: the last of windows that overlap ends at the border, and those that
        # change nothing are not asked about.
        passes="ceil(features / stride ** 2) + 1",
    ),
    Entry(
        name="rise",
        summary="rise of the explained output while random smooth masks show the feature",
        path="uproar.explain.perturbation.rise:Rise",
        paper="Petsiuk et al. 2018, arXiv 1806.07421",
        needs="any model",
        kind="estimator",
        signed=True,
        scope="local",
        parameters=(("masks", 1000), ("cells", 7), ("baseline", "black")),
        data_kinds=("image", "series"),
        passes="masks",
        draws="shared",
    ),
    Entry(
        name="lime",
        summary="coefficient of a linear model of the answers near the example",
        path="uproar.explain.perturbation.lime:Lime",
        paper="Ribeiro et al. 2016, arXiv 1602.04938",
        needs="any model",
        kind="estimator",
        signed=True,
        scope="local",
        parameters=(
            ("perturbations", 1000),
            ("segments", 64),
            ("width", 0.0),
            ("baseline", "black"),
            ("discretizer", "quartile"),
        ),
        version=2,
        # Of tables all but one are the same for all examples.
        passes="(perturbations - 1) / table_rows + 1",
        draws="shared",
    ),
    Entry(
        name="kernel-shap",
        summary="estimated Shapley value, by a regression of the output on coalitions of features",
        path="uproar.explain.perturbation.kernel_shap:KernelShap",
        paper="Lundberg and Lee 2017, arXiv 1705.07874",
        needs="any model",
        kind="estimator",
        signed=True,
        scope="local",
        parameters=(
            ("coalitions", 2048),
            ("segments", 64),
            ("background", 0),
            ("baseline", "black"),
        ),
        passes="(min(coalitions, 2 ** min(features, 30) - 2) + 1) * max(1, background) + 1",
        draws="shared",
    ),
)
