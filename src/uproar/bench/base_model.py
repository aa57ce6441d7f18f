"""What a base model answers, and what is known of its data: the facts that reports start from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from uproar.dataset import PARTS, Data, Split, label_text
from uproar.explain.chunks import rows_per_pass
from uproar.models.learner import Predictor
from uproar.models.scoring import example_scores


@dataclass(frozen=True)
class Predictions:
    """The answers of a base model to one split.

    ``targets`` is the output that explainers explain: the predicted class, or 0 for a value.
    ``predicted`` is the class, or the standardised value.
    """

    targets: NDArray[np.int64]
    predicted: NDArray[np.generic]
    scores: NDArray[np.bool_] | NDArray[np.float32]

    def summary(self) -> dict[str, Any]:
        """Return the number of examples and their mean score."""
        mean = float(self.scores.mean(dtype=np.float64)) if len(self.scores) else None
        return {"score": mean, "examples": len(self.scores)}


@torch.no_grad()
def predictions_of(predictor: Predictor, split: Split, device: torch.device) -> Predictions:
    """Ask a model about every example of a split, in passes of bounded memory."""
    inputs, labels = torch.from_numpy(split.inputs), torch.from_numpy(split.labels)
    if not len(split):
        return Predictions(np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.float32))
    rows = rows_per_pass(inputs)
    outputs = torch.cat([predictor(part.to(device)).cpu() for part in inputs.split(rows)]).float()
    if labels.is_floating_point():
        targets = np.zeros(len(split), np.int64)
        predicted: NDArray[np.generic] = outputs[:, 0].numpy()
    else:
        targets = predicted = outputs.argmax(1).numpy()
    return Predictions(targets, predicted, example_scores(outputs[None], labels)[0])


def chance_p_value(data: Data, scores: NDArray[np.generic]) -> float:
    """Return how often a model that has learned nothing would score as well as this.

    Classes: a one-sided binomial test against the rate of train's most frequent class. Values: a
    one-sided t-test of the examples' scores, whose mean is R², against zero.

    :param scores: of the validation examples.
    """
    from scipy.stats import binomtest, ttest_1samp

    if len(scores) < 2:
        return 0.0  # too few to doubt
    if data.task == "regression":
        return float(ttest_1samp(scores.astype(np.float64), 0.0, alternative="greater").pvalue)
    majority = np.bincount(data.train.labels).argmax()
    rate = float((data.validation.labels == majority).mean())
    return float(binomtest(int(scores.sum()), len(scores), rate, "greater").pvalue)


def facts_of(data: Data, shown: Sequence[int]) -> dict[str, Any]:
    """Return what the report tells of the data, and of the test examples that it shows."""
    labels = data.test.labels
    regression = data.task == "regression"
    return {
        "kind": data.kind,
        "task": data.task,
        "score": "R²" if regression else "accuracy",
        "features": data.features,
        "feature_shape": data.feature_shape,
        "input_shape": data.input_shape,
        "class_names": data.class_names,
        "feature_names": data.feature_names,
        "value_range": data.value_range,
        "majority_rate": data.majority_rate,
        "label_centre": data.label_centre,
        "label_scale": data.label_scale,
        "label_variance": float(labels.var(dtype=np.float64)) * data.label_scale**2
        if regression
        else None,
        "vocabulary": len(data.vocabulary.tokens) if data.vocabulary else None,
        "labels": [
            label_text(labels[example], data.class_names, data.label_centre, data.label_scale)
            for example in shown
        ],
        "texts": [texts_of(data, example) for example in shown],
        "notes": data.notes,
        **{part: len(getattr(data, part)) for part in PARTS},
    }


def texts_of(data: Data, example: int) -> list[str]:
    """Return what people read of a test example: its tokens, or the values of a table's row."""
    if data.vocabulary is not None:
        one = Split(
            data.test.inputs[example : example + 1], data.test.labels[example : example + 1]
        )
        present = data.present(one)
        assert present is not None
        own = present[0]
        if data.test_texts is not None:  # words that train lacks as they were written
            return [str(text) for text in data.test_texts[example][own]]
        return [data.vocabulary.tokens[int(token)] for token in data.test.inputs[example][own]]
    return [] if data.test_texts is None else [str(text) for text in data.test_texts[example]]
