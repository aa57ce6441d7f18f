"""Digests tell models apart, and are the same in every process."""

from __future__ import annotations

import subprocess
import sys
import threading
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from lightgbm import LGBMClassifier
from sklearn.ensemble import (
    RandomForestClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from xgboost import XGBClassifier

from uproar.models.model_digest import digest_of
from uproar.types import UproarError


def scaled(inputs: np.ndarray, factor: float = 2.0) -> np.ndarray:
    return inputs * factor


def halved(inputs: np.ndarray) -> np.ndarray:
    return inputs / 2


def enclosing(value: Any) -> Any:
    return lambda inputs: (inputs, value)


def fitted_on(values: Any) -> LogisticRegression:
    return LogisticRegression().fit(np.arange(4.0)[:, None], values)


INPUTS, LABELS = np.arange(40.0).reshape(20, 2), np.arange(20) % 2

DIFFERENT = [
    SVC(),
    SVC(C=2.0),
    SVC(C=2),
    RidgeClassifier(),
    make_pipeline(StandardScaler(), SVC()),
    make_pipeline(StandardScaler(with_mean=False), SVC()),
    make_pipeline(StandardScaler(), SVC(C=2.0)),
    FunctionTransformer(scaled),
    FunctionTransformer(halved),
    FunctionTransformer(partial(scaled, factor=3.0)),
    FunctionTransformer(np.exp),
    FunctionTransformer(len),
    scaled,
    lambda inputs: inputs * 2,
    lambda inputs: inputs * 3,
    lambda inputs: [value * 3 for value in inputs],
    lambda inputs: [value * 4 for value in inputs],
    enclosing(1),
    enclosing({"a", "b"}),
    enclosing(fitted_on([0, 0, 1, 1])),
    enclosing(fitted_on([0, 1, 1, 1])),
    fitted_on([0, 0, 1, 1]).predict_proba,
    fitted_on([0, 1, 1, 1]).predict_proba,
    FrozenEstimator(fitted_on([0, 0, 1, 1])),
    FrozenEstimator(fitted_on([0, 1, 1, 1])),
    KFold(3),
    KFold(4),
    KFold(3, shuffle=True, random_state=np.random.RandomState(0)),
    KFold(3, shuffle=True, random_state=np.random.RandomState(1)),
    torch.nn.Linear(2, 2),
    torch.nn.Linear(2, 2),
    XGBClassifier(max_depth=2),
    LGBMClassifier(max_depth=2),
]


def test_digests_differ_exactly_where_models_do() -> None:
    assert len({digest_of(model) for model in DIFFERENT}) == len(DIFFERENT)
    assert digest_of(SVC(C=1.0)) == digest_of(SVC())
    assert digest_of(fitted_on([0, 0, 1, 1])) == digest_of(LogisticRegression())
    forest = RandomForestClassifier(3).fit(INPUTS, LABELS)
    assert digest_of(forest.predict) == digest_of(forest.predict)
    boosted = XGBClassifier(n_estimators=2).fit(INPUTS, LABELS)
    assert digest_of(boosted.predict) == digest_of(boosted.predict)


def test_a_function_is_told_by_what_it_names_in_its_module() -> None:
    def of(values: list[int]) -> Any:
        space = {"np": np, "model": fitted_on(values), "__name__": "notebook"}
        exec(
            "def inner(x):\n  return model.predict(x)\n\ndef f(x):\n  return np.abs(inner(x))",
            space,
        )
        return space["f"]

    assert digest_of(of([0, 0, 1, 1])) == digest_of(of([0, 0, 1, 1]))
    assert digest_of(of([0, 0, 1, 1])) != digest_of(of([0, 1, 1, 1]))


# Sets of strings come in another order in every process. The estimator is none of scikit-learn,
# which takes as long to import as all the rest.
DESCRIBED = """
import numpy as np
from uproar.models.model_digest import digest_of
class Estimator:
    def __init__(self, **parameters):
        self.parameters = parameters
    def get_params(self, deep):
        return self.parameters
inner = lambda x: x if x in {"a", "b", "c", "d", "e", "f", "g", "h"} else np.abs(x)
steps = [("first", Estimator(function=inner, words=set("pqrstuvw"))), ("last", Estimator(c=1.0))]
digests = [digest_of(Estimator(steps=steps)), digest_of(inner), digest_of(steps[0][1].get_params)]
"""


@pytest.mark.slow
def test_digests_are_the_same_in_every_process() -> None:
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(DESCRIBED, space)
    elsewhere = subprocess.run(
        [sys.executable, "-c", f"{DESCRIBED}print(*digests)"],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "random", "PYTHONPATH": ":".join(sys.path)},
    )
    assert elsewhere.stdout.split() == space["digests"]


def test_what_cannot_be_told_apart_is_refused() -> None:
    with (
        open(__file__, encoding="utf-8") as file,
        pytest.raises(UproarError, match="TextIOWrapper"),
    ):
        digest_of(enclosing(file))


def test_what_contains_itself_has_a_digest() -> None:
    first: list[Any] = [1]
    first.append(first)
    second: list[Any] = [2]
    second.append(second)
    assert digest_of(enclosing(first)) != digest_of(enclosing(second))


def test_functions_that_call_each_other_are_described_once() -> None:
    space: dict[str, Any] = {"__name__": "notebook", "lock": threading.Lock()}
    for number in range(25):
        calls = "; ".join(f"f{other}(x)" for other in range(25))
        exec(f"def f{number}(x): lock; {calls}", space)
    before = digest_of(space["f0"])
    assert digest_of(space["f0"]) == before
    exec("def f24(x): return 1", space)
    assert digest_of(space["f0"]) != before
