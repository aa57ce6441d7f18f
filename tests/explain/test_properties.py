"""What every explainer must do beside explaining: leave things as they are, repeat itself, cost
what it says, keep what its entry promises, and break what it does not."""

from __future__ import annotations

import copy
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.support.conformance import (
    attribution,
    claims,
    every_home,
    explained,
    homes,
    small,
    usual,
)
from tests.support.zoo import CASES, ESTIMATORS, Case, Made, made, made_without
from uproar.explain import EXPLAINERS
from uproar.explain.cost import passes_of
from uproar.explain.explainer import Explainer
from uproar.explain.names import parse
from uproar.models.trained import Passes, TrainedModel
from uproar.types import UproarError

HOMES = list(every_home())
at_home = pytest.mark.parametrize(
    ("entry", "case"), HOMES, ids=[f"{entry.name} on {case}" for entry, case in HOMES]
)
ALIKE = [(entry, case) for entry, case in HOMES if entry.draws != "each"]
LOCAL = [(entry, case) for entry, case in ALIKE if entry.scope == "local"]
with_shared_draws = pytest.mark.parametrize(
    ("entry", "case"), ALIKE, ids=[f"{entry.name} on {case}" for entry, case in ALIKE]
)
every_entry = pytest.mark.parametrize("entry", EXPLAINERS, ids=lambda entry: entry.name)
EXTRAS = [entry for entry in EXPLAINERS if entry.extra]


# --- what stays as it is --------------------------------------------------------------------------


def state_of(model: TrainedModel) -> list[object]:
    """Everything of a model that an explainer could leave changed."""
    if not isinstance(model.module, nn.Module):
        return []
    parts = list(model.module.modules())
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return [
        *(value.numpy().tobytes() for value in model.module.state_dict().values()),
        *(part.training for part in parts),
        *(type(part) for part in parts),
        *(len(getattr(part, hook)) for part in parts for hook in hooks),
        *(parameter.requires_grad for parameter in model.module.parameters()),
        *(parameter.grad is None for parameter in model.module.parameters()),
    ]


def global_state() -> list[object]:
    """The generators that nobody may draw from, and the switches that nobody may leave on."""
    numpy = np.random.get_state()  # noqa: NPY002 - that nothing draws from it is the point
    return [
        torch.get_rng_state().numpy().tobytes(),
        *(numpy[1].tobytes(), numpy[2:]),
        *(torch.is_grad_enabled(), torch.get_num_threads()),
    ]


def python_state(seed: int, act: Callable[[], Tensor]) -> tuple[object, Tensor]:
    """Run with a seed of Python's own generator, from which the checks of shapes draw as well."""
    before = random.getstate()
    random.seed(seed)
    found = act()
    after = random.getstate()
    random.setstate(before)
    return after, found


@pytest.mark.slow
@at_home
def test_nothing_is_changed_and_a_generator_decides(entry: Explainer, case: Case) -> None:
    """The same generator gives the same values, another one others where there are draws."""
    whole = made(case)
    kept = [whole.inputs, whole.targets, whole.model.background, *(whole.model.held_out or ())]
    before = copy.deepcopy(kept), state_of(whole.model), global_state()
    (one, first), (two, again) = (
        python_state(seed, lambda: attribution(small(entry), whole, examples=slice(2)))
        for seed in (0, 1)
    )
    assert torch.equal(first, again)
    assert one != two  # nobody has seeded it
    assert all(torch.equal(a, b) for a, b in zip(kept, before[0], strict=True))
    assert state_of(whole.model) == before[1]
    assert global_state() == before[2]
    if not entry.draws:
        other = attribution(small(entry), whole, seed=1, examples=slice(2))
        assert torch.equal(first, other)


@pytest.mark.slow
@pytest.mark.parametrize(
    "entry", [entry for entry in EXPLAINERS if entry.draws], ids=lambda entry: entry.name
)
def test_what_says_that_it_draws_does(entry: Explainer) -> None:
    """That nobody else does, is tested above."""
    assert any(
        not torch.equal(*(attribution(small(entry), made(case), seed=seed) for seed in (1, 2)))
        for case in homes(entry)
    )


@pytest.mark.slow
@every_entry
def test_what_is_signed_says_so(entry: Explainer) -> None:
    negative = any((usual(small(entry), case) < 0).any() for case in homes(entry))
    assert negative == entry.signed


# --- how many at once -----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("entry", "case"), LOCAL, ids=[f"{entry.name} on {case}" for entry, case in LOCAL]
)
def test_examples_alone_are_explained_as_together(entry: Explainer, case: Case) -> None:
    whole = attribution(small(entry), made(case), examples=slice(2))
    for example in range(2):
        alone = attribution(small(entry), made(case), examples=slice(example, example + 1))
        close(alone[0], whole[example])


@pytest.mark.slow
@with_shared_draws
def test_chunks_of_any_size_give_the_same(
    entry: Explainer, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    if entry.scope == "global":
        whole = attribution(small(entry), made(case))
        monkeypatch.setattr("uproar.explain.chunks.MOST_ROWS", 17)
        close(attribution(small(entry), made(case)), whole)
        return
    # Signed sums over channels may be nothing but rounding: LayerNorm makes them zero.
    name = small(entry) if entry.kind == "control" else f"abs-{small(entry)}"
    four = made(case)
    one, two = (
        replace(four, inputs=four.inputs[:few], targets=four.targets[:few]) for few in (1, 2)
    )
    whole = torch.from_numpy(explained(name, four).importance)
    alone = explained(name, two, chunk_bytes=1).importance
    close(torch.from_numpy(alone), whole[:2])
    for rows, some in ((1, one), (3, four)):
        monkeypatch.setattr("uproar.explain.chunks.MOST_ROWS", rows)
        close(torch.from_numpy(explained(name, some).importance), whole[: len(some.inputs)])


def close(got: Tensor, expected: Tensor) -> None:
    """Require equality up to rounding, in proportion to the largest value."""
    torch.testing.assert_close(got, expected, rtol=2e-3, atol=2e-4 * float(expected.abs().max()))


# --- what it costs --------------------------------------------------------------------------------

# Beside the passes for each example, these ask about training examples once a call.
ASK_ABOUT_TRAINING_EXAMPLES = {
    "encoder": "the answers of a regression are cut into tenths",
    "random-blurred": "the smoothness of maps of training examples is measured once",
}
# Some need fewer passes than predicted, where much is alike.
AT_MOST = {
    "lime": "of tables all perturbations but one are the same for all examples of a call",
    "sage": "it stops when it has converged, and asks once about inputs that are equal",
}


@pytest.mark.slow
@at_home
def test_passes_are_as_many_as_predicted(entry: Explainer, case: Case) -> None:
    whole = made(case)
    name, features = parse(small(entry)), int(np.prod(whole.model.shape_of_features(whole.inputs)))
    with torch.no_grad():
        outputs = whole.model(whole.inputs).shape[1]
    predicted = passes_of(name, features=features, outputs=outputs)
    if entry.scope == "global":
        assert whole.model.held_out is not None
        first, more = counted(name.name, whole), len(whole.model.held_out[0]) * predicted
    else:
        first, more = counted(name.name, whole, examples=1), predicted
        assert counted(name.name, whole, examples=2) - first == more or entry.name in AT_MOST
    if entry.name in AT_MOST:
        assert first <= more
    elif entry.name in ASK_ABOUT_TRAINING_EXAMPLES:
        assert more <= first <= more + 500 * (1 + predicted)
    else:
        assert first == more


def counted(name: str, whole: Made, *, examples: int = 1) -> int:
    """Return how many examples go through the model."""
    model = replace(whole.model, passes=Passes())
    with model.counting() as passes:
        attribution(name, replace(whole, model=model), examples=slice(0, examples))
    return passes.examples


# --- promises -------------------------------------------------------------------------------------

IDLE = 1  # the feature
PROMISED = [(entry, promise) for entry in EXPLAINERS for promise in entry.promises]
every_promise = pytest.mark.parametrize(
    ("entry", "promise"), PROMISED, ids=[f"{entry.name} {promise}" for entry, promise in PROMISED]
)
# What every explainer of decisions promises or does not: one importance for all examples cannot add
# up, and what is next to none is more than none.
CAN_BREAK = [
    *((entry, "ignores idle features") for entry in EXPLAINERS),
    *((entry, "adds up") for entry in EXPLAINERS if entry.scope == "local"),
]
# What is kept here without being promised, and why.
KEPT_HERE = {
    ("layer-grad-x-activation", "adds up"): "all that follows its layer is linear in these models",
}
BROKEN = [(entry, promise) for entry, promise in CAN_BREAK if promise not in entry.promises]


@every_promise
def test_promises_are_kept(entry: Explainer, promise: str) -> None:
    case = next(CASES_OF[promise](entry))
    assert keeps(promise, small(entry, **dict(entry.promised_at)), case)


@pytest.mark.parametrize(
    ("entry", "promise"), BROKEN, ids=[f"{entry.name} {promise}" for entry, promise in BROKEN]
)
def test_what_is_not_promised_is_broken_somewhere(entry: Explainer, promise: str) -> None:
    cases = CASES_OF[promise](entry)
    kept = all(keeps(promise, small(entry), case) for case in cases)
    assert kept == ((entry.name, promise) in KEPT_HERE)


def test_one_importance_for_all_examples_adds_up_to_nothing() -> None:
    assert not [e.name for e in EXPLAINERS if e.scope == "global" and "adds up" in e.promises]


@pytest.mark.parametrize("name", ["sg-grad", "abs-ig", "global-sq-occlusion"])
def test_prefixes_keep_what_they_say(name: str) -> None:
    assert parse(name).entry().promises == ("ignores idle features",)
    assert keeps("ignores idle features", name, Case("table", "dense"))


def idle_cases(entry: Explainer) -> Iterator[Case]:
    """Yield the cases with a model that can be made not to look at a feature, the plain first."""
    known = [case for case in CASES[::-1] if claims(entry, case)]
    for case in known:
        if case.model in {"dense", *ESTIMATORS} and case.data in {"table", "grey"}:
            yield case
    for case in known:
        if case.model in {"convolutions", "transformer"} and case.data in {"grey", "text"}:
            yield case


def cases_of_values(entry: Explainer) -> Iterator[Case]:
    """Yield the cases in which there is only one answer to explain."""
    for case in CASES:
        if case.regression and claims(entry, case):
            yield case


CASES_OF = {
    "ignores idle features": idle_cases,
    "nearly ignores idle features": idle_cases,
    "adds up": cases_of_values,
}


def keeps(promise: str, name: str, case: Case) -> bool:
    """Say whether an explainer does in a case what is promised."""
    if promise == "adds up":
        return adds_up(name, case)
    return ignores_idle(name, case, share=1e-5 if promise == "ignores idle features" else 0.1)


def ignores_idle(name: str, case: Case, *, share: float) -> bool:
    """Say whether an idle feature has no more than a share of the largest importance."""
    importance = explained(name, made_without(case, IDLE)).importance
    largest = np.abs(importance).reshape(len(importance), -1).max(0)
    assert (np.delete(largest, IDLE) > 0.1 * share * largest.max()).any()
    return bool(largest[IDLE] <= share * largest.max())


def adds_up(name: str, case: Case) -> bool:
    """Say whether sums of importance differ between examples as the answers do."""
    whole = made(case)
    with torch.no_grad():
        answers = whole.model(whole.inputs)[:, 0].numpy()
    sums = explained(name, whole).importance.reshape(4, -1).sum(1)
    assert np.ptp(answers) > 0.05
    return np.allclose(np.diff(sums), np.diff(answers), rtol=0, atol=0.01 * np.ptp(answers))


@contextmanager
def without(package: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a package be missing."""
    with monkeypatch.context() as patch:
        for name in [name for name in sys.modules if name.split(".")[0] == package]:
            patch.delitem(sys.modules, name)
        patch.setitem(sys.modules, package, None)
        yield


@pytest.mark.parametrize("entry", EXTRAS, ids=lambda entry: entry.name)
def test_what_is_missing_is_named(entry: Explainer, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        without(entry.extra, monkeypatch),
        pytest.raises(UproarError, match=rf"uproar\[{entry.extra}\]"),
    ):
        attribution(small(entry), made(homes(entry)[0]))
