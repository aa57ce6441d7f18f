"""Explainers of one's own model on one's own data, in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from uproar.bench.benchmark import Benchmark, Log
from uproar.data import kind_of
from uproar.data.checks import check
from uproar.dataset import Data
from uproar.plan.defaults import defaults, explainers_of
from uproar.plan.spec import Spec
from uproar.results.result import Result
from uproar.types import KINDS, GivenKind, Recipe, Source, Task, UproarError

if TYPE_CHECKING:
    from torch import nn

    Model = str | nn.Module | Callable[..., Any] | Any

OF_THE_CALL = {
    *("data", "source", "model", "explainers", "callables"),
    *("known_answers", "data_digest", "model_digest"),
}


def evaluate(
    model: Model,
    train: Any,
    test: Any = None,
    *,
    validation: Any = None,
    target: str | None = None,
    text: str | None = None,
    drop: Sequence[str] | None = None,
    kind: GivenKind | None = None,
    task: Literal["auto", Task] | None = None,
    patch: int | None = None,
    folds: int | None = None,
    source: Source | None = None,
    features: Literal["step", "channel-step"] = "step",
    explainers: Sequence[str] | Mapping[str, Any] | None = None,
    protocols: Sequence[str] | None = None,
    removals: Sequence[str] | None = None,
    fractions: Sequence[float] | None = None,
    repeats: int | None = None,
    base_models: int | None = None,
    recipe: Recipe | None = None,
    retrain_once_epochs: int | None = None,
    seed: int | None = None,
    device: str | None = None,
    spec: Mapping[str, Any] | None = None,
    class_names: Sequence[str] = (),
    feature_names: Sequence[str] = (),
    value_range: tuple[float, float] | None = None,
    name: str = "",
    out: str | Path | None = None,
    log: Log = print,
    quiet: bool = False,
) -> Result:
    """Find out which explainers of a model beat a random ranking, and return the result.

    What is None is as in :class:`uproar.Source` and :class:`uproar.Spec`.

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
        train when not given. A path, where train is one.
    :param validation: where the base model is checked; taken from train by default, in proportion.
    :param target: column of the labels. :param text: column of the text, which makes it text.
    :param drop: columns that are no features.
    :param kind: of the data, where the shape does not say it.
    :param task: whether labels are classes or values, where they do not say it.
    :param patch: of images, the side of the squares of pixels that are one feature.
    :param folds: test every example once, in as many folds with a base model each; in place of
        ``test`` and ``base_models``.
    :param source: what else there is to say of the data, as by the flags of the command line:
        ``size``, ``length``, ``encoding``, ``examples``.
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
    :param spec: what else there is to say of the run, by key: ``mask_only_repeats``,
        ``bootstrap_draws``, ``training`` and all others of :class:`uproar.Spec`.
    :param class_names: one per class; numbers by default. :param feature_names: of table columns.
    :param value_range: smallest and largest value of images; that of train by default.
    :param name: what tables call the data. :param out: folder of the run, ``runs/NAME`` by default.
    :param log: told in one line of every choice made, and of what weakens the verdicts.
    :param quiet: show no progress.
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
    ...         protocols=['retrain-once'], out=out, log=lambda line: None, quiet=True)
    ...     verdicts = result.leaderboard().set_index("explainer")["verdict"]
    >>> verdicts["largest-weight"]
    'better'
    """
    from uproar.data.python.arrays import from_parts

    columns = {"target": target, "text": text, "drop": None if drop is None else tuple(drop)}
    of_data = {**columns, "kind": kind, "task": task, "patch": patch, "folds": folds}
    origin = replace(source or Source(), **_said(of_data), **_paths(train, test, validation))
    of_run = {
        "protocols": protocols,
        "removals": removals,
        "fractions": fractions,
        "repeats": repeats,
        "base_models": base_models,
        "recipe": recipe,
        "retrain_once_epochs": retrain_once_epochs,
        "seed": seed,
        "device": device,
    }
    values = {**_rest(spec), **_said(of_run), "source": origin}
    checked = Spec(**values)  # what is wrong is said before data are looked at
    of_folds: list[Data] = []
    if isinstance(train, Data):
        of_folds = [train]
    elif not isinstance(train, str | Path):
        of_folds = [
            from_parts(
                *(train, test, validation),
                name=name or "mine",
                seed=checked.seed,
                source=replace(origin, fold=fold),
                class_names=class_names,
                feature_names=feature_names,
                value_range=value_range,
                features=features,
                standardise_labels=not _predicts_own_units(model),
            )
            for fold in range(origin.folds)
        ]
    data = next(map(check, of_folds), None)
    called = str(train) if data is None else f"python:{name or data.name}"
    given = None if explainers is None else _explainers(explainers)
    by_kind = {} if data is None else {"removals": (KINDS[data.kind].removal,)}
    objects = _objects(model, train, data, given, origin)
    asked = Spec.from_mapping({**by_kind, **values, **objects, "data": called})
    folder = Path(out or Path("runs") / (name or asked.folder_name))
    callables = {key: value for key, value in (given or {}).items() if value is not None}
    thing = None if isinstance(model, str) else model
    result = Benchmark(asked, folder, of_folds or None, thing, callables, log, quiet).run()
    for caution in result.cautions:  # also of a run that is only read again
        log(caution)
    return result


def _said(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was said; the rest is as it is by default."""
    return {key: value for key, value in values.items() if value is not None}


def _paths(train: Any, test: Any, validation: Any) -> dict[str, Any]:
    """Return the parts that are files, beside data by name or path."""
    if not isinstance(train, str | Path):
        return {}
    parts = _said({"test": test, "validation": validation})
    if not all(isinstance(part, str | Path) for part in parts.values()):
        raise UproarError(
            "data by name or path bring their own test examples, or have them split off; give "
            "train and test as arrays or tables to choose them"
        )
    return {key: str(part) for key, part in parts.items()}


def _rest(spec: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return further keys of the spec, none of which the call decides on."""
    for key in spec or {}:
        if key in OF_THE_CALL:
            raise UproarError(f"spec: {key!r} follows from what evaluate is given beside the spec")
    return dict(spec or {})


def _objects(
    model: Model, train: Any, data: Data | None, given: Mapping[str, Any] | None, source: Source
) -> dict[str, Any]:
    """Return what a spec says of a model, explainers and data that were handed over."""
    listed = _default_explainers(train, data, source, model) if given is None else tuple(given)
    return _said(
        {
            "model": model if isinstance(model, str) else f"python:{_called(model)}",
            "explainers": listed,
            "callables": tuple(key for key, value in (given or {}).items() if value is not None),
            "known_answers": None if data is None else tuple(data.known_importance),
        }
    )


def _default_explainers(
    train: Any, data: Data | None, source: Source, model: Model
) -> tuple[str, ...] | None:
    """Return the explainers of objects; of what has a name the spec knows them."""
    from uproar.models.choice import estimator_name, is_trained

    if data is None and isinstance(model, str):
        return None
    if data is None:
        kind, known = kind_of(str(train), source), defaults(str(train), source).known_answers
    else:
        kind, known = data.kind, tuple(data.known_importance)
    if isinstance(model, str):
        name, gradients = model, True
    else:
        name = estimator_name(model)
        gradients = not name and (hasattr(model, "parameters") or not is_trained(model))
    return (*explainers_of(kind, name or KINDS[kind].model, gradients=gradients), *known)


def _called(model: Model) -> str:
    return str(getattr(model, "__qualname__", type(model).__name__))


def _explainers(explainers: Sequence[str] | Mapping[str, Any]) -> dict[str, Any]:
    from uproar.explain.packages.given import explainer_of

    given = dict(explainers) if isinstance(explainers, Mapping) else dict.fromkeys(explainers)
    return {k: None if thing is None else explainer_of(thing, k) for k, thing in given.items()}


def _predicts_own_units(model: Model) -> bool:
    """Say whether the model was trained before, on labels in the units that they have."""
    from uproar.models.choice import is_trained

    return not isinstance(model, str) and is_trained(model)
