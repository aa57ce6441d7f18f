"""What every registered explainer must do, on every layout of inputs; a new entry needs no test."""

from __future__ import annotations

import importlib
import inspect

import numpy as np
import pytest
import torch
from torch import nn

import uproar.explain
from uproar import testing
from uproar.explain import AGGREGATIONS, DEFAULT_EXPLAINERS, ENSEMBLES, EXPLAINERS
from uproar.explain.family import explain_family
from uproar.explain.importance import ExplainerOfFunction
from uproar.explain.names import parse
from uproar.models.trained import TrainedModel
from uproar.types import Entry, Skipped

LAYOUTS = {"table": (7,), "grey": (1, 6, 5), "colour": (3, 6, 5), "no-channels": (6, 5)}
# Public objects of the modules that are not registered, and why.
UNREGISTERED = {
    "Moments": "what ensembles reduce",
    "noisy_moments": "makes what ensembles reduce",
    "signed": "the plain aggregation, whose name is empty",
    "aggregate": "applies aggregations",
    "transform_of": "finds aggregations",
}
ALL = (*EXPLAINERS, *ENSEMBLES, *AGGREGATIONS)
# What a network that nobody can train again is no model for, and what is said of it.
REFUSED = {
    "loco": "this one cannot be trained",
    "impurity": "needs trees of scikit-learn",
    "gain": "needs the boosted trees",
    "coefficients": "needs? a linear model",
    "tree-shap": "needs trees that",
    "saabas": "needs trees that",
    "shap-tree": "TreeExplainer does not know such a model",
    "shap-linear": "needs a linear model",
}
# Parameters for names that would be slow here.
QUICK = {
    "shap-kernel": "shap-kernel:coalitions=40:background=3",
    "shap-permutation": "shap-permutation:permutations=1:background=3",
    "shap-gradient": "shap-gradient:references=10",
    "lime-package": "lime-package:perturbations=40",
}


def make(layout: str) -> tuple[TrainedModel, torch.Tensor, torch.Tensor]:
    shape = LAYOUTS[layout]
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Flatten(), nn.Linear(int(np.prod(shape)), 8), nn.ReLU(), nn.Linear(8, 3)
    )
    inputs = torch.tensor(np.random.default_rng(0).uniform(size=(4, *shape)), dtype=torch.float32)
    black, mean, spread = torch.zeros(shape), inputs.mean(0), torch.ones(shape)
    axes = 1 if layout == "table" else 2
    # Wide enough for every class to occur.
    held_out = 4 * torch.randn(60, *shape, generator=torch.Generator().manual_seed(3))
    labels = torch.arange(60) % 3  # no better than chance, so that shuffling may also help
    model = TrainedModel(
        module.requires_grad_(False).eval(),
        black,
        mean,
        spread,
        axes,
        kind="table" if layout == "table" else "image",
        held_out=(held_out, labels),
        background=held_out,
    )
    return model, inputs, torch.tensor([0, 1, 2, 0])


def refusal(name: str, layout: str) -> str:
    """Return what an explainer says of a model that it does not apply to; else nothing."""
    if name == "sobel" and layout == "table":
        return "needs images"
    if name in {"blur-ig", "rise"} and layout == "table":
        return "needs images or series"
    if parse(name).entry().needs == "attention":
        return "Sequential computes none"
    if parse(name).entry().needs == "gradients, convolutions":
        return "no place in a table" if layout == "table" else "needs a convolution"
    return REFUSED.get(name, "")


def attribution(explainer, model, inputs, targets) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    if isinstance(explainer, ExplainerOfFunction):
        return explainer.measure(model, generator).like(model, inputs)
    return explainer(model, inputs, targets, generator)


def importance(name: str, layout: str, *, seed: int = 0) -> np.ndarray:
    model, inputs, targets = make(layout)
    before = inputs.clone()
    parsed = parse(QUICK.get(name, name))
    (explained,) = explain_family(
        parsed.load(),
        [parsed],
        model,
        inputs,
        targets,
        lambda _: torch.Generator().manual_seed(seed),
    )
    assert torch.equal(inputs, before)
    return explained.importance


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "name", dict.fromkeys([*(entry.name for entry in EXPLAINERS), *DEFAULT_EXPLAINERS])
)
def test_importance_is_finite_repeatable_and_of_the_features_shape(name: str, layout: str) -> None:
    refused = refusal(name, layout)
    if refused:
        with pytest.raises(Skipped, match=refused):
            importance(name, layout)
        return
    first = importance(name, layout)
    features = LAYOUTS[layout][-2:]
    assert first.shape == (4, *features)
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    assert np.array_equal(first, importance(name, layout))
    assert first.any()
    # What is declared signed shows both signs here, and nothing else has a negative value.
    assert (first < 0).any() == parse(name).entry().signed
    stochastic = bool(parse(name).entry().draws or parse(name).ensemble)
    # Seven columns have few enough coalitions to ask about them all.
    stochastic &= (name, layout) != ("kernel-shap", "table")
    assert np.array_equal(first, importance(name, layout, seed=1)) != stochastic


@pytest.mark.parametrize("entry", EXPLAINERS, ids=lambda entry: entry.name)
def test_attribution_has_the_inputs_shape_also_for_one_example(entry: Entry) -> None:
    for layout in ("grey", "colour"):
        if refusal(entry.name, layout):
            pytest.skip(refusal(entry.name, layout))
        model, inputs, targets = make(layout)
        explainer = parse(QUICK.get(entry.name, entry.name)).load()
        whole = attribution(explainer, model, inputs, targets)
        one = attribution(explainer, model, inputs[:1], targets[:1])
        assert whole.shape == inputs.shape
        assert one.shape == inputs[:1].shape
        if entry.name != "random":
            torch.testing.assert_close(one, whole[:1])


@pytest.mark.parametrize("layout", testing.LAYOUTS)
@pytest.mark.parametrize("entry", EXPLAINERS, ids=lambda entry: entry.name)
def test_explainer_passes_the_public_check(entry: Entry, layout: str) -> None:
    if entry.needs == "held-out examples" and testing.toy_model(layout)[0].held_out is None:
        pytest.skip("the public model comes without held-out examples")
    if refusal(entry.name, layout):
        pytest.skip(refusal(entry.name, layout))
    testing.check_explainer(parse(QUICK.get(entry.name, entry.name)).load(), layout)


@pytest.mark.parametrize("entry", ALL, ids=lambda entry: entry.name)
def test_entry_is_complete(entry: Entry) -> None:
    loaded = entry.load()
    documentation = inspect.getdoc(loaded) or ""
    assert ">>>" in documentation
    if entry.paper:
        assert entry.paper in documentation
    assert entry.summary
    assert entry.summary[0].islower()
    if entry.kind == "estimator":
        assert entry.paper
        assert entry.needs != "nothing"
    if entry in EXPLAINERS:
        assert entry.kind in {"estimator", "control"}
        assert entry.scope in {"local", "global"}
        fields = getattr(loaded, "__dataclass_fields__", {})
        assert {key: field.default for key, field in fields.items()} == dict(entry.parameters)


def test_every_public_object_is_registered() -> None:
    registered = {entry.path for entry in ALL}
    modules = {path.partition(":")[0] for path in registered}
    public = {
        f"{module}:{name}"
        for module in modules
        for name, value in vars(importlib.import_module(module)).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == module
    }
    unregistered = {path for path in public if path.partition(":")[2] in UNREGISTERED}
    assert public - unregistered == registered
    assert len(unregistered) == len(UNREGISTERED)


def test_names_are_unique() -> None:
    assert len({entry.name for entry in ALL}) == len(ALL)
    assert len({entry.path for entry in ALL}) == len(ALL)


def test_ensembles_share_their_parameters() -> None:
    assert len({entry.parameters for entry in uproar.explain.ENSEMBLES}) == 1
