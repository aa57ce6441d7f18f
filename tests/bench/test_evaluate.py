"""One's own model, data and explainers, in one call."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from torch import nn

import uproar
from tests.support.small_runs import TUMOURS, finished, run, silent, stamps
from uproar import Benchmark, Recipe, Result, Spec, evaluate
from uproar.data import load

RECIPE = Recipe(epochs=5, batch_size=64, learning_rate=2e-2)


def table(columns: int = 6, test: int = 200):
    inputs = np.random.default_rng(0).standard_normal((500 + test, columns)).astype(np.float32)
    labels = (inputs[:, 0] + inputs[:, 1] > 0).astype(int)
    return (inputs[:500], labels[:500]), (inputs[500:], labels[500:])


def images(channels: int):
    inputs = np.random.default_rng(0).uniform(0, 1, (500, channels, 6, 6)).astype(np.float32)
    labels = np.arange(500) % 2
    inputs[labels == 1, :, 2:4, 2:4] += 1
    return (inputs[:350], labels[:350]), (inputs[350:], labels[350:])


def mlp(values: int):
    return nn.Sequential(nn.Flatten(), nn.Linear(values, 16), nn.ReLU(), nn.Linear(16, 2))


def wide():
    return nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 2))


class Odd(nn.Module):
    """What cannot be trained in one stack: its forward pass depends on values."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 2)

    def forward(self, inputs):
        return self.layer(inputs) if inputs.sum().item() > 1e9 else self.layer(inputs) * 1.0


def gradient(model, inputs, targets, generator):
    return model.gradient(inputs, targets)


def negated(model, inputs, targets, generator):
    return -model.gradient(inputs, targets)


def first_column(model, inputs, targets, generator):
    return torch.zeros_like(inputs).index_fill(1, torch.tensor([0, 1]), 1.0)


def overwriting(model, inputs, targets, generator):
    return inputs.mul_(0)


def drawn(model, inputs, targets, generator):
    return torch.rand(inputs.shape, generator=generator)


def small(out, data, factory=None, **options) -> Result:
    values = {
        "fractions": [0.34],
        "repeats": 2,
        "base_models": 1,
        "recipe": RECIPE,
        "retrain_once_epochs": 5,
        "spec": {"bootstrap_draws": 400, "mask_only_repeats": 1},
        "protocols": ["roar", "kar", "mask-only"],
        "log": silent,
        "quiet": True,
        **options,
    }
    columns = int(np.prod(data[0][0].shape[1:]))
    return evaluate(factory or (lambda: mlp(columns)), *data, out=out, **values)


@pytest.mark.slow
def test_tables_and_callables(tmp_path):
    # As many test examples as it takes to prove that one mask for all of them tells nothing.
    data, explainers = table(test=1000), {"truth": first_column, "grad": None}
    result = small(tmp_path, data, explainers=explainers, repeats=3)
    board = result.leaderboard().set_index("explainer")
    assert board.index[0] == "truth"
    assert board["verdict"].to_dict() == {
        "truth": "better", "grad": "withheld", "random": "reference",
    }  # fmt: skip
    assert board.loc["grad", "reason"] == "leaks"  # its sign is that of the predicted class
    assert set(board.index) == {"truth", "grad", "random"}
    assert set(result.table["data"]) == {"python:mine"}
    assert result.failed == ()
    assert result.complete
    assert (tmp_path / "report.html").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3])
def test_images(channels, tmp_path):
    result = small(
        tmp_path,
        images(channels),
        explainers=["grad", "ig", "sobel", "input-magnitude"],
        protocols=["roar", "retrain-once", "no-retrain"],
    )
    assert set(result.leaderboard()["explainer"]) == {
        "grad", "ig", "sobel", "input-magnitude", "random",
    }  # fmt: skip
    facts = result.data_facts.values
    assert facts["feature_shape"] == [6, 6]
    assert facts["features"] == 36
    low, high = facts["value_range"]
    assert low == pytest.approx(0, abs=0.01)
    assert high == pytest.approx(2, abs=0.01)
    assert result.to_html(tmp_path / "page.html").stat().st_size > 10_000


@pytest.mark.slow
def test_callables_can_be_wrapped(tmp_path):
    names = ["mine", "abs-mine", "sq-mine", "sg-mine", "sgsq-mine", "var-mine:samples=3"]
    # A mapping names the callable once; the wrapped forms are asked for by name.
    given = {"mine": gradient, **dict.fromkeys(names[1:])}
    result = small(tmp_path, table(), explainers={**given, "grad": None, "abs-grad": None})
    assert result.failed == ()
    board = result.leaderboard().set_index("explainer")
    assert set(board.index) == {*names, "grad", "abs-grad", "random"}
    for name in ("", "abs-"):
        assert board.loc[f"{name}mine", "roar_gain"] == board.loc[f"{name}grad", "roar_gain"]


@pytest.mark.slow
def test_a_callable_may_draw_from_its_generator(tmp_path):
    options = {"explainers": {"mine": drawn}, "protocols": ["no-retrain"]}
    tables = [small(tmp_path / str(copy), table(), **options).table for copy in range(2)]
    assert tables[0].equals(tables[1])


@pytest.mark.slow
def test_a_changed_callable_gives_new_results_and_reuses_what_is_equal(tmp_path):
    data, kept = table(), {"grad": None}

    def called(mine):
        return small(tmp_path, data, explainers={"mine": mine, **kept}, protocols=["roar"])

    first = called(gradient)
    before = stamps(tmp_path / "store/cells")
    same = called(gradient)
    again = stamps(tmp_path / "store/cells")
    changed_cells = {name.split("/")[0] for name in again if again[name] != before.get(name)}
    assert changed_cells == {"explain"}
    assert same.table.equals(first.table)
    other = called(negated)
    rows = [result.table.set_index(["explainer", "protocol"])["value"] for result in (first, other)]
    assert list(rows[0]["mine", "roar"]) != list(rows[1]["mine", "roar"])
    assert list(rows[0]["grad", "roar"]) == list(rows[1]["grad", "roar"])
    back = called(gradient)
    assert back.table.equals(first.table)


@pytest.mark.slow
def test_other_data_and_other_models_are_never_mistaken(tmp_path):
    options = {"explainers": ["grad"], "protocols": ["roar"]}
    first = small(tmp_path, table(), **options)
    (inputs, labels), test = table()
    second = small(tmp_path, ((inputs + 0.5, labels), test), **options)
    assert not first.table["value"].equals(second.table["value"])
    wider = small(tmp_path, table(), wide, **options)
    assert not first.table["value"].equals(wider.table["value"])


@pytest.mark.slow
def test_the_same_call_again_only_reads(tmp_path):
    def call():
        lines = []
        small(tmp_path, table(), explainers=["grad"], log=lines.append)
        return lines

    assert any("training: dense" in line for line in call())
    before = stamps(tmp_path)
    assert call() == [
        f"already finished: {tmp_path}",
        "two repeats: their spread is hardly known, which makes intervals wide",
    ]
    assert stamps(tmp_path) == before


@pytest.mark.slow
def test_a_model_that_cannot_be_stacked_is_trained_one_by_one(tmp_path):
    lines = []
    result = small(
        tmp_path, table(), Odd, explainers=["grad"], protocols=["roar"], log=lines.append
    )
    assert result.spec.training == "sequential"
    assert any(line.startswith("training: sequential (cannot be stacked") for line in lines)
    assert result.failed == ()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["module", "function"])
def test_a_trained_model_is_explained_as_it_is_and_its_result_read_back(kind, tmp_path):
    module = nn.Linear(6, 2)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([[0.0] * 6, [3.0, 3.0, 0, 0, 0, 0]]))
        module.bias.zero_()

    def predict(inputs):
        return inputs @ module.weight.detach().numpy().T

    before = {name: value.clone() for name, value in module.state_dict().items()}
    given, lines = module if kind == "module" else predict, []
    options = {"explainers": ["occlusion"], "protocols": ["roar", "no-retrain"]}
    result = small(tmp_path, table(), given, **options, log=lines.append)
    assert result.failed == ()
    assert result.spec.training == "frozen"
    assert result.base_accuracy[0] > 0.95
    assert {what.partition(":")[0] for what, _ in result.skipped} == {"roar"}
    assert "is trained already" in lines[0]
    assert Result.read(tmp_path).spec == result.spec
    lines.clear()
    small(tmp_path, table(), given, **options, log=lines.append)
    # Nothing was retrained, so that nothing is said of repeats or of the leak control.
    (caution,) = result.cautions
    assert caution.startswith("a cut falls between features of equal importance")
    assert lines == [f"already finished: {tmp_path}", caution]
    # The model is the caller's, and left as it was.
    assert module.training
    assert all(value.requires_grad for value in module.parameters())
    assert all((value == before[name]).all() for name, value in module.state_dict().items())


@pytest.mark.slow  # starts processes
def test_a_function_that_makes_an_estimator(tmp_path):
    result = small(tmp_path, table(), lambda: LogisticRegression(C=0.5), explainers=["occlusion"])
    assert result.failed == ()
    assert result.spec.training == "processes"
    assert result.leaderboard()["explainer"][0] == "occlusion"


TREE = DecisionTreeClassifier(max_depth=3)


def positive(inputs):
    return np.stack([-inputs[:, 0], inputs[:, 0]], 1)


class Positive(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.sign = nn.Parameter(torch.tensor([[-1.0, 1.0]]))

    def forward(self, inputs):
        return inputs[:, :1] * self.sign


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (TREE, {"tree-shap", "occlusion", "pfi"}),
        (lambda: TREE, {"tree-shap", "occlusion", "pfi"}),
        (positive, {"occlusion", "pfi"}),
        (wide, {"grad", "ig", "occlusion"}),
        (Positive(), {"grad", "ig", "occlusion"}),
    ],
    ids=["estimator", "its factory", "function", "module's factory", "module"],
)
def test_objects_have_the_explainers_that_fit_them(model, expected, tmp_path):
    result = small(tmp_path, table(), model, protocols=["no-retrain"])
    assert result.failed == ()
    assert expected < set(result.leaderboard()["explainer"])


@pytest.mark.slow
def test_an_estimator_has_its_explainers_for_data_of_a_name_too(tmp_path):
    options = {"protocols": ["no-retrain"], "fractions": [0.5], "repeats": 1, "quiet": True}
    result = evaluate(TREE, "planted-table", out=tmp_path, log=silent, **options)
    assert (result.failed, result.skipped) == ((), ())
    assert {"tree-shap", "true-ranking", "random"} < set(result.leaderboard()["explainer"])


def test_arrays_that_may_not_be_written_to_are_taken(tmp_path):
    data = table()
    for part in data:
        for array in part:
            array.setflags(write=False)
    assert small(tmp_path, data, explainers=["grad"], protocols=["no-retrain"]).failed == ()


@pytest.mark.slow
def test_names_validation_and_repeats_are_taken(tmp_path):
    (inputs, labels), test = table()
    result = small(
        tmp_path,
        ((inputs[:400], labels[:400]), test),
        validation=(inputs[400:], labels[400:]),
        class_names=("below", "above"),
        feature_names=list("abcdef"),
        name="sums",
        base_models=2,
        removals=["zero", "noise"],
        explainers=["grad"],
    )
    facts = result.data_facts.values
    assert (facts["train"], facts["validation"], facts["test"]) == (400, 100, 200)
    assert facts["class_names"] == ["below", "above"]
    assert facts["feature_names"] == list("abcdef")
    assert result.spec.data == "python:sums"
    assert set(result.table["base_model"].dropna()) == {0, 1}
    assert list(result.leaderboard("noise")["explainer"])


@pytest.mark.slow
def test_inputs_and_labels_are_left_alone(tmp_path):
    data = table()
    copies = [array.copy() for part in data for array in part]
    small(tmp_path, data, explainers={"mine": overwriting})
    for array, copy in zip([array for part in data for array in part], copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_the_default_folder_is_named_after_the_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    result = small(None, table(), explainers=["grad"], protocols=["no-retrain"])
    assert result.out.resolve() == tmp_path / "runs" / "mine"


def test_a_benchmark_needs_no_more_than_a_spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spec = Spec.from_mapping({**TUMOURS, "protocols": "roar"})
    result = Benchmark(spec, log=silent, quiet=True).run()
    assert (tmp_path / "runs/breast-cancer/results.parquet").is_file()
    assert result.spec.training == "dense"


@pytest.mark.slow
def test_a_benchmark_takes_data_of_ones_own(tmp_path):
    data = load("breast-cancer", seed=0)
    spec = Spec.from_mapping(
        {**TUMOURS, "data": "python:again", "data_digest": data.digest(), "protocols": "no-retrain"}
    )
    mine = Benchmark(spec, tmp_path, data=data, log=silent, quiet=True).run()
    theirs = run({**TUMOURS, "protocols": "no-retrain"}, tmp_path / "registered")
    assert mine.base_accuracy[0] == pytest.approx(theirs.base_accuracy[0], abs=0.1)


def test_results_can_be_read_back(tmp_path):
    result = uproar.Result.read(finished("tumours"))
    assert result.complete
    assert replace(result).table.equals(result.table)
    with pytest.raises(uproar.UproarError, match="holds no run"):
        uproar.Result.read(tmp_path)
