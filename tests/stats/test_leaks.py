"""The leak control: literal answers, error rates in simulations, masks that all tell the length."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.support import oracles
from uproar.stats.leaks import leaks, masks


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


FRACTIONS = (0.1, 0.3, 0.5, 0.7, 0.9)
MANY = tuple(range(100))  # worlds in the place of fractions
COLUMNS = "explainer fraction accuracy low high share share_low share_high mask"
RATES = {"random": 0.1, "slight": 0.14, "telling": 0.4, "nothing": 0.05}


def test_random_masks_at_chance_hardly_ever_leak() -> None:
    told = {f"e{i}": generator(i).random((1, 100, 2, 200)) < 0.1 for i in range(10)}
    table = leaks(told, MANY, majority=0.1, clean_score=0.101, bar=0.0)
    assert (table["mask"] == "leaks").mean() <= 0.035  # one-sided at 2.5 %


def test_the_bar_lies_between_what_is_known_and_the_clean_score() -> None:
    told = {"slight": generator(6).random((1, 1, 1, 5000)) < 0.2}  # an eighth of what is unknown
    found = [
        leaks(told, [0.5], majority=0.1, clean_score=0.9, bar=bar)["mask"].item()
        for bar in (0.05, 0.125, 0.2)
    ]
    assert found == ["leaks", "unclear", "clear"]


@pytest.mark.parametrize(("base_models", "repeats"), [(1, 1), (1, 2), (2, 5)])
def test_masks_that_tell_the_label_are_flagged(base_models, repeats) -> None:
    shape = (base_models, 5, repeats, 500)
    told = {
        "signed": generator(7).random(shape) < 0.9,
        "random": generator(8).random(shape) < 0.1,
    }
    table = leaks(told, FRACTIONS, majority=0.1, clean_score=0.97)
    assert table.columns.tolist() == COLUMNS.split()
    assert table["mask"].tolist() == ["leaks"] * 5 + ["clear"] * 5
    assert table["fraction"].tolist() == [*FRACTIONS, *FRACTIONS]
    assert table["accuracy"][3] == pytest.approx(told["signed"][:, 3].mean())
    more = told["random"][:, 3].mean() if told["random"][:, 3].mean() > 0.1 else 0.1
    share = (told["signed"][:, 3].mean() - more) / (0.97 - more)
    assert table["share"][3] == pytest.approx(share)
    assert (table["share_low"] <= table["share"]).all()
    assert (table["share"] <= table["share_high"]).all()
    assert masks(table) == {"signed": "leaks", "random": "clear"}


@pytest.mark.parametrize("extra", [0, 20])
def test_the_gate_is_no_laxer_with_more_explainers(extra) -> None:
    random, shape = generator(9), (1, 5, 2, 360)
    told = {name: random.random(shape) < rate for name, rate in RATES.items()}
    settings = {"majority": 0.1, "clean_score": 0.95}
    few = leaks(told, FRACTIONS, **settings)
    others = {f"e{i}": random.random(shape) < 0.1 for i in range(extra)}
    many = leaks({**told, **others}, FRACTIONS, **settings)
    pd.testing.assert_frame_equal(many[: len(few)], few, check_exact=True)
    assert masks(few) == {
        "random": "clear",
        "slight": "unclear",
        "telling": "leaks",
        "nothing": "clear",
    }


def test_random_masks_of_digits_are_mostly_clear_and_of_few_examples_unclear() -> None:
    found = {}
    for examples in (20, 360):
        labels = np.arange(examples) % 10
        answers = generator(10).integers(10, size=(1, 100, 5, examples))
        told = {"ours": answers == labels}
        table = leaks(told, MANY, majority=labels == 0, clean_score=0.95)
        found[examples] = table["mask"].tolist()
    assert found[20] == ["unclear"] * 100
    assert found[360].count("clear") > 60
    assert "leaks" not in found[360]


def test_the_best_answer_of_digits_is_clear() -> None:
    for examples, mask in ((360, "clear"), (20, "unclear")):
        best = np.arange(examples) % 10 == 0
        told = {"ours": np.tile(best, (1, 5, 2, 1))}
        table = leaks(told, FRACTIONS, majority=best, clean_score=0.95)
        assert table["mask"].tolist() == [mask] * 5


@pytest.mark.parametrize("dtype", [bool, np.float32])
def test_masks_with_nearly_all_that_there_is_to_know_leak(dtype) -> None:
    labels = generator(11).normal(size=300)
    if dtype is bool:  # 0.5 is known anyway, 0.95 is all that is to know
        told, majority, clean = np.arange(300) % 10 > 0, np.arange(300) % 2 == 0, 0.95
    else:
        labels = (labels - labels.mean()) / labels.std()
        told, majority, clean = 1 - 0.11 * labels**2, 1 - labels**2, 1.0
    ours = np.tile(told, (1, 1, 2, 1)).astype(dtype)
    table = leaks({"telling": ours}, [0.5], majority=majority, clean_score=clean)
    assert table["share"].item() == pytest.approx(0.89, abs=0.01)
    assert table["mask"].item() == "leaks"


def test_scores_on_the_same_examples_cancel_and_sizes_alone_do_not() -> None:
    majority = np.arange(400) % 2 == 0
    settings = {"clean_score": 0.9}
    same = {"same": np.tile(majority, (1, 1, 2, 1))}
    paired = leaks(same, [0.5], majority=majority, **settings)
    apart = leaks(same, [0.5], majority=0.5, **settings)
    assert paired["share"].tolist() == apart["share"].tolist() == [0]
    assert paired["mask"].tolist() == ["clear"]
    assert apart["mask"].tolist() == ["unclear"]
    # Also where both always agree, the interval has a width: that of two examples more.
    assert paired["share_high"].item() == pytest.approx(0.0069 / 0.4, rel=0.02)


def test_an_interval_of_certainty_sets_the_bar() -> None:
    told = generator(9).random((1, 1, 1, 100)) < 0.5
    settings = {"majority": 0.1, "clean_score": 0.9}
    usual, sure = (leaks({"a": told}, [0.5], **settings, level=level) for level in (0.05, 0.01))
    assert sure["share_low"][0] < usual["share_low"][0]
    assert sure["low"][0] < usual["low"][0]


def test_no_explainers_no_leaks() -> None:
    table = leaks({}, FRACTIONS, majority=0.1, clean_score=0.9)
    assert len(table) == 0
    assert table.columns.tolist() == COLUMNS.split()
    assert masks(table) == {}


def test_leak_errors_show_what_arrived() -> None:
    with pytest.raises(ValueError, match=r"mask_only\['a'\] must be .*5 fractions.*\(1, 4, 1, 9\)"):
        leaks({"a": np.zeros((1, 4, 1, 9), bool)}, FRACTIONS, majority=0.1, clean_score=0.9)
    other = {"a": np.zeros((1, 5, 1, 9), bool), "b": np.zeros((1, 5, 1, 8), bool)}
    with pytest.raises(ValueError, match=r"the same test examples, got \{'a': 9, 'b': 8\}"):
        leaks(other, FRACTIONS, majority=0.1, clean_score=0.9)


# Where every mask tells something: examples of different lengths


def told_lengths(name: str) -> dict[str, np.ndarray]:
    """Mask-only scores of random and two explainers that tell no more than the length does.

    In a hundred worlds, each in the place of a fraction.
    """
    random, shape = generator(1), (1, len(MANY), 2, 200)
    length = random.normal(size=(len(MANY), 1, 200))
    labels = length + 0.6 * random.standard_t(3, size=length.shape)
    told = {}
    for explainer in ("random", "a", "b"):
        answers = length + 0.2 * random.normal(size=shape)
        if name == "classes":
            told[explainer] = (answers > 0) == (labels > 0)
        else:
            spread = labels.var(axis=2, keepdims=True)
            told[explainer] = (1 - (labels - answers) ** 2 / spread).astype(np.float32)
    return told


@pytest.mark.parametrize(("name", "majority"), [("classes", 0.5), ("values", 0.0)])
def test_what_random_masks_tell_is_no_leak(name, majority) -> None:
    told, settings = told_lengths(name), {"majority": majority, "clean_score": 0.95}
    for bar, most in ((0.0, 0.055), (0.05, 0.005)):  # one-sided at 2.5 % of 200
        table = leaks(told, MANY, **settings, bar=bar)
        assert (table["mask"] == "leaks").mean() <= most
    without = leaks(told, MANY, **settings, reference="none")
    assert (without["mask"] == "leaks").mean() > 0.5


@pytest.mark.parametrize("dtype", [bool, np.float32])
def test_what_a_mask_tells_beyond_random_masks_is_a_leak(dtype) -> None:
    examples = np.arange(400)
    told = {
        "random": np.tile(examples % 4 > 0, (1, 1, 2, 1)).astype(dtype),  # 0.75
        "more": np.tile(examples % 8 > 0, (1, 1, 2, 1)).astype(dtype),  # 0.875
        "same": np.tile(examples % 4 > 0, (1, 1, 2, 1)).astype(dtype),
        "other": np.tile(examples % 4 < 3, (1, 1, 2, 1)).astype(dtype),  # 0.75 of others
    }
    found = leaks(told, [0.5], majority=0.5, clean_score=0.95)
    assert masks(found) == {"random": "clear", "more": "leaks", "same": "clear", "other": "unclear"}
    # Beyond the best answer, all of them tell something.
    alone = leaks(told, [0.5], majority=0.5, clean_score=0.95, reference="none")
    assert set(masks(alone).values()) == {"leaks"}
    of_the_score = ["explainer", "fraction", "accuracy", "low", "high"]
    assert found[of_the_score].equals(alone[of_the_score])


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [bool, float])
def test_masks_follow_the_definition(dtype) -> None:
    random, seen = generator(2), set()
    for seed in range(25):
        told = {name: random.random((1, 2, 2, 40)) for name in ("random", "a", "b")}
        told["a"] += random.uniform(0, 0.4)
        told["b"] -= random.uniform(0, 0.4)
        if dtype is bool:
            told = {name: scores > 0.5 for name, scores in told.items()}
        settings = {
            "majority": random.random(40).round() * 0.9,
            "clean_score": float(random.uniform(0.2, 1.4)),
            "bar": 0.2,
            "level": 0.3,
        }
        table = leaks(told, [0.3, 0.6], **settings)
        expected = [
            oracles.mask(told[name][0, i], told["random"][0, i], **settings)
            for name in ("a", "b")
            for i in range(2)
        ]
        assert table["mask"].tolist() == ["clear", "clear", *expected], seed
        seen |= set(expected)
    assert seen == {"clear", "unclear", "leaks"}


def test_the_reference_never_leaks() -> None:
    told = {"random": np.ones((1, 1, 2, 50), bool)}
    for clean in (0.5, 0.05):
        table = leaks(told, [0.5], majority=0.1, clean_score=clean)
        assert table["mask"].tolist() == ["clear"]


@pytest.mark.parametrize("clean", [-5.0, 0.0])
def test_where_a_model_learned_nothing_masks_are_unclear(clean) -> None:
    told = {
        name: (0.01 * generator(seed).normal(size=(1, 1, 2, 100)) - 0.02).astype(np.float32)
        for seed, name in enumerate(("random", "a", "b"))
    }
    table = leaks(told, [0.5], majority=0.0, clean_score=clean)
    assert table["mask"].tolist() == ["clear", "unclear", "unclear"]
    assert table[["share", "share_low", "share_high"]].isna().all(axis=None)


def test_masks_that_tell_a_value_leak() -> None:
    labels = generator(3).normal(size=400)
    answers = {
        "random": 0.0 * labels,
        "telling": 0.6 * labels,
        "noisy": generator(4).normal(size=400),
    }
    told = {
        name: np.tile(1 - (labels - given) ** 2 / labels.var(), (1, 1, 2, 1)).astype(np.float32)
        for name, given in answers.items()
    }
    table = leaks(told, [0.5], majority=0.0, clean_score=0.9)
    assert masks(table) == {"random": "clear", "telling": "leaks", "noisy": "clear"}
    values = table.set_index("explainer")["accuracy"]
    assert values["telling"] == pytest.approx(1 - 0.16, abs=0.02)
    assert values["noisy"] < -0.5


def test_the_worst_fraction_counts() -> None:
    table = pd.DataFrame(
        {
            "explainer": list("aabbcc"),
            "mask": ["clear", "leaks", "unclear", "clear", "unclear", "leaks"],
        }
    )
    assert masks(table) == {"a": "leaks", "b": "unclear", "c": "leaks"}
