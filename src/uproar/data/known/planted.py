"""Small data of every kind whose important features are planted, and known for every example.

Where the features lie is independent of the label, so that their place gives nothing away, and all
other features are noise: without the planted ones, nobody does better than chance.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from uproar.dataset import Data, Split, Vocabulary
from uproar.seeding import generator_of

EXAMPLES = {"train": 2000, "validation": 300, "test": 800}
COLUMNS = 20
CHANNELS, STEPS, WINDOW = 2, 50, 8
SIDE, PATCH = 16, 4
WORDS, LABEL_WORDS, SHORTEST, LONGEST = 200, 5, 8, 30

Importance = NDArray[np.float32]
Known = Mapping[str, tuple[Importance, Importance]]
Draw = Callable[[int], tuple[Split, Importance]]  # examples -> a split, and what is important in it


def planted_table(*, seed: int) -> Data:
    """Return a table whose label depends on 3 of its 20 columns.

    x ~ N(0, 1)^20 and y = 1[x_a + x_b + x_c > 0] for three columns a, b, c drawn by ``seed``.
    ``known_importance`` is 1 for these and 0 for the others (``true-ranking``), and its opposite
    (``inverted-ranking``), here and in all planted data.

    >>> data = planted_table(seed=0)
    >>> train, test = data.known_importance["true-ranking"]
    >>> train.shape, test[0].sum()
    ((2000, 20), np.float32(3.0))
    """
    generator = generator_of("data", "planted-table", seed)
    columns = generator.choice(COLUMNS, 3, replace=False)

    def draw(examples: int) -> tuple[Split, Importance]:
        inputs = generator.standard_normal((examples, COLUMNS), dtype=np.float32)
        labels = (inputs[:, columns].sum(1) > 0).astype(np.int64)
        return Split(inputs, labels), _columns(columns, examples)

    train, validation, test, known = _splits(draw)
    return Data(
        name="planted-table",
        kind="table",
        train=train,
        validation=validation,
        test=test,
        feature_shape=(COLUMNS,),
        class_names=("sum <= 0", "sum > 0"),
        feature_names=tuple(f"x{column}" for column in range(COLUMNS)),
        known_importance=known,
    )


def planted_regression(*, seed: int) -> Data:
    """Return a table whose value depends on 3 of its 20 columns, two of them together.

    x ~ N(0, 1)^20 and y = x_a - x_b + x_a x_c + ε / 10 with ε ~ N(0, 1), for three columns a, b, c
    drawn by ``seed``; labels are standardised with the mean and deviation of train.

    >>> data = planted_regression(seed=0)
    >>> data.task, round(float(data.train.labels.std()), 3)
    ('regression', 1.0)
    """
    generator = generator_of("data", "planted-regression", seed)
    columns = generator.choice(COLUMNS, 3, replace=False)
    scale: list[float] = []  # centre and deviation of train, which is drawn first

    def draw(examples: int) -> tuple[Split, Importance]:
        inputs = generator.standard_normal((examples, COLUMNS), dtype=np.float32)
        a, b, c = inputs[:, columns].T.astype(np.float64)
        values = a - b + a * c + generator.standard_normal(examples) / 10
        scale.extend([values.mean(), values.std()][len(scale) :])
        labels = ((values - scale[0]) / scale[1]).astype(np.float32)
        return Split(inputs, labels), _columns(columns, examples)

    train, validation, test, known = _splits(draw)
    return Data(
        name="planted-regression",
        kind="table",
        train=train,
        validation=validation,
        test=test,
        feature_shape=(COLUMNS,),
        class_names=(),
        feature_names=tuple(f"x{column}" for column in range(COLUMNS)),
        known_importance=known,
        label_centre=scale[0],
        label_scale=scale[1],
    )


def planted_window(*, seed: int) -> Data:
    """Return series with a bump in a window at a random place, upwards or downwards by class.

    2 channels of 50 steps of noise N(0, 0.5²), plus half a period of a sine with an amplitude of
    1.5 over 8 steps of both channels. Features are the steps.

    >>> data = planted_window(seed=0)
    >>> data.train.inputs.shape, data.known_importance["true-ranking"][0][0].sum()
    ((2000, 2, 50), np.float32(8.0))
    """
    generator = generator_of("data", "planted-window", seed)
    bump = 1.5 * np.sin(np.pi * (np.arange(WINDOW) + 0.5) / WINDOW)

    def draw(examples: int) -> tuple[Split, Importance]:
        labels = generator.permutation(examples) % 2
        inputs = 0.5 * generator.standard_normal((examples, CHANNELS, STEPS))
        importance = np.zeros((examples, STEPS), dtype=np.float32)
        for example, start in enumerate(generator.integers(STEPS - WINDOW + 1, size=examples)):
            window = slice(start, start + WINDOW)
            inputs[example, :, window] += bump * (2 * labels[example] - 1)
            importance[example, window] = 1
        return Split(inputs.astype(np.float32), labels.astype(np.int64)), importance

    train, validation, test, known = _splits(draw)
    return Data(
        name="planted-window",
        kind="series",
        train=train,
        validation=validation,
        test=test,
        feature_shape=(STEPS,),
        class_names=("down", "up"),
        known_importance=known,
    )


def planted_patch(*, seed: int) -> Data:
    """Return grey images with a bright patch at a random place; how bright it is tells the class.

    16 × 16 pixels of noise N(0.3, 0.1²), cut to [0, 1], to 4 × 4 of which 0.3 or 0.6 is added.

    >>> data = planted_patch(seed=0)
    >>> data.train.inputs.shape, data.known_importance["true-ranking"][1][0].sum()
    ((2000, 1, 16, 16), np.float32(16.0))
    """
    generator = generator_of("data", "planted-patch", seed)

    def draw(examples: int) -> tuple[Split, Importance]:
        labels = generator.permutation(examples) % 2
        inputs = 0.3 + 0.1 * generator.standard_normal((examples, 1, SIDE, SIDE))
        importance = np.zeros((examples, SIDE, SIDE), dtype=np.float32)
        corners = generator.integers(SIDE - PATCH + 1, size=(examples, 2))
        for example, (top, left) in enumerate(corners):
            place = (example, ..., slice(top, top + PATCH), slice(left, left + PATCH))
            inputs[place] += 0.3 + 0.3 * labels[example]
            importance[place] = 1
        pixels = inputs.clip(0, 1).astype(np.float32)
        return Split(pixels, labels.astype(np.int64)), importance

    train, validation, test, known = _splits(draw)
    return Data(
        name="planted-patch",
        kind="image",
        train=train,
        validation=validation,
        test=test,
        feature_shape=(SIDE, SIDE),
        class_names=("bright", "brighter"),
        value_range=(0.0, 1.0),
        known_importance=known,
    )


def planted_words(*, seed: int) -> Data:
    """Return texts of invented words, of which one or two tell the class.

    Texts have 8 to 30 of 200 words, all equally frequent but for 5 that stand only in texts of one
    class and 5 that stand only in those of the other. Length, number and places of the label words
    are independent of the class.

    >>> data = planted_words(seed=0)
    >>> [data.vocabulary.tokens[token] for token in data.train.inputs[0, :4]]
    ['bigu', 'nemo', 'dado', 'nela']
    """
    generator = generator_of("data", "planted-words", seed)
    syllables = [consonant + vowel for consonant in "bdglmn" for vowel in "aeiou"]
    words = ["".join(pair) for pair in itertools.product(syllables, repeat=2)]
    tokens = ("[PAD]", "[UNK]", "[MASK]", *generator.choice(words, WORDS, replace=False).tolist())
    vocabulary = Vocabulary(tokens)
    of_class = np.arange(len(tokens) - 2 * LABEL_WORDS, len(tokens)).reshape(2, LABEL_WORDS)

    def draw(examples: int) -> tuple[Split, Importance]:
        labels = generator.permutation(examples) % 2
        inputs = generator.integers(3, of_class[0, 0], size=(examples, LONGEST))
        importance = np.zeros((examples, LONGEST), dtype=np.float32)
        lengths = generator.integers(SHORTEST, LONGEST + 1, size=examples)
        for example, length in enumerate(lengths):
            places = generator.choice(length, generator.integers(1, 3), replace=False)
            inputs[example, places] = generator.choice(of_class[labels[example]], len(places))
            inputs[example, length:] = vocabulary.pad
            importance[example, places] = 1
        return Split(inputs, labels.astype(np.int64)), importance

    train, validation, test, known = _splits(draw)
    return Data(
        name="planted-words",
        kind="text",
        train=train,
        validation=validation,
        test=test,
        feature_shape=(LONGEST,),
        class_names=("first", "second"),
        known_importance=known,
        vocabulary=vocabulary,
    )


def _columns(columns: NDArray[np.int64], examples: int) -> Importance:
    importance = np.zeros(COLUMNS, dtype=np.float32)
    importance[columns] = 1
    return np.broadcast_to(importance, (examples, COLUMNS))


def _splits(draw: Draw) -> tuple[Split, Split, Split, Known]:
    """Draw the three splits, train first, and return them with what is known of train and test."""
    (train, of_train), (validation, _), (test, of_test) = map(draw, EXAMPLES.values())
    known = {"true-ranking": (of_train, of_test), "inverted-ranking": (-of_train, -of_test)}
    return train, validation, test, known
