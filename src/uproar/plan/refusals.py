"""What is wrong with a spec, in one line: what pydantic finds, and what it cannot say."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from uproar.data import kind_of
from uproar.plan.defaults import check_model_name
from uproar.protocols import known
from uproar.registry import find, unknown
from uproar.remove import REMOVALS
from uproar.types import UproarError

if TYPE_CHECKING:
    from uproar.plan.spec import Spec

UNKNOWN = {"extra_forbidden", "unexpected_keyword_argument"}
BOUNDS = {"greater_than_equal": ("ge", "at least"), "less_than_equal": ("le", "at most")}


def refusal(
    error: ValidationError, where: str, keys: Mapping[str, Collection[str]], *, table: str = ""
) -> UproarError:
    """Return the first thing that is wrong, as an error of one line.

    :param where: what the spec is called: ``spec``, or its file.
    :param keys: the known keys of the spec (under "") and of its tables, by name of the table.
    :param table: the table that was looked at, when it was not the whole spec.

    >>> from pydantic import TypeAdapter
    >>> from uproar.types import Recipe
    >>> try:
    ...     TypeAdapter(Recipe).validate_python({"epochs": 0})
    ... except ValidationError as error:
    ...     print(refusal(error, "spec", {}, table="recipe"))
    recipe.epochs must be at least 1, got 0
    """
    first = error.errors()[0]
    place = [*([table] if table else []), *first["loc"]]
    if first["type"] in UNKNOWN:
        inner = str(place[0]) if len(place) > 1 else ""
        what = f"key of {inner}" if inner else "key"
        return UproarError(f"{where}: {unknown(str(place[-1]), keys[inner], what)}")
    if first["type"] == "dataclass_type":
        name, got = ".".join(map(str, place)), first["input"]
        return UproarError(f"{where}: {name} must be a table of keys, got {got!r}")
    # Flags say what stands under [source], and call it by its name alone.
    named = place[1:] if place[:1] == ["source"] else place
    bound = _bound(first)
    if bound:
        return UproarError(f"{'.'.join(p for p in named if isinstance(p, str))} must {bound}")
    wanted = first["msg"][0].lower() + first["msg"][1:]
    key = ".".join(map(str, named)) or "what was given"
    return UproarError(f"{where}: {key} is {first['input']!r}; {wanted}")


def _bound(found: ErrorDetails) -> str:
    """Return what a number must be, and what it was instead; nothing for other errors."""
    if found["type"] not in {"value_error", "greater_than", *BOUNDS}:
        return ""
    context, got = found["ctx"], float(found["input"])  # which may be text
    if found["type"] == "value_error":  # of a validator of our own
        return f"{context['error']}, got {got:g}"
    if found["type"] == "greater_than":  # than zero, in all that we have
        return f"be positive, got {got}"
    name, words = BOUNDS[found["type"]]
    return f"be {words} {context[name]:g}, got {type(context[name])(got)}"


def check_registered(spec: Spec) -> None:
    """Refuse names of data, model, protocols and removals that stand for nothing."""
    if not spec.data.startswith("python:"):
        kind_of(spec.data, spec.source)
    check_model_name(spec.model)
    for what, registry in (("protocol", known()), ("removal", REMOVALS)):
        names = getattr(spec, f"{what}s")
        if not names:
            raise UproarError(
                f"no {what} was given; choose from {', '.join(e.name for e in registry)}"
            )
        for name in names:
            find(name, registry, what)


def check_filled(spec: Spec) -> None:
    """Refuse lists without what they need: an explainer, and a fraction between 0 and 1."""
    if not any(0 < fraction < 1 for fraction in spec.fractions):
        raise UproarError(
            f"fractions need one at least between 0 and 1, such as 0.5; got {list(spec.fractions)}"
        )
    if not spec.explainers:
        raise UproarError("no explainer was given; see `uproar list explainers`")


def check_kept(spec: Spec) -> None:
    """Refuse to show more examples than are kept."""
    if spec.kept_examples < spec.gallery_examples:
        raise UproarError(
            f"kept_examples must be at least gallery_examples, {spec.gallery_examples}, which the "
            f"report shows; got {spec.kept_examples}"
        )


def check_distinct(what: str, values: Sequence[object]) -> None:
    """Refuse what is listed twice."""
    repeated = sorted({str(value) for value in values if list(values).count(value) > 1})
    if repeated:
        raise UproarError(f"{what} must be distinct, got {', '.join(repeated)} more than once")


def check_folds(spec: Spec) -> None:
    """Refuse another number of base models than there are folds.

    :raises UproarError: with both.
    """
    folds = spec.source.folds
    if folds not in {1, spec.base_models}:
        raise UproarError(
            f"each of the {folds} folds has one base model, not {spec.base_models} in all; leave "
            "out base_models, or folds"
        )
