"""Data from Python: arrays, tensors, data frames and texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from uproar.data.checks import check_lengths
from uproar.data.columns import listed
from uproar.data.image.patches import feature_of_value
from uproar.data.labels import encode_labels
from uproar.data.python.array_labels import classes_of, task_of_array, values_of
from uproar.data.python.array_parts import (
    check_heeded,
    inputs_of,
    is_texts,
    kind_of_axes,
    labels_of,
    pair,
    with_channels,
)
from uproar.data.python.frame_parts import from_frames, is_frame, texts_of
from uproar.data.split import divided
from uproar.dataset import PARTS, Data, Split
from uproar.types import Source, UproarError

SeriesFeatures = Literal["step", "channel-step"]


def from_parts(
    train: Any,
    test: Any = None,
    validation: Any = None,
    *,
    name: str,
    seed: int,
    source: Source = Source(),  # noqa: B008 - frozen
    class_names: Sequence[str] = (),
    feature_names: Sequence[str] = (),
    value_range: tuple[float, float] | None = None,
    features: SeriesFeatures = "step",
    standardise_labels: bool = True,
) -> Data:
    """Return data that are in memory.

    A part is (inputs, labels), or a DataFrame that has the labels in the column ``source.target``.
    Inputs are arrays, tensors or nested lists (examples, columns) of a table, (examples, channels,
    time) of series and (examples, channels, height, width) of images, taken as they are; a
    DataFrame, encoded as :func:`uproar.data.table.tables.from_frame` says; or a list of texts, or a
    DataFrame with a column ``source.text``. The axis of channels can be left out where
    ``source.kind`` says what inputs are.

    :param train: labels are integers, the classes; other numbers, for a regression; or text.
    :param test: as ``train``, which it is split off when None; as is ``validation``.
    :param source: what else there is to say of the data; what nothing heeds is refused.
    :param class_names: one per class; :param feature_names: one per column of a table.
    :param value_range: smallest and largest value of images; that of train by default.
    :param features: of series: whether a feature is a time step with all its channels, or each
        channel by itself.
    :param standardise_labels: whether the labels of a regression are.
    :raises UproarError: when something does not fit; see also :func:`uproar.data.checks.check`.

    >>> inputs = np.random.default_rng(0).standard_normal((40, 3, 50))
    >>> data = from_parts((inputs, [0, 1] * 20), name="mine", seed=0)
    >>> data.kind, data.feature_shape, data.train.inputs.shape
    ('series', (50,), (28, 3, 50))
    """
    given = {"train": train, "validation": validation, "test": test}
    parts = {part: value for part, value in given.items() if value is not None}
    if source.text:
        parts = {part: texts_of(value, source) for part, value in parts.items()}
    elif is_frame(train):
        check_heeded(source, ("kind", "target", "drop"), "the columns of a DataFrame")
        data = from_frames(parts, source, name, seed, standardise_labels)
        return _named(data, class_names, feature_names)
    elif source.target or source.drop:
        raise UproarError(
            "target and drop are columns of a DataFrame, but the inputs of train are "
            f"{type(train[0] if isinstance(train, tuple) else train).__name__}"
        )
    pairs = {part: pair(value, part) for part, value in parts.items()}
    written = source.kind == "auto" and is_texts(pairs["train"][0])
    if source.text or source.kind == "text" or written:
        check_heeded(source, ("kind", "text", "target", "length"), "texts in memory")
        return _named(_from_texts(pairs, source, name, seed), class_names, feature_names)
    check_heeded(source, ("kind", "patch"), "arrays")
    data = _from_arrays(pairs, source, name, seed, class_names, standardise_labels)
    return _with_features(data, feature_names, value_range, source.patch, features)


def _from_texts(pairs: Mapping[str, tuple[Any, Any]], source: Source, name: str, seed: int) -> Data:
    from uproar.data.text.text import from_texts

    return from_texts(
        pairs["train"],
        pairs.get("test"),
        pairs.get("validation"),
        name=name,
        seed=seed,
        source=source,
    )


def _from_arrays(
    pairs: Mapping[str, tuple[Any, Any]],
    source: Source,
    name: str,
    seed: int,
    class_names: Sequence[str],
    standardise_labels: bool,
) -> Data:
    inputs = {part: inputs_of(one[0], part) for part, one in pairs.items()}
    kind = kind_of_axes(inputs["train"], source.kind, "train")
    inputs = {part: with_channels(values, kind) for part, values in inputs.items()}
    columns = {part: labels_of(one[1], part) for part, one in pairs.items()}
    for part in pairs:
        check_lengths(inputs[part], columns[part], part)
    task = task_of_array(columns["train"], source.task)
    labels: Mapping[str, NDArray[np.int64] | NDArray[np.float64]]
    if task == "classification":
        labels, names = classes_of(columns, class_names)
    else:
        labels, names = values_of(columns, class_names), ()
    places = divided(labels, source=source, what="label", name=name, seed=seed)
    parts = {part: _rows(inputs[of], labels[of], rows) for part, (of, rows) in places.items()}
    centre, scale = 0.0, 1.0
    if task == "regression":
        parts, centre, scale = _standardised(parts, standardise_labels)
    return Data(
        name=name,
        kind=kind,
        train=parts["train"],
        validation=parts["validation"],
        test=parts["test"],
        feature_shape=inputs["train"].shape[1:],
        class_names=names,
        label_centre=centre,
        label_scale=scale,
    )


def _rows(inputs: NDArray[np.float32], labels: NDArray[Any], places: NDArray[np.int64]) -> Split:
    """Return the examples at places in order; all of them without a copy."""
    if len(places) == len(labels):
        return Split(inputs, labels)
    return Split(inputs[places], labels[places])


def _standardised(
    parts: Mapping[str, Split], standardise: bool
) -> tuple[dict[str, Split], float, float]:
    encoded = encode_labels(
        parts["train"].labels,
        [parts[part].labels for part in PARTS[1:]],
        task="regression",
        what="label",
        standardise=standardise,
    )
    splits = {
        part: Split(parts[part].inputs, values)
        for part, values in zip(PARTS, encoded.values, strict=True)
    }
    return splits, encoded.centre, encoded.scale


def _named(data: Data, class_names: Sequence[str], feature_names: Sequence[str]) -> Data:
    """Call the classes of encoded data as asked for; features have the names that they have."""
    if feature_names:
        raise UproarError("feature_names are for arrays; a DataFrame has those of its columns")
    if class_names and len(class_names) != len(data.class_names):
        raise UproarError(
            f"class_names has {len(class_names)} names, but the labels have "
            f"{len(data.class_names)} classes: {listed(data.class_names)}"
        )
    return replace(data, class_names=tuple(class_names)) if class_names else data


def _with_features(
    data: Data,
    feature_names: Sequence[str],
    value_range: tuple[float, float] | None,
    patch: int,
    features: SeriesFeatures,
) -> Data:
    """Say which features the inputs have, by the kind of data."""
    shape = data.input_shape
    if patch != 1 and data.kind != "image":
        raise UproarError(f"patch={patch} is for images, but the inputs are a {data.kind}")
    if features != "step" and data.kind != "series":
        raise UproarError(f"features={features!r} is for series, but the inputs are a {data.kind}")
    if feature_names and (data.kind != "table" or len(feature_names) != shape[0]):
        raise UproarError(
            f"feature_names has {len(feature_names)} names; they are one for each column of a "
            f"table, and one input has shape {shape}"
        )
    if data.kind == "table":
        names = tuple(feature_names) or tuple(f"x{column}" for column in range(shape[0]))
        return replace(data, feature_names=names)
    if data.kind == "series":
        return replace(data, feature_shape=shape if features == "channel-step" else shape[1:])
    if value_range is None:
        low, high = float(data.train.inputs.min()), float(data.train.inputs.max())
        value_range = (low, high) if np.isfinite([low, high]).all() else None
    if patch == 1:
        return replace(data, feature_shape=shape[1:], value_range=value_range)
    squares, of_value = feature_of_value((shape[0], shape[1], shape[2]), patch)
    return replace(data, feature_shape=squares, feature_of_value=of_value, value_range=value_range)
