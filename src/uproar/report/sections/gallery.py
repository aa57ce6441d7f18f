"""The gallery: examples with what each explainer calls important, in the form of their kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uproar.report.cast import Cast, shown_protocols
from uproar.report.content import Gallery
from uproar.report.records import Report
from uproar.report.section import Context
from uproar.report.sections import gallery_series
from uproar.report.sections.bars import FeatureBar, bars, entries
from uproar.report.sections.gallery_pictures import Frame, frame_of, heat, input_of
from uproar.report.sections.gallery_tokens import Token, tokens
from uproar.types import Kind

OUTLINED = 0.1  # share of features, the most important ones, that is marked


@dataclass(frozen=True)
class Panel:
    """What one explainer says of one example, in the form of the data's kind, or why not."""

    explainer: str
    picture: str = ""
    path: str = ""
    alt: str = ""
    bars: tuple[FeatureBar, ...] = ()
    tokens: tuple[Token, ...] = ()
    shades: tuple[gallery_series.Shade, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class ExampleRow:
    """One example: its label, the answer that is explained, the input, a panel per explainer."""

    label: str
    target: str
    panels: tuple[Panel, ...]
    picture: str = ""
    values: tuple[tuple[str, str], ...] = ()
    drawing: gallery_series.Drawing | None = None


@dataclass(frozen=True)
class GalleryView:
    """The gallery as the page draws it; ``frame`` has the sizes of pictures."""

    kind: Kind
    explainers: Mapping[str, bool]  # name -> signed
    rows: tuple[ExampleRow, ...]
    frame: Frame | None
    channels: int


def view(context: Context) -> dict[str, Any] | None:
    """Return the gallery, and what is said of all its forms; None where there are no examples."""
    report = context.report
    gallery = gallery_view(report, context.cast)
    if gallery is None:
        return None
    removing = [one.short for one in shown_protocols(report) if one.reads_removed]
    return {
        "gallery": gallery,
        "removed_first": f"{removing[0]} removes these first"
        if removing
        else "these are removed first",
        "of_function": bool(report.of_function),
        "height": gallery_series.STRIP,
    }


def gallery_view(report: Report, cast: Cast) -> GalleryView | None:
    """Return the gallery in the order of the cast; None where there are no examples."""
    gallery = _of_decisions(report)
    if gallery is None or not len(gallery.inputs) or not gallery.importance:
        return None
    names = [name for name in cast.ordered if name in gallery.importance]
    names += [name for name in gallery.importance if name not in cast.ordered]
    signs = _signs(report, gallery.importance)
    frame = frame_of(gallery) if gallery.kind == "image" else None
    examples = range(len(gallery.inputs))
    return GalleryView(
        kind=gallery.kind,
        explainers={name: signs[name] for name in names},
        rows=tuple(_row(gallery, index, names, signs, frame) for index in examples),
        frame=frame,
        channels=len(gallery.inputs[0]) if gallery.kind == "series" else 0,
    )


def _of_decisions(report: Report) -> Gallery | None:
    """Return the gallery without explainers of the function, which say the same everywhere."""
    gallery = report.content.gallery
    if gallery is None:
        return None
    own = {n: maps for n, maps in gallery.importance.items() if n not in report.of_function}
    return replace(gallery, importance=own)


def _signs(report: Report, importance: Mapping[str, NDArray[np.float32]]) -> dict[str, bool]:
    """Return which explainers are drawn around zero: declared signed, or with values below zero."""
    declared = {str(row["name"]): bool(row["signed"]) for row in report.explainers}
    return {
        name: declared.get(name, False) or bool((maps < 0).any())
        for name, maps in importance.items()
    }


def _row(
    gallery: Gallery, index: int, names: list[str], signs: Mapping[str, bool], frame: Frame | None
) -> ExampleRow:
    """Return one example with its panels, in the form that its kind asks for."""
    label, target = gallery.labels[index], gallery.targets[index]
    maps = {name: gallery.importance[name][index] for name in names}
    if frame is not None:
        panels = tuple(_picture_panel(name, maps[name], frame, signs[name]) for name in names)
        return ExampleRow(label, target, panels, picture=input_of(gallery, index))
    if gallery.kind == "text":
        present = None if gallery.present is None else gallery.present[index]
        words = gallery.texts[index]
        panels = tuple(_token_panel(name, maps[name], present, words) for name in names)
        return ExampleRow(label, target, panels)
    if gallery.kind == "series":
        drawing = gallery_series.drawing(gallery.inputs[index], gallery.feature_names)
        panels = tuple(_series_panel(name, maps[name], drawing) for name in names)
        return ExampleRow(label, target, panels, drawing=drawing)
    values = entries(gallery, index)
    panels = tuple(_bar_panel(name, maps[name], values) for name in names)
    return ExampleRow(label, target, panels, values=values)


def _unusable(name: str, importance: NDArray[np.float32]) -> Panel | None:
    return None if np.isfinite(importance).all() else Panel(name, problem="not a number")


def _picture_panel(name: str, importance: NDArray[np.float32], frame: Frame, signed: bool) -> Panel:
    if problem := _unusable(name, importance):
        return problem
    picture, path, alt = heat(importance, frame, OUTLINED, signed=signed)
    return Panel(name, picture=picture, path=path, alt=alt)


def _bar_panel(
    name: str, importance: NDArray[np.float32], values: tuple[tuple[str, str], ...]
) -> Panel:
    return _unusable(name, importance) or Panel(name, bars=bars(importance, values))


def _token_panel(
    name: str,
    importance: NDArray[np.float32],
    present: NDArray[np.bool_] | None,
    words: tuple[str, ...],
) -> Panel:
    own = importance if present is None else importance[present]
    if not words:
        return Panel(name, problem="no tokens")
    return _unusable(name, own) or Panel(name, tokens=tokens(words, own, OUTLINED))


def _series_panel(
    name: str, importance: NDArray[np.float32], drawing: gallery_series.Drawing
) -> Panel:
    if problem := _unusable(name, importance):
        return problem
    rows = importance if importance.ndim == 2 else importance[None]
    path, alt = gallery_series.edges(rows, drawing.height, OUTLINED)
    return Panel(name, shades=gallery_series.shades(rows, drawing.height), path=path, alt=alt)
