"""How a conformance suite says what was broken."""

from __future__ import annotations


def require(condition: bool, message: str) -> None:
    """Raise an ``AssertionError`` with a message unless a condition holds.

    >>> require(1 < 2, "one is less than two")
    """
    # Not the statement, which python -O leaves out.
    if not condition:
        raise AssertionError(message)
