"""Tables are read as they are written, or refused in one line."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pandas as pd
import pytest

from uproar.data.table.files import ENDINGS, is_table, read_table, stem
from uproar.types import Source, UproarError

PLAIN = "age,city\n36,Bonn\n41,Ulm\n"
SAME = {"age": [36, 41], "city": ["Bonn", "Ulm"]}


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refused(path: Path, **options: object) -> str:
    with pytest.raises(UproarError) as raised:
        read_table(path, **options)
    line = str(raised.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", PLAIN),
        ("a.CSV", PLAIN),
        ("a.csv", PLAIN.replace(",", ";")),
        ("a.csv", PLAIN.replace(",", "\t")),
        ("a.tsv", PLAIN.replace(",", "\t")),
        ("a.tab", PLAIN.replace(",", "\t")),
        ("a.txt", PLAIN.replace(",", "\t")),
        ("a.txt", PLAIN),
        ("a.csv", PLAIN.replace("\n", "\r\n")),
        ("a.csv", PLAIN.replace("\n", "\n\n")),
        ("a.csv", PLAIN + "  \n"),
        ("a.csv", PLAIN.replace(",", ", ")),
        ("a.csv", PLAIN.removesuffix("\n")),
        ("a.csv", 'age,"city"\n36,"Bonn"\n"41",Ulm\n'),
        ("a.csv", b"\xef\xbb\xbf" + PLAIN.encode()),
        ("a.csv.gz", gzip.compress(PLAIN.encode(), mtime=0)),
        ("a.tsv.gz", gzip.compress(PLAIN.replace(",", "\t").encode(), mtime=0)),
        ("a.csv", ",age,city\n0,36,Bonn\n1,41,Ulm\n"),
        ("a.csv", '"","age","city"\n"1",36,"Bonn"\n"2",41,"Ulm"\n'),
        ("a.csv", "age,city,age\n36,Bonn,36\n41,Ulm,41\n"),
    ],
)
def test_one_table_in_many_forms(name, content, tmp_path):
    assert read_table(written(tmp_path, name, content)).to_dict("list") == SAME


def test_parquet(tmp_path):
    path = tmp_path / "a.parquet"
    pd.DataFrame(SAME).to_parquet(path)
    assert read_table(path).to_dict("list") == SAME


def test_missing_values_and_types_are_found(tmp_path):
    frame = read_table(written(tmp_path, "a.csv", "x,y,z\n1,True,\n,False,b\n2.5,,c\n"))
    assert frame["x"].isna().tolist() == [False, True, False]
    assert frame["z"].tolist()[1:] == ["b", "c"]
    assert frame["y"].tolist()[:2] == [True, False]


def test_decimal_commas_come_with_semicolons_alone(tmp_path):
    german = read_table(written(tmp_path, "a.csv", "x;y\n1,5;2\n2,25;3\n"))
    assert german.to_dict("list") == {"x": [1.5, 2.25], "y": [2, 3]}
    mixed = read_table(written(tmp_path, "b.csv", "x;y\n1,5;2.5\n2,25;3.5\n"))
    assert mixed["y"].tolist() == [2.5, 3.5]


def test_a_cell_can_have_separators_and_new_lines_in_quotes(tmp_path):
    frame = read_table(written(tmp_path, "a.csv", 'a,b\n"1,5","x\ny"\n2,z\n'))
    assert frame.to_dict("list") == {"a": ["1,5", "2"], "b": ["x\ny", "z"]}


def test_quotes_in_files_with_tabs_are_text_unless_they_pair(tmp_path):
    loose = written(tmp_path, "a.tsv", 'text\tlabel\n"never again\t0\n5" of " rain\t1\n')
    assert read_table(loose)["text"].tolist() == ['"never again', '5" of " rain']
    paired = written(tmp_path, "b.tsv", '"text"\t"label"\n"he said ""no"""\t"0"\n""\t1\n')
    assert read_table(paired)["text"].tolist()[0] == 'he said "no"'
    assert read_table(paired)["label"].tolist() == [0, 1]


def test_empty_cells_between_tabs_stay_where_they_are(tmp_path):
    frame = read_table(written(tmp_path, "a.tsv", "a\tb\tc\n1\t\t3\n\t2\t\n"))
    assert frame["c"].tolist()[0] == 3
    assert frame["b"].tolist()[1] == 2


REVIEWS = "a fine film\t1\na poor film\t0\nfine\t1\n"


@pytest.mark.parametrize("options", [{}, {"header": False}, {"names": ("0", "1")}])
def test_a_file_without_header_has_numbered_columns(options, tmp_path):
    frame = read_table(written(tmp_path, "a.tsv", REVIEWS), **options)
    assert frame.to_dict("list") == {
        "0": ["a fine film", "a poor film", "fine"],
        "1": [1, 0, 1],
    }


@pytest.mark.parametrize(
    ("options", "columns"),
    [
        ({"header": True}, ["a fine film", "1"]),
        ({"names": ("sentence",)}, ["a fine film", "1"]),  # so that the message lists what it has
        ({"names": ("sentence", "1")}, ["a fine film", "1"]),
        ({"names": ("", "1")}, ["0", "1"]),  # it is in the first line, and comes again
        ({"names": ("0",)}, ["0", "1"]),
    ],
)
def test_names_that_are_asked_for_decide_on_the_header(options, columns, tmp_path):
    path = written(tmp_path, "a.tsv", REVIEWS)
    assert list(read_table(path, **options).columns) == columns


def test_a_header_is_assumed_where_nothing_of_the_first_line_comes_again(tmp_path):
    path = written(tmp_path, "a.csv", "2019,2020\n1,2\n3,4\n")
    assert list(read_table(path).columns) == ["2019", "2020"]
    assert list(read_table(path, names=("2019",)).columns) == ["2019", "2020"]
    assert list(read_table(path, names=("0",)).columns) == ["0", "1"]
    alone = written(tmp_path, "b.csv", "x\n1\n2\n")
    assert read_table(alone).to_dict("list") == {"x": [1, 2]}


def test_what_was_left_out_is_told(tmp_path):
    path = written(tmp_path, "a.csv", ",x,y,x\n5,1,2,1\n6,3,4,3\n")
    assert read_table(path).attrs["notes"] == (
        "The first column of a.csv only counts the rows; it was left out.",
        "a.csv has columns twice, with the same values; they were read once: 'x'.",
    )
    assert list(read_table(path).columns) == ["x", "y"]
    kept = written(tmp_path, "b.csv", ",x\n5,1\n9,2\n")
    assert list(read_table(kept).columns) == ["column 1", "x"]


def test_columns_of_one_name_and_other_values(tmp_path):
    path = written(tmp_path, "a.csv", "x,y,x\n1,2,1\n3,4,5\n")
    assert refused(path) == (
        f"{path} has 2 columns called 'x' (columns 1 and 3) with different values; rename one"
    )


def test_a_name_that_pandas_would_make_up_is_no_duplicate(tmp_path):
    path = written(tmp_path, "a.csv", "x,x.1,x\n1,2,1\n3,4,3\n")
    assert read_table(path).to_dict("list") == {"x": [1, 3], "x.1": [2, 4]}


def test_a_missing_file_offers_the_close_ones(tmp_path):
    written(tmp_path, "people.csv", PLAIN)
    assert refused(tmp_path / "peple.csv").endswith("peple.csv'; did you mean 'people.csv'?")
    assert refused(tmp_path / "zzz.tsv") == f"there is no file '{tmp_path / 'zzz.tsv'}'"
    assert "there is no folder" in refused(tmp_path / "none" / "a.csv")


BAD = [
    ("a.csv", "", "is empty"),
    ("a.csv", " \n\n", "is empty"),
    ("a.csv.gz", gzip.compress(b"", mtime=0), "is empty"),
    ("a.csv", "x,y\n", "has a header but no rows"),
    ("a.csv", "x,y\n1,2\n3\n", "line 3: 1 cells, but the first line has 2"),
    ("a.csv", "x,y\n1,2\n\n3,4,5\n", "line 4: 3 cells, but the first line has 2"),
    ("a.tsv", "x\ty\n1\n", "line 2: 1 cells, but the first line has 2"),
    ("a.csv", 'x,y\n1,"2\n3,4\n', "cells|quote|EOF"),
    ("a.csv", 'x,y\n1,"' + "2" * 200_000 + "\n", "is a quote not closed\\?"),
    ("a.csv.gz", PLAIN, "is no complete gzip file"),
    ("a.csv.gz", gzip.compress(PLAIN.encode(), mtime=0)[:-9], "is no complete gzip file"),
    ("a.parquet", PLAIN, "is no Parquet file"),
    ("a.parquet", "", "is no Parquet file"),
    ("a.xlsx", PLAIN, "a table ends in one of .csv, .txt"),
]


@pytest.mark.parametrize(("name", "content", "expected"), BAD)
def test_what_is_no_table(name, content, expected, tmp_path):
    path = written(tmp_path, name, content)
    line = refused(path)
    assert str(path) in line
    assert re.search(expected, line)


def test_a_folder_is_no_table(tmp_path):
    assert refused(tmp_path) == f"{tmp_path} is a folder; a table is one file"


def test_another_encoding(tmp_path):
    path = written(tmp_path, "a.csv", "name\nAda\nJosé\n".encode("latin-1"))
    assert refused(path) == (
        f"{path} is not utf-8: byte 0xe9 at position 12, line 3; pass --encoding latin-1 "
        '(encoding = "latin-1" under [source] in a spec)'
    )
    assert read_table(path, source=Source(encoding="latin-1"))["name"].tolist() == ["Ada", "José"]
    wide = written(tmp_path, "b.csv", "name\nJosé\n".encode("utf-16"))
    assert "pass --encoding utf-16" in refused(wide)
    assert read_table(wide, source=Source(encoding="utf-16"))["name"].tolist() == ["José"]
    assert refused(path, source=Source(encoding="latin-eins")) == (
        "unknown encoding 'latin-eins'; try utf-8 or latin-1"
    )


def test_names_of_files():
    assert [stem(Path("b/a" + ending)) for ending in ENDINGS] == ["a"] * len(ENDINGS)
    assert stem(Path("a.b.csv")) == "a.b"
    assert stem(Path("folder")) == "folder"
    assert not is_table(Path("a.zip"))
