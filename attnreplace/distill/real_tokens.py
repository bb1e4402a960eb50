"""Between padded tensors and their real tokens, with a gradient that costs no more than a copy."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from attnreplace.activations.ragged import Padding, length_mask, pack, real_rows


class RealTokens(Padding):
    """Where the real tokens of some sentences are, padded to the longest."""

    def __init__(self, lengths: Tensor, device: torch.device | None = None) -> None:
        """Work it out.

        Args:
            lengths: tokens of each sentence, int64 `(batch,)`, on the CPU.
            device: where the tensors are.
        """
        super().__init__(lengths, device)
        rows = real_rows(length_mask(lengths))
        self.rows = None if rows is None else rows.to(device)
        """Rows of the flattened `(batch * seq)`; None for all."""

    def take(self, padded: Tensor) -> Tensor:
        """Real tokens of `(batch, seq, d)` as `(tokens, d)`, in order."""
        return _Take.apply(padded, self)


class _Take(torch.autograd.Function):
    # The gradient of an indexed read adds up, row by row; here no row is read twice.

    @staticmethod
    def forward(ctx: Any, padded: Tensor, real: RealTokens) -> Tensor:
        ctx.real = real
        return pack(padded, real.rows)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.real.pad(grad), None
