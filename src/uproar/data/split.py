"""Train, validation and test splits by seed, with the classes in proportion."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from numpy.typing import NDArray

from uproar.data.columns import spelled
from uproar.data.labels import check_enough
from uproar.dataset import PARTS
from uproar.seeding import seed_of
from uproar.types import Source, Task, UproarError

TEST_SHARE = 0.2
VALIDATION_SHARE = 0.1
VALIDATION_SHARE_OF_TRAIN = 0.125  # where test comes with the data: the same seven to one

Places = NDArray[np.int64]
Proportions = pd.Categorical | NDArray[np.int64] | NDArray[np.float64]


def divided(
    labels: Mapping[str, Proportions], *, source: Source, what: str, name: str, seed: int
) -> dict[str, tuple[str, Places]]:
    """Return of which given part, and of which examples there, every part is made.

    At most ``examples`` are drawn of all, with the parts and the classes in proportion; parts that
    are missing are split off train.

    :param labels: of each part, train among them, as :func:`in_proportion` returns them.
    :param source: how many ``examples`` to keep, and which of how many ``folds`` is tested.
    :param what: what messages call the labels, such as ``label 'price'``.
    :raises UproarError: when a class has too few examples to be in every part.

    >>> labels, source = {"train": np.arange(40) % 2}, Source(examples=20)
    >>> parts = divided(labels, source=source, what="label", name="a", seed=0)
    >>> {part: (of, len(places)) for part, (of, places) in parts.items()}
    {'train': ('train', 14), 'validation': ('train', 2), 'test': ('train', 4)}
    """
    wanted = allotted({part: len(values) for part, values in labels.items()}, source.examples)
    drawn = {
        part: draw(_codes(values), examples=wanted[part], name=name, part=part, seed=seed)
        for part, values in labels.items()
    }
    train = labels["train"][drawn["train"]]
    shares = shares_of(labels, folds=source.folds)
    if not np.issubdtype(_codes(train).dtype, np.floating):
        needed = 1 + sum(share > 0 for share in shares)
        check_enough(pd.Series(train), needed=needed, what=what)
    places = split(_codes(train), name=name, seed=seed, shares=shares, **source.of_folds)
    apart = {
        part: ("train", drawn["train"][rows]) for part, rows in zip(PARTS, places, strict=True)
    }
    return apart | {part: (part, rows) for part, rows in drawn.items() if part != "train"}


def in_proportion(labels: pd.Series, task: Task) -> Proportions:
    """Return labels as a split asks for them: classes, to be kept in proportion, or values."""
    return spelled(labels) if task == "classification" else np.zeros(len(labels))


def _codes(labels: Proportions) -> NDArray[np.int64] | NDArray[np.float64]:
    return labels.codes.astype(np.int64) if isinstance(labels, pd.Categorical) else labels


def split(
    labels: Int[np.ndarray, "examples"] | Float[np.ndarray, "examples"],
    *,
    name: str,
    seed: int,
    shares: tuple[float, float],
    fold: int = 0,
    folds: int = 1,
) -> tuple[Places, Places, Places]:
    """Return the indices of train, validation and test, each with the classes in proportion.

    :param labels: class of every example; of floating labels, the values of a regression, none are
        in proportion.
    :param shares: shares of all examples that go to validation and to test; 0 for none.
    :param fold: number of the fold that is test, where there are several ``folds``: every example
        is in one of them.
    :raises UproarError: when a class has too few examples to be in every split.

    >>> train, validation, test = split(np.arange(40) % 2, name="mine", seed=0, shares=(0.1, 0.2))
    >>> len(train), len(validation), len(test)
    (28, 4, 8)
    """
    rest, what = np.arange(len(labels)), f"data {name!r}"
    validation, test = (round(share * len(labels)) for share in shares)
    if folds > 1:
        rest, tested = _fold_apart(labels, fold, folds, what, seed)
    else:
        rest, tested = _taken(rest, labels, test, what, ("split", "test", seed))
    of_fold = (fold, folds) if folds > 1 else ()
    rest, checked = _taken(rest, labels, validation, what, ("split", "validation", seed, *of_fold))
    return np.sort(rest), np.sort(checked), np.sort(tested)


def draw(
    labels: Int[np.ndarray, "examples"] | Float[np.ndarray, "examples"],
    *,
    examples: int,
    name: str,
    part: str,
    seed: int,
) -> Places:
    """Return the indices of at most ``examples`` examples of a part, with classes in proportion.

    :param labels: as for :func:`split`.
    :param examples: how many to keep; 0 for all.
    :raises UproarError: when a class has too few examples to be drawn in proportion.

    >>> draw(np.arange(40) % 2, examples=4, name="mine", part="train", seed=0).shape
    (4,)
    """
    everything = np.arange(len(labels))
    if not examples or examples >= len(labels):
        return everything
    what = f"data {name!r}, cut to {examples} examples of {part},"
    return np.sort(_apart(everything, labels, examples, what, ("examples", part, seed))[1])


def apportioned(sizes: Sequence[int], total: int) -> list[int]:
    """Share out ``total`` in proportion to sizes that sum to at least as much.

    Everyone gets the whole part of the exact share; what is left goes to the largest remainders,
    the first of equal ones.

    >>> apportioned([5, 3, 2], 5)
    [3, 1, 1]
    """
    whole = max(sum(sizes), 1)
    seats = [size * total // whole for size in sizes]
    order = sorted(range(len(sizes)), key=lambda i: -(sizes[i] * total % whole))
    for place in order[: total - sum(seats)]:
        seats[place] += 1
    return seats


def allotted(sizes: Mapping[str, int], examples: int) -> dict[str, int]:
    """Return how many examples of each part make ``examples`` in all, in proportion; 0 for all.

    >>> allotted({"train": 60, "test": 40}, 50), allotted({"train": 60}, 80)
    ({'train': 30, 'test': 20}, {'train': 0})
    """
    if not examples or examples >= sum(sizes.values()):
        return dict.fromkeys(sizes, 0)
    shares = apportioned(list(sizes.values()), examples)
    return dict(zip(sizes, shares, strict=True))


def shares_of(parts: Collection[str], *, folds: int = 1) -> tuple[float, float]:
    """Return the shares of validation and test to split off, by the parts that the data have.

    :raises UproarError: when there are folds, and test examples too.

    >>> shares_of(["train"]), shares_of(["train", "test"])
    ((0.1, 0.2), (0.125, 0.0))
    """
    test = "test" in parts
    if folds > 1 and test:
        raise UproarError(
            f"folds={folds}: every example is tested once, but there are test examples of their "
            "own; leave them out, or do without folds"
        )
    if "validation" in parts:
        return 0.0, 0.0 if test else TEST_SHARE
    return (VALIDATION_SHARE_OF_TRAIN, 0.0) if test else (VALIDATION_SHARE, TEST_SHARE)


def _taken(
    rest: Places, labels: NDArray[np.generic], wanted: int, what: str, parts: tuple[str | int, ...]
) -> tuple[Places, Places]:
    """Return what is left and what is taken, which may be nothing."""
    if not wanted:
        return rest, np.array([], dtype=np.int64)
    return _apart(rest, labels, wanted, what, parts)


def _fold_apart(
    labels: NDArray[np.generic], fold: int, folds: int, what: str, seed: int
) -> tuple[Places, Places]:
    """Return the examples of the other folds, and those of this one."""
    from sklearn.model_selection import KFold, StratifiedKFold

    regression = np.issubdtype(labels.dtype, np.floating)
    fewest = len(labels) if regression else np.unique(labels, return_counts=True)[1].min()
    if fewest < folds:
        things = "examples in all" if regression else "examples of one class"
        raise UproarError(f"{what} has {fewest} {things}, too few to be in each of {folds} folds")
    kind = KFold if regression else StratifiedKFold
    state = seed_of("folds", folds, seed, _fingerprint(labels)) % 2**32
    parts = kind(folds, shuffle=True, random_state=state).split(labels, labels)
    others, ours = next(itertools.islice(parts, fold, None))
    return others, ours


def _apart(
    rest: Places, labels: NDArray[np.generic], wanted: int, what: str, parts: tuple[str | int, ...]
) -> tuple[Places, Places]:
    """Return what is left, and the ``wanted`` examples that are taken.

    :param parts: of the seed, beside the labels: data of another name are split alike.
    """
    from sklearn.model_selection import train_test_split

    regression = np.issubdtype(labels.dtype, np.floating)
    try:
        left, taken = train_test_split(
            rest,
            test_size=wanted,
            stratify=None if regression else labels[rest],
            random_state=seed_of(*parts, _fingerprint(labels)) % 2**32,
        )
    except ValueError as error:
        raise UproarError(
            f"{what} cannot be split with every class in every part: {error}"
        ) from error
    return left, taken


def _fingerprint(labels: NDArray[np.generic]) -> str:
    return hashlib.sha256(np.ascontiguousarray(labels).tobytes()).hexdigest()
