"""Texts as token ids: what is a word, what is known, how long, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uproar.data.text.labelled_texts import columns_of
from uproar.data.text.text import from_path, from_texts
from uproar.data.text.tokens import Tokenizer, Words, filled, fit_words, words_of
from uproar.dataset import Data, Vocabulary
from uproar.types import Source, UproarError

REVIEWS = [
    ("A fine film, a fine cast", "good"),
    ("a poor film", "bad"),
    ("Fine!", "good"),
    ("poor , poor cast and film", "bad"),
] * 10


def write(path: Path, rows: list[tuple[str, ...]], *, header: str = "sentence\tlabel") -> Path:
    lines = ["\t".join(row) for row in rows]
    path.write_text("\n".join([header, *lines] if header else lines) + "\n", encoding="utf-8")
    return path


def words(data: Data, row: int) -> list[str]:
    assert data.vocabulary is not None
    return [data.vocabulary.tokens[token] for token in data.train.inputs[row] if token]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It's 3.5/5, isn’t it?", "it's 3 . 5 / 5 , isn’t it ?"),
        ("'quoted' e-mail", "' quoted ' e - mail"),
        ("Ünïcode ÉTÉ straße", "ünïcode été straße"),
        ("e\u0301te\u0301", "été"),  # composed
        ("हिन्दी में", "हिन्दी में"),  # vowels that are marks stay with their letters
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("電影很好。", "電 影 很 好 。"),
        ("สวัสดี", "ส วั ส ดี"),
        ("좋은 영화", "좋은 영화"),
        ("5 ★★ ❤️", "5 ★ ★ ❤️"),
        ("snake_case\tand\nlines", "snake_case and lines"),
        ("\ufeff \u200b\x00", ""),
    ],
)
def test_words_and_punctuation_of_any_script(text: str, expected: str) -> None:
    assert words_of(text) == expected.split()


@pytest.mark.slow
@settings(max_examples=50)
@given(st.text(max_size=40))
def test_no_letter_is_lost(text: str) -> None:
    found = words_of(text)
    assert all(found)
    assert words_of(" ".join(found)) == found or not text.isascii()
    letters = [char for char in text.lower() if char.isascii() and char.isalnum()]
    assert [c for word in found for c in word if c.isascii() and c.isalnum()] == letters or (
        not text.isascii()
    )


def test_the_vocabulary_is_by_frequency_then_by_word_and_leaves_out_what_comes_once() -> None:
    tokenizer = fit_words(["b a c", "a b", "c once", "c"])
    assert tokenizer.vocabulary == Vocabulary(("[PAD]", "[UNK]", "[MASK]", "c", "a", "b"))
    assert fit_words(["b a c", "a b", "c once", "c"], most=1).vocabulary.tokens[3:] == ("c",)
    assert tokenizer(["a once b [MASK]"]) == [[4, 1, 5, 1, 1, 1]]
    assert isinstance(tokenizer, Tokenizer)


def test_a_file_becomes_ids(tmp_path: Path) -> None:
    data = from_path(write(tmp_path / "reviews.tsv", REVIEWS), seed=0)
    assert (data.name, data.kind, data.task) == ("reviews", "text", "classification")
    assert data.class_names == ("bad", "good")
    assert [len(part) for part in (data.train, data.validation, data.test)] == [28, 4, 8]
    assert data.train.inputs.dtype == data.train.labels.dtype == np.int64
    assert data.feature_shape == (7,) == data.input_shape
    assert data.vocabulary is not None
    assert set(data.vocabulary.tokens[3:]) == {"a", "fine", "film", ",", "cast", "poor", "and", "!"}
    seen = {" ".join(words(data, row)) for row in range(28)}
    assert seen == {" ".join(words_of(text)) for text, _ in REVIEWS}
    present = data.present(data.train)
    assert present is not None
    assert present.sum() == sum(len(words(data, row)) for row in range(28))


def test_the_same_seed_gives_the_same_data_and_another_gives_others(tmp_path: Path) -> None:
    path = write(tmp_path / "reviews.tsv", REVIEWS)
    digests = [from_path(path, seed=seed).digest() for seed in (0, 0, 1)]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("header", ["", "0\t1"])
def test_a_file_without_header_has_columns_by_number(tmp_path: Path, header: str) -> None:
    # Labels are numbers of columns themselves, and 0 and 1 are what some programs write on top.
    rows = [(text, str(int(label == "good"))) for text, label in REVIEWS]
    path = write(tmp_path / "train.tsv", rows, header=header)
    data = from_path(path, seed=0, source=Source(text="0", target="1"))
    assert sum(map(len, (data.train, data.validation, data.test))) == 40
    assert data.class_names == ("0", "1")


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_other_formats_give_the_same_data(tmp_path: Path, ending: str) -> None:
    frame = pd.DataFrame(REVIEWS, columns=["review", "stars"]).assign(number=range(40))
    path = tmp_path / f"reviews{ending}"
    if ending == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    data = from_path(path, seed=0, source=Source(text="review", target="stars"))
    assert data.digest() == from_path(write(tmp_path / "reviews.tsv", REVIEWS), seed=0).digest()


def test_test_and_validation_come_from_files_of_their_own(tmp_path: Path) -> None:
    train = write(tmp_path / "train.tsv", REVIEWS)
    test = write(tmp_path / "test.tsv", [("unheard of film", "good"), ("poor", "bad")])
    validation = write(tmp_path / "dev.tsv", REVIEWS[:4])
    data = from_path(train, seed=0, source=Source(test=str(test)))
    assert [len(part) for part in (data.train, data.validation, data.test)] == [35, 5, 2]
    both = from_path(train, seed=0, source=Source(test=str(test), validation=str(validation)))
    assert [len(part) for part in (both.train, both.validation, both.test)] == [40, 4, 2]
    assert both.vocabulary is not None
    assert "unheard" not in both.vocabulary.tokens
    assert both.test.inputs[0, :3].tolist() == [1, 1, both.vocabulary.tokens.index("film")]


def test_values_are_a_regression_standardised_by_train() -> None:
    texts = [f"film {'good ' * (row % 9)}" for row in range(90)]
    values = [row % 9 + 0.5 for row in range(90)]
    data = from_texts((texts, values), seed=0, source=Source(task="regression"))
    assert (data.class_names, data.outputs) == ((), 1)
    assert data.train.labels.dtype == np.float32
    assert abs(float(data.train.labels.mean())) < 1e-6
    original = data.test.labels * data.label_scale + data.label_centre
    good = data.vocabulary.tokens.index("good")
    np.testing.assert_allclose(original, (data.test.inputs == good).sum(1) + 0.5, rtol=1e-5)


def test_labels_belong_to_texts_by_place_whatever_the_index_of_a_series() -> None:
    texts = [f"word{row % 2} end" for row in range(40)]
    labels = pd.Series([row % 2 for row in range(40)], index=range(40, 0, -1))
    data = from_texts((np.array(texts), labels), seed=0)
    token = data.vocabulary.tokens.index("word1")
    np.testing.assert_array_equal(data.train.inputs[:, 0] == token, data.train.labels == 1)


def test_words_that_train_lacks_are_shown_as_they_are() -> None:
    train = ["a good film"] * 10 + ["a bad film"] * 10, [0, 1] * 10
    data = from_texts(train, (["A strange film!", "good"], [0, 1]), seed=0)
    unknown = data.vocabulary.unknown
    assert (data.test.inputs[0] == unknown).tolist() == [False, True, False]
    assert data.test_texts.tolist() == [["a", "strange", "film"], ["good", "", ""]]


def test_at_most_so_many_examples_in_all() -> None:
    train = [text for text, _ in REVIEWS], [label for _, label in REVIEWS]
    data = from_texts(train, seed=0, source=Source(examples=20))
    assert [len(part) for part in (data.train, data.validation, data.test)] == [14, 2, 4]
    assert (data.train.labels == 0).sum() == 7
    parts = from_texts(train, train, train, seed=0, source=Source(examples=60))
    assert [len(part) for part in (parts.train, parts.validation, parts.test)] == [20, 20, 20]


def test_long_texts_are_cut_and_it_is_told() -> None:
    train = ["a b c d e"] * 10 + ["a b"] * 10, [0, 1] * 10
    data = from_texts(train, (["a b c", "a"], [0, 1]), train, seed=0, source=Source(length=3))
    assert data.feature_shape == (3,)
    assert data.notes == (
        "10 of 20 texts of train are longer than 3 tokens and were cut there (the length that was "
        "asked for).",
        "10 of 20 texts of validation are longer than 3 tokens and were cut there (the length that "
        "was asked for).",
    )
    assert from_texts(train, (["a b c d e a", "a"], [0, 1]), train, seed=0).notes == (
        "1 of 2 texts of test are longer than 5 tokens and were cut there (say length for more).",
    )
    many = from_texts((["so " * 300, "no"] * 20, [0, 1] * 20), seed=0)
    assert many.feature_shape == (256,)


def test_what_a_text_ends_with_survives_the_cut() -> None:
    vocabulary = Vocabulary(("p", "u", "m", "s", "a"), special=(0, 3))
    ids = filled([[4] * 6 + [3, 3], [3] * 5, []], length=4, vocabulary=vocabulary)
    assert ids.tolist() == [[4, 4, 3, 3], [3, 3, 3, 3], [0, 0, 0, 0]]


def test_a_tokenizer_of_ones_own_is_used_and_its_limit_kept() -> None:
    tokenizer = Words(Vocabulary(("[PAD]", "[UNK]", "[MASK]", "fine", "poor")), longest=4)
    texts = [text for text, _ in REVIEWS], [label for _, label in REVIEWS]
    data = from_texts(texts, seed=0, tokenizer=tokenizer, source=Source(length=9))
    assert data.vocabulary == tokenizer.vocabulary
    assert data.feature_shape == (4,)
    assert all(note.endswith("were cut there (the model takes no more).") for note in data.notes)
    assert len(data.notes) == 3


def test_empty_texts_are_named_by_file_and_row(tmp_path: Path) -> None:
    rows = [*REVIEWS[:5], ("", "good"), *REVIEWS[5:], ("  ", "bad")]
    path = write(tmp_path / "reviews.tsv", rows)
    with pytest.raises(UproarError, match=r"^reviews.tsv, row (6|42): the text is empty"):
        from_path(path, seed=0)
    texts = [text for text, _ in REVIEWS], [label for _, label in REVIEWS]
    with pytest.raises(UproarError, match=r"^test, row 2: the text is empty, as are 1 more; leave"):
        from_texts(texts, (["fine", "", "\u200b"], ["good", "good", "bad"]), seed=0)


def test_texts_without_label_are_left_out_and_it_is_told(tmp_path: Path) -> None:
    rows = [*REVIEWS, ("a film", "")]
    data = from_path(write(tmp_path / "reviews.tsv", rows), seed=0)
    assert data.notes == ("1 of 41 texts of train have no label 'label'; they were left out.",)
    assert sum(map(len, (data.train, data.validation, data.test))) == 40


def test_columns_are_found_by_their_usual_names() -> None:
    def found(names: list[str], *, text: str = "", target: str = "") -> tuple[str, str]:
        return columns_of(names, where="x.tsv", source=Source(text=text, target=target))

    assert found(["idx", "Sentence", "Label"]) == ("Sentence", "Label")
    assert found(["title", "label"]) == ("title", "label")
    assert found(["body", "stars"], text="body") == ("body", "stars")
    assert found(["text", "label", "stars"], target="stars") == ("text", "stars")
    with pytest.raises(UproarError, match=r"which column is the text\? Say --text .* 'a', 'b'"):
        found(["a", "b"])
    with pytest.raises(UproarError, match=r"which column is the target\? Say --target"):
        found(["text", "a", "b"])
    with pytest.raises(UproarError, match="unknown text column 'sentense': did you mean 'sent"):
        found(["sentence", "label"], text="sentense")
    with pytest.raises(UproarError, match="cannot be both text and target"):
        found(["sentence", "label"], text="label", target="label")


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "reviews.tsv", [(str(row), "good") for row in range(9)])
    with pytest.raises(UproarError, match="column 'sentence' holds no text but values of kind 'nu"):
        from_path(path, seed=0)
    with pytest.raises(UproarError, match=r"train, row 2: a text must be a string, got 3 \(int\)"):
        from_texts((["a", 3], [0, 1]), seed=0)
    with pytest.raises(UproarError, match="every text needs a label, got 1 texts and 2 labels"):
        from_texts((["a"], [0, 1]), seed=0)
    with pytest.raises(UproarError, match="label 'label' is 'good' in all"):
        from_texts((["a film"] * 20, ["good"] * 20), seed=0)
