"""Names as Plotly labels, and figures as JSON inside a page: neither may become markup."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from uproar.report.wording import is_missing, shortened

# These end a script element or a JavaScript string early; JSON may write them as escapes instead.
_UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def label(name: str, length: int = 60) -> str:
    """Return a name for a Plotly text, which reads a subset of HTML: shown, never interpreted.

    >>> label("<b>bold</b>")
    '&lt;b&gt;bold&lt;/b&gt;'
    """
    return escape(shortened(" ".join(name.split()), length), quote=False)


def value(number: Any, digits: int = 5) -> float | None:
    """Return a number for JSON, which has no NaN: a missing one becomes null, a gap in the line.

    >>> value(0.123456789), value(float("nan"))
    (0.12346, None)
    """
    return None if is_missing(number) else round(float(number), digits)


def significant(number: Any) -> float | None:
    """Return a number of any size for JSON, to six digits; a missing one becomes null.

    >>> significant(1.23456789e-9), significant(None)
    (1.23457e-09, None)
    """
    return None if is_missing(number) else float(f"{float(number):.6g}")


def embedded_json(content: Any) -> str:
    r"""Return JSON that is safe inside a script element.

    >>> embedded_json({"name": "</script><!--"})
    '{"name":"\\u003c/script\\u003e\\u003c!--"}'

    :raises ValueError: when a number is NaN or infinite.
    """
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character, written in _UNSAFE.items():
        text = text.replace(character, written)
    return text
