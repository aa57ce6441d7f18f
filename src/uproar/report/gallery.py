"""The gallery: examples with what each explainer calls important, as pictures or as bars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from uproar import ranking
from uproar.report import pixels
from uproar.report.cast import Cast
from uproar.report.content import Gallery
from uproar.report.records import Report
from uproar.report.wording import number

OUTLINED = 0.1  # share of features, the most important ones, that is marked
LISTED = 5  # features of a table that are listed


@dataclass(frozen=True)
class FeatureBar:
    """One feature of a table: ``width`` is its importance in percent of the largest shown."""

    name: str
    text: str
    width: float
    negative: bool


@dataclass(frozen=True)
class Panel:
    """What one explainer says of one example: a picture with an outline, or bars, or why not."""

    explainer: str
    picture: str = ""
    path: str = ""
    alt: str = ""
    bars: tuple[FeatureBar, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class ExampleRow:
    """One example: its class, the class that is explained, the input, and a panel per explainer."""

    label: str
    target: str
    picture: str
    values: tuple[tuple[str, str], ...]
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class GalleryView:
    """The gallery as the page draws it; ``height`` and ``width`` are those of the pictures."""

    explainers: tuple[tuple[str, bool], ...]  # (name, signed)
    rows: tuple[ExampleRow, ...]
    pictures: bool
    height: int = 0
    width: int = 0
    reduced_from: tuple[int, ...] = field(default=())


def gallery_view(report: Report, cast: Cast) -> GalleryView | None:
    """Return the gallery in the order of the cast; None where there are no examples."""
    gallery = report.content.gallery
    if gallery is None or not len(gallery.inputs) or not gallery.importance:
        return None
    names = [name for name in cast.ordered if name in gallery.importance]
    names += [name for name in gallery.importance if name not in cast.ordered]
    signs = _signs(report, gallery.importance)
    # Tables have one axis of features; the shape of a map, not of an input, tells them apart.
    pictures = next(iter(gallery.importance.values())).ndim == 3
    rows = tuple(
        _row(gallery, index, names, signs, pictures=pictures)
        for index in range(len(gallery.inputs))
    )
    explainers = tuple((name, signs[name]) for name in names)
    if not pictures:
        return GalleryView(explainers, rows, pictures=False)
    original = gallery.inputs.shape[-2:]
    height, width = pixels.reduced(np.zeros(original, dtype=np.float32)).shape
    cut = original if (height, width) != original else ()
    return GalleryView(explainers, rows, True, height, width, cut)


def _signs(report: Report, importance: Mapping[str, NDArray[np.float32]]) -> dict[str, bool]:
    """Return which explainers are drawn around zero: declared signed, or with values below zero."""
    declared = {str(row["name"]): bool(row["signed"]) for row in report.explainers}
    return {
        name: declared.get(name, False) or bool((maps < 0).any())
        for name, maps in importance.items()
    }


def _row(
    gallery: Gallery, index: int, names: list[str], signs: Mapping[str, bool], *, pictures: bool
) -> ExampleRow:
    example = gallery.inputs[index]
    maps = {name: gallery.importance[name][index] for name in names}
    if pictures:
        planes = example if example.ndim == 3 else example[None]
        return ExampleRow(
            gallery.labels[index],
            gallery.targets[index],
            pixels.input_picture(planes, gallery.value_range),
            (),
            tuple(_picture_panel(name, maps[name], signed=signs[name]) for name in names),
        )
    features = gallery.feature_names or tuple(f"feature {place}" for place in range(len(example)))
    return ExampleRow(
        gallery.labels[index],
        gallery.targets[index],
        "",
        tuple((name, number(entry, 2)) for name, entry in zip(features, example, strict=True)),
        tuple(_bar_panel(name, maps[name], features) for name in names),
    )


def _picture_panel(name: str, importance: NDArray[np.float32], *, signed: bool) -> Panel:
    if not np.isfinite(importance).all():
        return Panel(name, problem="not a number")
    small = pixels.reduced(importance)
    ranks = ranking.rank(small[None])
    row, column = np.unravel_index(int(ranks[0].argmin()), small.shape)
    return Panel(
        name,
        picture=pixels.heat_picture(small, signed=signed),
        path=pixels.outline(ranking.removed_mask(ranks, OUTLINED)[0]),
        alt=f"most important pixel in row {row + 1}, column {column + 1}",
    )


def _bar_panel(name: str, importance: NDArray[np.float32], features: tuple[str, ...]) -> Panel:
    if not np.isfinite(importance).all():
        return Panel(name, problem="not a number")
    top = np.argsort(ranking.rank(importance[None])[0])[:LISTED]
    largest = float(np.abs(importance[top]).max()) or 1.0
    return Panel(
        name,
        bars=tuple(
            FeatureBar(
                features[place],
                number(importance[place], 3),
                round(100 * abs(float(importance[place])) / largest, 1),
                bool(importance[place] < 0),
            )
            for place in top.tolist()
        ),
    )
