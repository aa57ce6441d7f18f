"""What users hand over: objects of Captum, functions of modules and of arrays, known importance."""

from __future__ import annotations

from functools import partial
from typing import Any

import captum.attr
import numpy as np
import pandas as pd
import pytest
import torch
from captum.attr import LayerAttribution
from torch import Tensor, nn

import uproar
from tests.explain.packages.test_captum_methods import (
    bag,
    close,
    convolved,
    frozen,
    hooks_of,
    model_of,
    problem,
)
from tests.support.small_runs import silent
from uproar.explain.family import explain_family
from uproar.explain.function.permutation import Permutation
from uproar.explain.importance import ExplainerOfFunction
from uproar.explain.names import parse
from uproar.explain.packages.given import (
    GivenFunction,
    GivenImportance,
    OnArrays,
    explainer_of,
    on_arrays,
)
from uproar.models.forms import adapted
from uproar.models.trained import TrainedModel
from uproar.types import Skipped, UproarError

pytestmark = pytest.mark.filterwarnings("ignore:Setting :UserWarning")


def call(thing: Any, model: TrainedModel, inputs: Tensor, targets: Tensor) -> Tensor:
    explainer = explainer_of(thing, "mine")
    assert not isinstance(explainer, ExplainerOfFunction)
    return explainer(model, inputs, targets, torch.Generator().manual_seed(0))


def fresh(layout: str) -> tuple[TrainedModel, Tensor, Tensor, nn.Sequential]:
    """Return a problem, and a module of the same layers with other weights: a user's own."""
    model, inputs, targets = problem(layout)
    other = problem(layout)[0].network
    assert isinstance(other, nn.Sequential)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1.0)
    return model, inputs, targets, other


def by_family(thing: Any, model: TrainedModel, inputs: Tensor, targets: Tensor) -> np.ndarray:
    explainer, names = explainer_of(thing, "mine"), [parse("mine", ["mine"])]
    (found,) = explain_family(explainer, names, model, inputs, targets, lambda _: torch.Generator())
    return found.importance


# --- objects of Captum ----------------------------------------------------------------------------

METHODS: dict[str, tuple[Any, dict[str, Any]]] = {
    "saliency": (captum.attr.Saliency, {}),
    "input x gradient": (captum.attr.InputXGradient, {}),
    "integrated gradients": (captum.attr.IntegratedGradients, {"baselines": "black"}),
    "deeplift": (captum.attr.DeepLift, {"baselines": "black"}),
    "guided": (captum.attr.GuidedBackprop, {}),
    "deconvolution": (captum.attr.Deconvolution, {}),
}


@pytest.mark.parametrize("layout", ["table", "colour"])
@pytest.mark.parametrize("name", METHODS)
def test_an_object_asks_the_model_at_hand(name: str, layout: str) -> None:
    model, inputs, targets, other = fresh(layout)
    kind, options = METHODS[name]
    options = {key: model.baseline(inputs) for key in options}
    before = hooks_of(model.network), hooks_of(other)
    theirs = kind(problem(layout)[0].network).attribute(
        inputs.clone().requires_grad_(), target=targets, **options
    )

    def made(module: nn.Module) -> Any:
        return kind(module)

    for thing in (kind(other), kind, made, kind(other).attribute):
        close(call(thing, model, inputs, targets), theirs.detach())
    assert (hooks_of(model.network), hooks_of(other)) == before


@pytest.mark.slow
@pytest.mark.parametrize("kind", [captum.attr.FeatureAblation, captum.attr.ShapleyValueSampling])
def test_values_of_a_feature_move_together_and_share_what_it_is_worth(kind: Any) -> None:
    model, inputs, targets, other = fresh("colour")
    inputs, targets = inputs[:2], targets[:2]
    mask = torch.arange(30).repeat(3).view(1, 3, 6, 5)
    torch.manual_seed(torch.Generator().manual_seed(0).initial_seed())
    theirs = kind(model.network).attribute(
        inputs, model.baseline(inputs), target=targets, feature_mask=mask
    )
    found = call(kind(other), model, inputs, targets)
    close(found.sum(1), theirs[:, 0])
    if kind is captum.attr.FeatureAblation:
        occluded = parse("occlusion").load()(model, inputs, targets, torch.Generator())
        close(found, occluded)
        # Of models that are no modules, too.
        blind = TrainedModel(model.network.__call__, *[model.black] * 3, 2, "image")
        close(call(kind, blind, inputs, targets), found)


def test_occlusion_slides_over_features() -> None:
    for layout in ("colour", "series"):
        model, inputs, targets, other = fresh(layout)
        occluded = parse("occlusion").load()(model, inputs, targets, torch.Generator())
        found = call(captum.attr.Occlusion(other), model, inputs, targets)
        close(found, occluded * inputs.shape[1])  # whole, in every channel


def test_attribute_says_how_it_is_called() -> None:
    model, inputs, targets, other = fresh("table")
    thing = partial(captum.attr.IntegratedGradients(other).attribute, n_steps=7, baselines=0.3)
    theirs = captum.attr.IntegratedGradients(model.network).attribute(
        inputs.clone().requires_grad_(), target=targets, n_steps=7, baselines=0.3
    )
    close(call(thing, model, inputs, targets), theirs.detach())
    made = call(
        lambda module: partial(
            captum.attr.IntegratedGradients(module).attribute, n_steps=7, baselines=0.3
        ),
        model,
        inputs,
        targets,
    )
    close(made, theirs.detach())
    with pytest.raises(UproarError, match="sets 'target', which the benchmark does"):
        explainer_of(partial(captum.attr.Saliency(other).attribute, target=1), "mine")


@pytest.mark.parametrize("layout", ["grey", "series"])
def test_maps_of_layers_are_upsampled_to_the_features(layout: str) -> None:
    model, inputs, targets, other = fresh(layout)
    layer = 3 if layout == "grey" else 0
    theirs = captum.attr.LayerGradCam(model.network, model.network[layer]).attribute(
        inputs.clone().requires_grad_(), target=targets
    )
    mode = "bilinear" if layout == "grey" else "linear"
    wanted = LayerAttribution.interpolate(theirs.detach(), tuple(inputs.shape[2:]), mode)
    kind = captum.attr.LayerGradCam
    for thing in (kind(other, other[layer]), lambda module: kind(module, module[layer])):
        close(call(thing, model, inputs, targets).sum(1, keepdim=True), wanted)
    guided = captum.attr.GuidedGradCam(other, other[layer])
    assert call(guided, model, inputs, targets).shape == inputs.shape
    conducted = captum.attr.LayerConductance(other, other[layer])
    assert call(conducted, model, inputs, targets).any()
    several = captum.attr.LayerIntegratedGradients(other, other[layer])
    assert call(several, model, inputs, targets).any()


RANDOM = {
    "noise tunnel": lambda module: captum.attr.NoiseTunnel(captum.attr.Saliency(module)),
    "noise of integrated gradients": lambda module: captum.attr.NoiseTunnel(
        captum.attr.IntegratedGradients(module)
    ),
    "gradient shap": captum.attr.GradientShap,
    "kernel shap": captum.attr.KernelShap,
}


@pytest.mark.parametrize("name", RANDOM)
def test_what_is_drawn_is_the_same_for_all_examples(name: str) -> None:
    model, inputs, targets, other = fresh("table")
    thing = RANDOM[name](other)
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002 - to see that it is put back
    drawn = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    whole = call(thing, model, inputs, targets)
    assert torch.equal(torch.get_rng_state(), drawn[0])
    assert np.random.get_state()[1].tolist() == drawn[1]  # noqa: NPY002
    assert torch.equal(call(thing, model, inputs, targets), whole)
    close(call(thing, model, inputs[3:], targets[3:]), whole[3:])
    explainer = explainer_of(thing, "mine")
    other_draws = explainer(model, inputs, targets, torch.Generator().manual_seed(1))
    assert not torch.allclose(other_draws, whole)


def test_what_draws_nothing_is_explained_in_passes() -> None:
    model, inputs, targets, other = fresh("table")
    sizes: list[int] = []
    model.network.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    call(captum.attr.Saliency(other), model, inputs, targets)
    assert sizes == [1, len(inputs) - 1]


def test_adapted_models_and_text_have_the_users_layers() -> None:
    inner = frozen(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(96, 1))
    model, inputs, targets = model_of(adapted(inner, "single logit"), (1, 8, 6), "image")
    targets = targets % 2
    kind = captum.attr.LayerGradientXActivation
    made = call(lambda module: kind(module, module[0]), model, inputs, targets)
    wanted = parse("layer-grad-x-activation").load()(model, inputs, targets, torch.Generator())
    close(made, wanted)
    close(call(kind(inner, inner[0]), model, inputs, targets), wanted)
    model, inputs, targets = convolved()
    own = model.network.module
    wanted = parse("layer-grad-x-activation").load()(model, inputs, targets, torch.Generator())
    close(call(kind(own, own[0].rest[0]), model, inputs, targets), wanted)
    whole = call(captum.attr.IntegratedGradients, model, inputs, targets)
    assert not whole[:, 0].any()  # where the ids are
    embedded = captum.attr.LayerIntegratedGradients(own, own[0].token)
    with pytest.raises(Skipped, match="texts come embedded"):
        call(embedded, model, inputs, targets)
    with pytest.raises(Skipped, match="cannot keep the ids"):
        call(captum.attr.DeepLiftShap, *bag())


def test_layers_of_tokens_have_their_channels_last() -> None:
    model, inputs, targets = convolved()
    words = model.network.module[0]
    words.rest = nn.Sequential(nn.Flatten(), nn.Linear(28, 3)).requires_grad_(False)

    class Turned(nn.Module):
        def forward(self, vectors: Tensor) -> Tensor:
            return vectors.transpose(1, 2)

    words.rest = nn.Sequential(Turned(), *words.rest)
    kind = captum.attr.LayerGradientXActivation
    found = call(lambda module: kind(module, module[0].rest[0]), model, inputs, targets)
    slopes = model.gradient(inputs, targets)
    close(found.sum(1), (inputs * slopes)[:, 1:].sum(1))


def test_what_cannot_be_asked_is_refused_before_anything_is_trained() -> None:
    module = frozen(nn.Linear(6, 3))
    asks = captum.attr.Saliency(lambda x: module(x).softmax(1))

    def refused(thing: Any) -> str:
        with pytest.raises(UproarError) as error:
            explainer_of(thing, "mine")
        return str(error.value)

    assert "lambda module: Saliency(module)" in refused(asks)
    assert "explains a neuron" in refused(captum.attr.NeuronGradient(module, module[0]))
    assert "use 'pfi'" in refused(captum.attr.FeaturePermutation(module))
    assert "use 'pfi'" in refused(captum.attr.FeaturePermutation)
    assert "LayerGradCam needs layer" in refused(captum.attr.LayerGradCam)
    assert "NoiseTunnel needs attribution_method" in refused(captum.attr.NoiseTunnel)
    assert refused(3) == refused(3).removesuffix("int") + "int"
    assert "is the class Permutation; hand over an object" in refused(Permutation)


def test_what_does_not_fit_the_model_is_refused() -> None:
    model, inputs, targets, _ = fresh("table")
    wide = frozen(*[nn.Linear(6, 6) for _ in range(9)])
    foreign = captum.attr.LayerActivation(wide, wide[8])
    with pytest.raises(Skipped, match="no such layer as its Linear; it has 0, 1, 2, 3, 4"):
        call(foreign, model, inputs, targets)
    with pytest.raises(UproarError, match=r"must make an object of captum\.attr .* got list"):
        call(lambda module: [module], model, inputs, targets)
    with pytest.raises(UproarError, match="explains a neuron"):
        call(lambda module: captum.attr.NeuronGradient(module, module[0]), model, inputs, targets)
    blind = TrainedModel(lambda x: x[:, :3], *[model.black] * 3, 1)
    with pytest.raises(Skipped, match="needs gradients"):
        call(captum.attr.Saliency, blind, inputs, targets)
    with pytest.raises(Skipped, match="no place in a table"):
        call(lambda module: captum.attr.LayerActivation(module, module[0]), model, inputs, targets)
    image, pixels, wanted, _ = fresh("grey")
    with pytest.raises(ValueError, match="or of a layer with a channel axis and places"):
        call(lambda module: captum.attr.LayerActivation(module, module[5]), image, pixels, wanted)


# --- functions ------------------------------------------------------------------------------------


def test_functions_of_arrays_see_what_the_model_sees() -> None:
    model, inputs, targets = problem("colour")
    seen: dict[str, Any] = {}

    def explain(predict: Any, given: Any, wanted: Any, generator: Any) -> Any:
        seen.update(inputs=given, targets=wanted, outputs=predict(np.repeat(given, 300, 0)))
        return np.repeat(generator.uniform(size=(5, 1)), 30, 1).reshape(5, 6, 5) + given.mean(1)

    found = call(on_arrays(explain), model, inputs, targets)
    assert np.array_equal(seen["inputs"], inputs.numpy())
    assert np.array_equal(seen["targets"], targets.numpy())
    assert seen["outputs"].dtype == np.float32
    close(torch.from_numpy(seen["outputs"][::300]), model(inputs))
    assert found.shape == inputs.shape
    assert torch.equal(found[:, 0], found[:, 2])
    assert torch.equal(found, call(on_arrays(explain), model, inputs, targets))
    twice = on_arrays(lambda _, given, *__: given.astype(np.float64) * 2)
    close(call(twice, model, inputs, targets), inputs * 2)


@pytest.mark.parametrize("layout", ["grey", "colour", "series", "table"])
def test_importance_may_be_by_feature(layout: str) -> None:
    model, inputs, targets = problem(layout)
    features = (5, *model.shape_of_features(inputs))
    values = torch.rand(features, dtype=torch.float64)
    for answer in (lambda *_: values, lambda *_: values.numpy()):
        found = by_family(answer, model, inputs, targets)
        np.testing.assert_allclose(found, values.numpy(), rtol=1e-6)


def test_patches_are_features() -> None:
    groups = torch.arange(36).view(6, 6).div(18, rounding_mode="floor").flatten()
    model, inputs, targets = problem("grey", groups=groups, feature_shape=(2,))
    found = call(lambda *_: torch.tensor([[1.0, 2.0]] * 5), model, inputs, targets)
    close(found.flatten(1)[:, :18].sum(1), [1.0] * 5)
    close(found.flatten(1)[:, 18:].sum(1), [2.0] * 5)


def test_other_shapes_are_refused_with_both_that_fit() -> None:
    model, inputs, targets = problem("colour")
    with pytest.raises(
        ValueError, match=r"\(5, 3, 6, 5\), or importance .*\(5, 6, 5\), got \(5, 6\)"
    ):
        call(lambda *_: torch.zeros(5, 6), model, inputs, targets)
    with pytest.raises(TypeError, match=r"must return a torch\.Tensor or an array"):
        by_family(lambda *_: "words", model, inputs, targets)


# --- importance of the function -------------------------------------------------------------------


@pytest.mark.parametrize("make", [np.array, list, pd.Series, torch.tensor])
def test_importance_of_the_function_is_taken_as_it_is(make: Any) -> None:
    model, _, _ = problem("table")
    given = explainer_of(make([0.0, 1.0, -2.0, 3.0, 4.0, 5.0]), "mine")
    assert isinstance(given, GivenImportance)
    measured = given.measure(model, torch.Generator())
    assert measured.values.tolist() == [0, 1, -2, 3, 4, 5]
    assert np.isnan(measured.errors).all()
    with pytest.raises(UproarError, match=r"an array of shape \(6,\), got \(2,\)"):
        GivenImportance("mine", np.ones(2)).measure(model, torch.Generator())


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (np.array([1.0, np.nan]), "must have finite numbers"),
        (["first", "second"], "one number for each feature .could not convert string"),
        ([[1.0], [1.0, 2.0]], "one number for each feature"),
        ("grad", "must be callable, .* got str"),
    ],
)
def test_other_importance_is_refused(thing: Any, message: str) -> None:
    with pytest.raises(UproarError, match=message):
        explainer_of(thing, "mine")


def test_what_measures_and_what_is_an_explainer_already_stay_as_they_are() -> None:
    permutation, of_arrays = Permutation(), on_arrays(lambda *_: 0)
    assert explainer_of(permutation, "mine") is permutation
    assert explainer_of(of_arrays, "mine") is of_arrays
    assert isinstance(of_arrays, OnArrays)
    assert isinstance(explainer_of(parse("grad").load(), "mine"), GivenFunction)
    assert isinstance(explainer_of(max, "mine"), GivenFunction)


# --- from end to end ------------------------------------------------------------------------------


def by_magnitude(predict: Any, inputs: Any, targets: Any, generator: Any) -> Any:
    return np.abs(inputs)


@pytest.mark.slow
def test_all_of_them_in_one_evaluation(tmp_path: Any) -> None:
    inputs = np.random.default_rng(0).standard_normal((600, 6)).astype(np.float32)
    labels = (inputs[:, 0] + inputs[:, 1] > 0).astype(int)

    def network() -> nn.Module:
        return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))

    result = uproar.evaluate(
        network,
        (inputs, labels),
        explainers={
            "object": captum.attr.InputXGradient(network()),
            "class": captum.attr.InputXGradient,
            "made": lambda module: captum.attr.NoiseTunnel(captum.attr.Saliency(module)),
            "arrays": uproar.on_arrays(by_magnitude),
            "known": np.array([2.0, 2.0, 0, 0, 0, 0]),
            "layer": lambda module: captum.attr.LayerGradCam(module, module[0]),
            "abs-class": None,
            "input-x-grad": None,
        },
        protocols=["no-retrain"],
        fractions=[0.34],
        repeats=1,
        base_models=1,
        recipe=uproar.Recipe(epochs=15),
        out=tmp_path,
        log=silent,
        quiet=True,
    )
    assert [what for what, _ in result.failed] == []
    assert [reason for _, reason in result.skipped] == [
        "a layer's map has no place in a table, whose columns have no order"
    ]
    values = result.table.query("protocol == 'no-retrain' and fraction == 0.34")
    by_name = values.set_index("explainer")["value"]
    assert by_name["object"] == by_name["class"] == by_name["input-x-grad"]
    assert by_name["known"] < by_name["random"]
