"""The type checker that the tests put on every function of the package."""

from __future__ import annotations

from beartype import BeartypeConf, beartype

# An int will do where a float is asked for, as type checkers see it too.
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
