"""Give a student its positions counted from each row's first real token."""

import torch
from torch import Tensor, nn


def run_aligned(student: nn.Module, x: Tensor, mask: Tensor) -> Tensor:
    """Run a student on rows padded anywhere.

    Each row is moved left by its leading padding, the columns after the last real token of the
    batch are cut off, and the output is moved back: neither the side nor the amount of the padding
    is seen by the student. Padding between real tokens keeps its position.

    Args:
        student: maps `(batch, seq, d_model)` and a mask to `(batch, seq, d_out)`.
        x: the input, `(batch, seq, d_model)`.
        mask: which tokens are real, `(batch, seq)` bool.

    Returns:
        `(batch, seq, d_out)`, zero at padding.
    """
    seq = mask.shape[1]
    moved, real, first = align_left(x, mask)
    out, width = student(moved, real), real.shape[1]
    if first is None:
        return torch.nn.functional.pad(out, (0, 0, 0, seq - width))
    column = torch.arange(seq, device=mask.device)
    back = (column - first).clamp(0, width - 1)
    return _take(out, back).masked_fill(~mask.unsqueeze(-1), 0)


def align_left(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """Move each row left by its leading padding, and cut the columns that are padding in all.

    Args:
        x: the input, `(batch, seq, d_model)`.
        mask: which tokens are real, `(batch, seq)` bool.

    Returns:
        The input and its mask with `width` columns, and by how much each row was moved,
        `(batch, 1)`; None where no row was.
    """
    seq = mask.shape[1]
    column = torch.arange(seq, device=mask.device)
    first = torch.where(mask, column, seq).amin(1, keepdim=True)
    end = torch.where(mask, column + 1, 0).amax(1, keepdim=True)
    first = first.minimum(end)  # a row without any real token
    offset, width = torch.stack([first.max(), (end - first).max()]).tolist()
    width = max(width, 1)
    if offset == 0:
        return x[:, :width], mask[:, :width], None
    step = column[:width]
    there = (first + step).clamp(max=seq - 1)
    real = mask.gather(1, there) & (first + step < seq)
    return _take(x, there), real, first


def _take(x: Tensor, columns: Tensor) -> Tensor:
    """The given columns `(batch, new_seq)` of `x`, `(batch, seq, d)`."""
    return x.gather(1, columns.unsqueeze(-1).expand(-1, -1, x.shape[-1]))
