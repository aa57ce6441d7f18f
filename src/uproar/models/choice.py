"""From what a user calls a model to a learner: names, factories, estimators, trained models."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from uproar.dataset import Data
from uproar.models import ESTIMATORS, MODELS, PRETRAINED
from uproar.models.forms import adapted, form_of
from uproar.models.frozen import FineTunedLearner, FrozenLearner
from uproar.models.imported import imported, reason_of
from uproar.models.learner import Fitted, Learner
from uproar.models.model_digest import digest_of
from uproar.models.module_digest import module_digest
from uproar.models.randomness import seeded
from uproar.models.training.ways import (
    Factory,
    TorchLearner,
    Training,
    check_training,
    choose_training,
    initialise,
)
from uproar.registry import find
from uproar.types import Recipe, UproarError

SAMPLE = 64  # examples that a module is tried on


@dataclass(frozen=True)
class Chosen:
    """How a model is trained and asked.

    ``once`` trains the models of retrain-once, ``given`` is the base model where it was trained
    before, ``digest`` tells the model from others, and ``notes`` say what was found out.
    """

    learner: Learner
    once: Learner
    digest: str
    notes: tuple[str, ...]
    given: Fitted | None = None


def choose(
    name: str,
    data: Data,
    *,
    given: Any = None,
    parameters: Mapping[str, Any] | None = None,
    training: str = "auto",
    recipe: Recipe,
    device: torch.device,
) -> Chosen:
    """Return the learner of a model.

    :param name: a registered name, ``sklearn:NAME`` and the like, or ``package.module:object``,
        which is imported: this is where a spec runs code of the user's.
    :param given: the model itself, in place of the name: a factory, an estimator, a trained model.
    :param parameters: handed to whatever makes the model.
    :param training: how groups are trained, ``auto`` for the fastest way.
    :raises UproarError: when there is no such model, or it does not fit the data.
    """
    model = _found(name, data, parameters or {}) if given is None else given
    if not (_is_estimator(model) or is_trained(model)):
        factory = _factory(model, data)
        made = _made(factory)
        if not _is_estimator(made):
            return _of_factory(factory, data, training, recipe, device)
        model = made
    if _is_estimator(model):
        chosen = _of_estimator(model, data)
    else:
        chosen = _of_trained(model, data, recipe, device)
    if training not in {"auto", chosen.learner.training}:
        raise UproarError(
            f"training {training!r} is for modules that are trained from scratch; use 'auto'"
        )
    return chosen


def is_trained(model: Any) -> bool:
    """Say whether a model is asked as it is: a module, or a function of inputs.

    >>> is_trained(nn.Linear(2, 2)), is_trained(lambda: nn.Linear(2, 2)), is_trained(nn.Linear)
    (True, False, False)
    """
    if isinstance(model, nn.Module):
        return True
    if isinstance(model, type) or not callable(model) or _is_estimator(model):
        return False
    return bool(_required(model)) and not _takes_data(model)


def estimator_name(model: Any) -> str:
    """Return the name of a library's estimator that is given or made, nothing for other models.

    >>> from sklearn.svm import SVC
    >>> [estimator_name(model) for model in (SVC(), lambda: SVC(), lambda: nn.Linear(2, 2))]
    ['sklearn:SVC', 'sklearn:SVC', '']
    """
    if callable(model) and not (is_trained(model) or _is_estimator(model) or _takes_data(model)):
        model = _made(model)
    kind = type(model)
    return f"{kind.__module__.partition('.')[0]}:{kind.__name__}" if _is_estimator(model) else ""


def _is_estimator(model: Any) -> bool:
    """Say whether a model has scikit-learn's interface."""
    has = all(callable(getattr(model, method, None)) for method in ("fit", "predict"))
    return has and not isinstance(model, type | nn.Module)


def _required(function: Callable[..., Any]) -> list[str]:
    """Return the parameters that a function cannot do without."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some built-in functions have no signature
        return ["inputs"]
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind in positional]


def _takes_data(function: Callable[..., Any]) -> bool:
    return _required(function) == ["data"]


def _found(name: str, data: Data, parameters: Mapping[str, Any]) -> Any:
    """Return what a name stands for: an estimator, a factory, or a trained module."""
    place, colon, thing = name.partition(":")
    if not colon:
        _refuse_parameters(name, parameters)
        return partial(find(name, MODELS, "model").load(), data)
    if place in ESTIMATORS:
        from uproar.models.estimators.names import estimator_of

        return estimator_of(name, parameters)
    if place == PRETRAINED:
        from uproar.models.architectures.hugging_face import hugging_face

        _refuse_parameters(name, parameters)
        return hugging_face(thing, data)
    return imported(place, thing, parameters)


def _refuse_parameters(name: str, parameters: Mapping[str, Any]) -> None:
    if parameters:
        raise UproarError(f"model {name!r} takes no model_parameters, got {', '.join(parameters)}")


def _factory(model: Any, data: Data) -> Callable[[], Any]:
    if not callable(model):
        raise UproarError(
            "the model must be a function that returns a torch.nn.Module, an estimator with fit "
            f"and predict, or a trained model, got {type(model).__name__}"
        )
    return partial(model, data) if _takes_data(model) else model


def _made(factory: Callable[[], Any]) -> Any:
    """Call a factory once, to see what it makes."""
    try:
        with seeded(0, torch.device("cpu")):
            return factory()
    except UproarError:
        raise
    # Whatever code of somebody else raises, it is theirs to put right.
    except Exception as error:
        raise UproarError(f"making the model failed: {reason_of(error)}") from error


def _of_estimator(estimator: Any, data: Data) -> Chosen:
    from uproar.models.estimators.learner import EstimatorLearner, check_estimator_fits

    check_estimator_fits(estimator, data)
    learner = EstimatorLearner(estimator, len(data.class_names))
    notes = ("training: processes (one estimator for each arm)", learner.note)
    return Chosen(learner, learner, digest_of(estimator), tuple(note for note in notes if note))


def _of_trained(model: Any, data: Data, recipe: Recipe, device: torch.device) -> Chosen:
    note = "the model is trained already: ROAR, KAR and mask-only, which train anew, are skipped"
    if data.kind == "table" and data.test_texts is not None:
        # A table of columns was encoded by us, and not as whoever trained the model did it.
        note += "; it is asked about standardised and one-hot values, not about the table's own"
    if not isinstance(model, nn.Module):
        frozen = FrozenLearner(model, data.outputs)
        _try(frozen, data, device)
        return Chosen(frozen, frozen, digest_of(model), (note,), frozen.given())
    sample, labels = _sample(data, device)
    given = copy.deepcopy(model).to(device)
    module = adapted(given, form_of(given, sample, outputs=data.outputs, task=data.task))
    frozen = FrozenLearner(module, data.outputs)
    training, why = choose_training(lambda: module, sample, labels, recipe)
    if training == "dense":  # which would train from scratch
        training, why = "stacked", "parameters stacked and trained under vmap"
    once = FineTunedLearner(module, training)
    notes = (note, f"copies of it are fine-tuned for retrain-once: {once.training} ({why})")
    return Chosen(frozen, once, module_digest(model), notes, frozen.given())


def _try(frozen: FrozenLearner, data: Data, device: torch.device) -> None:
    """Ask a function about a few examples: it may be a factory that lacks a parameter."""
    sample = _sample(data, device)[0][:2]
    try:
        frozen.predictor(frozen.given())(sample)
    except UproarError:
        raise
    # Whatever code of somebody else raises, it does so because it was given these inputs.
    except Exception as error:
        raise UproarError(
            "the model is a function with a parameter, which is taken for a trained model, but it "
            f"fails for inputs of shape {tuple(sample.shape)}: {reason_of(error)}; a factory has "
            "no parameter without default, or 'data' alone"
        ) from error


def _of_factory(
    factory: Factory, data: Data, training: str, recipe: Recipe, device: torch.device
) -> Chosen:
    sample, labels = _sample(data, device)
    module = initialise(factory, 0).to(device)
    form = form_of(module, sample, outputs=data.outputs, task=data.task)
    notes: tuple[str, ...] = ()
    if form not in {"logits", "values"}:
        factory = partial(_adapted, factory, form)
        notes = (f"the model answers with {form}: taken as such",)
    chosen: Training
    if recipe.optimiser == "least-squares" or training == "auto":
        chosen, why = choose_training(factory, sample, labels, recipe)
        notes = (*notes, f"training: {chosen} ({why})")
    else:
        check_training(training, factory, sample, labels)
        chosen = training  # type: ignore[assignment]
    learner = TorchLearner(factory, chosen, device)
    return Chosen(learner, learner, module_digest(initialise(factory, 0)), notes)


def _sample(data: Data, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return a few examples of train, and their labels."""
    part = data.train.inputs[:SAMPLE], data.train.labels[:SAMPLE]
    return torch.from_numpy(part[0]).to(device), torch.from_numpy(part[1]).to(device)


def _adapted(factory: Factory, form: Any) -> nn.Module:
    return adapted(factory(), form)
