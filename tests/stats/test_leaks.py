"""The leak control: literal answers, error rates in simulations, masks that all tell the length."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support import oracles
from uproar.stats.leaks import leaking, leaks


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


FRACTIONS = (0.1, 0.3, 0.5, 0.7, 0.9)


@pytest.mark.slow
def test_random_masks_at_chance_are_rarely_flagged() -> None:
    random, flagged = generator(5), 0
    for _ in range(40):
        told = {f"e{i}": random.random((1, 5, 2, 200)) < 0.1 for i in range(10)}
        table = leaks(told, FRACTIONS, majority_rate=0.1, clean_score=0.1)  # no margin
        flagged += bool(table["leaks"].any())
    assert flagged <= 3  # 2.5 % of 40 tables, one-sided


def test_margin_lies_between_majority_rate_and_clean_score() -> None:
    told = {"slight": generator(6).random((1, 1, 1, 5000)) < 0.2}
    sure = leaks(told, [0.5], majority_rate=0.1, clean_score=0.9)
    lenient = leaks(told, [0.5], majority_rate=0.1, clean_score=0.9, margin=0.2)
    assert sure["leaks"].tolist() == [True]
    assert lenient["leaks"].tolist() == [False]


@pytest.mark.parametrize(("base_models", "repeats"), [(1, 1), (1, 2), (2, 5)])
def test_masks_that_tell_the_label_are_flagged(base_models, repeats) -> None:
    shape = (base_models, 5, repeats, 100)
    told = {
        "signed": generator(7).random(shape) < 0.9,
        "random": generator(8).random(shape) < 0.1,
    }
    table = leaks(told, FRACTIONS, majority_rate=0.1, clean_score=0.97)
    assert table.columns.tolist() == ["explainer", "fraction", "accuracy", "low", "high", "leaks"]
    assert table["leaks"].tolist() == [True] * 5 + [False] * 5
    assert table["fraction"].tolist() == [*FRACTIONS, *FRACTIONS]
    assert table["accuracy"][3] == pytest.approx(told["signed"][:, 3].mean())
    assert leaking(table) == {"signed"}


def test_more_cells_need_wider_intervals() -> None:
    told = generator(9).random((1, 1, 1, 100)) < 0.5
    settings = {"majority_rate": 0.1, "clean_score": 0.9}
    one = leaks({"a": told}, [0.5], **settings)
    many = leaks(dict.fromkeys("abcdefgh", told), [0.5], **settings)
    assert many["low"][0] < one["low"][0]
    assert leaks({"a": told}, [0.5], **settings, level=0.01)["low"][0] < one["low"][0]


def test_no_explainers_no_leaks() -> None:
    table = leaks({}, FRACTIONS, majority_rate=0.1, clean_score=0.9)
    assert len(table) == 0
    assert leaking(table) == frozenset()


def test_leak_errors_show_what_arrived() -> None:
    with pytest.raises(ValueError, match=r"mask_only\['a'\] must be .*5 fractions.*\(1, 4, 1, 9\)"):
        leaks({"a": np.zeros((1, 4, 1, 9), bool)}, FRACTIONS, majority_rate=0.1, clean_score=0.9)
    other = {"a": np.zeros((1, 5, 1, 9), bool), "b": np.zeros((1, 5, 1, 8), bool)}
    with pytest.raises(ValueError, match=r"the same test examples, got \{'a': 9, 'b': 8\}"):
        leaks(other, FRACTIONS, majority_rate=0.1, clean_score=0.9)


# Where every mask tells something: examples of different lengths


def masks(name: str, worlds: int, seed: int) -> list[dict[str, np.ndarray]]:
    """Mask-only scores of random and four explainers that tell no more than the length does."""
    random, shape, found = generator(seed), (1, 2, 2, 200), []
    for _ in range(worlds):
        length = random.normal(size=shape[-1])
        labels = length + 0.6 * random.standard_t(3, size=shape[-1])
        told = {}
        for explainer in ("random", "a", "b", "c", "d"):
            answers = length + 0.2 * random.normal(size=shape)
            if name == "classes":
                told[explainer] = (answers > 0) == (labels > 0)
            else:
                told[explainer] = (1 - (labels - answers) ** 2 / labels.var()).astype(np.float32)
        found.append(told)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("name", "majority"), [("classes", 0.5), ("values", 0.0)])
@pytest.mark.parametrize(("margin", "tables", "most"), [(0.0, 120, 8), (0.05, 40, 1)])
def test_what_random_masks_tell_is_no_leak(name, majority, margin, tables, most) -> None:
    settings = {"majority_rate": majority, "clean_score": 0.95, "margin": margin}
    worlds = masks(name, tables, seed=1)
    flagged = [bool(leaking(leaks(told, [0.3, 0.6], **settings))) for told in worlds]
    # One-sided at 2.5 % of the tables, so 3 of 120 are expected without a margin.
    assert sum(flagged) <= most
    few = worlds[:30]
    without = [leaking(leaks(told, [0.3, 0.6], **settings, reference="none")) for told in few]
    assert sum(map(bool, without)) > 15


@pytest.mark.parametrize("dtype", [bool, np.float32])
def test_what_a_mask_tells_beyond_random_masks_is_a_leak(dtype) -> None:
    examples = np.arange(400)
    told = {
        "random": np.tile(examples % 4 > 0, (1, 1, 2, 1)).astype(dtype),  # 0.75
        "more": np.tile(examples % 8 > 0, (1, 1, 2, 1)).astype(dtype),  # 0.875
        "same": np.tile(examples % 4 > 0, (1, 1, 2, 1)).astype(dtype),
        "other": np.tile(examples % 4 < 3, (1, 1, 2, 1)).astype(dtype),  # 0.75 of others
    }
    found = leaks(told, [0.5], majority_rate=0.5, clean_score=0.9)
    assert leaking(found) == {"more"}
    # Of 0.875 and more, the first bar alone would flag all of them.
    alone = leaks(told, [0.5], majority_rate=0.5, clean_score=0.9, reference="none")
    assert leaking(alone) == {"random", "more", "same", "other"}
    assert found.drop(columns="leaks").equals(alone.drop(columns="leaks"))


@pytest.mark.slow
def test_both_bars_follow_the_definition() -> None:
    random = generator(2)
    for seed in range(25):
        easy = random.random(60)  # the same examples for all masks: scores are compared in pairs
        told = {n: 0.8 * easy + 0.2 * random.random((1, 2, 2, 60)) for n in ("random", "a", "b")}
        told["a"] += random.uniform(0, 0.4)
        settings = {"majority_rate": 0.4, "clean_score": float(random.uniform(0.2, 1.4))}
        table = leaks(told, [0.3, 0.6], **settings, margin=0.2, level=0.3)
        expected = [
            oracles.leaks(
                told[name][0, i], told["random"][0, i], margin=0.2, level=0.3 / 6, **settings
            )
            for name in ("a", "b")
            for i in range(2)
        ]
        assert table["leaks"].tolist() == [False, False, *expected], seed


def test_the_reference_never_leaks() -> None:
    table = leaks(
        {"random": np.ones((1, 1, 2, 50), bool)}, [0.5], majority_rate=0.1, clean_score=0.5
    )
    assert table["leaks"].tolist() == [False]


@pytest.mark.parametrize("clean", [-5.0, 0.0])
def test_a_model_that_learned_nothing_lowers_no_bar(clean) -> None:
    told = {
        name: (0.01 * generator(seed).normal(size=(1, 1, 2, 100)) - 0.02).astype(np.float32)
        for seed, name in enumerate(("random", "a", "b"))
    }
    table = leaks(told, [0.5], majority_rate=0.0, clean_score=clean)
    assert not table["leaks"].any()


def test_masks_that_tell_a_value_are_flagged() -> None:
    labels = generator(3).normal(size=150)
    answers = {
        "random": 0.0 * labels,
        "telling": 0.6 * labels,
        "noisy": generator(4).normal(size=150),
    }
    told = {
        name: np.tile(1 - (labels - given) ** 2 / labels.var(), (1, 1, 2, 1)).astype(np.float32)
        for name, given in answers.items()
    }
    table = leaks(told, [0.5], majority_rate=0.0, clean_score=0.9)
    assert leaking(table) == {"telling"}
    values = table.set_index("explainer")["accuracy"]
    assert values["telling"] == pytest.approx(1 - 0.16, abs=0.02)
    assert values["noisy"] < -0.5
