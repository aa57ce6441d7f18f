"""What users hand over as explainers of their own, made into explainers of this package."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from uproar.explain.chunks import in_chunks, rows_per_pass
from uproar.explain.family import ExplainerOfDecisions
from uproar.explain.importance import ExplainerOfFunction, Importance
from uproar.explain.packages.given_captum import of_captum, of_captum_made_by
from uproar.explain.packages.given_shap import of_shap
from uproar.models.trained import TrainedModel
from uproar.types import UproarError

Predict = Callable[[NDArray[Any]], NDArray[np.float32]]
OfArrays = Callable[[Predict, NDArray[Any], NDArray[Any], np.random.Generator], Any]
Recogniser = Callable[[Any, str], ExplainerOfDecisions | ExplainerOfFunction | None]


def explainer_of(thing: Any, name: str) -> ExplainerOfDecisions | ExplainerOfFunction:
    """Return the explainer that a user means by a thing.

    :param thing: a function ``(model, inputs, targets, generator) -> attribution``, or one of
        arrays (:func:`on_arrays`); an object with ``measure``, or an array with one number for
        each feature, which explain the function; an object of ``captum.attr``, its class, or a
        function that makes one of the parameter ``module``; or an explainer of ``shap``, its class,
        or a function that makes one (:func:`uproar.explain.packages.given_shap.of_shap`).
    :param name: what the user calls it, for errors.
    :raises UproarError: when it is nothing of these.

    >>> explainer_of(np.array([1.0, 3.0]), "mine")
    GivenImportance(name='mine', values=array([1., 3.]))
    >>> explainer_of("grad", "mine")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    uproar.types.UproarError: explainer 'mine' must be callable, ... got str
    """
    for recognise in RECOGNISERS:
        found = recognise(thing, name)
        if found is not None:
            return found
    raise UproarError(
        f"explainer {name!r} must be callable, an object with measure, an array of one number for "
        f"each feature, or an object of captum.attr or shap, got {type(thing).__name__}"
    )


def on_arrays(function: OfArrays) -> OnArrays:
    """Return an explainer out of a function of NumPy arrays.

    :param function: ``(predict, inputs, targets, generator) -> importance``: ``predict`` maps
        inputs (rows, *input_shape) to outputs (rows, outputs), ``inputs`` are (examples,
        *input_shape), ``targets`` (examples,) say which output is explained, and ``generator`` is
        a ``numpy.random.Generator``. It returns (examples, *feature_shape) or an attribution of
        the inputs' shape.
    :returns: an explainer, for ``uproar.evaluate(explainers={"mine": on_arrays(function)})``.

    >>> def fall_without(predict, inputs, targets, generator):
    ...     without = [inputs * (np.arange(inputs.shape[1]) != column) for column in (0, 1)]
    ...     return np.stack([(predict(inputs) - predict(one))[:, 0] for one in without], 1)
    >>> def product(inputs):
    ...     return inputs.prod(1, keepdim=True)
    >>> model = TrainedModel(product, *[torch.zeros(2)] * 3, 1)
    >>> explainer, targets = on_arrays(fall_without), torch.tensor([0])
    >>> explainer(model, torch.tensor([[3.0, 5.0]]), targets, torch.Generator())
    tensor([[15., 15.]])
    """
    return OnArrays(function)


@dataclass(frozen=True)
class OnArrays:
    """An explainer that is a function of NumPy arrays; made by :func:`on_arrays`."""

    function: OfArrays

    def __call__(
        self,
        model: TrainedModel,
        inputs: Float[Tensor, "examples *shape"],
        targets: Int[Tensor, "examples"],
        generator: torch.Generator,
    ) -> Any:
        """Return what the function does, as a tensor where it is an array."""

        @torch.no_grad()
        def predict(values: NDArray[Any]) -> NDArray[np.float32]:
            rows = torch.as_tensor(np.asarray(values), dtype=inputs.dtype, device=inputs.device)
            outputs = in_chunks(lambda part, _: model(part), rows, rows, rows=rows_per_pass(inputs))
            return outputs.float().cpu().numpy()

        drawn = torch.randint(2**62, (), generator=generator, device=generator.device)
        found = self.function(
            predict, inputs.cpu().numpy(), targets.cpu().numpy(), np.random.default_rng(int(drawn))
        )
        return as_attribution(found, model, inputs)


@dataclass(frozen=True)
class GivenFunction:
    """A user's function with the signature of explainers, whose importance may be by feature."""

    name: str
    function: ExplainerOfDecisions

    def __call__(
        self,
        model: TrainedModel,
        inputs: Float[Tensor, "examples *shape"],
        targets: Int[Tensor, "examples"],
        generator: torch.Generator,
    ) -> Any:
        """Return what the function does, in the shape of the inputs.

        :raises ValueError: when it returns neither an attribution nor an importance.
        """
        found = as_attribution(self.function(model, inputs, targets, generator), model, inputs)
        if isinstance(found, Tensor) and found.shape != inputs.shape:
            raise ValueError(
                f"explainer {self.name!r} must return an attribution of the shape of the inputs, "
                f"{tuple(inputs.shape)}, or importance of the shape of the features, "
                f"{(len(inputs), *model.shape_of_features(inputs))}, got {tuple(found.shape)}"
            )
        return found


@dataclass(frozen=True)
class GivenImportance:
    """The importance of every feature to the whole function, as a user knows it.

    ``values`` are of the features' shape.
    """

    name: str
    values: NDArray[np.float64]

    def measure(
        self,
        model: TrainedModel,
        generator: torch.Generator,
    ) -> Importance:
        """Return the values, whose errors are unknown.

        :raises UproarError: when they are not as many as there are features.
        """
        seen = model.background if model.held_out is None else model.held_out[0]
        if seen is not None and self.values.shape != model.shape_of_features(seen):
            raise UproarError(
                f"explainer {self.name!r} must have one number for each feature, an array of shape "
                f"{model.shape_of_features(seen)}, got {self.values.shape}"
            )
        return Importance.of(self.values.flatten())


def as_attribution(found: Any, model: TrainedModel, inputs: Float[Tensor, "examples ..."]) -> Any:
    """Return importance (examples, *feature_shape) as an attribution of the inputs' shape.

    Everything else as it is, arrays as tensors: whoever asked checks it.

    >>> model = TrainedModel(torch.nn.Flatten(), *[torch.zeros(2, 3)] * 3, feature_axes=1)
    >>> as_attribution(np.array([[2.0, 4.0, 6.0]]), model, torch.zeros(1, 2, 3)).tolist()
    [[[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]]
    """
    if isinstance(found, np.ndarray):
        found = torch.from_numpy(np.array(found)).to(inputs.device)
    wanted = (len(inputs), *model.shape_of_features(inputs))
    if isinstance(found, Tensor) and found.shape != inputs.shape and tuple(found.shape) == wanted:
        return model.spread_over_values(found.detach().float().flatten(1), inputs)
    return found


def _of_function(thing: Any, name: str) -> ExplainerOfFunction | None:
    measures = isinstance(thing, ExplainerOfFunction) and not isinstance(thing, type)
    return thing if measures else None


def _of_module(thing: Any, name: str) -> ExplainerOfDecisions | None:
    """Recognise a function of the parameter ``module`` alone."""
    if isinstance(thing, type) or not callable(thing):
        return None
    try:
        parameters = list(inspect.signature(thing).parameters)
    except ValueError:  # of some that are built in
        return None
    return of_captum_made_by(thing, name) if parameters == ["module"] else None


def _importance(thing: Any, name: str) -> ExplainerOfFunction | None:
    if callable(thing) or not (hasattr(thing, "__array__") or isinstance(thing, list | tuple)):
        return None
    try:
        values = np.array(thing.tolist() if isinstance(thing, Tensor) else thing, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UproarError(
            f"explainer {name!r} must have one number for each feature ({error})"
        ) from error
    if not np.isfinite(values).all():
        raise UproarError(f"explainer {name!r} must have finite numbers, got NaN or infinity")
    return GivenImportance(name, values)


def _callable(thing: Any, name: str) -> ExplainerOfDecisions | None:
    if isinstance(thing, type):
        raise UproarError(
            f"explainer {name!r} is the class {thing.__name__}; hand over an object of it"
        )
    if isinstance(thing, OnArrays) or not callable(thing):
        return thing if isinstance(thing, OnArrays) else None
    return GivenFunction(name, thing)


# The first that knows a thing decides; what takes any callable comes last.
RECOGNISERS: tuple[Recogniser, ...] = (
    of_captum,
    of_shap,
    _of_function,
    _of_module,
    _importance,
    _callable,
)
