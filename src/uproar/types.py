"""Vocabulary and contracts that every other module speaks; imports neither torch nor pandas.

One polarity for masks in the whole package: ``removed`` is True where the information is gone.
Shares of features are called ``fraction`` and lie in [0, 1].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["image", "table", "text", "series"]
GivenKind = Literal["auto", Kind]  # what people say of data, where it need not be found out
Task = Literal["classification", "regression"]


class UproarError(Exception):
    """What a user can put right; the command line prints it as one line and exits with 2."""


class Skipped(UproarError):  # noqa: N818 - a skip is an outcome, not an error
    """A combination that cannot run, with its reason (guided backpropagation without ReLU)."""


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

    optimiser: Literal["adam", "sgd", "least-squares"] = "adam"
    learning_rate: float = 5e-3
    schedule: Literal["cosine", "constant", "steps"] = "cosine"
    epochs: int = 15
    batch_size: int = 64
    weight_decay: float = 0.0
    label_smoothing: float = 0.0


@dataclass(frozen=True)
class Source:
    """How a data set that is not registered is read: what the flags and the spec file say of it.

    Empty and zero values mean: find out from the data.
    """

    kind: GivenKind = "auto"
    task: Literal["auto", "classification", "regression"] = "auto"
    target: str = ""  # column of the labels
    text: str = ""  # column of the text
    drop: tuple[str, ...] = ()  # columns that are no features
    test: str = ""  # file or folder of the test examples; split off by seed when empty
    validation: str = ""
    examples: int = 0  # use at most as many, drawn by seed, for trials on large data
    patch: int = 1  # images: the side of the squares that are one feature
    size: int = 0  # images: the side that all are scaled to
    length: int = 0  # text: the most tokens of one example
    encoding: str = "utf-8"  # of CSV and TSV files
