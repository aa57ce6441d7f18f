"""LIME by the ``lime`` package: tables, images with superpixels, and text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from uproar.explain.checks import check_parameters
from uproar.explain.chunks import rows_per_pass
from uproar.explain.coalitions import explained_outputs, mixed_outputs
from uproar.explain.packages.calls import (
    background_of,
    quietly_imported,
    seed_from,
    seeded_and_quiet,
)
from uproar.explain.perturbation.lime_inputs import Columns, Pictures, shown
from uproar.models.trained import TrainedModel

SMALLEST = 64  # pixels on a side, below which quickshift finds one superpixel or two
ALL_EXAMPLES = 1000  # of training: as many as there are at most

# One example and its target to the importance of the features.
ExplainBlock = Callable[[Tensor, Tensor], NDArray[np.float64]]


@dataclass(frozen=True)
class LimePackage:
    """Coefficients of a linear model that imitates the model near the example, by ``lime``.

    ``e`` minimises ``sum_i k(d_i) (y_i - a - sum_f e_f z_if)^2 + sum_f e_f^2``, with the explained
    output ``y_i`` of perturbed inputs, all features in one regression, and the package's defaults
    for the rest:

    - tables: values are cut into quartiles of the training examples, and ``z`` is whether a
      perturbed value is in the example's quartile; a feature of several values, a one-hot code, is
      a category that is drawn from training examples. Series are tables of all their values, each
      with an importance of its own;
    - images, grey or of three colours: ``z`` is whether a superpixel is as in the image. Those of
      ``quickshift`` follow colours, and their mean colour stands in for them; ``squares`` are those
      of ``lime``, at most 64 of them, replaced by black, since the mean of a single pixel is the
      pixel. A pixel has the weight of its superpixel, by which the package ranks them;
    - text: ``z`` is whether a token is there, at each position by itself, else the mask token.

    :param perturbations: number of perturbed inputs, the example among them, at least 2. The
        package takes 5000 for tables and text, and 1000 for images.
    :param superpixels: of images; "auto" is ``quickshift``, which is the package's choice, from 64
        pixels on the shorter side on: of smaller ones it makes one superpixel, or two.
    :raises ValueError: when a parameter is out of its range.

    Ribeiro et al. 2016, arXiv 1602.04938.

    >>> def model_of_one_output(inputs):
    ...     return (inputs[:, :1] > 0).float()
    >>> rows = torch.tensor([[-2.0, 0.0], [-1.0, 1.0], [1.0, 2.0], [2.0, 3.0]])
    >>> model = TrainedModel(model_of_one_output, *[torch.zeros(2)] * 2, torch.ones(2), 1,
    ...                      background=rows)
    >>> seeded = torch.Generator().manual_seed(0)
    >>> found = LimePackage()(model, rows[3:], torch.tensor([0]), seeded)
    >>> bool(found[0, 0] > 0.5), bool(found[0, 1].abs() < 0.05)
    (True, True)
    """

    perturbations: int = 5000
    superpixels: str = "auto"

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

        :raises Skipped: when images have two channels, or more than three, or there are no
            training examples to cut the values of a table by.
        """
        seed = seed_from(generator)
        explained = self._explainer(model, inputs, seed)
        found = []
        for example in range(len(inputs)):
            one = slice(example, example + 1)
            with seeded_and_quiet(seed, inputs.device), torch.no_grad():
                found.append(explained(inputs[one], targets[one]))
        importance = torch.from_numpy(np.stack(found)).to(inputs)
        if model.kind == "series":
            return importance.view(inputs.shape)
        return model.spread_over_values(importance, inputs)

    def _explainer(self, model: TrainedModel, inputs: Tensor, seed: int) -> ExplainBlock:
        if model.kind == "image":
            return self._of_image(model, Pictures.of(model, inputs), seed)
        # Ids of tokens have no spread: there are no ids between them to draw.
        if model.kind == "text" or not bool(model.spread.any()):
            return self._of_text(model, seed)
        return self._of_table(model, inputs, seed)

    def _of_table(self, model: TrainedModel, inputs: Tensor, seed: int) -> ExplainBlock:
        tabular = quietly_imported("lime.lime_tabular", "lime")
        rows = background_of(model, ALL_EXAMPLES).flatten(1)
        every = torch.arange(rows.shape[1], device=rows.device)
        feature = every if model.kind == "series" else model.feature_of_value(inputs)
        columns = Columns.of(rows, feature)
        # One generator for all that draws, which is seeded anew for every example.
        draws = np.random.RandomState(seed)
        with seeded_and_quiet(seed, inputs.device):
            explainer = tabular.LimeTabularExplainer(
                columns.coded(rows),
                mode="regression",
                categorical_features=columns.categorical,
                feature_selection="none",
                random_state=draws,
            )

        def explained(one: Tensor, target: Tensor) -> NDArray[np.float64]:
            def answers(codes: NDArray[np.float64]) -> NDArray[np.float64]:
                points = columns.decoded(codes, one.flatten(1)).view(-1, *one.shape[1:])
                return _answers(model, points, target)

            draws.seed(seed)
            codes = columns.coded(one.flatten(1))[0]
            found = explainer.explain_instance(codes, answers, num_samples=self.perturbations)
            return _weights(found.local_exp[1], columns.count)

        return explained

    def _of_text(self, model: TrainedModel, seed: int) -> ExplainBlock:
        text = quietly_imported("lime.lime_text", "lime")

        def explained(one: Tensor, target: Tensor) -> NDArray[np.float64]:
            absent, feature = model.baseline(one), model.feature_of_value(one)
            # Words are positions, so that a token that is there twice is two of them.
            words = [str(position) for position in range(int(feature.max()) + 1)]

            def answers(texts: list[str]) -> NDArray[np.float64]:
                there = np.array([[word != "_" for word in text.split()] for text in texts])
                kept = torch.from_numpy(there).to(one.device)
                outputs = mixed_outputs(
                    model, one, target, absent=absent, kept=kept, player_of_value=feature
                )
                return outputs.T.double().cpu().numpy()

            explainer = text.LimeTextExplainer(
                split_expression=r"\s+",
                bow=False,
                mask_string="_",
                feature_selection="none",
                random_state=np.random.RandomState(seed),
            )
            found = explainer.explain_instance(
                " ".join(words), answers, labels=(0,), num_samples=self.perturbations
            )
            return _weights(found.local_exp[0], len(words))

        return explained

    def _of_image(self, model: TrainedModel, pictures: Pictures, seed: int) -> ExplainBlock:
        image = quietly_imported("lime.lime_image", "lime")
        small = min(pictures.shape[-2:]) < SMALLEST
        squares = self.superpixels == "squares" or (self.superpixels == "auto" and small)
        quickshift = image.SegmentationAlgorithm(
            "quickshift", kernel_size=4, max_dist=200, ratio=0.2, random_seed=seed % 1000
        )

        def segments(picture: NDArray[np.float64]) -> NDArray[np.int64]:
            return pictures.square if squares else quickshift(pictures.scaled(picture))

        def explained(one: Tensor, target: Tensor) -> NDArray[np.float64]:
            draws = np.random.RandomState(seed)
            explainer = image.LimeImageExplainer(feature_selection="none", random_state=draws)
            with _without_progress(image):
                found = explainer.explain_instance(
                    shown(one),
                    lambda many: _answers(model, pictures.read(many), target)[:, None],
                    labels=(0,),
                    top_labels=None,
                    hide_color=pictures.black if squares else None,
                    num_samples=self.perturbations,
                    batch_size=rows_per_pass(one),
                    segmentation_fn=segments,
                    random_seed=seed % 1000,
                )
            weights = _weights(found.local_exp[0], int(found.segments.max()) + 1)
            return pictures.means(weights[found.segments])

        return explained


def _answers(model: TrainedModel, points: Tensor, target: Tensor) -> NDArray[np.float64]:
    outputs = explained_outputs(model, points, target.expand(len(points)))
    return outputs.double().cpu().numpy()


def _weights(pairs: list[tuple[Any, Any]], features: int) -> NDArray[np.float64]:
    """Return the weight of every feature, from pairs in any order."""
    weights = np.zeros(features)
    for feature, weight in pairs:
        weights[feature] = weight
    return weights


@contextmanager
def _without_progress(module: Any) -> Iterator[None]:
    """Take the bar away that the package shows for every image."""
    bar = module.tqdm
    module.tqdm = lambda rows: rows
    try:
        yield
    finally:
        module.tqdm = bar
