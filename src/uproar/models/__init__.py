"""Models by name: architecture and the recipe it is trained with."""

from __future__ import annotations

from dataclasses import dataclass

from uproar.registry import Entry, Pairs

# What may stand before a colon in a model's name: estimators of other packages, and pre-trained
# networks.
ESTIMATORS = ("sklearn", "xgboost", "lightgbm")
PRETRAINED = "transformers"

# Of Hooker et al. 2019, arXiv 1806.10758, table 1 and code; 90 epochs are those of its schedule.
IMAGENET_RECIPE = (
    ("optimiser", "sgd"),
    ("learning_rate", 0.1),
    ("schedule", "steps"),
    ("epochs", 90),
    ("batch_size", 256),
    ("weight_decay", 1e-4),
    ("label_smoothing", 0.1),
)


@dataclass(frozen=True)
class Architecture(Entry):
    """What a model is, and the fields in which its recipe is not the default one."""

    needs: str = ""
    recipe: Pairs = ()


MODELS = (
    Architecture(
        name="mlp",
        summary="two hidden layers of 128 ReLU units",
        path="uproar.models.architectures.small:mlp",
        data_kinds=("image", "table", "series"),
    ),
    Architecture(
        name="cnn",
        summary="two convolutions of size 3 with ReLU and a linear layer",
        path="uproar.models.architectures.small:cnn",
        needs="images or series",
        data_kinds=("image", "series"),
    ),
    Architecture(
        name="linear",
        summary="one linear layer: softmax regression, or least squares by optimiser",
        path="uproar.models.architectures.small:linear",
        data_kinds=("image", "table", "series"),
    ),
    Architecture(
        name="resnet18",
        summary="residual network of 18 layers; the stem goes by the size of the images",
        path="uproar.models.architectures.resnet:resnet18",
        paper="He et al. 2016, arXiv 1512.03385",
        needs="images",
        recipe=IMAGENET_RECIPE,
        data_kinds=("image",),
    ),
    Architecture(
        name="resnet50",
        summary="residual network of 50 layers, the model of the ROAR paper",
        path="uproar.models.architectures.resnet:resnet50",
        paper="He et al. 2016, arXiv 1512.03385",
        needs="images",
        recipe=IMAGENET_RECIPE,
        data_kinds=("image",),
    ),
    Architecture(
        name="transformer",
        summary="two encoder blocks of width 64 with four heads on token embeddings",
        path="uproar.models.architectures.transformer:transformer",
        paper="Vaswani et al. 2017, arXiv 1706.03762",
        needs="text",
        recipe=(("learning_rate", 2e-3), ("epochs", 3), ("batch_size", 64)),
        data_kinds=("text",),
    ),
)
