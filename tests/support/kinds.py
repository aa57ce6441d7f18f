"""Data and models of every kind, and runs of them: what the tests from end to end share."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tests.support.small_runs import silent
from uproar import Recipe, Result, evaluate
from uproar.dataset import Data
from uproar.stats.verdicts import UNCLEAR
from uproar.stats.verdicts import verdicts as judge

TRAIN, TEST = 500, 300
WIDTH = 16

Part = tuple[NDArray[np.float32], NDArray[Any]]


class BagOfWords(nn.Module):
    """The mean of the embeddings of a text's tokens, and a linear layer."""

    def __init__(self, data: Data) -> None:
        super().__init__()
        assert data.vocabulary is not None
        self.pad = data.vocabulary.pad
        self.token = nn.Embedding(len(data.vocabulary.tokens), WIDTH)
        self.head = nn.Linear(WIDTH, data.outputs)

    def forward(self, ids: Tensor) -> Tensor:
        present = (ids != self.pad).to(self.head.weight.dtype)[..., None]
        return self.head((self.token(ids) * present).sum(1) / present.sum(1).clamp(min=1))


class Brightness(nn.Module):
    """By how much pixels exceed some thresholds, summed wherever they are, and a linear layer."""

    def __init__(self, data: Data) -> None:
        super().__init__()
        self.register_buffer("thresholds", torch.linspace(0.4, 0.9, 6))
        self.head = nn.Linear(6, data.outputs)

    def forward(self, images: Tensor) -> Tensor:
        return self.head((images.flatten(1)[..., None] - self.thresholds).relu().sum(1))


def table(*, regression: bool = False) -> tuple[Part, Part]:
    """Draw tables of 8 columns, on the first 3 of which alone the label depends."""
    inputs = np.random.default_rng(0).standard_normal((TRAIN + TEST, 8)).astype(np.float32)
    value = inputs[:, :3].sum(1)
    return _parts(inputs, value if regression else (value > 0).astype(np.int64))


def series() -> tuple[Part, Part]:
    """Draw series of 2 channels and 10 steps, the last of which is high or low by class."""
    labels = np.arange(TRAIN + TEST) % 2
    inputs = 0.5 * np.random.default_rng(0).standard_normal((len(labels), 2, 10))
    inputs[:, :, 9] += (2 * labels - 1)[:, None]
    return _parts(inputs.astype(np.float32), labels)


def images() -> tuple[Part, Part]:
    """Draw grey images of 6 × 6 pixels, 2 × 2 of which are bright or dark by class."""
    labels = np.arange(TRAIN + TEST) % 2
    inputs = 0.5 * np.random.default_rng(0).standard_normal((len(labels), 1, 6, 6))
    inputs[:, :, 2:4, 2:4] += (2 * labels - 1)[:, None, None, None]
    return _parts(inputs.astype(np.float32), labels)


def _parts(inputs: NDArray[np.float32], labels: NDArray[Any]) -> tuple[Part, Part]:
    return (inputs[:TRAIN], labels[:TRAIN]), (inputs[TRAIN:], labels[TRAIN:])


def measured(model: Any, data: tuple[Part, Part], out: Path, **options: Any) -> Result:
    """Evaluate a model with a run that is as small as can be."""
    values = {
        "explainers": ["pfi"],
        "fractions": [0.375],  # three of eight
        "repeats": 3,
        "base_models": 1,
        "recipe": Recipe(epochs=8, learning_rate=2e-2),
        "retrain_once_epochs": 8,
        "spec": {"bootstrap_draws": 400, "mask_only_repeats": 1},
        "log": silent,
        "quiet": True,
        **options,
    }
    return evaluate(model, *data, out=out, **values)


def verdicts(result: Result, explainer: str) -> dict[str, str]:
    """Return an explainer's verdict by every protocol that was run.

    A few hundred test examples seldom prove a mask clear: where it is unclear, what the gain says.
    """
    gains = result.conclusions.gains.query("explainer == @explainer")
    assert set(gains["reason"]) <= {"", UNCLEAR}
    judged = judge(gains.assign(reason=""))
    return dict(zip(gains["protocol"], judged, strict=True))


class Gallery(HTMLParser):
    """Tags and classes of the gallery of a report."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.depth = 0
        self.tags: set[str] = set()
        self.classes: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if self.depth or attributes.get("id") == "gallery":
            self.depth += tag == "section"
            self.tags.add(tag)
            self.classes |= set((attributes.get("class") or "").split())

    def handle_endtag(self, tag: str) -> None:
        self.depth -= bool(self.depth) and tag == "section"
