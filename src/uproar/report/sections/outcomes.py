"""What was skipped, equal reasons together."""

from __future__ import annotations

from collections.abc import Iterable


def grouped(skipped: Iterable[tuple[str, str]]) -> list[tuple[str, tuple[str, ...]]]:
    """Return every reason once, with all that it holds for, both in the order of appearance.

    >>> grouped([("grad", "needs gradients"), ("shap", "is slow"), ("ig", "needs gradients")])
    [('needs gradients', ('grad', 'ig')), ('is slow', ('shap',))]
    """
    reasons: dict[str, dict[str, None]] = {}
    for what, reason in skipped:
        reasons.setdefault(reason, {})[what] = None
    return [(reason, tuple(names)) for reason, names in reasons.items()]
