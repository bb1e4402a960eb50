r"""A few summaries of what is read, of which every query mixes its own: gates, no pairs.

A head sums up the tokens in `hidden` ways. Each token decides by gates of its own how much it
counts in which summary, and each query by gates of its own how much it takes of which:

    s_k = sum_j g_k(m_j) V m_j / sum_j g_k(m_j),    y_i = sum_k f_k(x_i) s_k / sum_k f_k(x_i),

for every head h with its own V, and gates that are positive, f = gate(Q x + q) and g = gate(B m +
b), gate(z) = softplus(z)^4; m and x are normalised by LayerNorm, whose affine part would be one
with the maps that follow. With as many gates as channels, size M, there are exactly the parameters
of the queries, keys and values of an attention. A summary is the mean of the tokens of a kind,
be it a kind of word or a place in the sentence: that is how content is addressed. m is the memory,
all of x in the encoder, and x up to position i in the decoder, where both sums run along.

Gates of positions (gMLP, Liu et al., arXiv 2105.08050, and the family `gated`) have weights that
belong to positions, and these have not. What is read is a gated mean as in AFT (Zhai et al., arXiv
2105.14103), many for every channel. Memory's share and query's share are multiplied elementwise
and added up over k: a tensor of low rank from token, value and query, as a CP decomposition is.

Nothing is computed for a pair of positions, there is no dot product of queries with keys, and no
soft-max. The nearest relative, `linear_attention`, divides by a sum over the pairs instead of by
the two sums here; both have a state of `hidden` values for each channel.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attnreplace.students.base import Kind, State, StudentConfig
from attnreplace.students.columns import at_least_float32
from attnreplace.students.mixer import EPS, CrossBlock, EveryMixer, SelfBlock
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
        if self.causal:
            return self._mix_running(read, self._running(read, real))
        return self._mix(read, _mean(*self._sums(read, real)))

    def decode(self, x: Tensor, state: State | None, start: int) -> tuple[Tensor, State]:
        """See the base class."""
        read = self._normed(x)
        sums, totals = self._running(read, x.new_ones(x.shape[:2], dtype=torch.bool))
        if state is not None:
            sums, totals = sums + state[0][:, :, None], totals + state[1][:, :, None]
        out = self._mix_running(read, (sums, totals))
        return out, (sums[:, :, -1].clone(), totals[:, :, -1].clone())

    def read(self, memory: Tensor, real: Tensor) -> State:
        """See the base class."""
        return (_mean(*self._sums(self._normed(memory), real)),)

    def answer(self, x: Tensor, share: State, start: int) -> Tensor:
        """See the base class."""
        return self._mix(self._normed(x), share[0])

    def _normed(self, x: Tensor) -> Tensor:
        return self.norm(at_least_float32(x)).to(self.values.weight.dtype)

    def _sums(self, read: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Over all tokens: what is above the fraction, and below."""
        gates, values = self._shares(read, real)
        with without_autocast(read):
            return torch.matmul(gates.transpose(2, 3), values), gates.sum(2)

    def _running(self, read: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Over the tokens up to each, `(batch, heads, new, hidden, channels)` and without these."""
        gates, values = self._shares(read, real)
        return (gates.unsqueeze(-1) * values.unsqueeze(-2)).cumsum(2), gates.cumsum(2)

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

    def _mix_running(self, read: Tensor, running: tuple[Tensor, Tensor]) -> Tensor:
        sums, totals = running
        asking = self._asking(read) / _no_zeros(totals)
        with without_autocast(read):
            mixed = torch.matmul(asking.unsqueeze(-2), sums).squeeze(-2)
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


def _mean(sums: Tensor, totals: Tensor) -> Tensor:
    """The quotient, zero where nothing was read."""
    return sums / _no_zeros(totals).unsqueeze(-1)


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
