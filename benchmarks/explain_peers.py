"""The packages that a user would otherwise pick, called as their users call them, for networks.

A peer gets the same examples and targets, the same number of samples, coalitions, steps or masks,
and where packages let their users choose how much goes into one pass, what was fastest of the sizes
tried for it: 50 to 2048 rows of the table and of digits, 8 to 64 of the residual network. What a
package would do beyond the same estimate (to select features, explain all classes, check sums,
detect convergence) is left out where it can be.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from captum import attr
from captum.attr._utils.lrp_rules import EpsilonRule
from torch import Tensor, nn

from explain_problems import Problem
from uproar.explain.perturbation.superpixels import segment_of_feature

Work = Callable[[], object]
ENSEMBLES = ("smoothgrad", "smoothgrad_sq", "vargrad")
SAMPLES, NOISE = 15, 0.15
LEAST_PROBABILITY = 0.5  # with which a cell of RISE's grids is shown


@dataclass(frozen=True)
class Task:
    """What both sides are asked for: examples, targets, and the parameters of the explainer."""

    problem: Problem
    inputs: Tensor
    targets: Tensor
    options: Mapping[str, Any]

    @property
    def module(self) -> nn.Module:
        return self.problem.model.network

    @property
    def black(self) -> Tensor:
        return self.problem.model.black[None]

    @property
    def background(self) -> Tensor:
        return self.problem.model.background[: self.options["background"]]

    @property
    def rows(self) -> int:
        return self.problem.peer_rows

    @property
    def together(self) -> int:
        """How many perturbations of all examples make a pass of that many rows."""
        return max(1, self.rows // len(self.inputs))

    def feature(self) -> Tensor:
        return self.problem.model.feature_of_value(self.inputs)

    def logits(self, rows: np.ndarray) -> np.ndarray:
        """Answer as a careful user would: in batches, without gradients."""
        if self.problem.estimator is not None:
            return self.problem.estimator.predict_proba(rows)
        points = torch.from_numpy(rows).float().view(-1, *self.inputs.shape[1:])
        with torch.no_grad():
            return torch.cat([self.module(part) for part in points.split(self.rows)]).numpy()

    def probabilities(self, rows: np.ndarray) -> np.ndarray:
        answers = self.logits(rows)
        if self.problem.estimator is not None:
            return answers
        return torch.from_numpy(answers).softmax(1).numpy()


def attributed(method: type, **options: Any) -> Callable[[Task], Work]:
    """Return a peer: a method of Captum that needs nothing but inputs and targets."""
    return lambda task: (
        lambda: method(task.module).attribute(task.inputs, target=task.targets, **options)
    )


def integrated(task: Task) -> Work:
    method, steps = attr.IntegratedGradients(task.module), task.options["steps"]
    return lambda: method.attribute(
        task.inputs,
        baselines=task.black,
        target=task.targets,
        n_steps=steps,
        method="riemann_right",
        internal_batch_size=max(task.rows, len(task.inputs)),
    )


def noisy(base: str) -> Callable[[Task], Work]:
    """Return a peer: SmoothGrad, its square and VarGrad, one after another."""

    def prepared(task: Task) -> Work:
        rows = max(task.rows, len(task.inputs))
        method, options = {
            "grad": (attr.Saliency(task.module), {"abs": False}),
            "ig": (
                attr.IntegratedGradients(task.module),
                {"n_steps": task.options.get("steps"), "internal_batch_size": rows},
            ),
            "gb": (attr.GuidedBackprop(task.module), {}),
        }[base]

        def work() -> None:
            for ensemble in ENSEMBLES:
                attr.NoiseTunnel(method).attribute(
                    task.inputs,
                    nt_type=ensemble,
                    nt_samples=SAMPLES,
                    nt_samples_batch_size=min(SAMPLES, task.together),
                    stdevs=NOISE,
                    target=task.targets,
                    **options,
                )

        return work

    return prepared


def gradient_shap(task: Task) -> Work:
    baselines = task.problem.model.background

    def work() -> None:
        attr.GradientShap(task.module).attribute(
            task.inputs,
            baselines,
            n_samples=task.options["references"],
            stdevs=task.options.get("smoothing", 0.0),
            target=task.targets,
        )

    return work


def deeplift_shap(task: Task) -> Work:
    references = task.problem.model.background[: task.options["references"]]
    return lambda: attr.DeepLiftShap(nn.Sequential(task.module)).attribute(
        task.inputs, references, target=task.targets
    )


def relevance(task: Task) -> Work:
    own = copy.deepcopy(task.module)  # Captum writes to its weights

    def work() -> None:
        for layer in own.modules():
            if isinstance(layer, nn.Flatten):
                layer.rule = EpsilonRule()  # Captum has none, and forgets those it was given
        attr.LRP(own).attribute(task.inputs, target=task.targets)

    return work


def occlusion(task: Task) -> Work:
    options = {"baselines": task.black, "target": task.targets}
    options |= {"perturbations_per_eval": task.together}
    if task.inputs.ndim == 2:
        method = attr.FeatureAblation(task.module)
        return lambda: method.attribute(task.inputs, **options)
    channels, side, _ = task.inputs.shape[1:]
    patch = side // task.problem.model.shape_of_features(task.inputs)[0]
    options |= {"sliding_window_shapes": (channels, patch, patch)}
    options |= {"strides": (channels, patch, patch)}
    return lambda: attr.Occlusion(task.module).attribute(task.inputs, **options)


def shapley_sampling(task: Task) -> Work:
    return lambda: attr.ShapleyValueSampling(task.module).attribute(
        task.inputs,
        baselines=task.black,
        target=task.targets,
        feature_mask=task.feature().view(1, *task.inputs.shape[1:]),
        n_samples=task.options["permutations"],
        perturbations_per_eval=task.together,
    )


def last_convolution(module: nn.Module) -> nn.Module:
    return [part for part in module.modules() if isinstance(part, nn.Conv2d)][-1]


def at_layer(method: type, **fixed: Any) -> Callable[[Task], Work]:
    """Return a peer: a method of Captum for the last convolution to run, upsampled."""

    def prepared(task: Task) -> Work:
        layer, options = last_convolution(task.module), dict(fixed)
        if "steps" in task.options:
            options |= {"n_steps": task.options["steps"], "baselines": task.black}
            options |= {"internal_batch_size": max(task.rows, len(task.inputs))}

        def work() -> None:
            maps = method(task.module, layer).attribute(task.inputs, target=task.targets, **options)
            if method is not attr.GuidedGradCam:
                attr.LayerAttribution.interpolate(
                    maps.sum(1, keepdim=True), task.inputs.shape[2:], "bilinear"
                )

        return work

    return prepared


def rise(task: Task) -> Work:
    """As the authors' code does it, with torch in place of skimage, which is slower."""
    count, cells = task.options["masks"], task.options["cells"]
    height, width = task.inputs.shape[2:]
    down, across = -(-height // cells), -(-width // cells)

    def mask(generator: np.random.Generator) -> Tensor:
        grid = torch.from_numpy(generator.random((1, 1, cells, cells)) < LEAST_PROBABILITY)
        size = ((cells + 1) * down, (cells + 1) * across)
        large = nn.functional.interpolate(grid.float(), size, mode="bilinear")
        top, left = generator.integers(down), generator.integers(across)
        return large[0, :, top : top + height, left : left + width]

    def work() -> None:
        generator = np.random.default_rng(0)
        masks = torch.stack([mask(generator) for _ in range(count)])
        with torch.no_grad():
            for one, target in zip(task.inputs, task.targets, strict=True):
                parts = [task.module(part * one) for part in masks.split(128)]
                scores = torch.cat(parts)[:, target]
                (scores @ masks.flatten(1)).view(height, width) / count / LEAST_PROBABILITY

    return work


def squares(task: Task) -> np.ndarray:
    """Return the square that every value of a flattened image is in."""
    most = task.options.get("segments", 64)
    segment = segment_of_feature(task.problem.model, task.inputs, most)
    return segment[task.feature()].numpy()


def lime(task: Task) -> Work:
    return lime_of_table(task) if task.inputs.ndim == 2 else lime_of_image(task)


def lime_of_table(task: Task) -> Work:
    from lime.lime_tabular import LimeTabularExplainer

    training = task.problem.model.background.double().numpy()

    def work() -> None:
        explainer = LimeTabularExplainer(
            training,
            discretize_continuous=task.options.get("discretizer") != "none",
            feature_selection="none",
            random_state=0,
        )
        for one, target in zip(task.inputs.double().numpy(), task.targets.tolist(), strict=True):
            explainer.explain_instance(
                one,
                task.probabilities,
                labels=(target,),
                num_samples=task.options["perturbations"],
            )

    return work


def lime_of_image(task: Task) -> Work:
    from lime import lime_image

    lime_image.tqdm = lambda rows: rows  # its bar takes time
    channels, height, width = task.inputs.shape[1:]
    segments = squares(task).reshape(channels, height, width)[0]

    def probabilities(pictures: np.ndarray) -> np.ndarray:
        return task.probabilities(
            np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)[:, :channels])
        )

    def work() -> None:
        explainer = lime_image.LimeImageExplainer(feature_selection="none", random_state=0)
        for one, target in zip(task.inputs, task.targets.tolist(), strict=True):
            explainer.explain_instance(
                one.expand(3, height, width).permute(1, 2, 0).double().numpy(),
                probabilities,
                labels=(target,),
                top_labels=None,
                hide_color=0,
                num_samples=task.options["perturbations"],
                batch_size=task.rows,
                segmentation_fn=lambda _: segments,
            )

    return work


def of_coalitions(task: Task, one: Tensor, target: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return the answer to coalitions of squares of an image, as in the documentation of shap."""
    square, flat, black = squares(task), one.flatten().numpy(), task.black.flatten().numpy()
    return lambda kept: task.logits(np.where(kept[:, square] > 0, flat, black))[:, target]


def shapley_games(
    task: Task, background: Tensor
) -> list[tuple[Callable[[np.ndarray], np.ndarray], np.ndarray, np.ndarray]]:
    """Return for every example a function, its background and what is explained."""
    games = []
    for one, target in zip(task.inputs, task.targets.tolist(), strict=True):
        if len(task.feature().unique()) == one.numel():
            flat = background.flatten(1).double().numpy()
            example = one.flatten()[None].double().numpy()
            games.append((lambda rows, t=target: task.logits(rows)[:, t], flat, example))
        else:
            players = int(squares(task).max()) + 1
            answer = of_coalitions(task, one, target)
            games.append((answer, np.zeros((1, players)), np.ones((1, players))))
    return games


def kernel_shap(task: Task) -> Work:
    import shap

    background = task.background if task.options["background"] else task.black

    def work() -> None:
        for answer, others, example in shapley_games(task, background):
            shap.KernelExplainer(answer, others).shap_values(
                example, nsamples=task.options["coalitions"], l1_reg=False, silent=True
            )

    return work


def permutation_shap(task: Task) -> Work:
    import shap

    def work() -> None:
        for answer, others, example in shapley_games(task, task.background):
            once = 2 * example.shape[1] + 1
            masker = shap.maskers.Independent(others, max_samples=len(others))
            explainer = shap.PermutationExplainer(answer, masker, seed=0)
            explainer(example, max_evals=task.options["permutations"] * once, silent=True)

    return work


def expected_gradients(task: Task) -> Work:
    import shap

    samples = task.options.get("samples", task.options.get("references"))
    others = task.problem.model.background[: task.options.get("background")]

    def work() -> None:
        explainer = shap.GradientExplainer(task.module, others, batch_size=task.rows)
        explainer.shap_values(task.inputs, nsamples=samples, ranked_outputs=1)

    return work


def deep_shap(task: Task) -> Work:
    import shap

    def work() -> None:
        explainer = shap.DeepExplainer(task.module, task.background)
        explainer.shap_values(task.inputs, ranked_outputs=1, check_additivity=False)

    return work
