"""DeepLIFT by Captum, from one baseline and from training examples."""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from uproar.explain.checks import check_parameters
from uproar.explain.chunks import in_chunks, rows_per_pass
from uproar.explain.packages.calls import background_of
from uproar.explain.packages.captum_support import as_baseline, once_each, private_copy
from uproar.models.trained import TrainedModel
from uproar.types import Skipped

# The modules of which Captum knows the rescale rule.
NON_LINEAR = (
    *(nn.ReLU, nn.ELU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.Softplus),
    *(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d),
)
# Of the attributions' sizes: by how much they may miss what they have to add up to.
TOLERANCE = 0.01


@dataclass(frozen=True)
class DeepLift:
    """How much each difference from a baseline contributes to that of the output.

    ``e = (x - x0) * m``, where the multiplier ``m`` is a gradient by the chain rule, in which every
    non-linearity ``y = h(z)`` has the slope ``(h(z) - h(z0)) / (z - z0)`` between the input and
    the baseline ``x0`` in place of ``h'(z)`` (the rescale rule). ``e`` adds up to
    ``f(x) - f(x0)``.

    :param baseline: "black" or "mean" (those of the model), or "zero".
    :raises ValueError: when the baseline is none of these.

    Shrikumar et al. 2017, arXiv 1704.02685.

    >>> module = nn.Sequential(nn.Linear(2, 1, bias=False), nn.ReLU()).requires_grad_(False)
    >>> _ = module[0].weight.copy_(torch.tensor([[1.0, -1.0]]))
    >>> model = TrainedModel(module, torch.tensor([0.0, 1.0]), *[torch.zeros(2)] * 2, 1)
    >>> explainer, targets = DeepLift(), torch.tensor([0])
    >>> explainer(model, torch.tensor([[3.0, 0.0]]), targets, torch.Generator())  # 3 = 4 - 1
    tensor([[2.2500, 0.7500]])
    """

    baseline: str = "black"

    def __post_init__(self) -> None:
        check_parameters(self)

    def __call__(
        self,
        model: TrainedModel,
        inputs: Float[Tensor, "examples *shape"],
        targets: Int[Tensor, "examples"],
        generator: torch.Generator,
    ) -> Float[Tensor, "examples *shape"]:
        """Return the attribution of the shape of ``inputs``, signed.

        :raises Skipped: when the model has no gradients, or parts that DeepLIFT has no rule for.
        """
        return _contributions(model, inputs, model.baseline(inputs, self.baseline), targets)


@dataclass(frozen=True)
class DeepLiftShap:
    """The mean of DeepLIFT over training examples as baselines.

    ``e = (1/R) sum_r e(x, b_r)`` with the first ``R`` of the model's background as ``b_r``, which
    are in random order, the same for all examples. ``e`` adds up to
    ``f(x) - (1/R) sum_r f(b_r)``. In text, baselines are the vectors of other texts' tokens.

    :param references: number of baselines, at least 1.
    :raises ValueError: when there are fewer.

    Lundberg and Lee 2017, arXiv 1705.07874.

    >>> module = nn.Linear(2, 1, bias=False).requires_grad_(False)
    >>> _ = module.weight.copy_(torch.tensor([[2.0, -3.0]]))
    >>> background = torch.tensor([[1.0, 0.0], [3.0, 4.0]])  # the mean is (2, 2)
    >>> model = TrainedModel(module, *[torch.zeros(2)] * 3, 1, background=background)
    >>> explainer, targets = DeepLiftShap(references=2), torch.tensor([0])
    >>> explainer(model, torch.tensor([[4.0, 5.0]]), targets, torch.Generator())
    tensor([[ 4., -9.]])
    """

    references: int = 20

    def __post_init__(self) -> None:
        check_parameters(self)

    def __call__(
        self,
        model: TrainedModel,
        inputs: Float[Tensor, "examples *shape"],
        targets: Int[Tensor, "examples"],
        generator: torch.Generator,
    ) -> Float[Tensor, "examples *shape"]:
        """Return the attribution of the shape of ``inputs``, signed.

        :raises Skipped: as DeepLIFT, and when there are no training examples to compare with.
        """
        references = background_of(model, self.references)
        total = torch.zeros_like(inputs)
        # Several references in one pass, where there are few examples.
        for some in references.split(max(1, _rows(inputs) // len(inputs))):
            baselines = torch.cat([as_baseline(model, one, inputs) for one in some])
            times = len(some), *[1] * (inputs.ndim - 1)
            found = _contributions(
                model, inputs.repeat(times), baselines, targets.repeat(len(some))
            )
            total += found.view(len(some), *inputs.shape).sum(0)
        return total / len(references)


def _contributions(
    model: TrainedModel,
    inputs: Float[Tensor, "examples *shape"],
    baselines: Float[Tensor, "examples *shape"],
    targets: Int[Tensor, "examples"],
) -> Float[Tensor, "examples *shape"]:
    """Return the attributions of DeepLIFT, in passes: inputs and baselines go side by side."""
    from captum.attr import DeepLift as CaptumDeepLift

    if any(isinstance(part, nn.Softmax) for part in model.network.modules()):
        raise Skipped(
            "Captum's rule of DeepLIFT for nn.Softmax mixes the examples of a pass; let the model "
            "end in logits"
        )

    def contributions(part: Tensor, wanted: Tensor) -> Tensor:
        own, outputs = private_copy(model.network), list[Tensor]()
        own.register_forward_hook(lambda _, __, output: outputs.append(output.detach()))
        _keep_apart([layer for layer in own.modules() if isinstance(layer, NON_LINEAR)])
        # Captum doubles the rows at the door of what it is given: one door further out.
        method = CaptumDeepLift(nn.Sequential(own))
        found = once_each("DeepLIFT", method, inputs[part], wanted, baselines=baselines[part])
        whole, without = outputs[0].gather(1, wanted.repeat(2)[:, None])[:, 0].chunk(2)
        _check_completeness(found.flatten(1), whole - without)
        return found

    return in_chunks(contributions, torch.arange(len(inputs)), targets, rows=_rows(inputs))


def _rows(inputs: Tensor) -> int:
    """Return how many pairs of an input and a baseline go through the model at once."""
    return max(1, rows_per_pass(inputs) // 2)


def _keep_apart(layers: list[nn.Module]) -> None:
    """Let no layer begin with the very tensor that another one has ended with.

    Captum takes the gradient behind a layer from the tensor that it ends with, before the layer
    that begins with it has changed that gradient: pooling right behind a ReLU would go unheeded.
    """
    ends: list[weakref.ref[Tensor]] = []  # which would take memory for longer than needed

    def end(_: nn.Module, __: object, output: Tensor) -> None:
        ends.append(weakref.ref(output))

    def begin(_: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        shared = any(given[0] is one() for one in ends)
        return (given[0].clone(),) if shared else None

    for layer in layers:
        layer.register_forward_pre_hook(begin)
        layer.register_forward_hook(end)


def _check_completeness(
    attributions: Float[Tensor, "examples values"], change: Float[Tensor, "examples"]
) -> None:
    """Refuse attributions that are not DeepLIFT's: those add up to the change of the output."""
    size = attributions.abs().sum(1) + change.abs()
    missed = (attributions.sum(1) - change).abs() > TOLERANCE * size
    if missed.any():
        raise Skipped(
            "DeepLIFT has no rule for some part of the model: attributions do not add up to the "
            f"change of the output for {int(missed.sum())} of {len(change)} examples. "
            "Non-linearities must be modules out of ReLU, ELU, LeakyReLU, Sigmoid, Tanh, Softplus "
            "and max pooling, not functions or other modules"
        )
