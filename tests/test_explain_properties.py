"""What every explainer must do beside explaining: leave things as they are, repeat itself, cost
what it says. Promises are declared in lists that together name every explainer once."""

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

from conformance import attribution, claims, every_home, explained, homes, small
from uproar.explain import EXPLAINERS
from uproar.explain.cost import passes_of
from uproar.explain.names import parse
from uproar.models.trained import Passes, TrainedModel
from uproar.registry import Entry, find
from uproar.types import UproarError
from zoo import CASES, ESTIMATORS, Case, Made, made, made_without

HOMES = list(every_home())
at_home = pytest.mark.parametrize(
    ("entry", "case"), HOMES, ids=[f"{entry.name} on {case}" for entry, case in HOMES]
)
ALIKE = [(entry, case) for entry, case in HOMES if entry.draws != "each"]
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
def test_nothing_is_changed_and_a_generator_decides(entry: Entry, case: Case) -> None:
    """The same generator gives the same values, another one others where there are draws."""
    whole = made(case)
    kept = [whole.inputs, whole.targets, whole.model.background, *(whole.model.held_out or ())]
    before = copy.deepcopy(kept), state_of(whole.model), global_state()
    (one, first), (two, again) = (
        python_state(seed, lambda: attribution(small(entry), whole)) for seed in (0, 1)
    )
    assert torch.equal(first, again)
    assert one != two  # nobody has seeded it
    assert all(torch.equal(a, b) for a, b in zip(kept, before[0], strict=True))
    assert state_of(whole.model) == before[1]
    assert global_state() == before[2]
    other = attribution(small(entry), whole, seed=1)
    if not entry.draws:
        assert torch.equal(first, other)


@pytest.mark.slow
@pytest.mark.parametrize(
    "entry", [entry for entry in EXPLAINERS if entry.draws], ids=lambda entry: entry.name
)
def test_what_says_that_it_draws_does(entry: Entry) -> None:
    """That nobody else does, is tested above."""
    assert any(
        not torch.equal(*(attribution(small(entry), made(case), seed=seed) for seed in (1, 2)))
        for case in homes(entry)
    )


@pytest.mark.slow
@every_entry
def test_what_is_signed_says_so(entry: Entry) -> None:
    negative = any(
        (explained(small(entry), made(case)).importance < 0).any() for case in homes(entry)
    )
    assert negative == entry.signed


# --- how many at once -----------------------------------------------------------------------------


@pytest.mark.slow
@with_shared_draws
def test_examples_alone_are_explained_as_together(entry: Entry, case: Case) -> None:
    whole = attribution(small(entry), made(case))
    for example in range(2):
        alone = attribution(small(entry), made(case), examples=slice(example, example + 1))
        close(alone[0], whole[example])


@pytest.mark.slow
@with_shared_draws
def test_chunks_of_any_size_give_the_same(
    entry: Entry, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    if entry.scope == "global":
        whole = attribution(small(entry), made(case))
        monkeypatch.setattr("uproar.explain.chunks.MOST_ROWS", 17)
        close(attribution(small(entry), made(case)), whole)
        return
    # Signed sums over channels may be nothing but rounding: LayerNorm makes them zero.
    name = small(entry) if entry.kind == "control" else f"abs-{small(entry)}"
    whole = torch.from_numpy(explained(name, made(case)).importance)
    alone = explained(name, made(case), chunk_bytes=1).importance
    close(torch.from_numpy(alone), whole)
    for rows in (1, 3):
        monkeypatch.setattr("uproar.explain.chunks.MOST_ROWS", rows)
        close(torch.from_numpy(explained(name, made(case)).importance), whole)


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
def test_passes_are_as_many_as_predicted(entry: Entry, case: Case) -> None:
    whole = made(case)
    name, features = parse(small(entry)), int(np.prod(whole.model.shape_of_features(whole.inputs)))
    with torch.no_grad():
        outputs = whole.model(whole.inputs).shape[1]
    predicted = passes_of(name, features=features, outputs=outputs)
    if entry.scope == "global":
        assert whole.model.held_out is not None
        each = len(whole.model.held_out[0])
        first, more = counted(name.name, whole), each * predicted
    else:
        each = 2
        first, more = counted(name.name, whole, examples=2), each * predicted
        assert counted(name.name, whole, examples=4) - first == more or entry.name in AT_MOST
    if entry.name in AT_MOST:
        assert first <= more
    elif entry.name in ASK_ABOUT_TRAINING_EXAMPLES:
        assert more <= first <= more + 500 * (1 + predicted)
    else:
        assert first == more


def counted(name: str, whole: Made, *, examples: int = 4) -> int:
    """Return how many examples go through the model."""
    model = replace(whole.model, passes=Passes())
    with model.counting() as passes:
        attribution(name, replace(whole, model=model), examples=slice(0, examples))
    return passes.examples


# --- promises -------------------------------------------------------------------------------------

# A feature that the model does not look at gets no importance: exactly, or nearly where a
# regression over random perturbations says so.
IGNORED_IS_ZERO = {
    *("grad", "input-x-grad", "ig", "gb", "deconvnet", "expected-grad", "blur-ig", "guided-ig"),
    *("deeplift", "deeplift-shap", "gradient-shap", "lrp", "shapley-sampling"),
    *("occlusion", "kernel-shap", "tree-shap", "saabas"),
    *("shap-tree", "shap-kernel", "shap-permutation", "shap-linear", "shap-deep", "shap-gradient"),
    *("pfi", "cfi", "sage", "impurity", "gain", "coefficients"),
}
IGNORED_IS_NEARLY_ZERO = {"lime"}
IGNORED_MAY_COUNT = {
    *("random", "random-blurred", "sobel", "input-magnitude", "encoder"),
    *("mutual-information", "correlation"),  # of the data, whatever the model makes of them
    "loco",  # looks at other models
    "lime-package",  # its regression is no better than its perturbations, in quartiles, allow
    "rise",  # the mean of few answers, which vary with all other features
    # Layers know little of where values come from.
    *("grad-cam", "guided-grad-cam", "layer-grad-x-activation", "layer-conductance"),
    *("attention", "attention-rollout", "attention-x-grad"),
}
IGNORED = 1  # the feature
# The importance of an example's features adds up to its answer, less a number that is the same for
# all examples. Parameters at which it does.
ADDS_UP: dict[str, dict[str, int]] = {
    "ig": {"steps": 300},
    "guided-ig": {"steps": 300},
    **{name: {} for name in ("deeplift", "deeplift-shap", "shapley-sampling", "kernel-shap")},
    **{name: {} for name in ("tree-shap", "saabas", "shap-tree", "shap-kernel", "shap-deep")},
    **{name: {} for name in ("shap-permutation", "shap-linear")},
}
NEED_NOT_ADD_UP = {
    *("grad", "input-x-grad", "gb", "deconvnet", "occlusion", "rise", "lime", "lime-package"),
    "blur-ig",  # to the answer less that to the blurred input, which differs between examples
    *("expected-grad", "gradient-shap", "shap-gradient"),  # in expectation over their draws
    "lrp",  # biases take their share
    *("grad-cam", "guided-grad-cam", "layer-grad-x-activation", "layer-conductance"),
    *("attention", "attention-rollout", "attention-x-grad"),
    *("random", "random-blurred", "sobel", "input-magnitude", "encoder"),
}
# One importance for all examples cannot.
OF_FUNCTION = {entry.name for entry in EXPLAINERS if entry.scope == "global"}


def test_everybody_says_what_they_promise() -> None:
    partition(IGNORED_IS_ZERO, IGNORED_IS_NEARLY_ZERO, IGNORED_MAY_COUNT)
    partition(set(ADDS_UP), NEED_NOT_ADD_UP, OF_FUNCTION)


def partition(*promises: set[str]) -> None:
    """Require that every explainer is in exactly one of the sets."""
    named = [name for promise in promises for name in promise]
    assert sorted(named) == sorted(entry.name for entry in EXPLAINERS)


@pytest.mark.parametrize("name", sorted(IGNORED_IS_ZERO | IGNORED_IS_NEARLY_ZERO))
def test_what_the_model_ignores_has_no_importance(name: str) -> None:
    entry = find(name, EXPLAINERS, "explainer")
    cases = [case for case in CASES[::-1] if case.model in {"dense", *ESTIMATORS}]
    case = next(one for one in cases if one.data in {"table", "grey"} and claims(entry, one))
    # All coalitions, enough of what is drawn, and no quartiles, whose shares hide small slopes.
    enough = {"coalitions": 2**6, "perturbations": 2000, "discretizer": "none"}
    many = {key: enough[key] for key, _ in entry.parameters if key in enough}
    importance = explained(small(entry, **many), made_without(case, IGNORED)).importance
    largest = np.abs(importance).reshape(len(importance), -1).max(0)
    share = 1e-5 if name in IGNORED_IS_ZERO else 0.1
    assert largest[IGNORED] <= share * largest.max()
    assert (np.delete(largest, IGNORED) > 0.1 * share * largest.max()).any()


@pytest.mark.parametrize("name", sorted(ADDS_UP))
def test_importance_adds_up_to_the_answers(name: str) -> None:
    entry = find(name, EXPLAINERS, "explainer")
    case = next(one for one in CASES if one.regression and claims(entry, one))
    whole = made(case)
    with torch.no_grad():
        answers = whole.model(whole.inputs)[:, 0].numpy()
    sums = explained(small(entry, **ADDS_UP[name]), whole).importance.reshape(4, -1).sum(1)
    assert np.ptp(answers) > 0.1
    np.testing.assert_allclose(np.diff(sums), np.diff(answers), atol=0.01 * np.ptp(answers))


@contextmanager
def without(package: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a package be missing."""
    with monkeypatch.context() as patch:
        for name in [name for name in sys.modules if name.split(".")[0] == package]:
            patch.delitem(sys.modules, name)
        patch.setitem(sys.modules, package, None)
        yield


@pytest.mark.parametrize("entry", EXTRAS, ids=lambda entry: entry.name)
def test_what_is_missing_is_named(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        without(entry.extra, monkeypatch),
        pytest.raises(UproarError, match=rf"uproar\[{entry.extra}\]"),
    ):
        attribution(small(entry), made(homes(entry)[0]))
