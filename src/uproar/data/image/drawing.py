"""Which images are used, and the parts that their folders lack; decided before any is decoded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from uproar.data.image.class_folders import Image
from uproar.data.split import apportioned, shares_of, split
from uproar.dataset import PARTS
from uproar.seeding import generator_of
from uproar.types import Source

Parts = dict[str, list[Image]]


def drawn(parts: Parts, examples: int, *, seed: int) -> Parts:
    """Draw images by seed, with the parts and, within each, the classes in proportion.

    :param examples: the number to draw; all are kept when there are no more, or when it is 0.
    """
    sizes = [len(images) for images in parts.values()]
    if not examples or examples >= sum(sizes):
        return parts
    kept: Parts = {}
    for (part, images), wanted in zip(parts.items(), apportioned(sizes, examples), strict=True):
        by_class: dict[str, list[Image]] = {}
        for image in images:
            by_class.setdefault(image.class_name, []).append(image)
        seats = apportioned([len(group) for group in by_class.values()], wanted)
        kept[part] = []
        for (class_name, group), seat in zip(by_class.items(), seats, strict=True):
            # A generator for each class: what is drawn of one does not depend on the others.
            generator = generator_of("data", "examples", part, class_name, seed)
            rows = np.sort(generator.choice(len(group), seat, replace=False))
            kept[part] += [group[row] for row in rows]
    return kept


def divided(
    parts: Parts, class_names: Sequence[str], *, source: Source, name: str, seed: int
) -> Parts:
    """Split the parts that are missing off train, with the classes in proportion.

    :raises UproarError: when a class has too few images to be in every part.
    """
    labels = labels_of(parts["train"], class_names)
    shares = shares_of(parts, folds=source.folds)
    places = split(labels, name=name, seed=seed, shares=shares, **source.of_folds)
    rows = dict(zip(PARTS, places, strict=True))
    taken = {part: [parts["train"][row] for row in rows[part]] for part in PARTS}
    return {
        part: parts[part] if part in parts and part != "train" else taken[part] for part in PARTS
    }


def labels_of(images: Sequence[Image], class_names: Sequence[str]) -> NDArray[np.int64]:
    """Return the classes of images as numbers, (examples,) int64."""
    number = {class_name: label for label, class_name in enumerate(class_names)}
    return np.array([number[image.class_name] for image in images], dtype=np.int64)
