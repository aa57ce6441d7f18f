"""Slow and obvious references for training: one model, one step after the other, as in tutorials.

Apart from the other oracles because these need PyTorch.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import torch


def data_order(examples: int, batch_size: int, epochs: int, seed: int) -> list[torch.Tensor]:
    """One permutation an epoch, cut into batches; the last one may be smaller."""
    generator = torch.Generator().manual_seed(seed)
    batches = []
    for _ in range(epochs):
        order = torch.randperm(examples, generator=generator)
        starts = range(0, examples, batch_size)
        batches += [order[start : start + batch_size] for start in starts]
    return batches


def rate(schedule: str, step: int, steps: int) -> float:
    """Share of the learning rate at a step."""
    if schedule == "constant":
        return 1.0
    if schedule == "cosine":
        return (1 + math.cos(math.pi * step / steps)) / 2
    epoch = 90 * Fraction(step, steps)  # of the 90 that the paper's schedule is written for
    if epoch < 5:
        return float(epoch / 5)
    if epoch < 30:
        return 1.0
    if epoch < 60:
        return 0.1
    return 0.01 if epoch < 80 else 0.001


def parameters_with_decay(module: torch.nn.Module, decay: float) -> list[dict]:
    """One group for each layer's own parameters; those of normalisation do not decay."""
    scaling = (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d, torch.nn.LayerNorm, torch.nn.GroupNorm)
    seen: list[torch.Tensor] = []
    groups = []
    for layer in module.modules():
        own = [p for p in layer.parameters(recurse=False) if not any(p is q for q in seen)]
        groups.append({"params": own, "weight_decay": 0 if isinstance(layer, scaling) else decay})
        seen += own
    return groups


def loss(outputs: torch.Tensor, labels: torch.Tensor, smoothing: float) -> torch.Tensor:
    """Squared error of values; cross-entropy of classes with a share of the label for each."""
    if labels.dtype == torch.float32:
        return ((outputs[:, 0] - labels) ** 2).sum() / len(labels)
    classes = outputs.shape[1]
    wanted = (1 - smoothing) * torch.eye(classes)[labels] + smoothing / classes
    shares = outputs.exp() / outputs.exp().sum(1, keepdim=True)
    return -(wanted * shares.log()).sum() / len(labels)


def trained(
    module: torch.nn.Module,
    inputs: np.ndarray,
    labels: np.ndarray,
    *,
    seed: int,
    optimiser: str,
    learning_rate: float,
    schedule: str,
    epochs: int,
    batch_size: int,
    weight_decay: float,
    label_smoothing: float,
) -> dict[str, torch.Tensor]:
    """Train one module on inputs that are degraded already, as any tutorial does it."""
    x, y = torch.tensor(inputs), torch.tensor(labels)
    order = data_order(len(x), batch_size, epochs, seed)
    groups = parameters_with_decay(module, weight_decay)
    if optimiser == "sgd":
        update = torch.optim.SGD(groups, learning_rate, momentum=0.9, nesterov=True, foreach=False)
    else:
        update = torch.optim.Adam(groups, learning_rate, foreach=False)
    torch.manual_seed(seed)  # what dropout draws from
    module.train()
    for step, batch in enumerate(order):
        for group in update.param_groups:
            group["lr"] = learning_rate * rate(schedule, step, len(order))
        update.zero_grad()
        loss(module(x[batch]), y[batch], label_smoothing).backward()
        update.step()
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def least_squares(inputs: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Weights (values + 1, classes) of the smallest norm but for the intercept, in the last row."""
    flat = inputs.reshape(len(inputs), -1).astype(np.float64)
    is_value = labels.dtype == np.float32
    wanted = labels.astype(np.float64)[:, None] if is_value else np.eye(classes)[labels]
    centre, level = flat.mean(0), wanted.mean(0)
    weights = np.linalg.lstsq(flat - centre, wanted - level, rcond=1e-6)[0]
    return np.vstack([weights, level - centre @ weights])


def least_squares_correct(
    weights: np.ndarray, inputs: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Whether the class of the largest score is the label."""
    flat = inputs.reshape(len(inputs), -1).astype(np.float64)
    scores = flat @ weights[:-1] + weights[-1]
    return np.asarray(scores.argmax(1) == labels)


def correct(module: torch.nn.Module, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether the class of the largest logit is the label, one example at a time."""
    module.eval()
    with torch.no_grad():
        answers = [int(module(torch.tensor(one[None]))[0].argmax()) for one in inputs]
    return np.array(answers) == labels
