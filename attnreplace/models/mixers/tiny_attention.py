"""The tiny attention of aMLP.

Liu et al., arXiv 2105.08050, section 4.3: a single head of 64 (base) or 128 (large)
channels, whose output is added to the gate.
"""

from torch import Tensor, nn
from torch.nn import functional as F


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
        return self.out(F.scaled_dot_product_attention(query, key, value, attn_mask=allowed))
