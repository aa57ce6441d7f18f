"""What a module answers: the form that is found, what becomes of it, and every refusal."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from uproar.models.forms import Adapted, adapted, form_of
from uproar.models.training.loss import mean_loss
from uproar.types import Recipe, UproarError

SAMPLE = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
IDS = torch.tensor([[3, 1, 4], [1, 5, 9], [2, 6, 5], [3, 5, 8]])


class Predictor(nn.Module):
    """A linear layer, and a function of what it answers."""

    def __init__(self, outputs: int, function: Callable[[torch.Tensor], object]) -> None:
        super().__init__()
        self.layer, self.function = nn.Linear(6, outputs), function

    def forward(self, inputs: torch.Tensor) -> object:
        return self.function(self.layer(inputs))


def without_gradients() -> nn.Module:
    return Predictor(1, torch.sigmoid).requires_grad_(False)


def of_tokens(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Embedding(10, 4), nn.Flatten(), *layers)


FORMS: dict[str, tuple[Callable[[], nn.Module], int, str]] = {
    "three logits": (lambda: nn.Linear(6, 3), 3, "logits"),
    "two logits": (lambda: nn.Linear(6, 2), 2, "logits"),
    "log-probabilities": (lambda: nn.Sequential(nn.Linear(6, 3), nn.LogSoftmax(1)), 3, "logits"),
    "small positive logits": (lambda: Predictor(3, lambda z: z.relu() / 100), 3, "logits"),
    "softmax": (lambda: nn.Sequential(nn.Linear(6, 3), nn.Softmax(1)), 3, "probabilities"),
    "softmax and clamp": (
        lambda: Predictor(3, lambda z: z.softmax(1).clamp(1e-9, 1)),
        3,
        "probabilities",
    ),
    "a sigmoid each": (lambda: Predictor(3, torch.sigmoid), 3, "probabilities"),
    "one logit, column": (lambda: nn.Linear(6, 1), 2, "single logit"),
    "one logit, flat": (lambda: Predictor(1, lambda z: z[:, 0]), 2, "single logit"),
    "sigmoid, column": (lambda: Predictor(1, torch.sigmoid), 2, "single probability"),
    "sigmoid, flat": (
        lambda: Predictor(1, lambda z: z.sigmoid().squeeze(-1)),
        2,
        "single probability",
    ),
    "one of a softmax": (
        lambda: Predictor(2, lambda z: z.softmax(1)[:, 1]),
        2,
        "single probability",
    ),
    "the rest to 1": (lambda: Predictor(1, lambda z: 1 - z.sigmoid()), 2, "single probability"),
    "one positive logit": (lambda: Predictor(1, torch.abs), 2, "single logit"),
    "frozen sigmoid": (without_gradients, 2, "single probability"),
}


@pytest.mark.parametrize("what", FORMS)
def test_forms_are_told_from_answers(what: str) -> None:
    make, outputs, form = FORMS[what]
    for seed in range(20):
        torch.manual_seed(seed)
        assert form_of(make(), SAMPLE, outputs=outputs, task="classification") == form


def test_a_logit_that_is_within_0_and_1_by_chance_is_a_logit() -> None:
    within = 0
    for seed in range(40):
        torch.manual_seed(seed)
        module = nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.Linear(8, 1))
        answer = module(SAMPLE)
        within += bool(((answer >= 0) & (answer <= 1)).all())
        assert form_of(module, SAMPLE, outputs=2, task="classification") == "single logit"
    assert within > 0


def test_forms_of_answers_to_tokens() -> None:
    for outputs, layers, form in (
        (3, [nn.Linear(12, 3)], "logits"),
        (2, [nn.Linear(12, 1)], "single logit"),
        (2, [nn.Linear(12, 1), nn.Sigmoid()], "single probability"),
        (3, [nn.Linear(12, 3), nn.Softmax(1)], "probabilities"),
    ):
        torch.manual_seed(0)
        assert form_of(of_tokens(*layers), IDS, outputs=outputs, task="classification") == form


def test_forms_of_values() -> None:
    assert form_of(nn.Linear(6, 1), SAMPLE, outputs=1, task="regression") == "values"
    flat = Predictor(1, lambda z: z[:, 0])
    assert form_of(flat, SAMPLE, outputs=1, task="regression") == "value"


def test_looking_at_a_module_leaves_it_as_it_was() -> None:
    module = nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3), nn.Dropout(), nn.Softmax(1))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    torch.manual_seed(3)
    random = torch.random.get_rng_state()
    form_of(module, SAMPLE, outputs=3, task="classification")
    assert module.training
    assert torch.equal(torch.random.get_rng_state(), random)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


REFUSED: dict[str, tuple[Callable[[], nn.Module], int, str]] = {
    "classes": (
        lambda: nn.Linear(6, 4),
        3,
        "the model must return outputs of shape (4, 3), one per class, for inputs of shape (4, 6), "
        "got (4, 4): the data have 3 classes, the model 4",
    ),
    "one of three": (
        lambda: nn.Linear(6, 1),
        3,
        "the model must return outputs of shape (4, 3), one per class, for inputs of shape (4, 6), "
        "got (4, 1): the data have 3 classes, the model 1",
    ),
    "tuple": (
        lambda: Predictor(3, lambda z: (z, z)),
        3,
        "the model must return a tensor, outputs of shape (4, 3), one per class, got tuple of 2; "
        "wrap it in a module that returns the tensor alone",
    ),
    "nothing": (
        lambda: Predictor(3, lambda _: None),
        3,
        "the model must return a tensor, outputs of shape (4, 3), one per class, got NoneType; "
        "wrap it in a module that returns the tensor alone",
    ),
    "axes": (
        lambda: Predictor(3, lambda z: z.T),
        3,
        "the model must return outputs of shape (4, 3), one per class, for inputs of shape (4, 6), "
        "got (3, 4); examples must come first",
    ),
    "maps": (
        lambda: Predictor(3, lambda z: z[:, :, None, None]),
        3,
        "the model must return outputs of shape (4, 3), one per class, for inputs of shape (4, 6), "
        "got (4, 3, 1, 1)",
    ),
    "predictions": (
        lambda: Predictor(3, lambda z: z.argmax(1)),
        2,
        "the model must return numbers that rise with what it predicts, got torch.int64; return "
        "logits or probabilities in place of classes",
    ),
    "nan": (
        lambda: Predictor(3, lambda z: z / 0 * 0),
        3,
        "the model answers with nan or infinity to inputs of shape (4, 6), already untrained",
    ),
    "lazy": (
        lambda: nn.LazyLinear(3),
        3,
        "the model has lazy layers, whose sizes are known after the first inputs alone; give the "
        "layers their sizes, or call the module once in its factory",
    ),
    "inputs": (
        lambda: nn.Linear(5, 3),
        3,
        "the model does not accept torch.float32 inputs of shape (4, 6): RuntimeError: mat1 and "
        "mat2 shapes cannot be multiplied (4x6 and 5x3)",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_refusals(what: str) -> None:
    make, outputs, message = REFUSED[what]
    with pytest.raises(UproarError) as error:
        form_of(make(), SAMPLE, outputs=outputs, task="classification")
    assert str(error.value) == message


def test_a_model_of_classes_is_refused_for_values() -> None:
    with pytest.raises(UproarError) as error:
        form_of(nn.Linear(6, 2), SAMPLE, outputs=1, task="regression")
    assert str(error.value) == (
        "the model must return outputs of shape (4, 1), the value, for inputs of shape (4, 6), got "
        "(4, 2)"
    )


def test_logits_and_values_are_the_module_itself() -> None:
    module = nn.Linear(6, 3)
    assert adapted(module, "logits") is module
    assert adapted(module, "values") is module


@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("flat", [False, True])
def test_the_softmax_of_adapted_outputs_is_what_the_module_says(flat: bool, size: int) -> None:
    torch.manual_seed(0)
    layer = Predictor(1, lambda z: z[:, 0] if flat else z)
    sigmoid = Predictor(1, lambda z: z[:, 0].sigmoid() if flat else z.sigmoid())
    sigmoid.load_state_dict(layer.state_dict())
    probability = layer.layer(SAMPLE[:size])[:, 0].sigmoid()
    wanted = torch.stack([1 - probability, probability], 1)
    for module, form in ((layer, "single logit"), (sigmoid, "single probability")):
        outputs = adapted(module, form)(SAMPLE[:size])
        torch.testing.assert_close(outputs.softmax(1), wanted)
    softmax = nn.Sequential(nn.Linear(6, 3), nn.Softmax(1))
    outputs = adapted(softmax, "probabilities")(SAMPLE[:size])
    torch.testing.assert_close(outputs.softmax(1), softmax(SAMPLE[:size]))
    value = adapted(Predictor(1, lambda z: z[:, 0]), "value")
    assert value(SAMPLE[:size]).shape == (size, 1)


def test_the_two_logits_of_one_have_slopes_of_opposite_sign() -> None:
    leaf = SAMPLE.clone().requires_grad_()
    outputs = adapted(nn.Linear(6, 1), "single logit")(leaf)
    second, first = (
        torch.autograd.grad(outputs[:, k].sum(), leaf, retain_graph=True)[0] for k in (1, 0)
    )
    torch.testing.assert_close(second, -first)


def test_certain_probabilities_have_finite_outputs_and_slopes() -> None:
    sure = torch.tensor([[0.0], [1.0]], requires_grad=True)
    outputs = adapted(nn.Identity(), "single probability")(sure)
    assert outputs.isfinite().all()
    mean_loss(outputs, torch.tensor([1, 1]), Recipe()).backward()
    assert sure.grad.isfinite().all()


def test_the_inner_module_is_a_child() -> None:
    inner = nn.Sequential(nn.Embedding(10, 4), nn.Flatten(), nn.Linear(12, 1))
    outer = adapted(inner, "single logit")
    assert isinstance(outer, Adapted)
    assert any(isinstance(part, nn.Embedding) for part in outer.modules())
    assert [name for name, _ in outer.named_parameters()] == [
        "inner.0.weight",
        "inner.2.weight",
        "inner.2.bias",
    ]
