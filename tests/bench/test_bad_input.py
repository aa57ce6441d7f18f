"""What is wrong is said in one line before anything is trained, and names what to do."""

from __future__ import annotations

import re

import numpy as np
import pytest
from torch import nn

from tests.support.small_runs import TUMOURS, command, run, silent
from uproar import evaluate
from uproar.bench.benchmark import Benchmark
from uproar.plan.spec import Spec
from uproar.types import UproarError

INPUTS = np.random.default_rng(0).standard_normal((240, 4)).astype(np.float32)
LABELS = (INPUTS[:, 0] > 0).astype(int)
NOTHING = np.nan


def model() -> nn.Module:
    return nn.Linear(4, 2)


def refused(out, train=(INPUTS[:160], LABELS[:160]), test=(INPUTS[160:], LABELS[160:]), **options):
    """Return the one line with which an evaluation is refused; nothing may have been stored."""
    with pytest.raises(UproarError) as raised:
        evaluate(model, train, test, out=out / "run", log=silent, quiet=True, **options)
    assert not (out / "run").exists()
    line = str(raised.value)
    assert "\n" not in line
    return line


def changed(index, value):
    inputs = INPUTS[:160].copy()
    inputs[index] = value
    return inputs


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_inputs_that_are_not_finite(value, tmp_path):
    expected = (
        "train: inputs have 1 NaN or infinite values, the first in example 7; fill or drop them "
        "first"
    )
    validation = (INPUTS[160:200], LABELS[160:200])
    train = (changed((7, 2), value), LABELS[:160])
    assert refused(tmp_path, train, validation=validation) == expected


def test_test_inputs_that_are_not_finite(tmp_path):
    test = (np.where(INPUTS > 2, np.nan, INPUTS), LABELS)
    assert "test: inputs have" in refused(tmp_path, test=test)
    assert "NaN or infinite values" in refused(tmp_path, test=test)


def test_labels_of_another_length(tmp_path):
    assert refused(tmp_path, (INPUTS[:160], LABELS[:150])) == (
        "train: labels must match inputs in length, got 160 inputs (shape (160, 4)) and 150 labels"
    )
    assert "test: labels must match inputs in length" in refused(
        tmp_path, test=(INPUTS[160:], LABELS[:5])
    )


def test_a_class_that_is_missing_from_train(tmp_path):
    assert refused(tmp_path, (INPUTS[:160], LABELS[:160] * 0)) == (
        "class '1' (label 1) has no example in train; every class needs some"
    )
    assert "class 'maybe' (label 2) has no example in train" in refused(
        tmp_path, class_names=("no", "yes", "maybe")
    )


def test_labels_that_no_class_name_covers(tmp_path):
    assert "labels must be integers from 0 to 0" in refused(tmp_path, class_names=("only",))
    assert "train: labels must be integers from 0 to 1" in refused(
        tmp_path, (INPUTS[:160], np.where(LABELS[:160] == 0, -1, 1))
    )


@pytest.mark.parametrize("labels", [LABELS[:160].astype(float), LABELS[:160, None]])
def test_labels_that_are_no_list_of_integers(labels, tmp_path):
    assert "train: labels must be a one-dimensional array of integers, got" in refused(
        tmp_path, (INPUTS[:160], labels)
    )


def test_constant_inputs(tmp_path):
    assert refused(tmp_path, (INPUTS[:160] * 0 + 3, LABELS[:160])) == (
        "all training inputs are 3: nothing can be learned from constants"
    )


def test_inputs_of_the_wrong_shape(tmp_path):
    assert "must be (examples, columns)" in refused(tmp_path, (INPUTS[:160, 0], LABELS[:160]))
    # One step of a series is one feature, whatever the number of channels.
    assert refused(tmp_path, (INPUTS[:160, :, None], LABELS[:160])) == (
        "feature_shape (1,) has fewer than 2 features to rank"
    )
    assert "test: one input has shape (3,), in train it has (4,)" in refused(
        tmp_path, test=(INPUTS[160:, :3], LABELS[160:])
    )


def test_no_examples(tmp_path):
    assert "there are no examples" in refused(tmp_path, test=(INPUTS[:0], LABELS[:0]))
    assert refused(tmp_path, (INPUTS[:0], LABELS[:0]))


def test_inputs_that_are_no_numbers(tmp_path):
    assert "train: inputs must be an array of numbers" in refused(
        tmp_path, (np.full((160, 4), "a"), LABELS[:160])
    )


def test_a_model_that_does_not_fit(tmp_path):
    with pytest.raises(UproarError, match=r"must return a torch\.nn\.Module, got int"):
        evaluate(lambda: 3, (INPUTS, LABELS), (INPUTS, LABELS), out=tmp_path / "run", log=silent)
    with pytest.raises(UproarError, match="the model does not accept"):
        evaluate(
            lambda: nn.Linear(5, 2),
            *((INPUTS, LABELS), (INPUTS, LABELS)),
            out=tmp_path / "run",
            log=silent,
        )
    with pytest.raises(UproarError, match=r"shape \(64, 2\), one per class, .* got \(64, 3\)"):
        evaluate(
            lambda: nn.Linear(4, 3),
            *((INPUTS, LABELS), (INPUTS, LABELS)),
            out=tmp_path / "run",
            log=silent,
        )
    assert not (tmp_path / "run").exists()


def test_an_explainer_that_cannot_be_called(tmp_path):
    assert refused(tmp_path, explainers={"mine": "grad"}) == (
        "explainer 'mine' must be callable, an object with measure, an array of one number for "
        "each feature, or an object of captum.attr or shap, got str"
    )


@pytest.mark.parametrize("name", ["grad", "sg-mine", "a:b", ""])
def test_a_callable_cannot_take_these_names(name, tmp_path):
    assert f"explainer cannot be called {name!r}" in refused(tmp_path, explainers={name: len})


BAD_SPECS = [
    ({"fractions": [0.3, 1.5]}, "fractions must lie in [0, 1], got 1.5"),
    ({"fractions": [-0.1, 0.5]}, "fractions must lie in [0, 1], got -0.1"),
    ({"fractions": [NOTHING]}, "fractions must lie in [0, 1], got nan"),
    ({"fractions": [0.3, 0.5, 0.3]}, "fractions must be distinct, got 0.3 more than once"),
    ({"fractions": []}, "fractions need one at least between 0 and 1, such as 0.5; got []"),
    ({"fractions": [0.0, 1.0]}, "fractions need one at least between 0 and 1"),
    ({"repeats": 0}, "repeats must be at least 1, got 0"),
    ({"base_models": 0}, "base_models must be at least 1, got 0"),
    ({"bootstrap_draws": 0}, "bootstrap_draws must be at least 1, got 0"),
    ({"repeats": "two"}, "repeats is 'two'; input should be a valid integer"),
    ({"data": "digit"}, "unknown data 'digit': did you mean 'digits'?"),
    ({"model": "mpl"}, "unknown model 'mpl': did you mean 'mlp'?"),
    ({"explainers": "gradd"}, "unknown explainer 'gradd': did you mean 'grad'"),
    ({"explainers": "sg-gradd"}, "unknown explainer 'sg-gradd': did you mean 'sg-grad'"),
    ({"explainers": "ig:stops=3"}, "unknown parameter 'stops': did you mean 'steps'?"),
    ({"explainers": ""}, "no explainer was given; see `uproar list explainers`"),
    ({"explainers": "grad,ig,grad"}, "explainers must be distinct, got grad more than once"),
    ({"explainers": "ig,ig:steps=25"}, "explainers must be distinct, got ig more than once"),
    ({"explainers": "abs-sobel"}, "explainer 'abs-sobel' means nothing: 'sobel' is a control"),
    ({"protocols": "raor"}, "unknown protocol 'raor': did you mean 'roar'"),
    ({"protocols": "roar,roar"}, "protocols must be distinct, got roar more than once"),
    ({"protocols": ""}, "no protocol was given; choose from roar, kar"),
    ({"removals": "men"}, "unknown removal 'men': did you mean 'mean'?"),
    ({"removals": "mean,mean"}, "removals must be distinct, got mean more than once"),
    ({"repeat": 3}, "spec: unknown key 'repeat': did you mean 'repeats'"),
    ({"recipe": {"epoch": 3}}, "spec: unknown key of recipe 'epoch': did you mean 'epochs'?"),
    ({"recipe": {"epochs": 0}}, "recipe.epochs must be at least 1, got 0"),
    ({"recipe": {"learning_rate": -1.0}}, "recipe.learning_rate must be positive, got -1"),
    ({"recipe": {"optimiser": "adm"}}, "recipe.optimiser is 'adm'; input should be 'adam'"),
    ({"recipe": 3}, "recipe"),
    ({"device": "gpu"}, "device 'gpu' cannot be used:"),
    ({"training": "quick"}, "training is 'quick'; input should be 'auto', 'dense'"),
]


@pytest.mark.parametrize(("values", "expected"), BAD_SPECS, ids=lambda part: str(part)[:40])
def test_a_bad_spec_is_refused_before_anything_is_written(values, expected, tmp_path):
    with pytest.raises(UproarError) as raised:
        run({**TUMOURS, **values}, tmp_path / "run")
    assert expected in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run").exists()


def test_an_image_model_for_a_table(tmp_path):
    with pytest.raises(
        UproarError, match="'cnn' needs images or series, but data 'breast-cancer' are"
    ):
        run({**TUMOURS, "model": "cnn"}, tmp_path / "run")
    assert not (tmp_path / "run").exists()


BAD_COMMANDS = [
    (("run", "digit"), "unknown data 'digit': did you mean 'digits'?"),
    (("run", "digits", "--fractions", "30,70"), "fractions must lie in [0, 1], got 30"),
    (("run", "digits", "--fractions", "a"), "fractions must be numbers between 0 and 1"),
    (("run", "digits", "--repeats", "0"), "repeats must be at least 1, got 0"),
    (("plan", "digits", "--model", "mpl"), "unknown model 'mpl': did you mean 'mlp'?"),
    (("run", "--device", "gpu"), "device 'gpu' cannot be used"),
    (("run", "--config", "none.toml"), "cannot read the spec 'none.toml': No such file"),
    (("list", "explaners"), "unknown registry 'explaners': did you mean 'explainers'?"),
    (("status", "nowhere"), "nowhere holds no run: there is no spec.toml in it"),
    (("report", "nowhere"), "nowhere holds no run: there is no spec.toml in it"),
]


@pytest.mark.parametrize(("arguments", "expected"), BAD_COMMANDS, ids=str)
def test_wrong_use_of_the_command_line_exits_with_two(
    arguments, expected, capsys, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    ended = command(capsys, monkeypatch, arguments, columns=60)
    assert ended.code == 2
    assert ended.errors.startswith("uproar: ")
    assert expected in ended.errors
    assert ended.errors.count("\n") == 1
    assert ended.output == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments", [("rn",), ("run", "--repeat", "3"), ("run", "a", "b"), ("list",)]
)
def test_what_the_parser_refuses_exits_with_two(arguments, capsys, monkeypatch):
    ended = command(capsys, monkeypatch, arguments)
    assert ended.code == 2
    assert "Error" in ended.errors


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("repeets = 3", "unknown key 'repeets': did you mean 'repeats'"),
        ("[recipe]\nlearning_rat = 1.0", "unknown key of recipe 'learning_rat'"),
        ("repeats = ", "is not valid TOML"),
        ("repeats = 1\nrepeats = 2", "is not valid TOML"),
        ("repeats = 'many'", "repeats is 'many'; input should be a valid integer"),
        ("fractions = 0.5", "fractions is 0.5; input should be a valid tuple"),
        ("recipe = 3", "recipe must be a table of keys, got 3"),
        ("data = 3", "data is 3; input should be a valid string"),
        ("explainers = [1]", "explainers.0 is 1; input should be a valid string"),
    ],
)
def test_a_bad_spec_file(text, expected, capsys, monkeypatch, tmp_path):
    (tmp_path / "bad.toml").write_text(text)
    ended = command(
        capsys, monkeypatch, ("run", "-c", tmp_path / "bad.toml", "--out", tmp_path / "run")
    )
    assert (ended.code, ended.errors.count("\n")) == (2, 1)
    assert expected in ended.errors
    assert "bad.toml" in ended.errors
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("bad", [b"\xff\xfe\x00", None])
def test_a_spec_file_that_cannot_be_read(bad, capsys, monkeypatch, tmp_path):
    path = tmp_path / "bad.toml"
    path.write_bytes(bad) if bad else path.mkdir()
    ended = command(capsys, monkeypatch, ("run", "-c", path))
    assert (ended.code, ended.errors.count("\n")) == (2, 1)
    assert re.search("not valid TOML|cannot read the spec", ended.errors)


def test_a_benchmark_without_its_objects_says_so(tmp_path):
    spec = Spec.from_mapping({**TUMOURS, "data": "python:mine"})
    with pytest.raises(UproarError, match="data: 'python:mine' stands for an object"):
        Benchmark(spec, tmp_path / "run", log=silent, quiet=True).run()
    spec = Spec.from_mapping({**TUMOURS, "explainers": "mine", "callables": ["mine"]})
    with pytest.raises(UproarError, match="explainer mine: 'python:mine' stands for an obj"):
        Benchmark(spec, tmp_path / "run", log=silent, quiet=True).run()
    assert not (tmp_path / "run").exists()
