"""The baseline without any attention: what the residual carries is all that is left."""

from typing import Any

import torch
from torch import Tensor, nn

from attnreplace.hosts import Location
from attnreplace.methods.base import require_encoder


class NoAttention(nn.Module):
    """Attention that contributes nothing."""

    def forward(self, hidden_states: Tensor, **kwargs: Any) -> tuple[Tensor, None]:
        """Zeros, `(batch, seq, d_model)`."""
        return torch.zeros_like(hidden_states), None


def remove_attention(location: Location) -> None:
    """Take the attention out of a model, in place: the sub-layer passes x by its residual alone.

    Raises:
        UserError: the site is not an encoder's self-attention.
    """
    require_encoder(location, "removing attention")
    setattr(location.layer, location.attention_name, NoAttention())
