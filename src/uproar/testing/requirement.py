"""How checks of contracts fail."""

from __future__ import annotations


def require(condition: bool, message: str) -> None:
    """Raise an :class:`AssertionError` with the message unless the condition holds.

    Not the statement, which ``python -O`` leaves out.

    >>> require(1 > 2, "one is not more than two")
    Traceback (most recent call last):
    AssertionError: one is not more than two
    """
    if not condition:
        raise AssertionError(message)
