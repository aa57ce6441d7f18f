"""Estimators: every library's models as learners, bit for bit repeatable, classes aligned."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression, Perceptron, Ridge, RidgeClassifier
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from xgboost import XGBClassifier, XGBRegressor

from tests.support.small_data import ranked, small
from uproar.models.estimators.arms import COPIES, fit_arm, inputs_of_arm, prepared
from uproar.models.estimators.learner import EstimatorLearner
from uproar.models.learner import Learner
from uproar.models.training.batches import RandomlyRemoved, RemovedByRank
from uproar.types import Recipe

COUNTS, SEEDS = (0, 3, 6), (1, 2, 2**62 + 5)
CLASSIFIERS = {
    "logistic": LogisticRegression(),
    "svc": make_pipeline(StandardScaler(), SVC()),
    "forest": RandomForestClassifier(10, n_jobs=2),
    "histogram": HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=5),
    "xgboost": XGBClassifier(n_estimators=5, subsample=0.7, n_jobs=2),
    "lightgbm": LGBMClassifier(n_estimators=5, min_child_samples=5, colsample_bytree=0.7),
}
REGRESSORS = {
    "ridge": Ridge(),
    "histogram": HistGradientBoostingRegressor(max_iter=20, min_samples_leaf=5),
    "xgboost": XGBRegressor(n_estimators=20, subsample=0.7),
    "lightgbm": LGBMRegressor(n_estimators=30, min_child_samples=5, colsample_bytree=0.7),
}
DATA = small("table")
BATCHES = ranked(DATA, COUNTS)
LABELS = torch.from_numpy(DATA.train.labels)
VALUES = torch.from_numpy(DATA.train.inputs[:, 0] - 2 * DATA.train.inputs[:, 1])


def learner(estimator: Any, classes: int = 3, processes: int = 1) -> EstimatorLearner:
    return EstimatorLearner(estimator, classes, processes)


def outputs(
    made: EstimatorLearner, batches: RemovedByRank = BATCHES, labels: torch.Tensor = LABELS
) -> torch.Tensor:
    seeds = SEEDS[: batches.arms]
    return made.outputs(made.fit(batches, labels, seeds=seeds, recipe=Recipe()), batches)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_learn_and_repeat_themselves_bit_for_bit(name: str) -> None:
    made = learner(CLASSIFIERS[name])
    answers = outputs(made)
    assert answers.dtype == torch.float32
    assert answers.shape == (3, len(LABELS), 3)
    right = (answers.argmax(2) == LABELS).float().mean(1)
    assert right[0] > 0.85
    assert right[2] <= 0.35  # with everything removed there is one answer for all
    assert (answers[2] == answers[2, 0]).all()
    assert torch.equal(answers, outputs(made))
    alone = fit_arm(made.estimator, BATCHES, LABELS.numpy(), 1, SEEDS[1])
    one = made.predictor([alone])(torch.from_numpy(inputs_of_arm(BATCHES, 1)))
    assert torch.equal(one, answers[1])


@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors_learn_and_repeat_themselves_bit_for_bit(name: str) -> None:
    made = learner(REGRESSORS[name], classes=0)
    answers = outputs(made, labels=VALUES)
    assert answers.shape == (3, len(VALUES), 1)
    errors = (answers[..., 0] - VALUES).square().mean(1) / VALUES.var(correction=0)
    assert errors[0] < 0.1
    assert errors[2] == pytest.approx(1, abs=0.05)  # the mean is all that is left
    assert torch.equal(answers, outputs(made, labels=VALUES))
    assert made.note == ""


def test_other_seeds_give_other_forests() -> None:
    made = learner(CLASSIFIERS["forest"])
    batches = ranked(DATA, (0, 0, 0))
    answers = made.outputs(made.fit(batches, LABELS, seeds=(1, 1, 2), recipe=Recipe()), batches)
    assert torch.equal(answers[0], answers[1])
    assert not torch.equal(answers[0], answers[2])


@pytest.mark.slow
def test_processes_change_nothing() -> None:
    forest = CLASSIFIERS["forest"]
    assert torch.equal(outputs(learner(forest, processes=2)), outputs(learner(forest)))


def test_it_is_a_learner_and_stores_nothing() -> None:
    made = learner(LogisticRegression())
    assert isinstance(made, Learner)
    assert (made.training, made.parallel) == ("processes", True)
    fitted = made.fit(BATCHES, LABELS, seeds=SEEDS, recipe=Recipe())
    twice = made.repeated(fitted, 2)
    assert [fitted.index(one) for one in twice] == [0, 0, 1, 1, 2, 2]
    assert (made.size(fitted), made.size(twice)) == (3, 6)
    assert made.to_arrays(fitted) == {}
    assert made.from_arrays({}) is None
    assert not hasattr(made.estimator, "coef_")  # what was handed over stays unfitted


def test_a_fitted_estimator_answers_to_tensors_of_any_layout() -> None:
    data = small("colour")
    made = learner(LogisticRegression())
    batches = ranked(data, (0,))
    fitted = made.fit(batches, LABELS, seeds=[0], recipe=Recipe())
    predictor = made.predictor(fitted)
    inputs = torch.from_numpy(data.train.inputs)
    expected = predictor.estimator.predict_proba(data.train.inputs.reshape(len(data.train), -1))
    np.testing.assert_allclose(predictor(inputs).numpy(), expected, rtol=1e-6)
    assert torch.equal(predictor(inputs), made.outputs(fitted, batches)[0])


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        make_pipeline(StandardScaler(), SVC()),
        RidgeClassifier(),
        SVC(decision_function_shape="ovo"),
        CLASSIFIERS["xgboost"],
        CLASSIFIERS["lightgbm"],
    ],
    ids=lambda estimator: type(estimator).__name__,
)
@pytest.mark.parametrize("present", [(0, 2), (0, 2, 3)])
def test_columns_are_the_classes_also_where_train_lacks_one(
    estimator: Any, present: tuple[int, ...]
) -> None:
    labels = torch.tensor(present)[LABELS % len(present)]
    answers = outputs(learner(estimator, classes=5), labels=labels)
    assert answers.shape[2] == 5
    assert set(answers.argmax(2).unique().tolist()) <= set(present)
    known = len(present) > LABELS
    assert (answers[0].argmax(1) == labels)[known].float().mean() > 0.8


def test_a_decision_function_of_two_classes_is_split_between_them() -> None:
    made = learner(RidgeClassifier(), classes=2)
    labels = (LABELS > 0).long()
    fitted = made.fit(BATCHES, labels, seeds=SEEDS, recipe=Recipe())
    answers = made.outputs(fitted, BATCHES)[0].numpy()
    decision = fitted[0].estimator.decision_function(inputs_of_arm(BATCHES, 0))
    np.testing.assert_allclose(answers, np.stack([-decision / 2, decision / 2], 1), rtol=1e-6)


class PredictsOnly(ClassifierMixin, BaseEstimator):
    """Says the class of the largest of the first three values, and how much it was shown."""

    def fit(self, inputs: np.ndarray, labels: np.ndarray) -> PredictsOnly:
        self.shown_ = inputs.copy(), labels.copy()
        self.drawn_ = np.random.random(), random.random()  # noqa: NPY002 - is what is tested
        return self

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        return inputs[:, :3].argmax(1)


def test_predictions_alone_become_one_and_zeros() -> None:
    answers = outputs(learner(PredictsOnly()))
    assert torch.equal(answers[0].argmax(1), BATCHES.shared.inputs[:, :3].argmax(1))
    assert torch.equal(answers.sum(2), torch.ones(3, len(LABELS)))


@pytest.mark.parametrize(
    ("estimator", "note"),
    [
        (LogisticRegression(), ""),
        (SVC(), "SVC has no predict_proba: its decision function is used."),
        (
            make_pipeline(StandardScaler(), Perceptron()),
            "Pipeline has no predict_proba: its decision function is used.",
        ),
        (
            PredictsOnly(),
            "PredictsOnly gives no scores of the classes: the class that it predicts is used.",
        ),
    ],
)
def test_note(estimator: Any, note: str) -> None:
    assert learner(estimator).note == note


def test_masks_that_are_drawn_anew_are_drawn_often() -> None:
    batches = RandomlyRemoved(BATCHES.shared, 2)
    first, again = (fit_arm(PredictsOnly(), batches, LABELS.numpy(), 0, 7) for _ in range(2))
    inputs, labels = first.estimator.shown_
    assert np.array_equal(inputs, again.estimator.shown_[0])
    other = fit_arm(PredictsOnly(), batches, LABELS.numpy(), 0, 8).estimator.shown_[0]
    assert not np.array_equal(inputs, other)
    draws = inputs.reshape(COPIES, len(LABELS), -1)
    assert len(np.unique(draws, axis=0)) == COPIES
    assert np.array_equal(labels.reshape(COPIES, -1), np.tile(LABELS.numpy(), (COPIES, 1)))
    whole = BATCHES.shared.inputs.numpy()
    assert (((draws == whole) | (draws == 0.25)).all(axis=(1, 2))).all()
    assert (draws == 0.25).mean() == pytest.approx(0.5, abs=0.05)


def test_draws_from_global_generators_come_from_the_seed_and_leave_no_trace() -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the same
    draws = [
        fit_arm(PredictsOnly(), BATCHES, LABELS.numpy(), 0, seed).estimator.drawn_
        for seed in (3, 3, 4)
    ]
    assert draws[0] == draws[1] != draws[2]
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002 - the same


def test_every_part_is_seeded_and_single_threaded() -> None:
    forest = RandomForestClassifier(n_jobs=4)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), forest), {}, cv=KFold(3, shuffle=True), n_jobs=2
    )
    made = prepared(search, 2**31 + 9).get_params()
    assert made["estimator__randomforestclassifier__random_state"] == 9
    assert made["estimator__randomforestclassifier__n_jobs"] == made["n_jobs"] == 1
    assert forest.random_state is None
    assert forest.n_jobs == 4


def test_lightgbm_is_deterministic_and_silent(capfd: pytest.CaptureFixture[str]) -> None:
    made = prepared(make_pipeline(LGBMClassifier(num_threads=3, verbose=-1)), 5).get_params()
    own = {key.rpartition("__")[2]: value for key, value in made.items()}
    assert own["deterministic"] is own["force_row_wise"] is True
    assert (own["random_state"], own["n_jobs"], own["num_threads"]) == (5, 1, 1)
    assert "verbosity" not in own
    assert "force_row_wise" not in prepared(LGBMClassifier(force_col_wise=True), 5).get_params()
    outputs(learner(CLASSIFIERS["lightgbm"]))
    assert capfd.readouterr() == ("", "")


class Fails(PredictsOnly):
    def fit(self, inputs: np.ndarray, labels: np.ndarray) -> Fails:  # noqa: ARG002 - fails
        raise ZeroDivisionError("on purpose")


class AnswersOddly(PredictsOnly):
    def predict_proba(self, inputs: np.ndarray) -> np.ndarray:
        return np.zeros((len(inputs), 2))


def test_errors_of_the_estimator_are_its_own() -> None:
    with pytest.raises(ZeroDivisionError, match="on purpose"):
        outputs(learner(Fails()))
    message = r"predict_proba of AnswersOddly must return .* \(70, 3\), got \(70, 2\)"
    with pytest.raises(ValueError, match=message):
        outputs(learner(AnswersOddly()))
