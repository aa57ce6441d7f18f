"""Objects of ``captum.attr`` as explainers: made anew for the model at hand, and called for it."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import MethodType
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from uproar.explain.captum_support import attributed, private_copy
from uproar.explain.grids import grid_of, upsampled
from uproar.explain.packages import seeded_and_quiet
from uproar.explain.passes import in_passes, rows_per_pass
from uproar.models.trained import TrainedModel
from uproar.types import Skipped, UproarError

REFERENCES = 20  # training examples, for methods that need several baselines
# What this package puts around a user's module, and where the module is within.
WRAPPERS = {"Adapted": "inner", "OnEmbeddings": "module"}
# Captum's classes that cannot be asked about an output of a model for one example.
REFUSED = {
    "NeuronAttribution": "it explains a neuron, not an output of the model",
    "FeaturePermutation": "it shuffles the examples that happen to be explained at once; use 'pfi'",
    "DataLoaderAttribution": "it takes a data loader, not inputs",
    "BaseLLMAttribution": "it explains what a language model writes",
}
# Takes a copy of the model as explainers see it, and the user's module in it.
Bind = Callable[[Any, nn.Module], tuple[Any, Mapping[str, Any]]]


@dataclass(frozen=True)
class CaptumExplainer:
    """Asks an object of ``captum.attr`` about the explained output, in passes of bounded memory.

    Baselines are black, or training examples where there must be several; a method that takes a
    mask of features is given that of the data. A layer's map is upsampled to the features.
    A method that draws random numbers is given the same ones for every example, one by one.

    :param bind: makes the object for a model.
    :param needs_module: whether the model must be a torch module.
    """

    bind: Bind
    needs_module: bool = True

    def __call__(
        self,
        model: TrainedModel,
        inputs: Float[Tensor, "examples *shape"],
        targets: Int[Tensor, "examples"],
        generator: torch.Generator,
    ) -> Float[Tensor, "examples *shape"]:
        """Return the attribution of the shape of ``inputs``.

        :raises Skipped: when the model or the data do not allow what the method does.
        :raises ValueError: when it answers with a shape that is none of a layer of the model.
        """
        if isinstance(model.module, nn.Module) or self.needs_module:
            outer: Any = private_copy(model.network, weights=True)
        else:
            outer = model
        method, given = self.bind(outer, users_own(outer))
        _check_layers(method, outer, model)

        def explain(part: Tensor, wanted: Tensor) -> Tensor:
            options = _options(method, given, model, part)
            found = attributed(method, part, wanted, **{**options, **given})
            return _shaped(found, options.get("feature_mask"), model, part)

        with seeded_and_quiet(generator.initial_seed(), inputs.device):
            before = _drawn(inputs.device)
            first = explain(inputs[:1], targets[:1])
            random = _drawn(inputs.device) != before
        if not random:
            rest = inputs[1:], targets[1:]
            whole = in_passes(explain, *rest, rows=rows_per_pass(inputs)) if len(rest[0]) else first
            return torch.cat([first, whole]) if len(rest[0]) else first
        found = [first]
        for at in range(1, len(inputs)):
            with seeded_and_quiet(generator.initial_seed(), inputs.device):
                found.append(explain(inputs[at : at + 1], targets[at : at + 1]))
        return torch.cat(found)


def of_captum(thing: Any, name: str) -> CaptumExplainer | None:
    """Return the explainer of an object of ``captum.attr``, of its class, or of ``attribute``.

    ``functools.partial(method.attribute, n_steps=100)`` says how it is called. Other things: None.

    :raises UproarError: when no such thing can be asked about a model that is trained later.
    """
    if isinstance(thing, type):
        return _of_class(thing, name) if _captums(thing) else None
    method, given = _split(thing)
    if not _captums(type(method)):
        return None
    _check_kind(type(method), name)
    for key in ("inputs", "target"):
        if key in given:
            raise UproarError(
                f"explainer {name!r} sets {key!r}, which the benchmark does: the target is the "
                "class that the model predicts"
            )
    root = _root(method)
    if root is None:
        raise UproarError(
            f"explainer {name!r} asks a function, and not the model that is benchmarked; hand "
            f"over a function of the module: lambda module: {type(method).__name__}(module)"
        )
    return CaptumExplainer(lambda outer, own: _bound((method, given), root, outer, own))


def of_captum_made_by(make: Callable[[nn.Module], Any], name: str) -> CaptumExplainer:
    """Return the explainer of what a function makes of the user's module.

    :raises UproarError: when it is called, and makes something else.
    """

    def bind(outer: Any, own: nn.Module) -> tuple[Any, Mapping[str, Any]]:
        made = make(own)
        method, given = _split(made)
        if not _captums(type(method)):
            raise UproarError(
                f"explainer {name!r} must make an object of captum.attr of the module, got "
                f"{type(made).__name__}"
            )
        _check_kind(type(method), name)
        return _bound((method, given), own, outer, own)

    return CaptumExplainer(bind)


def users_own(module: Any) -> Any:
    """Return the module that a user made, without what this package puts around it."""
    while type(module).__module__.startswith("uproar.") and type(module).__name__ in WRAPPERS:
        module = getattr(module, WRAPPERS[type(module).__name__])
    return module


def _captums(kind: type) -> set[str]:
    """Return the names of Captum's classes that a class is or has as bases, if it attributes."""
    found = {base.__name__ for base in kind.__mro__ if base.__module__.startswith("captum.attr.")}
    return found if found & {"Attribution", *REFUSED} else set()


def _check_kind(kind: type, name: str) -> None:
    for refused in sorted(_captums(kind) & set(REFUSED)):
        raise UproarError(f"explainer {name!r} cannot be {kind.__name__}: {REFUSED[refused]}")


def _of_class(kind: type, name: str) -> CaptumExplainer:
    _check_kind(kind, name)
    first, *others = list(inspect.signature(kind).parameters.values())
    needed = [other.name for other in others if other.default is other.empty]
    if needed or first.name not in {"forward_func", "model"}:
        wanted = ", ".join(needed or [first.name])
        raise UproarError(
            f"explainer {name!r}: {kind.__name__} needs {wanted}; hand over a function that makes "
            f"it of the module: lambda module: {kind.__name__}(…)"
        )
    perturbs = "PerturbationAttribution" in _captums(kind)
    return CaptumExplainer(lambda outer, _: (kind(outer), {}), needs_module=not perturbs)


def _split(thing: Any) -> tuple[Any, Mapping[str, Any]]:
    """Return an object of Captum, and what its ``attribute`` is to be called with."""
    given: Mapping[str, Any] = {}
    if isinstance(thing, partial) and not thing.args:
        thing, given = thing.func, thing.keywords
    if isinstance(thing, MethodType) and thing.__name__ == "attribute":
        thing = thing.__self__
    return thing, given


def _root(method: Any) -> nn.Module | None:
    """Return the module that an object of Captum asks."""
    asked = getattr(method, "forward_func", None)
    if isinstance(asked, MethodType):
        asked = asked.__self__
    return asked if isinstance(asked, nn.Module) else None


def _bound(
    thing: tuple[Any, Mapping[str, Any]], root: nn.Module, outer: nn.Module, own: nn.Module
) -> tuple[Any, Mapping[str, Any]]:
    """Return a copy that asks ``outer`` where it asked ``root``, and has the layers of ``own``."""
    known = {id(part): part for part in outer.modules()}
    layers = dict(own.named_modules())
    known |= {id(part): layers[name] for name, part in root.named_modules() if name in layers}
    known[id(root)] = outer
    bound: tuple[Any, Mapping[str, Any]] = copy.deepcopy(thing, known)
    return bound


def _within(method: Any) -> Iterator[Any]:
    """Yield an object of Captum, and those that it makes use of."""
    yield method
    for value in vars(method).values():
        if _captums(type(value)):
            yield from _within(value)


def _check_layers(method: Any, outer: Any, model: TrainedModel) -> None:
    for one in _within(method):
        chosen = getattr(one, "layer", None)
        for layer in chosen if isinstance(chosen, list | tuple) else [chosen]:
            if layer is None:
                continue
            if all(layer is not part for part in outer.modules()):
                names = ", ".join(name for name, _ in users_own(outer).named_modules() if name)
                raise Skipped(
                    f"the model has no such layer as its {type(layer).__name__}; it has {names}"
                )
            if model.kind == "text" and isinstance(layer, nn.Embedding):
                raise Skipped(
                    "texts come embedded, so that the embedding has nothing to explain; hand over "
                    "a method of inputs, as IntegratedGradients"
                )


def _options(
    method: Any, given: Mapping[str, Any], model: TrainedModel, inputs: Tensor
) -> dict[str, Any]:
    """Return what ``attribute`` takes of what is known of the data."""
    parameters = dict(inspect.signature(method.attribute).parameters)
    if any(one.kind is one.VAR_KEYWORD for one in parameters.values()):  # which it hands on
        for inner in _within(method):
            parameters |= inspect.signature(inner.attribute).parameters
    options: dict[str, Any] = {}
    if "baselines" in parameters and "baselines" not in given:
        several = parameters["baselines"].default is inspect.Parameter.empty
        options["baselines"] = _references(model) if several else model.baseline(inputs)
    if "feature_mask" in parameters and "feature_mask" not in given:
        options["feature_mask"] = model.feature_of_value(inputs).view(1, *inputs.shape[1:])
    if "sliding_window_shapes" in parameters:
        features = inputs.ndim - model.feature_axes
        options["sliding_window_shapes"] = (*inputs.shape[1:features], *[1] * model.feature_axes)
    if "internal_batch_size" in parameters:
        options["internal_batch_size"] = max(2 * len(inputs), rows_per_pass(inputs))
    return options


def _references(model: TrainedModel) -> Tensor:
    if model.kind == "text":
        raise Skipped("several baselines at once cannot keep the ids of a text's own tokens")
    if model.background is None or not len(model.background):
        raise Skipped("it needs training examples to compare with, and there are none")
    return model.background[:REFERENCES]


def _shaped(
    found: Any, mask: Tensor | None, model: TrainedModel, inputs: Tensor
) -> Float[Tensor, "examples *shape"]:
    """Return what Captum says in the shape of the inputs."""
    if isinstance(found, tuple) and len(found) == 1:
        found = found[0].detach()
    if not isinstance(found, Tensor):
        raise TypeError(f"expected a tensor from captum, got {type(found).__name__}")
    if found.shape == inputs.shape:
        if mask is None:
            return found
        # Every value has been given what its whole feature is worth.
        feature = mask.flatten()
        return found / torch.bincount(feature)[feature].view(inputs.shape[1:])
    sides = grid_of(model, inputs)
    if model.kind == "text" and found.ndim == 3 and found.shape[1:2] == sides:
        return model.spread_over_values(found.sum(2), inputs)  # of tokens, whose channels come last
    if found.ndim != len(sides) + 2 or len(found) != len(inputs):
        raise ValueError(
            f"expected an attribution of the shape of the inputs, {tuple(inputs.shape)}, or of a "
            f"layer with a channel axis and places, got {tuple(found.shape)}"
        )
    return upsampled(found.sum(1), model, inputs)


def _drawn(device: torch.device) -> tuple[bytes, ...]:
    """Return the states of the generators that belong to the whole process."""
    kind, keys, position, *_ = np.random.get_state()  # noqa: NPY002 - only looked at
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    numpys = f"{kind} {position}".encode() + np.asarray(keys).tobytes()
    return (numpys, *(state.numpy().tobytes() for state in states))
