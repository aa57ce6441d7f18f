"""Texts to token ids: words and punctuation by default, or what a tokenizer of the user's makes."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

from uproar.dataset import Vocabulary

MOST_WORDS = 20_000
MOST_TOKENS = 256  # of one text, where nobody says how many
FIRST_WORDS = ("[PAD]", "[UNK]", "[MASK]")

# Scripts that put no spaces between words (Thai to Lao, Myanmar, Khmer, kana, ideographs): there,
# a character with its marks is a token.
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
UNSPACED += "\uf900-\ufaff\U00020000-\U0003ffff"

JOINERS = "\u200c\u200d"


@runtime_checkable
class Tokenizer(Protocol):
    """What makes token ids of texts.

    ``longest`` is the most tokens that the model it belongs to can take, 0 for any number.
    """

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens by id."""
        ...

    @property
    def longest(self) -> int:
        """The most tokens of one text; 0 for any number."""
        ...

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of every text, whole, neither cut nor filled up."""
        ...


@cache
def _pattern() -> re.Pattern[str]:
    # Python's \w lacks the marks that vowels of many scripts are written with (and joiners).
    # What cannot be seen (control characters, byte-order marks) is no token.
    every = [(char, unicodedata.category(char)) for char in map(chr, range(sys.maxunicode + 1))]
    mark = "".join(char for char, category in every if category[0] == "M" or char in JOINERS)
    unseen = "".join(re.escape(char) for char, category in every if category in {"Cc", "Cf"})
    letter = rf"(?:(?![{UNSPACED}])[\w{mark}])"
    word = rf"(?:(?![{UNSPACED}])\w){letter}*(?:['’]{letter}+)*"
    return re.compile(rf"{word}|[^\s{mark}{unseen}][{mark}]*")


def words_of(text: str) -> list[str]:
    """Return the words and punctuation marks of a text, in lower case.

    A word is a run of letters, digits and the marks that belong to them, with apostrophes inside;
    every other character is a token of its own, as is every character of a script that puts no
    spaces between words. Letters are lower-cased and composed (Unicode NFC), so that one word has
    one spelling.

    >>> words_of("Don't panic: it's 100% नमस्ते, 你好!")
    ["don't", 'panic', ':', "it's", '100', '%', 'नमस्ते', ',', '你', '好', '!']
    """
    return _pattern().findall(unicodedata.normalize("NFC", text.lower()))


@dataclass(frozen=True)
class Words:
    """The tokenizer that is fitted where none is given: see :func:`fit_words`."""

    vocabulary: Vocabulary
    longest: int = 0

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.vocabulary.tokens)}

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of every text's words."""
        ids, unknown = self._ids, self.vocabulary.unknown
        return [[ids.get(word, unknown) for word in words_of(text)] for text in texts]


def fit_words(train: Iterable[str], *, most: int = MOST_WORDS) -> Words:
    """Return a tokenizer for the words of the training texts.

    Ids are 0 for padding, 1 for unknown words, 2 for removed tokens, then words by descending
    frequency, ties in alphabetical order. Words that train has only once are unknown: nothing
    that holds for other texts can be learned from them, and they teach the model what an unknown
    word is like.

    :param train: the texts of the training split alone.
    :param most: the number of words that are known at most.

    >>> words = fit_words(["good film", "bad film", "good plot, bad plot", "odd"])
    >>> words.vocabulary.tokens
    ('[PAD]', '[UNK]', '[MASK]', 'bad', 'film', 'good', 'plot')
    >>> words(["Good grief"])
    [[5, 1]]
    """
    counts = Counter(word for text in train for word in words_of(text))
    often = sorted((-count, word) for word, count in counts.items() if count > 1)
    return Words(Vocabulary((*FIRST_WORDS, *(word for _, word in often[:most]))))


def filled(
    encoded: Sequence[Sequence[int]], *, length: int, vocabulary: Vocabulary
) -> Int[np.ndarray, "examples length"]:
    """Return the ids as one array: short texts filled up at the end, long ones cut.

    What special tokens a text ends with (the separator of a BERT) it still ends with once cut.

    >>> vocabulary = Vocabulary(("[PAD]", "[UNK]", "[MASK]", "[SEP]", "a"), special=(0, 3))
    >>> filled([[4, 3], [4, 4, 4, 4, 3]], length=3, vocabulary=vocabulary)
    array([[4, 3, 0],
           [4, 4, 3]])
    """
    ids: NDArray[np.int64] = np.full((len(encoded), length), vocabulary.pad, dtype=np.int64)
    for row, tokens in zip(ids, encoded, strict=True):
        if len(tokens) > length:
            end = min(length, _special_end(tokens, vocabulary))
            row[:] = [*tokens[: length - end], *tokens[len(tokens) - end :]]
        else:
            row[: len(tokens)] = tokens
    return ids


def _special_end(tokens: Sequence[int], vocabulary: Vocabulary) -> int:
    """Count the special tokens that a text ends with."""
    end = 0
    while end < len(tokens) and tokens[-1 - end] in vocabulary.special:
        end += 1
    return end
