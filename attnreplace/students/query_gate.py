r"""Spatial gating between two sequences: the student of cross-attention, one query at a time.

The gate of gMLP (Liu et al., arXiv 2105.08050, eq. 2) mixes the tokens of one sequence by one
weight for each pair of positions. Here W has `RANK` rows over the memory's positions instead, and
what a query x reads is a mix of these rows that it chooses itself, the same way at all positions:

    G = W LN(GELU(LN(m) U_m)) + b,    y = (GELU(LN(x) U) * a(LN(x)) G) V,    a(x) = A x + c.

So the weight of memory token j for query i is a_i W[:, j], of low rank. G is computed once a
sentence. W is near zero and b one at the start, as in gMLP, and c = 1 / `RANK`: the gate starts
near one. aMLP adds a small attention of the query to the memory.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attnreplace.models.mixers import TinyAttention
from attnreplace.models.mixers.spatial import INITIAL_STD
from attnreplace.students.base import Kind, State, StudentConfig
from attnreplace.students.mixer import EPS, CrossBlock, CrossMixer, normed
from attnreplace.students.sgu import attention_parameters, attention_size

RANK = 16
"""Rows that a query chooses from."""


class QueryGateBlock(CrossBlock):
    """The share of a memory is G, `(batch, RANK, hidden)`, whatever its length.

    With an attention also keys and values, `(batch, source, d_model / 4)`, and which tokens of the
    memory are real, `(batch, source)`.
    """

    def __init__(self, config: StudentConfig, d_out: int, attention: bool) -> None:
        super().__init__()
        self.kept = 3 if attention else 1
        d_model, hidden = config.d_model, config.hidden
        self.norm = nn.LayerNorm(d_model, eps=EPS)
        self.norm_memory = nn.LayerNorm(d_model, eps=EPS)
        self.expand = nn.Linear(d_model, hidden)
        self.expand_memory = nn.Linear(d_model, hidden)
        self.norm_gate = nn.LayerNorm(hidden, eps=EPS)
        self.rows = nn.Linear(config.positions, RANK)
        self.choose = nn.Linear(d_model, RANK)
        self.project = nn.Linear(hidden, d_out)
        size = attention_size(d_model)
        self.attention = TinyAttention(d_model, size, hidden) if attention else None
        nn.init.normal_(self.rows.weight, std=INITIAL_STD)
        nn.init.ones_(self.rows.bias)
        nn.init.constant_(self.choose.bias, 1 / RANK)
        with torch.no_grad():
            self.choose.weight /= RANK

    def read(self, memory: Tensor, real: Tensor) -> State:
        """See the base class."""
        read = normed(memory, self.norm_memory)
        gated = self.norm_gate(F.gelu(self.expand_memory(read)))
        # The bias of the norm makes padding non-zero.
        gated = gated.masked_fill(~real.unsqueeze(-1), 0).transpose(1, 2)
        weight = self.rows.weight[:, : memory.shape[1]]
        share = F.linear(gated, weight, self.rows.bias).transpose(1, 2)
        if self.attention is None:
            return (share,)
        return share, self.attention.read(read), real

    def answer(self, x: Tensor, share: State, start: int) -> Tensor:
        """See the base class."""
        query = normed(x, self.norm)
        gate = torch.matmul(self.choose(query), share[0])
        if self.attention is not None:
            gate = gate + self.attention.answer(query, *share[1:])
        return self.project(F.gelu(self.expand(query)) * gate)


class QueryGate(CrossMixer):
    """The form "per-query" of `sgu`; `StudentConfig.spatial` has no part in it."""

    kind: ClassVar[Kind] = "gated"

    @classmethod
    def block(cls, config: StudentConfig, d_out: int) -> QueryGateBlock:
        """See the base class."""
        return QueryGateBlock(config, d_out, cls.contains_attention)

    @classmethod
    def block_parameters(cls, config: StudentConfig, d_out: int) -> int:
        """Three norms, U and U_m, W and b, A and c, V, and aMLP's attention."""
        d_model, hidden, positions = config.d_model, config.hidden, config.positions
        rows = RANK * (positions + 1) + RANK * (d_model + 1)
        channels = 2 * (d_model + 1) * hidden + (hidden + 1) * d_out
        count = 4 * d_model + 2 * hidden + channels + rows
        return count + cls.contains_attention * attention_parameters(config)


class QueryGateAttention(QueryGate):
    """The form "per-query" of `amlp`: not a student free of attention."""

    kind: ClassVar[Kind] = "attention"
