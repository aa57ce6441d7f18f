"""Explainers of the ``shap`` package that users hand over, bound to the model at hand."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from uproar.explain.coalitions import explained_outputs
from uproar.explain.packages.calls import (
    background_of,
    quietly_imported,
    seed_from,
    seeded_and_quiet,
)
from uproar.explain.packages.shap_support import (
    OneOutput,
    flat,
    hookable,
    known_to,
    linear_model_of,
    of_targets,
)
from uproar.explain.trees.readers import estimator_of
from uproar.models.trained import TrainedModel
from uproar.types import Skipped, UproarError

BACKGROUND = 100  # training examples, as many as the package likes at most

# What an explainer of the package takes for a model: a function of arrays (rows, values) to the
# explained output (rows,), a module with that output alone, an estimator, or what is linear.
SUBJECTS = ("predict", "module", "estimator", "linear")


@dataclass(frozen=True)
class GivenShap:
    """Asks an explainer of the ``shap`` package, made for the model at hand, one by one.

    ``subject`` is what it takes for a model, and ``make`` returns it, from that and a background of
    100 training examples: an array (rows, values), or for a module a tensor of inputs.
    """

    name: str
    subject: str
    make: Callable[[Any, Any], Any]

    def __call__(
        self,
        model: TrainedModel,
        inputs: Float[Tensor, "examples *shape"],
        targets: Int[Tensor, "examples"],
        generator: torch.Generator,
    ) -> Float[Tensor, "examples *shape"]:
        """Return the attribution of the shape of ``inputs``.

        :raises Skipped: of text, or of a model of another kind than the explainer is for.
        :raises UproarError: when no explainer of the package comes out.
        """
        if model.kind == "text":
            raise Skipped("explainers of the shap package take numbers here, and these are words")
        rows, seed = background_of(model, BACKGROUND), seed_from(generator)
        background = rows if self.subject == "module" else flat(rows)
        found = torch.zeros_like(inputs)
        for target in targets.unique().tolist():
            with seeded_and_quiet(seed, inputs.device):
                explainer = self._made(model, inputs, target, background)
            for example in (targets == target).nonzero()[:, 0].tolist():
                one = inputs[example : example + 1]
                with seeded_and_quiet(seed, inputs.device):
                    values = self._values(explainer, one)
                if self.subject in {"estimator", "linear"}:
                    found[example] = of_targets(model, values, one, targets[example, None])[0]
                else:
                    found[example] = torch.from_numpy(values).to(inputs).view(inputs.shape[1:])
        return found

    def _made(self, model: TrainedModel, inputs: Tensor, target: int, background: Any) -> Any:
        if self.subject == "module":
            subject: Any = OneOutput(hookable(model.network), target).woken()
        elif self.subject == "estimator":
            subject = estimator_of(model)
        elif self.subject == "linear":
            subject = linear_model_of(model)
        else:
            subject = _predict(model, inputs, target)
        shap = quietly_imported("shap", "shap")
        with known_to(shap, f"explainer {self.name!r}"):
            explainer = self.make(subject, background)
        if not isinstance(explainer, shap.Explainer):
            raise UproarError(
                f"explainer {self.name!r} must return an explainer of the shap package, got "
                f"{type(explainer).__name__}"
            )
        return explainer

    def _values(self, explainer: Any, one: Tensor) -> NDArray[Any]:
        row = one if self.subject == "module" else flat(one)
        known = inspect.signature(explainer.__call__).parameters
        if "nsamples" in known and "y" in known:  # SamplingExplainer, whose bar cannot be hidden
            samples = known["nsamples"].default
            return np.asarray(explainer.shap_values(row, nsamples=samples, silent=True))
        # Neither a bar of progress, nor a check that fails for rounding.
        options = {"silent": True, "check_additivity": False}
        found = explainer(row, **{key: value for key, value in options.items() if key in known})
        return np.asarray(found.values)


def _predict(
    model: TrainedModel, inputs: Tensor, target: int
) -> Callable[[Any], NDArray[np.float64]]:
    def predict(rows: Any) -> NDArray[np.float64]:
        points = torch.as_tensor(np.asarray(rows, np.float64)).to(inputs)
        wanted = torch.full((len(points),), target, device=inputs.device)
        with torch.no_grad():
            outputs = explained_outputs(model, points.view(-1, *inputs.shape[1:]), wanted)
        return outputs.double().cpu().numpy()

    return predict


def of_shap(thing: Any, name: str) -> GivenShap | None:
    """Return an explainer out of what a user has of the ``shap`` package, or None.

    A class, or a ``functools.partial`` of one, is given what it explains and 100 training examples
    (``TreeExplainer`` none, so that it follows the paths of training examples); an object is made
    anew for the model at hand, with the background or masker that it has. A function of parameters
    named ``predict``, ``module`` or ``estimator``, and ``background``, makes an explainer itself.

    >>> of_shap(lambda predict, background: None, "mine").subject
    'predict'
    >>> of_shap(sorted, "mine") is None
    True
    """
    shap = _shap()
    if shap is not None:
        kind = thing.func if isinstance(thing, partial) else thing
        if isinstance(kind, type) and issubclass(kind, shap.Explainer):
            return _of_class(shap, thing, kind, name)
        if isinstance(thing, shap.Explainer):
            return _of_object(shap, thing, name)
    if not inspect.isfunction(thing):
        return None
    first, *rest = [*inspect.signature(thing).parameters, ""]
    return (
        GivenShap(name, first, thing) if first in SUBJECTS and rest[:1] == ["background"] else None
    )


def _shap() -> ModuleType | None:
    """Return the package, if anybody has imported it: else nothing can be of it."""
    return sys.modules.get("shap")


def _subject_of(shap: ModuleType, kind: type) -> str:
    for subject, kinds in (
        ("estimator", (shap.TreeExplainer,)),
        ("linear", (shap.LinearExplainer,)),
        ("module", (shap.DeepExplainer, shap.GradientExplainer)),
    ):
        if issubclass(kind, kinds):
            return subject
    return "predict"


def _of_class(shap: ModuleType, make: Any, kind: type, name: str) -> GivenShap:
    if issubclass(kind, shap.TreeExplainer):
        return GivenShap(name, "estimator", lambda estimator, _: make(estimator))
    return GivenShap(name, _subject_of(shap, kind), make)


def _of_object(shap: ModuleType, thing: Any, name: str) -> GivenShap:
    """Return what makes such an object of another model, with what it compares with."""
    kind: Any = type(thing)
    options: dict[str, Any] = {}
    if isinstance(thing, shap.TreeExplainer):
        compared = thing.data
        options = {
            "feature_perturbation": thing.feature_perturbation,
            "model_output": thing.model_output,
        }
    elif isinstance(thing, shap.DeepExplainer):
        (compared,) = thing.explainer.data
    elif isinstance(thing, shap.GradientExplainer):
        (compared,) = thing.explainer.model_inputs
        options = {"local_smoothing": thing.explainer.local_smoothing}
    elif isinstance(thing, shap.KernelExplainer):  # and what samples, which takes no link
        compared = thing.data.data
        if type(thing) is shap.KernelExplainer:
            options = {"link": thing.link}
    else:
        compared, options = thing.masker, {"link": thing.link}
    return GivenShap(
        name, _subject_of(shap, kind), lambda subject, _: kind(subject, compared, **options)
    )
