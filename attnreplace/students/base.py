"""What every student is, and the configuration that rebuilds one."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn

from attnreplace.errors import SequenceTooLong, UserError


@dataclass(frozen=True)
class StudentConfig:
    """Everything that determines a student's shape. Sizes are data: see `students.sizes`."""

    family: str
    """A name of `attnreplace.students.FAMILIES`."""
    d_model: int
    """Width of the input."""
    d_out: int
    """Width of the output, over all groups."""
    positions: int
    """N, the longest sentence the student can read, in tokens."""
    hidden: int
    """Width h of the hidden layer, per group."""
    groups: int = 1
    """Independent networks over the same input, their outputs concatenated (ASLR: the heads)."""

    def __post_init__(self) -> None:
        for name in ("d_model", "d_out", "positions", "hidden", "groups"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise UserError(f"a student's {name} must be a whole number from 1, not {value!r}")
        if self.d_out % self.groups:
            raise UserError(
                f"a student's output width {self.d_out} cannot be shared by {self.groups} groups"
            )

    def num_parameters(self) -> int:
        """How many parameters the student has, without building it."""
        # The registry imports the families, which import this file.
        from attnreplace.students import family

        return family(self.family).num_parameters(self)


class Student(nn.Module, ABC):
    """An attention-free module that reads a whole sentence at once.

    Column j of the input is position j: rows start with their first real token
    (`students.align` sees to that where a host pads on the left).
    """

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        self.config = config

    @staticmethod
    @abstractmethod
    def num_parameters(config: StudentConfig) -> int:
        """How many parameters a student of this family and configuration has."""

    @abstractmethod
    def mix(self, x: Tensor) -> Tensor:
        """Map `(batch, seq, d_model)`, zero at padding, to `(batch, seq, d_out)`.

        What comes out at padding is of no account.
        """

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Predict the target from the input.

        Args:
            x: the input, `(batch, seq, d_model)`; its values at padding are not read.
            mask: which tokens are real, `(batch, seq)` bool.

        Returns:
            `(batch, seq, d_out)`, zero at padding, in the dtype of `x`.

        Raises:
            SequenceTooLong: there are more columns than the student has positions.
        """
        if x.shape[1] > self.config.positions:
            raise SequenceTooLong(
                f"a sequence of {x.shape[1]} tokens is too long for a student of "
                f"{self.config.positions} positions; shorten it, or train a longer student"
            )
        padding = ~mask.unsqueeze(-1)
        return self.mix(x.masked_fill(padding, 0)).to(x.dtype).masked_fill(padding, 0)
