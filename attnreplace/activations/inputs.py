"""How the teacher reads a corpus: as pairs of sentences, texts with masks, texts, or images.

To add a task: a subclass of `Inputs` here and its line in `INPUTS`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from attnreplace.activations.plan import Plan, plan_shards
from attnreplace.activations.ragged import real_rows
from attnreplace.activations.schema import StoreIdentity
from attnreplace.data.batching import encode, pad
from attnreplace.data.blocks import encode_texts
from attnreplace.data.corpora import AnyCorpus
from attnreplace.data.corpus import Corpus
from attnreplace.data.images import ImageCorpus, Images
from attnreplace.data.masking import mask_blocks
from attnreplace.data.texts import TextCorpus, Texts
from attnreplace.errors import UserError
from attnreplace.hosts import Site, base_model
from attnreplace.teacher.load import Teacher

MASKING_SEED = 0
"""Seed of the masks under which activations are captured."""

Kind = Literal["pairs", "texts", "images"]


class Inputs(ABC):
    """The training and validation splits of a corpus as a teacher reads them.

    A line is what the teacher reads at a time: a pair, a text or block of text, an image.
    """

    kind: Kind
    """What a corpus has to hold, and a model to read."""
    line: str
    """What a line is, for messages."""
    lengths: dict[str, dict[str, list[int]]]
    """Tokens of every line, by split and axis; models without a decoder have the axis "source"."""

    @abstractmethod
    def __init__(
        self, teacher: Teacher, corpus: Any, max_length: int, max_train: int | None
    ) -> None:
        """Read.

        Args:
            corpus: one of the right kind.
            max_length: most tokens of a line, where the reading cuts it; else longer ones are
                left out later.
            max_train: only so many, from the first, of what the training split holds.
        """

    @abstractmethod
    def run(
        self,
        model: PreTrainedModel,
        split: str,
        lines: Sequence[int] | np.ndarray,
        device: torch.device,
        *,
        decoder: bool,
    ) -> dict[str, Tensor | None]:
        """Run the model's stacks over some lines; hooks see what there is to be seen.

        Args:
            model: the teacher's, on the device.
            decoder: whether the decoder has to run.

        Returns:
            The `real_rows` of each axis, on the device.
        """


class TextPairs(Inputs):
    """Translation: the encoder reads the source, the decoder the reference.

    Its input is the start token and the target without its last token, so that it has as many
    positions as the target has tokens.
    """

    kind, line = "pairs", "pair"

    def __init__(
        self, teacher: Teacher, corpus: Corpus, max_length: int, max_train: int | None
    ) -> None:
        splits = {"train": corpus.train.head(max_train), "validation": corpus.validation}
        self._ids = {
            split: {
                "source": encode(teacher.tokenizer, pairs.source),
                "target": encode(teacher.tokenizer, pairs.target, target=True),
            }
            for split, pairs in splits.items()
        }
        self.lengths = {
            split: {axis: list(map(len, ids)) for axis, ids in by_axis.items()}
            for split, by_axis in self._ids.items()
        }

    def run(
        self,
        model: PreTrainedModel,
        split: str,
        lines: Sequence[int] | np.ndarray,
        device: torch.device,
        *,
        decoder: bool,
    ) -> dict[str, Tensor | None]:
        """Run the encoder and, where it is asked for, the decoder."""
        ids, pad_id = self._ids[split], model.config.pad_token_id
        tokens, mask = pad([ids["source"][line] for line in lines], pad_id)
        # Counted before the masks leave for the device: no wait.
        rows = {"source": real_rows(mask.bool())}
        mask = mask.to(device)
        encoded = model.get_encoder()(input_ids=tokens.to(device), attention_mask=mask)
        if decoder:
            start = model.config.decoder_start_token_id
            read = [[start, *ids["target"][line][:-1]] for line in lines]
            inputs, real = pad(read, pad_id)
            rows["target"] = real_rows(real.bool())
            # No mask of its own: the decoder is causal, so padding on the right is never looked at.
            model.get_decoder()(
                input_ids=inputs.to(device),
                encoder_hidden_states=encoded.last_hidden_state,
                encoder_attention_mask=mask,
                use_cache=False,
            )
        return {axis: r if r is None else r.to(device) for axis, r in rows.items()}


class PlainTexts(Inputs):
    """Texts as they are, cut at the length limit."""

    kind, line = "texts", "text"

    def __init__(
        self, teacher: Teacher, corpus: TextCorpus, max_length: int, max_train: int | None
    ) -> None:
        splits = {"train": corpus.train.head(max_train), "validation": corpus.validation}
        self._ids = {
            split: self._encode(teacher.tokenizer, texts, max_length)
            for split, texts in splits.items()
        }
        self.lengths = {split: {"source": list(map(len, ids))} for split, ids in self._ids.items()}

    def _encode(self, tokenizer: Any, texts: Texts, max_length: int) -> list[list[int]]:
        return encode_texts(tokenizer, texts, max_length, "classification")

    def run(
        self,
        model: PreTrainedModel,
        split: str,
        lines: Sequence[int] | np.ndarray,
        device: torch.device,
        *,
        decoder: bool,
    ) -> dict[str, Tensor | None]:
        """Run the model without its head; there is no decoder."""
        # Where a model names no padding any token will do: nothing looks at it.
        pad_id = model.config.pad_token_id or 0
        tokens, mask = pad([self._ids[split][line] for line in lines], pad_id)
        rows = real_rows(mask.bool())
        base_model(model)(input_ids=tokens.to(device), attention_mask=mask.to(device))
        return {"source": rows if rows is None else rows.to(device)}


class MaskedTexts(PlainTexts):
    """Masked language modelling: blocks of running text with tokens masked.

    Which ones follows from the block's number alone: students learn on what they will meet.
    """

    line = "block"

    def _encode(self, tokenizer: Any, texts: Texts, max_length: int) -> list[list[int]]:
        blocks = encode_texts(tokenizer, texts, max_length, "mlm")
        return mask_blocks(blocks, tokenizer, MASKING_SEED)[0]


class PixelInputs(Inputs):
    """Images, every one as many tokens: nothing is padded."""

    kind, line = "images", "image"

    def __init__(
        self, teacher: Teacher, corpus: ImageCorpus, max_length: int, max_train: int | None
    ) -> None:
        self._splits: dict[str, Images] = {
            "train": corpus.train.head(max_train),
            "validation": corpus.validation,
        }
        self._teacher = teacher
        self.lengths = {
            split: {"source": [teacher.max_length] * len(images)}
            for split, images in self._splits.items()
        }

    def run(
        self,
        model: PreTrainedModel,
        split: str,
        lines: Sequence[int] | np.ndarray,
        device: torch.device,
        *,
        decoder: bool,
    ) -> dict[str, Tensor | None]:
        """Run the model without its head over images that are read only now."""
        pixels = self._teacher.pixels([self._splits[split].array(line) for line in lines])
        base_model(model)(pixel_values=pixels.to(device, model.dtype))
        return {"source": None}


INPUTS: dict[str, type[Inputs]] = {
    "translation": TextPairs,
    "mlm": MaskedTexts,
    "classification": PlainTexts,
    "image": PixelInputs,
}
"""By the name of the corpus' task."""


def identify(
    teacher: Teacher,
    corpus: AnyCorpus,
    sites: Sequence[Site],
    dtype: str,
    max_length: int | None,
    max_train: int | None,
) -> StoreIdentity:
    """What activations of these sites are made from.

    Raises:
        UserError: the teacher cannot read lines of `max_length` tokens.
    """
    longest = teacher.max_length
    if max_length is not None and max_length > longest:
        raise UserError(
            f"extract.max_length is {max_length}, but the teacher reads at most {longest} tokens; "
            "lower it"
        )
    return StoreIdentity(
        teacher_digest=teacher.digest,
        tokenizer_digest=teacher.tokenizer_digest,
        data_digest=corpus.digest,
        sites=tuple(str(site) for site in sites),
        dtype=dtype,
        max_length=max_length or longest,
        max_train=max_train,
    )


def read_corpus(
    teacher: Teacher, corpus: AnyCorpus, max_length: int, max_train: int | None
) -> Inputs:
    """Read the corpus as its task asks for.

    A model that predicts no tokens has seen no masks: it reads the texts of masked language
    modelling as they are.

    Raises:
        UserError: the teacher reads something else.
    """
    inputs, model = INPUTS[corpus.task], teacher.model
    if inputs.kind != (reads := _kind_of(model)):
        raise UserError(
            f"the teacher in {teacher.path} ({model.config.model_type}) reads {reads}, and the "
            f"task {corpus.task} is one of {inputs.kind}; set data.task to "
            f"{' or '.join(name for name, each in INPUTS.items() if each.kind == reads)}"
        )
    if inputs is MaskedTexts and model.get_output_embeddings() is None:
        inputs = PlainTexts
    return inputs(teacher, corpus, max_length, max_train)


def _kind_of(model: PreTrainedModel) -> Kind:
    """What a model reads."""
    if model.config.is_encoder_decoder:
        return "pairs"
    return "images" if model.main_input_name == "pixel_values" else "texts"


def plan_inputs(inputs: Inputs, max_length: int, shard_sentences: int) -> Plan:
    """Lay out the lines that are short enough, as `plan_shards`.

    Raises:
        UserError: in a split, none is.
    """
    plan = plan_shards(inputs.lengths, max_length, shard_sentences)
    for split in plan.splits:
        if not plan.of(split):
            raise UserError(
                f"no {inputs.line} of the split {split} has at most {max_length} tokens; raise "
                "extract.max_length or train a teacher of a greater max_length: students need "
                f"training and validation {inputs.line}s"
            )
    return plan
