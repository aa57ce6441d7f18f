"""What data and a model choose where the user does not."""

from __future__ import annotations

import pytest

from uproar.data import DATA
from uproar.explain import DEFAULT_EXPLAINERS
from uproar.explain.names import parse
from uproar.models import IMAGENET_RECIPE, MODELS
from uproar.plan.defaults import (
    check_model_name,
    defaults,
    explainers_of,
)
from uproar.types import KINDS, Source, UproarError


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "model", ["", "mlp", "sklearn:Ridge", "xgboost:XGBRegressor", "mine:factory"]
)
def test_explainers_exist_and_fit_the_kind(kind, model):
    names = explainers_of(kind, model)
    assert len(set(names)) == len(names)
    assert "random" in names
    for name in names:
        entry = parse(name).entry()
        assert kind in (entry.data_kinds or [kind]), name


@pytest.mark.parametrize("kind", KINDS)
def test_models_without_gradients_are_given_no_explainer_that_needs_them(kind):
    gradients = [explainers_of(kind, model) for model in ("", "mlp", "mine:factory")]
    assert all("grad" in names for names in gradients)
    for names in (
        explainers_of(kind, "sklearn:SVC"),
        explainers_of(kind, "mine:factory", gradients=False),
    ):
        assert all("gradients" not in parse(name).entry().needs for name in names)
    assert ("tree-shap" in explainers_of(kind, "lightgbm:LGBMClassifier")) is True
    assert ("tree-shap" in explainers_of(kind, "sklearn:SVC")) is False


@pytest.mark.parametrize(
    ("model", "trees"),
    [
        ("lightgbm:LGBMClassifier", True),
        ("xgboost:XGBRFRegressor", True),
        ("sklearn:DecisionTreeClassifier", True),
        ("sklearn:ExtraTreesRegressor", True),
        ("sklearn:HistGradientBoostingClassifier", True),
        ("sklearn:SVC", False),
        ("sklearn:Pipeline", False),
        ("mine:RandomForestClassifier", False),
    ],
)
def test_trees_are_explained_as_trees(model, trees):
    assert ("tree-shap" in explainers_of("table", model, gradients=False)) is trees


def test_images_have_the_defaults_of_digits_and_others_have_occlusion_in_place_of_edges():
    assert explainers_of("image", "mlp") == DEFAULT_EXPLAINERS
    for kind in ("table", "text", "series"):
        names = explainers_of(kind, "mlp")
        assert "sobel" not in names
        assert "occlusion" in names


@pytest.mark.parametrize(
    ("kind", "removal"),
    [("image", "mean"), ("table", "mean"), ("series", "mean"), ("text", "mask-token")],
)
def test_the_removal_of_a_kind(kind, removal):
    assert KINDS[kind].removal == removal


@pytest.mark.parametrize("entry", DATA, ids=lambda entry: entry.name)
def test_registered_data_choose_for_themselves(entry):
    chosen = defaults(entry.name, Source())
    assert chosen.model == (entry.model or KINDS[entry.kind].model)
    assert chosen.known_answers == entry.known_answers
    assert dict(entry.recipe).items() <= chosen.recipe.items()


def test_another_model_brings_its_recipe():
    assert dict(defaults("planted-patch", Source(), "resnet18").recipe) == dict(IMAGENET_RECIPE)
    assert defaults("planted-patch", Source(), "resnet18").model == "resnet18"
    assert defaults("planted-words", Source()).recipe["epochs"] == 3
    assert defaults("digits", Source(), "sklearn:SVC").recipe == {}


@pytest.mark.parametrize("name", [entry.name for entry in MODELS])
def test_registered_models_are_known(name):
    check_model_name(name)


@pytest.mark.parametrize(
    "name",
    ["sklearn:Ridge", "xgboost:A", "lightgbm:A", "transformers:a/b", "a:b", "a.b.c:d", "python:x"],
)
def test_names_of_what_can_be_imported_are_known(name):
    check_model_name(name)


@pytest.mark.parametrize(
    "name", ["", "mpl", "sklearn", "sklearn:", ":factory", "a b:c", "../a:b", "a-b:c", "1a:b"]
)
def test_other_names_are_refused_with_what_there_is(name):
    with pytest.raises(UproarError) as raised:
        check_model_name(name)
    line = str(raised.value)
    assert line.startswith(f"unknown model {name!r}")
    for known in ("mlp", "sklearn:NAME", "transformers:NAME", "package.module:object"):
        assert known in line
    assert "\n" not in line
