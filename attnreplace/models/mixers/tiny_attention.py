"""The tiny attention of aMLP.

Liu et al., arXiv 2105.08050, section 4.3: a single head of 64 (base) or 128 (large)
channels, whose output is added to the gate.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attnreplace.models.mixers.past import Past, extend


class TinyAttention(nn.Module):
    """Single-head attention of `size` channels, `(batch, seq, d_in)` to `(batch, seq, d_out)`."""

    def __init__(self, d_in: int, size: int, d_out: int, *, causal: bool = False) -> None:
        super().__init__()
        self.causal = causal
        self.qkv = nn.Linear(d_in, 3 * size)
        self.out = nn.Linear(size, d_out)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attend to the real tokens.

        Args:
            x: `(batch, seq, d_in)`.
            mask: which tokens are real, `(batch, seq)` bool; None for all.

        Returns:
            `(batch, seq, d_out)`.
        """
        query, key, value = self.qkv(x).chunk(3, dim=-1)
        if mask is None:
            return self.out(
                F.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
            )
        allowed = mask.unsqueeze(1).expand(-1, x.shape[1], -1)  # (batch, query, key)
        if self.causal:
            allowed = allowed.tril()
        return self.attend(query, key, value, allowed)

    def decode(
        self, x: Tensor, past: Past | None, start: int, positions: int
    ) -> tuple[Tensor, Past]:
        """What `forward` gives at the next positions of a causal attention.

        Args:
            x: positions from `start` on, `(batch, new, d_in)`, no padding.
            past: what the call for the positions before gave; None at the start.
            start: the position of the first column.
            positions: how many tokens there is room for.

        Returns:
            `(batch, new, d_out)`, and the keys and values of all tokens so far,
            `(batch, positions, 2 * size)`.
        """
        size, end = self.out.in_features, start + x.shape[1]
        query, new = self.qkv(x).split([size, 2 * size], dim=-1)
        kept = extend(past[0] if past else None, new, start, positions)
        column = torch.arange(end, device=x.device)
        allowed = (column <= column[start:, None]).expand(x.shape[0], -1, -1)
        key, value = kept[:, :end].to(query.dtype).chunk(2, dim=-1)
        return self.attend(query, key, value, allowed), (kept,)

    def read(self, memory: Tensor) -> Tensor:
        """Keys and values of another sequence, `(batch, source, 2 * size)`."""
        size = self.out.in_features
        return F.linear(memory, self.qkv.weight[size:], self.qkv.bias[size:])

    def answer(self, x: Tensor, kept: Tensor, real: Tensor) -> Tensor:
        """Attend to another sequence.

        Args:
            x: `(batch, new, d_in)`.
            kept: what `read` gave.
            real: which of its tokens are real, `(batch, source)` bool.

        Returns:
            `(batch, new, d_out)`.
        """
        size = self.out.in_features
        query = F.linear(x, self.qkv.weight[:size], self.qkv.bias[:size])
        key, value = kept.to(query.dtype).chunk(2, dim=-1)
        return self.attend(query, key, value, real[:, None].expand(-1, x.shape[1], -1))

    def attend(self, query: Tensor, key: Tensor, value: Tensor, allowed: Tensor) -> Tensor:
        """The attention itself.

        Args:
            query: `(batch, new, size)`.
            key: `(batch, seq, size)`.
            value: `(batch, seq, size)`.
            allowed: which keys each query reads, `(batch, new, seq)` bool.

        Returns:
            `(batch, new, d_out)`.
        """
        return self.out(F.scaled_dot_product_attention(query, key, value, attn_mask=allowed))
