"""The complete description of a run: what the flags say, what a TOML file says, what is stored."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import tomlkit
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from uproar.data import DATA, kind_of
from uproar.explain import DEFAULT_EXPLAINERS
from uproar.explain.names import parse
from uproar.models import MODELS
from uproar.plan.defaults import check_model_name, defaults, once_epochs
from uproar.protocols import PROTOCOLS
from uproar.registry import find, is_registered, unknown
from uproar.remove import REMOVALS
from uproar.types import Recipe, Source, UproarError

DEFAULT_FRACTIONS = (0.1, 0.3, 0.5, 0.7, 0.9)
REFERENCE = "random"


def _listed(value: Any) -> Any:
    """Take ``"a,b"`` as the command line writes it for ``["a", "b"]``."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return tuple(value) if isinstance(value, Sequence) else value


_RECIPE = tuple(Recipe.__dataclass_fields__)
_CHOSEN_BY_DATA = {"model", "rankings", "removals", "explainers"}

Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class Spec(BaseModel):
    """What is measured, with every choice made; ``device`` alone does not change the numbers' key.

    ``data`` is a registered name, the path of a file or folder that ``source`` says how to read,
    ``openml:ID`` or ``datasets:NAME``. ``model`` is a registered name, ``sklearn:NAME``,
    ``xgboost:NAME``, ``lightgbm:NAME``, ``transformers:NAME``, or ``package.module:object`` of
    one's own, with ``model_parameters``. Either is ``python:name`` for objects that were handed
    over in Python. Digests identify what is not registered. ``callables`` names the explainers
    that were handed over in Python, ``rankings`` the known answers that come with the data.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    data: str = "digits"
    data_digest: str = ""
    source: Source = Source()
    model: str = "mlp"
    model_parameters: dict[str, Any] = {}
    model_digest: str = ""
    explainers: Names = DEFAULT_EXPLAINERS
    callables: Names = ()
    rankings: Names = ()
    protocols: Names = tuple(entry.name for entry in PROTOCOLS)
    removals: Names = ("mean",)
    fractions: tuple[float, ...] = DEFAULT_FRACTIONS
    repeats: int = 5
    mask_only_repeats: int = 2
    base_models: int = 1
    seed: int = 0
    device: str = "auto"
    training: Literal["auto", "dense", "stacked", "sequential", "processes", "frozen"] = "auto"
    recipe: Recipe = Recipe()
    retrain_once_epochs: int = 100
    bootstrap_draws: int = 4000
    gallery_examples: int = 10
    kept_examples: int = 256

    @property
    def extra_bases(self) -> tuple[str, ...]:
        """Explainers that no registry knows: callables, and known answers of the data."""
        return (*self.callables, *self.rankings)

    @property
    def data_name(self) -> str:
        """What tables call the data: their name, or that of their file.

        >>> Spec(data="tables/reviews.tsv").data_name
        'reviews'
        """
        name = self.data.rstrip("/")
        return name if ":" in name else name.rpartition("/")[2].partition(".")[0] or name

    @property
    def folder_name(self) -> str:
        """What the folder of a run is called.

        >>> Spec(data="openml:40996").folder_name, Spec(data="python:mine").folder_name
        ('openml-40996', 'mine')
        """
        return self.data_name.removeprefix("python:").replace(":", "-").replace("/", "-")

    @property
    def settled(self) -> bool:
        """Whether names alone identify data and model, without looking at them."""
        return is_registered(self.data, DATA) and is_registered(self.model, MODELS)

    def checked(self) -> Spec:
        """Return the spec with canonical names, or say in one line what is wrong with it.

        :raises UproarError: for unknown names, fractions outside [0, 1] or duplicated, and counts
            that are not positive.
        """
        _check_registered(self)
        _check_numbers(self)
        _check_kept(self)
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
        values = self.model_dump(mode="json")
        # Tables come last: what follows one in a TOML file belongs to it.
        for name in sorted(values, key=lambda name: isinstance(values[name], dict)):
            document.add(name, tomlkit.item(values[name]))
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
        merged = {**document, **(overrides or {})}
        for table in ("source", "recipe"):
            if isinstance(document.get(table), dict):
                merged[table] = {**document[table], **merged[table]}
        return cls.from_mapping(merged, source=str(path))

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], *, source: str = "spec") -> Spec:
        """Make a spec from plain values; missing ones take the :func:`defaults` of the data."""
        known = list(cls.model_fields)
        for key in values:
            if key not in known:
                raise UproarError(f"{source}: {unknown(key, known, 'key')}")
        given = dict(values)
        recipe = _table(given.pop("recipe", {}), Recipe, "recipe", source)
        origin = _source(_table(given.pop("source", {}), Source, "source", source), source)
        chosen = {**given, "source": origin, "recipe": recipe}
        named = all(isinstance(given.get(key, ""), str) for key in ("data", "model"))
        complete = set(given) >= _CHOSEN_BY_DATA and set(recipe) >= set(_RECIPE)
        if named and not complete:
            # A complete spec is read wherever its data are by now.
            default = defaults(given.get("data", "digits"), origin, given.get("model", ""))
            chosen = {
                "model": default.model,
                "rankings": default.rankings,
                "removals": default.removals,
                "explainers": (*default.explainers, *default.rankings),
                **chosen,
                "recipe": {**default.recipe, **recipe},
            }
        chosen.setdefault("retrain_once_epochs", once_epochs(chosen["recipe"]))
        try:
            return cls(**chosen)
        except ValidationError as error:
            raise _invalid(error, source) from error


def _table(values: Any, kind: type[Recipe | Source], what: str, where: str) -> dict[str, Any]:
    """Return the values of a table in a spec, after checking its keys."""
    if isinstance(values, kind):
        return asdict(values)
    if not isinstance(values, Mapping):
        raise UproarError(f"{where}: {what} must be a table of keys, got {values!r}")
    known = list(kind.__dataclass_fields__)
    for key in values:
        if key not in known:
            raise UproarError(f"{where}: {unknown(key, known, f'key of {what}')}")
    return dict(values)


def _source(values: Mapping[str, Any], where: str) -> Source:
    from pydantic import TypeAdapter

    try:
        listed = {**values, "drop": _listed(values.get("drop", ()))}
        return TypeAdapter(Source).validate_python(listed)
    except ValidationError as error:
        raise _invalid(error, where) from error


def _invalid(error: ValidationError, where: str) -> UproarError:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    wanted = first["msg"][0].lower() + first["msg"][1:]
    return UproarError(f"{where}: {key} is {first['input']!r}; {wanted}")


def _check_registered(spec: Spec) -> None:
    if not spec.data.startswith("python:"):
        kind_of(spec.data, spec.source)
    check_model_name(spec.model)
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


def _check_kept(spec: Spec) -> None:
    if spec.kept_examples < spec.gallery_examples:
        raise UproarError(
            f"kept_examples must be at least gallery_examples, {spec.gallery_examples}, which the "
            f"report shows; got {spec.kept_examples}"
        )


def _check_distinct(what: str, values: Sequence[object]) -> None:
    repeated = sorted({str(value) for value in values if list(values).count(value) > 1})
    if repeated:
        raise UproarError(f"{what} must be distinct, got {', '.join(repeated)} more than once")
