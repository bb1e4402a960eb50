r"""A few summaries of what is read, of which every query mixes its own: gates, no scores of pairs.

A head sums up the tokens in `hidden` ways. Each token decides by gates of its own how much it
counts in which summary, and each query by gates of its own how much it takes of which:

    s_k = sum_j g_k(m_j) V m_j / sum_j g_k(m_j),    y_i = sum_k f_k(x_i) s_k / sum_k f_k(x_i),

for every head h with its own V, and gates that are positive, f = gate(Q x + q) and g = gate(B m +
b), gate(z) = softplus(z)^4; m and x are normalised by LayerNorm, whose affine part would be one
with the maps that follow. With as many gates as channels, size M, there are exactly the parameters
of the queries, keys and values of an attention. A summary is the mean of the tokens of a kind,
be it a kind of word or a place in the sentence: that is how content is addressed. m is the memory,
all of x in the encoder, and x up to position i in the decoder, where both sums run along. Divided
by the lower one, f mixes the upper one; to train, that is added up in the order of `running_sums`.

Gates of positions (gMLP, Liu et al., arXiv 2105.08050, and the family `gated`) have weights that
belong to positions, and these have not. What is read is a gated mean as in AFT (Zhai et al., arXiv
2105.14103), many for every channel. Memory's share and query's share are multiplied elementwise
and added up over k: a tensor of low rank from token, value and query, as a CP decomposition is.

Pairs of positions have no scores of their own, to be compared or made to add up to one: there is no
soft-max. The nearest relative is `linear_attention`. Multiplied out, both weigh V m_j by a product
of what x_i and m_j gave, sum_k f_k g_k; one divides it by its sum over j, this one every summand by
the two sums above. Both have a state of `hidden` values for each channel.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attnreplace.students.base import Kind, State, StudentConfig
from attnreplace.students.columns import at_least_float32
from attnreplace.students.mixer import EPS, CrossBlock, EveryMixer, SelfBlock
from attnreplace.students.running_sums import mix_running, running_totals, sum_up
from attnreplace.students.shallow_ff import without_autocast
from attnreplace.students.weighing import split_heads

POWER = 4
"""Of the gates: without it they are too blunt to single out a few words."""


class SummaryBlock(SelfBlock, CrossBlock):
    """Decoding keeps both sums of the tokens so far; the share of a memory is the quotient.

    `(batch, heads, hidden, d_out / heads)` and `(batch, heads, hidden)`, float32 or wider.
    """

    def __init__(self, config: StudentConfig, d_out: int) -> None:
        super().__init__()
        d_model, gates = config.d_model, config.heads * config.hidden
        self.kept = 1 if config.form == "per-query" else 2
        self.causal = config.form == "prefix"
        self.heads = config.heads
        self.norm = nn.LayerNorm(d_model, eps=EPS, elementwise_affine=False)
        self.values = nn.Linear(d_model, d_out)
        self.token_gates = nn.Linear(d_model, gates)
        self.query_gates = nn.Linear(d_model, gates)
        self.project = nn.Linear(d_out, d_out) if config.residual else None

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """See the base class."""
        read = self._normed(x)
        gates, values = self._shares(read, real)
        if self.causal:
            return self._mix_running(read, gates, values, running_totals(gates, None), None)
        return self._mix(read, _means(gates, values))

    def decode(self, x: Tensor, state: State | None, start: int) -> tuple[Tensor, State]:
        """See the base class."""
        read = self._normed(x)
        gates, values = self._shares(read, x.new_ones(x.shape[:2], dtype=torch.bool))
        sums, total = state or (None, None)
        totals = running_totals(gates, total)
        out = self._mix_running(read, gates, values, totals, sums)
        with without_autocast(x):
            return out, (sum_up(gates, values, sums), totals[:, :, -1].clone())

    def read(self, memory: Tensor, real: Tensor) -> State:
        """See the base class."""
        return (_means(*self._shares(self._normed(memory), real)),)

    def answer(self, x: Tensor, share: State, start: int) -> Tensor:
        """See the base class."""
        return self._mix(self._normed(x), share[0])

    def _normed(self, x: Tensor) -> Tensor:
        return self.norm(at_least_float32(x)).to(self.values.weight.dtype)

    def _shares(self, read: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Gates `(batch, heads, seq, hidden)`, and values `(batch, heads, seq, channels)`."""
        gates = gate(split_heads(self.token_gates(read), self.heads))
        values = at_least_float32(split_heads(self.values(read), self.heads))
        return gates.masked_fill(~real[:, None, :, None], 0), values

    def _asking(self, read: Tensor) -> Tensor:
        """How much of which summary, `(batch, heads, new, hidden)`."""
        gates = gate(split_heads(self.query_gates(read), self.heads))
        return gates / gates.sum(-1, keepdim=True)

    def _mix(self, read: Tensor, summaries: Tensor) -> Tensor:
        asking = self._asking(read)
        with without_autocast(read):
            mixed = torch.matmul(asking, summaries)
        return self._finish(mixed, read)

    def _mix_running(
        self, read: Tensor, gates: Tensor, values: Tensor, totals: Tensor, before: Tensor | None
    ) -> Tensor:
        asking = self._asking(read) / _no_zeros(totals)
        with without_autocast(read):
            mixed = mix_running(asking, gates, values, before)
        return self._finish(mixed, read)

    def _finish(self, mixed: Tensor, read: Tensor) -> Tensor:
        """The heads `(batch, heads, new, channels)` side by side, projected where they are."""
        out = mixed.transpose(1, 2).flatten(2).to(read.dtype)
        return out if self.project is None else self.project(out)


def gate(logits: Tensor) -> Tensor:
    """A positive gate, in float32 or wider.

    Never below a millionth, so that what no token opens is their plain mean and not a quotient of
    two numbers next to zero.
    """
    return F.softplus(at_least_float32(logits)) ** POWER + EPS


def _means(gates: Tensor, values: Tensor) -> Tensor:
    """s, `(batch, heads, hidden, channels)`; zero where nothing was read."""
    with without_autocast(gates):
        return sum_up(gates, values) / _no_zeros(gates.sum(2)).unsqueeze(-1)


def _no_zeros(totals: Tensor) -> Tensor:
    return totals.masked_fill(totals == 0, 1)


class Summaries(EveryMixer):
    """Forms "sentence", "prefix" and "per-query"."""

    kind: ClassVar[Kind] = "gated"

    @classmethod
    def block(cls, config: StudentConfig, d_out: int) -> SummaryBlock:
        """See the base class."""
        return SummaryBlock(config, d_out)

    @classmethod
    def block_parameters(cls, config: StudentConfig, d_out: int) -> int:
        """Values, gates of tokens and of queries, and the way out where there is one."""
        maps = (config.d_model + 1) * (d_out + 2 * config.heads * config.hidden)
        return maps + (d_out + 1) * d_out * config.residual
