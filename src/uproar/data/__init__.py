"""Data sets by name; nothing is loaded, and scikit-learn not imported, before it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from uproar.dataset import Data
from uproar.registry import Entry, Pairs
from uproar.types import Kind, Source


@dataclass(frozen=True)
class DataSet(Entry):
    """What a data set is, and what is chosen for it where the user does not.

    ``model`` is that of its kind when empty, ``recipe`` holds the fields in which its models are
    trained otherwise than by default, and ``known_answers`` the keys of its ``known_importance``.
    ``folds`` says that its examples are split, rather than drawn anew, so that folds can be too.
    """

    kind: Kind = "table"
    model: str = ""
    recipe: Pairs = ()
    known_answers: tuple[str, ...] = ()
    folds: bool = False


LEAST_SQUARES = (("optimiser", "least-squares"),)
PLANTED = ("true-ranking", "inverted-ranking")
RANKINGS = (*PLANTED, "shuffled-ranking")

DATA = (
    DataSet(
        name="digits",
        summary="1,797 hand-written digits, 8 × 8 grey, 10 classes",
        path="uproar.data.known.digits:digits",
        paper="Alpaydin and Kaynak 1998, UCI Optical Recognition of Handwritten Digits",
        kind="image",
        model="mlp",
        folds=True,
        version=2,
    ),
    DataSet(
        name="breast-cancer",
        summary="569 tumours, 30 measured columns, 2 classes",
        path="uproar.data.known.tabular:breast_cancer",
        paper="Street, Wolberg and Mangasarian 1993, UCI Breast Cancer Wisconsin (Diagnostic)",
        kind="table",
        model="mlp",
        folds=True,
        version=2,
    ),
    DataSet(
        name="hooker-toy",
        summary="known answer: 4 of 16 columns are informative, the noise is shared",
        path="uproar.data.known.synthetic:hooker_toy",
        paper="Hooker et al. 2019, arXiv 1806.10758, section 3",
        kind="table",
        model="linear",
        recipe=LEAST_SQUARES,
        known_answers=RANKINGS,
    ),
    DataSet(
        name="hooker-toy-independent",
        summary="known answer: the same with noise of its own in every column",
        path="uproar.data.known.synthetic:hooker_toy_independent",
        paper="Hooker et al. 2019, arXiv 1806.10758, section 3",
        kind="table",
        model="linear",
        recipe=LEAST_SQUARES,
        known_answers=RANKINGS,
    ),
    DataSet(
        name="planted-table",
        summary="known answer: the label depends on 3 of 20 columns",
        path="uproar.data.known.planted:planted_table",
        paper="after Chen et al. 2018, arXiv 1802.07814, section 4.1",
        kind="table",
        model="mlp",
        known_answers=PLANTED,
    ),
    DataSet(
        name="planted-regression",
        summary="known answer: the value depends on 3 of 20 columns, two of them together",
        path="uproar.data.known.planted:planted_regression",
        paper="after Chen et al. 2018, arXiv 1802.07814, section 4.1",
        kind="table",
        model="mlp",
        known_answers=PLANTED,
    ),
    DataSet(
        name="planted-window",
        summary="known answer: series with a bump at a random place, up or down by class",
        path="uproar.data.known.planted:planted_window",
        paper="after Ismail et al. 2020, arXiv 2010.13924",
        kind="series",
        known_answers=PLANTED,
    ),
    DataSet(
        name="planted-patch",
        summary="known answer: images with a patch at a random place, bright or brighter by class",
        path="uproar.data.known.planted:planted_patch",
        paper="after Shah, Jain and Netrapalli 2021, arXiv 2102.12781, section 5",
        kind="image",
        model="cnn",
        known_answers=PLANTED,
    ),
    DataSet(
        name="planted-words",
        summary="known answer: texts of invented words, of which one or two tell the class",
        path="uproar.data.known.planted:planted_words",
        paper="after Bastings et al. 2022, arXiv 2111.07367",
        kind="text",
        known_answers=PLANTED,
    ),
)


def load(
    name: str,
    *,
    seed: int,
    source: Source = Source(),  # noqa: B008 - frozen
    progress: Callable[[int, int], None] | None = None,
    tokenizer: Any = None,
) -> Data:
    """Return the data set called ``name``, split (or drawn) by ``seed``.

    :param name: a registered name, ``openml:NUMBER``, ``datasets:NAME`` of Hugging Face, or a path:
        a folder or zip file of images, a table, a file of texts (where ``source`` says so), or an
        ``.npz`` archive.
    :param source: how a path is read.
    :param tokenizer: of text, that of a pre-trained model; the words of train by default.
    :param progress: called now and then with how many files are read, and of how many.
    :raises UproarError: when there is no such data set, the message lists the close names; or when
        it cannot be read.
    """
    from uproar.data.loading import load as loaded

    return loaded(name, DATA, seed=seed, source=source, progress=progress, tokenizer=tokenizer)


def kind_of(name: str, source: Source = Source()) -> Kind:  # noqa: B008 - frozen
    """Return the kind of the data set called ``name``, without reading it.

    :raises UproarError: when there is no such data set.

    >>> kind_of("digits"), kind_of("openml:40996")
    ('image', 'table')
    """
    from uproar.data.loading import kind_of as found

    return found(name, DATA, source=source)
