"""LIME: a linear model of what the model answers near an example, batched."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from uproar.explain.checks import check_parameters
from uproar.explain.chunks import in_chunks
from uproar.explain.coalitions import (
    examples_at_once,
    explained_outputs,
    mixed_outputs,
    rows_per_forward,
)
from uproar.explain.perturbation.lime_tables import table_draws, table_of
from uproar.explain.perturbation.neighbourhood import coin_flips, even_sizes, kernel
from uproar.explain.perturbation.regression import ridge
from uproar.explain.perturbation.superpixels import segment_of_feature
from uproar.models.trained import TrainedModel
from uproar.types import Skipped

WIDTH, WIDTH_OF_TABLES = 0.25, 0.75  # of the kernel; of tables, times the root of the columns
ENTRIES = 2**21  # of examples times perturbations times features that are regressed at once


@dataclass(frozen=True)
class Lime:
    """Coefficients of a linear model that imitates the model near the example.

    ``e`` minimises ``sum_i k(d_i) (y_i - a - sum_f e_f z_if)^2 + sum_f e_f^2``: a ridge regression
    of the explained output ``y_i`` of perturbed inputs, the example itself among them, with weights
    ``k(d) = exp(-d^2 / (2 w^2))``. As in the ``lime`` package, for all features:

    - images and series: every segment stays with probability 1/2 or gives way to the baseline,
      ``z`` says whether it stayed, and ``d`` is the cosine distance of ``z`` from all ones. The
      package cuts images along their colours, which makes it another explainer; here they are cut
      into squares (:mod:`uproar.explain.perturbation.superpixels`);
    - text: the same with tokens, of which 1 to all leave, each number as often;
    - tables: values are drawn as they are spread in training, whatever the example, ``z`` is
      whether they are in the quartile of training that the example's is in, and ``d`` is the
      Euclidean distance. With ``discretizer`` "none" they are normal draws around the training
      mean, and ``z`` are these in standard deviations, so that ``e`` are slopes. A group of columns
      that is one feature, such as a one-hot code, is drawn from a training example, and ``z`` is
      whether it is as in the example.

    Perturbations are the same for all examples. Those of a table do not depend on the example at
    all, so the model is asked about them once for all that are explained together. The package
    explains probabilities; here it is the output of the model, the logit where it is a module.

    :param perturbations: number of perturbed inputs, the example itself included. The package
        takes 5,000 for tables and text and 1,000 for images.
    :param segments: most segments of an image or a series; their coefficient is shared by their
        features.
    :param width: ``w``; 0 for that of the package: 0.75 times the square root of the number of
        features of tables, else 0.25 (for text it multiplies distances and width by 100).
    :param baseline: "black" or "mean" (those of the model), or "zero"; black is the mask token of
        text. Tables have none.
    :param discretizer: "quartile", which is the package's choice, "decile", or "none" (its
        ``discretize_continuous=False``), of tables.
    :raises ValueError: when a parameter is out of its range.

    Ribeiro et al. 2016, arXiv 1602.04938.

    >>> def model_of_one_output(inputs):
    ...     return inputs @ torch.tensor([[2.0], [-3.0]])
    >>> columns = torch.tensor([[1.0, 2.0], [-1.0, -2.0]])  # whose deviations are 1 and 2
    >>> model = TrainedModel(model_of_one_output, *[torch.zeros(2)] * 2, torch.ones(2), 1,
    ...                      background=columns)
    >>> example, targets = torch.tensor([[1.0, 1.0]]), torch.tensor([0])
    >>> seeded = torch.Generator().manual_seed(0)
    >>> Lime(discretizer="none")(model, example, targets, seeded).round()  # slopes, per deviation
    tensor([[ 2., -6.]])
    """

    perturbations: int = 1000
    segments: int = 64
    width: float = 0.0
    baseline: str = "black"
    discretizer: str = "quartile"

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

        :raises Skipped: when the inputs are tables, and there are no training examples.
        """
        with torch.no_grad():
            # Ids of tokens have no spread: there are no ids between them to draw.
            if model.kind == "table" and bool(model.spread.any()):
                found = self._by_drawing(model, inputs, targets, generator)
            else:
                found = self._by_hiding(model, inputs, targets, generator)
        return model.spread_over_values(found.to(inputs.dtype), inputs)

    def _by_hiding(
        self, model: TrainedModel, inputs: Tensor, targets: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Return the importance, (examples, features), from segments that stay or leave."""
        segment = segment_of_feature(model, inputs, self.segments)
        size = (self.perturbations - 1, int(segment.max()) + 1)
        draw = coin_flips if model.kind in {"image", "series"} else even_sizes
        whole = torch.ones(1, size[1], dtype=torch.bool)
        kept = torch.cat([whole, draw(*size, generator).cpu()]).to(inputs.device)
        distances = 1 - (kept.double().mean(1)).sqrt()
        weights = kernel(distances, self.width or WIDTH)

        def importance(part: Tensor, wanted: Tensor) -> Tensor:
            outputs = mixed_outputs(
                model,
                part,
                wanted,
                absent=model.baseline(part, self.baseline),
                kept=kept,
                player_of_value=segment[model.feature_of_value(part)],
            )
            return ridge(kept.double(), outputs.double().T, weights).T

        found = in_chunks(
            importance, inputs, targets, rows=examples_at_once(model, inputs, self.perturbations)
        )
        return found[:, segment] / torch.bincount(segment)[segment]

    def _by_drawing(
        self, model: TrainedModel, inputs: Tensor, targets: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Return the importance, (examples, features), from rows drawn like those of training."""
        if model.background is None:
            raise Skipped("lime of tables draws from training examples, and there are none")
        feature = model.feature_of_value(inputs)
        table = table_of(model.background.flatten(1), feature, self.discretizer)
        draws = table_draws(
            self.perturbations - 1, len(table.sizes), len(table.rows), generator
        ).to(inputs.device)
        drawn = table.drawn(draws)
        outputs = torch.cat(
            [
                model(rows.view(-1, *inputs.shape[1:]))
                for rows in drawn.to(inputs.dtype).split(rows_per_forward(model, inputs))
            ]
        )
        width = self.width or WIDTH_OF_TABLES * math.sqrt(len(table.sizes))

        def importance(part: Tensor, wanted: Tensor) -> Tensor:
            own = explained_outputs(model, part, wanted)
            answers = torch.cat([own[:, None], outputs[:, wanted].T], 1).double()
            design = table.design(part.flatten(1), draws, drawn)
            distances = (design - design[:, :1]).square().sum(2).sqrt()
            return ridge(design, answers[..., None], kernel(distances, width))[..., 0]

        together = max(1, ENTRIES // (self.perturbations * len(table.sizes)))
        return in_chunks(importance, inputs, targets, rows=together)
