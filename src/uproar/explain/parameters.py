"""Parameters of explainers: what they may be, and how names write them, ``:key=value``; no torch.

Bounds and choices stand in the entries of explainers, and nowhere else.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from uproar.registry import Pairs, unknown
from uproar.types import UproarError

Value = int | float | str


@dataclass(frozen=True)
class Parameter:
    """A parameter of an explainer: the type of its default is its type.

    ``least`` and ``most`` bound numbers, ``choices`` are all that a text may be; without them a
    number may be any finite one, and a text any text.
    """

    name: str
    default: Value
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def bounds(self) -> str:
        """What a number must be, in words.

        >>> Parameter("fraction", 0.25, least=0, most=1).bounds
        'at least 0 and at most 1'
        """
        least = "" if self.least is None else f"at least {self.least}"
        most = "" if self.most is None else f"at most {self.most}"
        return " and ".join(filter(None, [least, most]))

    def allows(self, value: Value) -> bool:
        """Say whether a value of the right type is within the bounds, or among the choices."""
        if isinstance(value, str):
            return not self.choices or value in self.choices
        least = -math.inf if self.least is None else self.least
        most = math.inf if self.most is None else self.most
        return least <= value <= most

    def check(self, value: Value) -> None:
        """Refuse a value of the right type that is out of bounds, or none of the choices.

        :raises ValueError: which names the parameter.

        >>> Parameter("steps", 25, least=1).check(0)
        Traceback (most recent call last):
        ValueError: steps must be at least 1, got 0
        """
        if self.allows(value):
            return
        wanted = f"one of {self.choices}" if self.choices else self.bounds or "a number"
        if None not in (self.least, self.most):
            wanted = f"in [{self.least}, {self.most}]"
        raise ValueError(f"{self.name} must be {wanted}, got {value!r}")

    def read(self, text: str, explainer: str) -> Value:
        """Return the value that a name writes.

        :param explainer: the name, for errors.
        :raises UproarError: with what is expected.
        """
        wanted = f"explainer {explainer!r}: {self.name} must be {self._wanted}"
        if isinstance(self.default, str):
            value: Value = text
        else:
            whole = isinstance(self.default, int)
            number = r"-?[0-9]+" if whole else r"-?([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?"
            if not re.fullmatch(number, text):
                raise UproarError(f"{wanted}, got {text!r}")
            value = int(text) if whole else float(text) + 0.0  # so that -0.0 is 0.0
            if math.isinf(value):
                raise UproarError(f"{wanted}, got {text!r}")
        if not self.allows(value):
            raise UproarError(f"{wanted}, got {text!r}")
        return value

    @property
    def _wanted(self) -> str:
        if isinstance(self.default, str):
            return f"one of {', '.join(self.choices)}"
        number = "a whole number" if isinstance(self.default, int) else "a number"
        return f"{number} of {self.bounds}" if self.bounds else number


# Of several explainers.
BASELINE = Parameter("baseline", "black", choices=("black", "mean", "zero"))


def options_of(
    name: str, options: Sequence[str], parameters: Sequence[Parameter]
) -> dict[str, Value]:
    """Read ``key=value`` pairs.

    >>> options_of("ig", ["steps=50"], (Parameter("steps", 25, least=1), BASELINE))
    {'steps': 50}
    """
    known, given = {parameter.name: parameter for parameter in parameters}, dict[str, Value]()
    for option in options:
        key, equals, text = option.partition("=")
        if not equals:
            raise UproarError(f"expected key=value after ':' in explainer {name!r}, got {option!r}")
        if key not in known:
            raise UproarError(f"explainer {name!r}: {unknown(key, known, 'parameter')}")
        if key in given:
            raise UproarError(f"explainer {name!r} sets {key!r} twice; give one value")
        given[key] = known[key].read(text, name)
    return given


def defaults_of(parameters: Sequence[Parameter]) -> dict[str, Value]:
    """Return the default of every parameter, by name."""
    return {parameter.name: parameter.default for parameter in parameters}


def text_of(value: Value) -> str:
    """Write a value in the shortest form that reads back as the same value."""
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return str(value)


def described(summary: str, values: Pairs) -> str:
    """Return a summary with its parameters.

    >>> described("integrated gradients", (("steps", 25),))
    'integrated gradients (steps 25)'
    """
    told = ", ".join(f"{key} {text_of(value)}" for key, value in values)
    return f"{summary} ({told})" if told else summary
