"""How a model without a decoder reads a test set: batches of examples of one length."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from attnreplace.data.batching import encode, pad, token_batches
from attnreplace.data.images import Images
from attnreplace.errors import UserError
from attnreplace.evaluate.record import OverLong
from attnreplace.evaluate.scorers.base import Setup
from attnreplace.progress import Task
from attnreplace.teacher.load import Teacher


class Examples(ABC):
    """The examples of a test set, in its order."""

    lengths: Sequence[int]
    """Tokens of each."""

    @abstractmethod
    def batch(self, rows: Sequence[int]) -> dict[str, Tensor]:
        """What a model is called with for some of them, on the CPU."""


@dataclass(frozen=True)
class TokenRows(Examples):
    """Texts as token ids, padded on the right to the longest of a batch."""

    ids: Sequence[Sequence[int]]
    pad_id: int

    @property
    def lengths(self) -> list[int]:  # type: ignore[override]
        """Those of the texts."""
        return [len(row) for row in self.ids]

    def batch(self, rows: Sequence[int]) -> dict[str, Tensor]:
        """`input_ids` and `attention_mask`, `(batch, seq)`."""
        ids, mask = pad([self.ids[row] for row in rows], self.pad_id)
        return {"input_ids": ids, "attention_mask": mask}


@dataclass(frozen=True)
class Pictures(Examples):
    """Images, each as many tokens as any other, scaled as the teacher was trained."""

    images: Images
    teacher: Teacher

    @property
    def lengths(self) -> list[int]:  # type: ignore[override]
        """Patches and what is put before them."""
        return [self.teacher.max_length] * len(self.images)

    def batch(self, rows: Sequence[int]) -> dict[str, Tensor]:
        """`pixel_values`, `(batch, channels, height, width)`."""
        return {"pixel_values": self.teacher.pixels([self.images.array(row) for row in rows])}


def read(
    model: PreTrainedModel, examples: Examples, batch_tokens: int, task: Task
) -> Iterator[tuple[list[int], dict[str, Tensor], Any]]:
    """Run a model over all examples, the longest first.

    Args:
        model: in eval mode; a whole one, or one without its head.
        examples: what it reads.
        batch_tokens: bound on a batch's padded tokens.
        task: counts examples.

    Yields:
        Indices of the examples in a batch, what the model read, and what it said, on its device.
    """
    for rows in token_batches(examples.lengths, batch_tokens):
        batch = {name: value.to(model.device) for name, value in examples.batch(rows).items()}
        if "pixel_values" in batch:
            batch["pixel_values"] = batch["pixel_values"].to(model.dtype)
        with torch.no_grad():
            said = model(**batch)
        yield rows, batch, said
        task.advance(len(rows))


def text_rows(setup: Setup, lines: Sequence[str], limit: int) -> tuple[TokenRows, OverLong]:
    """Texts with the tokenizer's special tokens, those over the limit cut off and counted.

    Raises:
        UserError: there is one over the limit, and cutting it off is not what was asked for.
    """
    tokenizer, policy = setup.teacher.tokenizer, setup.config.over_long
    ids = encode(tokenizer, lines)
    long = [index for index, row in enumerate(ids) if len(row) > limit]
    if long and policy != "truncate":
        raise UserError(
            f"text {long[0] + 1} has {len(ids[long[0]])} tokens and the limit is {limit} "
            f'({len(long)} such of {len(ids)}); set over_long to "truncate"'
        )
    if long:
        # The tokenizer knows which of its special tokens have to stay.
        cut = tokenizer([lines[index] for index in long], truncation=True, max_length=limit)
        for index, row in zip(long, cut["input_ids"], strict=True):
            ids[index] = row
    over_long: OverLong = {"policy": policy, "limit": limit, "count": len(long)}
    return TokenRows(ids, pad_id(tokenizer)), over_long


def pad_id(tokenizer: Any) -> int:
    """What texts are padded with; where there is nothing for it any token will do."""
    return 0 if tokenizer.pad_token_id is None else tokenizer.pad_token_id


def mean_length(lengths: Sequence[int]) -> int:
    """The mean, as a whole number."""
    return round(sum(lengths) / max(1, len(lengths)))
