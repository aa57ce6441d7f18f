"""Seconds to words: one way of writing durations, on terminals and on the page."""

from __future__ import annotations


def duration(seconds: float, *, exact: bool = False) -> str:
    """Return a duration for people, in two parts at most.

    :param exact: below a minute, give three digits in place of whole seconds.

    >>> duration(7.4), duration(200), duration(7500)
    ('7 s', '3 min 20 s', '2 h 05 min')
    >>> duration(0.0042, exact=True), duration(7.4, exact=True), duration(200, exact=True)
    ('4.2 ms', '7.4 s', '3 min 20 s')
    """
    if exact and seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if exact and seconds < 60:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
