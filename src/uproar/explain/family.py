"""Explain with all members of a family at once: they share the passes through the model."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from uproar.explain import ENSEMBLES
from uproar.explain.aggregation import aggregate
from uproar.explain.chunks import CHUNK_BYTES, in_chunks, rows_per_pass
from uproar.explain.ensembles import Moments, mean, noisy_moments
from uproar.explain.importance import ExplainerOfFunction
from uproar.explain.names import ExplainerName
from uproar.models.trained import TrainedModel
from uproar.registry import find

ExplainerOfDecisions = Callable[[TrainedModel, Tensor, Tensor, torch.Generator], Tensor]
GeneratorFor = Callable[[str], torch.Generator]


@dataclass(frozen=True)
class Explanation:
    """What one explainer says of all examples, and what it would have cost alone."""

    name: ExplainerName
    importance: Float32[np.ndarray, "examples *features"]
    seconds: float
    passes: float = 0.0  # times that an example went through the model


def explain_family(
    explainer: ExplainerOfDecisions | ExplainerOfFunction,
    names: Sequence[ExplainerName],
    model: TrainedModel,
    inputs: Float[Tensor, "examples *shape"],
    targets: Int[Tensor, "examples"],
    generator_for: GeneratorFor,
    *,
    chunk_bytes: int = CHUNK_BYTES,
) -> Iterator[Explanation]:
    """Yield the importance of every named member of one family, the plain members first.

    Members without an ensemble share one pass over the inputs; SmoothGrad, SmoothGrad-Squared and
    VarGrad share one set of passes over noisy inputs, ``x + noise * spread * n`` with standard
    normal ``n``. Baselines get no noise.

    Examples are taken in blocks whose size follows from their shape alone. The noise of a block is
    drawn sample after sample, so it depends neither on the members asked for nor on
    ``chunk_bytes``, which changes results by rounding only. What an explainer draws itself is drawn
    call by call, unless its entry says that it is shared: then each call gets the same generator
    anew, and results do not depend on how many examples are explained at once.

    :param explainer: the base of the family.
    :param names: members, all of one family.
    :param inputs: (examples, *input_shape); never changed, explainers get copies.
    :param targets: (examples,), the class explained.
    :param generator_for: maps a label, which names the family and the use, to a fresh generator.
    :param chunk_bytes: bytes of inputs that go through the model at once.
    :returns: importance (examples, *feature_shape), and the seconds and passes through the model
        of the member, as if the others had not been asked for.
    :raises ValueError: when the names are none or of several families, when there are not as many
        targets as inputs, or when the explainer returns an attribution that has another shape than
        the inputs, NaN or infinity.
    :raises TypeError: when the explainer returns something else than a tensor or an array.

    >>> from uproar.explain.gradients.gradients import gradient
    >>> from uproar.explain.names import parse
    >>> module = torch.nn.Linear(2, 1, bias=False).requires_grad_(False)
    >>> _ = module.weight.copy_(torch.tensor([[2.0, -3.0]]))
    >>> model = TrainedModel(module, torch.zeros(2), torch.zeros(2), torch.ones(2), 1)
    >>> explained = explain_family(
    ...     gradient, [parse("grad"), parse("sgsq-grad")], model, torch.ones(1, 2),
    ...     torch.tensor([0]), lambda label: torch.Generator().manual_seed(0))
    >>> [(one.name.name, one.importance.tolist()) for one in explained]
    [('grad', [[2.0, -3.0]]), ('sgsq-grad', [[4.0, 9.0]])]
    """
    family = _family_of(names)
    if len(targets) != len(inputs):
        raise ValueError(f"expected {len(inputs)} targets, one per input, got {len(targets)}")
    rows = rows_per_pass(inputs, chunk_bytes=chunk_bytes)
    plain = [name for name in names if not name.ensemble]
    noisy = [name for name in names if name.ensemble]

    def explained() -> Iterator[Explanation]:
        caller = partial(_caller, explainer, family, model, names[0].entry().draws == "shared")
        if plain:
            attribute = partial(in_chunks, caller(generator_for(f"{family} plain")), rows=rows)
            yield from _explained(
                plain, lambda *block: Moments.of(attribute(*block)), model, inputs, targets
            )
        if noisy:
            parameters = dict(noisy[0].ensemble_parameters)
            passes = partial(
                noisy_moments,
                caller(generator_for(f"{family} noisy")),
                samples=int(parameters["samples"]),
                deviation=float(parameters["noise"]) * model.spread,
                rows=rows,
                generator=generator_for(f"{family} noise"),
            )
            yield from _explained(noisy, passes, model, inputs, targets)

    return explained()


def _family_of(names: Sequence[ExplainerName]) -> str:
    families = sorted({name.family for name in names})
    if len(families) != 1:
        raise ValueError(f"expected names of one family, got {len(families)}: {families}")
    return families[0]


def _explained(
    names: Sequence[ExplainerName],
    passes: Callable[[Tensor, Tensor], Moments],
    model: TrainedModel,
    inputs: Tensor,
    targets: Tensor,
) -> Iterator[Explanation]:
    """Run the shared passes block by block, and reduce and aggregate them for every name."""
    feature_shape = model.shape_of_features(inputs)
    groups = None if model.groups is None else model.groups.cpu().numpy()
    importance = [np.empty((len(inputs), *feature_shape), np.float32) for _ in names]
    seconds, examples = np.zeros(len(names)), 0
    size = rows_per_pass(inputs)
    for block in (slice(start, start + size) for start in range(0, len(inputs), size)):
        begun, before = _now(inputs), model.passes.examples
        with model.counting() as counted:
            moments = passes(inputs[block], targets[block])
        seconds += _now(inputs) - begun
        examples += counted.examples - before
        for position, name in enumerate(names):
            begun = _now(inputs)
            reduced = _reduction(name)(moments).cpu().numpy()
            importance[position][block] = aggregate(
                reduced,
                name.aggregation,
                feature_axes=model.feature_axes,
                groups=groups,
                feature_shape=feature_shape,
            )
            seconds[position] += _now(inputs) - begun
    for name, values, spent in zip(names, importance, seconds, strict=True):
        yield Explanation(name, values, float(spent), examples / max(1, len(inputs)))


def _reduction(name: ExplainerName) -> Callable[[Moments], Tensor]:
    """Return how the samples become one attribution; of a single sample, the mean is the sample."""
    if not name.ensemble:
        return mean
    reduction: Callable[[Moments], Tensor] = find(name.ensemble, ENSEMBLES, "ensemble").load()
    return reduction


def _caller(
    explainer: ExplainerOfDecisions | ExplainerOfFunction,
    family: str,
    model: TrainedModel,
    shared_draws: bool,
    generator: torch.Generator,
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the explainer as a function of copies of the inputs, whose outcome is checked."""
    seed = generator.initial_seed()

    def own() -> torch.Generator:
        return torch.Generator().manual_seed(seed) if shared_draws else generator

    # Asked once, since it takes its time to find out.
    if isinstance(explainer, ExplainerOfFunction):
        measure = explainer.measure
        return lambda inputs, _: measure(model, own()).like(model, inputs)
    call: ExplainerOfDecisions = explainer

    def attribute(inputs: Tensor, targets: Tensor) -> Tensor:
        attribution = call(model, inputs.clone(), targets.clone(), own())
        return _checked(attribution, family, inputs)

    return attribute


def _checked(attribution: object, family: str, inputs: Tensor) -> Tensor:
    shape = inputs.shape
    if isinstance(attribution, np.ndarray):
        attribution = torch.from_numpy(np.array(attribution)).to(inputs.device)
    if not isinstance(attribution, Tensor):
        raise TypeError(
            f"explainer {family!r} must return a torch.Tensor or an array of the shape of the "
            f"inputs, {tuple(shape)}, got {type(attribution).__name__}"
        )
    if attribution.shape != shape:
        raise ValueError(
            f"explainer {family!r} must return an attribution of the shape of the inputs, "
            f"{tuple(shape)}, got {tuple(attribution.shape)}"
        )
    values = attribution.detach().to(torch.float32)
    if values.numel() and not all(map(math.isfinite, torch.stack(values.aminmax()).tolist())):
        finite = torch.isfinite(values)
        raise ValueError(
            f"explainer {family!r} must return finite numbers, got NaN or infinity in "
            f"{int((~finite).sum())} of {finite.numel()} values (shape {tuple(shape)})"
        )
    return values


def _now(inputs: Tensor) -> float:
    """Read the clock once the work is done: an accelerator runs behind the program."""
    if inputs.is_cuda:
        torch.cuda.synchronize(inputs.device)
    return time.perf_counter()
