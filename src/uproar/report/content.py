"""What a report shows, as plain tables and arrays: made by the benchmark, drawn by the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True)
class Gallery:
    """Examples with their importance maps."""

    inputs: NDArray[np.float32]  # (examples, *input_shape): (channels, height, width) or (columns,)
    labels: tuple[str, ...]  # true class name of each example
    targets: tuple[str, ...]  # class name that the base model predicts, which is explained
    importance: Mapping[str, NDArray[np.float32]]  # explainer -> (examples, *feature_shape)
    feature_names: tuple[str, ...]  # of tables; empty for images
    value_range: tuple[float, float] | None  # of images


@dataclass(frozen=True)
class ReportContent:
    """Everything on the page. Empty tables mean that the protocol was not run."""

    spec_toml: str  # the complete spec, as written to spec.toml
    command: str  # the command line that reproduces the run
    data: Mapping[str, Any]  # name kind train validation test features classes majority_rate
    model: Mapping[str, Any]  # name parameters accuracy low high base_models training
    leaderboard: pd.DataFrame  # one row per explainer, the columns of leaderboard.csv
    gains: pd.DataFrame  # protocol removal explainer gain low high normalised p_value p_holm
    #                      verdict rank rank_low rank_high
    curves: pd.DataFrame  # protocol removal explainer fraction value low high repeats;
    #                       protocols: roar kar retrain-once-removed retrain-once-kept no-retrain
    leaks: pd.DataFrame  # removal explainer fraction accuracy low high leaks(bool)
    pairs: pd.DataFrame  # protocol first second difference p_holm distinguishable(bool)
    agreement: pd.DataFrame  # first second spearman low high explainers(count)
    detectable: Mapping[str, float]  # protocol -> smallest gain that this run could detect
    explainers: pd.DataFrame  # name kind signed scope summary paper
    gallery: Gallery | None
    skipped: tuple[tuple[str, str], ...]  # (what, reason)
    failed: tuple[tuple[str, str, str], ...]  # (what, error in one line, traceback)
    notes: tuple[str, ...]  # damaged and recomputed outcomes, chosen paths, fall-backs
    provenance: Mapping[str, str]  # versions, device, seed
    timings: pd.DataFrame  # kind cell stage seconds
