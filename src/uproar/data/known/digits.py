"""Hand-written digits that ship with scikit-learn."""

from __future__ import annotations

import numpy as np

from uproar.data.split import TEST_SHARE, VALIDATION_SHARE, split
from uproar.dataset import Data, Split

LARGEST_VALUE = 16.0


def digits(*, seed: int, fold: int = 0, folds: int = 1) -> Data:
    """Return 8 × 8 grey images of digits with values in [0, 1], split 70/10/20 by ``seed``.

    With ``folds`` the test part is the fold of that number, see :func:`uproar.data.split.split`.

    >>> data = digits(seed=0)
    >>> data.train.inputs.shape, len(data.validation), len(data.test)
    ((1258, 1, 8, 8), 180, 359)
    """
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    inputs = (images / LARGEST_VALUE).astype(np.float32).reshape(-1, 1, 8, 8)
    shares = (VALIDATION_SHARE, TEST_SHARE)
    parts = split(labels, name="digits", seed=seed, shares=shares, fold=fold, folds=folds)
    splits = [Split(inputs[part], labels[part].astype(np.int64)) for part in parts]
    return Data(
        name="digits",
        kind="image",
        train=splits[0],
        validation=splits[1],
        test=splits[2],
        feature_shape=(8, 8),
        class_names=tuple("0123456789"),
        value_range=(0.0, 1.0),
    )
