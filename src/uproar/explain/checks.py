"""Parameters of explainers that are made in Python are held to the bounds of their entries."""

from __future__ import annotations

from uproar.explain import EXPLAINERS


def check_parameters(explainer: object) -> None:
    """Refuse parameters that the entry of a registered explainer does not allow.

    To be called by ``__post_init__``. Of what is not registered nothing is known.

    :raises ValueError: which names the parameter.

    >>> from uproar.explain.gradients.paths import ExpectedGradients
    >>> ExpectedGradients(references=0)
    Traceback (most recent call last):
    ValueError: references must be at least 1, got 0
    """
    kind = type(explainer)
    path = f"{kind.__module__}:{kind.__qualname__}"
    for entry in EXPLAINERS:
        if entry.path == path:
            for parameter in entry.parameters:
                parameter.check(getattr(explainer, parameter.name))
