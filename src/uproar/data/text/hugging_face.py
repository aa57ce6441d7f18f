"""Data sets and tokenizers of Hugging Face, by name or folder (extra ``text``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from uproar.data.text.labelled_texts import Labelled, columns_of, labelled
from uproar.data.text.text import of_parts
from uproar.data.text.tokens import Tokenizer
from uproar.dataset import Data, Vocabulary
from uproar.registry import library
from uproar.types import Source, UproarError

UNREAD = Source()
SPLITS = {
    "train": ("train",),
    "validation": ("validation", "valid", "dev", "eval"),
    "test": ("test",),
}
ANY_LENGTH = 10**6  # tokenizers say 10^30 when they do not know


@dataclass(frozen=True)
class Pretrained:
    """A tokenizer of ``transformers`` as texts are encoded with it.

    Its special tokens (padding, beginning, separator) are no features; unknown words are. What
    stands for a removed token is its mask token, or else the unknown one, or else padding.

    :param tokenizer: a ``transformers.PreTrainedTokenizerBase``.
    :param longest: the most tokens that the model takes; 0 for any number.
    """

    tokenizer: Any
    longest: int = 0

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The tokens by id."""
        given = self.tokenizer
        pad = next((i for i in (given.pad_token_id, given.eos_token_id) if i is not None), 0)
        unknown = pad if given.unk_token_id is None else given.unk_token_id
        mask = unknown if given.mask_token_id is None else given.mask_token_id
        words = {given.unk_token_id, given.mask_token_id} - {pad}
        special = {pad, *given.all_special_ids} - words
        tokens = given.convert_ids_to_tokens(list(range(len(given))))
        return Vocabulary(tuple(map(str, tokens)), pad, unknown, mask, tuple(sorted(special)))

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of every text, with the special tokens that the model expects."""
        # verbose would warn of long texts, which are cut later and told of in a note.
        encoded = self.tokenizer(list(texts), verbose=False)["input_ids"]
        return [list(ids) for ids in encoded]


def tokenizer_of(name: str) -> Pretrained:
    """Return the tokenizer of a model, by its name on Hugging Face or its folder.

    :raises UproarError: when ``transformers`` is missing, or there is no such tokenizer here.
    """
    transformers = library("transformers", "text")
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        config = transformers.AutoConfig.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise UproarError(
            f"no tokenizer {name!r}: it is neither a folder with one nor can it be fetched from "
            f"Hugging Face ({_first_line(error)})"
        ) from error
    return Pretrained(tokenizer, _longest(tokenizer.model_max_length, config))


def _longest(known_to_tokenizer: int, config: Any) -> int:
    """Return the most tokens that a model takes; 0 for any number."""
    positions = getattr(config, "max_position_embeddings", None) or 0
    if "roberta" in config.model_type:
        positions -= config.pad_token_id + 1  # its positions are numbered from there
    limits = [limit for limit in (known_to_tokenizer, positions) if 0 < limit < ANY_LENGTH]
    return min(limits, default=0)


def from_hugging_face(
    name: str, *, seed: int, source: Source = UNREAD, tokenizer: Tokenizer | None = None
) -> Data:
    """Return a text data set of Hugging Face as token ids.

    ``name`` is that of a data set, with its configuration after a slash if it has several
    (``glue/sst2``), or a folder written by ``save_to_disk``. Its train, validation and test splits
    are used. A test split without labels (-1) is of no use: then validation is the test, and what
    is missing is split off train by ``seed``.

    :param source: ``text`` and ``target`` name the columns, as for
        :func:`uproar.data.text.text.from_path`.
    :param tokenizer: that of the model (:func:`tokenizer_of`); by default the training words.
    :raises UproarError: when ``datasets`` is missing, or there is no such data set here.
    """
    found = _splits(name, _loaded(name))
    parts = {}
    for part, rows in found.items():
        where = f"{name}, split {part!r}"
        columns = columns_of(rows.column_names, where=where, source=source)
        parts[part] = labelled(_frame(rows, columns), where=where, source=source)
    kept, notes = _with_labelled_test(parts)
    # A name is also that of a folder.
    plain = Path(name).name if Path(name).is_dir() else name.replace("/", "-")
    return of_parts(kept, name=plain, seed=seed, source=source, tokenizer=tokenizer, notes=notes)


def _loaded(name: str) -> Any:
    """Return what the library calls a data set, or a dictionary of them by split."""
    datasets = library("datasets", "text")
    try:
        if Path(name).is_dir():
            return datasets.load_from_disk(name)
        return _fetched(datasets, name)
    except (OSError, ValueError) as error:
        raise UproarError(
            f"no data set {name!r}: it is neither a folder written by save_to_disk nor can it be "
            f"fetched from Hugging Face ({_first_line(error)})"
        ) from error


def _fetched(datasets: ModuleType, name: str) -> Any:
    """Fetch ``owner/data``, ``data/configuration`` or ``owner/data/configuration``."""
    owner_or_data, slash, rest = name.rpartition("/")
    try:
        return datasets.load_dataset(name)
    except (OSError, ValueError):
        if not slash:
            raise
    return datasets.load_dataset(owner_or_data, rest)


def _splits(name: str, loaded: Any) -> dict[str, Any]:
    """Return the splits by what they are called here."""
    if not isinstance(loaded, Mapping):
        return {"train": loaded}
    found = {}
    for part, beginnings in SPLITS.items():
        names = [split for split in loaded if split.lower().startswith(beginnings)]
        if names:
            found[part] = loaded[names[0]]
    if "train" not in found:
        raise UproarError(f"data set {name!r} has no split 'train'; it has {', '.join(loaded)}")
    return found


def _frame(rows: Any, columns: tuple[str, str]) -> pd.DataFrame:
    """Return texts and labels; classes by name, in the order of the data set."""
    text, target = columns
    labels = pd.Series(list(rows[target]), name=target)
    classes = getattr(rows.features[target], "names", None)
    if classes is not None:
        codes = labels.fillna(-1).astype(np.int64).where(labels.notna(), -1)
        labels = pd.Series(pd.Categorical.from_codes(codes, classes), name=target)
    return pd.DataFrame({text: pd.Series(list(rows[text]), dtype=object), target: labels})


def _with_labelled_test(parts: dict[str, Labelled]) -> tuple[dict[str, Labelled], tuple[str, ...]]:
    """Let validation be the test where test has no labels."""
    test = parts.get("test")
    if test is None or not (test.labels.isna() | (test.labels == -1)).all():
        return parts, ()
    kept = {"train": parts["train"]}
    if "validation" not in parts:
        return kept, ("The test split has no labels; test was split off train.",)
    kept["test"] = parts["validation"]
    return kept, ("The test split has no labels; the validation split is the test.",)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
