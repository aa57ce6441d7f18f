"""What `bench_explain.py` explains: three networks and three kinds of trees, with random weights.

Networks have the weights that they begin with, since what they answer takes the same time after
training. Trees are grown, since their shapes matter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from uproar.data import load
from uproar.data.image.patches import feature_of_value
from uproar.dataset import Data, Split
from uproar.models.architectures.resnet import resnet18
from uproar.models.architectures.small import cnn, mlp
from uproar.models.estimators.learner import EstimatorPredictor
from uproar.models.trained import TrainedModel
from uproar.models.training.ways import initialise
from uproar.models.view import view_of

CPU = torch.device("cpu")
SIDE, PATCH = 32, 8  # of images, and of the squares of pixels that are their features
TREES = 100


@dataclass(frozen=True)
class Problem:
    """A model, the inputs that are explained, and how many of them each explainer gets.

    ``settings`` has the name, with parameters, and the number of examples of explainers that are
    too slow, here or in the package that they are compared with, for ``examples`` of them. Keys are
    names without parameters, the titles of families, or names of which there is one row more.
    ``peer_rows`` is how many rows that package is told to put into one pass: the fastest of those
    tried for it.
    """

    title: str
    model: TrainedModel
    inputs: Tensor
    targets: Tensor
    examples: int
    peer_rows: int = 0
    settings: Mapping[str, tuple[str, int]] = field(default_factory=dict)

    @property
    def estimator(self) -> Any:
        """What a library has fitted, where it is no network."""
        return getattr(self.model.module, "estimator", None)


def digits_cnn() -> Problem:
    """Return 8 x 8 digits and a network of two convolutions."""
    settings = {
        "SG, SG-SQ, VAR of ig": ("ig", 64),
        "expected-grad": ("expected-grad", 256),
        "guided-ig": ("guided-ig", 256),
        "deeplift-shap": ("deeplift-shap", 64),
        "occlusion": ("occlusion", 256),
        "rise": ("rise", 16),
        "lime": ("lime", 16),
        "kernel-shap": ("kernel-shap", 8),
        "shapley-sampling": ("shapley-sampling", 32),
        "shap-kernel": ("shap-kernel:coalitions=512:background=10:kept=0", 4),
        "shap-permutation": ("shap-permutation:permutations=5:background=10", 4),
        "shap-deep": ("shap-deep", 16),
        "shap-gradient": ("shap-gradient", 16),
        "lime-package": ("lime-package:perturbations=1000", 8),
        "pfi": ("pfi", 1),
        "sage": ("sage:permutations=1:background=16:threshold=0", 1),
    }
    return _network("digits, CNN", cnn, load("digits", seed=0), 512, 512, settings)


def images_resnet() -> Problem:
    """Return colour images of 32 x 32 pixels in 16 squares, and a residual network."""
    generator = np.random.default_rng(0)

    def split(examples: int) -> Split:
        inputs = generator.random((examples, 3, SIDE, SIDE), dtype=np.float32)
        return Split(inputs, np.arange(examples) % 10)

    shape, features = feature_of_value((3, SIDE, SIDE), PATCH)
    data = Data(
        name="images",
        kind="image",
        train=split(64),
        validation=split(4),
        test=split(16),
        feature_shape=shape,
        class_names=tuple("0123456789"),
        value_range=(0.0, 1.0),
        feature_of_value=features,
    )
    settings = {
        "SG, SG-SQ, VAR of grad": ("grad", 2),
        "SG, SG-SQ, VAR of ig": ("ig:steps=3", 2),
        "SG, SG-SQ, VAR of gb": ("gb", 2),
        "ig": ("ig:steps=10", 2),
        "expected-grad": ("expected-grad:references=10", 2),
        "blur-ig": ("blur-ig:steps=10", 2),
        "guided-ig": ("guided-ig:steps=10", 2),
        "occlusion": ("occlusion", 2),
        "rise": ("rise:masks=32", 1),
        "lime": ("lime:perturbations=32:segments=16", 1),
        "kernel-shap": ("kernel-shap:coalitions=32:segments=16", 1),
        "deeplift-shap": ("deeplift-shap:references=5", 2),
        "gradient-shap": ("gradient-shap:references=10", 2),
        "shapley-sampling": ("shapley-sampling:permutations=2", 1),
        "layer-conductance": ("layer-conductance:steps=10", 2),
        "shap-kernel": ("shap-kernel:coalitions=32:background=1:kept=0", 1),
        "shap-permutation": ("shap-permutation:permutations=1:background=1", 1),
        "shap-deep": ("shap-deep:background=5", 1),
        "shap-gradient": ("shap-gradient:references=20", 1),
        "lime-package": ("lime-package:perturbations=32:superpixels=squares", 1),
        "pfi": ("pfi:repeats=1", 1),
        "sage": ("sage:permutations=1:background=1:threshold=0", 1),
    }
    return _network("32 x 32 x 3, ResNet-18", resnet18, data, 8, 32, settings)


def table_mlp() -> Problem:
    """Return a generated table of 20 columns, and a perceptron."""
    settings = {
        "SG, SG-SQ, VAR of ig": ("ig", 256),
        "expected-grad": ("expected-grad", 256),
        "guided-ig": ("guided-ig", 512),
        "lime": ("lime", 64),
        "lime:discretizer=none": ("lime:discretizer=none", 64),
        "kernel-shap": ("kernel-shap", 32),
        "kernel-shap:background=10": ("kernel-shap:background=10", 8),
        "deeplift-shap": ("deeplift-shap", 512),
        "shapley-sampling": ("shapley-sampling", 256),
        "shap-kernel": ("shap-kernel:coalitions=512:background=10:kept=0", 16),
        "shap-permutation": ("shap-permutation:background=10", 16),
        "shap-deep": ("shap-deep", 64),
        "shap-gradient": ("shap-gradient", 64),
        "lime-package": ("lime-package:perturbations=1000", 16),
        "pfi": ("pfi", 1),
        "cfi": ("cfi", 1),
        "sage": ("sage:threshold=0", 1),
    }
    return _network("20 columns, MLP", mlp, load("planted-table", seed=0), 2048, 2048, settings)


def _network(
    title: str,
    architecture: Callable[[Data], nn.Module],
    data: Data,
    examples: int,
    peer_rows: int,
    settings: Mapping[str, tuple[str, int]],
) -> Problem:
    module = initialise(partial(architecture, data), 0).eval().requires_grad_(False)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.weight.fill_(1.0)  # blocks begin as the identity, and should do something here
    return _problem(title, data, module, examples, peer_rows, settings)


def _problem(
    title: str,
    data: Data,
    predictor: Any,
    examples: int,
    peer_rows: int,
    settings: Mapping[str, tuple[str, int]],
) -> Problem:
    model = replace(view_of(data, predictor, CPU), refits=None)
    inputs = torch.from_numpy(np.concatenate([data.test.inputs, data.train.inputs])[:examples])
    with torch.no_grad():
        targets = torch.cat([model(part).argmax(1) for part in inputs.split(64)])
    return Problem(title, model, inputs, targets, len(inputs), peer_rows, settings)


def table_trees(library: str) -> Problem:
    """Return the same table, and trees that one of three libraries has grown on it."""
    data = load("planted-table", seed=0)
    predictor = EstimatorPredictor(_grown(library, data), (0, 1), 2)
    settings = {
        "tree-shap": ("tree-shap", 512),
        "shap-tree": ("shap-tree", 512),
        "pfi": ("pfi", 1),
    }
    if library == "XGBoost":  # as of any model that is no network
        settings |= {
            "lime": ("lime", 16),
            "kernel-shap": ("kernel-shap:coalitions=512", 8),
            "sage": ("sage:permutations=1:background=16:threshold=0", 1),
        }
    return _problem(f"20 columns, {library}", data, predictor, 2048, 2048, settings)


def _grown(library: str, data: Data) -> Any:
    # On one thread, like all that is measured.
    if library == "XGBoost":
        from xgboost import XGBClassifier

        grower: Any = XGBClassifier(n_estimators=TREES, n_jobs=1, random_state=0)
    elif library == "LightGBM":
        from lightgbm import LGBMClassifier

        grower = LGBMClassifier(n_estimators=TREES, n_jobs=1, random_state=0, verbose=-1)
    else:
        from sklearn.ensemble import RandomForestClassifier

        grower = RandomForestClassifier(n_estimators=TREES, n_jobs=1, random_state=0)
    return grower.fit(data.train.inputs, data.train.labels)


PROBLEMS: Mapping[str, Callable[[], Problem]] = {
    "digits": digits_cnn,
    "resnet": images_resnet,
    "table": table_mlp,
    "xgboost": partial(table_trees, "XGBoost"),
    "lightgbm": partial(table_trees, "LightGBM"),
    "forest": partial(table_trees, "random forest"),
}
