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

The gradient is written out for two reasons. That of W fills one matrix, where autograd would add up
three of its size. And with dW' = dpre^T z, needed in any case, the gradient of gamma is the column
sums of W_a * dW', which saves the product dpre W_a whenever z needs no gradient (distillation).
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


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
) -> Tensor:
    """The first layer, `(groups, batch, h)`; arguments as in `NormedLinear`.

    Args:
        rest: `tail` of the columns beyond k, `(groups, 2, h)`.
    """
    k = z.shape[1]
    head = torch.addcmul(beta[:, None, :k], gamma[:, None, :k], z)
    pre = torch.addcmul(rest[:, 1:] + bias[:, None], rest[:, :1], shift)
    return torch.baddbmm(pre, head, weight[:, :, :k].transpose(1, 2))


class NormedLinear(torch.autograd.Function):
    """`apply_normed` with its gradient. All arguments have one dtype.

    Args:
        z: first k columns, normalised, `(batch, k)`.
        shift: what every later column holds, `(batch, 1)`.
        weight: `(groups, h, n)`.
        gamma: `(groups, n)`.
        beta: `(groups, n)`.
        bias: `(groups, h)`.
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
    ) -> Tensor:
        """See the class."""
        k = z.shape[1]
        rest = tail(weight[:, :, k:], gamma[:, k:], beta[:, k:])
        ctx.save_for_backward(z, shift, weight, gamma, beta, rest)
        return apply_normed(z, shift, weight, gamma, beta, bias, rest)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of all six arguments, from that of the output, `(groups, batch, h)`."""
        z, shift, weight, gamma, beta, rest = ctx.saved_tensors
        k = z.shape[1]
        d_z = d_shift = d_weight = d_gamma = None
        if ctx.needs_input_grad[0]:
            d_z = (torch.bmm(grad, weight[:, :, :k]) * gamma[:, None, :k]).sum(0)
        if ctx.needs_input_grad[1]:
            d_shift = (grad * rest[:, :1]).sum((0, 2)).unsqueeze(1)
        d_bias = grad.sum(1)
        d_beta = torch.bmm(d_bias[:, None], weight)[:, 0]
        if ctx.needs_input_grad[2] or ctx.needs_input_grad[3]:
            d_rest = torch.stack([(grad * shift).sum(1), d_bias], 2)
            d_weight = torch.empty_like(weight)
            first, last = d_weight[:, :, :k], d_weight[:, :, k:]
            torch.bmm(grad.transpose(1, 2), z.expand(grad.shape[0], -1, -1), out=first)
            d_gamma = torch.cat(
                [
                    (first * weight[:, :, :k]).sum(1),
                    torch.bmm(d_rest[:, None, :, 0], weight[:, :, k:])[:, 0],
                ],
                1,
            )
            first.mul_(gamma[:, None, :k]).addcmul_(d_bias[:, :, None], beta[:, None, :k])
            torch.bmm(d_rest, torch.stack([gamma[:, k:], beta[:, k:]], 1), out=last)
        return d_z, d_shift, d_weight, d_gamma, d_beta, d_bias
