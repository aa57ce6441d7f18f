"""Explainers of the ``shap`` package that follow gradients through a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor, nn

from uproar.explain.checks import check_parameters
from uproar.explain.chunks import rows_per_pass
from uproar.explain.packages.calls import (
    background_of,
    quietly_imported,
    seed_from,
    seeded_and_quiet,
)
from uproar.explain.packages.shap_support import OneOutput, hookable
from uproar.models.trained import TrainedModel
from uproar.types import Skipped

# How far the values may be from summing to what they should, in outputs and as a share of it.
TOLERANCE = 0.01, 0.05


@dataclass(frozen=True)
class ShapDeep:
    """SHAP values by the multipliers of ``shap.DeepExplainer``: DeepLIFT against the background.

    ``e_i = mean over background examples b of m_i (x_i - b_i)``, where the multipliers ``m`` are
    gradients in which the slope of every nonlinear layer is replaced by the difference of its
    outputs for ``x`` and ``b`` over that of its inputs. Values of an example sum to ``f(x)`` less
    the mean of ``f`` over the background.

    :param background: how many training examples.
    :raises ValueError: when there are fewer than one.

    Lundberg and Lee 2017, arXiv 1705.07874; Shrikumar et al. 2017, arXiv 1704.02685.

    >>> module = nn.Sequential(nn.Linear(2, 1, bias=False), nn.ReLU()).requires_grad_(False)
    >>> _ = module[0].weight.copy_(torch.tensor([[2.0, -3.0]]))
    >>> background = torch.tensor([[0.0, 1.0]])  # where the ReLU is closed: -3 becomes 0
    >>> model = TrainedModel(module, *[torch.zeros(2)] * 3, 1, background=background)
    >>> ShapDeep()(model, torch.tensor([[3.0, 1.0]]), torch.tensor([0]), torch.Generator())
    tensor([[3., 0.]])
    """

    background: int = 100

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

        :raises Skipped: when the model has no gradients, has nonlinear parts that the package does
            not see (functions in place of layers, a layer that is used twice, layers that it does
            not know), or there are no training examples to compare with.
        """
        shap = quietly_imported("shap", "shap")
        module, others = hookable(model.network), _numbers(model, self.background)

        def prepared(one: OneOutput) -> Callable[[Tensor], NDArray[Any]]:
            explainer = shap.DeepExplainer(one, others)

            def explained(example: Tensor) -> NDArray[Any]:
                found = np.asarray(explainer.shap_values(example, check_additivity=False))
                assert one.last is not None
                _check_sum(found.sum(), *(float(part.mean()) for part in one.last.chunk(2)))
                return found

            return explained

        return _one_by_one(module, inputs, targets, generator, prepared)


def _check_sum(found: float, whole: float, mean: float) -> None:
    difference = abs(found - (whole - mean))
    if difference > TOLERANCE[0] + TOLERANCE[1] * abs(whole - mean):
        raise Skipped(
            "shap.DeepExplainer cannot follow this model: its values should sum to "
            f"{whole - mean:.3g}, and sum to {found:.3g}; it sees layers that are modules, of "
            "kinds that it knows, and that are used once"
        )


@dataclass(frozen=True)
class ShapGradient:
    """SHAP values by the expected gradients of ``shap.GradientExplainer``.

    ``e_i = mean over r of (x_i - b_i) df/dx_i at b + a (x - b)``, with for each reference ``r`` a
    background example ``b`` and a share ``a``, uniform on [0, 1), the same for all examples. In
    expectation, values of an example sum to ``f(x)`` less the mean of ``f`` over the background.

    :param references: how many are drawn; 200 are the package's samples.
    :param background: how many training examples to draw from.
    :raises ValueError: when there are fewer than one.

    Erion et al. 2021, arXiv 1906.10670.

    >>> module = nn.Linear(2, 1).requires_grad_(False)
    >>> _ = module.weight.copy_(torch.tensor([[2.0, -3.0]]))
    >>> background = torch.tensor([[1.0, 1.0]])
    >>> model = TrainedModel(module, *[torch.zeros(2)] * 3, 1, background=background)
    >>> ShapGradient()(model, torch.tensor([[5.0, 5.0]]), torch.tensor([0]), torch.Generator())
    tensor([[  8., -12.]])
    """

    references: int = 200
    background: int = 100

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

        :raises Skipped: when the model has no gradients, or there are no training examples to
            compare with.
        """
        shap = quietly_imported("shap", "shap")
        others, seed = _numbers(model, self.background), seed_from(generator)

        def prepared(one: OneOutput) -> Callable[[Tensor], NDArray[Any]]:
            explainer = shap.GradientExplainer(one, others, batch_size=rows_per_pass(inputs))

            def explained(example: Tensor) -> NDArray[Any]:
                found = explainer.shap_values(example, nsamples=self.references, rseed=seed)
                return np.asarray(found)

            return explained

        return _one_by_one(model.network, inputs, targets, generator, prepared)


def _numbers(model: TrainedModel, examples: int) -> Tensor:
    """Return training examples, which numbers can be compared with, and words cannot."""
    if model.kind == "text":
        raise Skipped(
            "it has no background of texts, whose words have nothing to do with those at the same "
            "places of others"
        )
    return background_of(model, examples)


def _one_by_one(
    module: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    generator: torch.Generator,
    prepared: Callable[[OneOutput], Callable[[Tensor], NDArray[Any]]],
) -> Tensor:
    """Explain examples one after another, those of a target with one explainer."""
    found, seed = torch.zeros_like(inputs), seed_from(generator)
    for target in targets.unique().tolist():
        one = OneOutput(module, target)
        # Once for all: what the package draws, it draws from a seed that it is given each time.
        with seeded_and_quiet(seed, inputs.device), torch.enable_grad():
            explained = prepared(one)
            one.woken()
            for example in (targets == target).nonzero()[:, 0].tolist():
                values = explained(inputs[example : example + 1])
                found[example] = torch.from_numpy(values.reshape(inputs[0].shape)).to(inputs)
    return found
