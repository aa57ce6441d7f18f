"""Explainers of one's own model on one's own data, in one call."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uproar.benchmark import Benchmark, Log
from uproar.data.checks import check
from uproar.explain import DEFAULT_EXPLAINERS
from uproar.result import Result
from uproar.spec import DEFAULT_FRACTIONS, Spec
from uproar.types import Data, Kind, Recipe, Split, UproarError

if TYPE_CHECKING:
    from torch import nn

Part = tuple[ArrayLike, ArrayLike]

VALIDATION_SHARE = 0.125  # of train, where no validation examples are given


def evaluate(
    model: Callable[[], nn.Module],
    train: Part,
    test: Part,
    *,
    validation: Part | None = None,
    explainers: Sequence[str] | Mapping[str, Any] = DEFAULT_EXPLAINERS,
    protocols: Sequence[str] = ("roar", "kar", "mask-only", "retrain-once", "no-retrain"),
    removals: Sequence[str] = ("mean",),
    fractions: Sequence[float] = DEFAULT_FRACTIONS,
    repeats: int = 5,
    base_models: int = 1,
    recipe: Recipe | None = None,
    seed: int = 0,
    device: str = "auto",
    class_names: Sequence[str] = (),
    feature_names: Sequence[str] = (),
    value_range: tuple[float, float] | None = None,
    name: str = "mine",
    out: str | Path | None = None,
    log: Log = print,
    quiet: bool = False,
) -> Result:
    """Find out which explainers of a model beat a random ranking, and return the result.

    :param model: makes a new, untrained module that maps inputs to logits (examples, classes); it
        is called again for every retraining.
    :param train: inputs and integer labels. Inputs (examples, columns) are tables; (examples,
        channels, height, width) are images, whose pixels lose all channels at once.
    :param test: as ``train``; explained, degraded and scored, never learned from.
    :param validation: where the base model is checked; taken from train by default, in proportion.
    :param explainers: names (see ``uproar list explainers``), or a mapping from names to callables
        ``(model, inputs, targets, generator) -> attribution`` of the inputs' shape; None stands
        for the registered explainer of that name. The random control is always added.
    :param protocols: which protocols; :param removals: which removals.
    :param fractions: shares of the features to remove or keep, in [0, 1].
    :param repeats: retrainings of every arm. :param base_models: models that are explained.
    :param recipe: how models are trained.
    :param seed: changes every draw. :param device: ``auto``, ``cpu`` or ``cuda``.
    :param class_names: one per class; numbers by default. :param feature_names: of table columns.
    :param value_range: smallest and largest value of images; that of train by default.
    :param name: what tables call the data. :param out: folder of the run, ``runs/NAME`` by default.
    :param log: told in one line of every choice made. :param quiet: show no progress.
    :returns: tables, leaderboard, figures and report; running again continues or rereads.
    :raises UproarError: in one line, before anything is trained, when something does not fit.

    Hooker et al. 2019, arXiv 1806.10758.

    >>> import tempfile, torch
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
    data = check(
        _data(
            train,
            test,
            validation,
            name=name,
            seed=seed,
            class_names=class_names,
            feature_names=feature_names,
            value_range=value_range,
        )
    )
    given = explainers if isinstance(explainers, Mapping) else dict.fromkeys(explainers)
    callables = {key: value for key, value in given.items() if value is not None}
    for key, value in callables.items():
        if not callable(value):
            raise UproarError(f"explainer {key!r} must be callable, got {type(value).__name__}")
    spec = Spec.from_mapping(
        {
            "data": f"python:{name}",
            "data_digest": data.digest(),
            "model": f"python:{getattr(model, '__qualname__', type(model).__name__)}",
            "model_digest": _model_digest(model),
            "explainers": tuple(given),
            "callables": tuple(callables),
            "protocols": tuple(protocols),
            "removals": tuple(removals),
            "fractions": tuple(fractions),
            "repeats": repeats,
            "base_models": base_models,
            "seed": seed,
            "device": device,
            "recipe": recipe or Recipe(),
        }
    )
    folder = Path("runs") / name if out is None else Path(out)
    return Benchmark(spec, folder, data, model, callables, log, quiet).run()


def _data(
    train: Part,
    test: Part,
    validation: Part | None,
    *,
    name: str,
    seed: int,
    class_names: Sequence[str],
    feature_names: Sequence[str],
    value_range: tuple[float, float] | None,
) -> Data:
    inputs, labels = _arrays(train, "train")
    splits = {"test": _arrays(test, "test")}
    if validation is None and len(inputs) == len(labels):
        from uproar.data.split import split

        rest, held, _ = split(labels, name=name, seed=seed, shares=(VALIDATION_SHARE, 0.0))
        splits |= {
            "train": (inputs[rest], labels[rest]),
            "validation": (inputs[held], labels[held]),
        }
    else:
        held_out = (inputs, labels) if validation is None else _arrays(validation, "validation")
        splits |= {"train": (inputs, labels), "validation": held_out}
    kind: Kind = "image" if inputs.ndim == 4 else "table"
    if kind == "image" and value_range is None and np.isfinite(inputs).all():
        value_range = float(inputs.min()), float(inputs.max())
    classes = int(max(labels.max(initial=0), splits["test"][1].max(initial=0))) + 1
    return Data(
        name=name,
        kind=kind,
        feature_shape=inputs.shape[-2:] if kind == "image" else inputs.shape[1:],
        class_names=tuple(class_names) or tuple(str(label) for label in range(classes)),
        feature_names=tuple(feature_names)
        or (tuple(f"x{column}" for column in range(inputs.shape[1])) if kind == "table" else ()),
        value_range=value_range,
        train=Split(*splits["train"]),
        validation=Split(*splits["validation"]),
        test=Split(*splits["test"]),
    )


def _arrays(part: Part, what: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    try:
        inputs, labels = np.asarray(part[0], dtype=np.float32), np.asarray(part[1])
    except (TypeError, ValueError) as error:
        raise UproarError(f"{what}: inputs must be an array of numbers: {error}") from error
    if inputs.ndim not in {2, 4}:
        raise UproarError(
            f"{what}: inputs must be (examples, columns) or (examples, channels, height, width), "
            f"got shape {inputs.shape}"
        )
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise UproarError(
            f"{what}: labels must be a one-dimensional array of integers, got "
            f"{labels.dtype} of shape {labels.shape}"
        )
    return inputs, labels.astype(np.int64)


def _model_digest(factory: Callable[[], nn.Module]) -> str:
    """Hash the architecture and its initial weights, to tell one factory from another."""
    from uproar.models.training import initialise

    module = initialise(factory, 0)
    digest = hashlib.sha256(repr(module).encode())
    for name, value in module.state_dict().items():
        digest.update(name.encode() + value.cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
