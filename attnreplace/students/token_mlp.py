"""The token MLP of FF-only as a student: a network over the tokens, then one over the channels.

Melas-Kyriazi, arXiv 2105.02723: its block, x + TokenMLP(LN(x)) with the norm over the tokens, then
LN -> Linear(d, h) -> GELU -> Linear(h, d_out): the paper's two branches in the other order, so that
the last layer gives the output's width. The first is the same for all channels and has 4 N hidden
units, as in the paper; the second, the same for all tokens, is as wide as the size wants.

In the decoder both layers of the first network are block-triangular (`mixers.token_mlp`), and each
token is normalised over its channels instead, as in MLP-Mixer (arXiv 2105.01601): a norm over the
tokens would have to be one over those so far, which of the first token leaves nothing, and of the
first two only which is larger.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from attnreplace.models.mixers import TokenMLP
from attnreplace.students.base import State, StudentConfig
from attnreplace.students.mixer import EPS, SelfBlock, SelfMixer, normed

EXPANSION = 4
"""Hidden units of the token network, in N."""


class TokenBlock(SelfBlock):
    """Tokens, then channels.

    Decoding keeps the tokens, normalised, and what their hidden units add to the output of every
    position: two tensors `(batch, positions, d_model)`, as much as an attention's keys and values.
    """

    kept = 2

    def __init__(self, config: StudentConfig, d_out: int) -> None:
        super().__init__()
        positions, causal = config.positions, config.form == "prefix"
        self.norm_prefix = nn.LayerNorm(config.d_model, eps=EPS) if causal else None
        self.tokens = TokenMLP(
            positions, EXPANSION * positions, norm=not causal, causal=causal, eps=EPS
        )
        self.norm = nn.LayerNorm(config.d_model, eps=EPS)
        self.expand = nn.Linear(config.d_model, config.hidden)
        self.project = nn.Linear(config.hidden, d_out)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """See the base class."""
        return self._channels(x + self.tokens(self._tokens(x), real))

    def decode(self, x: Tensor, state: State | None, start: int) -> tuple[Tensor, State]:
        """See the base class."""
        mixed, state = self.tokens.decode(self._tokens(x), state, start)
        return self._channels(x + mixed), state

    def _tokens(self, x: Tensor) -> Tensor:
        """What the first network reads."""
        if self.norm_prefix is None:
            return x.to(self.norm.weight.dtype)
        return normed(x, self.norm_prefix)

    def _channels(self, x: Tensor) -> Tensor:
        return self.project(F.gelu(self.expand(normed(x, self.norm))))


class TokenMLPStudent(SelfMixer):
    """Forms "sentence" and "prefix"; there is no network over the tokens of two sequences."""

    @classmethod
    def block(cls, config: StudentConfig, d_out: int) -> TokenBlock:
        """See the base class."""
        return TokenBlock(config, d_out)

    @classmethod
    def block_parameters(cls, config: StudentConfig, d_out: int) -> int:
        """Two networks and their norms.

        In the decoder about half of the token network's weights lie above its triangles: they
        count, and are never read.
        """
        d_model, hidden, positions = config.d_model, config.hidden, config.positions
        units = EXPANSION * positions
        norm = 2 * (d_model if config.form == "prefix" else positions)
        tokens = norm + (positions + 1) * units + (units + 1) * positions
        return tokens + 2 * d_model + (d_model + 1) * hidden + (hidden + 1) * d_out
