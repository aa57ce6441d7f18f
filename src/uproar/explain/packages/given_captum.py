"""Objects of ``captum.attr`` as explainers: made anew for the model at hand, and called for it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from uproar.explain.chunks import in_chunks, rows_per_pass
from uproar.explain.packages.calls import seeded_and_quiet
from uproar.explain.packages.captum_binding import (
    bound_to,
    captums,
    check_kind,
    module_of,
    taken_apart,
    users_own,
    with_inner,
)
from uproar.explain.packages.captum_support import attributed, private_copy
from uproar.explain.packages.grids import grid_of, upsampled
from uproar.models.trained import TrainedModel
from uproar.types import Skipped, UproarError

REFERENCES = 20  # training examples, for methods that need several baselines
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
            whole = in_chunks(explain, *rest, rows=rows_per_pass(inputs)) if len(rest[0]) else first
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

    >>> from captum.attr import Saliency
    >>> model = TrainedModel(nn.Linear(2, 1).requires_grad_(False), *[torch.zeros(2)] * 3, 1)
    >>> _ = model.module.weight.copy_(torch.tensor([[2.0, -3.0]]))
    >>> explainer, targets = of_captum(Saliency(nn.Linear(2, 1)), "mine"), torch.tensor([0])
    >>> explainer(model, torch.ones(1, 2), targets, torch.Generator())
    tensor([[2., 3.]])
    """
    if isinstance(thing, type):
        return _of_class(thing, name) if captums(thing) else None
    method, given = taken_apart(thing)
    if not captums(type(method)):
        return None
    check_kind(type(method), name)
    for key in ("inputs", "target"):
        if key in given:
            raise UproarError(
                f"explainer {name!r} sets {key!r}, which the benchmark does: the target is the "
                "class that the model predicts"
            )
    root = module_of(method)
    if root is None:
        raise UproarError(
            f"explainer {name!r} asks a function, and not the model that is benchmarked; hand "
            f"over a function of the module: lambda module: {type(method).__name__}(module)"
        )
    return CaptumExplainer(lambda outer, own: bound_to((method, given), root, outer, own))


def of_captum_made_by(make: Callable[[nn.Module], Any], name: str) -> CaptumExplainer:
    """Return the explainer of what a function makes of the user's module.

    :raises UproarError: when it is called, and makes something else.
    """

    def bind(outer: Any, own: nn.Module) -> tuple[Any, Mapping[str, Any]]:
        made = make(own)
        method, given = taken_apart(made)
        if not captums(type(method)):
            raise UproarError(
                f"explainer {name!r} must make an object of captum.attr of the module, got "
                f"{type(made).__name__}"
            )
        check_kind(type(method), name)
        return bound_to((method, given), own, outer, own)

    return CaptumExplainer(bind)


def _of_class(kind: type, name: str) -> CaptumExplainer:
    check_kind(kind, name)
    first, *others = list(inspect.signature(kind).parameters.values())
    needed = [other.name for other in others if other.default is other.empty]
    if needed or first.name not in {"forward_func", "model"}:
        wanted = ", ".join(needed or [first.name])
        raise UproarError(
            f"explainer {name!r}: {kind.__name__} needs {wanted}; hand over a function that makes "
            f"it of the module: lambda module: {kind.__name__}(…)"
        )
    perturbs = "PerturbationAttribution" in captums(kind)
    return CaptumExplainer(lambda outer, _: (kind(outer), {}), needs_module=not perturbs)


def _check_layers(method: Any, outer: Any, model: TrainedModel) -> None:
    for one in with_inner(method):
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
        for inner in with_inner(method):
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
