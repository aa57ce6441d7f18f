"""The flags that `run` and `plan` have in common, and the spec that they make."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from uproar.plan.spec import Spec
from uproar.types import Recipe, Source, UproarError, options

# What a run finds out by itself, and what only Python or a spec file can say.
NO_FLAGS = {
    *("data_digest", "model_digest", "callables", "known_answers"),
    *("source", "recipe", "model_parameters"),
}
OF_TRAINING = ("training", "retrain_once_epochs")
DATA, TRAINING = "Data of your own", "Training"
OF_SPEC = Spec.model_fields
DESCRIPTIONS: dict[str, str] = {
    **{name: str(field.description) for name, field in OF_SPEC.items()},
    **{one.name: one.metadata["description"] for one in (*options(Source), *options(Recipe))},
}
TYPES: dict[str, Any] = {
    **{name: field.annotation for name, field in OF_SPEC.items()},
    **get_type_hints(Source),
    **get_type_hints(Recipe),
}


def _options(names: Iterable[str], panel: str | None = None) -> dict[str, Any]:
    """Return a flag for each option; what is no number is text, and the spec says if it fits."""
    return {
        name: Annotated[
            (TYPES[name] if TYPES[name] in {int, float} else str) | None,
            typer.Option(help=DESCRIPTIONS[name], rich_help_panel=panel),
        ]
        for name in names
    }


_MEASURED = [name for name in OF_SPEC if name not in {"data", *NO_FLAGS, *OF_TRAINING}]

FLAGS: dict[str, Any] = {
    "data": Annotated[
        str | None,
        typer.Argument(
            help=f"{DESCRIPTIONS['data']}  [default: {OF_SPEC['data'].default}]",
            show_default=False,
        ),
    ],
    "config": Annotated[
        Path | None,
        typer.Option("--config", "-c", help="TOML file with a spec; flags override what it says."),
    ],
    **_options(_MEASURED),
    **_options((one.name for one in options(Source)), DATA),
    **_options((*(one.name for one in options(Recipe)), *OF_TRAINING), TRAINING),
    "out": Annotated[Path | None, typer.Option(help="Folder of the run.  [default: runs/DATA]")],
    "quiet": Annotated[bool, typer.Option("--quiet", "-q", help="Nothing but errors.")],
}
_DEFAULTS = {"quiet": False}


def with_flags(command: Callable[[dict[str, Any]], None]) -> Callable[..., None]:
    """Give a command all flags; it receives them as one dictionary."""

    @functools.wraps(command)
    def called(**flags: Any) -> None:
        command(flags)

    parameters = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=_DEFAULTS.get(name), annotation=kind
        )
        for name, kind in FLAGS.items()
    ]
    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    called.__annotations__ = dict(FLAGS)
    return called


def spec_of(flags: dict[str, Any]) -> Spec:
    """Return the spec that the flags describe, on top of the spec file if there is one.

    :raises UproarError: when the file or a value is wrong.
    """
    given = {key: value for key, value in flags.items() if value is not None}
    config = _config(given)
    for key in ("out", "quiet"):
        given.pop(key, None)
    if "fractions" in given:
        given["fractions"] = _numbers(given["fractions"])
    for table, kind in (("source", Source), ("recipe", Recipe)):
        inner = {one.name: given.pop(one.name) for one in options(kind) if one.name in given}
        if inner:
            given[table] = inner
    return Spec.from_mapping(given) if config is None else Spec.from_toml(config, given)


def _config(given: dict[str, Any]) -> Path | None:
    """Take the spec file out of the flags; one may stand where data do."""
    config: Path | None = given.pop("config", None)
    if not str(given.get("data", "")).endswith(".toml"):
        return config
    named = Path(given.pop("data"))
    if config is not None:
        raise UproarError(f"there are two specs, {named} and --config {config}; give one")
    return named


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise UproarError(
            f"fractions must be numbers between 0 and 1, as in 0.3,0.7; got {text!r}"
        ) from None
