"""Whatever a module answers, as one output for each class or the value that is predicted."""

from __future__ import annotations

import copy
from collections.abc import Sized
from typing import Any, Literal

import torch
from jaxtyping import Shaped
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.parameter import is_lazy

from uproar.types import Task, UproarError

Form = Literal["logits", "single logit", "probabilities", "single probability", "values", "value"]

# What autograd calls the operations that end in a probability, and those that cannot.
BOUNDED = ("SigmoidBackward", "SoftmaxBackward")
UNBOUNDED = ("AddmmBackward", "MmBackward", "BmmBackward", "ConvolutionBackward", "LinearBackward")
# Operations that move numbers about and do not change them.
MOVING = (
    *("View", "UnsafeView", "ReshapeAlias", "Squeeze", "Unsqueeze", "Select", "Slice", "Expand"),
    *("Transpose", "Permute", "T", "Clone", "Alias", "ToCopy", "Index"),
)
LARGE = 100.0  # times the sample: probabilities stay in [0, 1], logits hardly ever
TOLERANCE = 1e-4  # of a sum of probabilities in single precision


def form_of(
    module: nn.Module, sample: Shaped[Tensor, "examples *shape"], *, outputs: int, task: Task
) -> Form:
    """Return the form in which a module answers, from what it makes of a sample.

    Classification: ``outputs`` numbers for each example are ``logits``, or ``probabilities`` where
    they lie in [0, 1] and add up to 1, or come out of a sigmoid. With two classes, one number for
    each example is a ``single probability`` of the second class where it comes out of a sigmoid,
    else a ``single logit``. Where the operations cannot be looked at, a number that is in [0, 1]
    for the sample and for 100 times the sample counts as a probability. Regression: ``values``
    are (examples, 1), a ``value`` is (examples,).

    :param sample: at least two examples, float32, or int64 token ids.
    :param outputs: number of classes; 1 for regression.
    :raises UproarError: when the module takes no such inputs, or answers in no such form.

    >>> form_of(nn.Sequential(nn.Linear(3, 1), nn.Sigmoid()), torch.zeros(2, 3), outputs=2,
    ...         task="classification")
    'single probability'
    """
    if any(is_lazy(part) for part in (*module.parameters(), *module.buffers())):
        raise UproarError(
            "the model has lazy layers, whose sizes are known after the first inputs alone; give "
            "the layers their sizes, or call the module once in its factory"
        )
    # A copy, because modules may keep what they computed, and that cannot be copied later.
    probe = copy.deepcopy(module).eval()
    answer = _answer(probe, sample)
    _check(answer, sample, outputs, task)
    if task == "regression":
        return "value" if answer.ndim == 1 else "values"
    single = answer.ndim == 1 or answer.shape[1] != outputs
    if _are_probabilities(probe, sample, answer, single=single):
        return "single probability" if single else "probabilities"
    return "single logit" if single else "logits"


def _answer(module: nn.Module, sample: Tensor) -> Any:
    try:
        with torch.no_grad():
            return module(sample)
    # Whatever a module of somebody else raises, it does so because it was given these inputs.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise UproarError(
            f"the model does not accept {sample.dtype} inputs of shape {tuple(sample.shape)}: "
            f"{type(error).__name__}: {reason}"
        ) from error


def _check(answer: Any, sample: Tensor, outputs: int, task: Task) -> None:
    """Refuse what is no number for each class, or no value."""
    examples = len(sample)
    what = "one per class" if task == "classification" else "the value"
    wanted = f"outputs of shape {(examples, outputs)}, {what}"
    if not isinstance(answer, Tensor):
        size = f" of {len(answer)}" if isinstance(answer, Sized) else ""
        raise UproarError(
            f"the model must return a tensor, {wanted}, got {type(answer).__name__}{size}; wrap "
            "it in a module that returns the tensor alone"
        )
    shapes: set[tuple[int, ...]] = {(examples, outputs)}
    if outputs == 1 or (task == "classification" and outputs == 2):
        shapes |= {(examples, 1), (examples,)}
    shape, given = tuple(answer.shape), f"inputs of shape {tuple(sample.shape)}"
    if shape not in shapes:
        hint = ""
        if examples not in shape[:1]:
            hint = "; examples must come first"
        elif len(shape) == 2 and task == "classification":
            hint = f": the data have {outputs} classes, the model {shape[1]}"
        raise UproarError(f"the model must return {wanted}, for {given}, got {shape}{hint}")
    if not answer.is_floating_point():
        raise UproarError(
            f"the model must return numbers that rise with what it predicts, got {answer.dtype}; "
            "return logits or probabilities in place of classes"
        )
    if not bool(answer.isfinite().all()):
        raise UproarError(f"the model answers with nan or infinity to {given}, already untrained")


def _are_probabilities(module: nn.Module, sample: Tensor, answer: Tensor, *, single: bool) -> bool:
    if not _within(answer):
        return False
    if not single and bool(((answer.sum(1) - 1).abs() < TOLERANCE).all()):
        return True
    operation = _last_operation(module, sample)
    if operation.startswith((*BOUNDED, *UNBOUNDED)):
        return operation.startswith(BOUNDED)
    # Several numbers in [0, 1] that do not add up to 1 and come from nothing known are logits.
    return single and _within(
        _answer(module, sample * LARGE if sample.is_floating_point() else sample)
    )


def _within(answer: Tensor) -> bool:
    return bool(((answer >= 0) & (answer <= 1)).all())


def _last_operation(module: nn.Module, sample: Tensor) -> str:
    """Return autograd's name for the operation that computed the answer; "" when there is none."""
    state = {
        name: value.detach().requires_grad_(value.is_floating_point())
        for name, value in module.named_parameters()
    }
    with torch.enable_grad():
        node = functional_call(module, state, (sample,)).grad_fn
    while node is not None and node.name().partition("Backward")[0] in MOVING:
        node = node.next_functions[0][0]
    return "" if node is None else str(node.name())


def adapted(module: nn.Module, form: Form) -> nn.Module:
    """Return the module with outputs (examples, outputs) that a loss can be taken of.

    The softmax of the outputs is what the module says: a single logit z becomes (-z / 2, z / 2),
    whose softmax is the sigmoid of z; probabilities p become log p, a single one (log(1 - p),
    log p). Logits and values are the module itself.

    :param form: what :func:`form_of` returned for such a module.

    >>> adapted(nn.Identity(), "single logit")(torch.tensor([2.0, -4.0])).tolist()
    [[-1.0, 1.0], [2.0, -2.0]]
    """
    return module if form in {"logits", "values"} else Adapted(module, form)


class Adapted(nn.Module):
    """A module whose answers are turned into outputs for each class, or into a column.

    ``inner`` is the module, a child like any other, so that layers and parameters are found.
    """

    def __init__(self, inner: nn.Module, form: Form) -> None:
        super().__init__()
        self.inner = inner
        self.form = form

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs (examples, outputs)."""
        answer: Tensor = self.inner(inputs)
        if self.form == "probabilities":
            return _logarithm(answer)
        column = answer.reshape(len(inputs), 1)
        if self.form == "single logit":
            return torch.cat([-column / 2, column / 2], 1)
        if self.form == "single probability":
            return _logarithm(torch.cat([1 - column, column], 1))
        return column


def _logarithm(probabilities: Tensor) -> Tensor:
    """Return logarithms, finite where a probability is zero."""
    return probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny).log()
