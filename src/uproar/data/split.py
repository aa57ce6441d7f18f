"""Stratified train, validation and test splits by seed."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

from uproar.seeding import seed_of
from uproar.types import UproarError

TEST_SHARE = 0.2
VALIDATION_SHARE = 0.1


def split(
    labels: Int[np.ndarray, "examples"], *, name: str, seed: int, shares: tuple[float, float]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the indices of train, validation and test, each with the classes in proportion.

    :param labels: class of every example.
    :param shares: shares of all examples that go to validation and to test; 0 for none.
    :raises UproarError: when a class has too few examples to be in every split.
    """
    from sklearn.model_selection import train_test_split

    rest, parts = np.arange(len(labels)), []
    for part, share in zip(("test", "validation"), shares[::-1], strict=True):
        wanted = round(share * len(labels))
        if not wanted:
            parts.append(np.array([], dtype=np.int64))
            continue
        try:
            rest, taken = train_test_split(
                rest,
                test_size=wanted,
                stratify=labels[rest],
                random_state=seed_of("split", name, part, seed) % 2**32,
            )
        except ValueError as error:
            raise UproarError(
                f"data {name!r} cannot be split with every class in every part: {error}"
            ) from error
        parts.append(np.sort(taken))
    return np.sort(rest), parts[1], parts[0]
