"""What flags say becomes a spec, on top of a spec file where there is one."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest

from uproar.cli.flags import FLAGS, spec_of, with_flags
from uproar.plan.spec import Spec
from uproar.types import UproarError

BARE = dict.fromkeys(FLAGS)


def spec(**flags) -> Spec:
    assert set(flags) <= set(FLAGS)
    return spec_of({**BARE, "quiet": False, **flags})


@pytest.fixture
def table(tmp_path, monkeypatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text("a,b,y\n1,2,0\n")
    return "rows.csv"


def test_without_flags_it_is_digits():
    assert spec() == Spec.from_mapping({})


def test_lists_are_separated_by_commas():
    found = spec(
        explainers="random, grad", protocols="roar", removals="mean,zero", fractions="0.3,1"
    )
    assert found.explainers == ("random", "grad")
    assert found.removals == ("mean", "zero")
    assert found.fractions == (0.3, 1.0)
    assert spec(drop="a, b").source.drop == ("a", "b")
    with pytest.raises(UproarError, match="fractions must be numbers between 0 and 1, as in"):
        spec(fractions="0.3;0.5")


def test_data_and_model_choose_the_rest(table):
    found = spec(data=table, target="y", model="sklearn:LogisticRegression")
    assert "occlusion" in found.explainers
    assert "grad" not in found.explainers
    assert spec(data=table, target="y").model == "mlp"
    texts = spec(data=table, target="y", text="a")
    assert (texts.model, texts.removals) == ("transformer", ("mask-token",))
    assert texts.recipe.epochs == 3


def test_an_archive_is_looked_at(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("waves.npz", inputs=np.zeros((4, 1, 9)), labels=np.zeros(4))
    assert spec(data="waves.npz").model == "cnn"


def written(values: str) -> Path:
    path = Path("given.toml")
    path.write_text(values)
    return path


def test_flags_override_the_file_key_by_key(table):
    path = written(
        f'data = "{table}"\nrepeats = 3\n[source]\ntarget = "y"\ndrop = ["a"]\n'
        "[recipe]\nepochs = 2\nbatch_size = 16\n"
    )
    found = spec(config=path, repeats=1, target="b", epochs=4)
    assert (found.repeats, found.source.target, found.source.drop) == (1, "b", ("a",))
    assert (found.recipe.epochs, found.recipe.batch_size) == (4, 16)


def test_a_spec_may_stand_where_data_do(table):
    path = written(f'data = "{table}"\nrepeats = 3\n[source]\ntarget = "y"\n')
    assert spec(data=str(path), seed=4) == spec(config=path, seed=4)
    with pytest.raises(UproarError, match=r"two specs, given\.toml and --config given\.toml"):
        spec(data=str(path), config=path)
    with pytest.raises(UproarError, match=r"cannot read the spec 'none\.toml': No such file"):
        spec(data="none.toml")


def test_data_on_the_command_line_override_those_of_the_file(table):
    path = written('data = "digits"\n')
    assert spec(data=table, config=path).data == table


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"kind": "picture"}, "kind is 'picture'; input should be 'auto', 'image'"),
        ({"task": "sorting"}, "task is 'sorting'; input should be 'auto', 'classification'"),
        ({"data": "row.csv"}, "there is no file 'row.csv'; did you mean 'rows.csv'"),
    ],
)
def test_wrong_values(flags, expected, table):
    with pytest.raises(UproarError) as raised:
        spec(**flags)
    assert expected in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_command_with_flags_receives_them_all():
    received = []
    command = with_flags(received.append)
    assert list(inspect.signature(command).parameters) == list(FLAGS)
    command(data="digits", quiet=True)
    assert received == [{"data": "digits", "quiet": True}]
