"""From explainers to ranks: blocks of examples, tokens that are not there, known answers."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from tests.support.small_data import small
from uproar.bench.consumers import RankedExplanation
from uproar.bench.examples import gallery_examples, kept_examples
from uproar.bench.explaining import explain
from uproar.data import load
from uproar.dataset import Data, Split
from uproar.explain.names import parse
from uproar.models.architectures.small import linear
from uproar.models.architectures.transformer import transformer
from uproar.models.estimators.learner import EstimatorPredictor
from uproar.models.view import view_of
from uproar.ranking import rank

CPU = torch.device("cpu")


def trained(data: Data, model=None) -> nn.Module:
    torch.manual_seed(0)
    return (model or linear)(data).eval().requires_grad_(requires_grad=False)


def targets(data: Data) -> dict[str, np.ndarray]:
    zeros = {part: np.zeros(len(getattr(data, part)), np.int64) for part in ("train", "test")}
    for array in zeros.values():
        array.flags.writeable = False  # as what comes from the store
    return zeros


def explained(data: Data, *names: str, module=None, kept=(0, 3), **explainers) -> dict:
    return explain(
        view_of(data, module or trained(data), CPU),
        data,
        [parse(name, extra_bases=(*explainers, *data.known_importance)) for name in names],
        targets=targets(data),
        explainers=explainers,
        seed=7,
        lots=3,
        kept=list(kept),
    )


def test_the_gradient_of_a_linear_model_ranks_by_its_weights():
    data = small("table")
    module = trained(data)
    weights = module[1].weight[0].numpy()
    found = explained(data, "grad", "abs-grad", module=module)
    expected = rank(np.broadcast_to(weights, (40, 6)).astype(np.float32))
    np.testing.assert_array_equal(found["grad"].test, expected)
    expected = rank(np.broadcast_to(np.abs(weights), (70, 6)).astype(np.float32))
    np.testing.assert_array_equal(found["abs-grad"].train, expected)
    np.testing.assert_allclose(found["grad"].kept, [weights, weights], rtol=1e-6)
    assert found["grad"].train.dtype == np.uint8
    assert found["grad"].seconds > 0


DRAW_BY_BLOCKS = ["sg-grad:samples=3", "random", "random-blurred"]
SHARE_DRAWS = ["encoder", "expected-grad:references=3", "shapley-sampling:permutations=2"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["grad", "ig:steps=4", "occlusion", *SHARE_DRAWS, *DRAW_BY_BLOCKS])
def test_blocks_of_any_size_rank_the_same(name, monkeypatch):
    data = small("grey")
    whole = explained(data, name)[parse(name).name]
    monkeypatch.setattr("uproar.bench.explaining.BLOCKS", 1)
    monkeypatch.setattr("uproar.bench.explaining.rows_per_pass", lambda _: 70)
    np.testing.assert_array_equal(explained(data, name)[parse(name).name].train, whole.train)
    if name not in DRAW_BY_BLOCKS:
        monkeypatch.setattr("uproar.bench.explaining.rows_per_pass", lambda _: 16)
        parts = explained(data, name)[parse(name).name]
        np.testing.assert_array_equal(parts.train, whole.train)
        np.testing.assert_array_equal(parts.test, whole.test)
        np.testing.assert_allclose(parts.kept, whole.kept, atol=1e-6)


def test_train_and_test_share_what_is_drawn():
    data = small("grey")
    encoded = explained(data, "encoder")["encoder"]  # the targets are all alike
    assert (encoded.train == encoded.train[0]).all()
    assert (encoded.test == encoded.train[0]).all()
    random = explained(data, "random")["random"]
    assert not (random.train[: len(random.test)] == random.test).all()


def test_functions_of_token_ids_keep_what_is_known_of_them():
    data = load("planted-words", seed=0)
    few = {
        part: Split(getattr(data, part).inputs[:60], getattr(data, part).labels[:60])
        for part in ("train", "validation", "test")
    }
    data = replace(data, **few, known_importance={})
    grown = DecisionTreeClassifier(max_depth=3).fit(data.train.inputs, data.train.labels)
    model = view_of(data, EstimatorPredictor(grown, (0, 1), 2), CPU)
    assert model.module.estimator is grown
    assert copy.deepcopy(model.module).outputs == 2
    with pytest.raises(AttributeError, match="nothing"):
        _ = model.module.nothing
    found = explained(data, "saabas", module=EstimatorPredictor(grown, (0, 1), 2))["saabas"]
    used = set(grown.tree_.feature[grown.tree_.feature >= 0])
    assert set(np.flatnonzero(found.kept.any(0))) <= used


def test_an_explanation_of_the_function_is_made_once_and_stands_for_all(monkeypatch):
    data = small("table")
    monkeypatch.setattr("uproar.bench.explaining.rows_per_pass", lambda _: 2)
    found = explained(data, "pfi")["pfi"]
    assert (found.train == found.train[0]).all()
    assert (found.test == found.train[0]).all()
    assert found.kept.shape == (2, 6)
    assert (found.kept == found.kept[0]).all()
    assert np.abs(found.kept).sum() > 0


def test_callables_see_the_model_the_inputs_and_the_targets():
    data, calls = small("colour"), []

    def mine(model, inputs, targets, generator):
        calls.append((inputs.shape, targets.tolist()))
        return torch.arange(inputs[0].numel()).view(inputs[0].shape).expand(inputs.shape).float()

    found = explained(data, "mine", mine=mine)["mine"]
    assert {shape[1:] for shape, _ in calls} == {(3, 4, 3)}
    assert {target for _, targets in calls for target in targets} == {0}
    # The last pixel has the largest sum over channels.
    np.testing.assert_array_equal(found.test[0], np.arange(11, -1, -1).reshape(4, 3))


def test_one_hot_groups_are_one_feature():
    inputs = np.random.default_rng(0).standard_normal((20, 4)).astype(np.float32)
    part = Split(inputs, np.arange(20) % 2)
    data = Data(
        *("groups", "table", part, part, part),
        feature_shape=(2,),
        class_names=("a", "b"),
        feature_of_value=np.array([0, 1, 1, 0]),
    )
    module = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    with torch.no_grad():
        module[1].weight[0] = torch.tensor([1.0, 3.0, 4.0, 2.0])
    module.requires_grad_(requires_grad=False)
    found = explained(data, "grad", module=module)["grad"]
    np.testing.assert_allclose(found.kept, [[3.0, 7.0]] * 2)
    assert found.train[0].tolist() == [1, 0]


def test_tokens_that_an_example_lacks_come_last():
    data = load("planted-words", seed=0)
    few = {
        part: Split(getattr(data, part).inputs[:30], getattr(data, part).labels[:30])
        for part in ("train", "validation", "test")
    }
    known = {name: (a[:30], b[:30]) for name, (a, b) in data.known_importance.items()}
    data = replace(data, **few, known_importance=known)
    module = trained(data, transformer)
    for name in ("grad", "random", "true-ranking", "inverted-ranking"):
        found = explained(data, name, module=module)[name]
        for part in ("train", "test"):
            present = data.present(getattr(data, part))
            lengths = present.sum(1)
            ranks = getattr(found, part)
            assert ((ranks < lengths[:, None]) == present).all(), name
    first = explained(data, "true-ranking", module=module)["true-ranking"]
    last = explained(data, "inverted-ranking", module=module)["inverted-ranking"]
    lengths = data.present(data.test).sum(1)
    top = first.test.argmin(1)
    assert (last.test[np.arange(30), top] >= lengths - 2).all()  # one or two words tell the class


def test_text_is_explained_through_its_embedding():
    data = load("planted-words", seed=0)
    module = trained(data, transformer)
    found = view_of(data, module, CPU)
    seen = found.seen(torch.from_numpy(data.test.inputs[:2]))
    assert seen.is_floating_point()
    assert seen.ndim == 3
    assert found.black.shape == (seen.shape[1], 1)  # of (width, length)
    np.testing.assert_allclose(
        found.module(seen).numpy(),
        module(torch.from_numpy(data.test.inputs[:2])).numpy(),
        atol=1e-5,
    )


def test_what_explainers_know_of_the_data():
    image = replace(small("grey"), value_range=(-5.0, 5.0))
    model = view_of(image, trained(image), CPU)
    assert model.black.unique().tolist() == [-5.0]
    assert model.spread.unique().tolist() == [10.0]
    table = small("table")
    model = view_of(table, trained(table), CPU)
    assert not model.black.any()
    np.testing.assert_allclose(model.mean, table.train.inputs.mean(0), atol=1e-6)
    np.testing.assert_allclose(model.spread, np.ptp(table.train.inputs, axis=0), rtol=1e-6)
    assert len(model.held_out[0]) == 12
    none = Split(table.train.inputs[:0], table.train.labels[:0])
    assert view_of(replace(table, validation=none), trained(table), CPU).held_out is None


def test_digests_go_by_the_ranks_alone():
    ranks = np.arange(6, dtype=np.uint8).reshape(2, 3)
    kept = np.zeros((1, 3), np.float32)
    cuts = np.zeros((2, 2), bool)
    first = RankedExplanation(ranks, ranks, kept, cuts, 1.0)
    assert first.digest() == RankedExplanation(ranks.copy(), ranks, kept + 1, ~cuts, 2.0).digest()
    assert first.digest() != RankedExplanation(ranks[::-1], ranks, kept, cuts).digest()
    assert first.digest() != RankedExplanation(ranks, ranks[::-1], kept, cuts).digest()


def flat(model, inputs, targets, generator):
    """Give all features of an example the same importance."""
    return torch.ones_like(inputs)


def test_equal_features_are_ranked_by_lot_alike_for_all_explainers_and_told(monkeypatch):
    data = small("grey")
    found = explained(data, "flat", flat=flat)["flat"]
    assert found.ties.all()
    assert found.ties.shape == (40, data.features - 1)
    firsts = {example.argmin() for example in found.test}
    assert len(firsts) > data.features / 2
    again = explained(data, "other", other=lambda *given: -flat(*given))["other"]
    np.testing.assert_array_equal(found.test, again.test)
    np.testing.assert_array_equal(found.train, again.train)
    assert not (found.train[:40] == found.test).all()
    # Whatever block an example is explained in.
    monkeypatch.setattr("uproar.bench.explaining.BLOCKS", 1)
    monkeypatch.setattr("uproar.bench.explaining.rows_per_pass", lambda _: 16)
    parts = explained(data, "flat", flat=flat)["flat"]
    np.testing.assert_array_equal(parts.test, found.test)
    np.testing.assert_array_equal(parts.ties, found.ties)
    assert not explained(data, "random")["random"].ties.any()


def test_the_gallery_takes_classes_in_turn_and_values_evenly():
    data = small("table")
    assert data.test.labels[gallery_examples(data, 7)].tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert len(gallery_examples(data, 1000)) == 40
    values = replace(
        data,
        class_names=(),
        test=Split(data.test.inputs, np.arange(40, dtype=np.float32)[::-1].copy()),
    )
    labels = values.test.labels[gallery_examples(values, 5)]
    assert labels[0] == 0
    assert labels[-1] == 39
    assert np.diff(labels).min() >= 9


def regression(data: Data, test: int = 40) -> Data:
    labels = np.random.default_rng(3).standard_normal(test).astype(np.float32)
    return replace(data, class_names=(), test=Split(data.test.inputs, labels))


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize(("gallery", "count"), [(1, 1), (3, 3), (4, 11), (10, 40), (10, 256)])
def test_what_is_kept_begins_with_the_gallery_and_repeats_nothing(task, gallery, count):
    data = small("table") if task == "classification" else regression(small("table"))
    kept = kept_examples(data, count, gallery=gallery)
    assert kept[:gallery] == gallery_examples(data, gallery)
    assert len(kept) == len(set(kept)) == min(count, 40)
    if task == "classification":
        assert kept == gallery_examples(data, count)


def test_values_are_kept_from_the_whole_range():
    data = regression(small("table"))
    order = list(np.argsort(data.test.labels))
    places = sorted(order.index(example) for example in kept_examples(data, 20, gallery=4))
    assert places[0] == 0
    assert places[-1] == 39
    assert np.diff(places).max() <= 4


def test_blocks_keep_what_they_have_of_the_examples(monkeypatch):
    data, kept = small("table"), (39, 0, 17, 16, 1)
    whole = explained(data, "input-x-grad", kept=range(40))["input-x-grad"].kept
    monkeypatch.setattr("uproar.bench.explaining.BLOCKS", 1)
    monkeypatch.setattr("uproar.bench.explaining.rows_per_pass", lambda _: 16)
    found = explained(data, "input-x-grad", kept=kept)["input-x-grad"].kept
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, whole[list(kept)], rtol=1e-6)
