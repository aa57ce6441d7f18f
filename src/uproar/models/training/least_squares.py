"""Linear models in closed form: regression, and the classifier of the paper's toy experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from uproar.models.training.batches import Batches
from uproar.models.training.dense import dense_layers
from uproar.types import UproarError

# Columns that removal made constant have no variance; singular values below this share of the
# largest one count as zero, and the solution of smallest norm is taken.
RELATIVE_TOLERANCE = 1e-6


@torch.no_grad()
def fit_least_squares(
    module: nn.Module, batches: Batches, labels: Tensor, *, seeds: Sequence[int]
) -> dict[str, Tensor]:
    """Fit every arm by least squares, on one-hot labels or values, and return the stacked states.

    Minimises sum over examples of ||W x + b − onehot(y)||² (of ||W x + b − y||² for values) with
    the W of smallest norm, in double precision. Initial weights and data order play no part, so
    that repeats coincide, unless the batches draw something (retrain-once): that is drawn once, by
    ``seeds[arm]``.

    :raises UproarError: when the module is anything but one linear layer.
    """
    named = dense_layers(module)
    if named is None or len(named) != 1:
        raise UproarError(
            "optimiser 'least-squares' fits one linear layer, and the model has more; "
            "use model 'linear', or optimiser 'adam' or 'sgd'"
        )
    (name, layer), index = named[0], torch.arange(len(labels), device=labels.device)[None]
    wanted = _wanted(labels, layer.out_features)
    weights, biases = [], []
    for arm in range(batches.arms):
        drawn = [torch.Generator().manual_seed(seeds[arm])]
        inputs = batches.batch(slice(arm, arm + 1), index, drawn)[0].double()
        centre, level = inputs.mean(0), wanted.mean(0)
        covariance = (inputs - centre).T @ (inputs - centre)
        inverse = torch.linalg.pinv(covariance, rtol=RELATIVE_TOLERANCE**2, hermitian=True)
        weight = (inverse @ (inputs - centre).T @ (wanted - level)).T
        weights.append(weight)
        biases.append(level - weight @ centre)
    state: Mapping[str, list[Tensor]] = {f"{name}.weight": weights, f"{name}.bias": biases}
    return {key: torch.stack(values).float() for key, values in state.items()}


def _wanted(labels: Tensor, outputs: int) -> Tensor:
    """Return what the layer should answer, (examples, outputs)."""
    if labels.is_floating_point():
        return labels[:, None].double()
    return nn.functional.one_hot(labels, outputs).double()
