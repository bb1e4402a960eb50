"""Synthesizers: softmax weights that do not come from pairs of tokens. Two yardsticks.

Tay et al., arXiv 2005.00743: the weights of a head at position i are a softmax over N logits. In
the dense one a two-layer network makes them from token i alone, softmax(W2 relu(W1 x_i + b1) + b2),
with `hidden` units; in the random one they are learned for each pair of positions whatever the
tokens are, here in the paper's factorised form, R = R1 R2^T of rank `hidden` (its rank was 8).
Shorter sentences and prefixes take the softmax over fewer logits.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attnreplace.students.base import Kind, StudentConfig
from attnreplace.students.mixer import EveryMixer
from attnreplace.students.weighing import WeighingBlock, block_parameters, softmax_over


class DenseBlock(WeighingBlock):
    """Logits from the token that asks."""

    def __init__(self, config: StudentConfig, d_out: int) -> None:
        super().__init__(config, d_out, width=d_out, heads=config.heads, project=config.residual)
        self.first = nn.Linear(config.d_model, config.hidden)
        self.second = nn.Linear(config.hidden, config.heads * config.positions)

    def weigh(self, query: Tensor, keys: Tensor, allowed: Tensor, start: int) -> Tensor:
        """See the base class."""
        logits = self.second(F.relu(self.first(query))).unflatten(2, (self.heads, -1))
        return softmax_over(logits[..., : allowed.shape[-1]].transpose(1, 2), allowed)


class RandomBlock(WeighingBlock):
    """Logits from the positions."""

    def __init__(self, config: StudentConfig, d_out: int) -> None:
        super().__init__(config, d_out, width=d_out, heads=config.heads, project=config.residual)
        shape = (config.heads, config.positions, config.hidden)
        # The logits start with a deviation of one.
        self.rows = nn.Parameter(torch.randn(shape) * config.hidden**-0.25)
        self.columns = nn.Parameter(torch.randn(shape) * config.hidden**-0.25)

    def weigh(self, query: Tensor, keys: Tensor, allowed: Tensor, start: int) -> Tensor:
        """See the base class."""
        rows = self.rows[:, start : start + query.shape[1]]
        columns = self.columns[:, : allowed.shape[-1]]
        return softmax_over(torch.matmul(rows, columns.transpose(1, 2)), allowed)


class DenseSynthesizer(EveryMixer):
    """Forms "sentence", "prefix" and "per-query"."""

    kind: ClassVar[Kind] = "gated"

    @classmethod
    def block(cls, config: StudentConfig, d_out: int) -> DenseBlock:
        """See the base class."""
        return DenseBlock(config, d_out)

    @classmethod
    def block_parameters(cls, config: StudentConfig, d_out: int) -> int:
        """Norms and values, and two layers."""
        hidden, logits = config.hidden, config.heads * config.positions
        mixed = d_out if config.residual else 0
        layers = (config.d_model + 1) * hidden + (hidden + 1) * logits
        return block_parameters(config, d_out, mixed, d_out) + layers


class RandomSynthesizer(EveryMixer):
    """Forms "sentence", "prefix" and "per-query"."""

    kind: ClassVar[Kind] = "static"
    bounds_queries: ClassVar[bool] = True

    @classmethod
    def block(cls, config: StudentConfig, d_out: int) -> RandomBlock:
        """See the base class."""
        return RandomBlock(config, d_out)

    @classmethod
    def block_parameters(cls, config: StudentConfig, d_out: int) -> int:
        """Norms and values, and two factors a head."""
        mixed = d_out if config.residual else 0
        factors = 2 * config.heads * config.positions * config.hidden
        return block_parameters(config, d_out, mixed, d_out) + factors
