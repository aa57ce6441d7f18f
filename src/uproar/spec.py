"""The complete description of a run: what the flags say, what a TOML file says, what is stored."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tomlkit
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from uproar.data import DATA
from uproar.explain import DEFAULT_EXPLAINERS
from uproar.explain.names import parse
from uproar.models import MODELS
from uproar.protocols import PROTOCOLS
from uproar.remove import REMOVALS
from uproar.types import Recipe, UproarError, find, unknown

DEFAULT_FRACTIONS = (0.1, 0.3, 0.5, 0.7, 0.9)
REFERENCE = "random"


def _listed(value: Any) -> Any:
    """Take ``"a,b"`` as the command line writes it for ``["a", "b"]``."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return tuple(value) if isinstance(value, Sequence) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class Spec(BaseModel):
    """What is measured, with every choice made; ``device`` alone does not change the numbers' key.

    ``data`` and ``model`` are names from the registries, or ``python:name`` for objects that were
    handed over in Python, which their digests identify. ``callables`` names the explainers that
    were handed over in Python.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    data: str = "digits"
    data_digest: str = ""
    model: str = "mlp"
    model_digest: str = ""
    explainers: Names = DEFAULT_EXPLAINERS
    callables: Names = ()
    protocols: Names = tuple(entry.name for entry in PROTOCOLS)
    removals: Names = ("mean",)
    fractions: tuple[float, ...] = DEFAULT_FRACTIONS
    repeats: int = 5
    mask_only_repeats: int = 2
    base_models: int = 1
    seed: int = 0
    device: str = "auto"
    training: Literal["auto", "dense", "stacked", "sequential"] = "auto"
    recipe: Recipe = Recipe()
    retrain_once_epochs: int = 100
    bootstrap_draws: int = 4000
    gallery_examples: int = 10

    @property
    def extra_bases(self) -> tuple[str, ...]:
        """Explainers that no registry knows: callables, and known answers of the data."""
        return (*self.callables, *defaults(self.data).rankings)

    def checked(self) -> Spec:
        """Return the spec with canonical names, or say in one line what is wrong with it.

        :raises UproarError: for unknown names, fractions outside [0, 1] or duplicated, and counts
            that are not positive.
        """
        _check_registered(self)
        _check_numbers(self)
        names = [parse(name, extra_bases=self.extra_bases).name for name in self.explainers]
        for what, values in (
            ("explainers", names),
            ("fractions", self.fractions),
            ("protocols", self.protocols),
            ("removals", self.removals),
        ):
            _check_distinct(what, values)
        if REFERENCE not in names:
            # Everything is compared with the random ranking, so that it is always there.
            names.append(REFERENCE)
        order = [e.name for e in PROTOCOLS if e.name in self.protocols]
        return self.model_copy(
            update={
                "explainers": tuple(names),
                "fractions": tuple(sorted(self.fractions)),
                "protocols": tuple(order),
            }
        )

    def to_toml(self) -> str:
        """Return the complete spec as TOML."""
        document = tomlkit.document()
        document.add(
            tomlkit.comment("The complete spec of this run; `uproar run --config` repeats it.")
        )
        for name, value in self.model_dump(mode="json").items():
            if name == "recipe":
                continue
            document.add(name, tomlkit.item(value))
        document.add("recipe", tomlkit.item(asdict(self.recipe)))
        return tomlkit.dumps(document)

    @classmethod
    def from_toml(cls, path: Path, overrides: Mapping[str, Any] | None = None) -> Spec:
        """Read a spec from a TOML file; what the file leaves out takes its default.

        :param overrides: values that replace those of the file.
        :raises UproarError: when the file cannot be read, or holds an unknown key or a value of
            the wrong type.
        """
        try:
            document = tomlkit.parse(path.read_text(encoding="utf-8")).unwrap()
        except OSError as error:
            raise UproarError(f"cannot read the spec {str(path)!r}: {error.strerror}") from error
        except (tomlkit.exceptions.ParseError, UnicodeDecodeError) as error:
            raise UproarError(f"{path} is not valid TOML: {error}") from error
        return cls.from_mapping({**document, **(overrides or {})}, source=str(path))

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], *, source: str = "spec") -> Spec:
        """Make a spec from plain values; missing ones take the :func:`defaults` of the data."""
        known = list(cls.model_fields)
        for key in values:
            if key not in known:
                raise UproarError(f"{source}: {unknown(key, known, 'key')}")
        given = dict(values)
        recipe = given.pop("recipe", {})
        if isinstance(recipe, Recipe):
            recipe = asdict(recipe)
        if not isinstance(recipe, Mapping):
            raise UproarError(f"{source}: recipe must be a table of keys, got {recipe!r}")
        recipe_known = list(Recipe.__dataclass_fields__)
        for key in recipe:
            if key not in recipe_known:
                raise UproarError(f"{source}: {unknown(key, recipe_known, 'key of recipe')}")
        default = defaults(given.get("data", "digits"))
        if "explainers" not in given:
            given["explainers"] = (*DEFAULT_EXPLAINERS, *default.rankings)
        try:
            return cls(**{"model": default.model, **given, "recipe": {**default.recipe, **recipe}})
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            wanted = first["msg"][0].lower() + first["msg"][1:]
            raise UproarError(f"{source}: {where} is {first['input']!r}; {wanted}") from error


@dataclass(frozen=True)
class Defaults:
    """What a data set chooses where the user does not."""

    model: str = "mlp"
    recipe: Mapping[str, Any] = field(default_factory=dict)
    rankings: tuple[str, ...] = ()  # known answers that come with the data, usable as explainers


def defaults(data: str) -> Defaults:
    """Return the defaults of a data set."""
    for entry in DATA:
        if entry.name == data:
            chosen = dict(entry.parameters)
            rankings = _listed(str(chosen.pop("rankings", "")))
            return Defaults(str(chosen.pop("model")), chosen, rankings)
    return Defaults()


def _check_registered(spec: Spec) -> None:
    if not spec.data.startswith("python:"):
        find(spec.data, DATA, "data")
    if not spec.model.startswith("python:"):
        find(spec.model, MODELS, "model")
    for what, registry in (("protocol", PROTOCOLS), ("removal", REMOVALS)):
        names = getattr(spec, f"{what}s")
        if not names:
            raise UproarError(
                f"no {what} was given; choose from {', '.join(e.name for e in registry)}"
            )
        for name in names:
            find(name, registry, what)


def _check_numbers(spec: Spec) -> None:
    for fraction in spec.fractions:
        if not (math.isfinite(fraction) and 0 <= fraction <= 1):
            raise UproarError(f"fractions must lie in [0, 1], got {fraction:g}")
    if not any(0 < fraction < 1 for fraction in spec.fractions):
        raise UproarError(
            f"fractions need one at least between 0 and 1, such as 0.5; got {list(spec.fractions)}"
        )
    for name in (
        "repeats",
        "mask_only_repeats",
        "base_models",
        "retrain_once_epochs",
        "bootstrap_draws",
        "gallery_examples",
    ):
        value = getattr(spec, name)
        if value < 1:
            raise UproarError(f"{name} must be at least 1, got {value}")
    for name in ("epochs", "batch_size"):
        value = getattr(spec.recipe, name)
        if value < 1:
            raise UproarError(f"recipe.{name} must be at least 1, got {value}")
    if not spec.recipe.learning_rate > 0:
        raise UproarError(f"recipe.learning_rate must be positive, got {spec.recipe.learning_rate}")
    if not spec.explainers:
        raise UproarError("no explainer was given; see `uproar list explainers`")


def _check_distinct(what: str, values: Sequence[object]) -> None:
    repeated = sorted({str(value) for value in values if list(values).count(value) > 1})
    if repeated:
        raise UproarError(f"{what} must be distinct, got {', '.join(repeated)} more than once")
