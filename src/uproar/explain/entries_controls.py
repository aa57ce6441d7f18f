"""Controls: explainers that do not look at what the model has learned."""

from __future__ import annotations

from uproar.types import Entry

CONTROLS = (
    Entry(
        name="random",
        summary="random importance",
        path="uproar.explain.controls:Random",
        kind="control",
        scope="local",
        parameters=(("draw", 0),),
        draws="each",
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
