"""An option is written once: what a field says of itself is what flags, drafts and Python take."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from tests.support.small_runs import silent
from uproar.bench import evaluate as evaluation
from uproar.cli.flags import DESCRIPTIONS, FLAGS, NO_FLAGS, spec_of
from uproar.plan.spec import Spec
from uproar.types import Recipe, Source, UproarError, options

TYPES: dict[str, dict[str, Any]] = {
    "spec": {name: field.annotation for name, field in Spec.model_fields.items()},
    **{
        table: {option.name: get_type_hints(kind)[option.name] for option in options(kind)}
        for table, kind in (("source", Source), ("recipe", Recipe))
    },
}
OPTIONS = [(table, name) for table, types in TYPES.items() for name in types]
FOUND_BY_THE_RUN = {"data_digest", "model_digest", "callables", "known_answers"}
# Values that are not their defaults, where the type does not tell one.
OTHER: dict[str, Any] = {
    "data": "breast-cancer",
    "model": "linear",
    "source": Source(patch=2),
    "recipe": Recipe(epochs=2),
    "model_parameters": {"depth": 3},
    "explainers": ("grad", "random"),
    "protocols": ("roar",),
    "removals": ("zero",),
    "fractions": (0.4, 0.6),
}


def default_of(table: str, name: str) -> Any:
    owner = {"source": Source, "recipe": Recipe}.get(table)
    return Spec.model_fields[name].default if owner is None else getattr(owner, name)


def other(table: str, name: str) -> Any:
    """Return a value of an option that is not its default."""
    if name in OTHER:
        return OTHER[name]
    default, kind = default_of(table, name), TYPES[table][name]
    if get_origin(kind) is Literal:
        return next(choice for choice in get_args(kind) if choice != default)
    return {int: 3, float: 0.25, str: "other", tuple: ("a", "b")}[get_origin(kind) or kind]


def of(spec: Spec, table: str, name: str) -> Any:
    return getattr(spec if table == "spec" else getattr(spec, table), name)


def test_no_two_options_have_one_name() -> None:
    names = [name for _, name in OPTIONS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("table", "name"), OPTIONS, ids=lambda part: part)
def test_every_option_says_what_it_is_and_names_its_choices(table: str, name: str) -> None:
    text = DESCRIPTIONS[name]
    assert text[-1] in ".…"
    kind = TYPES[table][name]
    for choice in get_args(kind) if get_origin(kind) is Literal else ():
        assert choice in {*text.replace(",", "").replace(".", "").split(), "auto"}


def test_every_option_is_a_flag_unless_a_run_finds_it_out_or_it_is_a_table() -> None:
    names = {name for _, name in OPTIONS}
    assert {*FOUND_BY_THE_RUN, "source", "recipe", "model_parameters"} == NO_FLAGS
    assert set(FLAGS) == names - NO_FLAGS | {"config", "out", "quiet"}
    for name in names & set(FLAGS):
        assert FLAGS[name].__metadata__[0].help.startswith(DESCRIPTIONS[name])


@pytest.mark.parametrize(
    ("table", "name"), [one for one in OPTIONS if one[1] not in NO_FLAGS], ids=lambda part: part
)
def test_a_flag_reaches_its_option(table: str, name: str, tmp_path, monkeypatch) -> None:
    value = other(table, name)
    given = ",".join(map(str, value)) if isinstance(value, tuple) else value
    flags = {**dict.fromkeys(FLAGS), "quiet": False, name: given}
    found = of(spec_of(flags), table, name)
    assert found == value != default_of(table, name)


@pytest.fixture
def asked(monkeypatch):
    """Call evaluate, and return the spec that it would run."""
    specs = []

    class Recorder:
        def __init__(self, spec: Spec, *rest: Any) -> None:
            assert len(rest) == 6
            specs.append(spec)

        def run(self) -> SimpleNamespace:
            return SimpleNamespace(cautions=())

    monkeypatch.setattr(evaluation, "Benchmark", Recorder)

    def call(*data: Any, **options: Any) -> Spec:
        model = options.pop("model", "mlp")
        train = options.pop("data", None)
        evaluation.evaluate(model, *(data or (train or "digits",)), log=silent, **options)
        return specs.pop()

    return call


@pytest.mark.parametrize(
    ("table", "name"),
    [one for one in OPTIONS if one[1] not in FOUND_BY_THE_RUN],
    ids=lambda part: part,
)
def test_whatever_there_is_to_say_can_be_said_in_python(table: str, name: str, asked) -> None:
    value = other(table, name)
    keywords = set(inspect.signature(evaluation.evaluate).parameters)
    said: list[dict[str, Any]] = []
    if table == "source":
        said.append({"source": Source(**{name: value})})
    elif table == "recipe":
        said.append({"recipe": Recipe(**{name: value})})
    elif name not in evaluation.OF_THE_CALL:
        said.append({"spec": {name: value}})
    if name == "data" or (name in keywords and name not in {"test", "validation"}):
        said.append({name: value})
    assert said
    for given in said:
        assert of(asked(**given), table, name) == value


def test_no_default_is_repeated_in_python() -> None:
    for name, parameter in inspect.signature(evaluation.evaluate).parameters.items():
        if name in DESCRIPTIONS and name != "model":
            assert parameter.default is None
        assert f":param {name}:" in str(evaluation.evaluate.__doc__)


def test_without_options_python_asks_for_what_the_command_line_does(asked) -> None:
    assert asked() == Spec.from_mapping({"data": "digits", "model": "mlp"})


def test_what_a_call_says_by_name_goes_before_its_source_and_its_spec(asked) -> None:
    found = asked(source=Source(patch=2, size=8), patch=4, spec={"repeats": 2, "seed": 3}, seed=1)
    assert (found.source.patch, found.source.size) == (4, 8)
    assert (found.repeats, found.seed) == (2, 1)


def test_the_parts_of_a_path_may_be_paths(asked, tmp_path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("x,y\n1,0\n")
    found = asked(tmp_path / "a.csv", tmp_path / "b.csv", target="y")
    assert (found.data, found.source.test) == (str(tmp_path / "a.csv"), str(tmp_path / "b.csv"))
    with pytest.raises(UproarError, match="data by name or path bring their own test examples"):
        asked(tmp_path / "a.csv", ([[1]], [0]), target="y")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"data": "digits"}, "spec: 'data' follows from what evaluate is given beside the spec"),
        ({"repeat": 3}, "spec: unknown key 'repeat': did you mean 'repeats'"),
        ({"bootstrap_draws": 0}, "bootstrap_draws must be at least 1, got 0"),
    ],
)
def test_a_spec_that_is_refused(spec: dict, expected: str, asked) -> None:
    with pytest.raises(UproarError) as error:
        asked(spec=spec)
    assert str(error.value).startswith(expected)


def test_what_is_wrong_is_said_before_data_are_looked_at(asked) -> None:
    for given, expected in (
        ({"kind": "picture"}, "spec: kind is 'picture'; input should be 'auto', 'image'"),
        ({"source": Source(size=-1)}, "size must be at least 0, got -1"),
        ({"repeats": 0}, "repeats must be at least 1, got 0"),
    ):
        with pytest.raises(UproarError) as error:
            asked(object(), **given)
        assert str(error.value).startswith(expected)


def test_the_draft_says_of_options_what_they_say(tmp_path: Path, monkeypatch) -> None:
    from uproar.cli.draft import draft

    monkeypatch.chdir(tmp_path)
    rows = "".join(f"p{row},{row},{row % 2}\n" for row in range(60))
    Path("rows.csv").write_text(f"name,a,y\n{rows}")
    lines = draft("rows.csv").splitlines()
    for line in (
        "fractions = [0.1, 0.3, 0.5, 0.7, 0.9]  # shares of the features",
        "repeats = 5  # retrainings of every arm; `uproar plan` says what they cost",
        "seed = 0",
        'target = "y"  # column of the labels: please check',
        'protocols = ["roar", "kar", "mask-only", "retrain-once", "no-retrain"]',
    ):
        assert line in lines
