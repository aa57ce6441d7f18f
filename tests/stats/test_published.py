"""The statistics find in the published Table 2 what is known to be in it (Hooker et al. 2019)."""

from __future__ import annotations

import numpy as np
import pytest

from uproar.stats.agreement import spearman_agreement
from uproar.stats.gains import trapezoid_weights

FRACTIONS = (0.1, 0.3, 0.5, 0.7, 0.9)

# Test accuracy in percent. Random under ROAR and KAR at the five fractions; every estimator under
# ROAR at the five fractions, then under KAR at 0.1.
# fmt: off
RANDOM = {
    "Birdsnap": ((60.11, 55.65, 51.10, 46.45, 38.12), (37.24, 46.41, 51.29, 55.38, 59.92)),
    "Food-101": ((80.66, 78.30, 75.80, 72.98, 68.37), (68.13, 73.15, 76.00, 78.21, 80.61)),
    "ImageNet": ((72.65, 71.02, 69.13, 67.06, 63.53), (63.60, 66.98, 69.18, 71.03, 72.69)),
}
ESTIMATORS = {
    "Birdsnap": {
        "GRAD": (62.12, 61.82, 58.29, 58.91, 56.08, 57.51),
        "IG": (64.79, 64.91, 64.12, 63.64, 60.30, 62.64),
        "GB": (58.47, 57.64, 55.47, 57.28, 59.76, 62.59),
        "SG-GRAD": (65.44, 66.08, 65.33, 65.44, 65.02, 64.64),
        "SG-IG": (66.11, 66.56, 66.65, 66.37, 64.54, 65.36),
        "SG-GB": (54.67, 53.37, 51.13, 50.07, 47.71, 52.86),
        "SG-SQ-GRAD": (42.88, 39.14, 32.98, 25.34, 12.40, 55.32),
        "SG-SQ-IG": (40.85, 36.94, 33.37, 27.38, 14.93, 55.89),
        "SG-SQ-GB": (38.80, 24.09, 16.54, 10.11, 5.21, 49.32),
        "VAR-GRAD": (41.71, 37.04, 33.24, 24.84, 9.23, 55.03),
        "VAR-IG": (40.21, 36.85, 34.09, 27.71, 16.43, 55.21),
        "VAR-GB": (38.63, 24.12, 16.29, 10.16, 5.20, 47.76),
    },
    "Food-101": {
        "GRAD": (83.79, 83.50, 83.09, 82.48, 78.36, 78.82),
        "IG": (84.01, 83.95, 83.78, 83.52, 80.87, 82.35),
        "GB": (80.06, 79.12, 77.25, 78.43, 75.69, 77.31),
        "SG-GRAD": (83.97, 84.00, 83.97, 83.83, 83.14, 83.30),
        "SG-IG": (83.98, 84.04, 84.05, 83.90, 82.90, 83.27),
        "SG-GB": (78.35, 76.39, 75.44, 74.50, 69.19, 71.44),
        "SG-SQ-GRAD": (79.29, 75.83, 64.83, 38.88, 8.34, 73.05),
        "SG-SQ-IG": (79.73, 76.73, 70.98, 59.55, 27.81, 72.93),
        "SG-SQ-GB": (77.68, 72.81, 66.24, 55.73, 24.95, 68.10),
        "VAR-GRAD": (79.55, 75.67, 67.40, 52.05, 15.69, 74.24),
        "VAR-IG": (79.87, 76.60, 70.85, 59.57, 25.15, 73.65),
        "VAR-GB": (77.76, 72.56, 66.36, 54.18, 23.88, 67.08),
    },
    "ImageNet": {
        "GRAD": (72.94, 72.22, 70.97, 70.72, 66.75, 67.63),
        "IG": (73.17, 72.72, 72.03, 71.68, 68.20, 70.38),
        "GB": (72.29, 71.91, 71.18, 71.48, 70.38, 71.03),
        "SG-GRAD": (72.08, 71.94, 71.77, 71.51, 70.10, 70.47),
        "SG-IG": (72.49, 72.39, 72.26, 72.02, 69.77, 70.98),
        "SG-GB": (71.28, 70.45, 69.98, 69.02, 64.93, 66.97),
        "SG-SQ-GRAD": (69.35, 60.28, 41.55, 29.45, 11.09, 63.25),
        "SG-SQ-IG": (70.76, 65.71, 58.34, 43.71, 29.41, 67.55),
        "SG-SQ-GB": (69.74, 60.56, 52.21, 34.98, 15.53, 62.42),
        "VAR-GRAD": (69.24, 57.48, 39.23, 30.13, 10.41, 53.38),
        "VAR-IG": (70.87, 65.56, 57.49, 45.80, 25.25, 67.17),
        "VAR-GB": (69.67, 60.94, 47.39, 35.68, 14.93, 62.09),
    },
}
# fmt: on


@pytest.mark.parametrize(
    ("data", "expected"), [("Birdsnap", -0.90), ("Food-101", -0.76), ("ImageNet", -0.95)]
)
def test_roar_and_kar_rank_in_nearly_opposite_order(data: str, expected: float) -> None:
    removed = {name: -row[4] for name, row in ESTIMATORS[data].items()}
    kept = {name: row[5] for name, row in ESTIMATORS[data].items()}
    found = spearman_agreement(removed, kept)
    assert found.explainers == 12
    assert round(found.rho, 2) == expected


@pytest.mark.parametrize(
    ("data", "half", "most"),
    [("Birdsnap", 0.979, 0.986), ("Food-101", 0.972, 0.993), ("ImageNet", 1.0, 0.979)],
)
def test_one_fraction_ranks_nearly_as_the_area_does(data: str, half: float, most: float) -> None:
    random = np.array(RANDOM[data][0])
    weights = trapezoid_weights(FRACTIONS)
    curves = {name: random - np.array(row[:5]) for name, row in ESTIMATORS[data].items()}
    areas = {name: float(weights @ curve) for name, curve in curves.items()}
    for fraction, expected in [(0.5, half), (0.7, most)]:
        point = FRACTIONS.index(fraction)
        single = {name: float(curve[point]) for name, curve in curves.items()}
        assert round(spearman_agreement(areas, single).rho, 3) == expected


@pytest.mark.parametrize("data", list(RANDOM))
def test_keeping_at_random_is_removing_the_rest_at_random(data: str) -> None:
    removed, kept = RANDOM[data]
    assert np.abs(np.array(kept) - np.array(removed[::-1])).max() <= 0.9
