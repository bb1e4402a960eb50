"""What takes the place of an attention or a layer: a student behind the host's signature."""

from typing import Any

from torch import Tensor, nn

from attnreplace.hosts import padding_mask
from attnreplace.students.align import run_aligned


class HeadsReplacement(nn.Module):
    """Attention whose heads come from a student; the out-projection stays the host's."""

    def __init__(self, student: nn.Module, out_proj: nn.Module) -> None:
        super().__init__()
        self.student = student
        self.out_proj = out_proj

    def forward(
        self, hidden_states: Tensor, attention_mask: Tensor | None = None, **kwargs: Any
    ) -> tuple[Tensor, None]:
        """The sub-layer's output, `(batch, seq, d_model)`; there are no attention weights."""
        mask = padding_mask(attention_mask, hidden_states)
        return self.out_proj(run_aligned(self.student, hidden_states, mask)), None


class ResidualReplacement(nn.Module):
    """Attention and its residual from a student.

    The host adds the residual again, so that x is taken off here: x + (student(x) - x). Dropout in
    a host in training mode would come between the two; a spliced model is in eval mode.
    """

    def __init__(self, student: nn.Module) -> None:
        super().__init__()
        self.student = student

    def forward(
        self, hidden_states: Tensor, attention_mask: Tensor | None = None, **kwargs: Any
    ) -> tuple[Tensor, None]:
        """The student's output less the input, `(batch, seq, d_model)`."""
        mask = padding_mask(attention_mask, hidden_states)
        return run_aligned(self.student, hidden_states, mask) - hidden_states, None


class LayerReplacement(nn.Module):
    """A whole layer from a student.

    Not being of the host's layer class, it leaves no entry in `output_hidden_states`.
    """

    def __init__(self, student: nn.Module) -> None:
        super().__init__()
        self.student = student

    def forward(
        self, hidden_states: Tensor, attention_mask: Tensor | None = None, **kwargs: Any
    ) -> Tensor:
        """The layer's output, `(batch, seq, d_model)`."""
        mask = padding_mask(attention_mask, hidden_states)
        return run_aligned(self.student, hidden_states, mask)
