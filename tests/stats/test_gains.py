"""Gains, comparison with random, verdicts: literal answers, properties, error texts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import stdtr, stdtrit

from tests.support import oracles
from uproar.stats.gains import attainable_gain, example_gains, trapezoid_weights
from uproar.stats.verdicts import compare_with_random, verdicts

FRACTIONS = (0.1, 0.3, 0.5, 0.7, 0.9)
COLUMNS = "explainer gain low high normalised p_value p_holm verdict reason rank rank_low rank_high"

ascending = st.lists(st.integers(0, 100), min_size=1, max_size=9, unique=True).map(
    lambda percents: [percent / 100 for percent in sorted(percents)]
)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def answers(seed: int, accuracy: float = 0.5, shape=(2, 5, 3, 7)) -> np.ndarray:
    return generator(seed).random(shape) < accuracy


def some_gains(count: int = 4, shape=(1, 5, 40), seed: int = 0) -> dict[str, np.ndarray]:
    noise = generator(seed).normal(size=(count, *shape)) * 0.2
    gains = {f"explainer-{i}": noise[i] + 0.1 * (i - 1) for i in range(count)}
    return {**gains, "random": np.zeros(shape)}


# Weights and areas


def test_weights_of_the_paper_s_fractions() -> None:
    assert trapezoid_weights(FRACTIONS) == pytest.approx([0.15, 0.2, 0.2, 0.2, 0.1])
    assert trapezoid_weights([0.4]) == pytest.approx([0.2])
    assert trapezoid_weights([0.0, 0.5, 1.0]) == pytest.approx([0.25, 0.5, 0.25])


@given(ascending)
def test_weights_add_up_to_the_largest_fraction_less_half_the_smallest(fractions) -> None:
    weights = trapezoid_weights(fractions)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(fractions[-1] - fractions[0] / 2)


@pytest.mark.slow
@given(ascending, st.integers(0, 99))
def test_weights_give_the_area(fractions, seed) -> None:
    values = generator(seed).normal(size=len(fractions))
    if fractions[0] == 0:
        values[0] = 0.0  # the shared point
    assert trapezoid_weights(fractions) @ values == pytest.approx(
        oracles.area(fractions, list(values))
    )


@pytest.mark.parametrize("fractions", [[0.5, 0.1], [0.1, 0.1, 0.5]])
def test_unsorted_or_repeated_fractions_raise(fractions) -> None:
    with pytest.raises(ValueError, match=r"ascending without repeats, got \[0\.\d, .*sort them"):
        trapezoid_weights(fractions)


@pytest.mark.parametrize("fractions", [[], [-0.1, 0.5], [0.5, 1.5]])
def test_impossible_fractions_raise(fractions) -> None:
    with pytest.raises(ValueError, match=r"expected fractions in \[0, 1\], at least one, got"):
        trapezoid_weights(fractions)


# Gains


@pytest.mark.parametrize("direction", ["lower", "higher"])
def test_gains_are_the_areas_between_the_curves(direction) -> None:
    ours, theirs = answers(1), answers(2)
    expected = oracles.example_gains(ours, theirs, FRACTIONS, direction)
    assert example_gains(ours, theirs, FRACTIONS, direction=direction) == pytest.approx(expected)


def test_gain_is_antisymmetric_and_zero_with_itself() -> None:
    ours, theirs = answers(1), answers(2)
    there = example_gains(ours, theirs, FRACTIONS, direction="lower")
    back = example_gains(theirs, ours, FRACTIONS, direction="lower")
    assert np.array_equal(there, -back)
    assert np.array_equal(there, -example_gains(ours, theirs, FRACTIONS, direction="higher"))
    nothing = example_gains(ours, ours, FRACTIONS, direction="lower")
    assert not nothing.any()
    assert not np.signbit(nothing).any()


def test_arguments_are_left_alone() -> None:
    ours, theirs = answers(1), answers(2)
    before = ours.copy(), theirs.copy()
    example_gains(ours, theirs, FRACTIONS, direction="lower")
    assert np.array_equal(ours, before[0])
    assert np.array_equal(theirs, before[1])


@pytest.mark.parametrize(("direction", "best"), [("lower", 0.0), ("higher", 1.0)])
def test_perfect_explainer_has_normalised_gain_one(direction, best) -> None:
    reference = answers(3)
    perfect = np.full(reference.shape, bool(best))
    gain = example_gains(perfect, reference, FRACTIONS, direction=direction).mean()
    attainable = attainable_gain(reference, best, FRACTIONS, direction=direction)
    assert attainable > 0
    assert gain / attainable == pytest.approx(1)


def real_scores(seed: int, shape=(2, 5, 3, 7)) -> np.ndarray:
    """What squared errors with heavy tails make: at most 1, now and then far below 0."""
    return (1 - 0.5 * generator(seed).standard_t(3, size=shape) ** 2).astype(np.float32)


@given(ascending, st.sampled_from(["lower", "higher"]), st.integers(0, 99))
def test_gains_of_real_scores_are_the_areas_between_the_curves(fractions, direction, seed) -> None:
    shape = (2, len(fractions), 2, 3)
    ours, theirs = real_scores(seed, shape), real_scores(seed + 100, shape)
    if fractions[0] == 0:
        ours[:, 0] = theirs[:, 0]  # the shared point
    found = example_gains(ours, theirs, fractions, direction=direction)
    assert found.dtype == np.float64
    assert found == pytest.approx(
        oracles.example_gains(ours, theirs, fractions, direction), rel=1e-9, abs=1e-9
    )


def test_gain_of_real_scores_by_hand() -> None:
    ours = np.array([0.5, -3.0], dtype=np.float32).reshape(1, 2, 1, 1)
    theirs = np.array([0.75, 0.25], dtype=np.float32).reshape(1, 2, 1, 1)
    # Weights 0.5 and 0.25; random is better by 0.25 and by 3.25.
    gains = example_gains(ours, theirs, [0.5, 1.0], direction="lower")
    assert gains.tolist() == [[[0.5 * 0.25 + 0.25 * 3.25]]]
    assert attainable_gain(theirs, -0.25, [0.5, 1.0], direction="lower") == 0.5 * 1 + 0.25 * 0.5


@pytest.mark.parametrize("direction", ["lower", "higher"])
@pytest.mark.parametrize("number", [np.float32, np.float64])
def test_answers_as_numbers_have_the_gains_of_answers(direction, number) -> None:
    ours, theirs = answers(1), answers(2)
    gains = example_gains(ours, theirs, FRACTIONS, direction=direction)
    for first, second in [(number, number), (number, bool), (bool, number)]:
        again = example_gains(
            ours.astype(first), theirs.astype(second), FRACTIONS, direction=direction
        )
        assert again == pytest.approx(gains, abs=1e-15)
    assert attainable_gain(
        theirs.astype(number), 0.1, FRACTIONS, direction=direction
    ) == pytest.approx(attainable_gain(theirs, 0.1, FRACTIONS, direction=direction))


def test_real_scores_are_averaged_in_double_precision() -> None:
    reference = np.full((1, 1, 1, 300_000), 0.1, dtype=np.float32)
    reference[..., 0] = -3e6
    exact = float(reference.astype(np.float64).mean())
    assert attainable_gain(reference, 0.0, [0.5], direction="higher") == pytest.approx(
        -exact * trapezoid_weights([0.5])[0], rel=1e-9
    )


def test_gain_errors_show_what_arrived() -> None:
    with pytest.raises(ValueError, match=r"got \(2, 5, 3, 7\) and \(2, 5, 3, 6\)"):
        example_gains(answers(0), answers(0)[..., :6], FRACTIONS, direction="lower")
    with pytest.raises(ValueError, match="got 2 fractions for 5 points"):
        example_gains(answers(0), answers(1), [0.1, 0.3], direction="lower")
    with pytest.raises(ValueError, match="must be 'lower' or 'higher', got 'up'"):
        example_gains(answers(0), answers(1), FRACTIONS, direction="up")  # type: ignore[arg-type]


# The comparison


def test_table_has_its_columns_and_literal_verdicts() -> None:
    spread = np.linspace(-0.1, 0.1, 50)
    gains = {
        "worst": -0.3 + spread[None, None],
        "random": np.zeros((1, 1, 50)),
        "best": 0.3 + spread[None, None],
        "same": spread[None, None],
        "leaky": 0.4 + spread[None, None],
    }
    found = compare_with_random(
        gains,
        attainable=0.6,
        generator=generator(),
        reasons={"leaky": "leaks", "same": ""},
        retrained=False,
    )
    table = found.table
    assert set(table.columns) == set(COLUMNS.split())
    assert table["explainer"].tolist() == ["leaky", "best", "random", "same", "worst"]
    assert table["verdict"].tolist() == [
        "withheld",
        "better",
        "reference",
        "alike",
        "worse",
    ]
    assert table["reason"].tolist() == ["leaks", "", "", "", ""]
    assert table["gain"].tolist() == pytest.approx([0.4, 0.3, 0.0, 0.0, -0.3])
    assert table["normalised"].tolist() == pytest.approx([2 / 3, 0.5, 0.0, 0.0, -0.5])
    assert table["rank"].tolist() == [1, 2, 3, 3, 5]
    assert table["rank_low"].tolist() == [1, 2, 3, 3, 5]
    assert table["rank_high"].tolist() == [1, 2, 4, 4, 5]
    # Fifty values from -0.1 to 0.1; the mean has an error, and Student's t 49 degrees of freedom.
    error = spread.std(ddof=1) / np.sqrt(50)
    half = stdtrit(49, 0.975) * error
    assert table["high"].tolist() == pytest.approx(
        [0.4 + half, 0.3 + half, 0, half, -0.3 + half], rel=1e-3
    )
    assert (table["gain"] - table["low"]).tolist() == pytest.approx(
        (table["high"] - table["gain"]).tolist()
    )
    p_value = 2 * stdtr(49, -0.3 / error)
    assert table["p_value"].tolist()[1] == pytest.approx(p_value, rel=0.05, abs=1e-15)
    holm = table["p_holm"] / table["p_value"]
    assert holm.tolist()[:2] == pytest.approx([4, 3])  # random is not counted
    assert list(found.draws.columns) == sorted(gains)
    assert len(found.draws) == 4000


def test_reference_against_itself_is_nothing() -> None:
    found = compare_with_random(some_gains(), attainable=0.5, generator=generator(), draws=400)
    row = found.table.set_index("explainer").loc["random"]
    assert row[["gain", "low", "high", "normalised"]].tolist() == [0, 0, 0, 0]
    assert row["p_value"] == 1
    assert row["verdict"] == "reference"


def test_explainer_equal_to_the_reference_is_not_told_apart() -> None:
    gains = {**some_gains(1), "twin": np.zeros((1, 5, 40))}
    found = compare_with_random(gains, attainable=0.5, generator=generator(), draws=400)
    row = found.table.set_index("explainer").loc["twin"]
    assert row[["gain", "low", "high", "p_value", "p_holm"]].tolist() == [0, 0, 0, 1, 1]
    assert row["verdict"] == "alike"


def test_reference_alone_makes_a_table() -> None:
    found = compare_with_random(
        {"random": np.zeros((1, 2, 9))}, attainable=0.5, generator=generator()
    )
    assert found.table["verdict"].tolist() == ["reference"]
    assert np.isnan(found.smallest_detectable)


def test_no_room_below_random_gives_no_normalised_gain() -> None:
    found = compare_with_random(some_gains(), attainable=0.0, generator=generator(), draws=400)
    assert found.table["normalised"].isna().all()


def test_same_seed_same_table_and_order_of_explainers_does_not_matter() -> None:
    gains = some_gains()
    reordered = dict(reversed(gains.items()))
    found = [
        compare_with_random(each, attainable=0.5, generator=generator(seed), draws=400)
        for each, seed in [(gains, 7), (gains, 7), (reordered, 7), (gains, 8)]
    ]
    tables = [each.table for each in found]
    pd.testing.assert_frame_equal(tables[0], tables[1], check_exact=True)
    pd.testing.assert_frame_equal(tables[0], tables[2], check_exact=True)
    assert not found[0].draws.equals(found[3].draws)


def test_level_changes_intervals_and_verdicts() -> None:
    wide, narrow = (
        compare_with_random(
            some_gains(), attainable=0.5, generator=generator(), draws=400, level=level
        ).table
        for level in (0.05, 0.5)
    )
    tested = wide["explainer"] != "random"
    assert (wide["low"] < narrow["low"])[tested].all()
    assert (wide["high"] > narrow["high"])[tested].all()
    assert (wide["verdict"] == "alike").any()
    assert not (narrow["verdict"] == "alike").any()


@pytest.mark.slow
@settings(max_examples=12)
@given(st.integers(0, 999), st.integers(1, 2), st.integers(1, 4))
def test_table_holds_together(seed, base_models, repeats) -> None:
    gains = some_gains(3, (base_models, repeats, 12), seed)
    found = compare_with_random(gains, attainable=0.5, generator=generator(seed), draws=300)
    table = found.table
    assert (table["low"] <= table["high"]).all()
    assert (table["p_holm"] >= table["p_value"]).all()
    assert table["p_value"].between(0, 1).all()
    assert ((table["p_value"] <= 0.05) == ((table["low"] > 0) | (table["high"] < 0))).all()
    assert (table["rank_low"] <= table["rank_high"]).all()
    assert table["gain"].is_monotonic_decreasing
    assert table["rank"].tolist() == [1, 2, 3, 4]
    for row in table.itertuples():
        assert row.gain == pytest.approx(gains[row.explainer].mean())


def test_comparison_errors_show_what_arrived() -> None:
    gains = some_gains(1)
    with pytest.raises(ValueError, match="'sobel' is not among the gains: explainer-0, random"):
        compare_with_random(gains, attainable=1.0, generator=generator(), reference="sobel")
    with pytest.raises(ValueError, match=r"'explainer-0' must be zero everywhere, got up to 0\.\d"):
        compare_with_random(gains, attainable=1.0, generator=generator(), reference="explainer-0")
    odd = {**gains, "odd": np.zeros((1, 5, 39))}
    with pytest.raises(ValueError, match=r"one shape .*'odd': \(1, 5, 39\)"):
        compare_with_random(odd, attainable=1.0, generator=generator())


def test_draws_change_neither_intervals_nor_verdicts() -> None:
    few, many = (
        compare_with_random(some_gains(), attainable=0.5, generator=generator(), draws=draws)
        for draws in (10, 900)
    )
    columns = ["explainer", "gain", "low", "high", "p_value", "p_holm", "verdict", "rank"]
    pd.testing.assert_frame_equal(few.table[columns], many.table[columns], check_exact=True)


@pytest.mark.slow
def test_p_values_and_intervals_follow_the_integral() -> None:
    gains = some_gains(2, (2, 3, 8))
    table = compare_with_random(gains, attainable=0.5, generator=generator(), draws=20).table
    for row in table[table["explainer"] != "random"].itertuples():
        levels = oracles.level_errors(gains[row.explainer])
        assert row.p_value == pytest.approx(oracles.behrens_fisher(row.gain, levels), rel=1e-3)
        half = row.gain - row.low
        assert oracles.behrens_fisher(half, levels) == pytest.approx(0.05, rel=1e-3)


@pytest.mark.parametrize(
    ("repeats", "retrained", "verdict", "reason"),
    [
        (1, True, "untested", "one repeat"),
        (2, True, "better", ""),
        (1, False, "better", ""),
    ],
)
def test_one_training_gives_no_verdict(repeats, retrained, verdict, reason) -> None:
    ours = 0.3 + np.linspace(-0.1, 0.1, 50) + np.zeros((3, repeats, 50))
    found = compare_with_random(
        {"ours": ours, "random": 0 * ours},
        attainable=0.5,
        generator=generator(),
        retrained=retrained,
        draws=20,
    )
    table = found.table.set_index("explainer")
    assert table.loc["ours", ["verdict", "reason"]].tolist() == [verdict, reason]
    assert table.loc["random", ["verdict", "reason"]].tolist() == ["reference", ""]


@pytest.mark.parametrize(
    ("reason", "verdict"),
    [
        ("leaks", "withheld"),
        ("unclear", "withheld"),
        ("no leak control", "untested"),
        ("learned nothing", "untested"),
        ("tied reference", "untested"),
    ],
)
def test_a_reason_takes_the_verdict_and_nothing_else(reason, verdict) -> None:
    with_reason, without = (
        compare_with_random(
            some_gains(),
            attainable=0.5,
            generator=generator(),
            reasons=dict.fromkeys(names, reason),
            draws=20,
        ).table
        for names in (["explainer-3", "random"], [])
    )
    row = with_reason.set_index("explainer").loc["explainer-3"]
    assert (row["verdict"], row["reason"]) == (verdict, reason)
    assert with_reason.set_index("explainer").loc["random", "reason"] == ""
    same = [name for name in without if name not in ("verdict", "reason")]
    pd.testing.assert_frame_equal(with_reason[same], without[same], check_exact=True)


def test_of_several_reasons_the_given_one_is_told() -> None:
    gains = some_gains(2, (1, 1, 40))
    table = compare_with_random(
        gains,
        attainable=0.5,
        generator=generator(),
        reasons={"explainer-0": "unclear"},
        draws=20,
    ).table.set_index("explainer")
    assert table["reason"].to_dict() == {
        "explainer-0": "unclear",
        "explainer-1": "one repeat",
        "random": "",
    }


def test_verdicts_depend_on_sign_level_and_reason() -> None:
    table = pd.DataFrame(
        {
            "explainer": list("abcde"),
            "gain": [0.1, -0.1, 0.1, 0.1, 0.0],
            "p_holm": [0.04, 0.04, 0.06, 0.001, 1.0],
            "reason": ["", "", "", "unclear", ""],
        }
    )
    assert verdicts(table, reference="e") == ["better", "worse", "alike", "withheld", "reference"]
    assert verdicts(table, reference="e", level=0.01)[:2] == ["alike"] * 2
