"""The contract of explainers as a check, for our own and for those that live elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from uproar.explain.family import ExplainerOfDecisions
from uproar.explain.importance import ExplainerOfFunction
from uproar.models.randomness import numpy_seeded, seeded
from uproar.models.trained import TrainedModel
from uproar.testing.requirement import require
from uproar.testing.toys import toy_model


def check_explainer(
    explainer: ExplainerOfDecisions | ExplainerOfFunction,
    layout: str,
    *,
    draws: Literal["", "shared", "each"] = "",
) -> None:
    """Check that an explainer keeps its contract on a layout of inputs.

    The attribution is a finite tensor or array of the inputs' shape, also for a single example.
    Inputs, targets, the model and the global generators are left as they were. The same generator
    gives the same values, whatever the global ones are at; and an example is explained alone as it
    is among others.

    :param explainer: ``(model, inputs, targets, generator) -> attribution``, or of the function.
    :param layout: a key of :data:`LAYOUTS`.
    :param draws: where the explainer draws from its generator, whether all examples share what is
        drawn (``shared``) or each has its own (``each``); else no generator may make a difference.
    :raises AssertionError: with what was broken.
    :raises Skipped: when the explainer does not apply to a small ReLU network.

    >>> check_explainer(lambda model, inputs, targets, generator: inputs * 2, "grey")
    >>> check_explainer(lambda model, inputs, targets, generator: inputs.sum(1), "grey")
    Traceback (most recent call last):
    AssertionError: the attribution must have the shape of the inputs, (4, 1, 6, 5), got (4, 6, 5)
    """
    model, inputs, targets = toy_model(layout)
    first = _checked(explainer, model, inputs, targets, seed=0)
    alone = _checked(explainer, model, inputs[:1], targets[:1], seed=0)
    if draws != "each":
        require(
            torch.allclose(alone, first[:1], rtol=1e-3, atol=1e-4 * float(first.abs().max())),
            "an example must be explained alone as it is among others; say draws='each' where "
            "every example has random numbers of its own",
        )
    if not draws:
        other = _checked(explainer, model, inputs, targets, seed=1)
        require(
            torch.equal(first, other),
            "another generator gives another attribution; say draws='shared' or draws='each'",
        )


def _checked(
    explainer: ExplainerOfDecisions | ExplainerOfFunction,
    model: TrainedModel,
    inputs: Tensor,
    targets: Tensor,
    *,
    seed: int,
) -> Tensor:
    """Return an attribution that was made twice, amid global generators in different states."""
    kept = inputs.clone(), targets.clone(), _state(model)
    runs = []
    for state in (0, 1):
        with _global_generators(state):
            runs.append(_attribution(explainer, model, inputs, targets, seed=seed))
    first, again = runs
    require(
        first.shape == inputs.shape,
        f"the attribution must have the shape of the inputs, {tuple(inputs.shape)}, "
        f"got {tuple(first.shape)}",
    )
    require(bool(torch.isfinite(first).all()), "the attribution has NaN or infinity")
    require(torch.equal(inputs, kept[0]), "the explainer has changed its inputs")
    require(torch.equal(targets, kept[1]), "the explainer has changed its targets")
    require(
        _state(model) == kept[2],
        "the explainer has changed the model: its weights, its mode, or hooks that it left behind",
    )
    require(
        torch.equal(first, again),
        "the same generator must give the same attribution, whatever the global generators of "
        "torch, numpy and random are at",
    )
    return first


def _attribution(
    explainer: ExplainerOfDecisions | ExplainerOfFunction,
    model: TrainedModel,
    inputs: Tensor,
    targets: Tensor,
    *,
    seed: int,
) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    if isinstance(explainer, ExplainerOfFunction):
        return explainer.measure(model, generator).like(model, inputs)
    found = explainer(model, inputs, targets, generator)
    if isinstance(found, np.ndarray):
        found = torch.from_numpy(np.array(found))
    name = type(found).__name__
    require(isinstance(found, Tensor), f"expected a torch.Tensor or an array, got {name}")
    return found.detach()


@contextmanager
def _global_generators(seed: int) -> Iterator[None]:
    """Seed the global generators, require that nobody draws from them, and put them back."""
    with seeded(seed, torch.device("cpu")), numpy_seeded(seed):
        before = _states()
        yield
        require(
            _states() == before,
            "the explainer has drawn from, or seeded, a global generator of torch or numpy; "
            "draw from the one that it is given",
        )


def _states() -> tuple[bytes, str]:
    numpy = np.random.get_state()  # noqa: NPY002 - only looked at
    return torch.get_rng_state().numpy().tobytes(), repr([np.asarray(p).tolist() for p in numpy])


def _state(model: TrainedModel) -> list[object]:
    """Return all that an explainer could leave changed in a module."""
    assert isinstance(model.module, nn.Module)
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    parts = list(model.module.modules())
    return [
        *(value.numpy().tobytes() for value in model.module.state_dict().values()),
        *((type(part), part.training) for part in parts),
        *(len(getattr(part, hook)) for part in parts for hook in hooks),
        *(parameter.requires_grad for parameter in model.module.parameters()),
    ]
