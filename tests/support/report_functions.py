"""Contents with explainers of the function, whose importances come from a formula."""

from __future__ import annotations

import dataclasses
import math
import zlib
from collections.abc import Mapping
from functools import cache

import numpy as np

from tests.support.report_content import FEW, make_content
from tests.support.report_galleries import COLUMNS, WORDS
from uproar.report.content import ReportContent
from uproar.report.page import render
from uproar.results.function import feature_names, function_table, rank_agreement
from uproar.types import Kind

LOSS, RESPONSE = "what the model loses without it", "how strongly the answers respond to it"
ESTIMANDS = {"pfi": LOSS, "global-ig": RESPONSE, "untrained-global-ig": RESPONSE, "own": ""}
SHAPES: Mapping[Kind, tuple[int, ...]] = {
    "image": (8, 8),
    "table": (len(COLUMNS),),
    "text": (len(WORDS),),
    "series": (120,),
}


def make_function_content(
    kind: Kind = "table",
    estimands: Mapping[str, str] = ESTIMANDS,
    *,
    shape: tuple[int, ...] = (),
    bases: int = 1,
) -> ReportContent:
    """Return a content with these explainers of the function beside six others.

    The first has errors and tests; one that is called untrained is a control.
    """
    others, shape = FEW, shape or SHAPES[kind]
    content = make_content(explainers=(*others, *estimands), kind=kind)
    described = content.explainers.assign(
        scope=["local"] * len(others) + ["global"] * len(estimands),
        estimand=["", *[""] * (len(others) - 1), *estimands.values()],
        needs="any model",
        parameters="steps=25",
        extra="",
        data_kinds="",
        promises="ignores idle features",
        formula="5 * features",
        predicted=55.0,
    )
    untrained = described["name"].str.startswith("untrained-")
    described.loc[untrained, "kind"] = "control"
    named = COLUMNS if shape == (len(COLUMNS),) else ()
    facts = {"kind": kind, "feature_shape": shape, "feature_names": named}
    found = {name: _measured(name, shape, bases) for name in estimands}
    for base, values in found[next(iter(estimands))].items():
        values[1], values[2] = 0.05, np.linspace(0.0, 0.1, values.shape[1]) + 0.001 * base
    return dataclasses.replace(
        content,
        data={**content.data, "feature_shape": shape},
        explainers=described,
        leaderboard=content.leaderboard.assign(passes=55.0),
        function=function_table(found, feature_names(facts)),
        function_agreement=rank_agreement(found),
    )


@cache
def function_page() -> str:
    """Return the page of the content as it is, rendered once for all tests that only read it."""
    return render(make_function_content())


def _measured(name: str, shape: tuple[int, ...], bases: int) -> dict[int, np.ndarray]:
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    found = {}
    for base in range(bases):
        values = np.full((3, math.prod(shape)), math.nan)
        values[0] = generator.normal(size=values.shape[1]) * (1 if name == "pfi" else 0.1)
        found[base] = values if name == "pfi" else np.abs(values)
    return found
