"""Values that options of a spec can have, beside plain numbers and texts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, TypeAdapter, ValidationError

from uproar.plan.refusals import refusal
from uproar.types import Recipe, Source


def _listed(value: Any) -> Any:
    """Take ``"a,b"`` as the command line writes it for ``["a", "b"]``."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return tuple(value) if isinstance(value, Sequence) else value


def _share(value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError("lie in [0, 1]")
    return value


Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Share = Annotated[float, AfterValidator(_share)]
TABLES: Mapping[str, TypeAdapter[Any]] = {
    "source": TypeAdapter(Source),
    "recipe": TypeAdapter(Recipe),
}


def checked_table(
    values: Any, table: str, where: str, keys: Mapping[str, Collection[str]]
) -> dict[str, Any]:
    """Return what is said in a table of a spec, checked.

    :param keys: of the spec, and of its tables, for messages.
    :raises UproarError: for an unknown key or a value of the wrong type.

    >>> checked_table({"drop": "a,b"}, "source", "spec", {})
    {'drop': ('a', 'b')}
    """
    said = asdict(values) if isinstance(values, Recipe | Source) else values
    if isinstance(said, Mapping) and "drop" in said:
        said = {**said, "drop": _listed(said["drop"])}
    try:
        checked = TABLES[table].validate_python(said)
    except ValidationError as error:
        raise refusal(error, where, keys, table=table) from error
    return {key: getattr(checked, key) for key in said}
