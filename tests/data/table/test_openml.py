"""Tables of OpenML, without the network: what scikit-learn answers is made up here."""

from __future__ import annotations

import warnings
from http.client import RemoteDisconnected
from urllib.error import HTTPError, URLError

import numpy as np
import pandas as pd
import pytest
import sklearn.datasets
from sklearn.utils import Bunch

from uproar.data import load
from uproar.data.checks import check
from uproar.types import Source, UproarError

FRAME = pd.DataFrame(
    {
        "width": np.random.default_rng(0).normal(size=60),
        "colour": pd.Categorical(["red", "blue", "grey"] * 20),
        "class": pd.Categorical(["a", "b"] * 30),
    }
)


def answer(monkeypatch, *, targets=("class",), raised=None, warned="", asked=None):
    def fetch_openml(*, data_id, as_frame, n_retries, delay):
        assert as_frame
        if asked is not None:
            asked.append(data_id)
        if raised is not None:
            raise raised
        if warned:
            warnings.warn(warned, UserWarning, stacklevel=2)
        return Bunch(
            frame=FRAME, target_names=list(targets), details={"name": "tiles", "version": "2"}
        )

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch_openml)


def test_a_table_by_number(monkeypatch):
    asked = []
    answer(monkeypatch, asked=asked)
    data = check(load("openml:61", seed=0))
    assert asked == [61]
    assert (data.name, data.kind, data.class_names) == ("openml-61", "table", ("a", "b"))
    assert data.feature_names == ("width", "colour")
    assert data.notes == ("OpenML table 61 is 'tiles', version 2; its target is 'class'.",)


def test_another_target_can_be_asked_for(monkeypatch):
    answer(monkeypatch, targets=())
    data = load("openml:61", seed=0, source=Source(target="colour", drop=("class",)))
    assert data.class_names == ("blue", "grey", "red")
    assert data.feature_names == ("width",)


def test_what_scikit_learn_warns_of_is_a_note(monkeypatch):
    answer(monkeypatch, warned="Version 2 of dataset\ntiles is inactive")
    notes = load("openml:61", seed=0).notes
    assert notes[1] == "Version 2 of dataset tiles is inactive"


@pytest.mark.parametrize(
    "raised",
    [
        URLError("[Errno -2] Name or service not known"),
        HTTPError("https://openml.org", 404, "Not Found", {}, None),
        sklearn.datasets._openml.OpenMLError("Dataset with data_id 61 not found."),
        ValueError("Dataset with\ndata_id 61 not found"),
        ConnectionResetError(),
        TimeoutError(),
        RemoteDisconnected("closed"),
    ],
)
def test_what_cannot_be_had_is_said_in_one_line(raised, monkeypatch):
    answer(monkeypatch, raised=raised)
    with pytest.raises(UproarError) as error:
        load("openml:61", seed=0)
    line = str(error.value)
    assert line.startswith("OpenML table 61 cannot be had: ")
    assert line.endswith("is the number right, and this machine connected to the network?")
    assert "\n" not in line


@pytest.mark.parametrize(
    ("name", "targets", "source", "expected"),
    [
        ("openml:61", ("class", "colour"), {}, "has several targets (class,colour): choose one"),
        ("openml:61", (), {}, "it could be 'class', 'colour'"),
        ("openml:61", ("class",), {"target": "clas"}, "unknown target 'clas': did you mean"),
        ("openml:61", ("class",), {"test": "a.csv"}, "is split by seed; it takes no test='a.csv'"),
        ("openml:0", ("class",), {}, "OpenML numbers its tables from 1, got 0"),
        ("openml:", ("class",), {}, "such as openml:40996; got 'openml:'"),
        ("openml:-3", ("class",), {}, "such as openml:40996; got 'openml:-3'"),
    ],
)
def test_what_is_refused(name, targets, source, expected, monkeypatch):
    answer(monkeypatch, targets=targets)
    with pytest.raises(UproarError) as error:
        load(name, seed=0, source=Source(**source))
    assert expected in str(error.value)
    assert "\n" not in str(error.value)
