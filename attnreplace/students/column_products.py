r"""A zero-padded, normalised input times the first layer, and what that layer adds to anything.

For k normalised columns z and later ones that all hold `shift`, in the notation of `normed_linear`,

    W_a (gamma_a * z) + shift * (W_b gamma_b),    and    W gamma,  W beta    over all columns,

apart from each other: where a further input joins under the same LayerNorm, mean and scale change,
and with them the share of each. The sums are float32 or wider whatever the product's dtype.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from attnreplace.students.columns import Columns, Tails, at_least_float32
from attnreplace.students.normed_linear import tail


def column_products(
    z: Tensor, shift: Tensor, columns: Columns, tails: Tails, d_model: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """The product, `(groups, batch, h)`, and the sums, `(groups, 2, h)`, float32 or wider.

    Args:
        z: the first k columns, `(batch, k)`.
        shift: what every later column holds, `(batch, 1)`.
        columns: the weights.
        tails: where sums of `columns` are kept.
        d_model: how many columns a position has.
        dtype: of the product.
    """
    if not columns.frozen:
        tails.forget()
        return ColumnProducts.apply(z, shift, *columns, dtype)
    sums = tails.of(columns, d_model)
    rest = sums[z.shape[1] // d_model][:, :1]
    return _product(z, columns.weight, columns.gamma, dtype) + rest * shift, sums[0]


def _product(z: Tensor, weight: Tensor, gamma: Tensor, dtype: torch.dtype) -> Tensor:
    """W_a (gamma_a * z), `(groups, batch, h)`, float32 or wider."""
    k = z.shape[1]
    head = (gamma[:, None, :k] * z).to(dtype)
    return at_least_float32(torch.bmm(head, weight[:, :, :k].to(dtype).transpose(1, 2)))


class ColumnProducts(torch.autograd.Function):
    """Product and sums as `column_products` gives them, with their gradient.

    It is written out for the reasons that `normed_linear` gives.
    """

    @staticmethod
    def forward(
        ctx: Any,
        z: Tensor,
        shift: Tensor,
        weight: Tensor,
        gamma: Tensor,
        beta: Tensor,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor]:
        """See the class."""
        k = z.shape[1]
        wide = at_least_float32(weight), at_least_float32(gamma), at_least_float32(beta)
        rest = tail(*(tensor[..., k:] for tensor in wide))
        ctx.save_for_backward(z, shift, weight, gamma, beta, rest[:, :1])
        ctx.dtype = dtype
        product = _product(z, weight, gamma, dtype).addcmul_(rest[:, :1], shift)
        return product, rest + tail(*(tensor[..., :k] for tensor in wide))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, grad_sums: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of all arguments, from those of the product and of the sums."""
        z, shift, weight, gamma, beta, rest = ctx.saved_tensors
        k, narrow = z.shape[1], grad.to(ctx.dtype)
        d_z = d_shift = None
        if ctx.needs_input_grad[0]:
            d_z = torch.bmm(narrow, weight[:, :, :k].to(ctx.dtype))
            d_z = (d_z * gamma[:, None, :k]).sum(0).to(z.dtype)
        if ctx.needs_input_grad[1]:
            d_shift = (grad * rest).sum((0, 2)).unsqueeze(1).to(shift.dtype)
        if not any(ctx.needs_input_grad[2:5]):
            return d_z, d_shift, None, None, None, None
        # What reaches W gamma through the product: the first k columns, and each of the rest.
        first = torch.bmm(narrow.transpose(1, 2), z.to(ctx.dtype).expand(len(grad), -1, -1))
        first = first.to(weight.dtype)
        later = (grad * shift).sum(1).to(weight.dtype)
        grad_sums = grad_sums.to(weight.dtype)
        d_gamma, d_beta = torch.bmm(grad_sums, weight).unbind(1)
        d_gamma[:, :k] += torch.linalg.vecdot(first, weight[:, :, :k], dim=1)
        d_gamma[:, k:] += torch.bmm(later[:, None], weight[:, :, k:])[:, 0]
        d_weight = torch.bmm(grad_sums.transpose(1, 2), torch.stack([gamma, beta], 1))
        d_weight[:, :, :k].addcmul_(first, gamma[:, None, :k])
        d_weight[:, :, k:].addcmul_(later[:, :, None], gamma[:, None, k:])
        return d_z, d_shift, d_weight, d_gamma, d_beta, None
