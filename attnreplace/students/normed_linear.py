r"""LayerNorm over a zero-padded, flattened sentence, then Linear, without touching the padding.

A sentence is padded with zeros to N positions and flattened to n = N*d values x. The naive form is

    W (gamma * (x - mu) * r + beta) + b,    r = 1 / sqrt(var + eps),

with mu and var over all n values. Only the first k = S*d of them, S the longest sentence of the
batch, can differ from zero; every later one is normalised to the same shift = -mu*r. With z the
first k normalised values, `a` and `b` marking the columns up to k and beyond,

    pre = W_a (gamma_a * z + beta_a) + shift * (W_b gamma_b) + W_b beta_b + b:

one product of k columns, and two products of the remaining columns that all rows share. mu is the
sum of k values divided by n, and var takes two passes, so that a large mean costs no digits:

    var = (sum over k of (x - mu)^2  +  (n - k) * mu^2) / n.

The gradient is written out for two reasons. That of W fills one matrix, or none, where autograd
would add up three of its size. And with dW' = dpre^T z, needed in any case, the gradient of gamma
is the column sums of W_a * dW', which saves the product dpre W_a whenever z needs no gradient
(distillation).
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from attnreplace.students.row_gradients import Blocks, Products, RowGradient, Take


def centre(x: Tensor, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Moments of `width` values of which all but `x` are zero.

    Args:
        x: the first k values, `(batch, k)`; float32 or wider.
        width: n, all values.

    Returns:
        The first k values less the mean, `(batch, k)`, the mean, and the sum of the squared
        differences from it over all n values, each `(batch, 1)`.
    """
    mean = x.sum(1, keepdim=True) / width
    centred = x - mean
    squares = centred.square().sum(1, keepdim=True) + (width - x.shape[1]) * mean.square()
    return centred, mean, squares


def normalise(x: Tensor, width: int, eps: float) -> tuple[Tensor, Tensor]:
    """LayerNorm without its affine part; arguments as in `centre`, `eps` as in `nn.LayerNorm`.

    Returns:
        The first k values normalised, `(batch, k)`, and what every later one is, `(batch, 1)`.
    """
    centred, mean, squares = centre(x, width)
    scale = (squares / width + eps).rsqrt()
    return centred * scale, -mean * scale


def tail(weight: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    """W gamma and W beta, `(groups, 2, h)`, over the columns given.

    Args:
        weight: `(groups, h, columns)`.
        gamma: `(groups, columns)`.
        beta: `(groups, columns)`.
    """
    return torch.bmm(torch.stack([gamma, beta], 1), weight.transpose(1, 2))


def apply_normed(
    z: Tensor,
    shift: Tensor,
    weight: Tensor,
    gamma: Tensor,
    beta: Tensor,
    bias: Tensor,
    rest: Tensor,
    dtype: torch.dtype,
) -> Tensor:
    """The first layer, `(groups, batch, h)`, float32 or wider; arguments as in `NormedLinear`.

    Args:
        rest: `tail` of the columns beyond k, `(groups, 2, h)`.
    """
    k = z.shape[1]
    head = _head(z, gamma, beta).to(dtype)
    if dtype == rest.dtype:
        pre = torch.addcmul(rest[:, 1:] + bias[:, None], rest[:, :1], shift)
        return torch.baddbmm(pre, head, weight[:, :, :k].to(dtype).transpose(1, 2))
    product = torch.bmm(head, weight[:, :, :k].to(dtype).transpose(1, 2))
    return (product + (rest[:, 1:] + bias[:, None])).addcmul_(rest[:, :1], shift)


def _head(z: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    """The first k columns as the linear layer reads them, `(groups, batch, k)`."""
    k = z.shape[1]
    return torch.addcmul(beta[:, None, :k], gamma[:, None, :k], z)


class NormedLinear(torch.autograd.Function):
    """The same with its gradient, some rows of the weights at a time: see `row_gradients`.

    Args:
        z: first k columns, normalised, `(batch, k)`.
        shift: what every later column holds, `(batch, 1)`.
        weight: `(groups, h, n)`.
        gamma: `(groups, n)`.
        beta: `(groups, n)`.
        bias: `(groups, h)`.
        dtype: of the large products; all else is in that of the arguments.
        take: has the gradient of the weight, if not None.
    """

    @staticmethod
    def forward(
        ctx: Any,
        z: Tensor,
        shift: Tensor,
        weight: Tensor,
        gamma: Tensor,
        beta: Tensor,
        bias: Tensor,
        dtype: torch.dtype,
        take: Take | None,
    ) -> Tensor:
        """See the class."""
        k = z.shape[1]
        head = _head(z, gamma, beta).to(dtype)
        affine = torch.stack([gamma[:, k:], beta[:, k:]], 1)
        pre = z.new_empty(weight.shape[0], z.shape[0], weight.shape[1])
        rest = z.new_empty(weight.shape[0], 2, weight.shape[1])
        cut = Blocks(weight)
        for groups in cut.groups:
            own, read, ends = weight[groups].transpose(1, 2), head[groups], affine[groups]
            into = cut.rows(pre[groups], 2), cut.rows(rest[groups], 2)
            for columns, out, later in zip(cut.rows(own, 2), *into, strict=True):
                out.copy_(torch.bmm(read, columns[:, :k].to(dtype)))
                later.copy_(torch.bmm(ends, columns[:, k:]))
        pre += torch.addcmul(rest[:, 1:] + bias[:, None], rest[:, :1], shift)
        ctx.save_for_backward(z, shift, weight, gamma, beta, rest)
        ctx.dtype, ctx.take = dtype, take
        return pre

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the six tensors, from that of the output, `(groups, batch, h)`."""
        z, shift, weight, gamma, beta, rest = ctx.saved_tensors
        k, dtype = z.shape[1], ctx.dtype
        narrow = grad.to(dtype)
        d_z = d_shift = None
        if ctx.needs_input_grad[0]:
            d_z = torch.bmm(narrow, weight[:, :, :k].to(dtype)) * gamma[:, None, :k]
            d_z = d_z.sum(0)
        if ctx.needs_input_grad[1]:
            d_shift = (grad * rest[:, :1]).sum((0, 2)).unsqueeze(1)
        d_bias = grad.sum(1)
        if not any(ctx.needs_input_grad[2:5]):
            return d_z, d_shift, None, None, None, d_bias, None, None
        inputs = z.to(dtype).expand(len(weight), -1, -1)
        affine = torch.stack([gamma[:, k:], beta[:, k:]], 1)
        # What reaches W gamma of the columns beyond k, and W beta of all.
        d_rest = torch.stack([(grad * shift).sum(1), d_bias], 1)
        # Laid out so that what is to be the gradients of gamma and beta is contiguous.
        d_affine = grad.new_zeros(2, *gamma.shape).transpose(0, 1)
        gradient, products = RowGradient(weight, ctx.take), Products()
        cut = gradient.blocks
        # Sums over the rows in the end: till then, products of those at the same place in a block.
        d_head = d_affine.new_zeros(len(weight), cut.at_once, k)
        turned = narrow.transpose(1, 2).contiguous()
        for groups in cut.groups:
            read, ends, d_ends, sums = (t[groups] for t in (inputs, affine, d_affine, d_head))
            scale, shifted = gamma[groups, None, :k], beta[groups, None, :k]
            each = cut.rows(weight[groups]), cut.rows(turned[groups]), cut.rows(d_rest[groups], 2)
            for own, through, to_rest, room in zip(*each, gradient.rooms(groups), strict=True):
                d_ends.baddbmm_(to_rest, own)
                head, later = room.split((k, room.shape[2] - k), dim=2)
                products.write(through, read, head)
                sums[:, : head.shape[1]].addcmul_(head, own[:, :, :k])
                head.mul_(scale).addcmul_(to_rest[:, 1, :, None], shifted)
                torch.bmm(to_rest.transpose(1, 2), ends, out=later)
                gradient.done(room)
        d_gamma, d_beta = d_affine.unbind(1)
        d_gamma[:, :k] = d_head.sum(1)
        return d_z, d_shift, gradient.whole, d_gamma, d_beta, d_bias, None, None
