"""What the students but the shallow networks have in common: groups, depth, padding, steps.

A network is a stack of blocks: `hidden_layers` of them, those before the last with a residual; the
last gives the output. Groups are networks side by side.

Unlike a shallow network, whose weights belong to positions, a block applies its channel weights to
each token in turn. A parameter costs a product a token and not one a sentence: at equal counts a
mixer computes about as many times more as a sentence has tokens.
"""

from abc import abstractmethod
from collections.abc import Callable
from itertools import islice
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attnreplace.students.base import State, Student, StudentConfig
from attnreplace.students.columns import at_least_float32

EPS = 1e-6


class SelfBlock(nn.Module):
    """A block of the students of self-attention."""

    kept: int
    """How many tensors `decode` keeps."""

    @abstractmethod
    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """Map `(batch, seq, d_model)`, with `real` `(batch, seq)`, to `(batch, seq, d_out)`."""

    @abstractmethod
    def decode(self, x: Tensor, state: State | None, start: int) -> tuple[Tensor, State]:
        """As `Student.decode`."""


class CrossBlock(nn.Module):
    """A block of the students of cross-attention."""

    kept: int
    """How many tensors `read` gives."""

    @abstractmethod
    def read(self, memory: Tensor, real: Tensor) -> State:
        """The share of a memory, `(batch, source, d_model)` with `real` `(batch, source)`."""

    @abstractmethod
    def answer(self, x: Tensor, share: State, start: int) -> Tensor:
        """As `Student.answer`."""


class MixerStudent(Student):
    """A stack of blocks for every group, over the same input, outputs concatenated."""

    def __init__(self, config: StudentConfig) -> None:
        super().__init__(config)
        self.networks = nn.ModuleList(
            nn.ModuleList(self.block(config, width) for width in _widths(config))
            for _ in range(config.groups)
        )

    @classmethod
    @abstractmethod
    def block(cls, config: StudentConfig, d_out: int) -> nn.Module:
        """A block that gives `d_out` channels."""

    @classmethod
    @abstractmethod
    def block_parameters(cls, config: StudentConfig, d_out: int) -> int:
        """How many parameters `block` has."""

    @classmethod
    def num_parameters(cls, config: StudentConfig) -> int:
        """Those of all blocks."""
        return config.groups * sum(cls.block_parameters(config, width) for width in _widths(config))

    def run(self, x: Tensor, step: Callable[[Any, Tensor], Tensor]) -> Tensor:
        """Take `(batch, seq, d_model)` through the stacks to `(batch, seq, d_out)`.

        Args:
            x: the input.
            step: what a block, the first argument, makes of what has come so far, the second;
                it is asked for one block after another, in a fixed order.
        """
        outputs = []
        for network in self.networks:
            *first, last = cast(nn.ModuleList, network)
            hidden = x
            for block in first:
                hidden = hidden + step(block, hidden)
            out = step(last, hidden)
            outputs.append(out + hidden if self.config.residual else out)
        return torch.cat(outputs, -1)


class SelfMixer(MixerStudent):
    """The forms "sentence" and "prefix"."""

    def mix(self, x: Tensor, memory: Tensor | None) -> Tensor:
        """Map `(batch, seq, d_model)`, zero at padding, to `(batch, seq, d_out)`."""
        real = real_tokens(x)
        return self.run(x, lambda block, hidden: block(hidden, real))

    def decode(self, x: Tensor, state: State | None, start: int) -> tuple[Tensor, State]:
        """See the base class; but this state grows with the student.

        It is `(batch, positions, width)` for every tensor a block keeps, for every block: room for
        all tokens, as wide as the family's file says.
        """
        if self.config.form != "prefix":
            return super().decode(x, state, start)
        self.check_length(start + x.shape[1])
        before, after = iter(state or ()), list[Tensor]()

        def step(block: SelfBlock, hidden: Tensor) -> Tensor:
            out, kept = block.decode(hidden, tuple(islice(before, block.kept)) or None, start)
            after.extend(kept)
            return out

        return self.run(x, step).to(x.dtype), tuple(after)


class CrossMixer(MixerStudent):
    """The form "per-query": every block reads the same memory."""

    def mix(self, x: Tensor, memory: Tensor | None) -> Tensor:
        """Map `(batch, seq, d_model)` and `(batch, source, d_model)` to `(batch, seq, d_out)`."""
        if memory is None:
            raise TypeError("this student reads a memory")
        return self._answer(x, self._share(memory), 0)

    def read_memory(self, memory: Tensor, memory_mask: Tensor) -> State:
        """See the base class; how large it is, the family's file says."""
        self.check_length(memory.shape[1])
        return self._share(memory.masked_fill(~memory_mask.unsqueeze(-1), 0))

    def answer(self, x: Tensor, share: State, start: int = 0) -> Tensor:
        """See the base class."""
        if self.bounds_queries:
            self.check_length(start + x.shape[1])
        return self._answer(x, share, start).to(x.dtype)

    def _share(self, memory: Tensor) -> State:
        real = real_tokens(memory)
        stacks = cast(list[list[CrossBlock]], self.networks)
        return tuple(
            part for stack in stacks for block in stack for part in block.read(memory, real)
        )

    def _answer(self, x: Tensor, share: State, start: int) -> Tensor:
        left = iter(share)

        def step(block: CrossBlock, hidden: Tensor) -> Tensor:
            return block.answer(hidden, tuple(islice(left, block.kept)), start)

        return self.run(x, step)


class EveryMixer(SelfMixer, CrossMixer):
    """All three of these forms, for families whose blocks are a `SelfBlock` and a `CrossBlock`."""

    def mix(self, x: Tensor, memory: Tensor | None) -> Tensor:
        """As the form has it."""
        way = CrossMixer if self.config.form == "per-query" else SelfMixer
        return way.mix(self, x, memory)

    def read_memory(self, memory: Tensor, memory_mask: Tensor) -> State:
        """See the base class."""
        way = CrossMixer if self.config.form == "per-query" else Student
        return way.read_memory(self, memory, memory_mask)

    def answer(self, x: Tensor, share: State, start: int = 0) -> Tensor:
        """See the base class."""
        way = CrossMixer if self.config.form == "per-query" else Student
        return way.answer(self, x, share, start)


def real_tokens(x: Tensor) -> Tensor:
    """Which tokens of an input that is zero at padding are real, `(batch, seq)` bool.

    A token of zeros is padding, as it is to the shallow networks, which see nothing else there.
    """
    return (x != 0).any(-1)


def normed(x: Tensor, norm: nn.LayerNorm) -> Tensor:
    """LayerNorm with moments of float32 or wider, in the dtype of its parameters."""
    own = norm.weight.dtype
    wide = at_least_float32(x)
    wide = wide.to(torch.promote_types(wide.dtype, own))
    weight, bias = norm.weight.to(wide.dtype), norm.bias.to(wide.dtype)
    return F.layer_norm(wide, wide.shape[-1:], weight, bias, norm.eps).to(own)


def _widths(config: StudentConfig) -> list[int]:
    """Channels that each block of a network gives."""
    return [config.d_model] * (config.hidden_layers - 1) + [config.d_out // config.groups]
