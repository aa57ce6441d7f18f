"""What a model answers where some features are kept and the others give way to a baseline."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from uproar.models.trained import TrainedModel

# Rows and bytes of inputs of one forward pass, as measured. A module on the processor is fast while
# its activations stay in the cache, and those of convolutions are many times the inputs (2048 rows
# of a small convolutional network take a quarter more time, per row, than 512, and of dense layers
# a quarter less). An accelerator has to be kept busy, and an estimator takes milliseconds a call
# (a hundred trees take 6 times as long, per row, for 512 rows as for 8192).
ROWS, CONVOLUTION_ROWS, ROW_BYTES = 2**11, 2**9, 2**19
ACCELERATOR_ROWS, ACCELERATOR_ROW_BYTES = 2**14, 2**24
FUNCTION_ROWS, FUNCTION_ROW_BYTES = 2**13, 2**22
MASK_ENTRIES = 2**22  # of coalitions times features that are spelt out at once
ANSWERS = 2**22  # of examples times coalitions that are kept at once
WORTH_ASKING_ALL = 0.8  # share of changed inputs, above which choosing them takes longer


def rows_per_forward(model: TrainedModel, inputs: Tensor) -> int:
    """Return how many inputs one forward pass takes, at least one.

    :param inputs: (examples, *input_shape); only the shape, the type and the device are looked at.

    >>> def rows(module, values):
    ...     model = TrainedModel(module, *[torch.zeros(values)] * 3, feature_axes=1)
    ...     return rows_per_forward(model, torch.zeros(5, values))
    >>> rows(nn.Linear(64, 2), 64), rows(nn.Conv1d(1, 2, 3), 64), rows(nn.Linear(3072, 2), 3072)
    (2048, 512, 42)
    """
    if not isinstance(model.module, nn.Module):
        most, most_bytes = FUNCTION_ROWS, FUNCTION_ROW_BYTES
    elif inputs.is_cuda:
        most, most_bytes = ACCELERATOR_ROWS, ACCELERATOR_ROW_BYTES
    else:
        parts = model.module.modules()
        convolutions = any(isinstance(part, nn.modules.conv._ConvNd) for part in parts)
        most, most_bytes = CONVOLUTION_ROWS if convolutions else ROWS, ROW_BYTES
    example_bytes = max(1, math.prod(inputs.shape[1:]) * inputs.element_size())
    return min(most, max(1, most_bytes // example_bytes))


def examples_at_once(model: TrainedModel, inputs: Tensor, coalitions: int) -> int:
    """Return how many examples are explained together: all their answers are kept for a while.

    >>> model = TrainedModel(nn.Flatten(), *[torch.zeros(64)] * 3, 1)
    >>> [examples_at_once(model, torch.zeros(5, 64), coalitions) for coalitions in (1000, 10**6)]
    [2048, 4]
    """
    return min(rows_per_forward(model, inputs), max(1, ANSWERS // max(1, coalitions)))


def explained_outputs(
    model: TrainedModel,
    inputs: Float[Tensor, "examples *shape"],
    targets: Int[Tensor, "examples"],
) -> Float[Tensor, "examples"]:
    """Return ``model(inputs)[i, targets[i]]``, in passes of bounded memory."""
    rows = rows_per_forward(model, inputs)
    blocks = zip(inputs.split(rows), targets.split(rows), strict=True)
    return torch.cat([model(part).gather(1, wanted[:, None])[:, 0] for part, wanted in blocks])


def mixed_outputs(
    model: TrainedModel,
    inputs: Float[Tensor, "examples *shape"],
    targets: Int[Tensor, "examples"],
    *,
    absent: Float[Tensor, "examples *shape"],
    kept: Bool[Tensor, "coalitions players"] | Float[Tensor, "coalitions players"],
    player_of_value: Int[Tensor, "values"],
) -> Float[Tensor, "examples coalitions"]:
    """Return the explained output of every example under every coalition.

    ``f(m * x + (1 - m) * x0)``, with ``m`` the share of every value that a coalition keeps. True,
    or 1, keeps a value: coalitions are what the literature calls those who take part, the opposite
    of what is removed.

    :param inputs: (examples, *input_shape).
    :param targets: (examples,), the output explained.
    :param absent: what stands in for values that are not kept, like ``inputs``.
    :param kept: (coalitions, players), boolean, or shares in [0, 1].
    :param player_of_value: the player that every value of a flattened example belongs to.
    :returns: (examples, coalitions), of the outputs' type.

    >>> model = TrainedModel(lambda inputs: inputs.sum(1, keepdim=True), *[torch.zeros(3)] * 3, 1)
    >>> kept = torch.tensor([[True, True], [True, False], [False, True]])
    >>> mixed_outputs(model, torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([0]),
    ...               absent=torch.zeros(1, 3), kept=kept, player_of_value=torch.tensor([0, 1, 1]))
    tensor([[7., 1., 6.]])
    """
    rows, found = rows_per_forward(model, inputs), list[Tensor]()
    for start in range(0, len(inputs), rows):
        block = slice(start, start + rows)
        flat, stand_in = inputs[block].flatten(1), absent[block].flatten(1)
        together, wanted = max(1, rows // len(flat)), targets[block, None]
        answers = list[Tensor]()
        for some in torch.split(kept, max(1, MASK_ENTRIES // flat.shape[1])):
            shares = some.to(flat.dtype).index_select(1, player_of_value)
            for at in range(0, len(some), together):
                # Blends by a share where others would choose by a mask: the processor does it on
                # several numbers at once, and it is exact at 0 and 1.
                points = torch.lerp(stand_in, flat, shares[at : at + together, None])
                outputs = model(points.view(-1, *inputs.shape[1:])).reshape(*points.shape[:2], -1)
                answers.append(outputs.gather(2, wanted.expand(len(points), -1, -1))[..., 0])
        found.append(torch.cat(answers).T)
    return torch.cat(found)


def outputs_where_changed(
    model: TrainedModel,
    inputs: Float[Tensor, "examples *shape"],
    targets: Int[Tensor, "examples"],
    *,
    absent: Float[Tensor, "examples *shape"],
    kept: Bool[Tensor, "coalitions players"],
    player_of_value: Int[Tensor, "values"],
    whole: Float[Tensor, "examples"],
) -> Float[Tensor, "examples coalitions"]:
    """Return what :func:`mixed_outputs` does, and ask only about what coalitions change.

    Where everyone who leaves has a stand-in with the same values (dark pixels), the
    output is that of the whole example.

    :param whole: (examples,), the explained outputs of the examples as they are.

    >>> model = TrainedModel(lambda inputs: inputs.sum(1, keepdim=True), *[torch.zeros(2)] * 3, 1)
    >>> inputs, whole, kept = torch.tensor([[4.0, 0.0]]), torch.tensor([4.0]), ~torch.eye(2).bool()
    >>> with model.counting() as passes:
    ...     outputs = outputs_where_changed(
    ...         model, inputs, torch.tensor([0]), absent=torch.zeros(1, 2), kept=kept,
    ...         player_of_value=torch.arange(2), whole=whole)
    >>> outputs, passes.examples
    (tensor([[0., 4.]]), 1)
    """
    leaving = (~kept).to(torch.float32)
    changed = differs(inputs, absent, player_of_value).to(torch.float32) @ leaving.T > 0
    if changed.sum() > WORTH_ASKING_ALL * changed.numel():
        return mixed_outputs(
            model, inputs, targets, absent=absent, kept=kept, player_of_value=player_of_value
        )
    outputs = whole[:, None].repeat(1, len(kept))
    flat, stand_in = inputs.flatten(1), absent.flatten(1)
    rows, step = rows_per_forward(model, inputs), max(1, MASK_ENTRIES // flat.shape[1])
    for start in range(0, len(kept), step):
        some = slice(start, start + step)
        shares = kept[some].to(flat.dtype).index_select(1, player_of_value)
        answers = list[Tensor]()
        for example, coalition in (p.unbind(1) for p in changed[:, some].nonzero().split(rows)):
            # One baseline stands in for all examples of most data.
            one_for_all = stand_in.stride(0) == 0
            away = stand_in[:1] if one_for_all else stand_in.index_select(0, example)
            stays = shares.index_select(0, coalition)
            points = torch.lerp(away, flat.index_select(0, example), stays)
            found = model(points.view(-1, *inputs.shape[1:]))
            answers.append(found.gather(1, targets[example, None])[:, 0])
        if answers:
            outputs[:, some][changed[:, some]] = torch.cat(answers)
    return outputs


def differs(
    inputs: Float[Tensor, "examples *shape"],
    absent: Float[Tensor, "examples *shape"],
    player_of_value: Int[Tensor, "values"],
) -> Bool[Tensor, "examples players"]:
    """Say which players would change an example by leaving: some value is not the stand-in's.

    >>> differs(torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([[1.0, 2.0, 3.0]]),
    ...         torch.tensor([0, 1, 1])).tolist()
    [[False, True]]
    """
    changed = (inputs != absent).flatten(1).to(torch.int32)
    counts = changed.new_zeros(len(inputs), int(player_of_value.max()) + 1)
    return counts.index_add_(1, player_of_value, changed) > 0
