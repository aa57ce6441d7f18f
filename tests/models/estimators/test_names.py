"""Estimators by name, and what is refused before anything is fitted."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.base import BaseEstimator
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from xgboost import XGBClassifier, XGBRegressor

from tests.support.small_data import small
from uproar.dataset import Data
from uproar.models.estimators.learner import check_estimator_fits
from uproar.models.estimators.names import estimator_of
from uproar.types import UproarError

DATA = small("table")
CLASSIFIERS = (
    SVC(),
    make_pipeline(StandardScaler(), LogisticRegression()),
    HistGradientBoostingClassifier(),
    XGBClassifier(),
    LGBMClassifier(),
)
REGRESSORS = Ridge(), HistGradientBoostingRegressor(), XGBRegressor(), LGBMRegressor()


class NoParameters:
    def fit(self, inputs: np.ndarray, labels: np.ndarray) -> None: ...

    def predict(self, inputs: np.ndarray) -> None: ...


class Changes(BaseEstimator):
    def __init__(self, size: int = 1) -> None:
        self.size = [size]

    def fit(self, inputs: np.ndarray, labels: np.ndarray) -> None: ...

    def predict(self, inputs: np.ndarray) -> None: ...


def regression() -> Data:
    parts = {
        part: replace(getattr(DATA, part), labels=getattr(DATA, part).labels.astype(np.float32))
        for part in ("train", "validation", "test")
    }
    return replace(DATA, class_names=(), **parts)


@pytest.mark.parametrize("estimator", CLASSIFIERS)
def test_classifiers_fit_classes_alone(estimator: Any) -> None:
    check_estimator_fits(estimator, DATA)
    with pytest.raises(UproarError, match=r"is a classifier, but the labels .* use a regressor"):
        check_estimator_fits(estimator, regression())


@pytest.mark.parametrize("estimator", REGRESSORS)
def test_regressors_fit_values_alone(estimator: Any) -> None:
    check_estimator_fits(estimator, regression())
    with pytest.raises(UproarError, match=r"is a regressor, but the labels .* use a classifier"):
        check_estimator_fits(estimator, DATA)


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (StandardScaler(), r"StandardScaler has no predict\(\)"),
        (3, r"must be an estimator, but int has no fit\(\)"),
        (NoParameters(), r"NoParameters has no get_params\(\)"),
        (SVC, r"got the class SVC; write SVC\(\)"),
        (Changes(), "Changes cannot be copied by sklearn.base.clone, which every retraining"),
    ],
)
def test_what_is_no_estimator_is_refused(estimator: Any, message: str) -> None:
    with pytest.raises(UproarError, match=message) as caught:
        check_estimator_fits(estimator, DATA)
    assert "\n" not in str(caught.value)


def test_an_estimator_that_does_not_say_what_it_is_passes() -> None:
    class Plain(NoParameters):
        def get_params(self, *, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002 - has none
            return {}

    check_estimator_fits(Plain(), DATA)
    check_estimator_fits(Plain(), regression())


@pytest.mark.parametrize(
    ("name", "parameters", "kind"),
    [
        ("sklearn:HistGradientBoostingClassifier", {"max_iter": 7}, HistGradientBoostingClassifier),
        ("sklearn:GaussianProcessRegressor", {"alpha": 1.0}, None),
        ("xgboost:XGBRegressor", {"max_depth": 2}, XGBRegressor),
        ("lightgbm:LGBMClassifier", {"num_leaves": 4}, LGBMClassifier),
    ],
)
def test_estimators_by_name(name: str, parameters: dict[str, Any], kind: type | None) -> None:
    made = estimator_of(name, parameters)
    assert type(made).__name__ == name.partition(":")[2]
    assert kind is None or type(made) is kind
    for parameter, value in parameters.items():
        assert made.get_params()[parameter] == value


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("sklearn:RandomForestClasifier", {}, "did you mean 'RandomForestClassifier'"),
        ("sklearn:StandardScaler", {}, "unknown estimator of scikit-learn 'StandardScaler'"),
        ("sklearn:SVC", {"gama": 1}, "sklearn:SVC: unknown parameter 'gama': did you mean 'gamma'"),
        ("sklearn:VotingClassifier", {}, r"is made of other estimators \(estimators\): build it"),
        ("sklern:SVC", {}, "unknown kind of estimator 'sklern': did you mean 'sklearn'"),
        ("xgboost:XGBClasifier", {}, "did you mean 'XGBClassifier'"),
        ("xgboost:XGBClassifier", {"max_dept": 2}, "did you mean 'max_depth'"),
    ],
)
def test_wrong_names(name: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(UproarError, match=message) as caught:
        estimator_of(name, parameters)
    assert "\n" not in str(caught.value)


def test_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(UproarError, match=r'run: pip install "uproar\[trees\]"'):
        estimator_of("lightgbm:LGBMClassifier", {})
