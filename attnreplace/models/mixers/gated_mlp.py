"""The branch of a gMLP block: a channel MLP whose hidden layer is gated over the tokens.

Liu et al., arXiv 2105.08050, eq. 1: Z = GELU(x U), y = s(Z) V; with a tiny attention added to the
gate it is that of aMLP (section 4.3).
"""

from torch import Tensor, nn
from torch.nn import functional as F

from attnreplace.models.mixers.past import Past
from attnreplace.models.mixers.sgu import SpatialGatingUnit
from attnreplace.models.mixers.tiny_attention import TinyAttention


class GatedMLP(nn.Module):
    """`(batch, seq, d_in)`, normalised, to `(batch, seq, d_out)`; the residual is the caller's."""

    def __init__(
        self,
        d_in: int,
        hidden: int,
        d_out: int,
        positions: int,
        *,
        gate: str = "split",
        spatial: str = "dense",
        attention_size: int = 0,
        causal: bool = False,
        eps: float = 1e-6,
    ) -> None:
        """Build the branch.

        Args:
            d_in: width of the input.
            hidden: d_ffn, the width of Z before it is split.
            d_out: width of the output.
            positions: n, the longest sequence.
            gate: one of `mixers.GATES`.
            spatial: "toeplitz" or "dense".
            attention_size: channels of the tiny attention; 0 for none.
            causal: no output depends on later tokens.
            eps: of the LayerNorm in the gate.

        Raises:
            UserError: there is no such gate or spatial map, or an odd width cannot be split.
        """
        super().__init__()
        self.expand = nn.Linear(d_in, hidden)
        self.gate = SpatialGatingUnit(
            hidden, positions, gate=gate, spatial=spatial, causal=causal, eps=eps
        )
        width = self.gate.out_width
        self.attention = (
            TinyAttention(d_in, attention_size, width, causal=causal) if attention_size else None
        )
        self.project = nn.Linear(width, d_out)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Mix tokens and channels.

        Args:
            x: `(batch, seq, d_in)`.
            mask: which tokens are real, `(batch, seq)` bool; None for all.

        Returns:
            `(batch, seq, d_out)`.

        Raises:
            SequenceTooLong: there are more tokens than positions.
        """
        added = self.attention(x, mask) if self.attention is not None else None
        return self.project(self.gate(F.gelu(self.expand(x)), mask, added))

    def decode(self, x: Tensor, past: Past | None, start: int) -> tuple[Tensor, Past]:
        """What `forward` gives at the next positions of a causal branch.

        Args:
            x: positions from `start` on, `(batch, new, d_in)`, no padding.
            past: what the call for the positions before gave; None at the start.
            start: the position of the first column.

        Returns:
            `(batch, new, d_out)`, and what is kept of all tokens so far: of the gate
            `(batch, positions, hidden / 2)`, of the attention `(batch, positions, 2 * size)`.

        Raises:
            SequenceTooLong: there are more tokens than positions.
        """
        added: Tensor | None = None
        kept: Past = ()
        if self.attention is not None:
            before, positions = past[1:] if past else None, self.gate.spatial.positions
            added, kept = self.attention.decode(x, before, start, positions)
        gated, gate_kept = self.gate.decode(F.gelu(self.expand(x)), past, start, added)
        return self.project(gated), (*gate_kept, *kept)
