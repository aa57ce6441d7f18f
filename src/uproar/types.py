"""Vocabulary and contracts that every other module speaks; imports neither torch nor pandas.

One polarity for masks in the whole package: ``removed`` is True where the information is gone.
Shares of features are called ``fraction`` and lie in [0, 1].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any, Literal, TypeVar

_T = TypeVar("_T")
Kind = Literal["image", "table", "text", "series"]
GivenKind = Literal["auto", Kind]  # what people say of data, where it need not be found out
Task = Literal["classification", "regression"]
Direction = Literal["lower", "higher"]  # of a score, which is better


class UproarError(Exception):
    """What a user can put right; the command line prints it as one line and exits with 2."""


class Skipped(UproarError):  # noqa: N818 - a skip is an outcome, not an error
    """A combination that cannot run, with its reason (guided backpropagation without ReLU)."""


def _option(
    default: _T,
    description: str,
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
) -> _T:
    """Return a field of an option: its description, for flags and drafts, and its bounds.

    Both stand in the metadata under the names that pydantic reads, so that specs heed the bounds
    and this module imports none of it.
    """
    bounds = {"ge": at_least, "gt": above, "le": at_most}
    said = {key: bound for key, bound in bounds.items() if bound is not None}
    finite = {"allow_inf_nan": False} if isinstance(default, float) else {}
    return field(default=default, metadata={"description": description, **said, **finite})


# Of tables in a spec: unknown keys are refused, and what was made in Python is checked as well.
_STRICT: Mapping[str, Any] = {"extra": "forbid", "revalidate_instances": "always"}


@dataclass(frozen=True)
class KindOfData:
    """What a kind of data is called, and what is chosen for it where the user does not.

    ``plain`` is the removal for where nothing is removed, or only the mask is looked at.
    """

    plural: str
    model: str
    removal: str = "mean"
    plain: str = "zero"


KINDS: Mapping[Kind, KindOfData] = {
    "image": KindOfData("images", model="cnn"),
    "series": KindOfData("series", model="cnn"),
    "table": KindOfData("tables", model="mlp"),
    "text": KindOfData("text", model="transformer", removal="mask-token", plain="mask-token"),
}


@dataclass(frozen=True)
class Recipe:
    """How a model is trained, base model and retrainings alike.

    ``schedule`` is a half cosine from the learning rate to zero, ``constant``, or ``steps``: the
    linear warm-up and the three divisions by ten of Hooker et al. (at 5, 30, 60 and 80 of 90
    epochs, scaled to ``epochs``). ``label_smoothing`` is the share of the label that all classes
    have in common.
    """

    __pydantic_config__ = _STRICT

    optimiser: Literal["adam", "sgd", "least-squares"] = _option(
        "adam", "adam, sgd, or least-squares of linear models."
    )
    learning_rate: float = _option(5e-3, "Of the optimiser.", above=0)
    schedule: Literal["cosine", "constant", "steps"] = _option(
        "cosine", "Of the learning rate: cosine, constant or steps."
    )
    epochs: int = _option(15, "Passes over the training data.", at_least=1)
    batch_size: int = _option(64, "Examples of a batch.", at_least=1)
    weight_decay: float = _option(0.0, "Of the optimiser.", at_least=0)
    label_smoothing: float = _option(
        0.0, "Share of the label that all classes have in common.", at_least=0, at_most=1
    )


def options(kind: type[Source | Recipe]) -> tuple[Field[Any], ...]:
    """Return the fields that people can set, each with its description in the metadata.

    >>> "fold" in {option.name for option in options(Source)}
    False
    """
    return tuple(one for one in fields(kind) if one.metadata)


@dataclass(frozen=True)
class Source:
    """How a data set that is not registered is read: what the flags and the spec file say of it.

    Empty and zero values mean: find out from the data.
    """

    __pydantic_config__ = _STRICT

    kind: GivenKind = _option("auto", "image, table, text or series, where it cannot be seen.")
    task: Literal["auto", Task] = _option(
        "auto", "classification or regression, where it cannot be seen."
    )
    target: str = _option("", "Column of the labels.")
    text: str = _option("", "Column of the text, which makes it text.")
    drop: tuple[str, ...] = _option((), "Columns that are no features, comma-separated.")
    test: str = _option("", "File or folder of the test examples; else split off.")
    validation: str = _option("", "File or folder of the validation examples.")
    examples: int = _option(0, "Use at most as many examples, drawn by seed.", at_least=0)
    folds: int = _option(
        1, "Test every example once, in as many folds; 1 for a single split.", at_least=1
    )
    patch: int = _option(1, "Images: side of the squares that are one feature.", at_least=1)
    size: int = _option(0, "Images: side that all are scaled to.", at_least=0)
    length: int = _option(0, "Text: most tokens of an example.", at_least=0)
    encoding: str = _option("utf-8", "Of CSV and TSV files, as in latin-1.")
    fold: int = 0  # which of the folds is read; no option, as a run reads them all

    @property
    def of_folds(self) -> dict[str, int]:
        """Which of how many folds is read, as what splits asks for it.

        >>> Source(folds=5, fold=2).of_folds
        {'fold': 2, 'folds': 5}
        """
        return {"fold": self.fold, "folds": self.folds}
