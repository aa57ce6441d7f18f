"""Controls: explainers that do not look at what the model has learned."""

from __future__ import annotations

from uproar.registry import Entry

CONTROLS = (
    Entry(
        name="random",
        summary="random importance",
        path="uproar.explain.controls.controls:Random",
        kind="control",
        scope="local",
        parameters=(("draw", 0),),
        draws="each",
    ),
    Entry(
        name="sobel",
        summary="strength of the edges of the image",
        path="uproar.explain.controls.controls:sobel",
        needs="images",
        kind="control",
        scope="local",
        data_kinds=("image",),
    ),
    Entry(
        name="input-magnitude",
        summary="distance of the input from black",
        path="uproar.explain.controls.controls:input_magnitude",
        kind="control",
        scope="local",
    ),
    Entry(
        name="random-blurred",
        summary="random importance as smooth as that of another explainer",
        path="uproar.explain.controls.smoothness:RandomBlurred",
        paper="Song et al. 2023, arXiv 2304.13836",
        needs="gradients",  # of the explainer that it is like by default
        kind="control",
        scope="local",
        parameters=(("like", "abs-grad"),),
        data_kinds=("image", "series", "text"),
        draws="each",
    ),
    Entry(
        name="encoder",
        summary="the predicted class, hidden in the shape of the mask",
        path="uproar.explain.controls.adversary:encoder",
        paper="Jethani et al. 2021, arXiv 2103.01890; Puli et al. 2024, arXiv 2411.02664",
        needs="any model",
        kind="control",
        scope="local",
        passes="1",
        draws="shared",
    ),
)
