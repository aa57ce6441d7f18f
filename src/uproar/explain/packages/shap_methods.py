"""Explainers of the ``shap`` package, as its users know them, for every kind of model and data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from uproar.explain.checks import check_parameters
from uproar.explain.coalitions import differs, mixed_outputs
from uproar.explain.packages.calls import (
    background_of,
    quietly_imported,
    seed_from,
    seeded_and_quiet,
)
from uproar.models.trained import TrainedModel

Predictions = Callable[[NDArray[Any]], NDArray[np.float64]]  # to coalitions, (coalitions, players)


@dataclass(frozen=True)
class ShapKernel:
    """Shapley values by the weighted regression of ``shap.KernelExplainer``.

    ``e`` minimises ``sum_S w(S) (v(S) - v({}) - sum_{f in S} e_f)^2`` over coalitions ``S`` of
    features, with ``w(S) = (M - 1) / (C(M, |S|) |S| (M - |S|))``, subject to ``sum_f e_f = f(x) -
    v({})``, where ``v(S)`` is the mean of the explained output over the background, from which the
    features outside ``S`` are taken. Tokens of text, which have nothing to do with those at the
    same places of other texts, give way to the mask token instead. All values of a feature
    (channels, one-hot codes) move together, and features that are as in all of the background take
    no part.

    :param coalitions: how many, at least 2. The package takes 2048 and two for each feature.
    :param background: how many training examples.
    :param kept: for how many features at most the regression has a coefficient, chosen by least
        angles, as the package has done by default since 0.47; 0 for all of them.
    :raises ValueError: when a parameter is out of its range.

    Lundberg and Lee 2017, arXiv 1705.07874.

    >>> def model_of_one_output(inputs):
    ...     return inputs.prod(1, keepdim=True)
    >>> model = TrainedModel(model_of_one_output, *[torch.ones(2)] * 3, 1,
    ...                      background=torch.ones(1, 2))
    >>> inputs, targets = torch.tensor([[3.0, 5.0]]), torch.tensor([0])
    >>> ShapKernel()(model, inputs, targets, torch.Generator()).round()
    tensor([[6., 8.]])
    """

    coalitions: int = 2048
    background: int = 100
    kept: int = 10

    def __post_init__(self) -> None:
        check_parameters(self)

    def __call__(
        self,
        model: TrainedModel,
        inputs: Float[Tensor, "examples *shape"],
        targets: Int[Tensor, "examples"],
        generator: torch.Generator,
    ) -> Float[Tensor, "examples *shape"]:
        """Return the attribution of the shape of ``inputs``, signed, a feature's values alike.

        :raises Skipped: when there are no training examples to compare with.
        """
        shap = quietly_imported("shap", "shap")
        # What is not False stands for a way to choose features.
        chosen = f"num_features({self.kept})" if self.kept else False

        def values_of(answers: Predictions, players: int, seed: int) -> NDArray[Any]:
            del seed  # it draws from the global generator
            nobody, all_of_them = np.zeros((1, players)), np.ones((1, players))
            explainer = shap.KernelExplainer(answers, nobody)
            options = {"nsamples": self.coalitions, "l1_reg": chosen, "silent": True}
            return np.asarray(explainer.shap_values(all_of_them, **options))

        return _by_coalitions(model, inputs, targets, generator, self.background, values_of)


@dataclass(frozen=True)
class ShapPermutation:
    """Shapley values by the antithetic permutations of ``shap.PermutationExplainer``.

    ``e_f = (1 / 2R) sum_r (v(before f in r, f) - v(before f in r))``: the mean, over ``R``
    permutations and their reversals, of what a feature adds to those before it, with ``v`` as in
    ``shap-kernel``: the mean over the background, from which absent features are taken, or the
    answer with the mask token in place of absent tokens. Values of an example sum to ``f(x) -
    v({})``.

    :param permutations: how many, at least 1. The package takes 10 where it chooses.
    :param background: how many training examples.
    :raises ValueError: when a parameter is out of its range.

    Štrumbelj and Kononenko 2014, doi 10.1007/s10115-013-0679-x.

    >>> def model_of_one_output(inputs):
    ...     return inputs.prod(1, keepdim=True)
    >>> model = TrainedModel(model_of_one_output, *[torch.ones(2)] * 3, 1,
    ...                      background=torch.ones(1, 2))
    >>> inputs, targets = torch.tensor([[3.0, 5.0]]), torch.tensor([0])
    >>> ShapPermutation()(model, inputs, targets, torch.Generator())
    tensor([[6., 8.]])
    """

    permutations: int = 10
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
        """Return the attribution of the shape of ``inputs``, signed, a feature's values alike.

        :raises Skipped: when there are no training examples to compare with.
        """
        shap = quietly_imported("shap", "shap")

        def values_of(answers: Predictions, players: int, seed: int) -> NDArray[Any]:
            # Coalitions are their own masked inputs, of which the package knows how to make one
            # from the one before.
            nobody = shap.maskers.Independent(np.zeros((1, players)), max_samples=1)
            explainer = shap.PermutationExplainer(answers, nobody, seed=seed)
            once = 2 * players + 1
            options = {"max_evals": self.permutations * once, "batch_size": once, "silent": True}
            return np.asarray(explainer(np.ones((1, players)), **options).values)

        return _by_coalitions(model, inputs, targets, generator, self.background, values_of)


def _by_coalitions(
    model: TrainedModel,
    inputs: Tensor,
    targets: Tensor,
    generator: torch.Generator,
    background: int,
    values_of: Callable[[Predictions, int, int], NDArray[Any]],
) -> Tensor:
    """Explain examples one by one, each with the same seed, by what coalitions are worth."""
    seed, feature = seed_from(generator), model.feature_of_value(inputs)
    importance = inputs.new_zeros(len(inputs), int(feature.max()) + 1)
    words = model.kind == "text" or not bool(model.spread.any())  # ids of tokens have no spread
    others = None if words else background_of(model, background)
    for example in range(len(inputs)):
        one = inputs[example : example + 1]
        absent = model.baseline(one) if others is None else others
        alike = one.expand(len(absent), *one.shape[1:]), targets[example].expand(len(absent))
        players = differs(alike[0], absent, feature).any(0)
        # Values of features that take no part are the same whoever they are put to.
        player = (players.cumsum(0) - 1).clamp(min=0)[feature]

        def answers(
            coalitions: NDArray[Any],
            alike: tuple[Tensor, Tensor] = alike,
            absent: Tensor = absent,
            player: Tensor = player,
        ) -> NDArray[np.float64]:
            kept = torch.from_numpy(coalitions > 0).to(inputs.device)
            with torch.no_grad():
                outputs = mixed_outputs(
                    model, *alike, absent=absent, kept=kept, player_of_value=player
                )
            return outputs.double().mean(0).cpu().numpy()

        if players.any():
            with seeded_and_quiet(seed, inputs.device):
                values = values_of(answers, int(players.sum()), seed)
            importance[example, players] = torch.from_numpy(values.ravel()).to(importance)
    return model.spread_over_values(importance, inputs)
