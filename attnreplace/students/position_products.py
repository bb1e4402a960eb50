r"""One product for every position, and their running sum: the decoder's first layer.

With W_j the d columns of position j, the first layer of the decoder's student needs
p_i = sum_{j <= i} W_j (gamma_j * u_j) at every position i. All products are one batched product
over positions, W seen as `(positions, h, d)` without a copy, and the running sum does the rest.

The gradient is written out as in `normed_linear`, and for the same reasons: one matrix of the size
of W, and no product for inputs that need no gradient.
"""

import sys
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from attnreplace.students.columns import at_least_float32

CACHED_VALUES = 2**18


def by_position(weight: Tensor, d_model: int) -> Tensor:
    """A view of `(h, positions * d_model)` as `(positions, h, d_model)`."""
    return weight.unflatten(1, (-1, d_model)).transpose(0, 1)


def products(u: Tensor, weight: Tensor, gamma: Tensor, dtype: torch.dtype) -> Tensor:
    """W_j (gamma_j * u_j) for every position j, `(groups, seq, batch, h)`, float32 or wider.

    Args:
        u: `(seq, batch, d_model)`.
        weight: the columns of these positions, `(groups, h, seq * d_model)`.
        gamma: `(groups, seq * d_model)`.
        dtype: of the product.
    """
    seq, _, d_model = u.shape
    out = [
        torch.bmm(
            (u * gamma_of.view(seq, 1, d_model)).to(dtype),
            by_position(weight_of, d_model).to(dtype).transpose(1, 2),
        )
        for weight_of, gamma_of in zip(weight, gamma, strict=True)
    ]
    return at_least_float32(out[0][None] if len(out) == 1 else torch.stack(out))


class PositionProducts(torch.autograd.Function):
    """`products`, and W_j gamma_j and W_j beta_j of every position, `(groups, N, 2, h)`.

    Args:
        u: `(seq, batch, d_model)`.
        weight: `(groups, h, N * d_model)`.
        gamma: `(groups, N * d_model)`.
        beta: `(groups, N * d_model)`.
        start: position of the first row of `u`.
        dtype: of the large products.
    """

    @staticmethod
    def forward(
        ctx: Any,
        u: Tensor,
        weight: Tensor,
        gamma: Tensor,
        beta: Tensor,
        start: int,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor]:
        """See the class."""
        seq, _, d_model = u.shape
        at = slice(start * d_model, (start + seq) * d_model)
        ctx.save_for_backward(u, weight, gamma, beta)
        ctx.start, ctx.dtype = start, dtype
        affine = at_least_float32(torch.stack([gamma, beta], 1))  # (groups, 2, N * d_model)
        sums = [
            torch.bmm(by_position(pair, d_model), by_position(columns, d_model).transpose(1, 2))
            for pair, columns in zip(affine, at_least_float32(weight), strict=True)
        ]
        return products(u, weight[:, :, at], gamma[:, at], dtype), torch.stack(sums)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, grad_sums: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of all arguments, from those of the products and of the sums."""
        u, weight, gamma, beta = ctx.saved_tensors
        (seq, _, d_model), start = u.shape, ctx.start
        groups, positions, _, hidden = grad_sums.shape
        need_u, *need_weights = ctx.needs_input_grad[:4]
        d_u = torch.zeros_like(u) if need_u else None
        d_weight = torch.empty_like(weight) if any(need_weights) else None
        d_gamma, d_beta = (gamma.new_empty(groups, positions, d_model) for _ in range(2))
        for group in range(groups):
            own = by_position(weight[group], d_model)  # (N, h, d_model)
            gammas, betas = (tensor[group].view(-1, 1, d_model) for tensor in (gamma, beta))
            product = grad[group].to(ctx.dtype)  # (seq, batch, h)
            if d_u is not None:
                here = slice(start, start + seq)
                d_u.addcmul_(torch.bmm(product, own[here].to(ctx.dtype)), gammas[here])
            if d_weight is None:
                continue
            of_sums = grad_sums[group].to(weight.dtype)
            of_gamma, of_beta = of_sums.unsqueeze(3).unbind(1)  # each (N, h, 1)
            d_gamma[group], d_beta[group] = torch.bmm(of_sums, own).unbind(1)
            out = by_position(d_weight[group], d_model)
            for at in (slice(0, start), slice(start + seq, None)):
                torch.mul(of_gamma[at], gammas[at], out=out[at]).addcmul_(of_beta[at], betas[at])
            step = _positions_at_once(weight.device, hidden * d_model)
            for first in range(0, seq, step):
                rows = slice(first, min(first + step, seq))
                at = slice(start + rows.start, start + rows.stop)
                # The gradient of W_j gamma_j, before gamma is applied: (positions, h, d_model).
                folded = torch.bmm(product[rows].transpose(1, 2), u[rows].to(ctx.dtype))
                folded = folded.to(weight.dtype).add_(of_gamma[at])
                out[at] = torch.mul(folded, gammas[at]).addcmul_(of_beta[at], betas[at])
                d_gamma[group, at] = folded.mul_(own[at]).sum(1)
        if d_weight is None:
            return d_u, None, None, None, None, None
        return d_u, d_weight, d_gamma.flatten(1), d_beta.flatten(1), None, None


def _positions_at_once(device: torch.device, values: int) -> int:
    """How many positions of `values` weights each to work on: on a CPU, what a cache holds.

    The gradient of W takes several passes over its values, of which only the last is written out.
    """
    return max(1, CACHED_VALUES // values) if device.type == "cpu" else sys.maxsize


class RunningSum(torch.autograd.Function):
    """The running sum over dimension 1 of `(groups, seq, batch, h)`, from `(groups, batch, h)` on.

    On a CPU `torch.cumsum` over any dimension but the last takes 30 times as long as this.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, before: Tensor | None) -> Tensor:
        """See the class."""
        if x.device.type != "cpu":
            total = x.cumsum(1)
            return total if before is None else total.add_(before.unsqueeze(1))
        total = torch.empty_like(x)
        total[:, 0] = x[:, 0] if before is None else x[:, 0] + before
        for position in range(1, x.shape[1]):
            torch.add(total[:, position - 1], x[:, position], out=total[:, position])
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None]:
        """The running sum from the end."""
        if grad.device.type != "cpu":
            total = grad.flip(1).cumsum_(1).flip(1)
        else:
            total = grad.clone(memory_format=torch.contiguous_format)
            for position in reversed(range(1, grad.shape[1])):
                total[:, position - 1] += total[:, position]
        return total, total[:, 0] if ctx.needs_input_grad[1] else None
