"""Galleries of every kind of data, made from a formula: something to recognise under the maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from uproar.report.content import Gallery
from uproar.types import Kind

EXAMPLES = 8
TEXT = (
    "the film is a slow but never dull account of two people who cannot stand each other and its "
    "last third , without a single wasted scene , is as good as anything this year"
)
WORDS = tuple(TEXT.split())
UNSIGNED = ("abs", "sq", "sgsq", "var", "edge", "magn")
COLUMNS = ("age", "sex", "priors count", "charge degree", *(f"column {n}" for n in range(4, 11)))
Maps = dict[str, np.ndarray]


def make_gallery(
    explainers: Sequence[str],
    kind: Kind,
    answers: Sequence[str],
    *,
    side: int = 8,
    patch: int = 1,
    channels: int = 3,
    by_channel: bool = False,
    words: Sequence[str] = WORDS,
) -> Gallery:
    """Return eight examples of one kind; the last one is answered wrongly."""
    shape = {
        "image": (-(-side // patch),) * 2,
        "table": (len(COLUMNS),),
        "text": (len(words),),
        "series": (channels, 120) if by_channel else (120,),
    }[kind]
    labels = tuple(answers[index % len(answers)] for index in range(EXAMPLES))
    present = _present(len(words))
    inputs = {"image": _images(side), "series": _waves(channels)}.get(kind)
    return Gallery(
        inputs=np.random.default_rng(8).normal(size=(EXAMPLES, *shape)).astype(np.float32)
        if inputs is None
        else inputs,
        labels=labels,
        targets=(*labels[:-1], labels[0]),
        importance=_maps(explainers, shape),
        feature_names=COLUMNS if kind == "table" else (),
        value_range=(0.0, 1.0) if kind == "image" else None,
        kind=kind,
        texts=_texts(kind, words, present),
        patch=patch,
        present=present if kind == "text" else None,
    )


def _maps(explainers: Sequence[str], shape: tuple[int, ...]) -> Maps:
    generator = np.random.default_rng(7)
    return {
        name: _smooth(generator.normal(size=(EXAMPLES, *shape)), name).astype(np.float32)
        for name in explainers
    }


def _smooth(noise: np.ndarray, name: str) -> np.ndarray:
    """Return noise that looks like importance: neighbours alike, unsigned if so named."""
    mixed = noise if name == "random" else noise + np.roll(noise, 1, -1) + np.roll(noise, 1, -2)
    return mixed**2 if name.startswith(UNSIGNED) else mixed


def _images(side: int) -> np.ndarray:
    """Return rings and ellipses."""
    rows, columns = np.mgrid[:side, :side] / (side - 1) * 2 - 1
    radii = np.stack([np.hypot(rows, columns * (1 + index / 4)) for index in range(EXAMPLES)])
    return np.exp(-(((radii - 0.65) / 0.22) ** 2)).astype(np.float32)[:, None]


def _waves(channels: int) -> np.ndarray:
    """Return waves, a faster one in every channel."""
    time = np.linspace(0, 2 * np.pi, 120)
    waves = [
        [np.sin((channel + 1) * time + index) * (channel + 1) for channel in range(channels)]
        for index in range(EXAMPLES)
    ]
    return np.array(waves, dtype=np.float32)


def _present(length: int) -> np.ndarray:
    """Return which tokens examples have: no one the first (a special token), others fewer."""
    ends = length - np.arange(EXAMPLES) * length // (2 * EXAMPLES)
    places = np.arange(length)
    return (places > 0) & (places < ends[:, None])


def _texts(kind: Kind, words: Sequence[str], present: np.ndarray) -> tuple[tuple[str, ...], ...]:
    if kind == "text":
        return tuple(tuple(np.array(words, dtype=object)[own]) for own in present)
    if kind == "table":
        rest = tuple(f"{place / 7:.2f}" for place in range(4, 11))
        return tuple(
            (str(25 + index), "Male" if index % 2 else "Female", str(index), "F", *rest)
            for index in range(EXAMPLES)
        )
    return ()
