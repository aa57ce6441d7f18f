"""The flags that `run` and `plan` have in common, and the spec that they make."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uproar.types import Recipe, Source, UproarError

if TYPE_CHECKING:
    from uproar.plan.spec import Spec

DATA = "Data of your own"
TRAINING = "Training"

DataName = Annotated[
    str | None,
    typer.Argument(
        help="Name (see `uproar list data`), or path of a CSV, TSV, Parquet or npz file, of a "
        "folder or zip of images in class folders; or openml:ID; or a spec.toml.  "
        "[default: digits]",
        show_default=False,
    ),
]


def _option(kind: Any, text: str, *, panel: str | None = None, name: str = "") -> Any:
    names = (name,) if name else ()
    return Annotated[kind | None, typer.Option(*names, help=text, rich_help_panel=panel)]


FLAGS: dict[str, Any] = {
    "data": DataName,
    "config": Annotated[
        Path | None,
        typer.Option("--config", "-c", help="TOML file with a spec; flags override what it says."),
    ],
    "model": _option(
        str,
        "Name (see `uproar list models`), sklearn:NAME, xgboost:NAME, lightgbm:NAME, "
        "transformers:NAME, or package.module:factory of your own, which is imported and called.",
    ),
    "explainers": _option(
        str, "Comma-separated, as in random,grad,sg-ig:samples=30. See `uproar list`."
    ),
    "protocols": _option(str, "Comma-separated, as in roar,mask-only."),
    "removals": _option(str, "Comma-separated, as in mean,noise."),
    "fractions": _option(str, "Shares of the features, as in 0.3,0.7 (never percent)."),
    "repeats": _option(int, "Retrainings of every arm."),
    "base_models": _option(int, "Trained models that are explained."),
    "seed": _option(int, "Another seed, other draws everywhere."),
    "device": _option(str, "auto, cpu, cuda, cuda:1, …"),
    "target": _option(str, "Column of the labels.", panel=DATA),
    "text": _option(str, "Column of the text, which makes it text.", panel=DATA),
    "drop": _option(str, "Columns that are no features, comma-separated.", panel=DATA),
    "kind": _option(str, "image, table, text or series, where it cannot be seen.", panel=DATA),
    "task": _option(str, "classification or regression, where it cannot be seen.", panel=DATA),
    "test": _option(str, "File or folder of the test examples; else split off.", panel=DATA),
    "validation": _option(str, "File or folder of the validation examples.", panel=DATA),
    "examples": _option(int, "Use at most as many examples, drawn by seed.", panel=DATA),
    "patch": _option(int, "Images: side of the squares that are one feature.", panel=DATA),
    "size": _option(int, "Images: side that all are scaled to.", panel=DATA),
    "length": _option(int, "Text: most tokens of an example.", panel=DATA),
    "encoding": _option(str, "Of CSV and TSV files, as in latin-1.", panel=DATA),
    "epochs": _option(int, "Passes over the training data.", panel=TRAINING),
    "batch_size": _option(int, "Examples of a batch.", panel=TRAINING),
    "learning_rate": _option(float, "Of the optimiser.", panel=TRAINING),
    "retrain_once_epochs": _option(
        int, "Passes of the models of retrain-once, which need more.", panel=TRAINING
    ),
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
    from uproar.plan.spec import Spec

    given = {key: value for key, value in flags.items() if value is not None}
    config = _config(given)
    for key in ("out", "quiet"):
        given.pop(key, None)
    if "fractions" in given:
        given["fractions"] = _numbers(given["fractions"])
    for table, kind in (("source", Source), ("recipe", Recipe)):
        fields = kind.__dataclass_fields__
        inner = {key: given.pop(key) for key in list(given) if key in fields}
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
