"""The trained model as explainers see it: scores, gradients, and what its inputs look like."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from uproar.types import Kind, Skipped


@dataclass
class Passes:
    """How many examples have gone through a model, each time that one did."""

    examples: int = 0


def _as_they_are(inputs: Tensor) -> Tensor:
    return inputs


@dataclass(frozen=True)
class TrainedModel:
    """A trained model with frozen parameters, in evaluation mode.

    ``module`` maps inputs (examples, *input_shape) to outputs (examples, outputs): one logit or
    probability for each class, or the value that is predicted. It is a ``torch.nn.Module``, or
    any callable on tensors, which has no gradients.

    Explainers of text see it *embedded*: inputs are (examples, 1 + dimensions, length), where
    channel 0 holds the token ids and the others what the embedding makes of them, so that
    gradients reach tokens. Channel 0 is no number to compute with: :meth:`baseline` leaves it as
    it is, and ``spread`` is zero there.

    ``black`` is the input that shows nothing (the paper's black image; zero, which is the mean
    after standardisation, for tables; the mask token for text), ``mean`` the mean training input,
    and ``spread`` the range (largest less smallest) that an input can take; all three broadcast to
    one example. ``feature_axes`` counts the trailing axes of an input that make up the features;
    where features are other groups of values, ``groups`` has the feature of every value of a
    flattened example, and ``feature_shape`` the shape that features have then. ``background`` are
    some training inputs in random order, for explanations that compare with them. ``held_out`` are
    inputs and labels that the model was not trained on, for explanations of the whole function:
    int64 classes, or float32 values of a regression. ``refits`` trains anew, with a seed, with all
    features and then without each of them, and returns the answers to the held-out inputs,
    (1 + features, examples, outputs); None where the model cannot be trained. ``seen`` makes what
    the model takes of the inputs of the data: text is embedded.
    """

    module: nn.Module | Callable[[Tensor], Tensor]
    black: Tensor
    mean: Tensor
    spread: Tensor
    feature_axes: int
    kind: Kind = "table"
    groups: Tensor | None = None
    feature_shape: tuple[int, ...] = ()
    held_out: tuple[Tensor, Tensor] | None = None
    background: Tensor | None = None
    refits: Callable[[int], Tensor] | None = None
    seen: Callable[[Tensor], Tensor] = _as_they_are
    passes: Passes = field(default_factory=Passes, compare=False, repr=False)

    def __call__(
        self, inputs: Float[Tensor, "examples *shape"]
    ) -> Float[Tensor, "examples outputs"]:
        """Return the outputs."""
        if not isinstance(self.module, nn.Module):  # whose passes a hook counts
            self.passes.examples += len(inputs)
        outputs: Tensor = self.module(inputs)
        return outputs

    @contextmanager
    def counting(self) -> Iterator[Passes]:
        """Count the examples that go through the model, whoever calls it, in this thread.

        >>> model = TrainedModel(nn.Linear(2, 1), *[torch.zeros(2)] * 3, feature_axes=1)
        >>> with model.counting() as passes:
        ...     _ = model(torch.zeros(5, 2)), model.network(torch.zeros(3, 2))
        >>> passes.examples
        8
        """
        if not isinstance(self.module, nn.Module):
            yield self.passes
            return
        thread = threading.get_ident()

        def count(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            if threading.get_ident() == thread:
                self.passes.examples += len(arguments[0])

        handle = self.module.register_forward_pre_hook(count)
        try:
            yield self.passes
        finally:
            handle.remove()

    @property
    def network(self) -> nn.Module:
        """The module; raises :class:`Skipped` where there is none to take gradients of."""
        if not isinstance(self.module, nn.Module):
            raise Skipped("it needs gradients, and this model is no torch module")
        return self.module

    def gradient(
        self, inputs: Float[Tensor, "examples *shape"], targets: Int[Tensor, "examples"]
    ) -> Float[Tensor, "examples *shape"]:
        """Return d output[target] / d input of every example, before the softmax.

        :raises Skipped: when the model has no gradients.
        """
        module = self.network
        with torch.enable_grad():
            leaf = inputs.detach().requires_grad_()
            chosen = module(leaf).gather(1, targets[:, None]).sum()
            (gradient,) = torch.autograd.grad(chosen, leaf)
        return gradient

    def baseline(
        self, inputs: Float[Tensor, "examples *shape"], which: str = "black"
    ) -> Float[Tensor, "examples *shape"]:
        """Return what stands for no information: ``black``, ``mean`` or ``zero``, like inputs."""
        values = {"black": self.black, "mean": self.mean, "zero": torch.zeros_like(self.black)}
        chosen = values[which].expand_as(inputs)
        if self.kind == "text":
            return torch.cat([inputs[:, :1], chosen[:, 1:]], 1)
        return chosen

    def shape_of_features(self, inputs: Float[Tensor, "examples *shape"]) -> tuple[int, ...]:
        """Return the shape of the features of one example of ``inputs``."""
        return self.feature_shape or tuple(inputs.shape[inputs.ndim - self.feature_axes :])

    def feature_of_value(self, inputs: Float[Tensor, "examples *shape"]) -> Int[Tensor, "values"]:
        """Return the feature of every value of a flattened example.

        >>> model = TrainedModel(nn.Flatten(), *[torch.zeros(2, 3)] * 3, feature_axes=1)
        >>> model.feature_of_value(torch.zeros(1, 2, 3)).tolist()  # two channels, three features
        [0, 1, 2, 0, 1, 2]
        """
        if self.groups is not None:
            return self.groups
        features = inputs.shape[inputs.ndim - self.feature_axes :].numel()
        values = inputs.shape[1:].numel()
        return torch.arange(features, device=inputs.device).repeat(values // features)

    def spread_over_values(
        self,
        importance: Float[Tensor, "examples features"],
        inputs: Float[Tensor, "examples ..."],
    ) -> Float[Tensor, "examples ..."]:
        """Return an attribution like ``inputs``, whose sums over features are their importance."""
        feature = self.feature_of_value(inputs)
        sizes = torch.bincount(feature).to(importance.dtype)
        return (importance / sizes)[:, feature].view(inputs.shape)
