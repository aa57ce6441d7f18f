"""Explainers of one's own model on one's own data, in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from uproar.bench.benchmark import Benchmark, Log
from uproar.data import kind_of
from uproar.data.checks import check
from uproar.dataset import Data
from uproar.plan.defaults import defaults, explainers_of
from uproar.plan.spec import DEFAULT_FRACTIONS, Spec
from uproar.registry import unknown
from uproar.results.result import Result
from uproar.types import KINDS, GivenKind, Recipe, Source, UproarError

if TYPE_CHECKING:
    from torch import nn

    Model = str | nn.Module | Callable[..., Any] | Any


def evaluate(
    model: Model,
    train: Any,
    test: Any = None,
    *,
    validation: Any = None,
    target: str = "",
    text: str = "",
    drop: Sequence[str] = (),
    kind: GivenKind = "auto",
    task: Literal["auto", "classification", "regression"] = "auto",
    patch: int = 1,
    features: Literal["step", "channel-step"] = "step",
    explainers: Sequence[str] | Mapping[str, Any] | None = None,
    protocols: Sequence[str] = ("roar", "kar", "mask-only", "retrain-once", "no-retrain"),
    removals: Sequence[str] = (),
    fractions: Sequence[float] = DEFAULT_FRACTIONS,
    repeats: int = 5,
    base_models: int = 1,
    recipe: Recipe | None = None,
    retrain_once_epochs: int | None = None,
    seed: int = 0,
    device: str = "auto",
    class_names: Sequence[str] = (),
    feature_names: Sequence[str] = (),
    value_range: tuple[float, float] | None = None,
    name: str = "",
    out: str | Path | None = None,
    log: Log = print,
    quiet: bool = False,
) -> Result:
    """Find out which explainers of a model beat a random ranking, and return the result.

    :param model: a function without parameters that makes a new, untrained ``torch.nn.Module``
        (it is called again for every retraining; with a parameter ``data`` it is given the data);
        a scikit-learn estimator or pipeline, or one of XGBoost or LightGBM; a name, such as
        ``mlp`` or ``sklearn:Ridge``; or a model that is trained already, a module or a function
        from inputs to outputs, which is explained as it is and never trained from scratch.
        Modules map inputs to logits or probabilities (examples, classes), to one of them
        (examples, 1) for two classes, or to values (examples, 1).
    :param train: inputs and labels; a pandas ``DataFrame`` with a column ``target``; a
        :class:`uproar.Data`; or a name or path as `uproar run` takes it. Inputs (examples,
        columns) are tables, (examples, channels, time) series, (examples, channels, height,
        width) images, and lists of strings are text.
    :param test: as ``train``; explained, degraded and scored, never learned from. Split off from
        train when not given.
    :param validation: where the base model is checked; taken from train by default, in proportion.
    :param target: column of the labels. :param text: column of the text, which makes it text.
    :param drop: columns that are no features.
    :param kind: of the data, where the shape does not say it.
    :param task: whether labels are classes or values, where they do not say it.
    :param patch: of images, the side of the squares of pixels that are one feature.
    :param features: of series, whether a step of all channels or of one is a feature.
    :param explainers: names (see ``uproar list explainers``), or a mapping from names to what
        :func:`uproar.explain.packages.given.explainer_of` takes, such as callables
        ``(model, inputs, targets, generator) -> attribution`` of the inputs' shape; None stands
        for the registered explainer of that name. The random control is always added.
    :param protocols: which protocols; :param removals: which removals, by default that of the kind.
    :param fractions: shares of the features to remove or keep, in [0, 1].
    :param repeats: retrainings of every arm. :param base_models: models that are explained.
    :param recipe: how modules are trained.
    :param retrain_once_epochs: passes over the training data of the models of retrain-once; by
        default 20/3 of those of the recipe, 100 at most.
    :param seed: changes every draw. :param device: ``auto``, ``cpu`` or ``cuda``.
    :param class_names: one per class; numbers by default. :param feature_names: of table columns.
    :param value_range: smallest and largest value of images; that of train by default.
    :param name: what tables call the data. :param out: folder of the run, ``runs/NAME`` by default.
    :param log: told in one line of every choice made. :param quiet: show no progress.
    :returns: tables, leaderboard, figures and report; running again continues or rereads.
    :raises UproarError: in one line, before anything is trained, when something does not fit.

    Hooker et al. 2019, arXiv 1806.10758.

    >>> import tempfile, torch, numpy as np
    >>> generator = np.random.default_rng(0)
    >>> inputs = generator.standard_normal((600, 8)).astype("float32")
    >>> labels = (inputs[:, 0] + inputs[:, 1] > 0).astype(int)
    >>> def largest_weight(model, inputs, targets, generator):
    ...     return model.gradient(inputs, targets).abs()
    >>> with tempfile.TemporaryDirectory() as out:
    ...     result = evaluate(
    ...         lambda: torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(),
    ...                                     torch.nn.Linear(16, 2)),
    ...         (inputs[:400], labels[:400]), (inputs[400:], labels[400:]),
    ...         explainers={"largest-weight": largest_weight}, fractions=[0.25],
    ...         protocols=["roar"], out=out, log=lambda line: None, quiet=True)
    ...     verdicts = result.leaderboard().set_index("explainer")["verdict"]
    >>> verdicts["largest-weight"]
    'better than random'
    """
    source = Source(kind, task, target, text, tuple(drop), patch=patch)
    data: Data | None = None
    if isinstance(train, str | Path):
        _refuse_parts(test, validation)
    elif isinstance(train, Data):
        data = check(train)
    else:
        data = _data(
            *(train, test, validation),
            source=source,
            name=name or "mine",
            seed=seed,
            features=features,
            class_names=class_names,
            feature_names=feature_names,
            value_range=value_range,
            own_units=_answers_in_own_units(model),
        )
    given = None if explainers is None else _explainers(explainers)
    listed = _default_explainers(train, data, source, model) if given is None else tuple(given)
    callables = {key: value for key, value in (given or {}).items() if value is not None}
    values: dict[str, Any] = {
        "data": str(train) if data is None else f"python:{name or data.name}",
        "source": source,
        "model": model if isinstance(model, str) else f"python:{_called(model)}",
        "callables": tuple(callables),
        "protocols": tuple(protocols),
        "fractions": tuple(fractions),
        "repeats": repeats,
        "base_models": base_models,
        "seed": seed,
        "device": device,
    }
    chosen = {
        "removals": tuple(removals) or None,
        "explainers": listed,
        "recipe": recipe,
        "retrain_once_epochs": retrain_once_epochs,
    }
    if data is not None:
        values |= {
            "rankings": tuple(data.known_importance),
            "removals": (KINDS[data.kind].removal,),
        }
    values |= {key: value for key, value in chosen.items() if value is not None}
    spec = Spec.from_mapping(values)
    folder = Path(out or Path("runs") / (name or spec.folder_name))
    thing = None if isinstance(model, str) else model
    return Benchmark(spec, folder, data, thing, callables, log, quiet).run()


def _default_explainers(
    train: Any, data: Data | None, source: Source, model: Model
) -> tuple[str, ...] | None:
    """Return the explainers of objects; of what has a name the spec knows them."""
    from uproar.models.choice import estimator_name, is_trained

    if data is None and isinstance(model, str):
        return None
    if data is None:
        kind, rankings = kind_of(str(train), source), defaults(str(train), source).rankings
    else:
        kind, rankings = data.kind, tuple(data.known_importance)
    if isinstance(model, str):
        name, gradients = model, True
    else:
        name = estimator_name(model)
        gradients = not name and (hasattr(model, "parameters") or not is_trained(model))
    return (*explainers_of(kind, name or KINDS[kind].model, gradients=gradients), *rankings)


def _called(model: Model) -> str:
    return str(getattr(model, "__qualname__", type(model).__name__))


def _explainers(explainers: Sequence[str] | Mapping[str, Any]) -> dict[str, Any]:
    from uproar.explain.packages.given import explainer_of

    given = dict(explainers) if isinstance(explainers, Mapping) else dict.fromkeys(explainers)
    return {k: None if thing is None else explainer_of(thing, k) for k, thing in given.items()}


def _refuse_parts(test: Any, validation: Any) -> None:
    if test is not None or validation is not None:
        raise UproarError(
            "data by name or path bring their own test examples, or have them split off; give "
            "train and test as arrays or tables to choose them"
        )


def _answers_in_own_units(model: Model) -> bool:
    """Say whether the model was trained before, on labels in the units that they have."""
    from uproar.models.choice import is_trained

    return not isinstance(model, str) and is_trained(model)


def _texts(part: Any, source: Source) -> Any:
    """Return the texts and labels in a table; what is no table stays as it is."""
    columns = list(getattr(part, "columns", ()))
    if not columns:
        return part
    for name, what in ((source.text, "text"), (source.target, "target")):
        if name not in columns:
            raise UproarError(unknown(name, map(str, columns), what))
    return part[source.text].tolist(), part[source.target]


def _data(
    train: Any,
    test: Any,
    validation: Any,
    *,
    source: Source,
    name: str,
    seed: int,
    features: Literal["step", "channel-step"],
    class_names: Sequence[str],
    feature_names: Sequence[str],
    value_range: tuple[float, float] | None,
    own_units: bool,
) -> Data:
    from uproar.data.python.arrays import from_parts

    parts = [train, test, validation]
    if source.text:
        parts = [_texts(part, source) for part in parts]
    return check(
        from_parts(
            *parts,
            name=name,
            seed=seed,
            kind=source.kind,
            task=source.task,
            target=source.target,
            drop=source.drop,
            features=features,
            class_names=tuple(class_names),
            feature_names=tuple(feature_names),
            value_range=value_range,
            patch=source.patch,
            standardise_labels=not own_units,
        )
    )
