"""The complete description of a run: what the flags say, what a TOML file says, what is stored."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import tomlkit
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from uproar.data import DATA
from uproar.explain import DEFAULT_EXPLAINERS
from uproar.explain.names import parse
from uproar.models import MODELS
from uproar.plan.defaults import defaults, once_epochs
from uproar.plan.refusals import (
    check_distinct,
    check_filled,
    check_folds,
    check_kept,
    check_registered,
    refusal,
)
from uproar.plan.repeats import base_models_of, evenly_shared
from uproar.plan.values import Names, Share, checked_table
from uproar.protocols import known
from uproar.registry import find, is_registered
from uproar.types import Recipe, Source, UproarError, options

DEFAULT_FRACTIONS = (0.1, 0.3, 0.5, 0.7, 0.9)
DEFAULT_PROTOCOLS = tuple(protocol.name for protocol in known())
REFERENCE = "random"
CHOSEN_BY_DATA = {"model", "known_answers", "removals", "explainers"}


class Spec(BaseModel):
    """What is measured, with every choice made; ``device`` alone does not change the numbers' key.

    ``data`` is a registered name, the path of a file or folder that ``source`` says how to read,
    ``openml:ID`` or ``datasets:NAME``. ``model`` is a registered name, ``sklearn:NAME``,
    ``xgboost:NAME``, ``lightgbm:NAME``, ``transformers:NAME``, or ``package.module:object`` of
    one's own, with ``model_parameters``. Either is ``python:name`` for objects that were handed
    over in Python. Digests identify what is not registered. ``callables`` names the explainers
    that were handed over in Python, ``known_answers`` those that come with the data. What is said
    of a field here is what the command line says of its flag.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    data: str = Field(
        default="digits",
        description="Name (see `uproar list data`), or path of a CSV, TSV, Parquet or npz file, of "
        "a folder or zip of images in class folders; or openml:ID; or a spec.toml.",
    )
    data_digest: str = Field(default="", description="Hash of data that are not registered.")
    source: Source = Field(default=Source(), description="How the data are read.")
    model: str = Field(
        default="mlp",
        description="Name (see `uproar list models`), sklearn:NAME, xgboost:NAME, lightgbm:NAME, "
        "transformers:NAME, or package.module:factory of your own, which is imported and called.",
    )
    model_parameters: dict[str, Any] = Field(
        default={}, description="What a factory or estimator of that name is called with."
    )
    model_digest: str = Field(default="", description="Hash of a model that is not registered.")
    explainers: Names = Field(
        default=DEFAULT_EXPLAINERS,
        description="Comma-separated, as in random,grad,sg-ig:samples=30. See `uproar list`.",
    )
    callables: Names = Field(default=(), description="Explainers that were handed over in Python.")
    known_answers: Names = Field(default=(), description="Explainers that come with the data.")
    protocols: Names = Field(
        default=DEFAULT_PROTOCOLS,
        description="Comma-separated, as in roar,mask-only.",
    )
    removals: Names = Field(default=("mean",), description="Comma-separated, as in mean,noise.")
    fractions: tuple[Share, ...] = Field(
        default=DEFAULT_FRACTIONS,
        description="Shares of the features, as in 0.3,0.7 (never percent).",
    )
    repeats: int = Field(
        default=5,
        ge=1,
        description="Retrainings of every arm, in equal parts for the base models.",
    )
    mask_only_repeats: int = Field(
        default=2,
        ge=1,
        description="Retrainings of every arm of mask-only, one for each of the first base models.",
    )
    base_models: int = Field(
        default=5,
        ge=1,
        description="Trained models that are explained; where left out, one for each repeat, or "
        "for each fold.",
    )
    seed: int = Field(default=0, description="Another seed, other draws everywhere.")
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1, …")
    training: Literal["auto", "dense", "stacked", "sequential", "processes", "frozen"] = Field(
        default="auto",
        description="How models are trained side by side: dense, stacked, sequential, processes or "
        "frozen, where it is not to be chosen for you.",
    )
    recipe: Recipe = Field(default=Recipe(), description="How models are trained.")
    retrain_once_epochs: int = Field(
        default=100, ge=1, description="Passes of the models of retrain-once, which need more."
    )
    bootstrap_draws: int = Field(default=4000, ge=1, description="Draws behind every interval.")
    gallery_examples: int = Field(
        default=10, ge=1, description="Test examples whose explanations the page shows."
    )
    kept_examples: int = Field(
        default=256, ge=1, description="Test examples whose importance is stored, by explainer."
    )

    @model_validator(mode="wrap")
    @classmethod
    def _in_one_line(
        cls, values: Any, handler: ModelWrapValidatorHandler[Spec], info: ValidationInfo
    ) -> Spec:
        try:
            return handler(values)
        except ValidationError as error:
            raise refusal(error, (info.context or {}).get("where", "spec"), _keys()) from error

    @property
    def extra_bases(self) -> tuple[str, ...]:
        """Explainers that no registry knows: callables, and known answers of the data."""
        return (*self.callables, *self.known_answers)

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

    @property
    def foldable(self) -> bool:
        """Whether the data can be split into folds, as far as a spec can know.

        >>> Spec(data="digits").foldable, Spec(data="hooker-toy").foldable
        (True, False)
        """
        if is_registered(self.data, DATA):
            return find(self.data, DATA, "data").folds
        return not self.data.startswith("python:") and not self.source.test

    def checked(self) -> Spec:
        """Return the spec with canonical names, or say in one line what is wrong with it.

        :raises UproarError: for unknown names, what is listed twice, and lists without what they
            need.
        """
        check_registered(self)
        check_filled(self)
        check_kept(self)
        check_folds(self)
        names = [parse(name, extra_bases=self.extra_bases).name for name in self.explainers]
        for what, values in (
            ("explainers", names),
            ("fractions", self.fractions),
            ("protocols", self.protocols),
            ("removals", self.removals),
        ):
            check_distinct(what, values)
        if REFERENCE not in names:
            # Everything is compared with the random ranking, so that it is always there.
            names.append(REFERENCE)
        order = [protocol.name for protocol in known() if protocol.name in self.protocols]
        return self.model_copy(
            update={
                "explainers": tuple(names),
                "fractions": tuple(sorted(self.fractions)),
                "protocols": tuple(order),
                **evenly_shared(self),
            }
        )

    def to_toml(self) -> str:
        """Return the complete spec as TOML."""
        document = tomlkit.document()
        document.add(
            tomlkit.comment("The complete spec of this run; `uproar run --config` repeats it.")
        )
        values = self.model_dump(mode="json", exclude={"source": {"fold"}})
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
        if "rankings" in document:  # what runs of 0.1 before its release called them
            document["known_answers"] = document.pop("rankings")
        merged = {**document, **(overrides or {})}
        for table in ("source", "recipe"):
            if isinstance(document.get(table), dict):
                merged[table] = {**document[table], **merged[table]}
        return cls.from_mapping(merged, source=str(path))

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], *, source: str = "spec") -> Spec:
        """Make a spec from plain values; missing ones take the :func:`defaults` of the data."""
        given = dict(values)
        recipe = checked_table(given.pop("recipe", {}), "recipe", source, _keys())
        origin = Source(**checked_table(given.pop("source", {}), "source", source, _keys()))
        chosen = {**given, "source": origin, "recipe": recipe}
        named = all(isinstance(given.get(key, ""), str) for key in ("data", "model"))
        complete = set(given) >= CHOSEN_BY_DATA and set(recipe) >= set(_keys()["recipe"])
        if named and not complete:
            # A complete spec is read wherever its data are by now.
            default = defaults(given.get("data", "digits"), origin, given.get("model", ""))
            chosen = {
                "model": default.model,
                "known_answers": default.known_answers,
                "removals": default.removals,
                "explainers": (*default.explainers, *default.known_answers),
                **chosen,
                "recipe": {**default.recipe, **recipe},
            }
        chosen.setdefault("retrain_once_epochs", once_epochs(chosen["recipe"]))
        repeats = cls.model_fields["repeats"].default
        bases = base_models_of(chosen, folds=origin.folds, repeats=repeats)
        chosen.setdefault("base_models", bases)
        return cls.model_validate(chosen, context={"where": source})


def _keys() -> dict[str, tuple[str, ...]]:
    """Return the keys of a spec, and of its tables."""
    return {
        "": tuple(Spec.model_fields),
        "source": tuple(field.name for field in options(Source)),
        "recipe": tuple(field.name for field in options(Recipe)),
    }
