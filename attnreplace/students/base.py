"""What every student is, and the configuration that rebuilds one."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn

from attnreplace.errors import SequenceTooLong, UserError

FORMS = ("sentence", "prefix", "per-query", "paper")
"""What a student reads at which position. Two forms for self-attention:

- "sentence" (encoder): the whole sentence, all positions at once.
- "prefix" (decoder): at position i the positions up to i, the same network for all positions.

And two for cross-attention:

- "per-query": the whole memory and position i, the same network for all positions.
- "paper": the whole memory and the whole target, all positions at once. Not causal.
"""
CROSS_FORMS = ("per-query", "paper")
"""The forms that read a memory."""

SPATIAL = ("toeplitz", "dense")
"""Weights over the tokens by their distance, or free ones for every pair of positions."""

Kind = Literal["static", "gated", "pairwise", "attention"]
KINDS: dict[Kind, str] = {
    "static": "the weights over the tokens are fixed, or depend on positions alone",
    "gated": "what is read is multiplied by a share that the query alone decides",
    "pairwise": "a shallow network scores every pair of tokens, without dot product or softmax",
    "attention": "contains attention, small or linear",
}
"""What students are, from the farthest from attention to the nearest: every table says it."""

State = tuple[Tensor, ...]
"""What a student keeps between calls; the first dimension of every tensor is the batch's."""


@dataclass(frozen=True)
class StudentConfig:
    """Everything that determines a student's shape. Sizes are data: see `students.sizes`."""

    family: str
    """A name of `attnreplace.students.FAMILIES`."""
    d_model: int
    """Width of the input, and of the memory."""
    d_out: int
    """Width of the output, over all groups."""
    positions: int
    """N, the longest sentence the student can read, in tokens; the longest memory as well."""
    hidden: int
    """Width h of every hidden layer, per group; of a gate's, half of gMLP's d_ffn."""
    groups: int = 1
    """Independent networks over the same input, their outputs concatenated (ASLR: the heads)."""
    form: str = "sentence"
    """A name of `FORMS`."""
    hidden_layers: int = 1
    """How many hidden layers each network has; a token mixer, blocks."""
    spatial: str = "toeplitz"
    """A name of `SPATIAL`: the weights over the tokens of the families with a spatial gate."""
    heads: int = 1
    """Heads among which a network shares out its outputs, in the families that have weights over
    the tokens for each head."""
    residual: bool = False
    """Whether the target holds the input (ALRR, ELR): the families of natural size, whose output
    is a mix of values, then add it."""

    def __post_init__(self) -> None:
        counts = ("d_model", "d_out", "positions", "hidden", "groups", "hidden_layers", "heads")
        for name in counts:
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise UserError(f"a student's {name} must be a whole number from 1, not {value!r}")
        if self.d_out % self.groups:
            raise UserError(
                f"a student's output width {self.d_out} cannot be shared by {self.groups} groups"
            )
        if self.d_out // self.groups % self.heads:
            raise UserError(
                f"a student's output width {self.d_out} cannot be shared by {self.groups} groups "
                f"of {self.heads} heads"
            )
        if self.residual and (self.groups > 1 or self.d_out != self.d_model):
            raise UserError("a student with a residual has one group, as wide as its input")
        if self.form not in FORMS:
            raise UserError(f"no student form {self.form!r}; valid forms: {', '.join(FORMS)}")
        if self.spatial not in SPATIAL:
            raise UserError(
                f"no spatial weights {self.spatial!r}; valid ones: {', '.join(SPATIAL)}"
            )

    def num_parameters(self) -> int:
        """How many parameters the student has, without building it."""
        # The registry imports the families, which import this file.
        from attnreplace.students import student_class

        return student_class(self).num_parameters(self)


class Student(nn.Module, ABC):
    """An attention-free module that takes the place of attention.

    Column j of an input is position j: rows start with their first real token
    (`students.align` sees to that where a host pads on the left).
    """

    kind: ClassVar[Kind] = "static"
    """What it is, a name of `KINDS`."""
    contains_attention: ClassVar[bool] = False
    """Whether its kind is "attention": such a student is not free of it."""
    frees_gradients: ClassVar[bool] = False
    """Whether the gradients of its large weights can be used up while they are made, so that they
    are nowhere whole (see `row_gradients`)."""
    bounds_queries: ClassVar[bool] = False
    """Whether its form "per-query" has weights for every position of a query. The others answer at
    any position; N is then the longest memory alone."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.contains_attention = cls.kind == "attention"

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        self.config = config

    @staticmethod
    @abstractmethod
    def num_parameters(config: StudentConfig) -> int:
        """How many parameters a student of this family and configuration has."""

    @abstractmethod
    def mix(self, x: Tensor, memory: Tensor | None) -> Tensor:
        """Map `(batch, seq, d_model)`, zero at padding, to `(batch, seq, d_out)`.

        What comes out at padding is of no account.

        Args:
            x: the input.
            memory: `(batch, source, d_model)`, zero at padding; for the forms that read one.
        """

    def forward(
        self,
        x: Tensor,
        mask: Tensor,
        memory: Tensor | None = None,
        memory_mask: Tensor | None = None,
    ) -> Tensor:
        """Predict the target from the input.

        Args:
            x: the input, `(batch, seq, d_model)`; its values at padding are not read.
            mask: which tokens are real, `(batch, seq)` bool.
            memory: what the encoder gave, `(batch, source, d_model)`, for the forms that read it.
            memory_mask: which of its tokens are real, `(batch, source)` bool; None for all.

        Returns:
            `(batch, seq, d_out)`, zero at padding, in the dtype of `x`.

        Raises:
            SequenceTooLong: there are more columns than the student has positions.
        """
        if self.limits_input:
            self.check_length(x.shape[1])
        padding = ~mask.unsqueeze(-1)
        if memory is not None:
            self.check_length(memory.shape[1])
            if memory_mask is not None:
                memory = memory.masked_fill(~memory_mask.unsqueeze(-1), 0)
        return self.mix(x.masked_fill(padding, 0), memory).to(x.dtype).masked_fill(padding, 0)

    def decode(self, x: Tensor, state: State | None, start: int) -> tuple[Tensor, State]:
        """What `forward` gives at the next positions, from those and a state. Form "prefix".

        Args:
            x: the input at positions from `start` on, `(batch, new, d_model)`, no padding.
            state: what the call for the positions before gave; None at the start.
            start: the position of the first column.

        Returns:
            `(batch, new, d_out)` in the dtype of `x`, and the state for the next positions. Of the
            shallow networks, gates, summaries and linear attention it does not grow with how many
            there were; of the others it has room for N tokens, or grows (the family's file says
            which).

        Raises:
            SequenceTooLong: the last position is beyond those of the student.
        """
        raise NotImplementedError(f"a student of form {self.config.form!r} cannot decode")

    def read_memory(self, memory: Tensor, memory_mask: Tensor) -> State:
        """The memory's share of what `answer` computes, once a sentence. Form "per-query".

        Args:
            memory: what the encoder gave, `(batch, source, d_model)`.
            memory_mask: which of its tokens are real, `(batch, source)` bool.

        Raises:
            SequenceTooLong: there are more columns than the student has positions.
        """
        raise NotImplementedError(f"a student of form {self.config.form!r} has no answers")

    def answer(self, x: Tensor, share: State, start: int = 0) -> Tensor:
        """What `forward` gives at the next positions, `(batch, new, d_out)`. Form "per-query".

        Args:
            x: the input at these positions, `(batch, new, d_model)`, no padding.
            share: what `read_memory` gave.
            start: the position of the first column, where the student tells positions apart.

        Raises:
            SequenceTooLong: the last position is beyond those of a student that `bounds_queries`.
        """
        raise NotImplementedError(f"a student of form {self.config.form!r} has no answers")

    @property
    def limits_input(self) -> bool:
        """Whether the input, not the memory alone, is limited to N tokens."""
        return self.config.form != "per-query" or self.bounds_queries

    def check_length(self, length: int) -> None:
        """Refuse more tokens than there are positions.

        Raises:
            SequenceTooLong: there are more.
        """
        if length > self.config.positions:
            raise SequenceTooLong(
                f"a sequence of {length} tokens is too long for a student of "
                f"{self.config.positions} positions; shorten it, or train a longer student"
            )
