"""The baseline without any attention: what the residual carries is all that is left."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache, EncoderDecoderCache

from attnreplace.hosts import Location
from attnreplace.methods.cache import state_layer
from attnreplace.methods.modules import replace_whole


class NoAttention(nn.Module):
    """Attention that contributes nothing."""

    def __init__(self, counts: int | None = None) -> None:
        """Build it.

        Args:
            counts: in the decoder's self-attention the layer, whose cache tells the library how
                many tokens are past; elsewhere None.
        """
        super().__init__()
        self.counts = counts

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        past_key_values: Cache | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, None]:
        """Zeros, `(batch, seq, d_model)`."""
        if self.counts is not None and past_key_values is not None:
            if isinstance(past_key_values, EncoderDecoderCache):
                past_key_values = past_key_values.self_attention_cache
            past = state_layer(past_key_values, self.counts)
            past.keep((), past.length + hidden_states.shape[1])
        return torch.zeros_like(hidden_states), None


def remove_attention(location: Location) -> None:
    """Take the attention out of a model, in place: the sub-layer passes x by its residual alone."""
    counts = location.site.layer if location.site.group == "decoder" else None
    replace_whole(location, NoAttention(counts))
