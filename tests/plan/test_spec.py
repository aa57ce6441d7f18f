"""Specs: what is filled in, what is refused in which words, and the round trip through TOML."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from uproar.data import DATA
from uproar.explain import DEFAULT_EXPLAINERS
from uproar.models import MODELS
from uproar.plan.spec import DEFAULT_FRACTIONS, REFERENCE, Spec
from uproar.protocols import PROTOCOLS
from uproar.remove import REMOVALS
from uproar.types import KINDS, Recipe, UproarError

ALL_PROTOCOLS = ("roar", "kar", "mask-only", "retrain-once", "no-retrain")


def refused(**values: object) -> str:
    with pytest.raises(UproarError) as error:
        Spec.from_mapping(values).checked()
    return str(error.value)


def test_the_default_spec() -> None:
    spec = Spec().checked()
    assert (spec.data, spec.model, spec.removals) == ("digits", "mlp", ("mean",))
    assert spec.explainers == DEFAULT_EXPLAINERS
    assert len(spec.explainers) == 22
    assert spec.protocols == ALL_PROTOCOLS
    assert spec.fractions == DEFAULT_FRACTIONS == (0.1, 0.3, 0.5, 0.7, 0.9)
    assert (spec.repeats, spec.mask_only_repeats, spec.base_models, spec.seed) == (5, 2, 5, 0)
    assert spec.recipe == Recipe()
    assert Spec.from_mapping({}).checked() == spec


@pytest.mark.parametrize("entry", DATA, ids=lambda entry: entry.name)
def test_every_data_set_has_defaults_that_pass(entry) -> None:
    spec = Spec.from_mapping({"data": entry.name}).checked()
    toy = entry.name.startswith("hooker-toy")
    models = {"digits": "mlp", **{kind: known.model for kind, known in KINDS.items()}}
    assert spec.model == ("linear" if toy else models.get(entry.name, models[entry.kind]))
    assert spec.recipe.optimiser == ("least-squares" if toy else "adam")
    assert ("sobel" in spec.explainers) == (entry.kind == "image")
    assert ("occlusion" in spec.explainers) == (entry.kind != "image")
    known = entry.known_answers
    assert spec.explainers[-len(known) :] == known or not known
    assert spec.extra_bases == known
    assert spec.removals == (("mask-token",) if entry.kind == "text" else ("mean",))


def test_what_is_given_goes_before_the_defaults_of_the_data() -> None:
    spec = Spec.from_mapping(
        {"data": "hooker-toy", "model": "mlp", "recipe": {"optimiser": "sgd", "epochs": 3}}
    )
    assert (spec.model, spec.recipe) == ("mlp", Recipe("sgd", epochs=3))
    assert Spec.from_mapping({"recipe": Recipe(epochs=7)}).recipe == Recipe(epochs=7)


def test_names_become_canonical_and_random_is_always_there() -> None:
    spec = Spec.from_mapping(
        {
            "explainers": " sg-ig:noise=0.15:steps=50 , abs-grad,",
            "protocols": "no-retrain,roar",
            "fractions": [0.9, 0.1, 0.5],
        }
    ).checked()
    assert spec.explainers == ("sg-ig:steps=50", "abs-grad", REFERENCE)
    assert spec.protocols == ("roar", "no-retrain")
    assert spec.fractions == (0.1, 0.5, 0.9)
    assert spec.checked() == spec


def test_callables_and_known_rankings_are_explainers() -> None:
    spec = Spec.from_mapping({"explainers": "mine,abs-mine", "callables": ["mine"]}).checked()
    assert spec.explainers == ("mine", "abs-mine", "random")
    text = refused(explainers="true-ranking")
    assert text.startswith("unknown explainer 'true-ranking'")


names = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters=","), min_size=1)
numbers = st.integers(1, 10**6)
SPECS = st.builds(
    Spec,
    data=st.sampled_from([e.name for e in DATA]) | names.map("python:{}".format),
    data_digest=names,
    model=st.sampled_from([e.name for e in MODELS]),
    explainers=st.lists(names, max_size=4).map(tuple),
    callables=st.lists(names, max_size=2).map(tuple),
    protocols=st.lists(st.sampled_from(ALL_PROTOCOLS), max_size=5).map(tuple),
    removals=st.lists(st.sampled_from([e.name for e in REMOVALS]), max_size=3).map(tuple),
    fractions=st.lists(st.floats(0, 1), max_size=5).map(tuple),
    repeats=numbers,
    seed=st.integers(-(2**62), 2**62),
    training=st.sampled_from(["auto", "dense", "stacked", "sequential"]),
    recipe=st.builds(
        Recipe,
        optimiser=st.sampled_from(["adam", "sgd", "least-squares"]),
        learning_rate=st.floats(1e-30, 1e30),
        schedule=st.sampled_from(["cosine", "constant"]),
        epochs=numbers,
        batch_size=numbers,
        weight_decay=st.floats(0, 1),
    ),
    bootstrap_draws=numbers,
)


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SPECS)
def test_toml_and_back(tmp_path: Path, spec: Spec) -> None:
    path = tmp_path / "spec.toml"
    path.write_text(spec.to_toml(), encoding="utf-8")
    assert Spec.from_toml(path) == spec


def test_overrides_go_before_the_file(tmp_path: Path) -> None:
    path = tmp_path / "spec.toml"
    path.write_text('data = "breast-cancer"\nrepeats = 3\n[recipe]\nepochs = 4\n')
    spec = Spec.from_toml(path, {"repeats": 7})
    assert (spec.data, spec.repeats, spec.recipe.epochs) == ("breast-cancer", 7, 4)
    assert spec.recipe.batch_size == Recipe().batch_size


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("repeat = 3", "{path}: unknown key 'repeat': did you mean 'repeats'"),
        ("[recipe]\nepoch = 3", "{path}: unknown key of recipe 'epoch': did you mean 'epochs'?"),
        ('repeats = "many"', "{path}: repeats is 'many'; input should be a valid integer"),
        ("recipe = 5", "{path}: recipe must be a table of keys, got 5"),
        ('recipe = "adam"', "{path}: recipe must be a table of keys, got 'adam'"),
        ("data = 5", "{path}: data is 5; input should be a valid string"),
        ("explainers = 5", "{path}: explainers is 5; input should be a valid tuple"),
        ("explainers = [1]", "{path}: explainers.0 is 1; input should be a valid string"),
        ('fractions = ["half"]', "{path}: fractions.0 is 'half'; input should be a valid number"),
        ("repeats = 2.5", "{path}: repeats is 2.5; input should be a valid integer"),
        ('training = "fast"', "{path}: training is 'fast'; input should be 'auto', 'dense'"),
        ("[recipe]\nepochs = 1.5", "{path}: recipe.epochs is 1.5; input should be a valid integer"),
        (
            '[recipe]\noptimiser = "adamw"',
            "{path}: recipe.optimiser is 'adamw'; input should be 'adam', 'sgd' or 'least-squares'",
        ),
        ("repeats = ", "{path} is not valid TOML: "),
        ("repeats = 1\nrepeats = 2", "{path} is not valid TOML: "),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_its_path(
    tmp_path: Path, content: str, text: str
) -> None:
    path = tmp_path / "spec.toml"
    path.write_text(content)
    with pytest.raises(UproarError) as error:
        Spec.from_toml(path)
    assert str(error.value).startswith(text.format(path=path))
    assert "\n" not in str(error.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    missing = tmp_path / "missing.toml"
    with pytest.raises(UproarError) as error:
        Spec.from_toml(missing)
    assert str(error.value) == f"cannot read the spec {str(missing)!r}: No such file or directory"
    with pytest.raises(UproarError, match=r"cannot read the spec .*: Is a directory"):
        Spec.from_toml(tmp_path)
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(UproarError, match="is not valid TOML: 'utf-8' codec"):
        Spec.from_toml(binary)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"data": "digit"}, "unknown data 'digit': did you mean 'digits'"),
        ({"model": "mpl"}, "unknown model 'mpl': did you mean 'mlp'"),
        ({"protocols": "roer"}, "unknown protocol 'roer': did you mean 'roar'"),
        ({"removals": ["meen"]}, "unknown removal 'meen': did you mean 'mean'? Known: mean, zero"),
        ({"explainers": "gard"}, "unknown explainer 'gard': did you mean 'grad'"),
        ({"explainers": "ig:step=3"}, "explainer 'ig:step=3': unknown parameter 'step'"),
        ({"fractions": [0.5, 1.5]}, "fractions must lie in [0, 1], got 1.5"),
        ({"fractions": [-0.1, 0.5]}, "fractions must lie in [0, 1], got -0.1"),
        ({"fractions": [math.nan, 0.5]}, "fractions must lie in [0, 1], got nan"),
        (
            {"fractions": [0, 1]},
            "fractions need one at least between 0 and 1, such as 0.5; got [0.0, 1.0]",
        ),
        ({"fractions": []}, "fractions need one at least between 0 and 1, such as 0.5; got []"),
        ({"fractions": [0.5, 0.3, 0.5]}, "fractions must be distinct, got 0.5 more than once"),
        ({"removals": "mean,mean"}, "removals must be distinct, got mean more than once"),
        ({"protocols": "kar,kar"}, "protocols must be distinct, got kar more than once"),
        ({"explainers": "ig,ig:steps=25"}, "explainers must be distinct, got ig more than once"),
        ({"explainers": ""}, "no explainer was given; see `uproar list explainers`"),
        ({"removals": []}, "no removal was given; choose from mean, zero, noise"),
        (
            {"protocols": []},
            "no protocol was given; choose from roar, kar, mask-only, retrain-once, no-retrain",
        ),
        ({"repeats": 0}, "repeats must be at least 1, got 0"),
        ({"mask_only_repeats": 0}, "mask_only_repeats must be at least 1, got 0"),
        ({"base_models": -1}, "base_models must be at least 1, got -1"),
        ({"retrain_once_epochs": 0}, "retrain_once_epochs must be at least 1, got 0"),
        ({"bootstrap_draws": 0}, "bootstrap_draws must be at least 1, got 0"),
        ({"gallery_examples": 0}, "gallery_examples must be at least 1, got 0"),
        (
            {"gallery_examples": 30, "kept_examples": 20},
            "kept_examples must be at least gallery_examples, 30, which the report shows; got 20",
        ),
        ({"recipe": {"epochs": 0}}, "recipe.epochs must be at least 1, got 0"),
        ({"recipe": {"batch_size": 0}}, "recipe.batch_size must be at least 1, got 0"),
        ({"recipe": {"learning_rate": 0}}, "recipe.learning_rate must be positive, got 0.0"),
        (
            {"recipe": {"learning_rate": math.nan}},
            "spec: recipe.learning_rate is nan; input should",
        ),
        ({"recipe": {"label_smoothing": 2}}, "recipe.label_smoothing must be at most 1, got 2.0"),
        ({"recipe": Recipe(epochs=0)}, "recipe.epochs must be at least 1, got 0"),
        ({"source": {"examples": -1}}, "examples must be at least 0, got -1"),
        ({"source": {"patch": 0}}, "patch must be at least 1, got 0"),
        ({"repeats": "0"}, "repeats must be at least 1, got 0"),
        ({"fractions": ["1.5", 0.5]}, "fractions must lie in [0, 1], got 1.5"),
        ({"source": {"pach": 4}}, "spec: unknown key of source 'pach': did you mean 'patch'"),
        ({"source": 4}, "spec: source must be a table of keys, got 4"),
    ],
)
def test_values_that_mean_nothing_are_refused(values: dict, text: str) -> None:
    assert refused(**values).startswith(text)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"repeats": 0}, "repeats must be at least 1, got 0"),
        ({"recipe": Recipe(epochs=0)}, "recipe.epochs must be at least 1, got 0"),
        ({"recipe": {"epoch": 1}}, "spec: unknown key of recipe 'epoch': did you mean 'epochs'"),
        ({"source": {"kind": "picture"}}, "spec: kind is 'picture'; input should be 'auto', 'im"),
        ({"repeat": 3}, "spec: unknown key 'repeat': did you mean 'repeats'"),
    ],
)
def test_a_spec_made_in_python_is_refused_in_the_same_words(values: dict, text: str) -> None:
    with pytest.raises(UproarError) as error:
        Spec(**values)
    assert str(error.value).startswith(text)
    assert "\n" not in str(error.value)


def test_specs_that_call_known_answers_rankings_are_read(tmp_path: Path) -> None:
    spec = Spec.from_mapping({"data": "hooker-toy"}).checked()
    written, path = spec.to_toml(), tmp_path / "spec.toml"
    assert "\nknown_answers = [" in written
    path.write_text(written.replace("\nknown_answers = [", "\nrankings = ["), encoding="utf-8")
    assert Spec.from_toml(path) == spec


def test_no_choice_of_the_spec_is_forgotten_in_the_file() -> None:
    text = Spec().to_toml()
    for name in Spec.model_fields:
        assert f"\n{name} = " in text or f"\n[{name}]" in text
    for name in Recipe.__dataclass_fields__:
        assert f"\n{name} = " in text
    assert tuple(entry.name for entry in PROTOCOLS) == ALL_PROTOCOLS
