"""The first rows of a linear layer, with a gradient that is made some rows at a time."""

from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from attnreplace.students.row_gradients import Products, RowGradient, Take


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
        narrow, own = x.to(dtype), weight[:, :rows]
        if own.dtype != dtype:
            # A copy, for both passes. Of a single group `to` would keep the stride, which is that
            # of all rows, and products take several times as long.
            own = torch.empty_like(own, dtype=dtype, memory_format=torch.contiguous_format)
            own.copy_(weight[:, :rows])
        out = torch.baddbmm(bias[:, None, :rows].to(dtype), narrow, own.transpose(1, 2))
        ctx.save_for_backward(narrow, weight, own if own.dtype != weight.dtype else None)
        ctx.wide, ctx.take = x.dtype, take
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the three tensors, from that of the output."""
        x, weight, own = ctx.saved_tensors
        rows = grad.shape[2]
        # All of it before anything is taken, which changes the weight.
        d_x = torch.bmm(grad, weight[:, :rows] if own is None else own).to(ctx.wide)
        d_bias = weight.new_zeros(weight.shape[:2])
        d_bias[:, :rows] = grad.sum(1)
        turned = grad.transpose(1, 2).contiguous()
        gradient, products = RowGradient(weight, ctx.take), Products()
        cleared = None  # where blocks share their memory, zeros stay
        for groups in gradient.blocks.groups:
            inputs, wanted = x[groups], gradient.blocks.rows(turned[groups])
            for through, room in zip_longest(wanted, gradient.rooms(groups)):
                count = 0 if through is None else through.shape[1]  # none beyond `rows`
                if count:
                    products.write(through, inputs, room[:, :count])
                if count < room.shape[1] and room is not cleared:
                    room[:, count:] = 0
                cleared = None if count else room
                gradient.done(room)
        return d_x, gradient.whole, d_bias, None, None, None
