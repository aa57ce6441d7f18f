"""Tables: columns are features, standardised with what the training split says."""

from __future__ import annotations

import numpy as np

from uproar.data.split import TEST_SHARE, VALIDATION_SHARE, split
from uproar.dataset import Data, Split


def breast_cancer(*, seed: int, fold: int = 0, folds: int = 1) -> Data:
    """Return 30 standardised measurements of cell nuclei, split 70/10/20 by ``seed``.

    With ``folds`` the test part is the fold of that number, see :func:`uproar.data.split.split`.

    >>> data = breast_cancer(seed=0)
    >>> data.class_names, data.feature_names[0]
    (('malignant', 'benign'), 'mean radius')
    """
    from sklearn.datasets import load_breast_cancer
    from sklearn.preprocessing import StandardScaler

    table = load_breast_cancer()
    shares, of = (VALIDATION_SHARE, TEST_SHARE), {"fold": fold, "folds": folds}
    parts = split(table.target, name="breast-cancer", seed=seed, shares=shares, **of)
    scaler = StandardScaler().fit(table.data[parts[0]])
    inputs = scaler.transform(table.data).astype(np.float32)
    splits = [Split(inputs[part], table.target[part].astype(np.int64)) for part in parts]
    return Data(
        name="breast-cancer",
        kind="table",
        train=splits[0],
        validation=splits[1],
        test=splits[2],
        feature_shape=(inputs.shape[1],),
        class_names=tuple(str(name) for name in table.target_names),
        feature_names=tuple(str(name) for name in table.feature_names),
    )
