"""Pairs, agreement of protocols: against loops and SciPy, literal answers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from tests.support import oracles
from uproar.stats.agreement import (
    agreement,
    distinguishable_pairs,
    rank_correlation,
    spearman_agreement,
)
from uproar.stats.resampling import gain_draws
from uproar.stats.verdicts import compare_with_random


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def some_gains(means, shape=(1, 5, 60), seed: int = 0, size: float = 0.2) -> dict[str, np.ndarray]:
    random = generator(seed)
    gains = {name: mean + size * random.normal(size=shape) for name, mean in means.items()}
    return {**gains, "random": np.zeros(shape)}


# Pairs


@pytest.mark.slow
def test_pairs_follow_the_integral_and_holm() -> None:
    gains = some_gains({"a": 0.3, "b": 0.0, "c": 0.02}, (2, 5, 30))
    table = distinguishable_pairs(gains)
    order = sorted("abc", key=lambda name: -gains[name].mean())
    expected = []
    for first, second in [(order[0], order[1]), (order[0], order[2]), (order[1], order[2])]:
        difference = gains[first] - gains[second]
        levels = oracles.level_errors(difference)
        expected.append(oracles.behrens_fisher(float(difference.mean()), levels))
    assert table["first"].tolist() == [order[0], order[0], order[1]]
    assert table["second"].tolist() == [order[1], order[2], order[2]]
    assert table["p_holm"].tolist() == pytest.approx(oracles.holm(expected), rel=1e-3)
    assert (table["difference"] >= 0).all()
    assert table["distinguishable"].tolist() == (table["p_holm"] <= 0.05).tolist()


def test_pairs_agree_with_the_draws() -> None:
    gains = some_gains({"a": 0.05, "b": 0.0}, (1, 5, 60), seed=3)
    (p_value,) = distinguishable_pairs(gains)["p_holm"]
    difference = (gains["a"] - gains["b"])[None]
    again = gain_draws(difference, generator=generator(), draws=20_000)
    assert 2 * min((again <= 0).mean(), (again >= 0).mean()) == pytest.approx(p_value, abs=0.02)


def test_twenty_two_different_explainers_are_all_told_apart() -> None:
    gains = some_gains({f"e{i:02}": 0.2 * i for i in range(22)})
    table = distinguishable_pairs(gains)
    assert len(table) == 231
    assert table["distinguishable"].all()


def test_equal_explainers_are_never_told_apart() -> None:
    gains = some_gains({"a": 0.3, "b": 0.0})
    table = distinguishable_pairs({**gains, "twin": gains["a"]})
    twins = table[(table["first"] == "a") & (table["second"] == "twin")]
    assert twins[["difference", "p_holm"]].to_numpy().tolist() == [[0.0, 1.0]]


def test_constant_difference_is_told_apart() -> None:
    gains = some_gains({"a": 0.3})
    table = distinguishable_pairs({**gains, "less": gains["a"] - 0.125})
    assert table["distinguishable"].tolist() == [True]


@pytest.mark.parametrize("names", ["", "a"])
def test_fewer_than_two_explainers_have_no_pairs(names) -> None:
    table = distinguishable_pairs(some_gains(dict.fromkeys(names, 0.1)))
    assert table.columns.tolist() == ["first", "second", "difference", "p_holm", "distinguishable"]
    assert len(table) == 0


def test_false_pairs_stay_near_the_level() -> None:
    found = [
        distinguishable_pairs(some_gains(dict.fromkeys("abc", 0.1), (1, 5, 30), seed))
        for seed in range(200)
    ]
    assert sum(table["distinguishable"].any() for table in found) <= 14


# Agreement


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=12))
def test_rank_correlation_is_spearman_s(pairs) -> None:
    first, second = np.array(pairs, dtype=float).T
    found = rank_correlation(first[None], second[None])[0]
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(oracles.spearman(list(first), list(second)))
        assert found == pytest.approx(scipy.stats.spearmanr(first, second).statistic)


def test_agreement_uses_shared_explainers_whatever_their_order() -> None:
    first = {"a": 1.0, "b": 2.0, "c": 3.0, "only here": -9.0}
    second = pd.Series({"c": 0.3, "b": 0.1, "a": 0.2})
    found = spearman_agreement(first, second)
    assert found.rho == pytest.approx(0.5)
    assert found.explainers == 3
    assert np.isnan(found.low)


def test_two_explainers_neither_agree_nor_disagree() -> None:
    found = spearman_agreement({"a": 1.0, "b": 2.0}, {"a": 1.0, "b": 2.0})
    assert np.isnan(found.rho)
    assert found.explainers == 2


def test_agreement_of_protocols() -> None:
    means = {name: 0.1 * place for place, name in enumerate("abcdef")}
    opposite = {name: -mean for name, mean in means.items()}
    comparisons = {
        protocol: compare_with_random(
            some_gains(each, seed=seed, size=0.05),
            attainable=1.0,
            generator=generator(1),
            draws=400,
        )
        for seed, (protocol, each) in enumerate([("roar", means), ("kar", opposite), ("x", means)])
    }
    table = agreement(comparisons, [("roar", "kar"), ("roar", "x")])
    assert table.columns.tolist() == ["first", "second", "spearman", "low", "high", "explainers"]
    assert table["spearman"].tolist() == pytest.approx([-1, 1])
    assert table["explainers"].tolist() == [6, 6]  # without random
    assert table["low"].tolist() == pytest.approx([-1, 1], abs=0.1)
    with pytest.raises(ValueError, match="no comparison for roads; known: roar, kar, x"):
        agreement(comparisons, [("roar", "roads")])


def test_agreement_with_itself_is_sure_when_draws_are_paired() -> None:
    comparison = compare_with_random(
        some_gains(dict.fromkeys("abcd", 0.1)), attainable=1.0, generator=generator(), draws=400
    )
    gains = comparison.table.set_index("explainer")["gain"]
    found = spearman_agreement(
        gains, gains, first_draws=comparison.draws, second_draws=comparison.draws
    )
    assert (found.rho, found.low, found.high) == pytest.approx((1, 1, 1))


def test_draws_of_one_side_raise() -> None:
    draws = pd.DataFrame({"a": [0.0]})
    with pytest.raises(ValueError, match="equally many draws, got 1 and None"):
        spearman_agreement({"a": 1.0}, {"a": 1.0}, first_draws=draws)
