r"""Linear attention with a learned feature map: a yardstick, and an attention.

Katharopoulos et al., arXiv 2006.16236: with positive features phi the heads are

    y_i = phi(x_i)^T S_i / phi(x_i)^T z_i,    S_i = sum_j phi'(m_j) v_j^T,    z_i = sum_j phi'(m_j).

The map is that of Hedgehog (Zhang et al., arXiv 2402.04347) and LoLCATs (arXiv 2410.10254), which
learn to stand in for a trained attention: phi(x) = [softmax(W x + b) ; softmax(-W x - b)] over the
`hidden` features of a head, W taking the place of projection and map together.

In the decoder S_i and z_i are running sums, so that the state does not grow. Whole sentences are
computed from their pairs, which is less work than sums for every position until they are longer
than the features are many; the two are the same function.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from attnreplace.students.base import Kind, State, StudentConfig
from attnreplace.students.columns import at_least_float32
from attnreplace.students.mixer import EveryMixer, normed
from attnreplace.students.running_sums import mix_running, running_totals, sum_up
from attnreplace.students.shallow_ff import without_autocast
from attnreplace.students.weighing import (
    WeighingBlock,
    block_parameters,
    normalise_over,
    split_heads,
)


class FeatureBlock(WeighingBlock):
    """Decoding keeps S and z of the tokens so far, and these are the share of a memory.

    `(batch, heads, 2 * hidden, d_out / heads)` and `(batch, heads, 2 * hidden)`, float32 or wider.
    """

    def __init__(self, config: StudentConfig, d_out: int) -> None:
        super().__init__(config, d_out, width=d_out, heads=config.heads, project=config.residual)
        self.kept = 2
        self.query_features = nn.Linear(config.d_model, config.heads * config.hidden)
        self.key_features = nn.Linear(config.d_model, config.heads * config.hidden)

    def keys(self, read: Tensor) -> Tensor:
        """See the base class."""
        return self.key_features(read)

    def weigh(self, query: Tensor, keys: Tensor, allowed: Tensor, start: int) -> Tensor:
        """See the base class."""
        asking, read = self._features(self.query_features(query)), self._features(keys)
        with without_autocast(query):
            return normalise_over(torch.matmul(asking, read.transpose(2, 3)), allowed)

    def decode(self, x: Tensor, state: State | None, start: int) -> tuple[Tensor, State]:
        """See the base class."""
        read = normed(x, self.norm)
        asking = self._features(self.query_features(read))
        keys, values = self._features(self.keys(read)), self._values(read)
        sums, total = state or (None, None)
        with without_autocast(x):
            totals = running_totals(keys, total)
            mixed = mix_running(asking, keys, values, sums)
            after = sum_up(keys, values, sums), totals[:, :, -1].clone()
        return self._over(mixed, (asking * totals).sum(-1), read), after

    def read(self, memory: Tensor, real: Tensor) -> State:
        """See the base class."""
        assert self.norm_memory is not None
        read = normed(memory, self.norm_memory)
        keys = self._features(self.keys(read)).masked_fill(~real[:, None, :, None], 0)
        values = self._values(read)
        with without_autocast(memory):
            return sum_up(keys, values), keys.sum(2)

    def answer(self, x: Tensor, share: State, start: int) -> Tensor:
        """See the base class."""
        read = normed(x, self.norm)
        asking = self._features(self.query_features(read))
        with without_autocast(x):
            mixed = torch.matmul(asking, share[0])
            total = torch.matmul(asking, share[1].unsqueeze(-1)).squeeze(-1)
        return self._over(mixed, total, read)

    def _features(self, logits: Tensor) -> Tensor:
        """phi of `(batch, seq, heads * hidden)`: `(batch, heads, seq, 2 * hidden)`."""
        wide = at_least_float32(split_heads(logits, self.heads))
        return torch.cat([wide.softmax(-1), (-wide).softmax(-1)], -1)

    def _values(self, read: Tensor) -> Tensor:
        return at_least_float32(split_heads(self.values(read), self.heads))

    def _over(self, mixed: Tensor, total: Tensor, read: Tensor) -> Tensor:
        """The quotient, zero where nothing was read, through the projection."""
        out = mixed / total.masked_fill(total == 0, 1).unsqueeze(-1)
        return self.finish(out.to(read.dtype))


class LinearAttention(EveryMixer):
    """Forms "sentence", "prefix" and "per-query"."""

    kind: ClassVar[Kind] = "attention"

    @classmethod
    def block(cls, config: StudentConfig, d_out: int) -> FeatureBlock:
        """See the base class."""
        return FeatureBlock(config, d_out)

    @classmethod
    def block_parameters(cls, config: StudentConfig, d_out: int) -> int:
        """Norms and values, and two feature maps."""
        maps = 2 * (config.d_model + 1) * config.heads * config.hidden
        mixed = d_out if config.residual else 0
        return block_parameters(config, d_out, mixed, d_out) + maps
