"""Attention explainers: the weights of every implementation, slow references, padding, threads."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"  # before the library is imported

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.models.architectures.test_transformer import LENGTH, texts
from tests.support import oracles
from uproar.explain.family import explain_family
from uproar.explain.gradients.attention import attention, attention_rollout, attention_x_gradient
from uproar.explain.gradients.attention_weights import AttentionWeights
from uproar.explain.names import parse
from uproar.models.architectures.hugging_face import Classifier
from uproar.models.architectures.transformer import (
    HEADS,
    WIDTH,
    Attention,
    Transformer,
    transformer,
)
from uproar.models.trained import TrainedModel
from uproar.models.training.ways import initialise
from uproar.models.view import view_of
from uproar.types import Skipped

torch.set_num_threads(1)

ALL = (attention, attention_rollout, attention_x_gradient)
NAMES = ("attention", "attention-rollout", "attention-x-grad")
CPU = torch.device("cpu")
every = pytest.mark.parametrize("explainer", ALL)


def module(seed: int = 0) -> Transformer:
    """Return a transformer with weights so large that attention is far from even."""
    found = initialise(partial(transformer, texts()), seed).eval().requires_grad_(False)
    assert isinstance(found, Transformer)
    for block in found.blocks:
        block.attention.project.weight *= 6  # type: ignore[union-attr, operator]
    return found


def as_seen(predictor: nn.Module, *, examples: int = 6) -> tuple[TrainedModel, Tensor, Tensor]:
    """Return a model on token ids as explainers see it, inputs with padding, and targets."""
    data = texts()
    explained = view_of(data, predictor, CPU)
    inputs = explained.seen(torch.from_numpy(data.test.inputs[:examples]))
    return explained, inputs, torch.arange(examples) % 3


def tokens_of(explainer: Callable[..., Tensor], *given: Any) -> Tensor:
    """Return the importance of every token; all values of one have the same share of it."""
    attribution = explainer(*given, torch.Generator())
    assert attribution.shape == given[1].shape
    if attribution.ndim == 3:
        assert torch.equal(attribution, attribution[:, :1].expand_as(attribution))
        return attribution.sum(1)
    return attribution


def nudged(model: Transformer, ids: Tensor, nudges: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Return the outputs of a transformer whose attention weights are nudged, and the weights."""
    present, blocks = ids != model.pad, []
    x = model.token(ids) + model.position[: ids.shape[1]]
    for block, nudge in zip(model.blocks, nudges, strict=True):
        own, normed = block.attention, block.attention_norm(x)
        queries, keys, values = own.project(normed).chunk(3, -1)
        gathered = []
        weights = torch.zeros(len(ids), HEADS, LENGTH, LENGTH)
        for head, part in enumerate(torch.arange(WIDTH).chunk(HEADS)):
            scores = queries[..., part] @ keys[..., part].mT / math.sqrt(len(part))
            scores = scores.masked_fill(~present[:, None], -math.inf)
            weights[:, head] = scores.softmax(-1)
            gathered.append((weights[:, head] + nudge[:, head]) @ values[..., part])
        x = x + own.out(torch.cat(gathered, -1))
        x = x + block.dense(x)
        blocks.append(weights.detach())
    shares = present / present.sum(1, keepdim=True)
    return model.head((model.norm(x) * shares[..., None]).sum(1)), blocks


@pytest.fixture(scope="module")
def slow() -> list[np.ndarray]:
    """What the three explainers say of six texts, example by example."""
    model, ids = module(), torch.from_numpy(texts().test.inputs[:6])
    nudges = [torch.zeros(6, HEADS, LENGTH, LENGTH, requires_grad=True) for _ in model.blocks]
    outputs, blocks = nudged(model, ids, nudges)
    torch.testing.assert_close(outputs, model(ids))
    slopes = torch.autograd.grad(outputs[torch.arange(6), torch.arange(6) % 3].sum(), nudges)
    found: list[list[np.ndarray]] = [[], [], []]
    for example in range(6):
        weights = [block[example].double().numpy() for block in blocks]
        slope = [one[example].double().numpy() for one in slopes]
        read = (ids[example] != 0).numpy()
        found[0].append(weights[-1].mean(0)[read].mean(0))
        found[1].append(oracles.rolled_out(weights)[read].mean(0))
        found[2].append(oracles.relevance(weights, slope)[read].mean(0))
    return [np.stack(one) for one in found]


@pytest.mark.parametrize("which", range(3))
def test_against_slow_references(which: int, slow: list[np.ndarray]) -> None:
    got = tokens_of(ALL[which], *as_seen(module()))
    np.testing.assert_allclose(got, slow[which], rtol=2e-4, atol=1e-6)
    even = 1 / (texts().test.inputs[:6] != 0).sum(1, keepdims=True)
    assert np.abs(got.numpy() - even).max() > 0.05  # attention that is not even


class ByTorch(nn.Module):
    """Attention of the same weights, computed in another way."""

    def __init__(self, own: Attention, way: str) -> None:
        super().__init__()
        self.own, self.way = own, way
        self.torchs = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True).requires_grad_(False)
        self.torchs.in_proj_weight.copy_(own.project.weight)
        self.torchs.in_proj_bias.copy_(own.project.bias)
        self.torchs.out_proj.load_state_dict(own.out.state_dict())

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        if self.way.startswith("multi-head"):
            needed = self.way.endswith("needed")
            gathered, weights = self.torchs(x, x, x, key_padding_mask=~present, need_weights=needed)
            assert (weights is not None) == needed
            return gathered
        parts = self.own.project(x).view(*x.shape[:2], 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        if self.way == "at once":
            gathered = functional.scaled_dot_product_attention(
                *parts, attn_mask=present[:, None, None]
            )
        else:
            scores = parts[0] @ parts[1].mT / parts.shape[-1] ** 0.5
            scores = scores + torch.where(present, 0.0, -1e30)[:, None, None]
            weights = functional.softmax(scores, dim=3, dtype=torch.float32)
            gathered = functional.dropout(weights, 0.1, self.training) @ parts[2]
        return self.own.out(gathered.transpose(1, 2).flatten(2))


@every
@pytest.mark.parametrize("way", ["multi-head", "multi-head needed", "at once", "step by step"])
def test_every_way_to_compute_attention_gives_the_same(
    explainer: Callable[..., Tensor], way: str
) -> None:
    expected = tokens_of(explainer, *as_seen(module()))
    other = module()
    for block in other.blocks:
        block.attention = ByTorch(block.attention, way)  # type: ignore[arg-type]
    torch.testing.assert_close(tokens_of(explainer, *as_seen(other.eval())), expected)


class Encoder(nn.Module):
    """Torch's own encoder on token ids, which reads ``read`` of its tokens."""

    def __init__(self, read: str = "present") -> None:
        super().__init__()
        torch.manual_seed(0)
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.token, self.read = nn.Embedding(12, 8), read
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(8, 3)

    def forward(self, ids: Tensor) -> Tensor:
        hidden = self.encoder(self.token(ids), src_key_padding_mask=ids == 0)
        if self.read == "first":
            return self.head(hidden[:, 0])
        present = torch.ones_like(ids) if self.read == "all" else (ids != 0)
        return self.head((hidden * present[..., None]).sum(1) / present.sum(1)[:, None])


def test_the_encoder_of_torch_does_not_hide_its_weights() -> None:
    predictor = Encoder().eval()
    ids = torch.from_numpy(texts().test.inputs[:6])
    with torch.no_grad():
        plain = predictor(ids)  # on the fast path, which computes no weights
        with AttentionWeights(rows=6, tokens=LENGTH) as seen:
            outputs = predictor(ids)
        torch.testing.assert_close(outputs, plain)
        hidden, first = predictor.token(ids), predictor.encoder.layers[0].self_attn
        _, weights = first(hidden, hidden, hidden, key_padding_mask=ids == 0)
    assert len(seen.noted) == 2
    torch.testing.assert_close(seen.blocks()[0].mean(1), weights)


@every
@pytest.mark.parametrize("read", ["present", "first", "all"])
def test_padding_gets_nothing_even_where_it_is_read(
    explainer: Callable[..., Tensor], read: str
) -> None:
    model, inputs, targets = as_seen(Encoder(read).eval().requires_grad_(False))
    importance = tokens_of(explainer, model, inputs, targets)
    present = inputs[:, 0] != 0
    assert (~present).any()
    assert not importance[~present].any()
    assert (importance[present] > 0).all() or explainer is attention_x_gradient
    if explainer is not attention_x_gradient:
        torch.testing.assert_close(importance.sum(1), torch.ones(6))


def test_where_the_first_token_is_read_its_attention_counts() -> None:
    predictor = Encoder("first").eval().requires_grad_(False)
    model, inputs, targets = as_seen(predictor)
    with torch.no_grad(), AttentionWeights(rows=6, tokens=LENGTH) as seen:
        model(inputs)
    blocks = [block.double().numpy() for block in seen.blocks()]
    last = tokens_of(attention, model, inputs, targets)
    np.testing.assert_allclose(last, blocks[1].mean(1)[:, 0], rtol=1e-5)
    rolled = [oracles.rolled_out([block[one] for block in blocks])[0] for one in range(6)]
    got = tokens_of(attention_rollout, model, inputs, targets)
    np.testing.assert_allclose(got, np.stack(rolled), rtol=1e-5)


class OnValues(nn.Module):
    """Causal attention among the values of a table or the steps of a series, the last one read."""

    def __init__(self, channels: int = 1, *, extra: int = 0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.project, self.head = nn.Linear(channels, 24), nn.Linear(8, 3)
        self.extra = extra

    def forward(self, inputs: Tensor) -> Tensor:
        tokens = (inputs if inputs.ndim == 3 else inputs.flatten(1)[:, None]).transpose(1, 2)
        tokens = functional.pad(tokens, (0, 0, 0, self.extra))
        parts = self.project(tokens).chunk(3, -1)
        return self.head(functional.scaled_dot_product_attention(*parts, is_causal=True)[:, -1])


def on_values(shape: tuple[int, ...], predictor: nn.Module | None = None) -> TrainedModel:
    channels = shape[0] if len(shape) == 2 else 1
    chosen = (predictor or OnValues(channels)).eval().requires_grad_(False)
    kind = {1: "table", 2: "series", 3: "image"}[len(shape)]
    axes = 2 if kind == "image" else 1
    return TrainedModel(chosen, *[torch.zeros(shape)] * 3, axes, kind)  # type: ignore[arg-type]


@every
@pytest.mark.parametrize("shape", [(6,), (2, 7), (1, 3, 2)])
def test_tables_series_and_images_of_one_token_for_each_feature(
    explainer: Callable[..., Tensor], shape: tuple[int, ...]
) -> None:
    model, targets = on_values(shape), torch.arange(5) % 3
    inputs = torch.randn(5, *shape, generator=torch.Generator().manual_seed(0))
    importance = explainer(model, inputs, targets, torch.Generator())
    assert importance.shape == inputs.shape
    assert importance.isfinite().all()
    assert (importance.flatten(1).sum(1) > 0).all()


@every
def test_results_depend_on_neither_chunks_nor_company(explainer: Callable[..., Tensor]) -> None:
    name = NAMES[ALL.index(explainer)]
    assert parse(name).load() is explainer
    model, inputs, targets = as_seen(module())
    whole, chunked = (
        next(
            explain_family(
                *(explainer, [parse(name)], model, inputs, targets),
                lambda _: torch.Generator().manual_seed(0),
                chunk_bytes=chunk_bytes,
            )
        )
        for chunk_bytes in (2**20, 2 * inputs[0].numel() * 4)
    )
    assert whole.passes == 1
    np.testing.assert_allclose(chunked.importance, whole.importance, rtol=1e-4, atol=1e-6)
    alone = torch.cat(
        [tokens_of(explainer, model, inputs[i : i + 1], targets[i : i + 1]) for i in range(6)]
    )
    np.testing.assert_allclose(alone, whole.importance, rtol=1e-4, atol=1e-6)


def test_many_tokens_go_in_small_passes() -> None:
    model, sizes = on_values((600,)), []
    handle = model.network.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    attention(model, torch.rand(3, 600), torch.tensor([0, 1, 2]), torch.Generator())
    handle.remove()
    assert sizes == [1, 1, 1]  # 600 x 600 weights of 4 bytes are more than a megabyte


def test_only_this_threads_weights_are_noted() -> None:
    predictor, noted = Encoder().eval(), []
    ids = torch.from_numpy(texts().test.inputs[:6])
    main = threading.current_thread()

    def meanwhile(_: nn.Module, given: tuple[Tensor, ...]) -> None:
        if threading.current_thread() is main:
            other = threading.Thread(target=lambda: noted.append(predictor(given[0][:3])))
            other.start()
            other.join(10)

    predictor.register_forward_pre_hook(meanwhile)
    with torch.no_grad(), AttentionWeights(rows=6, tokens=LENGTH) as seen:
        predictor(ids)
    assert len(noted) == 1
    assert [len(block) for block in seen.blocks()] == [6, 6]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"is_causal": True},
        {"scale": 0.3},
        {"attn_mask": torch.tensor([[True, False, True], [True] * 3, [False] * 3])},
        {"attn_mask": torch.tensor([[0.0, -math.inf, 2.0], [1.0, 0.0, 0.0], [-math.inf] * 3])},
        {"enable_gqa": True},
    ],
)
def test_attention_step_by_step_is_that_at_once(options: dict[str, Any]) -> None:
    generator = torch.Generator().manual_seed(0)
    heads = 2 if options.get("enable_gqa") else 4
    query = torch.randn(5, 4, 3, 8, generator=generator, requires_grad=True)
    key, value = (torch.randn(5, heads, 3, 8, generator=generator) for _ in range(2))
    expected = functional.scaled_dot_product_attention(query, key, value, **options)
    with AttentionWeights(rows=5, tokens=3) as seen:
        got = functional.scaled_dot_product_attention(query, key, value, **options)
    torch.testing.assert_close(got, expected)
    sums = seen.noted[0].sum(-1)
    assert torch.allclose(sums, sums.round(), atol=1e-6)  # one, or zero for who sees nothing
    (slope,) = torch.autograd.grad(got.sum(), query)
    assert slope.isfinite().all()


class Pooling(nn.Module):
    """One softmax over the tokens, which are then added up."""

    def forward(self, inputs: Tensor) -> Tensor:
        return (inputs.softmax(1) * inputs).sum(1, keepdim=True)


@every
@pytest.mark.parametrize(
    ("predictor", "message"),
    [
        (nn.Linear(6, 3), "attention among the 6 features, .* one token; Linear computes none"),
        (Pooling(), "Pooling computes none"),
        (OnValues(extra=1), "OnValues has it among 7 tokens"),
        (lambda inputs: inputs, "needs gradients, and this model is no torch module"),
    ],
)
def test_models_without_attention_among_features_are_skipped(
    explainer: Callable[..., Tensor], predictor: Any, message: str
) -> None:
    model = replace(on_values((6,)), module=predictor)
    with pytest.raises(Skipped, match=message):
        explainer(model, torch.rand(2, 6), torch.tensor([0, 0]), torch.Generator())


def test_a_text_of_padding_alone_gets_nothing() -> None:
    model, inputs, targets = as_seen(module())
    empty = inputs.clone()
    empty[0] = model.network.embed(torch.zeros(1, LENGTH).long())[0]  # type: ignore[operator]
    for explainer in ALL:
        importance = tokens_of(explainer, model, empty, targets)
        assert not importance[0].any()
        assert importance[1:].any()


@pytest.mark.slow
@pytest.mark.parametrize("way", ["eager", "sdpa"])
def test_a_published_classifier_has_the_weights_that_it_returns(way: str) -> None:
    transformers = pytest.importorskip("transformers")
    sizes = {"vocab_size": 12, "hidden_size": 16, "intermediate_size": 32, "num_labels": 3}
    layers = {"num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": LENGTH}
    config = transformers.BertConfig(**sizes, **layers, attn_implementation=way)
    torch.manual_seed(0)
    published = transformers.BertForSequenceClassification(config).eval().requires_grad_(False)
    for part in published.bert.encoder.layer:
        part.attention.self.query.weight *= 40
    model, inputs, targets = as_seen(Classifier(published, pad=0))
    published.set_attn_implementation("eager")
    ids = inputs[:, 0].long()
    returned = published(ids, attention_mask=(ids != 0).long(), output_attentions=True).attentions
    published.set_attn_implementation(way)
    blocks = [block.double().numpy() for block in returned]
    got = tokens_of(attention, model, inputs, targets)
    np.testing.assert_allclose(got, blocks[1].mean(1)[:, 0], rtol=1e-4, atol=1e-6)
    rolled = [oracles.rolled_out([block[one] for block in blocks])[0] for one in range(6)]
    got = tokens_of(attention_rollout, model, inputs, targets)
    np.testing.assert_allclose(got, np.stack(rolled), rtol=1e-4, atol=1e-6)
    relevant = tokens_of(attention_x_gradient, model, inputs, targets)
    assert not relevant[ids == 0].any()
    assert (relevant[:, 0] >= 1).all()  # the first token is where the output is read
