"""Models, tokenizers and data sets of Hugging Face, made here: nothing is fetched."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

os.environ["HF_HUB_OFFLINE"] = "1"  # before the libraries are imported

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.small_data import small
from uproar.bench.benchmark import Benchmark
from uproar.data.text.hugging_face import Pretrained, from_hugging_face, tokenizer_of
from uproar.data.text.text import from_texts
from uproar.dataset import Data
from uproar.models.architectures.hugging_face import HuggingFace, hugging_face
from uproar.models.embedded import OnEmbeddings
from uproar.models.training.ways import initialise
from uproar.plan.spec import Spec
from uproar.types import Source, UproarError

torch.set_num_threads(1)

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film", "##s", "a"]
LONGEST = 12
TRAIN = (20 * ["a good film", "bad films", "a bad film a good film"], 20 * ["yes", "no", "no"])


@pytest.fixture(scope="module")
def transformers() -> ModuleType:
    """Import it when it is needed: that takes seconds."""
    module: ModuleType = pytest.importorskip("transformers")
    return module


@pytest.fixture(scope="module")
def datasets() -> ModuleType:
    module: ModuleType = pytest.importorskip("datasets")
    module.disable_progress_bars()
    return module


@pytest.fixture(scope="module")
def folder(transformers: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Write a tiny BERT that was never trained, without head, and its tokenizer."""
    path = str(tmp_path_factory.mktemp("models") / "tiny-bert")
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=LONGEST,
    )
    torch.manual_seed(0)
    transformers.BertModel(config).save_pretrained(path)
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    transformers.BertTokenizerFast(vocab=vocabulary).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def data(folder: str) -> Data:
    return from_texts(TRAIN, name="films", seed=0, tokenizer=tokenizer_of(folder))


@pytest.mark.slow
def test_texts_are_encoded_as_the_model_expects(folder: str, data: Data) -> None:
    tokenizer = tokenizer_of(folder)
    assert tokenizer.longest == LONGEST
    assert tokenizer(["Good films", "odd"]) == [[2, 5, 7, 8, 3], [2, 1, 3]]
    vocabulary = data.vocabulary
    assert vocabulary is not None
    assert vocabulary.tokens == tuple(WORDS)
    assert (vocabulary.pad, vocabulary.unknown, vocabulary.mask) == (0, 1, 4)
    assert vocabulary.special == (0, 2, 3)
    assert data.feature_shape == (8,)
    present = data.present(data.train)
    assert present is not None
    assert set(present.sum(1)) == {3, 6}


@pytest.mark.slow
def test_texts_longer_than_the_model_takes_are_cut_and_keep_their_separator(folder: str) -> None:
    texts = (["a good film " * 9, "bad film"] * 10, [0, 1] * 10)
    data = from_texts(texts, seed=0, tokenizer=tokenizer_of(folder))
    assert data.feature_shape == (LONGEST,)
    long = data.train.inputs[data.train.inputs[:, -1] != 0]
    assert (long[:, 0] == 2).all()
    assert (long[:, -1] == 3).all()
    assert any("are longer than 12 tokens and were cut there (the model" in n for n in data.notes)


@pytest.mark.slow
def test_a_model_answers_for_ids_and_padding_takes_no_part(folder: str, data: Data) -> None:
    module = initialise(hugging_face(folder, data), 0).eval()
    ids = torch.from_numpy(data.train.inputs)
    assert module(ids).shape == (len(ids), 2)
    short = ids[(ids != 0).sum(1) == 5][:1]
    torch.testing.assert_close(module(short), module(short[:, :5]))


def test_every_call_begins_with_the_published_weights_and_a_head_by_seed(
    transformers: ModuleType, folder: str, data: Data
) -> None:
    factory = hugging_face(folder, data)
    first, again, other = (initialise(factory, seed).state_dict() for seed in (1, 1, 2))
    published = transformers.BertModel.from_pretrained(folder).state_dict()
    for name, weights in first.items():
        assert torch.equal(weights, again[name]), name
        if "classifier" not in name:
            assert torch.equal(weights, published[name.removeprefix("model.bert.")]), name
    assert not torch.equal(first["model.classifier.weight"], other["model.classifier.weight"])
    state = torch.get_rng_state()
    hugging_face(folder, data)
    assert torch.equal(torch.get_rng_state(), state)


def test_training_one_does_not_change_the_next(folder: str, data: Data) -> None:
    factory = hugging_face(folder, data)
    module = initialise(factory, 0)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(1)
    for name, value in initialise(factory, 0).state_dict().items():
        assert torch.equal(value, before[name])


def test_a_head_for_other_classes_is_drawn_anew(
    transformers: ModuleType, folder: str, data: Data, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, num_labels=5)
    model.save_pretrained(tmp_path)
    first, other = (initialise(hugging_face(str(tmp_path), data), seed) for seed in (0, 1))
    heads = [module.state_dict()["model.classifier.weight"] for module in (first, other)]
    assert heads[0].shape == (2, 16)
    assert not torch.equal(*heads)


def test_it_learns(folder: str, data: Data) -> None:
    module = initialise(hugging_face(folder, data), 0).train()
    ids, labels = torch.from_numpy(data.train.inputs), torch.from_numpy(data.train.labels)
    update = torch.optim.Adam(module.parameters(), 1e-2)
    for _ in range(40):
        update.zero_grad()
        nn.functional.cross_entropy(module(ids), labels).backward()
        update.step()
    assert (module.eval()(ids).argmax(1) == labels).float().mean() > 0.95


def test_a_regression_has_one_output(folder: str) -> None:
    texts = TRAIN[0], np.arange(60) / 7
    data = from_texts(texts, seed=0, tokenizer=tokenizer_of(folder))
    assert data.task == "regression"
    assert hugging_face(folder, data)()(torch.from_numpy(data.test.inputs)).shape == (12, 1)


def test_explainers_reach_its_tokens(folder: str, data: Data) -> None:
    module = initialise(hugging_face(folder, data), 0).eval()
    ids = torch.from_numpy(data.test.inputs)
    model = OnEmbeddings(module, ids[:2])
    assert model.name == "model.bert.embeddings.word_embeddings"
    leaf = model.embed(ids).requires_grad_()
    assert torch.equal(model(leaf), module(ids))
    model(leaf)[:, 0].sum().backward()
    assert torch.equal(leaf.grad[:, 1:].abs().sum(1) > 0, ids != 0)
    vectors = model.embedding(ids).detach().requires_grad_()
    direct = module.model(inputs_embeds=vectors, attention_mask=(ids != 0).long()).logits
    direct[:, 0].sum().backward()
    torch.testing.assert_close(leaf.grad[:, 1:], vectors.grad.transpose(1, 2))


def test_a_tokenizer_without_mask_or_padding_makes_do() -> None:
    class Bare:
        pad_token_id = mask_token_id = None
        unk_token_id = eos_token_id = 1
        all_special_ids = (1,)

        def __len__(self) -> int:
            return 3

        def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
            return ["a", "<|end|>", "b"][: len(ids)]

    vocabulary = Pretrained(Bare()).vocabulary
    assert (vocabulary.pad, vocabulary.unknown, vocabulary.mask) == (1, 1, 1)
    assert vocabulary.special == (1,)


def save(datasets: ModuleType, path: Path, *, labelled_test: bool) -> str:
    rows = {
        "idx": list(range(60)),
        "sentence": TRAIN[0],
        "label": [int(y == "no") for y in TRAIN[1]],
    }
    features = datasets.Features(
        idx=datasets.Value("int64"),
        sentence=datasets.Value("string"),
        label=datasets.ClassLabel(names=["yes", "no"]),
    )
    whole = datasets.Dataset.from_dict(rows, features=features)
    part = datasets.Dataset.from_dict({key: of[:12] for key, of in rows.items()}, features=features)
    test = part if labelled_test else part.map(lambda _: {"label": -1})
    splits = {"train": whole, "validation": part, "test": test}
    datasets.DatasetDict(splits).save_to_disk(path)
    return str(path)


@pytest.fixture(scope="module")
def saved(datasets: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[bool, str]:
    path = tmp_path_factory.mktemp("data")
    return {
        flag: save(datasets, path / f"films-{flag}", labelled_test=flag) for flag in (True, False)
    }


def test_a_data_set_is_read_with_its_splits_and_classes(saved: dict[bool, str]) -> None:
    data = from_hugging_face(saved[True], seed=0)
    assert data.name == "films-True"
    assert data.class_names == ("yes", "no")
    assert [len(part) for part in (data.train, data.validation, data.test)] == [60, 12, 12]
    assert data.train.labels[:3].tolist() == [0, 1, 1]
    assert not data.notes


def test_a_test_split_without_labels_gives_way_to_validation(saved: dict[bool, str]) -> None:
    data = from_hugging_face(saved[False], seed=0)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [52, 8, 12]
    assert data.notes == ("The test split has no labels; the validation split is the test.",)


def test_a_data_set_takes_the_tokenizer_of_a_model(folder: str, saved: dict[bool, str]) -> None:
    source = Source(text="sentence", target="label", length=5)
    data = from_hugging_face(saved[True], seed=0, source=source, tokenizer=tokenizer_of(folder))
    assert data.feature_shape == (5,)
    assert (data.train.inputs[:, 0] == 2).all()


def test_one_split_alone_is_divided(datasets: ModuleType, tmp_path: Path) -> None:
    rows = {"review": TRAIN[0], "stars": [float(i % 9) / 2 for i in range(60)]}
    datasets.Dataset.from_dict(rows).save_to_disk(tmp_path / "stars")
    data = from_hugging_face(str(tmp_path / "stars"), seed=0, source=Source(target="stars"))
    assert data.task == "regression"
    assert [len(part) for part in (data.train, data.validation, data.test)] == [42, 6, 12]


def test_what_is_not_here_is_told_in_one_line(
    datasets: ModuleType, tmp_path: Path, data: Data
) -> None:
    for call, what in (
        (lambda: tokenizer_of("no-such/model"), "no tokenizer 'no-such/model'"),
        (lambda: hugging_face("no-such/model", data), "no model 'no-such/model'"),
        (lambda: from_hugging_face("no-such/films", seed=0), "no data set 'no-such/films'"),
        (lambda: from_hugging_face("glue/sst2", seed=0), "no data set 'glue/sst2'"),
        (lambda: from_hugging_face("nothing", seed=0), "no data set 'nothing'"),
        (lambda: from_hugging_face(str(tmp_path), seed=0), "no data set"),
    ):
        with pytest.raises(UproarError, match=what) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_data_that_do_not_fit_a_model_are_refused(folder: str, data: Data) -> None:
    with pytest.raises(UproarError, match="needs text, but data 'small-grey' are of kind 'im"):
        hugging_face(folder, small("grey"))
    words = from_texts(([f"w{i} w{i}" for i in range(40)], [0, 1] * 20), seed=0)
    with pytest.raises(UproarError, match="knows 10 tokens, but the data have 31; encode them"):
        hugging_face(folder, words)
    long = replace(data, feature_shape=(LONGEST + 1,))
    with pytest.raises(UproarError, match="takes 12 tokens, but texts have up to 13; encode them"):
        hugging_face(folder, long)


def test_a_missing_package_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, folder: str, data: Data
) -> None:
    for name in ("transformers", "datasets"):
        monkeypatch.setitem(sys.modules, name, None)
    for call in (
        lambda: tokenizer_of(folder),
        lambda: hugging_face(folder, data),
        lambda: from_hugging_face("glue/sst2", seed=0),
    ):
        with pytest.raises(UproarError, match=r'pip install "uproar\[text\]"'):
            call()


def test_factories_are_equal_by_what_they_make() -> None:
    assert HuggingFace("a", 2, 0) == HuggingFace("a", 2, 0) != HuggingFace("a", 3, 0)


@pytest.mark.slow
def test_a_run_by_name_explains_and_retrains_it(folder: str, tmp_path: Path) -> None:
    path = tmp_path / "films.tsv"
    rows = [f"{text}\t{label}\n" for text, label in zip(*TRAIN, strict=True)]
    path.write_text("sentence\tlabel\n" + "".join(5 * rows))
    spec = Spec.from_mapping(
        {
            "data": str(path),
            "source": Source(text="sentence", target="label"),
            "model": f"transformers:{folder}",
            # The folder names the model, and with it the seeds: it has to learn with any of them.
            "recipe": {"epochs": 8, "learning_rate": 0.01, "batch_size": 32},
            "explainers": "random,grad,occlusion",
            "fractions": [0.5],
            "repeats": 1,
            "base_models": 1,
            "mask_only_repeats": 1,
            "retrain_once_epochs": 8,
        }
    )
    result = Benchmark(spec, tmp_path / "run", log=lambda _: None, quiet=True).run()
    assert result.failed == ()
    assert result.skipped == ()
    assert set(result.leaderboard()["explainer"]) == {"random", "grad", "occlusion"}
    page = (tmp_path / "run" / "report.html").read_text()
    assert "film" in page
    assert "[CLS]" not in result.data_facts.values["texts"][0]
