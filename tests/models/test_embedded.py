"""Explaining through the embedding: the same outputs, and the gradient of the vectors."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.models.architectures.test_transformer import texts
from uproar.models.architectures.transformer import transformer
from uproar.models.embedded import OnEmbeddings
from uproar.models.training.ways import initialise
from uproar.types import Skipped

torch.set_num_threads(1)

IDS = torch.from_numpy(texts().train.inputs)


class Bag(nn.Module):
    """The mean of the tokens that are there, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(12, 5), nn.Linear(5, 3)

    def forward(self, ids: Tensor) -> Tensor:
        return self.on(ids, self.table(ids))

    def on(self, ids: Tensor, vectors: Tensor) -> Tensor:
        weights = (ids != 0).float()[..., None]
        return self.head((vectors * weights).sum(1) / weights.sum(1).clamp(min=1))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(12, 5), nn.Linear(4, 3)
        self.lstm = nn.LSTM(5, 4, batch_first=True)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.lstm(self.table(ids))[0][:, -1])


class Tied(Bag):
    """Calls its embedding with positions first, then with the ids by keyword."""

    def forward(self, ids: Tensor) -> Tensor:
        positions = self.table(torch.arange(ids.shape[1]))
        return self.on(ids, self.table(input=ids) * positions)


class Functional(Bag):
    def forward(self, ids: Tensor) -> Tensor:
        return self.on(ids, nn.functional.embedding(ids, self.table.weight))


class Failing(Bag):
    fails = False

    def on(self, ids: Tensor, vectors: Tensor) -> Tensor:
        if self.fails:
            raise RuntimeError("a model of somebody else")
        return super().on(ids, vectors)


MODELS: dict[str, Callable[[], nn.Module]] = {
    "bag": Bag,
    "lstm": Recurrent,
    "tied": Tied,
    "transformer": partial(transformer, texts()),
}


def embedded(name: str) -> OnEmbeddings:
    return OnEmbeddings(initialise(MODELS[name], 0).eval(), IDS[:2])


@pytest.mark.parametrize("name", MODELS)
def test_on_its_embeddings_a_model_answers_the_same(name: str) -> None:
    model = embedded(name)
    vectors = model.embed(IDS)
    assert vectors.shape == (20, 1 + model.embedding.embedding_dim, 7)
    assert vectors.dtype == torch.float32
    assert torch.equal(vectors[:, 0], IDS.float())
    assert torch.equal(model(vectors), model.module(IDS))


@pytest.mark.parametrize("name", MODELS)
def test_gradients_reach_every_token_that_is_used(name: str) -> None:
    model = embedded(name)
    leaf = model.embed(IDS).requires_grad_()
    model(leaf)[:, 0].sum().backward()
    assert leaf.grad is not None
    assert not leaf.grad[:, 0].any()
    used = leaf.grad[:, 1:].abs().sum(1) > 0
    assert torch.equal(used, torch.ones_like(used) if name == "lstm" else IDS != 0)


def test_the_gradient_is_that_of_the_vectors() -> None:
    model = embedded("bag")
    leaf = model.embed(IDS).requires_grad_()
    model(leaf)[:, 1].sum().backward()
    vectors = model.embedding(IDS).detach().requires_grad_()
    model.module.on(IDS, vectors)[:, 1].sum().backward()
    assert torch.equal(leaf.grad[:, 1:], vectors.grad.transpose(1, 2))


def test_other_vectors_give_what_the_model_makes_of_them() -> None:
    model = embedded("bag")
    vectors = torch.randn(20, 7, 5, generator=torch.Generator().manual_seed(3))
    given = torch.cat([IDS[:, None].float(), vectors.transpose(1, 2)], 1)
    assert torch.equal(model(given), model.module.on(IDS, vectors))


def test_of_an_embedding_used_twice_only_the_call_with_the_ids_is_replaced() -> None:
    model = embedded("tied")
    vectors = torch.ones(20, 7, 5)
    given = torch.cat([IDS[:, None].float(), vectors.transpose(1, 2)], 1)
    expected = model.module.on(IDS, vectors * model.embedding(torch.arange(7)))
    assert torch.equal(model(given), expected)


def test_no_hook_stays_behind_even_when_the_model_fails() -> None:
    module = Failing()
    model = OnEmbeddings(module, IDS)
    module.fails = True
    with pytest.raises(RuntimeError, match="somebody else"):
        model(model.embed(IDS))
    module.fails = False
    assert not module.table._forward_hooks
    assert torch.equal(model(torch.zeros(1, 6, 7)), module.head.bias[None])


def test_threads_do_not_see_each_others_vectors() -> None:
    inside, release = threading.Event(), threading.Event()

    class Waiting(Bag):
        def on(self, ids: Tensor, vectors: Tensor) -> Tensor:
            if threading.current_thread() is worker:
                inside.set()
                assert release.wait(10)
            return super().on(ids, vectors)

    results: list[Tensor] = []
    worker = threading.Thread(target=lambda: results.append(model(model.embed(IDS) * 0)))
    model = OnEmbeddings(Waiting(), IDS)
    expected, none = model.module(IDS), model(model.embed(IDS) * 0)
    worker.start()
    assert inside.wait(10)
    assert torch.equal(model.module(IDS), expected)  # while the other thread's hook is in place
    assert torch.equal(model(model.embed(IDS)), expected)
    release.set()
    worker.join()
    assert torch.equal(results[0], none)


def test_what_stands_for_no_information() -> None:
    model = embedded("bag")
    weight = model.embedding.weight.detach()
    mask = model.of_token(2)
    assert torch.equal(mask, torch.cat([torch.zeros(1), weight[2]])[:, None])
    ids = torch.tensor([[3, 3, 4, 0]])
    expected = (2 * weight[3] + weight[4]) / 3
    torch.testing.assert_close(model.mean(ids, without=(0,))[1:, 0], expected)
    torch.testing.assert_close(model.mean(ids)[1:, 0], (3 * expected + weight[0]) / 4)
    spread = model.spread()
    assert torch.equal(spread[1:, 0], weight.amax(0) - weight.amin(0))
    assert model.mean(ids)[0] == spread[0] == mask[0] == 0


def test_ids_survive_as_floats() -> None:
    ids = torch.tensor([[0, 250_000, 3, 2**24 - 1]])
    assert torch.equal(ids.float().round().long(), ids)


def test_models_whose_embedding_is_out_of_reach_are_skipped() -> None:
    with pytest.raises(Skipped, match=r"no nn.Embedding of Functional is called with the token"):
        OnEmbeddings(Functional(), IDS)
    with pytest.raises(Skipped, match="has 12 tokens, and token 12"):
        embedded("bag").of_token(12)


def test_parameters_are_listed_once() -> None:
    model = embedded("bag")
    assert len(list(model.named_parameters(remove_duplicate=False))) == 3
    assert np.isclose(sum(p.numel() for p in model.parameters()), 60 + 18)
