"""Attributions to a layer with spatial output, upsampled to the features: Grad-CAM and its kin."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from uproar.explain.checks import check_parameters
from uproar.explain.chunks import in_chunks, rows_per_pass
from uproar.explain.coalitions import rows_per_forward
from uproar.explain.gradients.gradients import guided_backpropagation
from uproar.explain.packages.at_layer import AUTO, at_layer
from uproar.explain.packages.grids import stretched, upsampled
from uproar.models.trained import TrainedModel


@dataclass(frozen=True)
class GradCam:
    """Channels of a layer, weighted by their mean gradient, where their sum speaks for the class.

    ``m_p = max(0, sum_k a_k A_kp)`` with ``a_k = mean_p df/dA_kp``, where ``A_kp`` is the output of
    channel ``k`` of the layer at position ``p``; ``m`` is interpolated to the size of the inputs.
    Every channel of an input gets an equal share.

    :param layer: name of the layer, as ``named_modules`` has it; ``auto`` is the last convolution.

    Selvaraju et al. 2017, arXiv 1610.02391.

    >>> from torch import nn
    >>> module = nn.Sequential(nn.Conv1d(1, 1, 1, bias=False), nn.Flatten(), nn.Linear(2, 1))
    >>> module = module.requires_grad_(False)
    >>> _ = module[0].weight.fill_(1.0), module[2].weight.copy_(torch.tensor([[1.0, 3.0]]))
    >>> model = TrainedModel(module, *[torch.zeros(1, 2)] * 3, 1, "series")  # mean gradient 2
    >>> GradCam()(model, torch.tensor([[[5.0, -1.0]]]), torch.tensor([0]), torch.Generator())
    tensor([[[10.,  0.]]])
    """

    layer: str = AUTO

    def __call__(
        self,
        model: TrainedModel,
        inputs: Float[Tensor, "examples *shape"],
        targets: Int[Tensor, "examples"],
        generator: torch.Generator,
    ) -> Float[Tensor, "examples *shape"]:
        """Return the attribution of the shape of ``inputs``, never negative.

        :raises Skipped: without gradients, a convolution, or a layer of that name.
        """
        return upsampled(_grad_cam(model, self.layer, inputs, targets), model, inputs)


@dataclass(frozen=True)
class GuidedGradCam:
    """Guided backpropagation times Grad-CAM: detail from the one, the class from the other.

    ``e = g * m`` with guided backpropagation ``g`` and the interpolated map ``m`` of Grad-CAM.

    :param layer: name of the layer, as ``named_modules`` has it; ``auto`` is the last convolution.

    Selvaraju et al. 2017, arXiv 1610.02391.

    >>> from torch import nn
    >>> module = nn.Sequential(nn.Conv1d(1, 1, 1, bias=False), nn.ReLU(), nn.Flatten(),
    ...                        nn.Linear(2, 1)).requires_grad_(False)
    >>> _ = module[0].weight.fill_(2.0), module[3].weight.copy_(torch.tensor([[1.0, 3.0]]))
    >>> model = TrainedModel(module, *[torch.zeros(1, 2)] * 3, 1, "series")
    >>> explainer, targets = GuidedGradCam(), torch.tensor([0])
    >>> explainer(model, torch.tensor([[[5.0, 1.0]]]), targets, torch.Generator())
    tensor([[[40., 24.]]])
    """

    layer: str = AUTO

    def __call__(
        self,
        model: TrainedModel,
        inputs: Float[Tensor, "examples *shape"],
        targets: Int[Tensor, "examples"],
        generator: torch.Generator,
    ) -> Float[Tensor, "examples *shape"]:
        """Return the attribution of the shape of ``inputs``, signed.

        :raises Skipped: as Grad-CAM and guided backpropagation.
        """
        maps = stretched(_grad_cam(model, self.layer, inputs, targets), model, inputs)
        return maps * guided_backpropagation(model, inputs, targets, generator)


@dataclass(frozen=True)
class LayerGradientXActivation:
    """Output of a layer times its gradient, summed over channels: Grad-CAM without the mean.

    ``m_p = sum_k A_kp df/dA_kp``, where ``A_kp`` is the output of channel ``k`` of the layer at
    position ``p``; ``m`` is interpolated to the size of the inputs. Also known as HiResCAM. Every
    channel of an input gets an equal share.

    :param layer: name of the layer, as ``named_modules`` has it; ``auto`` is the last convolution.

    Draelos and Carin 2020, arXiv 2011.08891.

    >>> from torch import nn
    >>> module = nn.Sequential(nn.Conv1d(1, 1, 1, bias=False), nn.Flatten(), nn.Linear(2, 1))
    >>> module = module.requires_grad_(False)
    >>> _ = module[0].weight.fill_(1.0), module[2].weight.copy_(torch.tensor([[1.0, 3.0]]))
    >>> model = TrainedModel(module, *[torch.zeros(1, 2)] * 3, 1, "series")
    >>> explainer, targets = LayerGradientXActivation(), torch.tensor([0])
    >>> explainer(model, torch.tensor([[[5.0, -1.0]]]), targets, torch.Generator())
    tensor([[[ 5., -3.]]])
    """

    layer: str = AUTO

    def __call__(
        self,
        model: TrainedModel,
        inputs: Float[Tensor, "examples *shape"],
        targets: Int[Tensor, "examples"],
        generator: torch.Generator,
    ) -> Float[Tensor, "examples *shape"]:
        """Return the attribution of the shape of ``inputs``, signed.

        :raises Skipped: without gradients, a convolution, or a layer of that name.
        """

        def maps(part: Tensor, wanted: Tensor) -> Tensor:
            output, slope = at_layer(model, self.layer, part, wanted)
            return (output * slope).sum(1)

        return upsampled(
            in_chunks(maps, inputs, targets, rows=rows_per_pass(inputs)), model, inputs
        )


@dataclass(frozen=True)
class LayerConductance:
    """How much of the change of the output from a baseline flows through each place of a layer.

    ``m_p = sum_k sum_{i=1..s} (A_kp(x_i) - A_kp(x_{i-1})) df/dA_kp(x_{i-1})`` on the straight way
    ``x_i = x0 + (i/s)(x - x0)`` from the baseline ``x0``, where ``A_kp`` is the output of channel
    ``k`` of the layer at position ``p``; ``m`` is interpolated to the size of the inputs. With
    many steps, ``m`` adds up to ``f(x) - f(x0)``. Every channel of an input gets an equal share.

    :param steps: number of steps ``s``, at least 1.
    :param baseline: "black" or "mean" (those of the model), or "zero".
    :param layer: name of the layer, as ``named_modules`` has it; ``auto`` is the last convolution.
    :raises ValueError: when a parameter is out of its range.

    Dhamdhere et al. 2018, arXiv 1805.12233.

    >>> from torch import nn
    >>> module = nn.Sequential(nn.Conv1d(1, 1, 1, bias=False), nn.Flatten(), nn.Linear(2, 1))
    >>> module = module.requires_grad_(False)
    >>> _ = module[0].weight.fill_(1.0), module[2].weight.copy_(torch.tensor([[1.0, 3.0]]))
    >>> model = TrainedModel(module, *[torch.zeros(1, 2)] * 3, 1, "series")
    >>> explainer, targets = LayerConductance(steps=2), torch.tensor([0])
    >>> explainer(model, torch.tensor([[[5.0, -1.0]]]), targets, torch.Generator())
    tensor([[[ 5., -3.]]])
    """

    steps: int = 25
    baseline: str = "black"
    layer: str = AUTO

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

        :raises Skipped: without gradients, a convolution, or a layer of that name.
        """

        def maps(part: Tensor, wanted: Tensor) -> Tensor:
            start = model.baseline(part, self.baseline)
            shares = torch.arange(self.steps + 1).to(part) / self.steps
            total, ends = torch.zeros(()), list[tuple[Tensor, Tensor]]()
            # Several steps in one pass, where there are few examples.
            for some in shares.split(max(1, rows_per_forward(model, part) // len(part))):
                share = some.view(-1, *[1] * part.ndim)
                points = start + share * (part - start)
                flat = points.flatten(0, 1), wanted.repeat(len(some))
                output, slope = (
                    one.unflatten(0, points.shape[:2]) for one in at_layer(model, self.layer, *flat)
                )
                if ends:  # the last of the steps before
                    output = torch.cat([ends[-1][0], output])
                    slope = torch.cat([ends[-1][1], slope])
                ends = [(output[-1:], slope[-1:])]
                total = total + (output.diff(dim=0) * slope[:-1]).sum((0, 2))
            return total

        return upsampled(
            in_chunks(maps, inputs, targets, rows=rows_per_pass(inputs)), model, inputs
        )


def _grad_cam(
    model: TrainedModel,
    layer: str,
    inputs: Float[Tensor, "examples *shape"],
    targets: Int[Tensor, "examples"],
) -> Float[Tensor, "examples *sides"]:
    """Return the map of Grad-CAM at the size of the layer."""

    def maps(part: Tensor, wanted: Tensor) -> Tensor:
        output, slope = at_layer(model, layer, part, wanted)
        weights = slope.flatten(2).mean(2).view(*slope.shape[:2], *[1] * (slope.ndim - 2))
        return (weights * output).sum(1).relu()

    return in_chunks(maps, inputs, targets, rows=rows_per_pass(inputs))
