"""All explainers on all kinds of data and models: what an entry claims is explained, and the rest
is explained or skipped with a reason. A new entry is tested without writing a test."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.conformance import CLAIMED, chosen, claims, homes, small, usual
from tests.support.zoo import LAYOUTS, Case
from uproar.explain import EXPLAINERS
from uproar.registry import Entry
from uproar.types import Skipped

every_entry = pytest.mark.parametrize("entry", EXPLAINERS, ids=lambda entry: entry.name)


@every_entry
def test_an_entry_claims_something(entry: Entry) -> None:
    assert entry.needs in CLAIMED
    assert homes(entry)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("entry", "case"),
    [(entry, case) for entry in EXPLAINERS for case in chosen(entry)],
    ids=lambda part: part.name if isinstance(part, Entry) else str(part),
)
def test_what_is_claimed_is_explained_and_the_rest_has_a_reason(entry: Entry, case: Case) -> None:
    try:
        found = usual(small(entry), case)
    except Skipped as skipped:
        reason = str(skipped)
        assert not claims(entry, case), reason
        assert reason.strip() == reason
        assert reason
        assert "\n" not in reason
        assert not reason.endswith(".")
        return
    assert found.dtype == np.float32
    assert found.shape == (4, *LAYOUTS[case.data].feature_shape)
    assert np.isfinite(found).all()
    if claims(entry, case):
        assert found.any()
