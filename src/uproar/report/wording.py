"""Numbers to words: one way of writing shares, gains, intervals and durations on the page."""

from __future__ import annotations

import math
from typing import Any

from uproar.duration import duration as in_words

MISSING = "\N{EN DASH}"
SPACE = "\N{NO-BREAK SPACE}"


def is_missing(value: Any) -> bool:
    """Return whether a table has no number here: None, NaN, infinite, or not a number at all."""
    try:
        return not math.isfinite(float(value))
    except (TypeError, ValueError):
        return True


def number(value: Any, digits: int = 3, *, signed: bool = False) -> str:
    r"""Return a number with a fixed count of decimals and a true minus sign.

    >>> number(0.26834), number(0.2, 1, signed=True), number(float("nan")) == MISSING
    ('0.268', '+0.2', True)
    >>> number(-0.0712, 2).encode("ascii", "namereplace")
    b'\\N{MINUS SIGN}0.07'
    """
    if is_missing(value):
        return MISSING
    rounded = round(float(value), digits)
    # Adding zero turns the -0.0 that rounding leaves behind into 0.0.
    text = f"{rounded + 0.0:{'+' if signed and rounded else ''}.{digits}f}"
    return text.replace("-", "\N{MINUS SIGN}")


def compact(value: Any) -> str:
    """Return a number of any size with three significant digits and a true minus sign.

    >>> compact(1234567.0), compact(0.000123), compact(12.0)
    ('1.23e+06', '0.000123', '12')
    """
    return MISSING if is_missing(value) else f"{value:.3g}".replace("-", "\N{MINUS SIGN}")


def percent(share: Any, digits: int = 1) -> str:
    """Return a share in [0, 1] as a percentage.

    >>> percent(0.9714).replace(SPACE, "_")
    '97.1_%'
    """
    return MISSING if is_missing(share) else f"{number(float(share) * 100, digits)}{SPACE}%"


def interval(low: Any, high: Any, digits: int = 3, *, signed: bool = False) -> str:
    """Return an interval in words, which a minus sign cannot make ambiguous.

    >>> interval(0.1, 0.25, 2)
    '0.10 to 0.25'
    """
    if is_missing(low) or is_missing(high):
        return MISSING
    return f"{number(low, digits, signed=signed)} to {number(high, digits, signed=signed)}"


def interval_of(low: Any, high: Any) -> str:
    """Return an interval of numbers of any size.

    >>> interval_of(0.000123, 12.0), interval_of(None, 1.0) == MISSING
    ('0.000123 to 12', True)
    """
    if is_missing(low) or is_missing(high):
        return MISSING
    return f"{compact(low)} to {compact(high)}"


def p_value(value: Any) -> str:
    """Return a p-value with its sign of relation.

    >>> p_value(0.0312), p_value(0.00004), p_value(None) == f"p {MISSING}"
    ('p = 0.031', 'p < 0.001', True)
    """
    if is_missing(value):
        return f"p {MISSING}"
    return "p < 0.001" if float(value) < 0.001 else f"p = {float(value):.2g}"


def amount(value: Any) -> str:
    """Return a count that may be a mean, in as many digits as matter.

    >>> amount(26.0), amount(0.25), amount(12345.6), amount(float("nan")) == MISSING
    ('26', '0.2', '12,346', True)
    """
    if is_missing(value):
        return MISSING
    whole = float(value) >= 100 or float(value) == round(float(value))
    return f"{float(value):,.0f}" if whole else f"{float(value):.1f}"


def duration(seconds: Any) -> str:
    """Return a duration with two parts at most.

    >>> [duration(value).replace(SPACE, "_") for value in (0.0042, 3.21, 200, 7380)]
    ['4.2_ms', '3.21_s', '3_min_20_s', '2_h_03_min']
    """
    if is_missing(seconds):
        return MISSING
    return in_words(float(seconds), exact=True).replace(" ", SPACE)


def count(amount: int, one: str, many: str) -> str:
    """Return an amount with its noun.

    >>> count(1, "repeat", "repeats"), count(0, "repeat", "repeats")
    ('1 repeat', '0 repeats')
    """
    return f"{amount} {one if amount == 1 else many}"


def trained(base_models: int, folds: int) -> str:
    """Return how many base models there are, in words; of folds each has one.

    >>> trained(1, 1), trained(5, 5)
    ('1 base model', '5 folds')
    """
    return f"{folds} folds" if folds > 1 else count(base_models, "base model", "base models")


def shortened(name: str, length: int) -> str:
    """Return a name that fits, its beginning and its end kept.

    >>> shortened("sgsq-ig:steps=50,noise=0.15", 15)
    'sgsq-ig…se=0.15'
    """
    if len(name) <= length:
        return name
    tail = (length - 1) // 2
    return f"{name[: length - 1 - tail]}…{name[len(name) - tail :]}"
