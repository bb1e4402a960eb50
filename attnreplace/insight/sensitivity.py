r"""How much each output position changes with each input position: the norm of the Jacobian.

S[i, j] = |d out_i / d in_j|, the Frobenius norm over both channels. It is there for whatever maps
tokens to tokens, a student without attention or an attention alike, so that both can be compared.

With V of P orthonormal rows of length d_out, drawn at random, d_out / P * |V J|^2 has the
expectation |J|^2, and with P = d_out it is exact.
"""

from typing import Protocol

import torch
from torch import Tensor

from attnreplace.hosts import Location

ROWS = 256
"""Copies of a sentence that are differentiated at a time."""


class TokenMap(Protocol):
    """What a student is called like."""

    def __call__(
        self,
        x: Tensor,
        mask: Tensor,
        memory: Tensor | None = None,
        memory_mask: Tensor | None = None,
    ) -> Tensor:
        """Map `(batch, seq, d_in)` to `(batch, seq, d_out)`; sentences do not see one another."""


def sensitivity(
    student: TokenMap,
    x: Tensor,
    mask: Tensor,
    memory: Tensor | None = None,
    memory_mask: Tensor | None = None,
    *,
    probes: int | None = None,
    seed: int = 0,
) -> Tensor:
    """The norm of d out_i / d in_j; at cross-attention that of d out_i / d memory_j.

    A derivative of one output at a time, of copies of the sentence side by side. Exact, it costs
    seq * d_out passes of a sentence forwards and backwards; with probes seq * probes.

    Args:
        student: freeze its parameters, which would cost gradients otherwise.
        x: the input, `(batch, seq, d_in)`.
        mask: which tokens are real, `(batch, seq)` bool.
        memory: `(batch, source, d_in)`, at cross-attention.
        memory_mask: which of its tokens are real, `(batch, source)` bool; None for all.
        probes: random directions of the output to differentiate; None for all, exact.
        seed: of the directions.

    Returns:
        `(batch, seq, seq)`, at cross-attention `(batch, seq, source)`; zero at padding.
    """
    with torch.no_grad():
        width = student(x, mask, memory, memory_mask).shape[2]
    directions = _directions(width, probes, seed).to(x)
    maps = []
    for row in range(len(x)):
        at = slice(row, row + 1)
        read = None if memory is None else memory[at]
        real = None if memory_mask is None else memory_mask[at]
        maps.append(_of_sentence(student, x[at], mask[at], read, real, directions))
    return torch.stack(maps)


def attention_branch(location: Location) -> TokenMap:
    """A site's attention as a student is called: from what it reads to what it gives.

    Its parameters are the model's; the library's implementation is the one the model is set to.
    """

    def branch(
        x: Tensor, mask: Tensor, memory: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> Tensor:
        real = mask if memory is None else memory_mask
        allowed = torch.ones(len(x), 1, x.shape[1], 1, dtype=torch.bool, device=x.device)
        if real is not None:
            allowed = allowed & real[:, None, None]
        if location.site.group == "decoder":
            allowed = allowed.tril()
        # In floating point all implementations take it.
        bias = torch.zeros(allowed.shape, dtype=x.dtype, device=x.device)
        bias = bias.masked_fill(~allowed, torch.finfo(x.dtype).min)
        extra = {} if memory is None else {"key_value_states": memory}
        out: Tensor = location.attention(hidden_states=x, attention_mask=bias, **extra)[0]
        return out

    return branch


def _of_sentence(
    student: TokenMap,
    x: Tensor,
    mask: Tensor,
    memory: Tensor | None,
    memory_mask: Tensor | None,
    directions: Tensor,
) -> Tensor:
    """The map of one sentence, all tensors with a batch of one but `(probes, d_out)` directions."""
    read = x if memory is None else memory
    squares = torch.zeros(x.shape[1], read.shape[1], dtype=torch.float64, device=x.device)
    count = len(directions)
    asked = mask[0].nonzero()[:, 0].repeat_interleave(count)
    for part in torch.arange(len(asked), device=x.device).split(ROWS):
        n, positions = len(part), asked[part]
        copies = read.detach().expand(n, -1, -1).clone().requires_grad_()
        real, read_real = mask.expand(n, -1), memory_mask
        if read_real is not None:
            read_real = read_real.expand(n, -1)
        with torch.enable_grad():
            if memory is None:
                out = student(copies, real)
            else:
                out = student(x.expand(n, -1, -1), real, copies, read_real)
            chosen = out[torch.arange(n, device=x.device), positions] * directions[part % count]
            (gradient,) = torch.autograd.grad(chosen.sum(), copies)
        squares.index_add_(0, positions, gradient.double().square().sum(-1))
    return squares.sqrt().to(x.dtype)


def _directions(width: int, probes: int | None, seed: int) -> Tensor:
    """Orthonormal rows times the root of width / probes, `(probes, width)`."""
    if probes is None or probes >= width:
        return torch.eye(width)
    drawn = torch.randn(width, probes, generator=torch.Generator().manual_seed(seed))
    return torch.linalg.qr(drawn).Q.T * (width / probes) ** 0.5
