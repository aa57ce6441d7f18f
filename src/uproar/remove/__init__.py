"""Removal operators by name."""

from __future__ import annotations

from uproar.types import Entry

REMOVALS = (
    Entry(
        name="mean",
        summary="the training mean, of each channel of images and each column of tables",
        path="uproar.remove.fill:mean",
        paper="Hooker et al. 2019, arXiv 1806.10758",
    ),
    Entry(
        name="zero",
        summary="zero: black for images, the training mean for standardised tables",
        path="uproar.remove.fill:zero",
        paper="Samek et al. 2017, arXiv 1509.06321",
    ),
    Entry(
        name="noise",
        summary="Gaussian noise with the training mean and deviation, drawn once per example",
        path="uproar.remove.fill:noise",
        paper="Samek et al. 2017, arXiv 1509.06321",
    ),
)
