"""From answers to scores: literal answers, loops, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support import oracles
from uproar.models.scoring import example_scores

whole = st.integers(-4, 4)


def test_a_class_is_right_when_its_output_is_the_largest_and_the_first_of_equal_ones() -> None:
    outputs = torch.tensor(
        [
            [[0.0, 1.0, 0.0], [2.0, 1.0, 0.0], [1.0, 1.0, 0.0], [-1.0, -3.0, -2.0]],
            [[5.0, 1.0, 0.0], [0.0, 1.0, 9.0], [0.0, 0.0, 0.0], [-3.0, -2.0, -2.0]],
        ]
    )
    scores = example_scores(outputs, torch.tensor([1, 1, 0, 2]))
    assert scores.dtype == np.bool_
    assert scores.tolist() == [[True, False, True, False], [False, False, True, False]]


def test_values_lose_their_squared_error_in_variances_of_the_labels() -> None:
    labels = torch.tensor([-1.0, 1.0, 3.0, 5.0])  # mean 2, variance 5
    outputs = torch.tensor(
        [[[2.0]] * 4, [[-1.0], [1.0], [3.0], [5.0]], [[9.0], [1.0], [3.0], [0.0]]]
    )
    scores = example_scores(outputs, labels)
    assert scores.dtype == np.float32
    assert scores == pytest.approx(
        np.array([[-0.8, 0.8, 0.8, -0.8], [1, 1, 1, 1], [-19, 1, 1, -4]]), abs=1e-6
    )
    # The mean is R²: nothing for the mean of the labels, 1 for the labels themselves.
    assert scores.mean(axis=1) == pytest.approx([0, 1, -5.25], abs=1e-6)


@given(
    st.integers(1, 3).flatmap(
        lambda arms: st.tuples(
            st.lists(
                st.lists(st.tuples(whole, whole, whole), min_size=5, max_size=5),
                min_size=arms,
                max_size=arms,
            ),
            st.lists(st.integers(0, 2), min_size=5, max_size=5),
        )
    )
)
def test_classes_are_scored_as_one_at_a_time(drawn) -> None:
    outputs, labels = np.array(drawn[0], dtype=np.float32), np.array(drawn[1], dtype=np.int64)
    found = example_scores(torch.from_numpy(outputs), torch.from_numpy(labels))
    assert found.tolist() == oracles.example_scores(outputs, labels)


@given(
    st.lists(
        st.tuples(st.floats(-50, 50, width=32), st.integers(-5, 5)), min_size=2, max_size=9
    ).filter(lambda pairs: len({label for _, label in pairs}) > 1)
)
def test_values_are_scored_as_one_at_a_time(pairs) -> None:
    answers, labels = np.array(pairs, dtype=np.float32).T
    found = example_scores(torch.tensor(answers[None, :, None]), torch.tensor(labels))
    expected = np.array(oracles.example_scores(answers[None, :, None], labels))
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert (found <= 1).all()
    errors = (answers.astype(np.float64) - labels) ** 2
    assert found.mean(dtype=np.float64) == pytest.approx(
        1 - errors.mean() / labels.astype(np.float64).var(), rel=1e-5, abs=1e-5
    )


def test_scale_and_centre_of_the_labels_do_not_matter() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randn(40, generator=generator)
    outputs = torch.randn(2, 40, 1, generator=generator)
    plain = example_scores(outputs, labels)
    assert example_scores(30 * outputs + 7, 30 * labels + 7) == pytest.approx(plain, abs=1e-4)


def test_arguments_are_left_alone() -> None:
    outputs, labels = torch.zeros(1, 3, 1), torch.tensor([0.0, 1.0, 2.0])
    example_scores(outputs, labels)
    assert not outputs.any()
    assert labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 1e30])
def test_diverged_models_of_values_are_counted(bad) -> None:
    outputs = torch.zeros(3, 4, 1)
    outputs[1, 2] = bad
    with pytest.raises(ValueError, match=r"^1 of 3 models answer with NaN or .*training diverged"):
        example_scores(outputs, torch.arange(4.0))


def test_diverged_models_of_classes_are_counted_and_infinite_logarithms_are_not() -> None:
    outputs, labels = torch.zeros(4, 3, 2), torch.zeros(3, dtype=torch.int64)
    outputs[0, 0, 1] = outputs[3, :, 0] = float("nan")
    with pytest.raises(ValueError, match=r"^2 of 4 models answer with NaN"):
        example_scores(outputs, labels)
    logarithms = torch.tensor([[[0.0, -float("inf")], [-float("inf"), 0.0], [0.0, 0.0]]])
    assert example_scores(logarithms, labels).tolist() == [[True, False, True]]


def test_equal_labels_cannot_be_predicted() -> None:
    with pytest.raises(ValueError, match=r"^all 4 test labels are 0\.5, .* choose another target"):
        example_scores(torch.zeros(1, 4, 1), torch.full((4,), 0.5))


@pytest.mark.parametrize(
    ("outputs", "labels", "message"),
    [
        ((2, 3, 4), torch.zeros(5, dtype=torch.int64), r"classes\) .*\(2, 3, 4\) and \(5,\)"),
        ((3, 4), torch.zeros(3, dtype=torch.int64), r"got \(3, 4\) and \(3,\)"),
        ((2, 3, 2), torch.arange(3.0), r"1 output, as labels are values\) .*\(2, 3, 2\)"),
    ],
)
def test_shapes_that_do_not_fit_are_shown(outputs, labels, message) -> None:
    with pytest.raises(ValueError, match=message):
        example_scores(torch.zeros(outputs), labels)
