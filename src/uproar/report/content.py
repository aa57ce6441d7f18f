"""What a report shows, as plain tables and arrays: made by the benchmark, drawn by the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from uproar.types import Kind


@dataclass(frozen=True)
class Gallery:
    """Examples with their importance maps.

    Images whose features are patches have an importance per patch, (rows, columns), where the last
    row and column may be cut by the border. Importance of text is padded to the longest example.
    """

    inputs: NDArray[np.float32] | NDArray[np.int64]  # (examples, *input_shape)
    labels: tuple[str, ...]  # true class of each example, or its true value as text
    targets: tuple[str, ...]  # class or value that the base model predicts, which is explained
    importance: Mapping[str, NDArray[np.float32]]  # explainer -> (examples, *feature_shape)
    feature_names: tuple[str, ...]  # columns of tables, channels of series; may be empty
    value_range: tuple[float, float] | None  # of images
    kind: Kind
    # Of every example: its tokens in order, or the values of a table's columns as people wrote
    # them; empty where the inputs speak for themselves.
    texts: tuple[tuple[str, ...], ...] = ()
    patch: int = 1  # side in pixels of the squares that are the features of images
    present: NDArray[np.bool_] | None = None  # text: (examples, length), where the tokens are


@dataclass(frozen=True)
class ReportContent:
    """Everything on the page. Empty tables mean that the protocol was not run."""

    spec_toml: str  # the complete spec, as written to spec.toml
    command: str  # the command line that reproduces the run
    data: Mapping[str, Any]  # name kind train validation test features classes majority_rate;
    #                          optional: seed (of the split), task, score ("accuracy" or "R²",
    #                          which is then what every accuracy below is), input_shape,
    #                          feature_shape, patch, vocabulary (its size)
    model: Mapping[str, Any]  # name parameters accuracy low high base_models training;
    #                           optional: mse, in the units of the labels
    protocols: pd.DataFrame  # one row per curve of the protocols, in the order of the page:
    #                          protocol short meaning gain(text) question (information, reliance or
    #                          control) compared(bool) reads_own_masks(bool) ordering(int: the
    #                          smallest orders the page) curve direction (lower or higher)
    #                          keeps(bool: the fraction is what stays) title reading; {score} in
    #                          texts becomes what models are judged by
    leaderboard: pd.DataFrame  # one row per explainer, the columns of leaderboard.csv; the page
    #                            reads explainer explain_seconds passes
    gains: pd.DataFrame  # protocol removal explainer gain low high normalised p_value p_holm
    #                      verdict reason (keys of uproar.stats.verdicts) rank rank_low rank_high
    curves: pd.DataFrame  # protocol (the name of the curve) removal explainer fraction value low
    #                       high repeats
    leaks: pd.DataFrame  # removal explainer fraction accuracy low high share share_low share_high
    #                      mask (clear, unclear or leaks)
    pairs: pd.DataFrame  # protocol first second difference p_holm distinguishable(bool)
    agreement: pd.DataFrame  # first second spearman low high explainers(count)
    error: pd.DataFrame  # protocol level units share narrows, see uproar.stats.effort
    detectable: Mapping[str, float]  # protocol -> smallest gain that this run could detect
    explainers: pd.DataFrame  # name kind signed scope summary paper;
    #                           optional: needs parameters estimand extra data_kinds, formula (of
    #                           the passes, empty where not known), predicted (number of passes)
    gallery: Gallery | None
    skipped: tuple[tuple[str, str], ...]  # (what, reason)
    failed: tuple[tuple[str, str, str], ...]  # (what, error in one line, traceback)
    notes: tuple[str, ...]  # damaged and recomputed outcomes, chosen paths, fall-backs
    provenance: Mapping[str, str]  # versions, device, seed
    timings: pd.DataFrame  # kind cell stage seconds
    # Of explainers of the function: explainer base_model feature importance standard_error low high
    # p_value p_holm verdict, features in their order.
    function: pd.DataFrame = field(default_factory=pd.DataFrame)
    # How far their importances agree: first second spearman.
    function_agreement: pd.DataFrame = field(default_factory=pd.DataFrame)
