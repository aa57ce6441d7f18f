"""Controls: explainers that do not look at what the model has learned."""

from __future__ import annotations

from uproar.explain.explainer import Explainer
from uproar.explain.parameters import Parameter

CONTROLS = (
    Explainer(
        name="random",
        summary="random importance",
        path="uproar.explain.controls.controls:Random",
        kind="control",
        parameters=(Parameter("draw", 0, least=0),),
        draws="each",
    ),
    Explainer(
        name="sobel",
        summary="strength of the edges of the image",
        path="uproar.explain.controls.controls:sobel",
        needs="images",
        kind="control",
        data_kinds=("image",),
    ),
    Explainer(
        name="input-magnitude",
        summary="distance of the input from black",
        path="uproar.explain.controls.controls:input_magnitude",
        kind="control",
    ),
    Explainer(
        name="random-blurred",
        summary="random importance as smooth as that of another explainer",
        path="uproar.explain.controls.smoothness:RandomBlurred",
        paper="Song et al. 2023, arXiv 2304.13836",
        needs="gradients",  # of the explainer that it is like by default
        kind="control",
        parameters=(Parameter("like", "abs-grad"),),
        data_kinds=("image", "series", "text"),
        draws="each",
    ),
    Explainer(
        name="encoder",
        summary="the predicted class, hidden in the shape of the mask",
        path="uproar.explain.controls.adversary:encoder",
        paper="Jethani et al. 2021, arXiv 2103.01890; Puli et al. 2024, arXiv 2411.02664",
        needs="any model",
        kind="control",
        passes="1",
        draws="shared",
    ),
)
