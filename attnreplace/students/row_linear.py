"""The first rows of a linear layer, with a gradient that is made some rows at a time."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from attnreplace.students.row_gradients import RowGradient, Take, blocks


class RowLinear(torch.autograd.Function):
    """W x + b for the first `rows` outputs, `(groups, batch, rows)` in `dtype`.

    The other rows' gradient is zero: autograd would fill a second matrix to say so.

    Args:
        x: `(groups, batch, columns)`.
        weight: `(groups, all rows, columns)`.
        bias: `(groups, all rows)`.
        rows: how many outputs are wanted.
        dtype: of the products.
        take: has the gradient of the weight, if not None; see `row_gradients`.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        rows: int,
        dtype: torch.dtype,
        take: Take | None,
    ) -> Tensor:
        """See the class."""
        narrow = x.to(dtype)
        out = narrow.new_empty(*x.shape[:2], rows)
        for groups, part in blocks(weight, rows):
            own = weight[groups, part].to(dtype).transpose(1, 2)
            added = bias[groups, None, part].to(dtype)
            out[groups, :, part] = torch.baddbmm(added, narrow[groups], own)
        ctx.save_for_backward(narrow, weight)
        ctx.wide, ctx.take = x.dtype, take
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the three tensors, from that of the output."""
        x, weight = ctx.saved_tensors
        rows = grad.shape[2]
        d_x = torch.zeros(x.shape, dtype=ctx.wide, device=x.device)
        d_bias = weight.new_zeros(weight.shape[:2])
        d_bias[:, :rows] = grad.sum(1)
        gradient = RowGradient(weight, ctx.take)
        for (groups, part), out in gradient:
            own = grad[groups, :, part]
            count = own.shape[2]  # none beyond `rows`
            out[:, count:] = 0
            if count:
                d_x[groups] += torch.bmm(own, weight[groups, part][:, :count].to(x.dtype))
                own = own.transpose(1, 2)
                if x.dtype == out.dtype:
                    torch.bmm(own, x[groups], out=out[:, :count])
                else:
                    out[:, :count] = torch.bmm(own, x[groups])
        return d_x, gradient.whole, d_bias, None, None, None
