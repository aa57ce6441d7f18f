"""What was skipped, equal reasons together, what failed, and what there is to note."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from uproar.report.section import Context


def view(context: Context) -> dict[str, Any]:
    """Return what was not measured: also that nothing failed is worth saying."""
    content = context.report.content
    return {
        "skipped": grouped(content.skipped),
        "skips": len(content.skipped),
        "failed": content.failed,
        "notes": content.notes,
    }


def grouped(skipped: Iterable[tuple[str, str]]) -> list[tuple[str, tuple[str, ...]]]:
    """Return every reason once, with all that it holds for, both in the order of appearance.

    >>> grouped([("grad", "needs gradients"), ("shap", "is slow"), ("ig", "needs gradients")])
    [('needs gradients', ('grad', 'ig')), ('is slow', ('shap',))]
    """
    reasons: dict[str, dict[str, None]] = {}
    for what, reason in skipped:
        reasons.setdefault(reason, {})[what] = None
    return [(reason, tuple(names)) for reason, names in reasons.items()]
