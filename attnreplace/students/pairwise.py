r"""A shallow network over every pair of positions, normalised: no dot product, no softmax.

Head h of the query at i weighs token s of what it reads by

    score_h(i, s) = softplus( u_h LeakyReLU(A m_s + B x_i + b) + c_h ),

over the sum of this over all s; the values are a linear map of the tokens. The network reads the
two tokens side by side, [m_s ; x_i], but its first layer falls into a part of each, computed once a
token: a pair costs an addition, an activation and a product of `hidden` by the heads.

It scores pairs, so that its cost grows with their number and the decoder's state with the tokens,
as an attention's do; of the attention's parameters it has fewer at sizes up to M.
"""

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from attnreplace.students.base import Kind, StudentConfig
from attnreplace.students.columns import at_least_float32
from attnreplace.students.mixer import EveryMixer
from attnreplace.students.shallow_ff import SLOPE
from attnreplace.students.weighing import WeighingBlock, block_parameters, normalise_over


class PairBlock(WeighingBlock):
    """Its keys are A m, `hidden` a token; values and heads as wide as the output."""

    def __init__(self, config: StudentConfig, d_out: int) -> None:
        super().__init__(config, d_out, width=d_out, heads=config.heads, project=config.residual)
        self.first_memory = nn.Linear(config.d_model, config.hidden, bias=False)
        self.first_query = nn.Linear(config.d_model, config.hidden)
        self.score = nn.Linear(config.hidden, config.heads)

    def keys(self, read: Tensor) -> Tensor:
        """See the base class."""
        return self.first_memory(read)

    def weigh(self, query: Tensor, keys: Tensor, allowed: Tensor, start: int) -> Tensor:
        """See the base class."""
        pairs = self.first_query(query)[:, :, None] + keys[:, None]  # (batch, new, seq, hidden)
        logits = self.score(F.leaky_relu(pairs.to(query.dtype), SLOPE))
        scores = F.softplus(at_least_float32(logits)).permute(0, 3, 1, 2)
        return normalise_over(scores, allowed)


class Pairwise(EveryMixer):
    """Forms "sentence", "prefix" and "per-query"."""

    kind: ClassVar[Kind] = "pairwise"

    @classmethod
    def block(cls, config: StudentConfig, d_out: int) -> PairBlock:
        """See the base class."""
        return PairBlock(config, d_out)

    @classmethod
    def block_parameters(cls, config: StudentConfig, d_out: int) -> int:
        """Norms and values, A, B and b, u and c."""
        first = (2 * config.d_model + 1) * config.hidden
        score = (config.hidden + 1) * config.heads
        mixed = d_out if config.residual else 0
        return block_parameters(config, d_out, mixed, d_out) + first + score
