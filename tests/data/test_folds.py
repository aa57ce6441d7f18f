"""Folds: every example is tested once, whatever the data are, and nothing is learned from it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from uproar.data import load
from uproar.data.python.arrays import from_parts
from uproar.data.split import split
from uproar.types import Source, UproarError

CLASSES = np.arange(60) % 3
VALUES = np.linspace(0.0, 1.0, 60)
SHARES = (0.1, 0.2)


@pytest.mark.parametrize("labels", [CLASSES, VALUES], ids=["classes", "values"])
@pytest.mark.parametrize("folds", [2, 5])
def test_every_example_is_tested_once(labels, folds: int) -> None:
    found = [
        split(labels, name="a", seed=0, shares=SHARES, fold=fold, folds=folds)
        for fold in range(folds)
    ]
    assert sorted(np.concatenate([test for _, _, test in found]).tolist()) == list(range(60))
    for parts in found:
        assert sorted(np.concatenate(parts).tolist()) == list(range(60))
        assert len(parts[1]) == 6  # validation, a tenth of all
    if labels is CLASSES:
        assert {tuple(np.bincount(CLASSES[test])) for *_, test in found} == {(20 // folds,) * 3}


def test_folds_depend_on_seed_and_number_and_not_on_the_name() -> None:
    def tested(**changed) -> list[int]:
        asked = {"name": "a", "seed": 0, "fold": 1, "folds": 5, **changed}
        return split(CLASSES, shares=SHARES, **asked)[2].tolist()

    assert tested() == tested(name="b")
    assert tested() != tested(seed=1)
    assert not set(tested()) & set(tested(fold=2))


def test_validation_differs_between_folds() -> None:
    one, other = (
        split(CLASSES, name="a", seed=0, shares=SHARES, fold=fold, folds=5)[1].tolist()
        for fold in (0, 1)
    )
    assert one != other


def test_too_few_examples_for_every_fold() -> None:
    rare = np.array([0] * 20 + [1] * 3)
    message = "'a' has 3 examples of one class, too few to be in each of 5 folds"
    with pytest.raises(UproarError, match=message):
        split(rare, name="a", seed=0, shares=SHARES, fold=0, folds=5)
    with pytest.raises(UproarError, match="4 examples in all, too few to be in each of 5 folds"):
        split(VALUES[:4], name="a", seed=0, shares=(0.0, 0.2), fold=0, folds=5)


@pytest.mark.parametrize("name", ["digits", "breast-cancer"])
def test_registered_data_that_are_split_can_be_folded(name: str) -> None:
    parts = [load(name, seed=0, source=Source(folds=3, fold=fold)) for fold in range(3)]
    whole = load(name, seed=0, source=Source())
    everything = sum(len(getattr(whole, part)) for part in ("train", "validation", "test"))
    assert sum(len(data.test) for data in parts) == everything
    # What is fitted is fitted on the fold's own training part.
    if name == "breast-cancer":
        assert all(np.abs(data.train.inputs.mean(axis=0)).max() < 1e-5 for data in parts)


def test_data_that_draw_their_own_test_examples_cannot_be_folded() -> None:
    with pytest.raises(UproarError, match="takes no folds \\(3\\)"):
        load("hooker-toy", seed=0, source=Source(folds=3))


def arrays(kind: str):
    random = np.random.default_rng(0)
    shape = {"table": (4,), "series": (2, 8), "image": (1, 6, 6)}[kind]
    return random.standard_normal((60, *shape)).astype("float32"), CLASSES


def frame() -> pd.DataFrame:
    return pd.DataFrame({"x": VALUES, "level": list("ab") * 30, "y": CLASSES})


def texts():
    return [f"a film number {number}" for number in range(60)], CLASSES


@pytest.mark.parametrize("kind", ["table", "series", "image", "frame", "text"])
def test_data_in_memory_are_folded(kind: str) -> None:
    train = {"frame": frame, "text": texts}.get(kind, lambda: arrays(kind))()
    target = {"target": "y"} if kind == "frame" else {}
    seen = []
    for fold in range(3):
        source = Source(folds=3, fold=fold, **target)
        data = from_parts(train, name="mine", seed=0, source=source)
        assert len(data.train) + len(data.validation) + len(data.test) == 60
        seen += [data.test.labels]
    assert [len(labels) for labels in seen] == [20, 20, 20]
    assert np.bincount(np.concatenate(seen)).tolist() == [20, 20, 20]


def test_test_examples_of_their_own_and_folds_exclude_each_other() -> None:
    train, test = arrays("table"), arrays("table")
    with pytest.raises(UproarError, match="folds=3: every example is tested once, but there are"):
        from_parts(train, test, name="mine", seed=0, source=Source(folds=3))
