"""aMLP's one small head alone: an attention, and labelled so.

Liu et al., arXiv 2105.08050, section 4.3: a single head of few channels, here without the spatial
gate to which it is added there. `hidden` is how many: at size M an eighth of the model's width,
the paper's 64 at d = 512.
"""

from typing import ClassVar

from torch import Tensor, nn

from attnreplace.models.mixers import TinyAttention
from attnreplace.students.base import Kind, State, StudentConfig
from attnreplace.students.mixer import EPS, CrossBlock, EveryMixer, SelfBlock, normed


class TinyBlock(SelfBlock, CrossBlock):
    """LayerNorm and the head.

    Decoding keeps keys and values, with room for all tokens: `(batch, positions, 2 * hidden)`. The
    share of a memory is the same of its tokens, and which of these are real.
    """

    def __init__(self, config: StudentConfig, d_out: int) -> None:
        super().__init__()
        cross = config.form == "per-query"
        self.kept = 2 if cross else 1
        self.positions = config.positions
        self.norm = nn.LayerNorm(config.d_model, eps=EPS)
        self.norm_memory = nn.LayerNorm(config.d_model, eps=EPS) if cross else None
        self.attention = TinyAttention(
            config.d_model, config.hidden, d_out, causal=config.form == "prefix"
        )

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """See the base class."""
        return self.attention(normed(x, self.norm), real)

    def decode(self, x: Tensor, state: State | None, start: int) -> tuple[Tensor, State]:
        """See the base class."""
        return self.attention.decode(normed(x, self.norm), state, start, self.positions)

    def read(self, memory: Tensor, real: Tensor) -> State:
        """See the base class."""
        assert self.norm_memory is not None
        return self.attention.read(normed(memory, self.norm_memory)), real

    def answer(self, x: Tensor, share: State, start: int) -> Tensor:
        """See the base class."""
        return self.attention.answer(normed(x, self.norm), *share)


class Tiny(EveryMixer):
    """Forms "sentence", "prefix" and "per-query"."""

    kind: ClassVar[Kind] = "attention"

    @classmethod
    def block(cls, config: StudentConfig, d_out: int) -> TinyBlock:
        """See the base class."""
        return TinyBlock(config, d_out)

    @classmethod
    def block_parameters(cls, config: StudentConfig, d_out: int) -> int:
        """Norms, queries, keys and values, and the way out."""
        norms = (4 if config.form == "per-query" else 2) * config.d_model
        return norms + (config.d_model + 1) * 3 * config.hidden + (config.hidden + 1) * d_out
