"""What has to hold before a run starts: removals that fit, models that learned."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.support.small_data import small
from uproar.bench.checks import (
    check_learned,
    check_removals,
    fitting_removals,
)
from uproar.plan.spec import Spec
from uproar.remove import REMOVALS
from uproar.types import KINDS, UproarError


def test_removals_by_kind_of_data():
    assert fitting_removals("table") == ["mean", "zero", "noise", "marginal", "conditional-mean"]
    assert fitting_removals("image") == ["mean", "zero", "noise", "blur", "linear"]
    assert fitting_removals("series") == ["mean", "zero", "noise", "interpolate"]
    assert fitting_removals("text") == ["mask-token"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [entry.name for entry in REMOVALS])
def test_a_removal_that_does_not_fit_is_refused_with_those_that_do(kind, name):
    spec, fitting = Spec(removals=(name,)), fitting_removals(kind)
    if name in fitting:
        check_removals(spec, kind)
        return
    with pytest.raises(UproarError) as raised:
        check_removals(spec, kind)
    assert str(raised.value) == (
        f"removal {name!r} does not fit {KINDS[kind].plural}; choose from {', '.join(fitting)}"
    )


@pytest.mark.parametrize(("luck", "learned"), [(0.0, True), (0.01, True), (0.02, False)])
def test_a_model_that_could_be_as_good_by_luck_has_learned_nothing(luck, learned):
    job = SimpleNamespace(cell=SimpleNamespace(label="base model 0"))
    values = {"luck": luck, "validation": {"score": 0.4, "examples": 12}}
    plan, outcomes = SimpleNamespace(base_jobs=[job]), {}
    outcomes = _ByIdentity(job, SimpleNamespace(values=values))
    data = small("table")
    if learned:
        check_learned(plan, outcomes, data)
        return
    with pytest.raises(UproarError, match=r"accuracy 0\.400 on 12 .* the majority class"):
        check_learned(plan, outcomes, data)
    with pytest.raises(UproarError, match=r"R² 0\.400 on 12 examples, no better than the mean"):
        check_learned(plan, outcomes, replace(data, class_names=()))


class _ByIdentity(dict):
    """Outcomes of jobs that cannot be hashed."""

    def __init__(self, job, outcome) -> None:
        super().__init__()
        self.job, self.outcome = job, outcome

    def __getitem__(self, key):
        assert key is self.job
        return self.outcome
