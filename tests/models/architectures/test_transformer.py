"""The transformer: padding takes no part, and every way of training and explaining takes it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from tests.support.small_data import small
from uproar.dataset import Data, Split, Vocabulary
from uproar.models.architectures.transformer import Transformer, transformer
from uproar.models.training.ways import initialise
from uproar.types import UproarError

torch.set_num_threads(1)

LENGTH = 7


def texts(*, classes: int = 3) -> Data:
    generator = np.random.default_rng(0)
    ids = generator.integers(1, 12, (20, LENGTH))
    ids[np.arange(LENGTH) >= generator.integers(1, LENGTH + 1, 20)[:, None]] = 0
    part = Split(ids, np.arange(20) % classes)
    return Data(
        name="words",
        kind="text",
        train=part,
        validation=part,
        test=part,
        feature_shape=(LENGTH,),
        class_names=tuple("abc"[:classes]),
        vocabulary=Vocabulary(tuple("_?!defghijkl")),
    )


def model(seed: int = 0) -> Transformer:
    module = initialise(partial(transformer, texts()), seed)
    assert isinstance(module, Transformer)
    return module


def ids_of(data: Data) -> Tensor:
    return torch.from_numpy(data.train.inputs)


@pytest.mark.slow
def test_it_answers_with_one_output_for_each_class_and_one_value_for_regression() -> None:
    data = texts()
    assert transformer(data)(ids_of(data)).shape == (20, 3)
    assert transformer(replace(data, class_names=()))(ids_of(data)).shape == (20, 1)


def test_padding_takes_no_part() -> None:
    module = model().eval()
    short = torch.tensor([[3, 4, 5, 0, 0, 0, 0]])
    torch.testing.assert_close(module(short), module(short[:, :3]))
    with torch.no_grad():
        before = module(short)
        module.token.weight[0] += 1.0
        module.position[3:] += 1.0
    assert torch.equal(module(short), before)


def test_other_tokens_in_the_batch_do_not_matter() -> None:
    module, ids = model().eval(), ids_of(texts())
    torch.testing.assert_close(module(ids)[4:5], module(ids[4:5]))


def test_a_text_of_padding_alone_gets_the_answer_of_the_last_bias() -> None:
    module = model()
    outputs = module(torch.zeros(2, LENGTH, dtype=torch.int64))
    assert torch.equal(outputs, module.head.bias.expand(2, 3))
    outputs.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in module.parameters())


def test_order_and_every_word_matter() -> None:
    module = model().eval()
    first = module(torch.tensor([[3, 4, 5, 6]]))
    for other in ([[4, 3, 5, 6]], [[3, 4, 5, 2]]):
        assert not torch.allclose(first, module(torch.tensor(other)))


def test_attention_is_that_of_torch() -> None:
    attention = model().eval().blocks[0].attention
    reference = nn.MultiheadAttention(64, 4, batch_first=True).eval()
    reference.load_state_dict(
        {
            "in_proj_weight": attention.project.weight,
            "in_proj_bias": attention.project.bias,
            "out_proj.weight": attention.out.weight,
            "out_proj.bias": attention.out.bias,
        }
    )
    x = torch.randn(2, LENGTH, 64, generator=torch.Generator().manual_seed(0))
    present = torch.arange(LENGTH) < torch.tensor([[3], [LENGTH]])
    expected = reference(x, x, x, key_padding_mask=~present)[0]
    torch.testing.assert_close(attention(x, present), expected)


def test_stacked_gradients_are_those_of_every_model_alone() -> None:
    models, data = [model(seed).eval() for seed in (1, 2)], texts()
    ids, labels = ids_of(data), torch.from_numpy(data.train.labels)
    parameters, buffers = stack_module_state(models)
    assert not buffers

    def loss(state: dict[str, Tensor]) -> Tensor:
        return nn.functional.cross_entropy(functional_call(models[0], state, (ids,)), labels)

    stacked = vmap(grad(loss))(parameters)
    for arm, module in enumerate(models):
        nn.functional.cross_entropy(module(ids), labels).backward()
        for name, parameter in module.named_parameters():
            torch.testing.assert_close(stacked[name][arm], parameter.grad, rtol=1e-4, atol=1e-6)


def test_stacked_arms_of_equal_weights_drop_the_same_and_learn_the_same() -> None:
    module, data = model().train(), texts()
    ids = ids_of(data).expand(2, -1, -1)
    labels = torch.from_numpy(data.train.labels)
    parameters, _ = stack_module_state([module, module])

    def loss(state: dict[str, Tensor], x: Tensor) -> Tensor:
        return nn.functional.cross_entropy(functional_call(module, state, (x,)), labels)

    step = vmap(grad(loss), randomness="same")
    first, second = step(parameters, ids), step(parameters, ids)
    for gradient in first.values():
        assert torch.equal(gradient[0], gradient[1])
    assert any(not torch.equal(gradient, second[name]) for name, gradient in first.items())


@pytest.mark.slow
def test_it_learns_a_planted_word() -> None:
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(4, 12, (200, LENGTH), generator=generator)
    labels = torch.arange(200) % 2
    ids[torch.arange(200), torch.randint(0, LENGTH, (200,), generator=generator)] = 2 + labels
    module = model().train()
    update = torch.optim.Adam(module.parameters(), 3e-3)
    for _ in range(25):
        update.zero_grad()
        nn.functional.cross_entropy(module(ids), labels).backward()
        update.step()
    assert (module.eval()(ids).argmax(1) == labels).float().mean() > 0.95


def test_other_kinds_of_data_are_refused() -> None:
    with pytest.raises(UproarError, match="'transformer' needs text, but data 'small-grey' are of"):
        transformer(small("grey"))
