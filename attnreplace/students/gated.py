r"""What is read times what asks: the flattened network of this project with a gate for its sum.

The first layer of a shallow network adds a share of the memory, a product of its flattened tokens,
and a share of the query. Here they are multiplied:

    y_i = V LN( LeakyReLU(M_i * (Q LN(x_i) + q)) ) + v,    M_i = sum_j W_j LN(m_j) + w,

so that every hidden unit is a weighted sum of the tokens, by weights that belong to positions,
which the query lets through or not: gMLP's gate (Liu et al., arXiv 2105.08050) across two
sequences, and a tensor of rank `hidden` from tokens and query to output. m is the memory, all of x
in the encoder, and x up to position i in the decoder, where M_i is a running sum.

Tokens are normalised one by one, so that there are no moments of the whole to account for.
"""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attnreplace.students.base import Kind, State, StudentConfig
from attnreplace.students.columns import at_least_float32
from attnreplace.students.mixer import EPS, CrossBlock, EveryMixer, SelfBlock, normed
from attnreplace.students.shallow_ff import SLOPE


class ShareBlock(SelfBlock, CrossBlock):
    """Decoding keeps M of the tokens so far, the share of a memory is M: `(batch, hidden)`."""

    kept = 1

    def __init__(self, config: StudentConfig, d_out: int) -> None:
        super().__init__()
        d_model, hidden, positions = config.d_model, config.hidden, config.positions
        self.causal = config.form == "prefix"
        self.norm = nn.LayerNorm(d_model, eps=EPS)
        self.norm_memory = nn.LayerNorm(d_model, eps=EPS)
        self.weight = nn.Parameter(torch.empty(positions, d_model, hidden))
        self.bias = nn.Parameter(torch.empty(hidden))
        self.query = nn.Linear(d_model, hidden)
        self.norm_hidden = nn.LayerNorm(hidden, eps=EPS)
        self.project = nn.Linear(hidden, d_out)
        bound = 1 / math.sqrt(positions * d_model)
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """See the base class."""
        if self.causal:
            return self._finish(x, self._running(x, real))
        return self._finish(x, self._sum(x, real)[:, None])

    def decode(self, x: Tensor, state: State | None, start: int) -> tuple[Tensor, State]:
        """See the base class."""
        sums = self._running(x, x.new_ones(x.shape[:2], dtype=torch.bool), start)
        if state is not None:
            sums = sums + state[0][:, None]
        return self._finish(x, sums), (sums[:, -1].clone(),)

    def read(self, memory: Tensor, real: Tensor) -> State:
        """See the base class."""
        return (self._sum(memory, real),)

    def answer(self, x: Tensor, share: State, start: int) -> Tensor:
        """See the base class."""
        return self._finish(x, share[0][:, None])

    def _sum(self, tokens: Tensor, real: Tensor) -> Tensor:
        """Over all tokens, `(batch, hidden)`; w is added later."""
        read = self._read(tokens, real)
        weight = self.weight[: tokens.shape[1]].flatten(0, 1)
        return at_least_float32(torch.mm(read.flatten(1), weight))

    def _running(self, tokens: Tensor, real: Tensor, start: int = 0) -> Tensor:
        """Over the tokens up to each, from `start` on, `(batch, new, hidden)`."""
        read = self._read(tokens, real).transpose(0, 1)
        weight = self.weight[start : start + tokens.shape[1]]
        return at_least_float32(torch.bmm(read, weight)).cumsum(0).transpose(0, 1)

    def _read(self, tokens: Tensor, real: Tensor) -> Tensor:
        # The bias of the norm makes padding non-zero.
        return normed(tokens, self.norm_memory).masked_fill(~real.unsqueeze(-1), 0)

    def _finish(self, x: Tensor, sums: Tensor) -> Tensor:
        """From M without w, `(batch, new or 1, hidden)`, to the output."""
        gate = self.query(normed(x, self.norm))
        hidden = F.leaky_relu((sums + self.bias) * gate, SLOPE)
        return self.project(normed(hidden, self.norm_hidden))


class Gated(EveryMixer):
    """Forms "sentence", "prefix" and "per-query"."""

    kind: ClassVar[Kind] = "gated"

    @classmethod
    def block(cls, config: StudentConfig, d_out: int) -> ShareBlock:
        """See the base class."""
        return ShareBlock(config, d_out)

    @classmethod
    def block_parameters(cls, config: StudentConfig, d_out: int) -> int:
        """Three norms, W and w, Q and q, V and v."""
        d_model, hidden = config.d_model, config.hidden
        shares = (config.positions * d_model + 1) * hidden + (d_model + 1) * hidden
        return 4 * d_model + 2 * hidden + shares + (hidden + 1) * d_out
