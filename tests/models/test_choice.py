"""From what a user calls a model to a learner, and what tells one model from another."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from tests.support.small_data import small
from tests.support.small_runs import command
from uproar.dataset import Data, Split
from uproar.models import MODELS
from uproar.models.choice import Chosen, choose, is_trained, module_digest
from uproar.models.estimators.learner import EstimatorLearner
from uproar.models.frozen import FineTunedLearner, FrozenLearner
from uproar.models.training.ways import TorchLearner
from uproar.plan.spec import Spec
from uproar.results.result import Result
from uproar.types import Recipe, UproarError

CPU = torch.device("cpu")
TABLE = small("table")  # 6 columns, 3 classes

CODE = """
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

def factory():
    return nn.Linear(6, 3)

def sized(hidden=4):
    return nn.Sequential(nn.Linear(6, hidden), nn.ReLU(), nn.Linear(hidden, 3))

def of_data(data):
    return nn.Linear(data.features, data.outputs)

def of_data_sized(data, hidden=4):
    return nn.Sequential(nn.Linear(data.features, hidden), nn.Linear(hidden, data.outputs))

class Network(nn.Module):
    def __init__(self, scale=1.0):
        super().__init__()
        self.layer, self.scale = nn.Linear(6, 3), scale

    def forward(self, inputs):
        return self.layer(inputs) * self.scale

class Mine(LogisticRegression):
    pass

def estimator(strength=1.0):
    return LogisticRegression(C=strength)

def predict(inputs):
    return inputs[:, :3]

trained = nn.Linear(6, 3)
ready = LogisticRegression()
number = 3

def returns_number():
    return 3

def returns_estimator():
    return LogisticRegression()

def two_classes():
    return nn.Linear(6, 2)

def five_columns():
    return nn.Linear(5, 3)

def pairs():
    class Pair(nn.Module):
        def forward(self, inputs):
            return inputs[:, :3], inputs
    return Pair()
"""


def chosen(name: str = "", data: Data = TABLE, **options) -> Chosen:
    return choose(name, data, recipe=Recipe(), device=CPU, **options)


def refused(*arguments, **options) -> str:
    with pytest.raises(UproarError) as raised:
        chosen(*arguments, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def regression() -> Data:
    inputs = np.random.default_rng(0).standard_normal((90, 4)).astype(np.float32)
    labels = inputs[:, 0].copy()
    parts = [
        Split(inputs[rows], labels[rows]) for rows in (slice(60), slice(60, 70), slice(70, 90))
    ]
    return Data("values", "table", *parts, feature_shape=(4,), class_names=())


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write modules into the working folder, and forget them afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    written = []

    def write(name: str, code: str = CODE) -> str:
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(code))
        written.append(name)
        return name

    yield write
    for name in written:
        sys.modules.pop(name, None)


# Names.


@pytest.mark.parametrize("name", ["mlp", "linear"])
def test_a_registered_model(name):
    found = chosen(name)
    assert isinstance(found.learner, TorchLearner)
    assert found.once is found.learner
    assert found.given is None
    assert any(note.startswith("training: dense") for note in found.notes)


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("sklearn:LogisticRegression", {}, LogisticRegression()),
        ("sklearn:LogisticRegression", {"C": 0.5}, LogisticRegression(C=0.5)),
        ("sklearn:KNeighborsClassifier", {"n_neighbors": 3}, None),
    ],
)
def test_an_estimator_of_scikit_learn(name, parameters, expected):
    found = chosen(name, parameters=parameters)
    assert isinstance(found.learner, EstimatorLearner)
    assert found.notes == ("training: processes (one estimator for each arm)",)
    assert all(found.learner.estimator.get_params()[key] == v for key, v in parameters.items())
    if expected is not None:
        assert found.digest == chosen(given=expected).digest


@pytest.mark.parametrize(
    ("name", "package"),
    [("xgboost:XGBClassifier", "xgboost"), ("lightgbm:LGBMClassifier", "lightgbm")],
)
def test_boosted_trees(name, package):
    pytest.importorskip(package)
    assert isinstance(chosen(name, parameters={"n_estimators": 3}).learner, EstimatorLearner)


@pytest.mark.parametrize("name", [entry.name for entry in MODELS])
def test_registered_models_take_no_parameters(name):
    assert refused(name, parameters={"width": 3}) == (
        f"model {name!r} takes no model_parameters, got width"
    )


def test_names_of_nothing():
    assert "unknown model 'mlpp': did you mean 'mlp'?" in refused("mlpp")
    assert "did you mean 'LogisticRegression'" in refused("sklearn:LogisticRegresion")
    assert "unknown parameter 'c'" in refused("sklearn:LogisticRegression", parameters={"c": 1})
    assert "is made of other estimators (estimators)" in refused("sklearn:VotingClassifier")


# Objects of the user's modules.


def test_a_function_of_the_users(module):
    found = chosen(f"{module('one')}:factory")
    assert isinstance(found.learner, TorchLearner)
    assert isinstance(found.learner.factory(), nn.Linear)


def test_a_function_with_parameters(module):
    name = module("two")
    found = chosen(f"{name}:sized", parameters={"hidden": 7})
    assert found.learner.factory()[0].out_features == 7
    assert found.digest != chosen(f"{name}:sized").digest
    assert found.digest == chosen(f"{name}:sized", parameters={"hidden": 7}).digest


def test_a_function_of_the_data(module):
    name = module("three")
    assert chosen(f"{name}:of_data").learner.factory().in_features == 6
    assert (
        chosen(f"{name}:of_data", data=small("table", seed=1)).learner.factory().out_features == 3
    )
    found = chosen(f"{name}:of_data_sized", parameters={"hidden": 9})
    assert found.learner.factory()[0].out_features == 9


def test_a_class_of_modules_is_called_for_every_training(module):
    name = module("four")
    found = chosen(f"{name}:Network")
    assert found.learner.factory() is not found.learner.factory()
    assert chosen(f"{name}:Network", parameters={"scale": 2.0}).learner.factory().scale == 2.0


def test_estimators_of_the_users(module):
    name = module("five")
    for thing in ("Mine", "ready"):
        assert isinstance(chosen(f"{name}:{thing}").learner, EstimatorLearner), thing
    found = chosen(f"{name}:Mine", parameters={"C": 0.25})
    assert found.learner.estimator.C == 0.25


@pytest.mark.parametrize("thing", ["estimator", "returns_estimator"])
def test_a_function_that_returns_an_estimator(module, thing):
    # What the message for an estimator that is made of others tells people to write.
    found = chosen(f"{module('six')}:{thing}")
    assert isinstance(found.learner, EstimatorLearner)


def test_a_function_with_parameters_that_returns_an_estimator(module):
    found = chosen(f"{module('six')}:estimator", parameters={"strength": 0.5})
    assert found.learner.estimator.C == 0.5


def test_trained_models_of_the_users(module):
    name = module("seven")
    found = chosen(f"{name}:trained")
    assert isinstance(found.learner, FrozenLearner)
    assert isinstance(found.once, FineTunedLearner)
    assert found.given is not None
    assert "is trained already: ROAR, KAR and mask-only" in found.notes[0]
    assert found.notes[1].startswith("copies of it are fine-tuned for retrain-once: stacked")
    function = chosen(f"{name}:predict")
    assert function.learner is function.once
    assert isinstance(function.learner, FrozenLearner)


@pytest.mark.parametrize(
    ("thing", "expected"),
    [
        ("factori", "model: module 'eight' has no 'factori'; did you mean 'factory'?"),
        ("number", "the model must be a function that returns a torch.nn.Module, an estimator"),
        ("returns_number", "the model factory must return a torch.nn.Module, got int"),
        ("two_classes", "must return outputs of shape (64, 3), one per class, for inputs of shape"),
        ("five_columns", "the model does not accept torch.float32 inputs of shape (64, 6)"),
        ("pairs", "the model must return a tensor"),
    ],
)
def test_objects_that_are_no_models(module, thing, expected):
    assert expected in refused(f"{module('eight')}:{thing}")


def test_an_object_takes_no_parameters(module):
    name = module("nine")
    for thing in ("number", "ready", "trained"):
        assert refused(f"{name}:{thing}", parameters={"a": 1}) == (
            f"model: {name}:{thing} takes no model_parameters, it is an object"
        )


def test_parameters_that_a_function_does_not_have(module):
    name = module("nine")
    assert "unknown parameter 'hiden': did you mean 'hidden'" in refused(
        f"{name}:sized", parameters={"hiden": 3}
    )
    assert "unknown parameter 'c'" in refused(f"{name}:Mine", parameters={"c": 3})
    assert "unknown parameter 'scal': did you mean 'scale'" in refused(
        f"{name}:Network", parameters={"scal": 3}
    )


def test_modules_that_are_not_there(module):
    module("ten", "import not_installed_anywhere")
    assert "there is no module 'nowhere' in" in refused("nowhere:factory")
    assert "there is no module 'nowhere.deep' in" in refused("nowhere.deep:factory") or (
        "there is no module 'nowhere' in" in refused("nowhere.deep:factory")
    )


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import not_installed_anywhere", "ModuleNotFoundError: No module named 'not_installed"),
        ("def factory(:", "SyntaxError"),
        ("raise ValueError('two\\nlines')", "ValueError: two lines"),
    ],
)
def test_a_module_that_cannot_be_imported(module, code, expected):
    line = refused(f"{module('broken', code)}:factory")
    assert line.startswith("model: importing 'broken' failed: ")
    assert expected in line


def test_a_factory_that_raises(module):
    name = module("eleven", "def factory():\n    raise ArithmeticError('no\\nmodel')")
    assert "ArithmeticError: no model" in refused(f"{name}:factory")


# Objects from Python.


@pytest.mark.parametrize(
    ("given", "learner"),
    [
        (lambda: nn.Linear(6, 3), TorchLearner),
        (lambda data: nn.Linear(data.features, data.outputs), TorchLearner),
        (nn.Linear(6, 3), FrozenLearner),
        (lambda inputs: inputs[:, :3], FrozenLearner),
        (LogisticRegression(), EstimatorLearner),
        (make_pipeline(StandardScaler(), LogisticRegression()), EstimatorLearner),
    ],
    ids=["factory", "factory of data", "module", "function", "estimator", "pipeline"],
)
def test_objects_from_python(given, learner):
    assert isinstance(chosen(given=given).learner, learner)


def test_what_is_trained_already():
    assert is_trained(nn.Linear(2, 2))
    assert is_trained(lambda inputs: inputs)
    assert is_trained(LogisticRegression().predict_proba)
    for untrained in (
        *(nn.Linear, lambda: nn.Linear(2, 2), lambda data: nn.Linear(data.features, 2)),
        *(LogisticRegression(), LogisticRegression, 3, "mlp"),
    ):
        assert not is_trained(untrained), untrained


@pytest.mark.parametrize("given", [3, [nn.Linear(6, 3)], {"model": nn.Linear(6, 3)}, object()])
def test_objects_from_python_that_are_no_models(given):
    assert refused(given=given).endswith(f"got {type(given).__name__}")


def test_models_for_the_other_task():
    assert "is a regressor, but the labels of data 'small-table' are classes" in refused(
        given=Ridge()
    )
    assert "is a classifier, but the labels of data 'values' are values" in refused(
        given=LogisticRegression(), data=regression()
    )
    assert "outputs of shape (60, 1), the value" in refused(
        given=lambda: nn.Linear(4, 3), data=regression()
    )
    assert isinstance(chosen("linear", data=regression()).learner, TorchLearner)
    assert isinstance(chosen(given=Ridge(), data=regression()).learner, EstimatorLearner)


@pytest.mark.parametrize(
    ("last", "form"),
    [
        (nn.Softmax(1), "probabilities"),
        (nn.LogSoftmax(1), None),
        (nn.Identity(), None),
    ],
    ids=["softmax", "log softmax", "logits"],
)
def test_the_form_of_the_answers_is_told(last, form):
    notes = chosen(given=lambda: nn.Sequential(nn.Linear(6, 3), last)).notes
    told = [note for note in notes if note.startswith("the model answers with")]
    assert told == ([f"the model answers with {form}: taken as such"] if form else [])


def test_an_estimator_without_probabilities_says_what_is_used():
    notes = chosen("sklearn:LinearSVC").notes
    assert notes[-1] == "LinearSVC has no predict_proba: its decision function is used."


def test_the_way_of_training_can_be_asked_for():
    assert chosen("mlp", training="sequential").learner.training == "sequential"
    assert "use 'auto'" in refused(
        given=lambda: nn.Sequential(nn.Linear(6, 3), nn.Tanh()), training="dense"
    )


# Digests.


class Scaled(nn.Module):
    def __init__(self, times: float = 1.0) -> None:
        super().__init__()
        self.layer, self.times = nn.Linear(6, 3), times

    def forward(self, inputs):
        return self.layer(inputs) * self.times


class Shifted(Scaled):
    def forward(self, inputs):
        return self.layer(inputs) + self.times


def seeded(make=Scaled, **options) -> nn.Module:
    torch.manual_seed(0)
    return make(**options)


def test_equal_models_have_equal_digests():
    assert module_digest(seeded()) == module_digest(seeded())
    assert chosen(given=Scaled).digest == chosen(given=lambda: Scaled(1.0)).digest
    assert chosen(given=Ridge(alpha=1.0), data=regression()).digest == (
        chosen(given=Ridge(), data=regression()).digest
    )


def test_the_code_of_the_forward_pass_is_part_of_the_digest():
    Renamed = type(
        "Scaled", (Scaled,), {"forward": Shifted.forward, "__module__": Scaled.__module__}
    )
    Renamed.__qualname__ = Scaled.__qualname__
    assert repr(seeded(Renamed)) == repr(seeded())
    assert module_digest(seeded(Renamed)) != module_digest(seeded())


def test_weights_and_numbers_of_the_module_are_part_of_the_digest():
    other = seeded()
    with torch.no_grad():
        other.layer.bias[0] += 1e-3
    assert module_digest(other) != module_digest(seeded())
    assert module_digest(seeded(times=2.0)) != module_digest(seeded())


def test_helpers_that_the_forward_pass_calls_are_part_of_the_digest(module):
    code = """
    from torch import nn
    class Helped(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 3)
        def forward(self, inputs):
            return self.answer(inputs) + shift(inputs)
        def answer(self, inputs):
            return self.layer(inputs) * FACTOR
    def shift(inputs):
        return SHIFT
    """
    changes = (
        "FACTOR = 2.0\nSHIFT = 0.0",
        "FACTOR = 3.0\nSHIFT = 0.0",
        "FACTOR = 2.0\nSHIFT = 1.0",
    )
    digests = []
    for change in (*changes, changes[0]):
        name = module("helped", f"{textwrap.dedent(code)}\n{change}\n")
        sys.modules.pop(name, None)
        Path(f"{name}.py").touch()
        for cached in Path("__pycache__").glob("helped*"):
            cached.unlink()
        digests.append(chosen(f"{name}:Helped").digest)
    assert digests[0] == digests[3]
    assert len(set(digests)) == 3


def test_parameters_of_estimators_are_part_of_the_digest():
    digests = {
        chosen("sklearn:LogisticRegression", parameters={"C": strength}).digest
        for strength in (0.1, 1.0, 10.0)
    }
    assert len(digests) == 3


# Code of the user's runs when a run is prepared, and at no other time.

MARKING = """
from pathlib import Path
from torch import nn

with Path("imported.txt").open("a") as file:
    file.write("imported\\n")

def factory(data):
    return nn.Sequential(nn.Linear(data.features, data.outputs))
"""


@pytest.mark.slow
def test_reading_never_imports_the_users_code(module, tmp_path, capsys, monkeypatch):
    mark, out = tmp_path / "imported.txt", tmp_path / "out"
    name = module("marking", MARKING)
    rows = "".join(f"{i % 7},{i % 5},{int(i % 7 > 3)}\n" for i in range(300))
    (tmp_path / "rows.csv").write_text(f"a,b,y\n{rows}")
    (tmp_path / "spec.toml").write_text(
        f'data = "rows.csv"\nmodel = "{name}:factory"\nprotocols = ["roar"]\n'
        'explainers = ["random", "grad"]\nfractions = [0.5]\nrepeats = 1\nbase_models = 1\n'
        '[source]\ntarget = "y"\n[recipe]\nlearning_rate = 0.1\n'
    )

    def uproar(*arguments):
        sys.modules.pop(name, None)
        return command(capsys, monkeypatch, arguments)

    assert Spec.from_toml(tmp_path / "spec.toml").checked().model == f"{name}:factory"
    assert not mark.exists()
    assert uproar("run", "spec.toml", "--out", out, "-q").code == 0
    assert mark.read_text() == "imported\n"
    mark.unlink()
    for arguments in (
        ("status", out),
        ("report", out),
        ("list", "models"),
        ("init", "rows.csv", "--out", "other.toml"),
    ):
        assert uproar(*arguments).code == 0, arguments
    result = Result.read(out)
    assert result.leaderboard() is not None
    assert result.to_latex()
    assert not mark.exists()
