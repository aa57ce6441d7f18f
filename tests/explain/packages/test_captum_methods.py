"""What Captum computes: oracles, Captum itself, completeness, refusals, and nothing left behind."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import captum.attr
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.support import oracles
from uproar.explain.chunks import rows_per_pass
from uproar.explain.cost import passes_of
from uproar.explain.family import explain_family
from uproar.explain.gradients.gradients import gradient
from uproar.explain.names import parse
from uproar.explain.packages import CAPTUM
from uproar.explain.packages.captum_methods import (
    GradientShap,
    ShapleySampling,
    layerwise_relevance,
)
from uproar.explain.packages.captum_support import private_copy
from uproar.explain.packages.deep_lift import DeepLift, DeepLiftShap
from uproar.models.embedded import OnEmbeddings
from uproar.models.trained import TrainedModel
from uproar.registry import Entry
from uproar.types import Kind, Skipped

SMALL = {"references": 3, "permutations": 2, "steps": 3}
hooking = pytest.mark.filterwarnings("ignore:Setting :UserWarning")


def frozen(*layers: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    module = nn.Sequential(*layers)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.eval().requires_grad_(requires_grad=False)


def model_of(
    module: Any, shape: tuple[int, ...], kind: Kind, *, examples: int = 5, **options: Any
) -> tuple[TrainedModel, Tensor, Tensor]:
    """Return a model that sees inputs of a shape, some inputs, and what is explained of them."""
    generator = torch.Generator().manual_seed(1)
    inputs = torch.rand(examples, *shape, generator=generator)
    model = TrainedModel(
        module,
        black=torch.full(shape, -0.2),
        mean=torch.full(shape, 0.5),
        spread=torch.ones(shape),
        feature_axes=2 if kind == "image" else 1,
        kind=kind,
        background=torch.rand(8, *shape, generator=generator),
        **options,
    )
    return model, inputs, torch.arange(examples) % 3


SEQUENCES: dict[str, tuple[Kind, tuple[int, ...], Callable[[], nn.Module]]] = {
    "table": (
        "table",
        (6,),
        lambda: frozen(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 8), nn.ReLU(), nn.Linear(8, 3)),
    ),
    "grey": (
        "image",
        (1, 6, 6),
        lambda: frozen(
            *(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3)),
        ),
    ),
    "colour": (
        "image",
        (3, 6, 5),
        lambda: frozen(
            *(nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(inplace=True)),
            *(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3)),
        ),
    ),
    "series": (
        "series",
        (2, 9),
        lambda: frozen(
            *(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout1d()),
            *(nn.Flatten(), nn.Linear(28, 3)),
        ),
    ),
}


def problem(layout: str, **options: Any) -> tuple[TrainedModel, Tensor, Tensor]:
    kind, shape, module = SEQUENCES[layout]
    return model_of(module(), shape, kind, **options)


class Words(nn.Module):
    """Token ids to outputs: what is made of the embeddings' mean, or of convolutions of them."""

    def __init__(self, *layers: nn.Module, mean: bool) -> None:
        super().__init__()
        self.token, self.mean, self.rest = nn.Embedding(9, 4), mean, nn.Sequential(*layers)

    def forward(self, ids: Tensor) -> Tensor:
        vectors = self.token(ids).transpose(1, 2)
        return self.rest(vectors.mean(2) if self.mean else vectors)


def text(*layers: nn.Module, mean: bool) -> tuple[TrainedModel, Tensor, Tensor]:
    """Return a model of five texts of seven tokens, embedded as explainers see them."""
    words = frozen(Words(*layers, mean=mean))
    ids = torch.randint(3, 9, (13, 7), generator=torch.Generator().manual_seed(1))
    module = OnEmbeddings(words, ids[:2])
    seen = module.embed(ids)
    model = TrainedModel(
        *(module, module.of_token(1), module.mean(ids), module.spread()),
        feature_axes=1,
        kind="text",
        feature_shape=(7,),
        background=seen[5:],
    )
    return model, seen[:5], torch.arange(5) % 3


def bag() -> tuple[TrainedModel, Tensor, Tensor]:
    return text(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3), mean=True)


def convolved() -> tuple[TrainedModel, Tensor, Tensor]:
    layers = (nn.Conv1d(4, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(25, 3))
    return text(*layers, mean=False)


def of_entry(entry: Entry) -> dict[str, tuple[TrainedModel, Tensor, Tensor]]:
    """Return a model of every kind of data that an entry claims, and that its need is met by."""
    found = {name: problem(name) for name in SEQUENCES if entry.fits(SEQUENCES[name][0])}
    if entry.name in {"deeplift", "deeplift-shap"}:
        return {**found, "bag of words": bag()}
    return {**found, "text": convolved()} if entry.fits("text") else found


def small(entry: Entry) -> str:
    options = [f":{key}={SMALL[key]}" for key, _ in parse(entry.name).parameters if key in SMALL]
    return "".join([entry.name, *options])


def call(name: str, model: TrainedModel, inputs: Tensor, targets: Tensor) -> Tensor:
    return parse(name).load()(model, inputs, targets, torch.Generator().manual_seed(0))


def outputs(model: TrainedModel, inputs: Tensor, targets: Tensor) -> Tensor:
    return model(inputs).gather(1, targets[:, None])[:, 0]


def close(found: Tensor, wanted: Any, tolerance: float = 1e-6) -> None:
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-4, atol=tolerance)


# --- oracles --------------------------------------------------------------------------------------


def layers_of(module: nn.Module) -> list[tuple[np.ndarray, np.ndarray]]:
    return [
        (part.weight.double().numpy(), part.bias.double().numpy())
        for part in module.modules()
        if isinstance(part, nn.Linear)
    ]


def test_deep_lift_is_the_rescale_rule() -> None:
    model, inputs, targets = problem("table")
    layers, start = layers_of(model.network), model.black.double().numpy()
    wanted = [
        oracles.deep_lift(layers, x.double().numpy(), start, int(target))
        for x, target in zip(inputs, targets, strict=True)
    ]
    close(call("deeplift", model, inputs, targets), wanted)


def test_relevance_is_shared_out_in_proportion_to_products() -> None:
    model, inputs, targets = problem("table")
    layers = layers_of(model.network)
    wanted = [
        oracles.layerwise_relevance(layers, x.double().numpy(), int(target))
        for x, target in zip(inputs, targets, strict=True)
    ]
    close(call("lrp", model, inputs, targets), wanted, 1e-4)


def test_sampled_shapley_values_are_exact_in_expectation() -> None:
    module = frozen(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 3))
    model, inputs, targets = model_of(module, (3,), "table", examples=2)

    def answer(present: set[int]) -> float:
        point = model.black.clone()
        point[list(present)] = inputs[1, list(present)]
        return float(outputs(model, point[None], targets[1:])[0])

    exact = oracles.shapley_values(answer, 3)
    found = call("shapley-sampling:permutations=400", model, inputs, targets)[1]
    again = ShapleySampling(permutations=1)
    seeds = [torch.Generator().manual_seed(seed) for seed in range(60)]
    single = torch.stack([again(model, inputs, targets, seed)[1] for seed in seeds])
    error = single.std(0) / 400**0.5
    assert (np.abs(found.numpy() - exact) <= 4 * error.numpy() + 1e-6).all()
    assert float(error.max()) > 1e-4


# --- Captum itself --------------------------------------------------------------------------------


class Copied(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.clone()


def apart(module: nn.Module) -> nn.Module:
    """Put something between layers: of pooling right behind a ReLU, Captum's do not add up."""
    layers = [part for layer in private_copy(module).children() for part in (layer, Copied())]
    return nn.Sequential(*layers)


@hooking
@pytest.mark.parametrize("layout", SEQUENCES)
def test_deep_lift_is_that_of_captum(layout: str) -> None:
    model, inputs, targets = problem(layout)
    leaf = inputs.clone().requires_grad_()
    theirs = captum.attr.DeepLift(apart(model.network)).attribute(
        leaf, model.baseline(inputs), target=targets
    )
    close(call("deeplift", model, inputs, targets), theirs.detach())


@hooking
@pytest.mark.parametrize("layout", SEQUENCES)
def test_deep_lift_shap_is_that_of_captum(layout: str) -> None:
    model, inputs, targets = problem(layout)
    assert model.background is not None
    leaf = inputs.clone().requires_grad_()
    theirs = captum.attr.DeepLiftShap(apart(model.network)).attribute(
        leaf, model.background[:3], target=targets
    )
    close(call("deeplift-shap:references=3", model, inputs, targets), theirs.detach())


def test_gradient_shap_is_that_of_captum_given_the_same_draws(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, inputs, targets = problem("grey")
    assert model.background is not None
    drawn = torch.Generator().manual_seed(0)
    chosen = int(torch.randint(8, (), generator=drawn))
    share = float(torch.rand((), generator=drawn))
    noise = torch.randn((1, 6, 6), generator=drawn)
    monkeypatch.setattr("torch.normal", lambda mean, _: mean + 0.1 * noise)
    monkeypatch.setattr("numpy.random.uniform", lambda _, __, size: np.full(size, share))
    theirs = captum.attr.GradientShap(model.network).attribute(
        inputs.clone().requires_grad_(),
        model.background[chosen : chosen + 1],
        n_samples=1,
        stdevs=0.1,
        target=targets,
    )
    found = call("gradient-shap:references=1", model, inputs, targets)
    close(found, theirs.detach())


@pytest.mark.parametrize("layout", ["grey", "colour"])
def test_relevance_is_that_of_captum(layout: str) -> None:
    model, inputs, targets = problem(layout)
    own = private_copy(model.network, weights=True)
    for part in own.modules():
        if isinstance(part, nn.Flatten):
            part.add_module("unused", nn.ReLU())  # or Captum finds no rule
    leaf = inputs.clone().requires_grad_()
    theirs = captum.attr.LRP(own).attribute(leaf, target=targets)
    close(call("lrp", model, inputs, targets), theirs.detach())


@pytest.mark.parametrize("layout", ["table", "colour"])
def test_sampled_shapley_values_are_those_of_captum(layout: str) -> None:
    model, inputs, targets = problem(layout)
    mask = model.feature_of_value(inputs).view(1, *inputs.shape[1:])
    torch.manual_seed(7)
    theirs = captum.attr.ShapleyValueSampling(model.network).attribute(
        inputs, model.baseline(inputs), target=targets, feature_mask=mask, n_samples=2
    )
    generator = torch.Generator().manual_seed(7)
    found = ShapleySampling(permutations=2)(model, inputs, targets, generator)
    channels = 3 if layout == "colour" else 1  # each of which has the whole feature's value there
    close(found * channels, theirs)


# --- completeness ---------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [*SEQUENCES, "bag of words"])
def test_deep_lift_adds_up_to_the_change_of_the_output(layout: str) -> None:
    model, inputs, targets = bag() if layout == "bag of words" else problem(layout)
    assert model.background is not None
    whole = outputs(model, inputs, targets)
    for baseline in ("black", "mean", "zero"):
        start = outputs(model, model.baseline(inputs, baseline), targets)
        found = call(f"deeplift:baseline={baseline}", model, inputs, targets)
        close(found.flatten(1).sum(1), whole - start, 1e-5)
    starts = torch.zeros(len(inputs))
    for reference in model.background[:3]:
        vectors = reference.expand_as(inputs).clone()
        if model.kind == "text":
            vectors[:, 0] = inputs[:, 0]
        starts += outputs(model, vectors, targets) / 3
    found = call("deeplift-shap:references=3", model, inputs, targets)
    close(found.flatten(1).sum(1), whole - starts, 1e-5)


@pytest.mark.parametrize("layout", [*SEQUENCES, "text"])
def test_sampled_shapley_values_add_up_to_the_change_of_the_output(layout: str) -> None:
    model, inputs, targets = convolved() if layout == "text" else problem(layout)
    change = outputs(model, inputs, targets) - outputs(model, model.baseline(inputs), targets)
    found = call("shapley-sampling:permutations=3", model, inputs, targets)
    close(found.flatten(1).sum(1), change, 1e-5)


def test_gradient_shap_adds_up_in_expectation() -> None:
    model, inputs, targets = problem("table")
    assert model.background is not None
    starts = [outputs(model, one.expand_as(inputs), targets) for one in model.background]
    change = outputs(model, inputs, targets) - torch.stack(starts).mean(0)
    found = call("gradient-shap:references=2000:smoothing=0", model, inputs, targets)
    close(found.sum(1), change, 0.05)


def test_one_reference_is_deep_lift_and_features_share_what_they_are_worth() -> None:
    model, inputs, targets = problem("grey")
    background = torch.full((1, 1, 6, 6), -0.2)
    alike = TrainedModel(model.module, *[model.black] * 3, 2, "image", background=background)
    found = call("deeplift-shap", alike, inputs, targets)
    close(found, call("deeplift", alike, inputs, targets))
    groups = torch.tensor([0, 0, 0, 1, 1, 2])
    table, rows, _ = problem("table", groups=groups, feature_shape=(3,))
    values = call("shapley-sampling:permutations=2", table, rows, targets)
    assert torch.equal(values[:, 0], values[:, 2])
    assert torch.equal(values[:, 3], values[:, 4])


# --- refusals -------------------------------------------------------------------------------------


class Odd(nn.Module):
    """Layers put together in ways that some methods cannot follow."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way, self.relu = way, nn.ReLU()
        self.first, self.second, self.last = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        if self.way == "functional":
            return self.last(torch.relu(self.second(torch.tanh(self.first(x)))))
        if self.way == "reused":
            return self.last(self.relu(self.second(self.relu(self.first(x)))))
        if self.way == "reused layer":
            return self.last(self.first(self.first(x)))
        return self.last(x + self.relu(self.first(x)))


def refused(name: str, module: nn.Module, shape: tuple[int, ...] = (6,)) -> str:
    model, inputs, targets = model_of(frozen(module), shape, "table")
    with pytest.raises(Skipped) as skipped:
        call(name, model, inputs, targets)
    return str(skipped.value)


@pytest.mark.parametrize("name", ["deeplift", "deeplift-shap:references=2"])
def test_deep_lift_refuses_what_it_has_no_rule_for(name: str) -> None:
    layers = (nn.Linear(6, 9), nn.GELU(), nn.Linear(9, 3))
    assert "do not add up" in refused(name, nn.Sequential(*layers))
    assert "do not add up" in refused(name, Odd("functional"))
    assert "called once" in refused(name, Odd("reused"))
    assert "nn.Softmax" in refused(name, nn.Sequential(nn.Linear(6, 3), nn.Softmax(1)))
    # Sums of branches are linear.
    model, inputs, targets = model_of(frozen(Odd("residual")), (6,), "table")
    assert call(name, model, inputs, targets).any()


def test_relevance_refuses_what_it_has_no_rule_for() -> None:
    layers = (nn.Linear(6, 9), nn.GELU(), nn.LayerNorm(9), nn.Linear(9, 3))
    assert refused("lrp", nn.Sequential(*layers)) == "LRP has no rule for GELU, LayerNorm"
    assert refused("lrp", Odd("residual")).endswith("this one also calls add")
    assert refused("lrp", Odd("functional")).endswith("this one also calls tanh")
    assert "called once" in refused("lrp", Odd("reused layer"))
    model, inputs, targets = model_of(frozen(Odd("reused")), (6,), "table")
    assert call("lrp", model, inputs, targets).any()


def test_text_without_rules_is_refused() -> None:
    model, inputs, targets = convolved()
    with pytest.raises(Skipped, match="no rule for embeddings"):
        call("lrp", model, inputs, targets)
    layers = (nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 3))
    with pytest.raises(Skipped, match="do not add up"):
        call("deeplift", *text(*layers, mean=True))


@pytest.mark.parametrize("entry", CAPTUM, ids=lambda entry: entry.name)
def test_models_without_gradients_are_refused(entry: Entry) -> None:
    model, inputs, targets = model_of(lambda x: x.flatten(1)[:, :3], (1, 6, 6), "image")
    if entry.needs == "any model":
        assert call(small(entry), model, inputs, targets).any()
        return
    with pytest.raises(Skipped, match="needs gradients, and this model is no torch module"):
        call(small(entry), model, inputs, targets)


@pytest.mark.parametrize("name", ["deeplift-shap", "gradient-shap"])
def test_training_examples_are_needed(name: str) -> None:
    model = TrainedModel(nn.Linear(6, 3), *[torch.zeros(6)] * 3, 1)
    with pytest.raises(Skipped, match="compares with training examples, and there are none"):
        call(name, model, torch.ones(2, 6), torch.tensor([0, 1]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DeepLift(baseline="white"), "baseline must be one of"),
        (lambda: DeepLiftShap(references=0), "references must be at least 1, got 0"),
        (lambda: GradientShap(references=0), "references must be at least 1, got 0"),
        (lambda: GradientShap(smoothing=-1.0), "smoothing must be at least 0, got -1.0"),
        (lambda: ShapleySampling(permutations=0), "permutations must be at least 1, got 0"),
        (lambda: ShapleySampling(baseline="white"), "baseline must be one of"),
    ],
)
def test_parameters_out_of_range(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_other_errors_are_not_swallowed() -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError(f"no memory for {len(x)}")

    model, inputs, targets = model_of(frozen(Broken()), (6,), "table")
    for name in ("deeplift", "shapley-sampling"):
        with pytest.raises(RuntimeError, match="no memory for"):
            call(name, model, inputs, targets)


# --- the contract ---------------------------------------------------------------------------------


def hooks_of(module: nn.Module) -> list[tuple[str, int]]:
    return [
        (f"{name} {key}", len(value))
        for name, part in module.named_modules()
        for key, value in vars(part).items()
        if "_hooks" in key and isinstance(value, dict)
    ]


@pytest.mark.parametrize("entry", CAPTUM, ids=lambda entry: entry.name)
def test_every_kind_is_explained_and_nothing_is_left_behind(entry: Entry) -> None:
    for kind, (model, inputs, targets) in of_entry(entry).items():
        before = inputs.clone(), targets.clone(), hooks_of(model.network)
        attributes = [sorted(vars(part)) for part in model.network.modules()]
        state = {name: value.clone() for name, value in model.network.state_dict().items()}
        torch.manual_seed(5)
        np.random.seed(5)  # noqa: NPY002 - to see that nobody draws from it
        drawn = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
        first, again = (call(small(entry), model, inputs, targets) for _ in range(2))
        assert first.shape == inputs.shape, kind
        assert torch.isfinite(first).all()
        assert torch.equal(first, again)
        assert bool((first < 0).any()) == entry.signed
        assert torch.equal(inputs, before[0])
        assert torch.equal(targets, before[1])
        assert hooks_of(model.network) == before[2]
        assert [sorted(vars(part)) for part in model.network.modules()] == attributes
        assert all(torch.equal(v, state[n]) for n, v in model.network.state_dict().items())
        assert torch.equal(torch.get_rng_state(), drawn[0])
        assert np.random.get_state()[1].tolist() == drawn[1]  # noqa: NPY002
        if kind == "bag of words":
            assert not first[:, 0].any()  # where the ids are


@pytest.mark.parametrize("entry", CAPTUM, ids=lambda entry: entry.name)
def test_an_example_alone_is_explained_alike(entry: Entry) -> None:
    for model, inputs, targets in of_entry(entry).values():
        whole = call(small(entry), model, inputs, targets)
        alone = [
            call(small(entry), model, inputs[at : at + 1], targets[at : at + 1]) for at in (0, 4)
        ]
        torch.testing.assert_close(torch.cat(alone), whole[[0, 4]], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("entry", CAPTUM, ids=lambda entry: entry.name)
def test_passes_are_predicted(entry: Entry) -> None:
    name = parse(small(entry))
    for model, inputs, targets in of_entry(entry).values():
        features = int(np.prod(model.shape_of_features(inputs)))
        (found,) = explain_family(
            name.load(), [name], model, inputs, targets, lambda _: torch.Generator()
        )
        assert found.passes == passes_of(name, features=features, outputs=3)


@pytest.mark.parametrize("entry", CAPTUM, ids=lambda entry: entry.name)
def test_memory_is_bounded(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer rows to a pass give the same, and no pass has more."""
    layout = "grey" if entry.fits("image") else "table"
    model, inputs, targets = problem(layout)
    whole = call(small(entry), model, inputs, targets)
    most, sizes = 3, []
    for module in ("packages.captum_methods", "packages.deep_lift", "packages.layers", "chunks"):
        target = f"uproar.explain.{module}.rows_per_pass"
        monkeypatch.setattr(target, lambda _, **__: most)
    for module in ("packages.layers", "coalitions"):
        target = f"uproar.explain.{module}.rows_per_forward"
        monkeypatch.setattr(target, lambda *_, **__: most)
    handle = model.network.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    few = call(small(entry), model, inputs, targets)
    handle.remove()
    torch.testing.assert_close(few, whole, rtol=1e-4, atol=1e-5)
    # A family is never handed more than fits in a pass; guided backpropagation takes it as it is.
    pooled = {"gradient-shap", "guided-grad-cam"}
    assert max(sizes) <= (len(inputs) if entry.name in pooled else most)
    assert rows_per_pass(inputs) > 5


@pytest.mark.slow
def test_other_threads_may_run_the_same_module() -> None:
    model, inputs, targets = problem("grey")
    names = ["deeplift", "lrp", "guided-grad-cam", "grad-cam", "layer-conductance:steps=3"]
    wanted = {name: call(name, model, inputs, targets) for name in names}
    plain = gradient(model, inputs, targets, torch.Generator())
    wrong: list[str] = []

    def repeat(name: str) -> None:
        found = [call(name, model, inputs, targets) for _ in range(15)]
        wrong.extend(name for one in found if not torch.equal(one, wanted[name]))

    threads = [threading.Thread(target=repeat, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if not torch.equal(gradient(model, inputs, targets, torch.Generator()), plain):
            wrong.append("grad")
    assert wrong == []


def test_a_private_copy_shares_weights_and_keeps_hooks() -> None:
    module = frozen(nn.Linear(2, 2), nn.ReLU())
    module[0].last = module[0](torch.ones(1, 2).requires_grad_())  # what cannot be copied as it is
    module[1].register_forward_hook(lambda _, __, output: output + 1)
    copied = private_copy(module)
    assert copied[0].weight is module[0].weight
    assert copied[1] is not module[1]
    assert torch.equal(copied(torch.ones(1, 2)), module(torch.ones(1, 2)))
    copied[1].register_forward_hook(lambda *_: None)
    assert len(module[1]._forward_hooks) == 1
    assert private_copy(module, weights=True)[0].weight is not module[0].weight


def test_relevance_of_a_single_layer() -> None:
    layer = frozen(nn.Linear(6, 3))[0]
    model, inputs, targets = model_of(layer, (6,), "table")
    found = layerwise_relevance(model, inputs, targets, torch.Generator())
    shares = inputs * layer.weight[targets] / layer(inputs).gather(1, targets[:, None])
    close(found, shares * outputs(model, inputs, targets)[:, None], 1e-5)
