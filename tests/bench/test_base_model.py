"""What base models answer, and the facts about data that reports start from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from tests.support.small_data import small
from uproar.bench.base_model import chance_p_value, facts_of, predictions_of, texts_of
from uproar.data import load
from uproar.dataset import Data, Split, label_text

CPU = torch.device("cpu")


def values(labels: list[float], **options) -> Data:
    """Return a regression whose inputs hold the label, standardised by 10 and 2."""
    column = np.array(labels, np.float32)
    part = Split(np.stack([column, column * 0], 1), column)
    return Data(
        *("values", "table", part, part, part),
        feature_shape=(2,),
        class_names=(),
        label_centre=10.0,
        label_scale=2.0,
        **options,
    )


def test_classes_are_explained_for_the_predicted_one():
    part = Split(np.eye(3, dtype=np.float32), np.array([0, 1, 1]))
    answers = predictions_of(lambda inputs: inputs, part, CPU)
    assert answers.targets.tolist() == answers.predicted.tolist() == [0, 1, 2]
    assert answers.scores.tolist() == [True, True, False]
    assert answers.scores.dtype == bool
    assert answers.summary() == {"score": pytest.approx(2 / 3), "examples": 3}


def test_values_have_one_output_and_scores_whose_mean_is_r_squared():
    data = values([0.0, 1.0, 2.0, 5.0])
    answers = predictions_of(lambda inputs: inputs[:, :1] * 0.5, data.test, CPU)
    assert answers.targets.tolist() == [0, 0, 0, 0]
    np.testing.assert_allclose(answers.predicted, [0, 0.5, 1, 2.5])
    # Squared errors 0, 0.25, 1, 6.25 of mean 1.875, over the variance of 0, 1, 2, 5.
    assert answers.summary()["score"] == pytest.approx(1 - 1.875 / 3.5)


def test_passes_of_any_size_answer_the_same(monkeypatch):
    data = small("grey")
    weights = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))

    def asked(inputs):
        return inputs.flatten(1) @ weights

    whole = predictions_of(asked, data.test, CPU)
    monkeypatch.setattr("uproar.bench.base_model.rows_per_pass", lambda inputs: len(inputs) // 10)
    parts = predictions_of(asked, data.test, CPU)
    np.testing.assert_array_equal(whole.predicted, parts.predicted)
    np.testing.assert_array_equal(whole.scores, parts.scores)


def test_an_empty_split_has_no_score():
    data = small("table")
    none = Split(data.test.inputs[:0], data.test.labels[:0])
    assert predictions_of(len, none, CPU).summary() == {"score": None, "examples": 0}


def test_luck_of_classes_is_a_binomial_test_against_the_majority_of_train():
    data = small("table")  # validation has 12 examples, 4 of each class
    scores = np.array([True] * 9 + [False] * 3)
    expected = binomtest(9, 12, 1 / 3, "greater").pvalue
    assert chance_p_value(data, scores) == pytest.approx(expected)
    assert chance_p_value(data, ~scores) > 0.5
    assert chance_p_value(data, scores[:1]) == 0.0


def test_luck_of_values_is_a_test_of_the_scores_against_zero():
    data = values([0.0, 1.0, 2.0])
    assert chance_p_value(data, np.array([0.9, 0.8, 1.0], np.float32)) < 0.01
    assert chance_p_value(data, np.array([-0.9, 0.8, 0.1], np.float32)) > 0.3


def test_labels_are_told_by_name_or_in_their_own_units():
    table, numbers = small("table"), values([0.0, 1.5])
    assert label_text(1, table.class_names, table.label_centre, table.label_scale) == "b"
    assert label_text(1.5, (), numbers.label_centre, numbers.label_scale) == "13"


def test_texts_are_those_of_people():
    data = load("planted-words", seed=0)
    tokens = texts_of(data, 0)
    present = data.present(data.test)[0]
    assert len(tokens) == present.sum()
    assert tokens == [data.vocabulary.tokens[i] for i in data.test.inputs[0][present]]
    table = replace(values([0.0, 1.0]), test_texts=np.array([["red", "3"], ["blue", "4"]]))
    assert texts_of(table, 1) == ["blue", "4"]
    assert texts_of(values([0.0, 1.0]), 1) == []


def test_facts_of_classes_and_values():
    facts = facts_of(small("colour"), [0, 4])
    assert (facts["kind"], facts["task"], facts["score"]) == ("image", "classification", "accuracy")
    assert facts["labels"] == ["a", "b"]
    assert facts["label_variance"] is None
    assert (facts["train"], facts["validation"], facts["test"]) == (70, 12, 40)
    facts = facts_of(values([0.0, 1.0, 2.0, 5.0], notes=("One row was left out.",)), [3])
    assert (facts["task"], facts["score"], facts["labels"]) == ("regression", "R²", ["20"])
    # In the units of the labels: 3.5 standardised, times 2 squared.
    assert facts["label_variance"] == pytest.approx(14.0)
    assert facts["notes"] == ("One row was left out.",)
    assert facts["majority_rate"] == pytest.approx(0.0)
    assert facts_of(load("planted-words", seed=0), [])["vocabulary"] > 3
