"""How a student is run where an attention was: what it is given, and what it keeps in the cache."""

from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache, EncoderDecoderCache

from attnreplace.errors import UserError
from attnreplace.hosts import Location, padding_mask
from attnreplace.methods.cache import state_layer
from attnreplace.students.align import align_left, run_aligned


class Reading(Protocol):
    """One way to run a student behind the arguments of an attention."""

    def __call__(
        self,
        student: nn.Module,
        x: Tensor,
        attention_mask: Tensor | None,
        memory: Tensor | None,
        cache: Cache | None,
    ) -> Tensor:
        """The student's output.

        Args:
            student: the student.
            x: the tokens the attention is asked for, `(batch, new, d_model)`.
            attention_mask: what the library gave, in one of the forms of `padding_mask`.
            memory: at cross-attention, what leaves the encoder, `(batch, source, d_model)`.
            cache: in the decoder, the past; None where nothing is kept.

        Returns:
            `(batch, new, d_out)`.
        """


def reading(location: Location, student: nn.Module) -> Reading:
    """How a student is run at a site; at cross-attention its `config.form` tells."""
    site = location.site
    if site.group == "encoder":
        return Sentence()
    if site.group == "decoder":
        return Prefix(site.layer)
    paper = cast(Any, student).config.form == "paper"
    return Paper(site.layer) if paper else PerQuery(site.layer)


@dataclass(frozen=True)
class Sentence:
    """The encoder: all tokens read all."""

    def __call__(
        self,
        student: nn.Module,
        x: Tensor,
        attention_mask: Tensor | None,
        memory: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """Padding may be on either side."""
        return run_aligned(student, x, padding_mask(attention_mask, x))


@dataclass(frozen=True)
class Prefix:
    """The decoder: each token reads those before it, in the cache as a state."""

    layer: int

    def __call__(
        self,
        student: nn.Module,
        x: Tensor,
        attention_mask: Tensor | None,
        memory: Tensor | None,
        cache: Cache | None,
    ) -> Tensor:
        """Padding may be on either side, with a cache on the right of the last token only.

        Raises:
            UserError: there is a cache, and padding before a token.
        """
        if cache is None:
            return run_aligned(student, x, padding_mask(attention_mask, x))
        if isinstance(cache, EncoderDecoderCache):
            cache = cache.self_attention_cache
        past, new = state_layer(cache, self.layer), x.shape[1]
        # The generated tokens, one at a time, are never padding: no need to wait for the device.
        before, gap = past.padded, False
        if attention_mask is not None and new > 1:
            real = padding_mask(attention_mask[..., -new:], x)
            padded, gap = torch.stack([~real.all(), (real[:, 1:] > real[:, :-1]).any()]).tolist()
        else:
            padded = False
        if before or gap:
            raise UserError(
                "a replaced decoder layer with a cache cannot read tokens after padding; pad "
                "decoder inputs on the right and go on from none of them, or set use_cache=False"
            )
        out, state = cast(Any, student).decode(x, past.state, past.length)
        past.keep(state, past.length + new, padded)
        return out


@dataclass(frozen=True)
class PerQuery:
    """Cross-attention, causal: the memory is read once a sentence, each token asks on its own."""

    layer: int

    def __call__(
        self,
        student: nn.Module,
        x: Tensor,
        attention_mask: Tensor | None,
        memory: Tensor | None,
        cache: Cache | None,
    ) -> Tensor:
        """The memory may be padded on either side."""
        asked = cast(Any, student)
        if not isinstance(cache, EncoderDecoderCache):
            return asked.answer(x, asked.read_memory(*_aligned(memory, attention_mask)))
        # The self-attention of this layer has counted the new tokens already.
        start = cache.get_seq_length(self.layer) - x.shape[1]
        kept = state_layer(cache.cross_attention_cache, self.layer)
        if not cache.is_updated.get(self.layer):
            tokens, real = _aligned(memory, attention_mask)
            kept.keep(asked.read_memory(tokens, real), tokens.shape[1])
            cache.is_updated[self.layer] = True
        return asked.answer(x, kept.state, start)


@dataclass(frozen=True)
class Paper:
    """Cross-attention of the paper: all target tokens at once, later ones included.

    Cross-attention is not told which target tokens are padding: all count as real.
    """

    layer: int

    def __call__(
        self,
        student: nn.Module,
        x: Tensor,
        attention_mask: Tensor | None,
        memory: Tensor | None,
        cache: Cache | None,
    ) -> Tensor:
        """The memory may be padded on either side.

        Raises:
            UserError: earlier target tokens are in the cache, where the student cannot see them.
        """
        # The self-attention of this layer has counted the new tokens already.
        if cache is not None and cache.get_seq_length(self.layer) > x.shape[1]:
            raise UserError(
                "cross-attention replaced in the paper's form reads the whole target at once and "
                "cannot go on from a cache; set use_cache=False"
            )
        tokens, real = _aligned(memory, attention_mask)
        target = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        return student(x, target, memory=tokens, memory_mask=real)


def _aligned(memory: Tensor | None, attention_mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """The memory, each row from its first real token on, and which tokens are real."""
    if memory is None:
        raise ValueError("cross-attention was called without key_value_states")
    moved, real, _ = align_left(memory, padding_mask(attention_mask, memory))
    return moved, real
