"""Models of every kind from end to end: each is trained, explained and judged, and resumed.

Permutation importance needs no gradients and finds the informative features of these data exactly,
so that it has to be better than random whatever the model.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch import Tensor, nn
from xgboost import XGBClassifier, XGBRegressor

from tests.support.kinds import images, measured, series, table, verdicts
from tests.support.small_runs import stamps
from uproar import Recipe, Result
from uproar.cli.show import _counts
from uproar.stats.verdicts import BETTER

PROTOCOLS = ("roar", "kar", "mask-only", "retrain-once", "no-retrain")
# For models that are trained in the way of another: where they are trained anew, and as they are.
FEWER = ("roar", "mask-only", "no-retrain")


def dense(outputs: int, *end: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, outputs), *end)


def dropout() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 2))


def batch_norm() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 2))


def convolution_of_series() -> nn.Module:
    layers = nn.Conv1d(2, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(40, 2)
    return nn.Sequential(*layers)


def convolution_of_images() -> nn.Module:
    layers = nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2)
    return nn.Sequential(*layers)


class Attending(nn.Module):
    """A transformer encoder over the steps of series."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(2, 8)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
        self.head = nn.Linear(80, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.encoder(self.embed(inputs.mT)).flatten(1))


class Recurrent(nn.Module):
    """An LSTM over the steps of series."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.LSTM(2, 8, batch_first=True)
        self.head = nn.Linear(8, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.steps(inputs.mT)[0][:, -1])


@dataclass(frozen=True)
class Case:
    """A model on data that suit it; ``logged`` is what a line of the log begins with."""

    model: Any
    data: Callable[[], Any] = table
    logged: str = "training: processes"
    explainers: tuple[str, ...] = ("pfi",)
    fraction: float = 0.375  # of the features: those that the label depends on
    patch: int = 1
    protocols: tuple[str, ...] = PROTOCOLS

    @property
    def epochs(self) -> int:
        """Return how long it takes to tell: classes are told apart sooner than values are met."""
        return 8 if self.data is values else 4

    @property
    def judging(self) -> set[str]:
        """Return the protocols that have verdicts."""
        return set(self.protocols) - {"mask-only"}

    @property
    def has_gradients(self) -> bool:
        return not hasattr(self.model, "predict")


STACKED, DENSE = "training: stacked (parameters stacked", "training: dense"
ONE_BY_ONE = "training: sequential (convolutions do not gain"
WITH_GRADIENT = ("pfi", "grad")
WITH_TREES = ("pfi", "tree-shap", "abs-tree-shap")
values = partial(table, regression=True)
TORCH = {
    "dropout": Case(dropout, logged=STACKED),
    "batch norm": Case(batch_norm, logged=STACKED),
    "convolution of series": Case(
        *(convolution_of_series, series, ONE_BY_ONE), fraction=0.1, protocols=FEWER
    ),
    "convolution of images": Case(
        *(convolution_of_images, images, ONE_BY_ONE, WITH_GRADIENT), fraction=0.11, patch=2
    ),
    "attention": Case(Attending, series, STACKED, WITH_GRADIENT, fraction=0.1, protocols=FEWER),
    "lstm": Case(
        *(Recurrent, series, "training: sequential (cannot be stacked: "),
        explainers=WITH_GRADIENT,
        fraction=0.1,
    ),
    "single logit": Case(
        partial(dense, 1), logged="the model answers with single logit", protocols=FEWER
    ),
    "sigmoid": Case(
        partial(dense, 1, nn.Sigmoid()),
        logged="the model answers with single probability",
        protocols=FEWER,
    ),
    "softmax": Case(
        partial(dense, 2, nn.Softmax(dim=1)),
        logged="the model answers with probabilities",
        explainers=WITH_GRADIENT,
    ),
    "values": Case(partial(dense, 1), values, DENSE),
    "flat values": Case(
        partial(dense, 1, nn.Flatten(0)),
        values,
        "the model answers with value:",
        explainers=WITH_GRADIENT,
        protocols=FEWER,
    ),
}
ESTIMATORS = {
    "logistic regression": Case(LogisticRegression(), explainers=WITH_GRADIENT, protocols=FEWER),
    "pipeline": Case(
        make_pipeline(StandardScaler(), SVC()), logged="Pipeline has no predict_proba: its decision"
    ),
    "forest": Case(RandomForestClassifier(n_estimators=20), explainers=WITH_GRADIENT),
    "boosting": Case(HistGradientBoostingClassifier(max_iter=15), protocols=FEWER),
    "ridge": Case(Ridge(), values, explainers=WITH_GRADIENT),
    "boosted values": Case(HistGradientBoostingRegressor(max_iter=15), values, protocols=FEWER),
    "xgboost": Case(XGBClassifier(n_estimators=15), explainers=WITH_TREES),
    "xgboost values": Case(
        XGBRegressor(n_estimators=15), values, explainers=WITH_TREES, protocols=FEWER
    ),
    "lightgbm": Case(LGBMClassifier(n_estimators=15), explainers=WITH_TREES, protocols=FEWER),
    "lightgbm values": Case(
        LGBMRegressor(n_estimators=15), values, explainers=WITH_TREES, protocols=FEWER
    ),
}
MODELS = {**TORCH, **ESTIMATORS}


def call(case: Case, out: Path) -> tuple[Result, list[str]]:
    """Evaluate and return what was logged too."""
    lines: list[str] = []
    options = {
        "explainers": case.explainers,
        "fractions": [case.fraction],
        "patch": case.patch,
        "protocols": case.protocols,
        "recipe": Recipe(epochs=case.epochs, learning_rate=5e-2, batch_size=125),
        "retrain_once_epochs": case.epochs,
        "log": lines.append,
    }
    return measured(case.model, case.data(), out, **options), lines


Finished = Callable[[str], tuple[Result, list[str]]]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Return what runs a model once, however many tests ask for it."""
    return cache(lambda name: call(MODELS[name], tmp_path_factory.mktemp("run")))


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_every_kind_of_model(name: str, finished: Finished) -> None:
    case = MODELS[name]
    result, lines = finished(name)
    assert result.failed == ()
    assert result.complete
    assert any(line.startswith(case.logged) for line in lines), lines
    assert verdicts(result, "pfi") == dict.fromkeys(case.judging, BETTER)
    assert set(result.table["score"]) == {"r2" if case.data is values else "accuracy"}
    reasons = dict(result.skipped)
    if case.has_gradients or "grad" not in case.explainers:
        assert reasons == {}
    else:
        assert list(reasons) == ["explain: grad"]
        assert "gradient" in reasons["explain: grad"]
    assert_resumed(case, result)


def assert_resumed(case: Case, result: Result) -> None:
    before = stamps(result.out)
    again, lines = call(case, result.out)
    assert lines == [f"already finished: {result.out}", *result.cautions]
    assert again.table.equals(result.table)
    assert stamps(result.out) == before


def trained(inputs: np.ndarray, labels: np.ndarray) -> nn.Module:
    """Return a small module, trained well enough."""
    generator = torch.Generator().manual_seed(0)
    module = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=generator)
    optimiser = torch.optim.Adam(module.parameters(), lr=0.02)
    for _ in range(150):
        optimiser.zero_grad()
        outputs = module(torch.from_numpy(inputs))
        nn.functional.cross_entropy(outputs, torch.from_numpy(labels)).backward()
        optimiser.step()
    return module


RETRAINING = ("roar", "kar", "mask-only")


@pytest.mark.slow
def test_a_trained_module_is_judged_by_what_needs_no_training_from_scratch(tmp_path: Path) -> None:
    train, test = table()
    module = trained(*train)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    lines: list[str] = []
    options = {"explainers": WITH_GRADIENT, "log": lines.append}
    result = measured(module, (train, test), tmp_path, **options)
    assert result.failed == ()
    assert result.complete
    assert verdicts(result, "pfi") == dict.fromkeys(("retrain-once", "no-retrain"), BETTER)
    assert lines[0].startswith("the model is trained already: ROAR, KAR and mask-only")
    assert lines[1].startswith(
        "copies of it are fine-tuned for retrain-once: stacked (parameters stacked"
    )
    assert_skipped(result, RETRAINING)
    # What was handed in is what was explained, and it is as it was.
    with torch.no_grad():
        right = (module(torch.from_numpy(test[0])).argmax(1).numpy() == test[1]).mean()
    assert result.base_accuracy[0] == pytest.approx(right)
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(parameter.requires_grad for parameter in module.parameters())
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "cannot be trained from scratch" in page
    again = measured(module.eval(), (train, test), tmp_path, **options)
    assert lines[-1 - len(again.cautions)] == f"already finished: {tmp_path}"
    assert again.table.equals(result.table)


@pytest.mark.slow
def test_a_function_is_judged_without_any_training(tmp_path: Path) -> None:
    train, test = table()

    def predict(inputs: np.ndarray) -> np.ndarray:
        second = 1 / (1 + np.exp(-2 * inputs[:, :3].sum(1)))
        return np.stack([1 - second, second], axis=1)

    result = measured(predict, (train, test), tmp_path, explainers=WITH_GRADIENT)
    assert result.failed == ()
    assert result.complete
    assert result.base_accuracy[0] == 1
    assert verdicts(result, "pfi") == {"no-retrain": BETTER}
    assert_skipped(result, (*RETRAINING, "retrain-once"))
    assert "gradient" in dict(result.skipped)["explain: grad"]
    board = result.leaderboard().set_index("explainer")
    assert board.loc["pfi", "verdict"] == BETTER
    assert set(result.table["protocol"]) == {"no-retrain"}
    assert not any(count["missing"] for count in _counts(result).values())
    assert "the run is not finished" not in (tmp_path / "report.html").read_text(encoding="utf-8")
    lines: list[str] = []
    again = measured(predict, (train, test), tmp_path, explainers=WITH_GRADIENT, log=lines.append)
    assert lines[-1 - len(again.cautions)] == f"already finished: {tmp_path}"
    assert again.table.equals(result.table)


@pytest.mark.slow
def test_a_frozen_module_is_not_fine_tuned(tmp_path: Path) -> None:
    data = table()
    module = trained(*data[0]).requires_grad_(requires_grad=False)
    result = measured(module, data, tmp_path)
    assert result.failed == ()
    assert result.complete
    assert verdicts(result, "pfi") == {"no-retrain": BETTER}
    reason = dict(result.skipped)["retrain-once: train (mean)"]
    assert reason == "the model cannot be fine-tuned: all of its parameters are frozen"


def assert_skipped(result: Result, protocols: tuple[str, ...]) -> None:
    """Every protocol is skipped, for each explainer, and each time for the same good reason."""
    skipped = {what: why for what, why in result.skipped if not what.startswith("explain")}
    assert {what.partition(":")[0] for what in skipped} == set(protocols)
    assert set(skipped.values()) == {"the model cannot be trained from scratch"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dropout", "batch norm", "forest", "xgboost"])
def test_the_same_call_elsewhere_gives_the_same_bytes(
    name: str, finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = finished(name)[0].out
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    call(MODELS[name], tmp_path)
    for file in ("results.parquet", "results.csv", "gains.csv", "spec.toml"):
        assert (first / file).read_bytes() == (tmp_path / file).read_bytes(), file
