"""Pre-trained text models of Hugging Face, by name or folder (extra ``text``)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from uproar.dataset import Data
from uproar.registry import library
from uproar.types import UproarError


class Classifier(nn.Module):
    """A model of ``transformers`` as one from token ids to outputs; padding is masked."""

    def __init__(self, model: nn.Module, *, pad: int) -> None:
        super().__init__()
        self.model, self.pad = model, pad

    def forward(self, ids: Int[Tensor, "rows length"]) -> Float[Tensor, "rows outputs"]:
        """Return the outputs for token ids."""
        outputs: Tensor = self.model(input_ids=ids, attention_mask=(ids != self.pad).long()).logits
        return outputs


@dataclass(frozen=True)
class HuggingFace:
    """A factory of pre-trained models: each call returns one as it was published.

    What the published model lacks for these data, its last layer as a rule, is drawn from torch's
    global generator. It is read once and kept in memory. Made by :func:`hugging_face`.
    """

    name: str
    outputs: int
    pad: int

    def __call__(self) -> Classifier:
        """Return a module from token ids (rows, length) to outputs (rows, outputs)."""
        config, state = self.published
        transformers = library("transformers", "text")
        with _quiet(transformers):
            model = transformers.AutoModelForSequenceClassification.from_config(config).float()
        model.load_state_dict(state, strict=False)
        return Classifier(model, pad=self.pad)

    @cached_property
    def published(self) -> tuple[Any, dict[str, Tensor]]:
        """The configuration and the pre-trained weights, less those that do not fit."""
        transformers = library("transformers", "text")
        # Weights that are missing are drawn on reading, which must not shift what a seed gives.
        with torch.random.fork_rng(devices=[]), _quiet(transformers):
            model, report = transformers.AutoModelForSequenceClassification.from_pretrained(
                self.name,
                num_labels=self.outputs,
                pad_token_id=self.pad,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                trust_remote_code=False,
            )
        model.float()  # some are published in half precision, which does not train well
        drawn = {*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])}
        kept = {key: value for key, value in model.state_dict().items() if key not in drawn}
        return model.config, kept


def hugging_face(name: str, data: Data) -> HuggingFace:
    """Return a factory of the sequence classifier (or regression) called ``name``.

    Data have to be encoded with the tokenizer of the model:
    :func:`uproar.data.text.hugging_face.tokenizer_of`. Training again is fine-tuning: it starts
    from the published weights, so that a model published for the very task has seen it before.

    :param name: a name on Hugging Face, or a folder written by ``save_pretrained``.
    :raises UproarError: when ``transformers`` is missing, data are no text, have tokens that
        the model does not know or more than it takes, or there is no such model here.
    """
    if data.vocabulary is None:
        raise UproarError(
            f"model {name!r} needs text, but data {data.name!r} are of kind {data.kind!r}"
        )
    factory = HuggingFace(name, data.outputs, data.vocabulary.pad)
    _check_published(factory, len(data.vocabulary.tokens), data.feature_shape[-1])
    return factory


def _check_published(factory: HuggingFace, tokens: int, length: int) -> None:
    name = factory.name
    try:
        config, _ = factory.published  # read now, so that errors come at once
    except (OSError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UproarError(
            f"no model {name!r}: it is neither a folder written by save_pretrained nor can it be "
            f"fetched from Hugging Face ({reason})"
        ) from error
    known = config.get_text_config().vocab_size
    if tokens > known:
        raise UproarError(
            f"model {name!r} knows {known} tokens, but the data have {tokens}; encode them with "
            "the tokenizer of the model"
        )
    positions = getattr(config, "max_position_embeddings", None) or length
    if 0 < positions < length:
        raise UproarError(
            f"model {name!r} takes {positions} tokens, but texts have up to {length}; encode them "
            "with the tokenizer of the model, or say length"
        )


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Keep the library from reporting what is expected: that a layer is new."""
    logging = transformers.utils.logging
    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()
