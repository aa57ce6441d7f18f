"""Removal operators by name; each is fitted on the training split of a data set."""

from __future__ import annotations

from dataclasses import dataclass

from uproar.registry import Entry


@dataclass(frozen=True)
class Operator(Entry):
    """What a removal is, and whether the removed values have a say in what stands in for them."""

    shows_through: bool = False


REMOVALS = (
    Operator(
        name="mean",
        summary="the training mean, of each channel of images and series and each column of tables",
        path="uproar.remove.fill:mean",
        paper="Hooker et al. 2019, arXiv 1806.10758",
        data_kinds=("image", "table", "series"),
    ),
    Operator(
        name="zero",
        summary="zero: black for images, the training mean for standardised tables",
        path="uproar.remove.fill:zero",
        paper="Samek et al. 2017, arXiv 1509.06321",
        data_kinds=("image", "table", "series"),
    ),
    Operator(
        name="noise",
        summary="Gaussian noise with the training mean and deviation, drawn once per example",
        path="uproar.remove.fill:noise",
        paper="Samek et al. 2017, arXiv 1509.06321",
        data_kinds=("image", "table", "series"),
        version=2,
    ),
    Operator(
        name="marginal",
        summary="the values of a training row that is drawn once per example",
        path="uproar.remove.marginal:marginal",
        paper="Lundberg and Lee 2017, arXiv 1705.07874",
        data_kinds=("table",),
        version=2,
    ),
    Operator(
        name="conditional-mean",
        summary="what a Gaussian fitted on train expects, given the columns that are kept",
        path="uproar.remove.conditional:conditional_mean",
        paper="Aas, Jullum and Løland 2021, arXiv 1903.10464",
        data_kinds=("table",),
    ),
    Operator(
        name="blur",
        summary="the image itself, blurred (deviation: 1/8 of its side): what is removed shows "
        "through",
        path="uproar.remove.blur:blur",
        paper="Fong and Vedaldi 2017, arXiv 1704.03296",
        data_kinds=("image",),
        shows_through=True,
    ),
    Operator(
        name="linear",
        summary="noisy linear imputation: each removed pixel is the weighted mean of its 8 "
        "neighbours",
        path="uproar.remove.linear:linear",
        paper="Rong et al. 2022, arXiv 2202.00449",
        data_kinds=("image",),
        version=2,
    ),
    Operator(
        name="interpolate",
        summary="a straight line between the nearest kept steps of the same channel",
        path="uproar.remove.interpolate:interpolate",
        paper="Schlegel et al. 2019, arXiv 1909.07082",
        data_kinds=("series",),
    ),
    Operator(
        name="mask-token",
        summary="the vocabulary's mask token",
        path="uproar.remove.fill:mask_token",
        paper="Madsen et al. 2022, arXiv 2110.08412",
        data_kinds=("text",),
    ),
)
