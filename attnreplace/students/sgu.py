"""The branch of a gMLP or aMLP block as a student of self-attention.

Liu et al., arXiv 2105.08050, eq. 1 and 2: Z = GELU(LN(x) U), the halves Z1 and Z2 of `hidden`
channels each (d_ffn is twice that), Z1 * (W LN(Z2) + b), and V; aMLP (section 4.3) adds a
small attention to the gate. W is a Toeplitz matrix or a free one (`StudentConfig.spatial`), in the
decoder its lower triangle; shorter sentences crop it.
"""

from typing import ClassVar

from torch import Tensor, nn

from attnreplace.models.mixers import GatedMLP
from attnreplace.students.base import Kind, State, StudentConfig
from attnreplace.students.mixer import EPS, SelfBlock, SelfMixer, normed


def attention_size(d_model: int) -> int:
    """Channels of aMLP's attention: d / 8, the paper's 64 at d = 512."""
    return max(1, d_model // 8)


class GatedBlock(SelfBlock):
    """LayerNorm and the branch.

    Decoding keeps LN(Z2) of all tokens, `(batch, positions, hidden)`, since every later position
    takes a sum of its own over them; and the attention's keys and values,
    `(batch, positions, d_model / 4)`. The widths of large students make this far more than the keys
    and values of the attention that is replaced.
    """

    def __init__(self, config: StudentConfig, d_out: int, attention: bool) -> None:
        super().__init__()
        self.kept = 2 if attention else 1
        self.norm = nn.LayerNorm(config.d_model, eps=EPS)
        self.branch = GatedMLP(
            config.d_model,
            2 * config.hidden,
            d_out,
            config.positions,
            spatial=config.spatial,
            attention_size=attention_size(config.d_model) if attention else 0,
            causal=config.form == "prefix",
            eps=EPS,
        )

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """See the base class."""
        return self.branch(normed(x, self.norm), real)

    def decode(self, x: Tensor, state: State | None, start: int) -> tuple[Tensor, State]:
        """See the base class."""
        return self.branch.decode(normed(x, self.norm), state, start)


class SGU(SelfMixer):
    """Spatial gating: forms "sentence" and "prefix"."""

    @classmethod
    def block(cls, config: StudentConfig, d_out: int) -> GatedBlock:
        """See the base class."""
        return GatedBlock(config, d_out, cls.contains_attention)

    @classmethod
    def block_parameters(cls, config: StudentConfig, d_out: int) -> int:
        """Two norms, U, W and b, V, and aMLP's attention.

        In the decoder the weights of later tokens count, and are never read.
        """
        d_model, hidden, positions = config.d_model, config.hidden, config.positions
        toeplitz = config.spatial == "toeplitz"
        spatial = (2 * positions - 1 if toeplitz else positions**2) + positions
        channels = (d_model + 1) * 2 * hidden + (hidden + 1) * d_out
        count = 2 * d_model + 2 * hidden + channels + spatial
        return count + cls.contains_attention * attention_parameters(config)


class AMLP(SGU):
    """Spatial gating with a small attention: not a student free of attention."""

    kind: ClassVar[Kind] = "attention"


def attention_parameters(config: StudentConfig) -> int:
    """Queries, keys and values of the small attention, and its way into the gate."""
    size = attention_size(config.d_model)
    return (config.d_model + 1) * 3 * size + (size + 1) * config.hidden
