"""What Captum computes: DeepLIFT, layer-wise relevance propagation, sampled Shapley values.

And GradientSHAP, as Captum defines it, with draws that all examples share.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from uproar.explain.captum_support import attributed, private_copy
from uproar.explain.parameters import BASELINES
from uproar.explain.passes import in_passes, rows_per_pass, sum_along
from uproar.explain.relevance import with_rules
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
        if self.baseline not in BASELINES:
            raise ValueError(f"baseline must be one of {BASELINES}, got {self.baseline!r}")

    def __call__(
        self,
        model: TrainedModel,
        inputs: Float[Tensor, "examples *shape"],
        targets: Int[Tensor, "examples"],
        generator: torch.Generator,  # noqa: ARG002 - part of the contract of explainers
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
        if self.references < 1:
            raise ValueError(f"references must be at least 1, got {self.references!r}")

    def __call__(
        self,
        model: TrainedModel,
        inputs: Float[Tensor, "examples *shape"],
        targets: Int[Tensor, "examples"],
        generator: torch.Generator,  # noqa: ARG002 - part of the contract of explainers
    ) -> Float[Tensor, "examples *shape"]:
        """Return the attribution of the shape of ``inputs``, signed.

        :raises Skipped: as DeepLIFT, and when there are no training examples to compare with.
        """
        references = _background(model)[: self.references]
        total = torch.zeros_like(inputs)
        for reference in references:
            total += _contributions(model, inputs, _as_baseline(model, reference, inputs), targets)
        return total / len(references)


@dataclass(frozen=True)
class GradientShap:
    """Gradients at random places between training examples and noisy inputs, times the way.

    ``e = (1/R) sum_r (x + n_r - b_r) * df/dx(b_r + a_r (x + n_r - b_r))``, with training examples
    ``b_r``, ``a_r`` uniform on [0, 1) and normal noise ``n_r``; the draws are the same for all
    examples. Without noise these are expected gradients, and in expectation add up to
    ``f(x) - E f(b)``.

    :param references: number of draws ``R``, at least 1.
    :param smoothing: standard deviation of the noise as a share of the range of an input.
    :raises ValueError: when a parameter is out of its range.

    Lundberg and Lee 2017, arXiv 1705.07874.

    >>> module = nn.Linear(2, 1, bias=False).requires_grad_(False)
    >>> _ = module.weight.copy_(torch.tensor([[2.0, -3.0]]))
    >>> background = torch.tensor([[1.0, 2.0]])
    >>> model = TrainedModel(module, *[torch.zeros(2)] * 3, 1, background=background)
    >>> explainer, targets = GradientShap(smoothing=0.0), torch.tensor([0])
    >>> explainer(model, torch.tensor([[4.0, 5.0]]), targets, torch.Generator().manual_seed(0))
    tensor([[ 6., -9.]])
    """

    references: int = 20
    smoothing: float = 0.1

    def __post_init__(self) -> None:
        if self.references < 1:
            raise ValueError(f"references must be at least 1, got {self.references!r}")
        if not self.smoothing >= 0:
            raise ValueError(f"smoothing must be at least 0, got {self.smoothing!r}")

    def __call__(
        self,
        model: TrainedModel,
        inputs: Float[Tensor, "examples *shape"],
        targets: Int[Tensor, "examples"],
        generator: torch.Generator,
    ) -> Float[Tensor, "examples *shape"]:
        """Return the attribution of the shape of ``inputs``, signed.

        :raises Skipped: without gradients, or training examples to compare with.
        """
        background, device = _background(model), generator.device

        def noisy_way(start: Tensor) -> Tensor:
            noise = torch.randn(inputs.shape[1:], generator=generator, device=device)
            return inputs + self.smoothing * model.spread * noise.to(inputs) - start

        def path(steps: slice) -> tuple[Tensor, Tensor]:
            points, ways = list[Tensor](), list[Tensor]()
            for _ in range(steps.start, steps.stop):
                chosen = torch.randint(len(background), (), generator=generator, device=device)
                share = torch.rand((), generator=generator, device=device).to(inputs)
                start = _as_baseline(model, background[int(chosen)], inputs)
                ways.append(noisy_way(start))
                points.append(start + share * ways[-1])
            return torch.stack(points), torch.stack(ways)

        total = sum_along(path, self.references, model, inputs, targets)
        return total / self.references


def layerwise_relevance(
    model: TrainedModel,
    inputs: Float[Tensor, "examples *shape"],
    targets: Int[Tensor, "examples"],
    generator: torch.Generator,  # noqa: ARG001 - part of the contract of explainers
) -> Float[Tensor, "examples *shape"]:
    """Return the explained output, passed back to the inputs layer by layer.

    ``R_j = sum_k z_jk / (sum_j z_jk + b_k) R_k`` with ``z_jk = x_j w_jk``, from the layer above
    with relevance ``R_k`` to the one below, with ``1e-9`` of the sum's sign added to it (the
    epsilon rule). Non-linearities pass relevance on. What goes to biases ``b`` is lost; without
    them, the relevance of an input adds up to the output.

    :param inputs: (examples, *input_shape).
    :param targets: (examples,), the class explained.
    :returns: attribution of the shape of ``inputs``, signed.
    :raises Skipped: when the model has no gradients, has layers without a rule, computes outside
        of layers, or uses a layer twice.

    Bach et al. 2015, doi 10.1371/journal.pone.0130140.

    >>> module = nn.Linear(2, 1, bias=False).requires_grad_(False)
    >>> _ = module.weight.copy_(torch.tensor([[2.0, -3.0]]))
    >>> model = TrainedModel(module, *[torch.zeros(2)] * 3, 1)
    >>> targets = torch.tensor([0])
    >>> layerwise_relevance(model, torch.tensor([[4.0, 5.0]]), targets, torch.Generator()).round()
    tensor([[  8., -15.]])
    """
    from captum.attr import LRP

    with_rules(model, inputs[:1])  # refuses before anything is computed

    def relevance(part: Tensor, wanted: Tensor) -> Tensor:
        method = LRP(with_rules(model, None))
        return _refused("LRP", method, part, wanted)

    return in_passes(relevance, inputs, targets, rows=rows_per_pass(inputs))


@dataclass(frozen=True)
class ShapleySampling:
    """Shapley values of the features, from random orders in which they replace the baseline's.

    ``e_f = (1/P) sum_p f(x with the features up to f from the input, the rest from the baseline) -
    f(the same without f)``, over ``P`` orders ``p``, which are the same for all examples.
    The importance of an example's features adds up to ``f(x) - f(x0)``.

    :param permutations: number of orders, at least 1.
    :param baseline: "black" or "mean" (those of the model), or "zero"; black is the mask token of
        text.
    :raises ValueError: when a parameter is out of its range.

    Castro et al. 2009, doi 10.1016/j.cor.2008.04.004.

    >>> def product(inputs):
    ...     return inputs.prod(1, keepdim=True)
    >>> model = TrainedModel(product, torch.ones(2), torch.zeros(2), torch.ones(2), 1)
    >>> explainer, seeded = ShapleySampling(permutations=100), torch.Generator().manual_seed(0)
    >>> values = explainer(model, torch.tensor([[3.0, 5.0]]), torch.tensor([0]), seeded)
    >>> values.sum().item(), [5 < value < 9 for value in values[0].tolist()]  # exactly 6 and 8
    (14.0, [True, True])
    """

    permutations: int = 25
    baseline: str = "black"

    def __post_init__(self) -> None:
        if self.permutations < 1:
            raise ValueError(f"permutations must be at least 1, got {self.permutations!r}")
        if self.baseline not in BASELINES:
            raise ValueError(f"baseline must be one of {BASELINES}, got {self.baseline!r}")

    def __call__(
        self,
        model: TrainedModel,
        inputs: Float[Tensor, "examples *shape"],
        targets: Int[Tensor, "examples"],
        generator: torch.Generator,
    ) -> Float[Tensor, "examples *shape"]:
        """Return the attribution of the shape of ``inputs``, signed, a feature's values alike."""
        from captum.attr import ShapleyValueSampling

        feature = model.feature_of_value(inputs)
        sizes = torch.bincount(feature)
        orders = [
            torch.randperm(len(sizes), generator=generator, device=generator.device).tolist()
            for _ in range(self.permutations)
        ]
        method, rows = ShapleyValueSampling(model), rows_per_pass(inputs)
        method.permutation_generator = lambda features, count: orders  # noqa: ARG005

        def values(part: Tensor, wanted: Tensor) -> Tensor:
            found: Tensor = method.attribute(
                part,
                baselines=model.baseline(part, self.baseline),
                target=wanted,
                feature_mask=feature.view(1, *part.shape[1:]),
                n_samples=self.permutations,
                perturbations_per_eval=max(1, rows // len(part)),
            )
            return found

        # Captum gives every value what its whole feature is worth.
        share = sizes[feature].view(inputs.shape[1:])
        return in_passes(values, inputs, targets, rows=rows) / share


def _background(model: TrainedModel) -> Tensor:
    if model.background is None or not len(model.background):
        raise Skipped("it needs training examples to compare with, and there are none")
    return model.background


def _as_baseline(model: TrainedModel, reference: Tensor, inputs: Tensor) -> Tensor:
    """Return a training example as the baseline of all inputs; text keeps its own ids."""
    baselines = reference.expand_as(inputs)
    if model.kind == "text":
        return torch.cat([inputs[:, :1], baselines[:, 1:]], 1)
    return baselines


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
        for layer in own.modules():
            if isinstance(layer, NON_LINEAR):
                layer.register_forward_pre_hook(_on_a_copy)
        # Captum doubles the rows at the door of what it is given: one door further out.
        method = CaptumDeepLift(nn.Sequential(own))
        found = _refused("DeepLIFT", method, inputs[part], wanted, baselines=baselines[part])
        whole, without = outputs[0].gather(1, wanted.repeat(2)[:, None])[:, 0].chunk(2)
        _check_completeness(found.flatten(1), whole - without)
        return found

    rows = max(1, rows_per_pass(inputs) // 2)
    return in_passes(contributions, torch.arange(len(inputs)), targets, rows=rows)


def _on_a_copy(_: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Let a layer begin from a tensor of its own.

    Captum takes the gradient behind a layer where the next one begins, and before that one has
    changed it, if both share the tensor: pooling right behind a ReLU would not be heeded.
    """
    return tuple(one.clone() for one in given)


def _refused(
    what: str, method: object, inputs: Tensor, targets: Tensor, **options: object
) -> Tensor:
    """Return what Captum says, where it does not refuse a layer that is called twice."""
    try:
        found: Tensor = attributed(method, inputs, targets, **options)
    except RuntimeError as error:
        if "more than once" not in str(error):
            raise
        raise Skipped(
            f"{what} needs layers that are called once, and one is called again"
        ) from error
    return found


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
